//! The floor: what no policy can lift, as tables and the questions asked of them. Pure: it looks at no file and at no
//! variable, so it cannot follow symlinks or know where `XDG_CONFIG_HOME` points. Who asks resolves paths first.

mod project;
mod reserved;
mod secrets;
mod sockets;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::path::{EnvName, HostPath};

pub use project::{PROJECT_EXAMPLES, PROJECT_SECRETS};
pub use reserved::RESERVED;
pub use secrets::{SECRETS, Secret};
pub use sockets::SOCKETS;

/// Directories that are never bound whole, because nobody can know what is or will be in them. What is bound from below
/// them is judged by itself. The caller's home and what is above it are added by [`never_whole`].
pub const NEVER_WHOLE: &[&str] = &[
    "/",
    "/boot",
    "/dev",
    "/dev/shm",
    "/efi",
    "/etc",
    "/home",
    "/media",
    "/mnt",
    // The Windows drive of WSL, and the homes on it.
    "/mnt/c",
    "/mnt/c/Users",
    "/nix",
    "/nix/var",
    "/nix/var/nix",
    "/proc",
    "/root",
    "/run",
    // The whole host, as a toolbox or flatpak container sees it.
    "/run/host",
    "/run/media",
    "/run/systemd",
    "/run/user",
    "/srv",
    "/sys",
    "/tmp",
    "/var",
    "/var/cache",
    "/var/home",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];

/// The secret places of a host, with what lies there: [`SECRETS`] below this home, and at `/var/run` what is at `/run`.
///
/// An entry that is the home or lies above it is left out, as `/root` is for root: it would refuse every project. What
/// is secret inside that home is still named.
#[must_use]
pub fn secrets(home: &HostPath) -> Vec<(HostPath, &'static str)> {
    SECRETS
        .iter()
        .flat_map(|secret| places(secret.path, home, None).map(|path| (path, secret.why)))
        .filter(|(path, _)| !home.within(path))
        .collect()
}

/// The daemon sockets of a host, with what listens there: [`SOCKETS`] for this home and user id, and at `/var/run` what
/// is at `/run`.
#[must_use]
pub fn sockets(home: &HostPath, uid: u32) -> Vec<(HostPath, &'static str)> {
    SOCKETS
        .iter()
        .flat_map(|&(path, why)| places(path, home, Some(uid)).map(move |path| (path, why)))
        .collect()
}

/// The directories that are never bound whole on a host: [`NEVER_WHOLE`], this home and all directories above it.
#[must_use]
pub fn never_whole(home: &HostPath) -> Vec<HostPath> {
    let mut paths: Vec<HostPath> = NEVER_WHOLE.iter().filter_map(|path| HostPath::new(path).ok()).collect();
    for path in home.ancestors() {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// What a variable of this name does, where it is one that never passes; see [`RESERVED`].
#[must_use]
pub fn reserved(name: &EnvName) -> Option<&'static str> {
    first(RESERVED, name.as_os_str())
}

/// What a file of this name inside the project holds, where it is one that is masked; see [`PROJECT_SECRETS`]. Only the
/// name is judged: a directory called `.env` is a Python environment, so ask for files and links only.
#[must_use]
pub fn project_secret(name: &OsStr) -> Option<&'static str> {
    let example = PROJECT_EXAMPLES
        .iter()
        .any(|pattern| glob(pattern.as_bytes(), name.as_bytes()));
    if example { None } else { first(PROJECT_SECRETS, name) }
}

/// Whether all of `text` matches a pattern in which `*` stands for any bytes and `?` for one byte; all others stand for
/// themselves. At most as many steps as the product of both lengths: a second `*` makes going back behind the first
/// one pointless, so only the last one is ever widened.
#[must_use]
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last `*`, and the text that was left when it was tried.
    let mut last: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                last = Some((rest, text));
                pattern = rest;
            }
            ([], []) => return true,
            // Text ran out: a wider `*` leaves even less.
            (_, []) => return false,
            ([expected, rest @ ..], [byte, left @ ..]) if *expected == b'?' || expected == byte => {
                (pattern, text) = (rest, left);
            }
            _ => match last {
                Some((rest, [_, left @ ..])) => {
                    last = Some((rest, left));
                    (pattern, text) = (rest, left);
                }
                _ => return false,
            },
        }
    }
}

/// The reason beside the first pattern that matches.
fn first(table: &[(&str, &'static str)], text: &OsStr) -> Option<&'static str> {
    table
        .iter()
        .find(|(pattern, _)| glob(pattern.as_bytes(), text.as_bytes()))
        .map(|&(_, why)| why)
}

/// The places that a path of a table stands for. A test proves that every entry of every table has one.
fn places(path: &str, home: &HostPath, uid: Option<u32>) -> impl Iterator<Item = HostPath> {
    let path: std::borrow::Cow<'_, str> = match uid {
        Some(uid) if path.contains("%U") => path.replace("%U", &uid.to_string()).into(),
        _ => path.into(),
    };
    let at = match path.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => HostPath::new(path.as_ref()),
    };
    // Where `/var/run` is a directory of its own, daemons listen there.
    let old = path
        .strip_prefix("/run/")
        .map(|below| HostPath::new(format!("/var/run/{below}")));
    [Some(at), old].into_iter().flatten().filter_map(Result::ok)
}

#[cfg(test)]
mod tests;
