//! What of a configuration decides where its repository is.

use super::config::Entry;
use crate::path::HostPath;

/// What a configuration says about where its repository is.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `core.bare`, where it is set.
    pub(super) bare: Option<bool>,
    /// `core.worktree`, where it is set, as written, and the file that sets it.
    pub(super) work_tree: Option<(HostPath, Vec<u8>)>,
    /// `extensions.worktreeConfig`: git reads `config.worktree` too.
    pub(super) per_worktree: bool,
}

impl Settings {
    pub(super) fn take(&mut self, file: &HostPath, entries: &[Entry]) {
        for entry in entries {
            match (&*entry.section, &entry.subsection, entry.key.as_slice()) {
                (b"core", None, b"bare") => self.bare = Some(entry.is_true()),
                (b"core", None, b"worktree") => self.work_tree = entry.value.clone().map(|value| (file.clone(), value)),
                (b"extensions", None, b"worktreeconfig") => self.per_worktree = entry.is_true(),
                _ => {}
            }
        }
    }
}
