//! Files that appear under their names whole, or not at all: whoever is killed in between leaves nothing that could be taken
//! for whole.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, fchmod, linkat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

/// How many names are tried for a file that is not finished yet.
const NAMES: usize = 100;

/// The content appears under its name whole, or not at all. Another launch that was faster wrote one that is as good.
pub(super) fn write_new(parent: &OwnedFd, name: &OsStr, content: &[u8]) -> Result<(), Errno> {
    match appear(parent, name, content) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// The content appears under a name that is free, whole or not at all.
pub(super) fn appear(parent: &OwnedFd, name: &OsStr, content: &[u8]) -> Result<(), Errno> {
    match nameless(parent, content) {
        Ok(file) => name_it(&file, parent, name),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOSYS) => named(parent, name, content).and_then(|temporary| {
            let moved = renameat_with(parent, &temporary, parent, name, RenameFlags::NOREPLACE);
            discard(parent, &temporary, moved)
        }),
        Err(error) => Err(error),
    }
}

/// The old content stays until the new one is whole. Not forced to the disk: what says when a project was used last may be
/// lost with the power, and is written again by the next start.
pub(super) fn replace(parent: &OwnedFd, name: &OsStr, content: &[u8]) -> Result<(), Errno> {
    // Where there is nothing to replace the file needs no name before it has its own: killed, we leave nothing.
    if matches!(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT)) {
        match appear(parent, name, content) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
    let temporary = named(parent, name, content)?;
    let moved = renameat(parent, &temporary, parent, name);
    discard(parent, &temporary, moved)
}

/// A file that has no name: if we are killed, it is gone.
fn nameless(parent: &OwnedFd, content: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let mut file = File::from(openat(parent, ".", flags, Mode::RUSR | Mode::WUSR)?);
    fill(&mut file, content)?;
    if !content.is_empty() {
        file.sync_all().map_err(|error| errno(&error))?;
    }
    Ok(file)
}

fn name_it(file: &File, parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let own = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    linkat(CWD, own, parent, name, AtFlags::SYMLINK_FOLLOW)
}

/// A file beside the one that it will become. Its name is nobody else's, on this machine or on another with the same home.
fn named(parent: &OwnedFd, name: &OsStr, content: &[u8]) -> Result<OsString, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..NAMES {
        let mut temporary = name.to_os_string();
        temporary.push(format!(".new-{}-{number}", std::process::id()));
        match openat(parent, &temporary, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                let written = fill(&mut File::from(file), content);
                return match written {
                    Ok(()) => Ok(temporary),
                    Err(error) => discard(parent, &temporary, Err(error)).map(|()| temporary),
                };
            }
            // Left by a launch that was killed, or in use by one in another process namespace.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

/// Takes the unfinished file away where the step after it failed.
fn discard(parent: &OwnedFd, temporary: &OsStr, result: Result<(), Errno>) -> Result<(), Errno> {
    if result.is_err() {
        let _ = unlinkat(parent, temporary, AtFlags::empty());
    }
    result
}

fn fill(file: &mut File, content: &[u8]) -> Result<(), Errno> {
    fchmod(&*file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(content).map_err(|error| errno(&error))
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Moves a file, which is the caller's alone from then on. Where another launch was faster there is nothing left to move.
pub(super) fn move_file(
    source: &OwnedFd,
    old: &OsStr,
    target: &OwnedFd,
    new: &OsStr,
    replace: bool,
) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let moved = openat(source, old, flags, Mode::empty()).and_then(|file| {
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        if replace {
            renameat(source, old, target, new)
        } else {
            renameat_with(source, old, target, new, RenameFlags::NOREPLACE)
        }
    });
    match moved {
        Err(Errno::NOENT | Errno::EXIST) => Ok(()),
        other => other,
    }
}
