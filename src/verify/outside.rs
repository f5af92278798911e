//! What `--verify` does outside the sandbox: the canaries, and a look at the sandbox's processes as every user of the host
//! sees them.
#![expect(clippy::disallowed_methods, reason = "looks at the processes that it started")]

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixListener};

use rustix::fs::{MemfdFlags, memfd_create};

use super::canary::{canary, place};
use crate::launch::verify::at_the_end;
use crate::prepare::canary::{Files, directory, make, remove};
use crate::sys::{self, tries};

/// The canaries of one run, beside those in the environment and on the command line. Those that this kernel does not let be
/// planted are missing, and the table says so.
#[derive(Debug)]
pub struct Planted {
    /// What they have in common.
    pub token: String,
    /// The directory in `/tmp`.
    pub files: Files,
    /// The name of an abstract socket that listens.
    pub abstract_name: OsString,
    /// A port that listens on the host's loopback.
    pub port: SocketAddr,
    /// Shared memory.
    pub memory: Option<tries::Memory>,
    /// Whether a key is in the session keyring: the answer of a kernel that has none else.
    pub key: io::Result<()>,
    #[expect(dead_code, reason = "held open: the canaries live as long as this")]
    held: (OwnedFd, UnixListener, UnixListener, TcpListener),
}

impl Planted {
    /// Plants them.
    ///
    /// # Errors
    /// One that every kernel lets be planted could not be.
    pub fn plant(token: &str) -> io::Result<Self> {
        let path = directory(token);
        // Before the directory is there, and before anything is open that must end with this process.
        at_the_end(move || remove(&path))?;
        let (files, listener) = make(token, &canary(token, place::FILE))?;
        let abstract_name = OsString::from(format!("claudebox-verify-{token}"));
        let address = unix::SocketAddr::from_abstract_name(abstract_name.as_encoded_bytes())?;
        let abstract_listener = UnixListener::bind_addr(&address)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?;
        // Without the flag that closes it on exec, as a careless program leaves its own.
        let descriptor = memfd_create(canary(token, place::DESCRIPTOR), MemfdFlags::empty())?;
        rustix::io::write(&descriptor, canary(token, place::DESCRIPTOR).as_bytes())?;
        let key = sys::fresh_session_keyring().and_then(|()| {
            let name = canary(token, place::KEYRING);
            tries::add_key(&name, &name)?;
            // Nothing is tested by a key that nobody could find.
            tries::search_key(&name, false).and_then(tries::read_key).map(drop)
        });
        Ok(Self {
            token: token.to_string(),
            files,
            abstract_name,
            port: port.local_addr()?,
            memory: tries::Memory::holding(&canary(token, place::MEMORY)).ok(),
            key,
            held: (descriptor, listener, abstract_listener, port),
        })
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        remove(&self.files.directory);
    }
}

/// The command lines of a process and of all that descend from it, a zero after each word.
pub(super) fn command_lines(root: i32) -> Vec<Vec<u8>> {
    let parent = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse::<i32>().ok()
    };
    let descends = |pid: i32| std::iter::successors(Some(pid), |pid| parent(*pid)).any(|pid| pid == root);
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| descends(*pid))
        .map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
        .collect()
}
