//! Names that must stay absent are taken for the time of a session by a file or directory that changes nothing, and given
//! back by the last session that needs them. Each has a record beside the state: which file it is, so that nothing of the
//! user's is ever removed, and that a session after a crash finds what was left.
//!
//! A record's lock is shared by the sessions that use the name. Whoever gets it alone may make or remove.

mod place;
mod record;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, ftruncate, mkdirat, open, statat, unlinkat,
};
use rustix::io::Errno;

use crate::host::git::Reservation;
use crate::host::tree::plain;
use crate::invariants::plan::Reserved;
use crate::path::HostPath;

use place::Place;
use record::{Made, Noted};

/// How often a record that vanished under our hands is made anew: each time, another session has just ended.
const ATTEMPTS: usize = 1000;

/// What a session holds.
#[derive(Debug)]
pub(super) struct Reservations {
    records: HostPath,
    held: Vec<Held>,
}

/// One reservation that a session holds a share of.
#[derive(Debug)]
struct Held {
    reserved: Reserved,
    lock: OwnedFd,
    /// Device and inode of what is there.
    identity: (u64, u64),
}

impl Reservations {
    /// Takes all of them.
    ///
    /// # Errors
    /// One cannot be taken: what is wrong, and after a line break what to do.
    pub(super) fn make(records: &HostPath, reserved: &[Reserved]) -> Result<Self, String> {
        let mut all = Self {
            records: records.clone(),
            held: Vec::new(),
        };
        if !reserved.is_empty() {
            match mkdirat(CWD, records.as_path(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    let error = plainly(error);
                    return Err(format!(
                        "cannot make `{records}`: {error}\ncheck the free space and the owner"
                    ));
                }
            }
        }
        for reserved in reserved {
            match take(reserved) {
                Ok(held) => all.held.push(held),
                Err(why) => {
                    all.release();
                    return Err(format!("cannot keep `{}` from being made: {why}", reserved.path));
                }
            }
        }
        Ok(all)
    }

    /// The identity of what was reserved at this path.
    pub(super) fn identity(&self, path: &HostPath) -> Option<(u64, u64)> {
        self.held
            .iter()
            .find(|held| held.reserved.path == *path)
            .map(|held| held.identity)
    }

    /// Makes again what someone on the host removed. Where that is not possible, because the directory is gone too or another
    /// session was faster, there is nothing to hold or it is held.
    pub(super) fn renew(&mut self) {
        for held in &mut self.held {
            let absent = Place::of(&held.reserved.path).is_ok_and(|place| place.status().is_none());
            if absent && let Ok(identity) = reserve(&held.reserved, &held.lock) {
                held.identity = identity;
            }
        }
    }

    /// Gives all of them back, the children first, and clears up what sessions left that were killed with their companion.
    pub(super) fn release(self) {
        for held in self.held.iter().rev() {
            give_back(&held.lock, &held.reserved.record);
        }
        let Ok(directory) = open(
            self.records.as_path(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        ) else {
            return;
        };
        for entry in Dir::read_from(&directory).into_iter().flatten().flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let Ok(record) = self.records.join(name) else { continue };
            if entry.file_type() == FileType::RegularFile
                && let Ok(lock) = open(
                    record.as_path(),
                    OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )
            {
                give_back(&lock, &record);
            }
        }
    }
}

/// An error in the words of the other messages.
fn plainly(error: Errno) -> String {
    plain(&error.into())
}

/// Removes a reservation and its record, if no other session holds it.
fn give_back(lock: &OwnedFd, record: &HostPath) {
    // Where another session holds a share this loses ours, so that the other one will be the last.
    if flock(lock, FlockOperation::NonBlockingLockExclusive).is_err() || !names(record, lock) {
        return;
    }
    if let Some(noted) = Noted::read(lock) {
        noted.remove();
    }
    let _ = unlinkat(CWD, record.as_path(), AtFlags::empty());
}

fn take(reserved: &Reserved) -> Result<Held, String> {
    for _ in 0..ATTEMPTS {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = open(reserved.record.as_path(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(plainly)
            .map_err(|error| format!("`{}`: {error}\ncheck its owner", reserved.record))?;
        let alone = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !alone {
            flock(&lock, FlockOperation::LockShared)
                .map_err(plainly)
                .map_err(|error| format!("{error}\nstart again"))?;
        }
        if !names(&reserved.record, &lock) {
            continue;
        }
        let identity = reserve(reserved, &lock)?;
        if alone {
            // Another session may get the lock alone in between, and clear up: then it is all done again.
            flock(&lock, FlockOperation::LockShared)
                .map_err(plainly)
                .map_err(|error| format!("{error}\nstart again"))?;
        }
        let there = Place::of(&reserved.path).ok().and_then(|place| place.status());
        if names(&reserved.record, &lock) && there.is_some_and(|status| (status.st_dev, status.st_ino) == identity) {
            return Ok(Held {
                reserved: reserved.clone(),
                lock,
                identity,
            });
        }
    }
    Err("other sessions come and go too fast\nstart again".into())
}

/// Makes what reserves the name, or takes over what a session left. What is the user's own is used and never removed.
fn reserve(reserved: &Reserved, lock: &OwnedFd) -> Result<(u64, u64), String> {
    let place = Place::of(&reserved.path)?;
    let mut noted = Noted {
        path: reserved.path.clone(),
        kind: reserved.content,
        made: None,
    };
    if let Some(status) = place.status() {
        let ours = Noted::read(lock).is_some_and(|before| before.is(&place, &status));
        // Git makes no `commondir` with this content, so one without a record is a left-over too.
        let left = matches!(reserved.content, Reservation::Content(_)) && noted.fits(&place, &status);
        if ours || left {
            noted.made = Some(Made::of(&status));
            noted.write(lock)?;
        } else if matches!(reserved.content, Reservation::Content(_)) || !noted.has_kind(&status) {
            return Err("something else is there now\nstart again".into());
        } else {
            // Made by the user since the check: kept, and no business of ours.
            let _ = ftruncate(lock, 0);
        }
        return Ok((status.st_dev, status.st_ino));
    }
    // Noted before it is made: whoever is killed in between leaves a note, not a file that nobody knows.
    noted.write(lock)?;
    let status = place
        .make(reserved.content)
        .map_err(plainly)
        .map_err(|error| format!("{error}\ncheck the owner of the directory and the free space"))?;
    noted.made = Some(Made::of(&status));
    noted.write(lock)?;
    Ok((status.st_dev, status.st_ino))
}

/// Whether the record still is the file that is open here.
fn names(record: &HostPath, lock: &OwnedFd) -> bool {
    let there = statat(CWD, record.as_path(), AtFlags::SYMLINK_NOFOLLOW);
    match (there, fstat(lock)) {
        (Ok(there), Ok(here)) => (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino),
        _ => false,
    }
}
