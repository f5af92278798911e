//! Processes beside the sandbox. Each is this very binary under another name, started by the launcher with an empty
//! environment, in a session of its own (so that Ctrl+C at the terminal is not for it), and ended by the kernel together with
//! the launcher's process, which becomes bubblewrap.

use std::ffi::{OsStr, OsString};

use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

/// The name under which the launcher starts this binary as a companion.
pub const NAME: &str = "claudebox-companion";

/// What a companion does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Becomes the guard before the Nix daemon.
    Nix,
}

impl Role {
    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nix => "nix",
        }
    }
}

/// Whether the program was started as a companion.
#[must_use]
pub fn is_companion(program: Option<&OsString>) -> bool {
    program.is_some_and(|program| program == NAME)
}

/// Is a companion. `words` are the role, the launcher's process id, and the role's own words.
pub fn run(words: &[OsString]) -> u8 {
    let [role, launcher, rest @ ..] = words else {
        return crate::EXIT_USAGE;
    };
    // Nothing outlives the launcher. Where it ended before this call, it is no longer the parent.
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    if bound.is_err() || !is_parent(launcher) {
        return 0;
    }
    let _ = setsid();
    match role.to_str() {
        Some("nix") => crate::launch::nix::become_guard(rest),
        _ => crate::EXIT_USAGE,
    }
}

fn is_parent(launcher: &OsStr) -> bool {
    let parent = getppid().map(|parent| parent.as_raw_nonzero().get().to_string());
    parent.is_some_and(|parent| launcher == parent.as_str())
}
