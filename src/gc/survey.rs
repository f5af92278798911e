//! Looks at each instance and says what becomes of it. Changes nothing.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::host::tree::plain;
use crate::host::volume::{self, Root};
use crate::path::HostPath;
use crate::state::record::{self, Record};
use crate::state::{instance_name, is_instance_name};
use crate::sys;

use super::{DIRECTORY, TRASH};

/// How deep the size of an instance is measured. An agent can make directories as deep as it likes.
const DEPTH_MAX: usize = 64;

/// What there is.
#[derive(Debug, Default)]
pub struct Survey {
    /// What can be removed.
    pub remove: Vec<Removable>,
    /// What is kept although its project was not found.
    pub keep: Vec<Kept>,
    /// How many belong to projects that are there.
    pub alive: u64,
    /// Whether an earlier removal was not finished.
    pub unfinished: bool,
}

/// An instance that can be removed.
#[derive(Debug)]
pub struct Removable {
    /// Its name.
    pub name: OsString,
    /// Its record; none where the start that made it was killed before it wrote one.
    pub record: Option<Record>,
    /// The length of its files, in bytes.
    pub size: u64,
    /// Whether that is all, or what was measured until it got too deep.
    pub measured: bool,
}

/// An instance that is kept.
#[derive(Debug)]
pub struct Kept {
    /// Its name.
    pub name: OsString,
    /// The root that its record names.
    pub root: Option<HostPath>,
    /// Why.
    pub why: String,
}

/// What becomes of an instance.
#[derive(Debug)]
pub enum Class {
    /// It is not there any more.
    Vanished,
    /// Its project is there.
    Alive,
    /// Its project is gone.
    Gone(Record),
    /// A start was killed while it made it, and nothing is in it.
    Unfinished,
    /// It is not clear whose it is, or whether that is gone.
    Doubt(Option<HostPath>, String),
}

/// Looks at all instances. Memory is needed for what is reported alone, and each instance is looked at once.
///
/// # Errors
/// The directory cannot be read.
pub fn survey(instances: &OwnedFd) -> Result<Survey, Errno> {
    let mut survey = Survey::default();
    for entry in Dir::read_from(instances)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if name == TRASH {
            survey.unfinished = trash_holds_something(instances);
            continue;
        }
        one(instances, name, &mut survey);
    }
    survey.remove.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    survey.keep.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(survey)
}

fn one(instances: &OwnedFd, name: &OsStr, survey: &mut Survey) {
    let (class, directory) = classify(instances, name);
    let (record, directory) = match (class, directory) {
        (Class::Gone(record), Some(directory)) => (Some(record), directory),
        (Class::Unfinished, Some(directory)) => (None, directory),
        (Class::Alive, _) => {
            survey.alive += 1;
            return;
        }
        (Class::Doubt(root, why), _) => {
            return survey.keep.push(Kept {
                name: name.to_os_string(),
                root,
                why,
            });
        }
        (Class::Vanished | Class::Gone(_) | Class::Unfinished, _) => return,
    };
    if in_use(&directory) {
        return survey.keep.push(Kept {
            name: name.to_os_string(),
            root: record.map(|record| record.root),
            why: IN_USE.into(),
        });
    }
    let mut size = 0;
    let measured = measure(&directory, 0, &mut size);
    survey.remove.push(Removable {
        name: name.to_os_string(),
        record,
        size,
        measured,
    });
}

/// Why an instance is kept whose lock is held.
pub const IN_USE: &str = "a sandbox uses it";

/// What becomes of one instance, and its directory where that could be opened.
pub fn classify(instances: &OwnedFd, name: &OsStr) -> (Class, Option<OwnedFd>) {
    if !is_instance_name(name) {
        return (
            Class::Doubt(None, "claudebox gives no instance such a name".into()),
            None,
        );
    }
    let directory = match openat(instances, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => return (Class::Vanished, None),
        Err(Errno::LOOP | Errno::NOTDIR) => return (Class::Doubt(None, "it is no directory".into()), None),
        Err(error) => {
            return (
                Class::Doubt(None, format!("it cannot be opened: {}", plain(&error.into()))),
                None,
            );
        }
    };
    let class = match read_record(&directory) {
        Ok(Some(record)) if name != instance_name(&record.root).as_str() => {
            Class::Doubt(Some(record.root), "its record belongs to another instance".into())
        }
        Ok(Some(record)) => match volume::look_for(&record.root, &record.volume) {
            Root::There => Class::Alive,
            Root::Gone => Class::Gone(record),
            Root::Doubt(why) => Class::Doubt(Some(record.root), why),
        },
        Ok(None) if is_empty_but_for_the_lock(&directory) => Class::Unfinished,
        Ok(None) => Class::Doubt(
            None,
            "it has no record of its project; the next start of the project writes one".into(),
        ),
        Err(why) => Class::Doubt(None, format!("its record {why}")),
    };
    (class, Some(directory))
}

fn read_record(directory: &OwnedFd) -> Result<Option<Record>, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(directory, record::NAME, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(format!("cannot be opened: {}", plain(&error.into()))),
    };
    let unreadable = |error: std::io::Error| format!("cannot be read: {}", plain(&error));
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("is no regular file".into());
    }
    let mut text = Vec::new();
    file.take(record::LENGTH_MAX)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    Record::parse(&text).map(Some).map_err(String::from)
}

/// Whether there is nothing but what a start makes before the record: nothing of the user's can be lost with it.
fn is_empty_but_for_the_lock(directory: &OwnedFd) -> bool {
    let Ok(entries) = Dir::read_from(directory) else {
        return false;
    };
    entries.into_iter().all(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name().to_bytes();
            matches!(name, b"." | b".." | b"lock") || name.starts_with(b"record.json.new-")
        })
    })
}

/// Whether a sandbox, or a launch, holds the instance. What cannot be told counts as in use.
fn in_use(directory: &OwnedFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat(directory, "lock", flags, Mode::empty()) {
        Ok(lock) => sys::is_locked(&lock).unwrap_or(true),
        // Each launch makes it before anything else.
        Err(Errno::NOENT) => false,
        Err(_) => true,
    }
}

fn trash_holds_something(instances: &OwnedFd) -> bool {
    let entries = openat(instances, TRASH, DIRECTORY, Mode::empty()).and_then(Dir::new);
    entries.is_ok_and(|entries| {
        entries
            .into_iter()
            .any(|entry| entry.is_ok_and(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")))
    })
}

/// Adds the length of all files below a directory; says whether all of them were seen.
fn measure(directory: impl AsFd, depth: usize, size: &mut u64) -> bool {
    let Ok(entries) = Dir::read_from(&directory) else {
        return false;
    };
    let mut all = true;
    for entry in entries {
        let Ok(entry) = entry else { return false };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) if FileType::from_raw_mode(status.st_mode) == FileType::Directory => {
                all &= depth < DEPTH_MAX
                    && openat(&directory, name, DIRECTORY, Mode::empty())
                        .is_ok_and(|inner| measure(inner, depth + 1, size));
            }
            Ok(status) => *size = size.saturating_add(u64::try_from(status.st_size).unwrap_or_default()),
            Err(_) => all = false,
        }
    }
    all
}
