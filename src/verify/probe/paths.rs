//! What paths show, without opening what must not be opened: a device, a pipe, a file that somebody would miss.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the sandbox from inside: that is its task"
)]

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;

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
            let point = unescaped(point);
            let look = look(point.as_path());
            (point, look)
        })
        .collect()
}

/// A path as /proc/self/mountinfo writes it: blanks, line breaks and backslashes as three octal digits.
fn unescaped(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Bytes(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_writes_blanks_as_octal_digits() {
        assert_eq!(unescaped(br"/a\040b\134c\012"), Bytes::from("/a b\\c\n"));
        assert_eq!(unescaped(br"/a\04"), Bytes::from("/a\\04"));
        assert_eq!(unescaped(b"\\"), Bytes::from("\\"));
    }
}
