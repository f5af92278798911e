//! Looks for needles in everything that a program inside can read: environments, command lines, memory and open files of all
//! processes, and files.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the sandbox from inside: that is its task"
)]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::processes::{entries, numbered};
use crate::path::printable;
use crate::verify::message::{Bytes, Found};
use crate::verify::needles::Needles;

/// How much is read in all, in bytes: a project can have more files than anybody waits for.
const ALL_MAX: usize = 256 * 1024 * 1024;

/// How many files are read.
const FILES_MAX: usize = 100_000;

/// How long the hunt may take. It takes a part of a second; a machine under heavy load may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a file is read, in bytes. What holds a key is small.
const FILE_MAX: u64 = 8 * 1024 * 1024;

/// How much is read at a time, in bytes.
const PART: usize = 256 * 1024;

/// How much of a process's memory is read, in bytes.
const MEMORY_MAX: u64 = 64 * 1024 * 1024;

/// The most that is told.
const HITS_MAX: usize = 100;

/// Where nothing of the user's is: the kernel's own file systems, and the system's programs.
const SYSTEM: [&str; 5] = ["/dev", "/nix", "/proc", "/sys", "/usr"];

/// The hunt.
pub(super) fn everywhere(needles: &Needles) -> Found {
    let mut hunt = Hunt {
        needles,
        found: Found::default(),
        end: Instant::now() + PATIENCE,
        read: 0,
    };
    hunt.processes();
    hunt.files();
    hunt.found
}

struct Hunt<'hunt> {
    needles: &'hunt Needles,
    found: Found,
    end: Instant,
    /// How much was read, in bytes.
    read: usize,
}

impl Hunt<'_> {
    fn processes(&mut self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        for (pid, directory) in numbered() {
            self.found.processes += 1;
            for (file, what) in [("environ", "environment"), ("cmdline", "command line")] {
                self.file(
                    &directory.join(file),
                    &format!("the {what} of process {pid}"),
                    MEMORY_MAX,
                );
            }
            for descriptor in entries(&directory.join("fd")).iter().filter(|path| path.is_file()) {
                self.file(descriptor, &format!("an open file of process {pid}"), FILE_MAX);
            }
            // Its own holds what it reads.
            if pid != own {
                self.memory(&directory, &format!("the memory of process {pid}"));
            }
        }
    }

    fn memory(&mut self, process: &Path, place: &str) {
        let maps = std::fs::read_to_string(process.join("maps")).unwrap_or_default();
        let Ok(mut memory) = File::open(process.join("mem")) else {
            return;
        };
        let mut left = MEMORY_MAX;
        for line in maps.lines() {
            let Some((range, rest)) = line.split_once(' ') else {
                continue;
            };
            let Some((start, end)) = range.split_once('-') else {
                continue;
            };
            let number = |text| u64::from_str_radix(text, 16).unwrap_or_default();
            let (start, length) = (number(start), number(end).saturating_sub(number(start)));
            if rest.starts_with('r') && memory.seek(SeekFrom::Start(start)).is_ok() {
                let length = length.min(left);
                left -= length;
                self.look(Read::by_ref(&mut memory).take(length), place);
            }
        }
    }

    /// All files, the nearest to the root first, no link followed.
    fn files(&mut self) {
        let mut directories = VecDeque::from([PathBuf::from("/")]);
        while let Some(directory) = directories.pop_front() {
            for path in entries(&directory) {
                if self.is_enough() {
                    self.found.more = true;
                    return;
                }
                let Ok(status) = path.symlink_metadata() else { continue };
                if status.is_dir() && !SYSTEM.iter().any(|system| path.as_os_str() == *system) {
                    directories.push_back(path);
                } else if status.is_file() {
                    self.found.files += 1;
                    self.file(&path, &format!("`{}`", printable(path.as_os_str())), FILE_MAX);
                }
            }
        }
    }

    fn file(&mut self, path: &Path, place: &str, length: u64) {
        if let Ok(file) = File::open(path) {
            self.look(file.take(length), place);
        }
    }

    /// Looks part by part, each with the end of the one before it.
    fn look(&mut self, mut text: impl Read, place: &str) {
        let mut part = Vec::new();
        loop {
            let kept = part.len().saturating_sub(self.needles.overlap());
            part.drain(..kept);
            let seen = part.len();
            let read = text.by_ref().take(PART as u64).read_to_end(&mut part);
            let hits = &mut self.found.hits;
            self.needles.look(&part, seen, |bytes| {
                let hit = (place.to_string(), Bytes(bytes.to_vec()));
                if hits.len() < HITS_MAX && !hits.contains(&hit) {
                    hits.push(hit);
                }
            });
            if !matches!(read, Ok(1..)) {
                return;
            }
            self.read += part.len() - seen;
            if self.is_enough() {
                self.found.more = true;
                return;
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.read >= ALL_MAX || self.found.files >= FILES_MAX || Instant::now() >= self.end
    }
}
