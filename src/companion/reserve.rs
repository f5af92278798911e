//! Names that must stay absent are taken for the time of a session by a file or directory that changes nothing, and given
//! back by the last session that needs them. Each has a record beside the state: which file it is, so that nothing of the
//! user's is ever removed, and that a session after a crash finds what was left.
//!
//! A record's lock is shared by the sessions that use the name. Whoever gets it alone may make or remove.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, ResolveFlags, Stat, flock, fstat, ftruncate, linkat,
    mkdirat, open, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use crate::host::git::Reservation;
use crate::host::tree::plain;
use crate::invariants::plan::Reserved;
use crate::path::HostPath;

/// How often a record that vanished under our hands is made anew: each time, another session has just ended.
const ATTEMPTS: usize = 1000;
/// The longest record: a path and its numbers.
const RECORD_MAX: usize = 8192;

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

/// A name in a directory that was reached without a link.
struct Place {
    directory: OwnedFd,
    name: OsString,
}

impl Place {
    fn of(path: &HostPath) -> Result<Self, String> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Err("it has no name\n".into());
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat2(CWD, parent.as_path(), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .map_err(plainly)
            .map_err(|error| format!("`{parent}` cannot be reached without a link: {error}\nstart again"))?;
        let name = name.to_os_string();
        Ok(Self { directory, name })
    }

    fn name(&self) -> &Path {
        Path::new(&self.name)
    }

    fn status(&self) -> Option<Stat> {
        statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    fn make(&self, kind: Reservation) -> Result<Stat, Errno> {
        if kind == Reservation::EmptyDirectory {
            mkdirat(&self.directory, self.name(), Mode::from_raw_mode(0o755))?;
            return statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW);
        }
        // Whole or not at all: git on the host, and other sessions, must never read it without its content.
        let mode = Mode::from_raw_mode(0o444);
        let nameless = openat(
            &self.directory,
            ".",
            OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC,
            mode,
        );
        if let Ok(file) = nameless {
            rustix::io::write(&file, kind.bytes())?;
            let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
            linkat(CWD, by_number, &self.directory, self.name(), AtFlags::SYMLINK_FOLLOW)?;
            return fstat(&file);
        }
        // A file system without nameless files: there is a moment, then.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, self.name(), flags, mode)?;
        rustix::io::write(&file, kind.bytes())?;
        fstat(&file)
    }

    fn content(&self) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.directory, self.name(), flags, Mode::empty()).ok()?;
        let mut buffer = vec![0; 64];
        let length = rustix::io::read(&file, &mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
}

/// What tells the file that was made from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Made {
    identity: (u64, u64),
    modified: (i64, u64),
}

impl Made {
    fn of(status: &Stat) -> Self {
        Self {
            identity: (status.st_dev, status.st_ino),
            modified: (status.st_mtime, status.st_mtime_nsec),
        }
    }
}

/// A record: what was made where.
#[derive(Debug)]
struct Noted {
    path: HostPath,
    kind: Reservation,
    /// `None` where the session was killed before it was noted.
    made: Option<Made>,
}

impl Noted {
    fn word(&self) -> &'static str {
        match self.kind {
            Reservation::EmptyFile => "file",
            Reservation::EmptyDirectory => "directory",
            Reservation::Content(_) => "commondir",
        }
    }

    fn write(&self, lock: &OwnedFd) -> Result<(), String> {
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

    fn read(lock: &OwnedFd) -> Option<Self> {
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

    fn has_kind(&self, status: &Stat) -> bool {
        let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        let file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        if self.kind == Reservation::EmptyDirectory {
            directory
        } else {
            file && status.st_nlink == 1
        }
    }

    /// Whether what is there is as it would have been made.
    fn fits(&self, place: &Place, status: &Stat) -> bool {
        self.has_kind(status)
            && (self.kind == Reservation::EmptyDirectory || place.content().as_deref() == Some(self.kind.bytes()))
    }

    /// Whether what is there is what was made: the same file, untouched.
    fn is(&self, place: &Place, status: &Stat) -> bool {
        let same = match self.made {
            None => true,
            Some(made) if self.kind == Reservation::EmptyDirectory => made.identity == Made::of(status).identity,
            Some(made) => made == Made::of(status),
        };
        same && self.fits(place, status)
    }

    /// Removes what was made. A directory that is not empty any more stays.
    fn remove(&self) {
        let Ok(place) = Place::of(&self.path) else { return };
        let Some(status) = place.status() else { return };
        if self.is(&place, &status) {
            let flags = if self.kind == Reservation::EmptyDirectory {
                AtFlags::REMOVEDIR
            } else {
                AtFlags::empty()
            };
            let _ = unlinkat(&place.directory, place.name(), flags);
        }
    }
}
