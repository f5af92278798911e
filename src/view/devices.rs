//! What bubblewrap puts into the sandbox's `/dev`, from its manual and its source: the same on every host.

use std::ffi::OsString;
use std::path::Path;

use crate::invariants::plan::Mount;

use super::{Kind, Place, memory, unknown};

/// Devices that everybody may read and write.
const OPEN: [&str; 6] = ["null", "zero", "full", "random", "urandom", "pts/ptmx"];

/// Links, and where they point.
const LINKS: [(&str, &str); 6] = [
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("fd", "/proc/self/fd"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// What is at a path below `/dev`, where `mount` is the one that makes it.
pub(super) fn device<'run>(name: &Path, mount: &'run Mount) -> Place<'run> {
    let is = |known: &str| name == Path::new(known);
    if OPEN.iter().any(|known| is(known)) {
        return Place {
            writable: Some(true),
            ..memory(Kind::Special, true, Some(mount))
        };
    }
    if let Some((_, target)) = LINKS.iter().find(|(known, _)| is(known)) {
        return Place {
            link: Some(OsString::from(target)),
            ..memory(Kind::Absent, false, Some(mount))
        };
    }
    if is("shm") {
        return memory(Kind::Directory, true, Some(mount));
    }
    if is("pts") {
        return memory(Kind::Directory, false, Some(mount));
    }
    if is("tty") {
        // It is there, and opens for a process that has a terminal.
        return Place {
            readable: None,
            writable: None,
            ..memory(Kind::Special, false, Some(mount))
        };
    }
    // A terminal's own entries; the console is there where standard output is a terminal.
    if is("console") || name.starts_with("pts") {
        return unknown(mount);
    }
    memory(Kind::Absent, false, Some(mount))
}
