//! Runs a process and says what it took, as wait4(2) tells.
#![expect(unsafe_code, reason = "the standard library does not tell what a child took")]

use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What one run took.
pub struct Sample {
    /// From the start to the end, in milliseconds.
    pub wall: f64,
    /// Processor time of the process and its children, in milliseconds.
    pub cpu: f64,
    /// The most memory at a time, in MiB.
    pub memory: f64,
}

/// Runs a command to its end, which must be a success.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it, and tells what it took")]
pub fn run(command: &mut Command) -> Sample {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let child = command.spawn().expect("a process");
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one, and both pointers live through the call.
    let (waited, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let pid = i32::try_from(child.id()).expect("a process id");
        (libc::wait4(pid, &raw mut status, 0, &raw mut usage), usage)
    };
    let wall = start.elapsed().as_secs_f64() * 1e3;
    assert!(
        waited > 0 && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "the command failed: {command:?}"
    );
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    Sample {
        wall,
        cpu: ms(usage.ru_utime) + ms(usage.ru_stime),
        memory: usage.ru_maxrss as f64 / 1024.0,
    }
}

/// Runs bubblewrap with the options of a dry run, whose files hold a line of text each: the content costs nothing.
pub fn bare(options: &[String]) -> Sample {
    let mut files = Vec::new();
    let mut words = Vec::new();
    let mut skip_filter = false;
    for (index, word) in options.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| options[before].as_str());
        match before {
            Some("--ro-bind-data") => {
                let file = memory_file(b"text\n");
                words.push(file.as_raw_fd().to_string());
                files.push(file);
            }
            Some("--seccomp") => {
                let file = memory_file(&claudebox::seccomp::program());
                words.push(file.as_raw_fd().to_string());
                files.push(file);
                skip_filter = true;
            }
            _ => words.push(word.clone()),
        }
    }
    assert!(skip_filter, "the options have a filter");
    let joined: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
    let list = memory_file(&joined);
    let mut command = Command::new("/usr/bin/bwrap");
    command
        .env_clear()
        .arg("--args")
        .arg(list.as_raw_fd().to_string())
        .args(["--", "/run/claudebox/init", "/bin/true"]);
    run(&mut command)
}

fn memory_file(content: &[u8]) -> std::os::fd::OwnedFd {
    let file = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::empty()).expect("a file in memory");
    rustix::io::write(&file, content).expect("a write");
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).expect("a seek");
    file
}

/// The middle value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// One time over another.
pub fn ratio(ours: f64, bare: f64) -> f64 {
    if bare > 0.0 { ours / bare } else { 0.0 }
}

/// What was measured on.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: ").map(String::from))
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let version = Command::new("/usr/bin/bwrap")
        .arg("--version")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    format!(
        "machine: {cpu}, {cores} cores, Linux {}, {}",
        read("/proc/sys/kernel/osrelease").trim(),
        version.unwrap_or_default()
    )
}
