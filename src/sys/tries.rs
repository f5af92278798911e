//! System calls that a sandbox must refuse, and what is planted on the host for them to find: the kernel's keyrings
//! (keyrings(7)), input into a terminal (TIOCSTI(2const)), shared memory (sysvipc(7)).

use std::ffi::CString;
use std::io;

/// `KEY_SPEC_SESSION_KEYRING`.
const SESSION: libc::c_long = -3;
/// `KEY_SPEC_USER_KEYRING`.
const USER: libc::c_long = -4;
/// How many bytes of a key are read.
const KEY_MAX: usize = 4096;
/// A descriptor that is never open: nothing is put into any terminal, and a filter is asked before the kernel looks.
const NO_DESCRIPTOR: libc::c_int = -1;
/// Marks a call of the x32 interface of x86-64.
const X32: libc::c_long = 0x4000_0000;

fn result(value: libc::c_long) -> io::Result<libc::c_long> {
    if value < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}

fn text(bytes: &str) -> io::Result<CString> {
    CString::new(bytes).map_err(io::Error::from)
}

/// Puts a key into the session keyring; its number.
///
/// # Errors
/// The kernel's answer.
pub fn add_key(name: &str, value: &str) -> io::Result<libc::c_long> {
    let name = text(name)?;
    // SAFETY: both texts end with a zero or come with their length, and live through the call.
    result(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            name.as_ptr(),
            value.as_ptr(),
            value.len(),
            SESSION,
        )
    })
}

/// Asks for a key by its name, as a program does that does not know which keyring has it.
///
/// # Errors
/// The kernel's answer.
pub fn request_key(name: &str) -> io::Result<libc::c_long> {
    let name = text(name)?;
    // SAFETY: the texts end with a zero and live through the call; the third one may be null.
    result(unsafe {
        libc::syscall(
            libc::SYS_request_key,
            c"user".as_ptr(),
            name.as_ptr(),
            std::ptr::null::<libc::c_char>(),
            0,
        )
    })
}

/// Looks for a key by its name in the keyring of the session, or of the user; its number.
///
/// # Errors
/// The kernel's answer.
pub fn search_key(name: &str, of_user: bool) -> io::Result<libc::c_long> {
    let name = text(name)?;
    let ring = if of_user { USER } else { SESSION };
    // SAFETY: the texts end with a zero and live through the call.
    result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(libc::KEYCTL_SEARCH),
            ring,
            c"user".as_ptr(),
            name.as_ptr(),
            0,
        )
    })
}

/// What a key holds.
///
/// # Errors
/// The kernel's answer.
pub fn read_key(key: libc::c_long) -> io::Result<Vec<u8>> {
    let mut value = vec![0u8; KEY_MAX];
    // SAFETY: the buffer is ours, as long as it is said to be, and lives through the call.
    let length = result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(libc::KEYCTL_READ),
            key,
            value.as_mut_ptr(),
            value.len(),
        )
    })?;
    value.truncate(usize::try_from(length).unwrap_or_default());
    Ok(value)
}

/// An ioctl on no descriptor: EBADF where nothing forbids the command, since the kernel has no terminal to look at.
///
/// # Errors
/// Always: the kernel's, or the filter's.
pub fn ioctl_on_nothing(command: u64) -> io::Result<()> {
    // SAFETY: the descriptor is not open, so the call touches nothing.
    result(unsafe { libc::syscall(libc::SYS_ioctl, NO_DESCRIPTOR, command, 0) }).map(drop)
}

/// The same through the second interface that x86-64 has; ENOSYS where there is none.
///
/// # Errors
/// Always: the kernel's, or the filter's.
pub fn x32_ioctl_on_nothing(command: u64) -> io::Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    // SAFETY: as above.
    result(unsafe { libc::syscall(libc::SYS_ioctl | X32, NO_DESCRIPTOR, command, 0) }).map(drop)
}

/// Shared memory of this process's namespace, which ends with the processes that have it.
#[derive(Debug)]
pub struct Memory {
    at: *mut libc::c_void,
    /// Its number.
    pub number: i32,
}

impl Memory {
    /// Makes some that holds a text.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn holding(text: &str) -> io::Result<Self> {
        // SAFETY: the call takes numbers.
        let number = unsafe { libc::shmget(libc::IPC_PRIVATE, text.len() + 1, libc::IPC_CREAT | 0o600) };
        result(number.into())?;
        let attached = Self::attach(number);
        // SAFETY: from here on it lives as long as somebody has it, and is gone after SIGKILL too. The call takes numbers.
        unsafe { libc::shmctl(number, libc::IPC_RMID, std::ptr::null_mut()) };
        let memory = attached?;
        // SAFETY: what was attached is at least as long, ours alone, and new memory is zero behind the text.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), memory.at.cast(), text.len()) };
        Ok(memory)
    }

    /// Attaches what has this number.
    ///
    /// # Errors
    /// The kernel's answer: EINVAL where there is none of this number.
    pub fn attach(number: i32) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place.
        let at = unsafe { libc::shmat(number, std::ptr::null(), 0) };
        if at as isize == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { at, number })
    }

    /// Whether it holds this text, which is not longer than it is.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        // SAFETY: memory is attached by whole pages (at least 4096 bytes), and a canary is shorter than one.
        let there = unsafe { std::slice::from_raw_parts(self.at.cast::<u8>(), text.len().min(4096)) };
        there == text.as_bytes()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was attached by us, and nobody has a reference into it.
        unsafe { libc::shmdt(self.at) };
    }
}
