//! What paths show, without opening what must not be opened: a device, a pipe, a file that somebody would miss.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the sandbox from inside: that is its task"
)]

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;

use crate::host::mounts::unescaped;
use crate::verify::message::{Bytes, Look};
use crate::view::Kind;

/// Looks at a path, links followed.
pub(super) fn look(path: &Path) -> Look {
    let status = match stat(path) {
        Ok(status) => status,
        Err(error) => {
            let kind = match error {
                Errno::NOENT | Errno::NOTDIR => Kind::Absent,
                _ => Kind::Unreachable(String::new()),
            };
            return Look {
                kind: kind.word().into(),
                ..Look::default()
            };
        }
    };
    let may = |access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    let (kind, empty, write) = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => (
            Kind::Directory,
            list(path).is_some_and(|names| names.is_empty()),
            Access::WRITE_OK | Access::EXEC_OK,
        ),
        FileType::RegularFile => (Kind::File, status.st_size == 0, Access::WRITE_OK),
        FileType::Socket => (Kind::Socket, false, Access::WRITE_OK),
        _ => (Kind::Special, false, Access::WRITE_OK),
    };
    Look {
        kind: kind.word().into(),
        identity: (status.st_dev, status.st_ino),
        readable: may(Access::READ_OK),
        writable: may(write),
        empty,
    }
}

/// The names in a directory.
pub(super) fn list(path: &Path) -> Option<Vec<Bytes>> {
    let names = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.file_name());
    Some(names.map(Bytes::from).collect())
}

/// What is seen wherever something is mounted, as /proc/self/mountinfo lists it.
pub(super) fn mounts(list: &[u8]) -> Vec<(Bytes, Look)> {
    let lines = list.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|point| {
            let point = Bytes::from(unescaped(point));
            let look = look(point.as_path());
            (point, look)
        })
        .collect()
}
