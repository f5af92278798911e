//! Raw system calls that no safe library offers. The only module with `unsafe`; each block says why it is sound.
#![expect(unsafe_code, reason = "the one place for system calls that no safe library offers")]

use std::io;

/// The first descriptor that is not standard input, output or error.
const FIRST_OTHER: libc::c_uint = 3;

/// Marks every descriptor above standard error to be closed by exec, whoever opened it.
///
/// INVARIANT(no-inherited-fds): set here, before any descriptor of our own is opened for bubblewrap.
///
/// # Errors
/// The kernel's answer; Linux has known the call since 5.11.
pub fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: the call takes three integers and touches no memory of ours. Descriptors stay open until exec.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_OTHER,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC as libc::c_uint,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Joins a fresh, empty session keyring: the keys of the login session are no longer reachable, also by what we exec.
///
/// INVARIANT(tty-and-keyring): one half; the filter is the other.
///
/// # Errors
/// The kernel's answer. A kernel without keyrings (ENOSYS) has nothing to hide and counts as success.
pub fn fresh_session_keyring() -> io::Result<()> {
    // SAFETY: with a null name the call makes an anonymous keyring; no memory of ours is read or written.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    if result >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOSYS) {
        Ok(())
    } else {
        Err(error)
    }
}

/// What a process does with the terminal's interrupt and quit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// Nothing: for bubblewrap, which would die of Ctrl+C and take Claude Code with it in mid-work.
    Ignored,
    /// What every process does: for the command inside.
    Usual,
}

/// Sets what this process, and what it execs, does at SIGINT and SIGQUIT. Also sets SIGPIPE back to usual, which Rust ignores.
pub fn interrupts(interrupts: Interrupts) {
    let action = match interrupts {
        Interrupts::Ignored => libc::SIG_IGN,
        Interrupts::Usual => libc::SIG_DFL,
    };
    // SAFETY: SIG_IGN and SIG_DFL install no handler, so no code of ours runs in a signal's context.
    unsafe {
        libc::signal(libc::SIGINT, action);
        libc::signal(libc::SIGQUIT, action);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Tries to make a user namespace, in a child that ends at once.
///
/// # Errors
/// What the kernel answered: EPERM, ENOSPC, ENOSYS where namespaces are forbidden or missing.
pub fn try_user_namespace() -> io::Result<()> {
    // SAFETY: this process has one thread, and the child calls only unshare and _exit, which are safe after fork.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above; _exit runs no handler of ours.
        unsafe {
            let failed = libc::unshare(libc::CLONE_NEWUSER) != 0;
            libc::_exit(if failed { *libc::__errno_location() } else { 0 });
        }
    }
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut status = 0;
    // SAFETY: `status` lives through the call, and the child is ours and not waited for elsewhere.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    match libc::WEXITSTATUS(status) {
        0 if libc::WIFEXITED(status) => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// The caller's user and group id.
#[must_use]
pub fn ids() -> (u32, u32) {
    // SAFETY: both calls take nothing, always succeed and touch no memory.
    unsafe { (libc::getuid(), libc::getgid()) }
}
