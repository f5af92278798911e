//! The companion's own life: from the reservations to the end of the session.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::keep::{self, Keeper};
use super::reserve::Reservations;
use super::task::{Task, Want};
use super::{Ends, KNOCK, YES, holders, info, verify};
use crate::diagnostic::{Diagnostic, Refusal};
use crate::host::tree::Tree;
use crate::{leftover, output, prepare, sys};

/// The longest answer of `--info-fd` that is read.
const INFO_MAX: usize = 4096;

/// Runs the companion; its exit code is nobody's business.
pub(super) fn companion(task: Task, ends: Ends) -> i32 {
    let Ends {
        mut gate,
        other,
        info,
        launcher,
    } = ends;
    // In no directory that someone may want to unmount.
    let _ = rustix::process::chdir("/");
    // Of its own session, and deaf to what ends terminals' processes: it ends with the sandbox, and not before.
    if sys::detach(&[gate.as_raw_fd(), info.as_raw_fd(), launcher.as_raw_fd()]).is_err() {
        return 1;
    }
    let mut session = Session {
        keeper: Keeper::new(task.kept.clone()),
        task,
        launcher,
        lost: None,
        first: None,
    };
    let mut reservations = match Reservations::make(&session.task.records, &session.task.reserved) {
        Ok(reservations) => reservations,
        Err(why) => {
            // The first byte is not the one that says yes.
            let _ = gate.write_all(format!("!{why}").as_bytes());
            return 1;
        }
    };
    session.know(&reservations);
    if gate.write_all(&[YES]).is_ok() {
        // While bubblewrap makes the sandbox, before anything runs in it.
        let before = leftover::look(&Tree::real(), &session.task.places);
        session.open_gate(&mut gate, info);
        // Whoever still waits there reads the end of it, and starts nothing.
        let _ = gate.shutdown(Shutdown::Write);
        session.wait(&mut reservations);
        if session.first.is_none() {
            holders::end(&gate.into(), other);
        }
        let places = &session.task.places;
        let text = leftover::report::after(&Tree::real(), places, &before);
        let _ = prepare::report(&places.report, text.as_bytes());
    }
    reservations.release();
    0
}

struct Session {
    task: Task,
    launcher: OwnedFd,
    keeper: Keeper,
    /// What is not protected any more: the session ends.
    lost: Option<Diagnostic>,
    /// The sandbox's first process.
    first: Option<(i32, OwnedFd)>,
}

impl Session {
    /// What was reserved has an identity only now.
    fn know(&mut self, reservations: &Reservations) {
        for check in &mut self.task.checks {
            if let Want::Bind { source, identity, .. } = &mut check.want
                && let Some(made) = reservations.identity(source)
            {
                *identity = Some(made);
            }
        }
    }

    /// Learns of the sandbox, waits for the knock, and answers it. No answer is a refusal.
    fn open_gate(&mut self, gate: &mut UnixStream, info: OwnedFd) {
        let mut text = Vec::new();
        let mut info = File::from(info);
        // Up to the closing brace: the other end stays open in the sandbox for a while, so the end is not waited for.
        let mut part = [0; 512];
        while text.len() < INFO_MAX && !text.contains(&b'}') && self.ready(&info) {
            match info.read(&mut part) {
                Ok(length) if length > 0 => text.extend_from_slice(part.get(..length).unwrap_or_default()),
                _ => break,
            }
        }
        let mut byte = [0];
        let pid = info::child_pid(&text);
        self.first = pid.and_then(|pid| {
            let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            Some((pid, handle))
        });
        let Some((pid, _)) = &self.first else { return };
        let pid = *pid;
        if !self.ready(gate) || !matches!(gate.read(&mut byte), Ok(1)) || byte != [KNOCK] {
            return;
        }
        // Where nothing is missing, the program inside does not wait for what may be needed later.
        let missing = self.keeper.has_links() || !self.task.later.is_empty();
        let ready = if missing {
            self.meet(pid).and_then(|()| self.compare(pid))
        } else {
            self.compare(pid)
        };
        match ready {
            // Where the launcher was killed there is nothing left to start, and nothing to tell.
            _ if ended(&self.launcher) => {}
            Ok(()) => {
                let _ = gate.write_all(&[YES]);
                if !missing {
                    self.lost = self.meet(pid).err();
                }
            }
            Err(error) => output::error(&Refusal::one(error).to_string()),
        }
    }

    fn meet(&mut self, pid: i32) -> Result<(), Diagnostic> {
        match verify::root(pid) {
            Ok(root) => self.keeper.meet(pid, root),
            // A process without a root is about to end.
            Err(_) => {
                if let Some((_, first)) = &self.first {
                    let _ = pidfd_send_signal(first, Signal::KILL);
                }
                Ok(())
            }
        }
    }

    fn compare(&self, pid: i32) -> Result<(), Diagnostic> {
        verify::root(pid)
            .and_then(|root| verify::all(&root, &self.task.checks))
            .map_err(|why| refusal(&why))
    }

    /// Waits for something to read; false where the launcher ended first.
    fn ready(&self, source: &impl AsFd) -> bool {
        let first = self.first.as_ref().map(|(_, handle)| handle.as_fd());
        !matches!(
            wait_any(&[Some(source.as_fd()), Some(self.launcher.as_fd()), first], None),
            Ok([false, ..]) | Err(_)
        )
    }

    /// Waits for the end of the sandbox, and keeps its mounts in their places until then. Where its launcher ends first, it is
    /// ended: bubblewrap's own `--die-with-parent` comes too late in the first milliseconds of a sandbox's life.
    fn wait(&mut self, reservations: &mut Reservations) {
        let Some((_, first)) = &self.first else {
            let _ = wait_any(&[Some(self.launcher.as_fd()), None, None], None);
            return;
        };
        let every = self.keeper.is_blind().then_some(EVERY);
        while self.lost.is_none()
            && let Ok([false, false, _]) = wait_any(
                &[Some(first.as_fd()), Some(self.launcher.as_fd()), self.keeper.events()],
                every.as_ref(),
            )
        {
            if let Err(why) = self.keeper.look(reservations) {
                self.lost = Some(lost(&why));
            }
        }
        let alive = !ended(first);
        let _ = pidfd_send_signal(first, Signal::KILL);
        let _ = wait_any(&[Some(first.as_fd()), None, None], None);
        if let Some(error) = self.lost.take().filter(|_| alive) {
            output::error(&Refusal::one(error).to_string());
        }
    }
}

/// How often the mounts are looked at where the kernel gives no events.
const EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: keep::EVERY * 1_000_000,
};

fn refusal(why: &str) -> Diagnostic {
    Diagnostic::new("mounts-verified", format!("{why}; it was exchanged while the sandbox started")).hint(
        "nothing ran in it; start again, and if that fails too, look for what renames files there: another sandbox on this project, or a program of yours",
    )
}

fn lost(why: &str) -> Diagnostic {
    Diagnostic::new("mounts-verified", format!("{why}; the session was ended"))
        .hint("go on with `claudebox --continue`; replace protected files between sessions")
}

fn ended(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
}

/// Waits until one of them is readable or hung up, or the time is over, and tells which are.
fn wait_any(fds: &[Option<BorrowedFd<'_>>; 3], patience: Option<&Timespec>) -> io::Result<[bool; 3]> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    loop {
        match poll(&mut polled, patience) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut happened = polled.iter().map(|fd| !fd.revents().is_empty());
    let mut answer = [false; 3];
    for (slot, fd) in answer.iter_mut().zip(fds) {
        *slot = fd.is_some() && happened.next().unwrap_or(false);
    }
    Ok(answer)
}
