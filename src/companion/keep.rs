//! Keeps the mounts of a sandbox that runs in their places. A mount lies on a file, not on a name: where a program of the host
//! puts another file there (git its configuration, an editor a file of secrets), the kernel takes the mount away with the old
//! one. The companion hears of it from the directory and lays the mount again; what cannot be laid again ends the session.
//!
//! INVARIANT(mounts-verified): this comes after the fact, by some tenths of a millisecond. What it cannot do is said in the
//! book's page of residual risks.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::bind::Binder;
use super::reserve::Reservations;
use super::task::{Kept, Want};
use super::verify::{self, Wrong};
use crate::diagnostic::Diagnostic;
use crate::host::tree::plain;
use crate::path::HostPath;

/// How often the mounts are laid again for one event. Each round means that the host replaced something in the time of the
/// round before.
const ROUNDS: usize = 100;
/// How much is read of the kernel's events at once.
const EVENTS: usize = 64 * 1024;
/// How often the mounts are looked at where the kernel gives no events, in milliseconds: it lets a user have so many only.
pub(super) const EVERY: i64 = 50;

/// What keeps the mounts of one sandbox.
#[derive(Debug)]
pub(super) struct Keeper {
    kept: Vec<Kept>,
    watch: Option<Watch>,
    inside: Option<(OwnedFd, Option<Binder>)>,
}

impl Keeper {
    /// Begins to listen, before the mounts are compared: nothing is missed.
    pub(super) fn new(kept: Vec<Kept>) -> Self {
        let watch = if kept.is_empty() { None } else { Watch::new(&kept).ok() };
        Self {
            kept,
            watch,
            inside: None,
        }
    }

    /// Whether there are links, which bubblewrap cannot mount on.
    pub(super) fn has_links(&self) -> bool {
        self.kept.iter().any(|kept| kept.check.want == Want::Link)
    }

    /// Meets the sandbox, and mounts what bubblewrap did not.
    ///
    /// # Errors
    /// What cannot be mounted: the sandbox must not start.
    pub(super) fn meet(&mut self, pid: i32, root: OwnedFd) -> Result<(), Diagnostic> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let mut binder = Binder::start(pid, &self.kept);
        for (index, Kept { check, place }) in self.kept.iter().enumerate() {
            if verify::one(&root, check) != Err(Wrong::NotMounted) {
                continue;
            }
            let bound = match &mut binder {
                Ok(binder) => binder.bind(index),
                Err(error) => Err(io::Error::from(error.kind())),
            };
            match bound {
                // Gone at this very moment: if it comes back, that is an event.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                bound => bound.map_err(|error| unable(&check.want, place, &error))?,
            }
        }
        self.inside = Some((root, binder.ok()));
        Ok(())
    }

    /// What becomes readable when something happened. `None` where the kernel does not tell: then it is looked at
    /// [`EVERY`] so often.
    pub(super) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(|watch| watch.events.as_fd())
    }

    /// Whether there is something to keep, and no events to wait for.
    pub(super) fn is_blind(&self) -> bool {
        self.watch.is_none() && !self.kept.is_empty()
    }

    /// Looks at what happened, and lays again what is missing.
    ///
    /// # Errors
    /// What cannot be laid again: a sentence. The session must end.
    pub(super) fn look(&mut self, reservations: &mut Reservations) -> Result<(), String> {
        let Some((root, binder)) = &mut self.inside else {
            return Ok(());
        };
        let all: Vec<usize> = (0..self.kept.len()).collect();
        let touched = self.watch.as_ref().map_or_else(|| all.clone(), Watch::touched);
        if touched.is_empty() {
            return Ok(());
        }
        // What was told first: between the replacement and the mount every moment counts.
        restore(&self.kept, &touched, root, binder.as_mut())?;
        reservations.renew();
        if let Some(watch) = &mut self.watch {
            watch.renew(&self.kept).map_err(|error| {
                format!(
                    "what replaces protected files cannot be watched any more ({})",
                    plain(&error.into())
                )
            })?;
        }
        // Then what lies below it.
        restore(&self.kept, &all, root, binder.as_mut())
    }
}

fn unable(want: &Want, place: &HostPath, error: &io::Error) -> Diagnostic {
    let error = plain(error);
    if *want == Want::Link {
        return Diagnostic::new(
            "agent-config",
            format!("`{place}` is a symbolic link, and this system does not let it be kept in its place: {error}"),
        )
        .hint(format!(
            "put the file itself there, or let it be replaced: mount::open(\"{place}\", \"why\")"
        ));
    }
    Diagnostic::new("mounts-verified", format!("`{place}` cannot be mounted: {error}")).hint("start again")
}

/// Lays those of these mounts again that are missing, until none is.
fn restore(kept: &[Kept], which: &[usize], root: &OwnedFd, mut binder: Option<&mut Binder>) -> Result<(), String> {
    for _ in 0..ROUNDS {
        let mut missing = false;
        for (index, Kept { check, .. }) in which.iter().filter_map(|index| Some((*index, kept.get(*index)?))) {
            let wrong = match verify::one(root, check) {
                // What is gone shows nothing and can be written by nobody; if it comes back, that is another event.
                Ok(()) | Err(Wrong::Unreachable(Errno::NOENT | Errno::NOTDIR)) => continue,
                Err(wrong) => wrong,
            };
            missing = true;
            let bound = match (wrong, &mut binder) {
                (Wrong::NotMounted, Some(binder)) => binder.bind(index),
                _ => Err(Errno::PERM.into()),
            };
            match bound {
                Err(error) if Errno::from_io_error(&error) != Some(Errno::NOENT) => {
                    return Err(format!("`{}` was replaced on the host and {wrong}", check.at));
                }
                // Gone again: the next round sees what is there then.
                _ => {}
            }
        }
        if !missing {
            return Ok(());
        }
    }
    Err("protected files are replaced on the host without pause".into())
}

/// The kernel's word on what is put into, or taken out of, the directories that hold the mounts' places.
#[derive(Debug)]
struct Watch {
    events: OwnedFd,
    /// For each watch and name the mounts there.
    places: HashMap<i32, Vec<(OsString, usize)>>,
}

impl Watch {
    fn new(kept: &[Kept]) -> Result<Self, Errno> {
        let mut watch = Self {
            events: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            places: HashMap::new(),
        };
        watch.renew(kept)?;
        Ok(watch)
    }

    /// Watches the directories that are there now: one that was replaced is another.
    fn renew(&mut self, kept: &[Kept]) -> Result<(), Errno> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        self.places.clear();
        let mut known: HashMap<HostPath, Option<i32>> = HashMap::new();
        for (index, Kept { place, .. }) in kept.iter().enumerate() {
            let (Some(parent), Some(name)) = (place.parent(), place.name()) else {
                continue;
            };
            let watch = match known.get(&parent) {
                Some(watch) => *watch,
                None => {
                    let watch = match inotify::add_watch(&self.events, parent.as_path(), flags) {
                        Ok(watch) => Some(watch),
                        Err(Errno::NOENT | Errno::NOTDIR) => None,
                        Err(error) => return Err(error),
                    };
                    known.insert(parent, watch);
                    watch
                }
            };
            if let Some(watch) = watch {
                self.places.entry(watch).or_default().push((name.to_os_string(), index));
            }
        }
        Ok(())
    }

    /// The mounts at the places where something happened, parents before children; all of them where events were lost.
    fn touched(&self) -> Vec<usize> {
        let mut buffer = vec![MaybeUninit::uninit(); EVENTS];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        let mut touched = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                        touched.extend(self.places.values().flatten().map(|(_, index)| *index));
                    }
                    let name = OsStr::from_bytes(event.file_name().map_or(b"".as_slice(), |name| name.to_bytes()));
                    let places = self.places.get(&event.wd()).into_iter().flatten();
                    touched.extend(places.filter(|(other, _)| other == name).map(|(_, index)| *index));
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }
}
