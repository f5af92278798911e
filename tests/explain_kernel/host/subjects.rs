//! The paths that are asked about.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{Host, NAMES};
use crate::random::Random;

/// How many paths are asked about: for each of them explain tries what would show it.
const SUBJECTS: usize = 140;

impl Host {
    pub(super) fn choose_subjects(&mut self, random: &mut Random) {
        let mut subjects: Vec<OsString> = Vec::new();
        for entry in self.entries.iter().chain(&self.bait) {
            subjects.push(entry.clone().into_os_string());
            if random.once_in(3) {
                subjects.push(
                    entry
                        .join(OsStr::from_bytes(random.of::<&[u8]>(&NAMES)))
                        .into_os_string(),
                );
            }
            if random.once_in(4) {
                subjects.push(
                    entry
                        .join("..")
                        .join(OsStr::from_bytes(random.of::<&[u8]>(&NAMES)))
                        .into_os_string(),
                );
            }
            if random.once_in(8) {
                subjects.push(entry.join("").into_os_string());
            }
        }
        for _ in 0..8 {
            let place = PathBuf::from(self.place(random));
            subjects.push(
                place
                    .join(OsStr::from_bytes(random.of::<&[u8]>(&NAMES)))
                    .into_os_string(),
            );
            subjects.extend(place.ancestors().map(|path| path.as_os_str().to_os_string()));
        }
        let fixed = [
            "/",
            "/etc",
            "/etc/passwd",
            "/etc/shadow",
            "/usr",
            "/usr/bin/env",
            "/bin/sh",
            "/bin/../etc/hosts",
            "/tmp",
            "/tmp/x",
            "/run",
            "/run/user",
            "/dev",
            "/dev/null",
            "/dev/zero",
            "/dev/full",
            "/dev/random",
            "/dev/urandom",
            "/dev/sda",
            "/dev/shm",
            "/dev/pts",
            "/dev/ptmx",
            "/dev/pts/ptmx",
            "/dev/fd",
            "/proc",
            "/proc/self",
            "/home",
            "/root",
            "/var",
            "/sys",
            "/mnt",
            "/srv",
            "/nonexistent/a",
        ];
        subjects.extend(fixed.iter().map(OsString::from));
        let home = self.home();
        for name in [
            "",
            ".ssh",
            ".claude",
            ".claude/CLAUDE.md",
            ".claude/sessions",
            ".claudebox",
            ".gitconfig",
            ".claude-auth",
            "new",
        ] {
            subjects.push(home.join(name).into_os_string());
        }
        // A longer path is no path to the kernel.
        subjects.retain(|subject| subject.len() < 4096);
        subjects.sort();
        subjects.dedup();
        while subjects.len() > SUBJECTS {
            subjects.swap_remove(random.below(subjects.len()));
        }
        self.subjects = subjects;
    }
}
