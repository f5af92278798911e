//! The few facts that a look at claudebox's own state needs: no project, no policy, no sandbox. It works where none of
//! these would, for one in a directory that was removed.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::diagnostic::Refusal;
use crate::path::HostPath;
use crate::sys;

use super::terminal::Terminal;
use super::tree::Tree;

/// Who looks, and where the state is.
#[derive(Debug)]
pub struct Own {
    /// The user's home directory, canonical.
    pub home: HostPath,
    /// State: `~/.claudebox`.
    pub state: HostPath,
    /// The caller's user id.
    pub uid: u32,
    /// The standard streams.
    pub terminal: Terminal,
}

impl Own {
    /// Gathers the facts.
    ///
    /// # Errors
    /// There is no home.
    pub fn gather() -> Result<Self, Refusal> {
        let home = super::existing(&Tree::real(), dirs::home_dir().as_deref(), "home directory")?;
        Ok(Self {
            state: super::joined(&home, super::STATE)?,
            home,
            uid: sys::ids().0,
            terminal: Terminal::look(),
        })
    }
}

/// The time, in seconds since 1970; 0 where the clock stands before that.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs())
}
