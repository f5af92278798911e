//! Mounts in the namespace of a sandbox that runs (setns(2), open_tree(2), mount_setattr(2), move_mount(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, chmodat, fchmod, mkdirat, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsmount, fsopen,
    move_mount, open_tree,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// `NS_GET_USERNS` of linux/nsfs.h: the user namespace that owns a namespace.
const NS_GET_USERNS: libc::Ioctl = 0xb701;

/// The mounts that a process sees, and the user namespace that may change them.
#[derive(Debug)]
pub struct Namespaces {
    mounts: OwnedFd,
    users: OwnedFd,
}

impl Namespaces {
    /// Those of a process.
    ///
    /// # Errors
    /// The kernel's answer; ENOENT where the process is gone.
    pub fn of(pid: i32) -> io::Result<Self> {
        let mounts = openat(
            CWD,
            format!("/proc/{pid}/ns/mnt"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        // SAFETY: the call takes no argument beside the descriptor, which is open, and returns a new one or -1.
        let users = unsafe { libc::ioctl(mounts.as_raw_fd(), NS_GET_USERNS) };
        if users < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made it, and nobody else knows it.
        let users = unsafe { OwnedFd::from_raw_fd(users) };
        Ok(Self { mounts, users })
    }

    /// The descriptors, to be kept open.
    #[must_use]
    pub fn numbers(&self) -> [i32; 2] {
        [self.mounts.as_raw_fd(), self.users.as_raw_fd()]
    }

    /// Moves this process, which must have one thread, into them for good: `/` is the sandbox's root afterwards.
    ///
    /// # Errors
    /// The kernel's answer: EPERM where a security module forbids it.
    pub fn enter(&self) -> io::Result<()> {
        move_into_link_name_space(self.users.as_fd(), Some(LinkNameSpaceType::User))?;
        move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        Ok(())
    }
}

/// An empty file and an empty directory in memory, without write access, as mounts that lie nowhere yet.
#[derive(Debug)]
pub struct Empty {
    /// The file.
    pub file: OwnedFd,
    /// The directory.
    pub directory: OwnedFd,
}

impl Empty {
    /// Makes them for a process that has [entered](Namespaces::enter) these namespaces. The kernel copies no part of a mount
    /// that lies nowhere: it is mounted for a moment where nobody else sees it.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn make(namespaces: &Namespaces) -> io::Result<Self> {
        // SAFETY: what makes the call unsafe is a table of descriptors that threads no longer share; that flag is not given.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        let memory = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&memory)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let memory = fsmount(&memory, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let root = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        lay(&memory, &root)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        fchmod(openat(&memory, "file", flags, Mode::RUSR)?, Mode::from_raw_mode(0o444))?;
        mkdirat(&memory, "directory", Mode::RWXU)?;
        chmodat(&memory, "directory", Mode::from_raw_mode(0o555), AtFlags::empty())?;
        let part = |name: &str| {
            let tree = copy(openat(&memory, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)?;
            close(&tree)?;
            Ok::<_, io::Error>(tree)
        };
        let empty = Self {
            file: part("file")?,
            directory: part("directory")?,
        };
        move_into_link_name_space(namespaces.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        Ok(empty)
    }
}

/// A copy of the mount, with those below it, that shows what `place` shows; it lies nowhere yet.
///
/// # Errors
/// The kernel's answer.
pub fn copy(place: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(place, c"", flags)?)
}

/// Makes a mount that lies nowhere yet, with those below it, read-only.
///
/// # Errors
/// The kernel's answer; ENOSYS before Linux 5.12.
pub fn close(tree: impl AsFd) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the name is empty and the structure is ours, of the size that is told, and only read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lays a mount that lies nowhere yet over `place`.
///
/// # Errors
/// The kernel's answer; ENOENT where `place` has been removed.
pub fn lay(tree: impl AsFd, place: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, c"", place, c"", flags)?)
}
