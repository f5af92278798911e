//! The facts about the host that every later stage works with.

pub mod git;
pub mod tree;
