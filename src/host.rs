//! The facts about the host that every later stage works with.

pub mod claude;
pub mod tree;
