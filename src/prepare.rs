//! Makes on the host what the plan says must be there before the start: the directories and first files of the state.
//! Nothing is ever replaced, nothing is left half written, and a directory that someone else could fill is refused.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that writes to the host's file system"
)]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::diagnostic::Diagnostic;
use crate::host::tree::plain;
use crate::invariants::plan::{Plan, Preparation};
use crate::path::HostPath;

/// Makes all of it, in order.
///
/// # Errors
/// The first thing that could not be made. What was made before it stays: each piece is whole, and the next launch goes on.
pub fn all(plan: &Plan, uid: u32, state: &HostPath) -> Result<(), Diagnostic> {
    for preparation in plan.preparations() {
        match preparation {
            Preparation::Directory(path) => make_directory(path, uid)?,
            Preparation::File { path, content, .. } => make_file(path, content)?,
            Preparation::Move { from, to } => move_file(from, to)?,
        }
    }
    check_directory(state, uid)?;
    plan.guard()
        .map_or(Ok(()), |guard| guard_directory(&guard.directory, uid))
}

/// The directory of a guard's socket, empty. Those of sessions that ended are removed: nothing of ours runs after a session.
fn guard_directory(directory: &HostPath, uid: u32) -> Result<(), Diagnostic> {
    let Some((sessions, name)) = directory.parent().zip(directory.name()) else {
        return Ok(());
    };
    make_directory(&sessions, uid)?;
    for entry in fs::read_dir(sessions.as_path()).into_iter().flatten().flatten() {
        if entry.file_name() == name || is_over(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    make_directory(directory, uid)
}

/// Whether a session's directory is left over: its launcher is gone, and nobody answers on its socket.
fn is_over(directory: &Path) -> bool {
    let launcher = directory
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("nix-")?.parse::<u32>().ok());
    launcher.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        && std::os::unix::net::UnixStream::connect(directory.join("socket")).is_err()
}

fn failed(what: &str, path: &HostPath, error: &io::Error) -> Diagnostic {
    Diagnostic::new("state", format!("cannot {what} `{path}`: {}", plain(error)))
        .hint("claudebox keeps its state in `~/.claudebox`; check its owner, its mode and the free space")
}

fn make_directory(path: &HostPath, uid: u32) -> Result<(), Diagnostic> {
    match fs::DirBuilder::new().mode(0o700).create(path.as_path()) {
        Ok(()) => Ok(()),
        // Another launch was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_directory(path, uid),
        Err(error) => Err(failed("make the directory", path, &error)),
    }
}

/// The directory is one, ours, and nobody else's to write.
fn check_directory(path: &HostPath, uid: u32) -> Result<(), Diagnostic> {
    let metadata = fs::symlink_metadata(path.as_path()).map_err(|error| failed("look at", path, &error))?;
    let wrong = if !metadata.is_dir() {
        "is no directory".to_string()
    } else if metadata.uid() != uid {
        format!("belongs to the user {}, not to you", metadata.uid())
    } else if metadata.mode() & 0o022 != 0 {
        format!("can be written by others (mode {:04o})", metadata.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(Diagnostic::new("state", format!("`{path}` {wrong}")).hint(format!("make it yours alone: chmod 700 {path}")))
}

/// The content is written under a name of its own and appears under its true name whole, or not at all.
fn make_file(path: &HostPath, content: &[u8]) -> Result<(), Diagnostic> {
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(format!(".new-{}", std::process::id()));
    let temporary = Path::new(&temporary);
    let written = write_new(temporary, content);
    let moved = written.and_then(|()| {
        renameat_with(CWD, temporary, CWD, path.as_path(), RenameFlags::NOREPLACE).map_err(io::Error::from)
    });
    match moved {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(temporary);
            // Another launch was faster, and its file is as good.
            if error.kind() == io::ErrorKind::AlreadyExists {
                Ok(())
            } else {
                Err(failed("write", path, &error))
            }
        }
    }
}

/// Writes a file that the user asked for. It appears whole or not at all, readable for the user alone, and never in the place of
/// another: not even of a link.
///
/// # Errors
/// Something of that name exists, or it cannot be written.
pub fn new_file(path: &Path, content: &[u8]) -> Result<(), Diagnostic> {
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(format!(".new-{}", std::process::id()));
    let temporary = Path::new(&temporary);
    let moved = write_new(temporary, content)
        .and_then(|()| renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from));
    moved.map_err(|error| {
        let _ = fs::remove_file(temporary);
        let shown = crate::path::printable(path.as_os_str());
        let message = format!("cannot write `{shown}`: {}", plain(&error));
        Diagnostic::new("output", message)
            .hint("name a file that does not exist yet, in a directory that you can write to")
    })
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // A file of that name is left over from a launch with our process id that was killed: it is ours to replace.
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn move_file(from: &HostPath, to: &HostPath) -> Result<(), Diagnostic> {
    match renameat_with(CWD, from.as_path(), CWD, to.as_path(), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(failed("move", from, &error.into())),
    }
}
