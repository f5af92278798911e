//! Makes the directory in which the guard before the Nix daemon has its socket, and sweeps those of sessions that ended:
//! nothing of ours runs after a session.
#![expect(
    clippy::disallowed_methods,
    reason = "writes to the host's file system, like the module above"
)]

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::host::nix::daemon::Guard;
use crate::host::tree::plain;
use crate::path::HostPath;

/// Makes it, empty and the caller's alone.
///
/// # Errors
/// It cannot be made, or its place is somebody else's.
pub fn directory(guard: &Guard, uid: u32) -> Result<(), Diagnostic> {
    let Some((sessions, name)) = guard.directory.parent().zip(guard.directory.name()) else {
        return Ok(());
    };
    make(&sessions, uid)?;
    for entry in fs::read_dir(sessions.as_path()).into_iter().flatten().flatten() {
        if entry.file_name() == name || is_over(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    make(&guard.directory, uid)
}

/// Whether a session's directory is left over: its launcher is gone, and nobody answers on its socket.
fn is_over(directory: &Path) -> bool {
    let launcher = directory
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("nix-")?.parse::<u32>().ok());
    launcher.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        && UnixStream::connect(directory.join("socket")).is_err()
}

fn make(path: &HostPath, uid: u32) -> Result<(), Diagnostic> {
    let failed = |why: String| {
        Diagnostic::new(
            "nix-trust",
            format!("the guard before the Nix daemon cannot have `{path}`: {why}"),
        )
        .hint("check the owner and the mode of that directory and of the one that holds it")
    };
    match fs::DirBuilder::new().mode(0o700).create(path.as_path()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(plain(&error))),
        _ => {}
    }
    let metadata = fs::symlink_metadata(path.as_path()).map_err(|error| failed(plain(&error)))?;
    if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o077 != 0 {
        return Err(failed("it is no directory of yours alone".into()));
    }
    Ok(())
}
