//! Compares what the finished sandbox shows with what was checked. Another process, in another sandbox on the same project
//! for one, can exchange a path between the check and the mount.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatfs,
    fstatvfs, makedev, openat, openat2, statx,
};
use rustix::io::Errno;

use crate::host::tree::plain;
use crate::path::SandboxPath;

use super::task::{Check, Want};

/// A file system in memory, by its magic number.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// How a place inside differs from what must be there: completes a sentence that begins with the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nothing is there, or the way to it is another.
    Unreachable(Errno),
    /// What is there does not tell what it is.
    Unknown,
    /// No mount lies there.
    NotMounted,
    /// Another file lies there.
    Exchanged,
    /// It can be written.
    Writable,
    /// What was to be hidden is not.
    Shown,
}

impl Display for Wrong {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unreachable(_) => "cannot be reached without a link",
            Self::Unknown => "cannot be examined",
            Self::NotMounted => "is not mounted",
            Self::Exchanged => "is not what was checked",
            Self::Writable => "can be written",
            Self::Shown => "is not hidden",
        })
    }
}

/// The root of the sandbox whose process this is.
///
/// # Errors
/// A whole sentence.
pub(super) fn root(pid: i32) -> Result<OwnedFd, String> {
    openat(
        CWD,
        format!("/proc/{pid}/root"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| format!("the sandbox cannot be looked into ({})", plain(&error.into())))
}

/// Compares all of them.
///
/// # Errors
/// The first difference, as a sentence.
pub(super) fn all(root: &OwnedFd, checks: &[Check]) -> Result<(), String> {
    for check in checks {
        one(root, check).map_err(|wrong| format!("`{}` {wrong}", check.at))?;
    }
    Ok(())
}

/// Opens a place inside to look at it. No link may lead elsewhere: it is the very place.
pub(super) fn open(root: impl AsFd, at: &SandboxPath) -> Result<OwnedFd, Errno> {
    let relative = at.as_path().strip_prefix("/").unwrap_or(at.as_path());
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(root, relative, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// Compares one.
pub(super) fn one(root: &OwnedFd, Check { at, want }: &Check) -> Result<(), Wrong> {
    let found = open(root, at).map_err(Wrong::Unreachable)?;
    let status = statx(&found, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(|_| Wrong::Unknown)?;
    if status.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        && !status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    {
        return Err(Wrong::NotMounted);
    }
    let read_only = fstatvfs(&found).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY));
    let kind = FileType::from_raw_mode(status.stx_mode.into());
    match want {
        Want::Bind { identity, writable, .. } => {
            let seen = (makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino);
            if identity.is_some_and(|identity| identity != seen) {
                return Err(Wrong::Exchanged);
            }
            if !writable && !read_only {
                return Err(Wrong::Writable);
            }
        }
        Want::EmptyFile => {
            if !read_only || kind != FileType::RegularFile || status.stx_size != 0 {
                return Err(Wrong::Shown);
            }
        }
        Want::Link => {}
        Want::EmptyDirectory => {
            if !read_only || kind != FileType::Directory || !in_memory(&found) {
                return Err(Wrong::Shown);
            }
        }
    }
    Ok(())
}

fn in_memory(found: &impl AsFd) -> bool {
    fstatfs(found).is_ok_and(|status| u64::try_from(status.f_type) == Ok(TMPFS_MAGIC))
}
