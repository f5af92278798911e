//! The probe: runs in Claude Code's place, tries what a hostile program would try first, and tells what came of it. It
//! judges nothing, and knows neither the plan nor the host. Its questions come, and its answers go, through standard output,
//! which is a socket while `--verify` runs; so it needs nothing that Claude Code would not have.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the sandbox from inside: that is its task"
)]

mod call;
mod connect;
mod hunt;
mod nix;
mod paths;
mod processes;

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::canary::{canary, place};
use super::message::{Answers, Attempt, Bytes, Hello, Questions, Request, Try, receive, send};
use crate::invariants::structure::INIT;
use crate::seccomp::{TIOCLINUX, TIOCSTI};
use crate::sys::tries;

/// The word that makes the sandbox's first program a probe.
const WORD: &str = "--probe";

/// How long a process tries to outlive the sandbox.
const SURVIVAL: Duration = Duration::from_secs(2);

/// A bit that the kernel does not look at.
const HIGH_BIT: u64 = 1 << 32;

/// The command that runs the probe inside, by the first program as every command.
#[must_use]
pub fn command() -> [OsString; 3] {
    [INIT.into(), INIT.into(), WORD.into()]
}

/// Whether the words after the program's name ask for the probe.
#[must_use]
pub fn is_wanted(words: &[OsString]) -> bool {
    matches!(words, [word] if word == WORD)
}

/// Is the probe.
#[must_use]
pub fn run() -> u8 {
    // Before anything is opened.
    let descriptors = processes::own_descriptors();
    let talked = rustix::stdio::stdout()
        .try_clone_to_owned()
        .map(UnixStream::from)
        .and_then(|socket| {
            send(&socket, &Hello)?;
            let questions: Questions = receive(&socket)?;
            send(&socket, &answer(&questions, descriptors))?;
            loop {
                match receive(&socket)? {
                    Request::Connect {
                        name,
                        port,
                        certificates,
                    } => call::connect(&socket, &name, port, &certificates)?,
                    Request::Hunt(needles) => send(&socket, &hunt::everywhere(&needles))?,
                    Request::Nothing => return Ok(()),
                }
            }
        });
    if talked.is_err() {
        return crate::EXIT_REFUSED;
    }
    // Whoever holds the socket after the end of the sandbox has outlived it.
    let survivor = crate::sys::forked(|| {
        let _ = rustix::process::setsid();
        std::thread::sleep(SURVIVAL);
        0
    });
    u8::from(survivor.is_err())
}

fn answer(questions: &Questions, descriptors: Vec<(i32, String)>) -> Answers {
    let token = questions.token.as_str();
    let read = |path: &str| std::fs::read(path).unwrap_or_default();
    let text = |path: &str| String::from_utf8_lossy(&read(path)).into_owned();
    let mut connections = connect::Connections::default();
    let sockets: Vec<_> = questions.sockets.iter().map(|path| connections.unix(path)).collect();
    let abstract_socket = connections.abstract_unix(&questions.abstract_socket);
    let addresses: Vec<_> = questions.addresses.iter().map(|to| connections.internet(to)).collect();
    connections.wait();
    Answers {
        pid: rustix::process::getpid().as_raw_nonzero().get(),
        environment: read("/proc/self/environ")
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
            .map(|entry| Bytes(entry.to_vec()))
            .collect(),
        processes: processes::all(token),
        descriptors,
        keyring: keyring(token),
        terminal: terminal(),
        namespaces: namespaces(),
        memory: memory(token, questions.memory),
        looks: questions.paths.iter().map(|path| paths::look(path.as_path())).collect(),
        listings: questions
            .directories
            .iter()
            .map(|path| paths::list(path.as_path()))
            .collect(),
        mounts: paths::mounts(&read("/proc/self/mountinfo")),
        sockets: sockets.into_iter().map(|place| connections.result(place)).collect(),
        abstract_socket: connections.result(abstract_socket),
        addresses: addresses.into_iter().map(|place| connections.result(place)).collect(),
        nix: nix::ask(questions.nix.as_path()),
        status: text("/proc/self/status"),
        uid_map: text("/proc/self/uid_map"),
    }
}

fn attempt<T>(what: &str, result: &io::Result<T>) -> Attempt {
    Attempt {
        what: what.to_string(),
        result: Try::of(result),
    }
}

fn keyring(token: &str) -> Vec<Attempt> {
    let name = canary(token, place::KEYRING);
    let found = |of_user| tries::search_key(&name, of_user).and_then(tries::read_key);
    vec![
        attempt("search the session's keyring", &found(false)),
        attempt("search the user's keyring", &found(true)),
        attempt("request a key", &tries::request_key(&name).and_then(tries::read_key)),
        attempt("add a key", &tries::add_key(&canary(token, "inside"), "x")),
    ]
}

fn terminal() -> Vec<Attempt> {
    [("TIOCSTI", TIOCSTI), ("TIOCLINUX", TIOCLINUX)]
        .into_iter()
        .flat_map(|(name, command)| {
            let command = u64::from(command);
            [
                attempt(name, &tries::ioctl_on_nothing(command)),
                attempt(
                    &format!("{name} with high bits"),
                    &tries::ioctl_on_nothing(command | HIGH_BIT),
                ),
                attempt(
                    &format!("{name} by the x32 interface"),
                    &tries::x32_ioctl_on_nothing(command),
                ),
            ]
        })
        .collect()
}

fn namespaces() -> Vec<(String, u64)> {
    super::NAMESPACES
        .iter()
        .filter_map(|name| Some((name.to_string(), super::namespace("self", name)?)))
        .collect()
}

fn memory(token: &str, number: Option<i32>) -> Attempt {
    let attached = match number {
        Some(number) => tries::Memory::attach(number).and_then(|memory| {
            if memory.holds(&canary(token, place::MEMORY)) {
                Ok(())
            } else {
                Err(io::Error::from(rustix::io::Errno::NOMSG))
            }
        }),
        None => Err(io::Error::from(rustix::io::Errno::INVAL)),
    };
    attempt("attach shared memory of the host", &attached)
}
