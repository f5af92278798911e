//! Compares what the finished sandbox shows with what was checked. Another process, in another sandbox on the same project
//! for one, can exchange a path between the check and the mount.

use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatfs,
    fstatvfs, makedev, openat, openat2, statx,
};

use crate::host::tree::plain;

use super::task::{Check, Want};

/// A file system in memory, by its magic number.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Compares all of them.
///
/// # Errors
/// The first difference: completes a sentence that begins with the place.
pub(super) fn all(pid: i32, checks: &[Check]) -> Result<(), String> {
    let root = openat(
        CWD,
        format!("/proc/{pid}/root"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| format!("the sandbox cannot be looked into ({})", plain(&error.into())))?;
    for check in checks {
        if let Err(why) = one(&root, check) {
            return Err(format!("`{}` {why}", check.at));
        }
    }
    Ok(())
}

fn one(root: &OwnedFd, Check { at, want }: &Check) -> Result<(), String> {
    let relative = at.as_path().strip_prefix("/").unwrap_or(at.as_path());
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    // No link may lead elsewhere: what is checked is the very place.
    let found = openat2(
        root,
        relative,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .map_err(|_| "cannot be reached without a link".to_string())?;
    let status = statx(&found, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(|_| "cannot be examined")?;
    if status.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        && !status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    {
        return Err("is not mounted".into());
    }
    let read_only = fstatvfs(&found).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY));
    let kind = FileType::from_raw_mode(status.stx_mode.into());
    match want {
        Want::Bind { identity, writable, .. } => {
            let seen = (makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino);
            if identity.is_some_and(|identity| identity != seen) {
                return Err("is not what was checked".into());
            }
            if !writable && !read_only {
                return Err("can be written".into());
            }
        }
        Want::EmptyFile => {
            if !read_only || kind != FileType::RegularFile || status.stx_size != 0 {
                return Err("is not hidden".into());
            }
        }
        Want::EmptyDirectory => {
            if !read_only || kind != FileType::Directory || !in_memory(&found) {
                return Err("is not hidden".into());
            }
        }
    }
    Ok(())
}

fn in_memory(found: &impl AsFd) -> bool {
    fstatfs(found).is_ok_and(|status| u64::try_from(status.f_type) == Ok(TMPFS_MAGIC))
}
