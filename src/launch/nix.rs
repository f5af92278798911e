//! Asks the Nix daemon about itself, and puts a guard before it: a daemon of the session's own that trusts nobody.
//!
//! The guard is a Nix that serves on a socket of its own and hands on to the host's daemon. What only trusted users may ask
//! for (hooks, unsandboxed builds, unsigned imports) ends at the guard, whoever started it; root too.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::host::nix::daemon::{Age, Answer, Guard, SOCKET, trusts_nobody};
use crate::host::tree::plain;
use crate::net::helper::{NAME, Role};
use crate::path::{HostPath, printable};

/// How long an answer, or the guard, may take. It takes some fifty milliseconds; a machine under heavy load may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to sleep between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// What every Nix that is started here is told: no settings of the user's, and no more than the new commands.
const SETTINGS: [(&str, &str); 3] = [
    // Where no files of a user can be. Without `HOME`, Nix would look the user's home up.
    ("HOME", "/nonexistent"),
    ("NIX_USER_CONF_FILES", ""),
    (
        "NIX_CONFIG",
        "experimental-features = nix-command daemon-trust-override",
    ),
];

/// Asks the daemon what it thinks of this user, and Nix how the daemon is configured. Both at once: most of it is waiting.
#[must_use]
pub fn ask(program: &HostPath) -> Answer {
    let configuration = start(program, &["config", "show"], SOCKET);
    let info = start(program, &INFO, SOCKET);
    let info = said(info).or_else(|_| said(start(program, &OLD_INFO, SOCKET)));
    let configuration = said(configuration)
        .map(|text| (Age::Modern, text))
        .or_else(|_| said(start(program, &["show-config"], SOCKET)).map(|text| (Age::Old, text)));
    Answer { info, configuration }
}

const INFO: [&str; 5] = ["store", "info", "--store", "daemon", "--json"];
/// As it was called before Nix 2.19.
const OLD_INFO: [&str; 5] = ["store", "ping", "--store", "daemon", "--json"];

#[expect(
    clippy::disallowed_methods,
    reason = "asks the Nix daemon, before anything is decided"
)]
fn start(program: &HostPath, words: &[&str], socket: &str) -> std::io::Result<Child> {
    Command::new(program.as_path())
        .args(words)
        .env_clear()
        .envs(SETTINGS)
        .env("NIX_DAEMON_SOCKET_PATH", socket)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// What a Nix printed, or its last line of complaint. Its answers are shorter than a pipe holds, so it never waits for us.
fn said(child: std::io::Result<Child>) -> Result<String, String> {
    let mut child = child.map_err(|error| plain(&error))?;
    let start = Instant::now();
    while let Ok(None) = child.try_wait() {
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("no answer for {} seconds", PATIENCE.as_secs()));
        }
        std::thread::sleep(PAUSE);
    }
    let output = child.wait_with_output().map_err(|error| plain(&error))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|_| "an answer that is no text".into());
    }
    let complaint = output
        .stderr
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty());
    Err(printable(std::ffi::OsStr::from_bytes(complaint.unwrap_or_default())))
}

/// Starts the guard, and waits until it answers and says that it trusts nobody.
///
/// # Errors
/// It does not come up, or it is none. Nothing may be started then.
pub fn guard(guard: &Guard) -> Result<(), Diagnostic> {
    let socket = guard.directory.join("socket").unwrap_or_else(|_| HostPath::root());
    companion(guard, &socket).map_err(|error| failed(&plain(&error)))?;
    let start = Instant::now();
    loop {
        // INVARIANT(nix-trust): believed only when it says so itself, over the very socket that the sandbox gets.
        let socket = socket.as_path().to_str().ok_or_else(|| failed("its path is no text"))?;
        match std::os::unix::net::UnixStream::connect(socket).map(drop) {
            Ok(()) => {
                return match said(start_info(&guard.program, socket)) {
                    Ok(info) if trusts_nobody(&info) => Ok(()),
                    Ok(_) => Err(failed("it would trust the sandbox")),
                    Err(why) => Err(failed(&why)),
                };
            }
            Err(_) if start.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(error) => return Err(failed(&plain(&error))),
        }
    }
}

fn start_info(program: &HostPath, socket: &str) -> std::io::Result<Child> {
    start(program, &INFO, socket)
}

fn failed(why: &str) -> Diagnostic {
    Diagnostic::new("nix-trust", format!("the guard before the Nix daemon cannot be had: {why}"))
        .hint("start again; or leave the daemon out: `mount::mask(\"/nix/var/nix/daemon-socket\", \"no daemon\")` in your policy")
}

#[expect(clippy::disallowed_methods, reason = "starts the guard before the Nix daemon")]
fn companion(guard: &Guard, socket: &HostPath) -> std::io::Result<()> {
    Command::new("/proc/self/exe")
        .arg0(NAME)
        .arg(Role::NixGuard.word())
        .arg(std::process::id().to_string())
        .args([guard.program.as_os_str(), socket.as_os_str()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// The words of the guard, after its program. The store is named: a daemon that looked for its own would find itself.
pub const GUARD: [&str; 4] = [
    "daemon",
    "--store",
    "unix:///nix/var/nix/daemon-socket/socket",
    "--force-untrusted",
];

/// The guard's environment, beside `NIX_DAEMON_SOCKET_PATH`, which names its own socket.
pub const GUARD_ENVIRONMENT: [(&str, &str); 3] = SETTINGS;

/// Becomes the guard. Returns only where that failed.
#[expect(clippy::disallowed_methods, reason = "becomes the guard before the Nix daemon")]
pub fn become_guard(words: &[OsString]) -> u8 {
    let [program, socket] = words else {
        return crate::EXIT_USAGE;
    };
    let _error = Command::new(program)
        .args(GUARD)
        .env_clear()
        .envs(GUARD_ENVIRONMENT)
        .env("NIX_DAEMON_SOCKET_PATH", socket)
        .exec();
    crate::EXIT_CANNOT_RUN
}
