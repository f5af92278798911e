//! The record of a reservation: what was made where, so that what is removed later is that and nothing else.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat, ftruncate};

use crate::host::git::Reservation;
use crate::path::HostPath;

use super::place::Place;
use super::plainly;

/// The longest record: a path and its numbers.
const RECORD_MAX: usize = 8192;

/// What tells the file that was made from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    identity: (u64, u64),
    modified: (i64, u64),
}

impl Made {
    pub(super) fn of(status: &Stat) -> Self {
        Self {
            identity: (status.st_dev, status.st_ino),
            modified: (status.st_mtime, status.st_mtime_nsec),
        }
    }
}

/// A record: what was made where.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) path: HostPath,
    pub(super) kind: Reservation,
    /// `None` where the session was killed before it was noted.
    pub(super) made: Option<Made>,
}

impl Noted {
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Reservation::EmptyFile => "file",
            Reservation::EmptyDirectory => "directory",
            Reservation::Content(_) => "commondir",
        }
    }

    pub(super) fn write(&self, lock: &OwnedFd) -> Result<(), String> {
        let mut text = match self.made {
            Some(made) => format!(
                "{} {} {} {} {}\n",
                self.word(),
                made.identity.0,
                made.identity.1,
                made.modified.0,
                made.modified.1
            ),
            None => format!("{}\n", self.word()),
        }
        .into_bytes();
        text.extend_from_slice(self.path.as_os_str().as_bytes());
        let written = rustix::io::pwrite(lock, &text, 0).and_then(|length| ftruncate(lock, length as u64));
        written
            .map_err(plainly)
            .map_err(|error| format!("{error}\ncheck the free space"))
    }

    pub(super) fn read(lock: &OwnedFd) -> Option<Self> {
        let mut text = vec![0; RECORD_MAX];
        let length = rustix::io::pread(lock, &mut text, 0).ok()?;
        text.truncate(length);
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let path = text.split_off(end);
        let path = HostPath::new(OsString::from_vec(path.get(1..)?.to_vec())).ok()?;
        let line = String::from_utf8(text).ok()?;
        let mut words = line.split(' ');
        let kind = match words.next()? {
            "file" => Reservation::EmptyFile,
            "directory" => Reservation::EmptyDirectory,
            "commondir" => Reservation::Content(crate::host::git::RESERVED_COMMON_DIR),
            _ => return None,
        };
        let numbers: Vec<i128> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let made = match *numbers.as_slice() {
            [device, inode, seconds, nanoseconds] => Some(Made {
                identity: (device.try_into().ok()?, inode.try_into().ok()?),
                modified: (seconds.try_into().ok()?, nanoseconds.try_into().ok()?),
            }),
            [] => None,
            _ => return None,
        };
        Some(Self { path, kind, made })
    }

    pub(super) fn has_kind(&self, status: &Stat) -> bool {
        let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        let file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        if self.kind == Reservation::EmptyDirectory {
            directory
        } else {
            file && status.st_nlink == 1
        }
    }

    /// Whether what is there is as it would have been made.
    pub(super) fn fits(&self, place: &Place, status: &Stat) -> bool {
        self.has_kind(status)
            && (self.kind == Reservation::EmptyDirectory || place.content().as_deref() == Some(self.kind.bytes()))
    }

    /// Whether what is there is what was made: the same file, untouched.
    pub(super) fn is(&self, place: &Place, status: &Stat) -> bool {
        let same = match self.made {
            None => true,
            Some(made) if self.kind == Reservation::EmptyDirectory => made.identity == Made::of(status).identity,
            Some(made) => made == Made::of(status),
        };
        same && self.fits(place, status)
    }

    /// Removes what was made. A directory that is not empty any more stays.
    pub(super) fn remove(&self) {
        let Ok(place) = Place::of(&self.path) else { return };
        let Some(status) = place.status() else { return };
        if self.is(&place, &status) {
            place.remove(self.kind);
        }
    }
}
