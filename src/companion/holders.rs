//! Ends a sandbox that its launcher left half made. bubblewrap's child waits for its parent without an end where the
//! parent was killed before it had told anyone of the child: it is found by the gate, which it holds.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Dir, Mode, OFlags, open, readlinkat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How often the processes are looked through: the child of a process that is just being made may not be listed yet.
const ROUNDS: usize = 100;

/// Ends every process that holds the other end of the gate, whose inode this is. Returns when nobody does.
pub(super) fn end(gate: &OwnedFd, inode: u64) {
    for _ in 0..ROUNDS {
        if hung_up(gate) {
            return;
        }
        for pid in processes() {
            // Held before it is looked at, so that the number cannot become another process.
            let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
                continue;
            };
            if holds(pid, inode) {
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
    }
}

/// Whether the other end is closed everywhere; waits a little for it.
fn hung_up(gate: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(gate, PollFlags::empty())];
    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: 5_000_000,
    };
    poll(&mut fds, Some(&patience)).is_ok_and(|number| number > 0)
}

fn names(path: &str) -> Vec<Vec<u8>> {
    let Ok(directory) = open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    ) else {
        return Vec::new();
    };
    let entries = Dir::read_from(&directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_bytes().to_vec()).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    names("/proc")
        .into_iter()
        .filter_map(|name| std::str::from_utf8(&name).ok()?.parse().ok())
}

fn holds(pid: i32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let directory = format!("/proc/{pid}/fd");
    names(&directory).iter().any(|name| {
        let path = std::path::Path::new(&directory).join(std::ffi::OsStr::from_bytes(name));
        readlinkat(CWD, path, Vec::new()).is_ok_and(|target| target.as_bytes() == wanted.as_bytes())
    })
}
