//! The canary of `--verify` in the host's file system: a directory in `/tmp` with a file and a socket. Nothing else of the
//! host is written for it.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Where temporary files are on every host, and where a sandbox has its own.
const TEMPORARY: &str = "/tmp";

/// The canary's directory. Dropping it does not remove it: see [`remove`].
#[derive(Debug)]
pub struct Files {
    /// The directory.
    pub directory: PathBuf,
    /// The file in it.
    pub file: PathBuf,
    /// The socket in it.
    pub socket: PathBuf,
}

/// The directory of one run.
#[must_use]
pub fn directory(token: &str) -> PathBuf {
    Path::new(TEMPORARY).join(format!("claudebox-verify-{token}"))
}

/// Makes all of it, the caller's alone. The socket listens until it is closed.
///
/// # Errors
/// The kernel's answer; the directory may be there then.
pub fn make(token: &str, content: &str) -> io::Result<(Files, UnixListener)> {
    let directory = directory(token);
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let files = Files {
        file: directory.join("file"),
        socket: directory.join("socket"),
        directory,
    };
    fs::write(&files.file, content)?;
    let listener = UnixListener::bind(&files.socket)?;
    Ok((files, listener))
}

/// Removes it.
pub fn remove(directory: &Path) {
    let _ = fs::remove_dir_all(directory);
}
