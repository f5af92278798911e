//! Raw system calls that no safe library offers. The only module with `unsafe`; each block says why it is sound.
#![expect(unsafe_code, reason = "the one place for system calls that no safe library offers")]

pub mod handover;
pub mod mounts;
pub mod namespace;
pub mod netlink;
pub mod tries;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

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

/// How deep the main thread's stack may grow while policies run. The kernel keeps at least this much free below it.
const DEEP: u64 = 120 * 1024 * 1024;

/// Lets the stack grow deep until this is dropped: a script can nest values in one another, and each level of them takes
/// some stack where they are freed.
#[derive(Debug)]
pub struct DeepStack(rustix::process::Rlimit);

impl DeepStack {
    /// Raises the limit as far as the system allows it.
    #[must_use]
    pub fn raise() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let before = getrlimit(Resource::Stack);
        if let Some(current) = before.current {
            let wanted = before.maximum.map_or(DEEP, |maximum| maximum.min(DEEP));
            let limit = Rlimit {
                current: Some(current.max(wanted)),
                maximum: before.maximum,
            };
            // A system that refuses keeps its limit, and a script that overflows it ends the program: nothing starts.
            let _ = setrlimit(Resource::Stack, limit);
        }
        Self(before)
    }
}

impl Drop for DeepStack {
    fn drop(&mut self) {
        let _ = rustix::process::setrlimit(rustix::process::Resource::Stack, self.0);
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

/// A lock on a whole file that belongs to its open description: it ends when the last descriptor of that is closed, and it
/// stands against the locks of processes that fcntl(2) has, which is what bubblewrap's `--lock-file` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// With others of its kind. The file must be open for reading.
    Shared,
    /// Alone. The file must be open for writing.
    Alone,
}

impl Lock {
    fn describe(self) -> libc::flock {
        // SAFETY: the type is plain numbers, for each of which zero is a value; zero is the whole file, from its start.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = match self {
            Self::Shared => libc::F_RDLCK as libc::c_short,
            Self::Alone => libc::F_WRLCK as libc::c_short,
        };
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock
    }
}

fn lock(file: impl AsFd, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open for the time of the call, and the structure is ours and of the type the call takes.
        let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, std::ptr::from_mut(lock)) };
        if result != -1 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Takes a lock, and waits for it as long as it takes.
///
/// # Errors
/// The kernel's answer; some network file systems have no locks.
pub fn lock_wait(file: impl AsFd, kind: Lock) -> io::Result<()> {
    lock(file, libc::F_OFD_SETLKW, &mut kind.describe())
}

/// Takes a lock if nobody is in its way: says whether it did.
///
/// # Errors
/// As [`lock_wait`].
pub fn lock_now(file: impl AsFd, kind: Lock) -> io::Result<bool> {
    match lock(file, libc::F_OFD_SETLK, &mut kind.describe()) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether anybody's lock is in the way of one that is alone. Takes none, and needs no right to write.
///
/// # Errors
/// As [`lock_wait`].
pub fn is_locked(file: impl AsFd) -> io::Result<bool> {
    let mut seen = Lock::Alone.describe();
    lock(file, libc::F_OFD_GETLK, &mut seen)?;
    Ok(seen.l_type != libc::F_UNLCK as libc::c_short)
}

/// How long this thread has had the processor. Not by the safe library: at its first look at a clock it searches the kernel's
/// page of fast calls, which takes longer than all else here, and this clock is not among them.
#[must_use]
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is ours.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let (seconds, rest) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    // INVARIANT(bounded-policy): without a clock, no time is left.
    match (answer, seconds, rest) {
        (0, Ok(seconds), Ok(rest)) => Duration::new(seconds, rest),
        _ => Duration::MAX,
    }
}

/// The caller's supplementary groups. None where the kernel does not tell: then a file that only a group may read counts
/// as unreadable in what is said about it, and the kernel still decides.
#[must_use]
pub fn groups() -> Vec<u32> {
    rustix::process::getgroups()
        .unwrap_or_default()
        .into_iter()
        .map(rustix::process::Gid::as_raw)
        .collect()
}

/// Runs `child` in a copy of this process, which ends with its answer. The parent goes on at once, with the copy's number.
///
/// # Errors
/// The kernel's answer.
pub fn forked(child: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: this process has one thread, so its copy holds no lock that nobody would release.
    match unsafe { libc::fork() } {
        0 => {
            // A panic must not go on as if the child were the launcher.
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(1);
            // SAFETY: ends the child at once, without what the launcher registered for its own end.
            unsafe { libc::_exit(code) }
        }
        pid if pid < 0 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Cuts a forked child loose from the terminal: a session of its own, no signal that ends a terminal's processes, and no
/// descriptor but standard error and those that it names.
///
/// # Errors
/// The kernel's answer.
pub fn detach(keep: &[i32]) -> io::Result<()> {
    // SAFETY: setsid takes nothing; SIG_IGN installs no handler.
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        for signal in [
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTERM,
            libc::SIGHUP,
            libc::SIGPIPE,
            libc::SIGTSTP,
        ] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut next = FIRST_OTHER;
    for fd in keep.into_iter().chain([libc::c_uint::MAX]) {
        if fd > next {
            // SAFETY: the call takes integers. Nothing in the child uses the descriptors that it closes.
            unsafe { libc::syscall(libc::SYS_close_range, next, fd - 1, 0 as libc::c_uint) };
        }
        next = fd.saturating_add(1);
    }
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Takes over a descriptor that the launcher left open for this process, which is told its number.
#[must_use]
pub fn inherited(number: i32) -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: only asks whether the descriptor is open.
    if number < 3 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and called once, in a program that has opened nothing of its own yet.
    Some(unsafe { std::os::fd::OwnedFd::from_raw_fd(number) })
}
