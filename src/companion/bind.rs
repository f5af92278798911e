//! Lays mounts again in a sandbox that runs. A copy of the companion enters the sandbox's user and mount namespaces for that,
//! since nobody comes back from there; it is in none of the sandbox's process namespaces, so nothing inside can see or reach
//! it. It ends with the companion.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::task::{Kept, Want};
use super::verify;
use crate::sys;
use crate::sys::mounts::{self, Empty, Namespaces};

/// The answer of a binder that did what it was asked.
const DONE: i32 = 0;

/// The companion's end.
#[derive(Debug)]
pub(super) struct Binder(UnixStream);

impl Binder {
    /// Starts one in the sandbox of this process.
    ///
    /// # Errors
    /// The kernel's answer: a security module may forbid to enter.
    pub(super) fn start(pid: i32, kept: &[Kept]) -> io::Result<Self> {
        let namespaces = Namespaces::of(pid)?;
        let (ours, theirs) = UnixStream::pair()?;
        let kept = kept.to_vec();
        sys::forked(move || i32::from(inside(&namespaces, &kept, theirs).is_err()))?;
        let mut binder = Self(ours);
        binder.answer()?;
        Ok(binder)
    }

    /// Lays one of the mounts again.
    ///
    /// # Errors
    /// The kernel's answer; ENOENT where the place is gone again.
    pub(super) fn bind(&mut self, index: usize) -> io::Result<()> {
        self.0.write_all(&index.to_ne_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<()> {
        let mut answer = [0; size_of::<i32>()];
        self.0.read_exact(&mut answer)?;
        match i32::from_ne_bytes(answer) {
            DONE => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The binder's life.
fn inside(namespaces: &Namespaces, kept: &[Kept], mut channel: UnixStream) -> io::Result<()> {
    let [mounts, users] = namespaces.numbers();
    sys::detach(&[mounts, users, channel.as_raw_fd()])?;
    let mut hand = match Hand::reach(namespaces) {
        Ok(hand) => hand,
        Err(error) => return tell(&mut channel, &Err(error)),
    };
    tell(&mut channel, &Ok(()))?;
    let mut index = [0; size_of::<usize>()];
    while channel.read_exact(&mut index).is_ok() {
        let done = kept
            .get(usize::from_ne_bytes(index))
            .map_or_else(|| Err(Errno::INVAL.into()), |kept| hand.bind(kept));
        tell(&mut channel, &done)?;
    }
    Ok(())
}

fn tell(channel: &mut UnixStream, done: &io::Result<()>) -> io::Result<()> {
    let answer = match done {
        Ok(()) => DONE,
        Err(error) => error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
    };
    channel.write_all(&answer.to_ne_bytes())
}

/// What the binder works with.
struct Hand {
    root: OwnedFd,
    /// What is laid where a mask is missing.
    empty: Empty,
}

impl Hand {
    /// Moves this process into the sandbox.
    fn reach(namespaces: &Namespaces) -> io::Result<Self> {
        namespaces.enter()?;
        let empty = Empty::make(namespaces)?;
        let root = openat(
            CWD,
            "/",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { root, empty })
    }

    fn bind(&mut self, Kept { check, .. }: &Kept) -> io::Result<()> {
        let place = verify::open(&self.root, &check.at)?;
        let is_link = FileType::from_raw_mode(fstat(&place)?.st_mode) == FileType::Symlink;
        let writable = match &check.want {
            Want::Bind { writable, .. } => *writable,
            _ => is_link,
        };
        let mask = match &check.want {
            // A mount keeps a link in its place, and is passed by whoever follows it.
            want if is_link && *want != Want::Link => return Err(Errno::LOOP.into()),
            Want::Bind { .. } | Want::Link => {
                let tree = mounts::copy(&place)?;
                if !writable {
                    mounts::close(&tree)?;
                }
                return mounts::lay(&tree, &place);
            }
            Want::EmptyFile => &mut self.empty.file,
            Want::EmptyDirectory => &mut self.empty.directory,
        };
        mounts::lay(&*mask, &place)?;
        // It lies there now, and the next is a copy of it.
        *mask = mounts::copy(&*mask)?;
        Ok(())
    }
}
