//! Finds bubblewrap. What is found here holds the whole sandbox, so it counts only where nobody else could have put it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::diagnostic::Diagnostic;
use crate::path::HostPath;

use super::tree::{Kind, Node, Tree};

/// A path fixed when the program was built. The environment of a launch cannot change it.
const PINNED: Option<&str> = option_env!("CLAUDEBOX_BWRAP");

/// Where distributions put it, before `PATH` is asked.
const PLACES: [&str; 3] = [
    "/usr/bin/bwrap",
    "/usr/local/bin/bwrap",
    "/run/current-system/sw/bin/bwrap",
];

/// The canonical path of bubblewrap.
///
/// # Errors
/// There is none that can be trusted: not installed, or only at a place that the project or another user can write.
pub fn find(tree: &Tree, path: &OsStr, uid: u32, project: &HostPath) -> Result<HostPath, Diagnostic> {
    let entries = path
        .as_bytes()
        .split(|byte| *byte == b':')
        .filter(|entry| entry.starts_with(b"/"));
    let candidates = entries.filter_map(|entry| HostPath::new(OsStr::from_bytes(entry)).ok()?.join("bwrap").ok());
    let fixed: Vec<HostPath> = match PINNED.filter(|pinned| !pinned.is_empty()) {
        Some(pinned) => vec![pinned],
        None => PLACES.to_vec(),
    }
    .into_iter()
    .filter_map(|place| HostPath::new(place).ok())
    .collect();
    let pinned = PINNED.is_some_and(|pinned| !pinned.is_empty());
    let mut refused = None;
    for candidate in fixed
        .into_iter()
        .chain(candidates.take(if pinned { 0 } else { usize::MAX }))
    {
        let Ok(resolved) = tree.resolve(&candidate) else {
            continue;
        };
        let Some(node) = &resolved.node else {
            continue;
        };
        // Whoever can change a pinned path of the store can change claudebox itself, which lies beside it; in a user
        // namespace, such as Nix's own sandbox, root's files belong to nobody.
        if pinned && resolved.path.within_str("/nix/store") {
            return Ok(resolved.path);
        }
        match distrust(node, &resolved.path, uid, project) {
            None => return Ok(resolved.path),
            Some(why) => {
                refused.get_or_insert(format!("`{candidate}` {why}"));
            }
        }
    }
    Err(match refused {
        Some(why) => Diagnostic::new("bwrap", format!("bubblewrap cannot be used: {why}")),
        None => Diagnostic::new("bwrap", "bubblewrap is not installed"),
    }
    .hint("install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap"))
}

fn distrust(node: &Node, path: &HostPath, uid: u32, project: &HostPath) -> Option<String> {
    if node.kind != Kind::File || node.mode & 0o111 == 0 {
        Some("is no program".into())
    } else if node.uid != 0 && node.uid != uid {
        Some(format!("belongs to the user {}", node.uid))
    } else if node.mode & 0o022 != 0 {
        Some(format!("can be written by others (mode {:04o})", node.mode))
    } else if path.within(project) {
        Some("lies in the project, where the agent can write".into())
    } else {
        None
    }
}
