//! Removes instances: first away under a name in the trash, by one rename, then piece by piece. Killed at any moment, what is
//! there is a whole instance or rubbish in the trash, which the next `--gc` clears away. Two at once share the work.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, RenameFlags, ResolveFlags, mkdirat, openat, openat2, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::host::tree::plain;
use crate::path::printable;
use crate::sys::{self, Lock};

use super::survey::{Class, IN_USE, Removable, Survey, classify};
use super::{DIRECTORY, TRASH};

/// What became of an instance that was to be removed.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is gone.
    Removed,
    /// It was kept after all: why.
    Kept(String),
    /// It could not be removed: why.
    Failed(String),
}

/// Removes what the survey lists, and what an earlier removal left: one outcome for each, and one more for the rest of the trash
/// where that could not be cleared.
///
/// # Errors
/// There can be no trash.
pub fn all(instances: &OwnedFd, survey: &Survey) -> Result<Vec<Outcome>, Errno> {
    match mkdirat(instances, TRASH, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let trash = openat(instances, TRASH, DIRECTORY, Mode::empty())?;
    let mut outcomes: Vec<Outcome> = survey
        .remove
        .iter()
        .map(|removable| one(instances, &trash, removable))
        .collect();
    if let Err(why) = clear(&trash) {
        outcomes.push(Outcome::Failed(why));
    }
    Ok(outcomes)
}

/// Moves one instance into the trash, if all is still as it was when the user was asked.
fn one(instances: &OwnedFd, trash: &OwnedFd, removable: &Removable) -> Outcome {
    let name = removable.name.as_os_str();
    let failed = |what: &str, error: Errno| Outcome::Failed(format!("cannot {what}: {}", plain(&error.into())));
    let directory = match openat(instances, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        // Another `--gc` was faster.
        Err(Errno::NOENT) => return Outcome::Removed,
        Err(error) => return failed("open it", error),
    };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock = match openat(&directory, "lock", flags, Mode::RUSR | Mode::WUSR) {
        Ok(lock) => lock,
        Err(error) => return failed("open its lock", error),
    };
    match sys::lock_now(&lock, Lock::Alone) {
        Ok(true) => {}
        Ok(false) => return Outcome::Kept(IN_USE.into()),
        Err(error) => return Outcome::Failed(format!("cannot lock it: {}", plain(&error))),
    }
    // With the lock in hand: nobody starts in it from here on, so what is seen now holds until the rename.
    match classify(instances, name).0 {
        Class::Gone(record) if removable.record.as_ref().is_some_and(|known| *known == record) => {}
        Class::Unfinished if removable.record.is_none() => {}
        Class::Vanished => return Outcome::Removed,
        _ => return Outcome::Kept("it is not any more what it was when the list was made".into()),
    }
    match away(instances, name, trash, name) {
        Ok(()) => Outcome::Removed,
        Err(error) => failed("move it into the trash", error),
    }
}

/// Moves something into the trash under a name that is free there.
fn away(from: &OwnedFd, name: &OsStr, trash: &OwnedFd, stem: &OsStr) -> Result<(), Errno> {
    for number in 0_u64.. {
        let mut target = stem.to_os_string();
        target.push(format!(".{}-{number}", std::process::id()));
        match renameat_with(from, name, trash, &target, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
    Err(Errno::EXIST)
}

/// Removes all that is in the trash. A directory in a directory is moved up into the trash itself and has its turn there, so
/// that no depth that an agent made needs memory, descriptors or a long path.
fn clear(trash: &OwnedFd) -> Result<(), String> {
    let mut work = Work::default();
    loop {
        let mut progress = false;
        let mut left = None;
        let entries = Dir::read_from(trash).map_err(|error| plain(&error.into()))?;
        for entry in entries {
            let entry = entry.map_err(|error| plain(&error.into()))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            match work.remove(trash, name) {
                Ok(()) => progress = true,
                Err(error) => left = Some((name.to_os_string(), error)),
            }
        }
        match (progress, left) {
            (false, None) => return Ok(()),
            (false, Some((name, error))) => return Err(stuck(&name, error)),
            (true, _) => {}
        }
    }
}

fn stuck(name: &OsStr, error: Errno) -> String {
    let why = match error {
        Errno::XDEV | Errno::BUSY => "something is mounted in it".into(),
        error => plain(&error.into()),
    };
    format!("cannot remove `{TRASH}/{}`: {why}", printable(name))
}

#[derive(Default)]
struct Work {
    moved: u64,
}

impl Work {
    /// Removes one entry of the trash. What it holds of directories is in the trash itself afterwards.
    fn remove(&mut self, trash: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        match unlinkat(trash, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        match unlinkat(trash, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let directory = match open(trash, name) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut first = None;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let inner = OsStr::from_bytes(entry.file_name().to_bytes());
            if inner == "." || inner == ".." {
                continue;
            }
            if let Err(error) = self.inner(trash, &directory, inner) {
                first = first.or(Some(error));
            }
        }
        match unlinkat(trash, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Entries that came while we read: the next round has them.
            Err(Errno::NOTEMPTY | Errno::EXIST) if first.is_none() => Ok(()),
            Err(error) => Err(first.unwrap_or(error)),
        }
    }

    fn inner(&mut self, trash: &OwnedFd, directory: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        loop {
            let target = OsString::from(format!("{}-{}", std::process::id(), self.moved));
            self.moved += 1;
            match renameat_with(directory, name, trash, &target, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                // A directory that must not be written cannot change its parent.
                Err(Errno::ACCESS) => {
                    open(directory, name)?;
                    return match renameat_with(directory, name, trash, &target, RenameFlags::NOREPLACE) {
                        Err(Errno::NOENT) => Ok(()),
                        other => other,
                    };
                }
                Err(Errno::NOENT) => return Ok(()),
                other => return other,
            }
        }
    }
}

/// Opens a directory of the trash so that it can be emptied, whatever mode an agent gave it; not where something is mounted.
fn open(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let own = openat2(
        parent,
        name,
        DIRECTORY.difference(OFlags::RDONLY) | OFlags::PATH,
        Mode::empty(),
        resolve,
    )?;
    let itself = format!("/proc/self/fd/{}", own.as_raw_fd());
    let status = rustix::fs::fstat(&own)?;
    if status.st_mode & 0o700 != 0o700 {
        std::fs::set_permissions(itself, std::fs::Permissions::from_mode(0o700))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    openat(&own, ".", DIRECTORY, Mode::empty())
}
