//! Finds the programs of the host that a sandbox is made with. What is found here holds the sandbox, so it counts only where
//! nobody else could have put it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::diagnostic::Diagnostic;
use crate::net::broker;
use crate::path::HostPath;

use super::tree::{Kind, Node, Tree};

/// A program, and where it is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of its file, which is the code of its error too.
    pub name: &'static str,
    /// What a person calls it.
    pub title: &'static str,
    /// A path fixed when claudebox was built. The environment of a launch cannot change it.
    pinned: Option<&'static str>,
    /// The way out if it is missing.
    hint: &'static str,
}

/// Makes the sandbox.
pub const BUBBLEWRAP: Program = Program {
    name: "bwrap",
    title: "bubblewrap",
    pinned: option_env!("CLAUDEBOX_BWRAP"),
    hint: "install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap",
};

/// Connects a network namespace with the internet.
pub const SLIRP4NETNS: Program = Program {
    name: "slirp4netns",
    title: "slirp4netns",
    pinned: option_env!("CLAUDEBOX_SLIRP4NETNS"),
    hint: "install it: apt install slirp4netns, dnf install slirp4netns, pacman -S slirp4netns; or choose `--net host`, which \
           is not isolated, or `--net none`",
};

/// Holds Claude Code's credential outside, and lets named hosts be reached. Unlike the others it is claudebox's own, so it lies
/// beside it and is not looked for on `PATH`.
pub const BROKER: Program = Program {
    name: broker::PROGRAM,
    title: "the broker",
    pinned: option_env!("CLAUDEBOX_BROKER"),
    hint: "install claudebox anew: `make install` puts `claudebox-broker` beside it",
};

impl Program {
    fn is_pinned(&self) -> bool {
        self.pinned.is_some_and(|pinned| !pinned.is_empty())
    }
}

/// Where distributions put programs, before `PATH` is asked.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/run/current-system/sw/bin"];

/// Who looks, and where.
#[derive(Clone, Copy, Debug)]
pub struct Search<'host> {
    /// The file system.
    pub tree: &'host Tree,
    /// `PATH`.
    pub path: &'host OsStr,
    /// The caller.
    pub uid: u32,
    /// The project, where the agent can write.
    pub project: &'host HostPath,
}

impl Search<'_> {
    /// The canonical path of a program.
    ///
    /// # Errors
    /// There is none that can be trusted: not installed, or only at a place that the project or another user can write.
    pub fn find(&self, program: &Program) -> Result<HostPath, Diagnostic> {
        self.find_in(program, self.candidates(program))
    }

    /// The canonical path of a program that lies beside another one.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_beside(&self, program: &Program, neighbour: &HostPath) -> Result<HostPath, Diagnostic> {
        let beside = neighbour
            .parent()
            .and_then(|directory| directory.join(program.name).ok());
        let candidates = if program.is_pinned() {
            self.candidates(program)
        } else {
            beside.into_iter().collect()
        };
        self.find_in(program, candidates)
    }

    fn find_in(&self, program: &Program, candidates: Vec<HostPath>) -> Result<HostPath, Diagnostic> {
        let mut refused = None;
        for candidate in candidates {
            let Ok(resolved) = self.tree.resolve(&candidate) else {
                continue;
            };
            let Some(node) = &resolved.node else {
                continue;
            };
            // Whoever can change a pinned path of the store can change claudebox itself, which lies beside it; in a user
            // namespace, such as Nix's own sandbox, root's files belong to nobody.
            if program.is_pinned() && resolved.path.within_str("/nix/store") {
                return Ok(resolved.path);
            }
            match self.distrust(node, &resolved.path) {
                None => return Ok(resolved.path),
                Some(why) => {
                    refused.get_or_insert(format!("`{candidate}` {why}"));
                }
            }
        }
        Err(match refused {
            Some(why) => Diagnostic::new(program.name, format!("{} cannot be used: {why}", program.title)),
            None => Diagnostic::new(program.name, format!("{} is not installed", program.title)),
        }
        .hint(program.hint))
    }

    /// Where it may be, in the order of the search. What is pinned is looked for nowhere else.
    fn candidates(&self, program: &Program) -> Vec<HostPath> {
        if let Some(pinned) = program.pinned.filter(|pinned| !pinned.is_empty()) {
            return HostPath::new(pinned).into_iter().collect();
        }
        let entries = self.path.as_bytes().split(|byte| *byte == b':');
        let entries = entries.filter(|entry| entry.starts_with(b"/")).map(OsStr::from_bytes);
        PLACES
            .iter()
            .map(OsStr::new)
            .chain(entries)
            .filter_map(|directory| HostPath::new(directory).ok()?.join(program.name).ok())
            .collect()
    }

    fn distrust(&self, node: &Node, path: &HostPath) -> Option<String> {
        if node.kind != Kind::File || node.mode & 0o111 == 0 {
            Some("is no program".into())
        } else if node.uid != 0 && node.uid != self.uid {
            Some(format!("belongs to the user {}", node.uid))
        } else if node.mode & 0o022 != 0 {
            Some(format!("can be written by others (mode {:04o})", node.mode))
        } else if path.within(self.project) {
            Some("lies in the project, where the agent can write".into())
        } else {
            None
        }
    }
}
