//! Starts Claude Code in a bubblewrap sandbox that secrets never enter.

pub mod host;
pub mod path;
