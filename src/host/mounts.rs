//! What the host has mounted, as the kernel lists it (proc_pid_mountinfo(5)): one directory can be seen at several places by
//! bind mounts, and each of these is another path to it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::path::HostPath;

use super::tree::plain;

/// All mounts that this process sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// The number of the file system's device, as written.
    device: Vec<u8>,
    /// Which directory of the file system is mounted.
    root: HostPath,
    /// Where.
    point: HostPath,
}

impl Mounts {
    /// Looks.
    ///
    /// # Errors
    /// The list cannot be read: why.
    pub fn look() -> Result<Self, String> {
        let list = super::kernel::list("/proc/self/mountinfo")
            .map_err(|error| format!("`/proc/self/mountinfo` cannot be read: {}", plain(&error)))?;
        Ok(Self::parse(&list))
    }

    fn parse(list: &[u8]) -> Self {
        let mounts = list.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ').skip(2);
            Some(Mount {
                device: fields.next()?.to_vec(),
                root: HostPath::new(unescaped(fields.next()?)).ok()?,
                point: HostPath::new(unescaped(fields.next()?)).ok()?,
            })
        });
        Self(mounts.collect())
    }

    /// The other places at which a canonical path is seen, or a part of what lies in it.
    #[must_use]
    pub fn other_places(&self, path: &HostPath) -> Vec<HostPath> {
        // Of those on one place the last one counts; the deepest place holds the path.
        let around = self.0.iter().filter(|mount| path.within(&mount.point));
        let Some(holder) = around.max_by_key(|mount| mount.point.depth()) else {
            return Vec::new();
        };
        let Some(Ok(inside)) = path.below(&holder.point).map(|rest| joined(&holder.root, rest)) else {
            return Vec::new();
        };
        let others = self.0.iter().filter(|mount| mount.device == holder.device);
        let places = others.filter_map(|mount| match inside.below(&mount.root) {
            Some(rest) => joined(&mount.point, rest).ok(),
            None => mount.root.within(&inside).then(|| mount.point.clone()),
        });
        places.filter(|place| !place.within(path)).collect()
    }
}

fn joined(base: &HostPath, rest: &std::path::Path) -> Result<HostPath, crate::path::Malformed> {
    if rest.as_os_str().is_empty() {
        Ok(base.clone())
    } else {
        base.join(rest)
    }
}

/// A path as the kernel's list writes it: blanks, line breaks and backslashes as three octal digits.
#[must_use]
pub fn unescaped(text: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let octal = tail
            .get(..3)
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
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
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        30 22 8:2 / /home rw - ext4 /dev/sda2 rw\n\
        31 30 8:2 /u/.ssh /home/u/p/ke\\040ys rw - ext4 /dev/sda2 rw\n\
        32 22 8:2 /u /mnt/home rw - ext4 /dev/sda2 rw\n\
        33 22 8:2 /u/.config/gh /srv/gh rw - ext4 /dev/sda2 rw\n\
        34 22 0:5 /u/.ssh /proc rw - proc proc rw\n\
        no mount\n";

    fn places(path: &str) -> Vec<String> {
        let path = HostPath::new(path).unwrap();
        let places = Mounts::parse(LIST).other_places(&path);
        places.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_directory_is_seen_at_each_of_its_mounts() {
        assert_eq!(places("/home/u/.ssh"), ["/home/u/p/ke ys", "/mnt/home/.ssh"]);
        assert_eq!(places("/home/u/.ssh/id"), ["/home/u/p/ke ys/id", "/mnt/home/.ssh/id"]);
        // A part of it, too.
        assert_eq!(places("/home/u/.config"), ["/mnt/home/.config", "/srv/gh"]);
        assert_eq!(places("/mnt/home/.ssh"), ["/home/u/.ssh", "/home/u/p/ke ys"]);
        assert_eq!(places("/etc/shadow"), Vec::<String>::new());
        assert_eq!(places("/home/v"), Vec::<String>::new());
        assert!(Mounts::default().other_places(&HostPath::root()).is_empty());
    }

    #[test]
    fn the_kernel_writes_blanks_as_octal_digits() {
        assert_eq!(unescaped(br"/a\040b\134c\012"), OsString::from("/a b\\c\n"));
        assert_eq!(unescaped(br"/a\04"), OsString::from("/a\\04"));
        assert_eq!(unescaped(br"\+12"), OsString::from("\\+12"));
        assert_eq!(unescaped(b"\\"), OsString::from("\\"));
    }
}
