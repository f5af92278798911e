//! Starts Claude Code in a bubblewrap sandbox that secrets never enter.

pub mod floor;
pub mod host;
pub mod leak;
pub mod path;
