//! The Nix daemon: whether the sandbox may have its socket. Judged by what the daemon says of itself; that it is asked, and
//! how, is [`crate::launch::nix`]'s business. Pure.
//!
//! INVARIANT(nix-trust): a daemon does as root what a user whom it trusts asks for, and a build outside its sandbox sees the
//! host's files. So an open socket needs two clear answers: no trust, and sandboxed builds. What is unknown counts as bad.

use std::path::Path;

use crate::host::tree::{Kind, Tree};
use crate::path::HostPath;

/// The directory that holds the daemon's socket. The directory is mounted, not the socket: it outlives a restart of the daemon.
pub const DIRECTORY: &str = "/nix/var/nix/daemon-socket";

/// The daemon's socket.
pub const SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

/// The longest path of a socket, without the closing zero: `sun_path` of unix(7) is 108 bytes.
const SOCKET_PATH_MAX: usize = 107;

/// The first version of each series in which CVE-2026-39860 is mended: until then, whoever may use the daemon can write
/// files as root. Later series have it from their start. GHSA-g3g9-5vj6-r3gj.
const MENDED: [(u32, u32); 7] = [(28, 6), (29, 3), (30, 4), (31, 4), (32, 7), (33, 4), (34, 5)];

/// The way to the daemon, for the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// There is no daemon.
    Absent,
    /// It was not asked: no policy can want it.
    Unasked,
    /// Its own socket: it does not trust this user.
    Open,
    /// By a guard, which is a daemon that trusts nobody and hands on to this one.
    Guarded(Guard),
    /// None: why.
    Withheld(String),
}

/// The guard of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The Nix that is the guard.
    pub program: HostPath,
    /// The directory of its socket, made for this session.
    pub directory: HostPath,
}

/// What is known of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// The way to it.
    pub access: Access,
    /// Its version.
    pub version: Option<String>,
    /// What a user should know before a sandbox uses it: each completes "it".
    pub warnings: Vec<String>,
}

/// Which command told the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// `nix config show`, which every Nix has that can be a guard.
    Modern,
    /// `nix show-config`: older than guards.
    Old,
}

/// What the daemon, and the Nix that asked it, said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The daemon on itself, as JSON, or what went wrong.
    pub info: Result<String, String>,
    /// The host's configuration, a setting a line, or what went wrong.
    pub configuration: Result<(Age, String), String>,
}

impl Daemon {
    /// Looks whether there is one.
    #[must_use]
    pub fn look(tree: &Tree) -> Self {
        let access = match tree.node(Path::new(SOCKET)) {
            Ok(Some(node)) if node.kind == Kind::Socket => Access::Unasked,
            _ => Access::Absent,
        };
        Self::only(access)
    }

    /// One of which nothing else is known.
    #[must_use]
    pub fn only(access: Access) -> Self {
        Self {
            access,
            version: None,
            warnings: Vec::new(),
        }
    }

    /// Whether the policy may show it.
    #[must_use]
    pub fn usable(&self) -> bool {
        matches!(self.access, Access::Open | Access::Guarded(_))
    }

    /// Whether a path is the daemon's own, and may be shown as it is.
    #[must_use]
    pub fn allows(&self, path: &HostPath) -> bool {
        self.access == Access::Open && path.within_str(DIRECTORY)
    }

    /// Judges an answer. `guard` is the directory for a guard, or why there is none.
    #[must_use]
    pub fn judge(tree: &Tree, program: &HostPath, guard: Result<HostPath, String>, answer: &Answer) -> Self {
        let (age, settings) = match &answer.configuration {
            Ok((age, text)) => (*age, Settings(text)),
            Err(why) => return Self::withheld(format!("its configuration is not known: {why}")),
        };
        match settings.get("sandbox") {
            Some("true") => {}
            Some(other) => {
                return Self::withheld(format!(
                    "it builds with `sandbox = {other}`, so what it builds could read this host's files"
                ));
            }
            None => return Self::withheld("whether it builds in a sandbox is not known".into()),
        }
        let info = match &answer.info {
            Ok(info) => info,
            Err(_) if age == Age::Old => {
                return Self::withheld(format!("`{program}` is too old to ask whether it trusts you"));
            }
            Err(why) => return Self::withheld(format!("it does not answer: {why}")),
        };
        let Ok(serde_json::Value::Object(info)) = serde_json::from_str(info) else {
            return Self::withheld("its answer is not understood".into());
        };
        let version = info
            .get("version")
            .and_then(|version| version.as_str())
            .map(str::to_string);
        // Up to 2.26 a number, later a truth value. A daemon before 2.18 says nothing about trust.
        let untrusted = info
            .get("trusted")
            .is_some_and(|trusted| trusted.as_bool() == Some(false) || trusted.as_u64() == Some(0));
        let access = match guard {
            _ if untrusted => Access::Open,
            _ if age == Age::Old => Access::Withheld(format!(
                "it may trust you, and `{program}` is too old to stand guard in between"
            )),
            Ok(directory) => Access::Guarded(Guard {
                program: program.clone(),
                directory,
            }),
            Err(why) => Access::Withheld(format!("it may trust you, and no guard can stand in between: {why}")),
        };
        Self {
            access,
            warnings: warnings(tree, version.as_deref(), settings),
            version,
        }
    }

    fn withheld(why: String) -> Self {
        Self::only(Access::Withheld(why))
    }
}

/// What the guard's socket answers about itself must be a clear no.
#[must_use]
pub fn trusts_nobody(info: &str) -> bool {
    let info: Result<serde_json::Value, _> = serde_json::from_str(info);
    info.is_ok_and(|info| {
        info.get("trusted")
            .is_some_and(|trusted| trusted.as_bool() == Some(false) || trusted.as_u64() == Some(0))
    })
}

/// Nix's settings as it prints them: `name = value`, a setting a line.
#[derive(Clone, Copy)]
struct Settings<'text>(&'text str);

impl<'text> Settings<'text> {
    fn get(self, name: &str) -> Option<&'text str> {
        self.0.lines().find_map(|line| {
            let (found, value) = line.split_once('=')?;
            (found.trim() == name).then(|| value.trim())
        })
    }
}

fn warnings(tree: &Tree, version: Option<&str>, settings: Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    match version {
        Some(version) if is_mended(version) => {}
        Some(version) => warnings.push(format!(
            "has version {version}, in which whoever may use it can write files as root (CVE-2026-39860), unless your \
             distribution mended it"
        )),
        None => warnings.push("does not tell its version, so it may have known holes".into()),
    }
    let netrc = settings.get("netrc-file").filter(|path| path.starts_with('/'));
    if let Some(netrc) = netrc.filter(|netrc| matches!(tree.node(Path::new(netrc)), Ok(Some(_)))) {
        warnings.push(format!(
            "uses the logins of `{netrc}` for whatever a build of the sandbox downloads"
        ));
    }
    let shown: Vec<&str> = settings
        .get("sandbox-paths")
        .unwrap_or_default()
        .split_whitespace()
        .filter(|path| !path.starts_with("/bin/sh") && !path.contains("/nix/store/"))
        .collect();
    if !shown.is_empty() {
        warnings.push(format!(
            "shows its builds these paths of this host: {}",
            shown.join(" ")
        ));
    }
    warnings
}

/// Whether a version such as `2.34.8` or `2.35pre20260101_abc` has the hole no more.
fn is_mended(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or_default()
    });
    let mut next = || numbers.next().unwrap_or_default();
    match (next(), next(), next()) {
        (2, minor, patch) => {
            let newest = MENDED.last().map_or(0, |(newest, _)| *newest);
            minor > newest || MENDED.iter().any(|(series, from)| minor == *series && patch >= *from)
        }
        (major, _, _) => major > 2,
    }
}

/// Where the guard of a session has its socket: below the user's run-time directory, else below claudebox's own state. Both
/// are the user's alone. `session` names it.
///
/// # Errors
/// The path is too long for a socket.
pub fn guard_directory(
    tree: &Tree,
    runtime: &[Option<HostPath>],
    uid: u32,
    project: &HostPath,
    state: &HostPath,
    session: &str,
) -> Result<HostPath, String> {
    let own = |path: &HostPath| {
        let resolved = tree.resolve(path).ok()?;
        let node = resolved.node?;
        let private = node.kind == Kind::Directory && node.uid == uid && node.mode & 0o077 == 0;
        (private && !resolved.path.within(project)).then_some(resolved.path)
    };
    let base = runtime.iter().flatten().find_map(own);
    let directory = match base {
        Some(base) => base.join(format!("claudebox/nix-{session}")),
        None => state.join(format!("run/nix-{session}")),
    }
    .map_err(|why| why.to_string())?;
    if directory.as_os_str().len() + "/socket".len() > SOCKET_PATH_MAX {
        return Err(format!("the path `{directory}` is too long for a socket"));
    }
    Ok(directory)
}

#[cfg(test)]
mod tests;
