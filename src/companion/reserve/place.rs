//! Where a name is reserved: reached without a link, looked at and filled without one.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat, fstat, linkat, mkdirat, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use crate::host::git::Reservation;
use crate::path::HostPath;

use super::plainly;

/// A name in a directory that was reached without a link.
pub(super) struct Place {
    directory: OwnedFd,
    name: OsString,
}

impl Place {
    pub(super) fn of(path: &HostPath) -> Result<Self, String> {
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

    pub(super) fn name(&self) -> &Path {
        Path::new(&self.name)
    }

    pub(super) fn status(&self) -> Option<Stat> {
        statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    pub(super) fn make(&self, kind: Reservation) -> Result<Stat, Errno> {
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

    pub(super) fn content(&self) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.directory, self.name(), flags, Mode::empty()).ok()?;
        let mut buffer = vec![0; 64];
        let length = rustix::io::read(&file, &mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
    pub(super) fn remove(&self, kind: Reservation) {
        let flags = if kind == Reservation::EmptyDirectory {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        let _ = unlinkat(&self.directory, self.name(), flags);
    }
}
