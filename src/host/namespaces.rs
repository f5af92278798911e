//! Whether this process may make user namespaces, as far as the kernel's switches tell.

use std::path::Path;

use rustix::thread::{SecureComputingMode, secure_computing_mode};

use super::tree::Tree;

/// AppArmor's switch: 1 where only programs with a profile that says so get privileges in a user namespace.
pub const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
/// Debian's switch: 0 where only root makes user namespaces.
pub const CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";
/// How many user namespaces a user may have.
pub const MAXIMUM: &str = "/proc/sys/user/max_user_namespaces";

/// What the switches say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Nothing forbids them.
    Free,
    /// Something may forbid them: only a trial tells.
    Doubtful,
    /// Only chosen programs have privileges in them: bubblewrap itself has to be tried.
    Chosen,
}

impl Namespaces {
    /// Reads the switches, and whether a filter for system calls lies on this process.
    #[must_use]
    pub fn look(tree: &Tree, uid: u32) -> Self {
        let value = |file: &str| tree.read_start(Path::new(file), 16).unwrap_or_default();
        if uid != 0 && value(APPARMOR).starts_with(b"1") {
            return Self::Chosen;
        }
        let filtered = !matches!(secure_computing_mode(), Ok(SecureComputingMode::Disabled));
        let forbidden = value(CLONE).starts_with(b"0") || value(MAXIMUM).starts_with(b"0");
        if filtered || forbidden {
            Self::Doubtful
        } else {
            Self::Free
        }
    }
}
