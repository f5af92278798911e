//! The companion: a process beside the sandbox, for the time of one session. It holds the names that must stay absent,
//! compares the finished mounts with what was checked before anything of the user's runs in them, and clears up when the
//! session ends, however it ends.
//!
//! It is a copy of the launcher made by fork, in a session of its own, before the launcher becomes bubblewrap; so no
//! process stands between the terminal and Claude Code. The order of a start:
//!
//! 1. the companion makes the reservations and says that it is ready;
//! 2. the launcher becomes bubblewrap, which tells the sandbox's first process through `--info-fd`;
//! 3. our own first program inside ([`crate::init`]) knocks at the gate and waits;
//! 4. the companion compares the mounts, and opens the gate or refuses;
//! 5. while the sandbox runs, it lays a mount again where the host replaced the file below it.
//!
//! The gate is a pair of sockets: where the companion is gone the program inside reads the end of it and starts nothing.

mod bind;
mod holders;
mod info;
mod keep;
mod reserve;
mod run;
mod task;
mod verify;

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use crate::diagnostic::Diagnostic;
use crate::host::tree::plain;
use crate::sys;

pub use task::Task;

/// What the companion says through the gate when it is ready, and when the program inside may go on.
const YES: u8 = b'y';
/// What the program inside says when it has come to the gate.
const KNOCK: u8 = b'k';

/// The launcher's ends of what connects it with its companion. They have to stay open until it is bubblewrap.
#[derive(Debug)]
pub struct Companion {
    gate: UnixStream,
    info: OwnedFd,
}

/// The companion's ends.
struct Ends {
    gate: UnixStream,
    /// The inode of the other end, by which whoever holds it is known.
    other: u64,
    info: OwnedFd,
    /// The launcher, and bubblewrap after it.
    launcher: OwnedFd,
}

impl Companion {
    /// Starts the companion. Whoever starts it waits for it with [`Self::wait`] before bubblewrap is started.
    ///
    /// # Errors
    /// The kernel refused what it takes.
    pub fn start(task: Task) -> Result<Self, Diagnostic> {
        let failed = |error: io::Error| {
            Diagnostic::new("launch", format!("cannot start the companion: {}", plain(&error)))
                .hint("nothing was started")
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let (info_read, info_write) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let launcher = pidfd_open(getpid(), PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        let ends = Ends {
            gate: theirs,
            other: rustix::fs::fstat(&ours).map_err(|error| failed(error.into()))?.st_ino,
            info: info_read,
            launcher,
        };
        // INVARIANT(no-inherited-fds): the child closes every other descriptor, and gets none of those for bubblewrap,
        // which are opened later.
        sys::forked(move || run::companion(task, ends)).map_err(failed)?;
        Ok(Self {
            gate: ours,
            info: info_write,
        })
    }

    /// Waits until the companion is ready.
    ///
    /// # Errors
    /// A name could not be reserved, or the companion ended.
    pub fn wait(&self) -> Result<(), Diagnostic> {
        let mut gate = &self.gate;
        let mut answer = [0];
        if matches!(gate.read(&mut answer), Ok(1)) && answer == [YES] {
            return Ok(());
        }
        // What is wrong follows as text.
        let mut text = String::new();
        let _ = gate.read_to_string(&mut text);
        let text = if text.is_empty() {
            "the companion ended\nstart again"
        } else {
            &text
        };
        let (message, hint) = text.split_once('\n').unwrap_or((text, "start again"));
        Err(Diagnostic::new("git-exec-surface", message).hint(hint))
    }

    /// The options for bubblewrap, and the word for the program inside. From here on the descriptors pass an exec.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn hand_over(&self) -> io::Result<([String; 2], String)> {
        fcntl_setfd(&self.gate, FdFlags::empty())?;
        fcntl_setfd(&self.info, FdFlags::empty())?;
        let options = ["--info-fd".to_string(), self.info.as_raw_fd().to_string()];
        Ok((options, format!("{GATE}{}", self.gate.as_raw_fd())))
    }
}

/// What the word for the program inside begins with.
const GATE: &str = "--gate=";

/// Waits at the gate, if the first word names one; the words after it are the command. `None` where the companion refused
/// or is gone: nothing may run then.
#[must_use]
pub fn pass_gate(words: &[std::ffi::OsString]) -> Option<&[std::ffi::OsString]> {
    use std::io::Write;
    let Some((first, rest)) = words.split_first() else {
        return Some(words);
    };
    let Some(number) = first.to_str().and_then(|word| word.strip_prefix(GATE)) else {
        return Some(words);
    };
    let mut gate = UnixStream::from(sys::inherited(number.parse().ok()?)?);
    gate.write_all(&[KNOCK]).ok()?;
    let mut answer = [0];
    gate.read_exact(&mut answer).ok()?;
    (answer == [YES]).then_some(rest)
}
