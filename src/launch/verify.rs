//! Starts what `--verify` needs: claudebox once more with canaries about it, a launch in a copy of this process, and the
//! process that removes the canary in the file system.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
    waitpid,
};

use crate::diagnostic::{Diagnostic, Refusal};
use crate::host::tree::plain;
use crate::output;
use crate::sys;
use crate::verify::Ready;
use crate::verify::canary::{VARIABLE, canary, place, token};

/// The name under which claudebox runs with canaries about it; a canary follows.
const NAME: &str = "claudebox-verify ";

/// How long the sandbox may take to start, the probe to answer, and both to end. It takes a part of a second; a machine
/// under heavy load may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after the end of a sandbox the kernel may take to end the last of its processes. One that outlives it
/// tries for longer.
const LAST: Duration = Duration::from_secs(1);

/// Whether the program was started with canaries about it.
#[must_use]
pub fn is_planted(program: Option<&OsString>) -> bool {
    program.is_some_and(|program| program.as_bytes().starts_with(NAME.as_bytes()))
}

/// Becomes claudebox with the same words, and with canaries in its environment and on its command line: what a launch does
/// with those of its caller is what is verified. Returns only where that failed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts a process on the host"
)]
pub fn again(words: &[OsString]) -> Diagnostic {
    let token = token();
    let error = std::process::Command::new("/proc/self/exe")
        .arg0(format!("{NAME}{}", canary(&token, place::COMMAND_LINE)))
        .args(words)
        .env(VARIABLE, canary(&token, place::ENVIRONMENT))
        .exec();
    super::failed("start claudebox with canaries", &error)
}

/// A launch whose standard output is a socket of ours.
#[derive(Debug)]
pub struct Watched {
    socket: UnixStream,
    pid: Pid,
    process: OwnedFd,
}

/// Starts a launch in a copy of this process, where it is the very same: [`super::exec`].
///
/// # Errors
/// The kernel refused the copy. What the launch itself refuses, it says on standard error.
pub fn start(ready: Ready) -> Result<Watched, Diagnostic> {
    let started = || -> io::Result<Watched> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let pid = sys::forked(move || launch(ready, &theirs))?;
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Watched {
            socket,
            pid,
            process: pidfd_open(pid, PidfdFlags::empty())?,
        })
    };
    started().map_err(|error| super::failed("start the sandbox", &error))
}

/// The copy's own life, which ends with this process.
fn launch(ready: Ready, output: &UnixStream) -> i32 {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let streams = open("/dev/null", OFlags::RDWR, Mode::empty())
        .and_then(|null| rustix::stdio::dup2_stdin(&null))
        .and_then(|()| rustix::stdio::dup2_stdout(output));
    let error = match streams {
        Ok(()) => super::exec(ready.bwrap, ready.beside, &ready.invocation, &ready.held),
        Err(error) => super::failed("set the standard streams", &error.into()),
    };
    output::error(&Refusal::one(error).to_string());
    crate::EXIT_REFUSED.into()
}

impl Watched {
    /// The socket that is its standard output.
    #[must_use]
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// The launcher's process, and bubblewrap after it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for the end of bubblewrap.
    ///
    /// # Errors
    /// It did not end, and was ended.
    pub fn wait(&self) -> io::Result<()> {
        let ended = readable(&self.process, PATIENCE);
        if !ended {
            pidfd_send_signal(&self.process, Signal::KILL)?;
        }
        waitpid(Some(self.pid), WaitOptions::empty())?;
        if ended {
            Ok(())
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    /// Whether a process of the sandbox is there after its end: one that still holds the socket.
    #[must_use]
    pub fn is_outlived(&self) -> bool {
        !readable(&self.socket, LAST)
    }
}

/// Whether there is something to read, or the end of it, within this time.
fn readable(source: &impl AsFd, patience: Duration) -> bool {
    let mut fds = [PollFd::new(source, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    loop {
        match poll(&mut fds, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            answered => return matches!(answered, Ok(1..)),
        }
    }
}

/// Runs `clean` when this process ends, however it ends, in a process of its own.
///
/// # Errors
/// The kernel refused it.
pub fn at_the_end(clean: impl FnOnce()) -> io::Result<()> {
    let us = pidfd_open(getpid(), PidfdFlags::empty())?;
    sys::forked(move || {
        if let Err(error) = sys::detach(&[us.as_raw_fd()]) {
            output::error(&format!("{}\n", plain(&error)));
        }
        let mut fds = [PollFd::new(&us, PollFlags::IN)];
        while matches!(poll(&mut fds, None), Err(rustix::io::Errno::INTR)) {}
        clean();
        0
    })
    .map(drop)
}
