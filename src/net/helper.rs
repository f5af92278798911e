//! Processes beside the sandbox that make its network, and the guard before the Nix daemon. Each is this very binary under another name, started by the launcher
//! with an empty environment, in a session of its own (so that Ctrl+C at the terminal is not for it), and ended by the kernel
//! together with the launcher's process, which becomes bubblewrap.

pub mod forward;

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt;

use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

use crate::net::{INTERFACE, SLIRP_OPTIONS};

/// The name under which the launcher starts this binary as a helper of the network.
pub const NAME: &str = "claudebox-network";

/// what a helper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Waits for one byte on standard input, then becomes slirp4netns, whose end is the end of that input.
    Slirp,
    /// Carries connections over from the listening sockets that come through standard input.
    Forward,
    /// Becomes the guard before the Nix daemon.
    NixGuard,
}

impl Role {
    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Slirp => "slirp",
            Self::Forward => "forward",
            Self::NixGuard => "nix-guard",
        }
    }
}

/// Whether the program was started as a helper of the network.
#[must_use]
pub fn is_helper(program: Option<&OsString>) -> bool {
    program.is_some_and(|program| program == NAME)
}

/// Is a helper. `words` are the role, the launcher's process id, and the role's own words.
pub fn run(words: &[OsString]) -> u8 {
    let [role, launcher, rest @ ..] = words else {
        return crate::EXIT_USAGE;
    };
    // INVARIANT(network): nothing outlives the launcher. Where it ended before this call, it is no longer the parent.
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    if bound.is_err() || !is_parent(launcher) {
        return 0;
    }
    let _ = setsid();
    match role.to_str() {
        Some("slirp") => slirp(rest),
        Some("forward") => forward::run(),
        Some("nix-guard") => crate::launch::nix::become_guard(rest),
        _ => crate::EXIT_USAGE,
    }
}

fn is_parent(launcher: &OsStr) -> bool {
    let parent = getppid().map(|parent| parent.as_raw_nonzero().get().to_string());
    parent.is_some_and(|parent| launcher == parent.as_str())
}

/// Stays in the host's namespaces until the launcher's own is ready, with its rules in place.
#[expect(clippy::disallowed_methods, reason = "becomes slirp4netns")]
fn slirp(words: &[OsString]) -> u8 {
    let [program, ready, launcher] = words else {
        return crate::EXIT_USAGE;
    };
    let mut go = [0];
    if !matches!(std::io::stdin().read(&mut go), Ok(1)) {
        return 0;
    }
    let mut option = OsString::from("--ready-fd=");
    option.push(ready);
    let error = std::process::Command::new(program)
        .args(SLIRP_OPTIONS)
        .arg(option)
        .arg("--exit-fd=0")
        .arg(launcher)
        .arg(INTERFACE)
        .exec();
    crate::output::error(&format!("{}\n", crate::host::tree::plain(&error)));
    crate::EXIT_CANNOT_RUN
}
