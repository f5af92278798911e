//! Becomes bubblewrap. The only starter of processes; no shell and no supervisor stays between the terminal and Claude Code.

pub mod broker;
pub mod network;
pub mod nix;
pub mod tools;
pub mod verify;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::bwrap::{Content, Invocation, Word};
use crate::check::Trial;
use crate::companion::{Companion, Task};
use crate::diagnostic::Diagnostic;
use crate::host::namespaces::Namespaces;
use crate::host::nix::daemon::Guard;
use crate::host::tree::plain;
use crate::path::{HostPath, printable};
use crate::prepare::Held;
use crate::sys::{self, Interrupts};

use network::{Attached, Needs};

/// What runs beside the sandbox.
#[derive(Debug)]
pub struct Beside<'launch> {
    /// The network, if it is one of the sandbox's own.
    pub network: Option<Needs<'launch>>,
    /// The guard before the Nix daemon, if the sandbox needs one.
    pub guard: Option<&'launch Guard>,
    /// What the companion does.
    pub task: Task,
}

/// Becomes bubblewrap with this invocation. Returns only where that failed.
///
/// # Errors
/// Always an error: on success this process is bubblewrap.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts a process on the host"
)]
pub fn exec(bwrap: &HostPath, beside: Beside, invocation: &Invocation, held: &Held) -> Diagnostic {
    if let Err(error) = shut() {
        return failed("shut what must not be inherited", &error);
    }
    // INVARIANT(nix-trust): without the guard bubblewrap is not started. It comes up in this host's own namespaces.
    if let Some(Err(error)) = beside.guard.map(nix::guard) {
        return error;
    }
    let companion = match Companion::start(beside.task) {
        Ok(companion) => companion,
        Err(error) => return error,
    };
    // INVARIANT(network): whatever fails on the way to an isolated network, bubblewrap is not started.
    let attached = match beside.network.as_ref().map(network::attach).transpose() {
        Ok(attached) => attached,
        Err(error) => return error,
    };
    let prepared = prepare(invocation, &companion, attached.as_ref()).and_then(|prepared| {
        held.keep_over_exec()?;
        Ok(prepared)
    });
    let (_files, arguments) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return failed("prepare the start", &error),
    };
    // INVARIANT(git-exec-surface): the reservations stand before bubblewrap starts. They were made while the rest was prepared.
    if let Err(error) = companion.wait() {
        return error;
    }
    // From here on Ctrl+C is bubblewrap's business, which ignores it; the first process inside gives it its meaning back.
    sys::interrupts(Interrupts::Ignored);
    // INVARIANT(clean-environment): an empty environment for bubblewrap itself, which is process 1 inside, where
    // /proc/1/environ would show the host's.
    let error = std::process::Command::new(bwrap.as_path())
        .env_clear()
        .args(arguments)
        .exec();
    sys::interrupts(Interrupts::Usual);
    failed(&format!("start `{bwrap}`"), &error)
}

/// Whether a sandbox can start at all. INVARIANT(namespaces): bubblewrap would say it too, but with an exit code that could
/// be the command's.
///
/// # Errors
/// User namespaces are forbidden, or allowed to some programs only ([`Namespaces::Chosen`]) and not to bubblewrap.
pub fn possible(bwrap: &HostPath, namespaces: Namespaces) -> Result<(), Diagnostic> {
    if namespaces == Namespaces::Free {
        return Ok(());
    }
    let forbidden = match sys::try_user_namespace() {
        Err(error) => format!("this system does not let you make a user namespace: {}", plain(&error)),
        Ok(()) if namespaces == Namespaces::Chosen => match trial(bwrap).sandbox {
            Err(said) => format!("this system does not let bubblewrap make a sandbox: {said}"),
            Ok(()) => return Ok(()),
        },
        Ok(()) => return Ok(()),
    };
    Err(Diagnostic::new("namespaces", forbidden).hint("`claudebox --check` names what forbids it, and the fix"))
}

/// Tries bubblewrap: its version, and a sandbox with every namespace in which `true` runs.
///
/// Both run with an empty environment and see nothing of ours.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts a process on the host"
)]
pub fn trial(bwrap: &HostPath) -> Trial {
    let run = |words: &[&str]| {
        std::process::Command::new(bwrap.as_path())
            .env_clear()
            .args(words)
            .stdin(Stdio::null())
            .output()
    };
    let version = run(&["--version"]).ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.split_whitespace().nth(1)?.to_string())
    });
    let all = [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup",
        "--unshare-net",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "true",
    ];
    let sandbox = match run(&all) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(printable(OsStr::from_bytes(output.stderr.trim_ascii()))),
        Err(error) => Err(plain(&error)),
    };
    Trial { version, sandbox }
}

fn failed(what: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::new("launch", format!("cannot {what}: {}", plain(error))).hint("nothing was started")
}

/// Shuts what must not be inherited, before anything else is opened or started.
fn shut() -> io::Result<()> {
    // INVARIANT(no-inherited-fds): the caller's descriptors first, so that ours, opened after it, are the only others.
    sys::close_others_on_exec()?;
    // INVARIANT(tty-and-keyring): the keyring is a property of this process that the exec keeps.
    sys::fresh_session_keyring()
}

/// Opens what bubblewrap reads: one file for its options, and those that they name; and hands the companion's ends on.
fn prepare(
    invocation: &Invocation,
    companion: &Companion,
    attached: Option<&Attached>,
) -> io::Result<(Vec<OwnedFd>, Vec<OsString>)> {
    let mut files = Vec::with_capacity(invocation.files.len() + 1);
    for content in &invocation.files {
        files.push(match content {
            Content::Plain(content) => memory_file(content)?,
            Content::Certificates(content) => {
                let certificate = attached.map_or(&[][..], |attached| attached.certificate.as_slice());
                memory_file(&[content.as_slice(), certificate].concat())?
            }
        });
    }
    let mut options = Vec::new();
    for word in &invocation.options {
        match word {
            Word::Plain(word) | Word::Secret { value: word, .. } => options.extend_from_slice(word.as_bytes()),
            Word::File(index) => {
                let file = files
                    .get(*index)
                    .ok_or_else(|| io::Error::other("an option names a file that is not there"))?;
                options.extend_from_slice(file.as_raw_fd().to_string().as_bytes());
            }
            Word::Lifeline => {
                let lifeline = attached
                    .map(|attached| &attached.lifeline)
                    .ok_or_else(|| io::Error::other("an option names a network that is not there"))?;
                fcntl_setfd(lifeline, FdFlags::empty())?;
                options.extend_from_slice(lifeline.as_raw_fd().to_string().as_bytes());
            }
        }
        options.push(0);
    }
    let options = memory_file(&options)?;
    let (info, gate) = companion.hand_over()?;
    let mut arguments: Vec<OsString> = vec!["--args".into(), options.as_raw_fd().to_string().into()];
    arguments.extend(info.into_iter().map(OsString::from));
    arguments.push("--".into());
    // Our own first program, which waits at the gate and then becomes the command.
    arguments.extend(invocation.command.first().cloned());
    arguments.push(gate.into());
    arguments.extend(invocation.command.iter().skip(1).cloned());
    files.push(options);
    Ok((files, arguments))
}

/// A file in memory that exec keeps open; bubblewrap reads it and closes it before the command starts.
fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create("claudebox", MemfdFlags::empty())?;
    let mut written = 0;
    while let Some(rest) = content.get(written..).filter(|rest| !rest.is_empty()) {
        // At its place, so that the reader begins at the start.
        written += rustix::io::pwrite(&file, rest, written as u64)?;
    }
    Ok(file)
}
