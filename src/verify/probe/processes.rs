//! The processes that are seen, and whether canaries are in what can be read of them.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the sandbox from inside: that is its task"
)]

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::verify::canary;
use crate::verify::message::Process;

/// How much of a file behind a descriptor is read, in bytes.
const START: u64 = 4096;

/// This process's descriptors above standard error, each with what it is.
pub(super) fn own_descriptors() -> Vec<(i32, String)> {
    let list = |number: &PathBuf| {
        let number = number.file_name()?.to_str()?.parse::<i32>().ok()?;
        // The one by which they are listed is closed again.
        let target = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        (number > 2).then(|| (number, target.to_string_lossy().into_owned()))
    };
    entries(Path::new("/proc/self/fd")).iter().filter_map(list).collect()
}

/// All processes.
pub(super) fn all(token: &str) -> Vec<Process> {
    numbered()
        .map(|(pid, directory)| {
            let read = |name: &str| std::fs::read(directory.join(name)).unwrap_or_default();
            let mut environment = read("environ");
            let length = environment.len();
            for task in entries(&directory.join("task")) {
                environment.extend(std::fs::read(task.join("environ")).unwrap_or_default());
            }
            environment.extend(read("cmdline"));
            for descriptor in entries(&directory.join("fd")) {
                environment.extend(behind(&descriptor));
            }
            Process {
                pid,
                name: String::from_utf8_lossy(&read("comm")).trim_end().to_string(),
                environment: length,
                canaries: canary::found(token, &environment),
            }
        })
        .collect()
}

/// Each process's number and its directory.
pub(super) fn numbered() -> impl Iterator<Item = (i32, PathBuf)> {
    entries(Path::new("/proc"))
        .into_iter()
        .filter_map(|directory| Some((directory.file_name()?.to_str()?.parse().ok()?, directory)))
}

/// What a descriptor is called, and the start of its file. Only of a file: others wait for somebody who writes.
fn behind(descriptor: &Path) -> Vec<u8> {
    let name = std::fs::read_link(descriptor).unwrap_or_default();
    let mut bytes = name.as_os_str().as_bytes().to_vec();
    if descriptor.is_file()
        && let Ok(file) = std::fs::File::open(descriptor)
    {
        let _ = file.take(START).read_to_end(&mut bytes);
    }
    bytes
}

pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
