//! What is seen inside the sandbox, as a function of the plan's mounts and the host's files: for a path inside what is
//! there, and for a file of the host where it appears. Follows the rules of the kernel (path_resolution(7)) in the
//! sandbox's own name space, and decides nothing.

mod devices;
mod seen;
#[cfg(test)]
mod tests;

pub use seen::{Kind, Link, Seen};

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host::git::Reservation;
use crate::host::tree::{self, Node, Unreadable};
use crate::host::{ENTER, Host, READ, WRITE};
use crate::invariants::plan::{Mount, NixWay, Parts, Preparation, What};
use crate::path::{HostPath, SandboxPath, printable};

/// How many symlinks one path may go through: the kernel's own limit.
const LINKS_MAX: usize = 40;

/// What one path names before a link at its end is followed.
struct Place<'run> {
    kind: Kind,
    link: Option<OsString>,
    readable: Option<bool>,
    writable: Option<bool>,
    enter: bool,
    mount: Option<&'run Mount>,
    source: Option<HostPath>,
    implied: bool,
}

/// The sandbox's file system before its first process changes it.
pub struct View<'run> {
    host: &'run Host,
    mounts: BTreeMap<&'run Path, &'run Mount>,
    /// The directories above mounts: bubblewrap makes them where memory covers them.
    above: BTreeSet<PathBuf>,
    /// What the launcher makes on the host first.
    prepared: BTreeMap<&'run Path, Option<Node>>,
}

impl<'run> View<'run> {
    /// The view of a sandbox with these parts.
    #[must_use]
    pub fn new(host: &'run Host, parts: &'run Parts) -> Self {
        let mut above = BTreeSet::new();
        for mount in &parts.mounts {
            for ancestor in mount.at.as_path().ancestors().skip(1) {
                if !above.insert(ancestor.to_path_buf()) {
                    break;
                }
            }
        }
        let mut prepared = BTreeMap::new();
        let node = |kind, mode| {
            Some(Node {
                kind,
                uid: host.uid,
                gid: host.gid,
                mode,
                links: 1,
                length: 0,
                identity: (0, 0),
                modified: 0,
            })
        };
        if let Some(NixWay::Guarded(guard)) = parts.nix.as_ref().map(|nix| &nix.way) {
            prepared.insert(guard.directory.as_path(), node(tree::Kind::Directory, 0o700));
        }
        for preparation in &parts.preparations {
            match preparation {
                Preparation::Directory(path) => {
                    prepared.insert(path.as_path(), node(tree::Kind::Directory, 0o700));
                }
                Preparation::Existing(_) => {}
                Preparation::Lock(path) | Preparation::File { path, .. } | Preparation::Replace { path, .. } => {
                    prepared.insert(path.as_path(), node(tree::Kind::File, 0o600));
                }
                Preparation::Move { from, to, .. } => {
                    prepared.insert(to.as_path(), host.tree.node(from.as_path()).ok().flatten());
                    prepared.insert(from.as_path(), None);
                }
            }
        }
        for reserved in parts.reserved.iter().filter(|reserved| reserved.absent) {
            let made = match reserved.content {
                Reservation::EmptyDirectory => node(tree::Kind::Directory, 0o755),
                Reservation::EmptyFile | Reservation::Content(_) => node(tree::Kind::File, 0o444),
            };
            prepared.insert(reserved.path.as_path(), made);
        }
        Self {
            host,
            mounts: parts.mounts.iter().map(|mount| (mount.at.as_path(), mount)).collect(),
            above,
            prepared,
        }
    }

    /// What is seen at an absolute path inside, links followed; `..` goes up from where the links led, as in the kernel.
    #[must_use]
    pub fn see(&self, path: &Path) -> Seen<'run> {
        let mut todo = pieces_reversed(path.as_os_str());
        let mut done = PathBuf::from("/");
        let mut here = self.place(&done);
        let mut through: Vec<Link<'run>> = Vec::new();
        while let Some(name) = todo.pop() {
            match here.kind {
                Kind::Directory => {}
                Kind::Kernel => {
                    done.push(name);
                    done.extend(todo.iter().rev());
                    break;
                }
                Kind::Unreachable(_) | Kind::Absent => break,
                _ => return Self::ended(nothing(&here, Kind::Absent), done.join(&name), through),
            }
            // A slash at the end asks for a directory and looks nothing up in it.
            if name.is_empty() {
                continue;
            }
            if !here.enter {
                let why = format!("the directory `{}` may not be entered", printable(done.as_os_str()));
                return Self::ended(nothing(&here, Kind::Unreachable(why)), done.join(&name), through);
            }
            if name == "." {
                continue;
            }
            if name == ".." {
                done.pop();
                here = self.place(&done);
                continue;
            }
            let next = done.join(&name);
            let place = self.place(&next);
            let Some(target) = place.link else {
                done = next;
                here = place;
                continue;
            };
            if through.len() == LINKS_MAX {
                let why = Kind::Unreachable("too many levels of symbolic links".into());
                return Self::ended(nothing(&here, why), next, through);
            }
            if Path::new(&target).has_root() {
                done = PathBuf::from("/");
            }
            todo.extend(pieces_reversed(&target));
            here = self.place(&done);
            through.push(Link {
                at: next,
                target,
                mount: place.mount,
            });
        }
        Self::ended(here, done, through)
    }

    fn ended(place: Place<'run>, path: PathBuf, through: Vec<Link<'run>>) -> Seen<'run> {
        Seen {
            path,
            kind: place.kind,
            readable: place.readable,
            writable: place.writable,
            mount: place.mount,
            source: place.source,
            implied: place.implied,
            through,
        }
    }

    /// Where a canonical path of the host would appear, and what is seen there: the file itself, a mask, or another mount.
    #[must_use]
    pub fn places_of(&self, path: &HostPath) -> Vec<(SandboxPath, Seen<'run>)> {
        self.mounts
            .values()
            .filter_map(|mount| {
                let What::Bind { source, .. } = &mount.what else {
                    return None;
                };
                let rest = path.below(source)?;
                let at = if rest.as_os_str().is_empty() {
                    mount.at.clone()
                } else {
                    mount.at.join(rest).ok()?
                };
                let seen = self.see(at.as_path());
                Some((at, seen))
            })
            .collect()
    }

    /// What mounts put into a directory: the names directly below it that they, or the directories above them, have.
    #[must_use]
    pub fn names_in(&self, directory: &Path) -> BTreeSet<&OsStr> {
        let made = self.above.iter().map(PathBuf::as_path);
        self.mounts
            .keys()
            .copied()
            .chain(made)
            .filter(|path| path.parent() == Some(directory))
            .filter_map(Path::file_name)
            .collect()
    }

    /// The mounts that show something below a path of the host, but not the path itself.
    #[must_use]
    pub fn parts_of(&self, path: &HostPath) -> Vec<&'run Mount> {
        self.mounts
            .values()
            .filter(|mount| matches!(&mount.what, What::Bind { source, .. } if source != path && source.within(path)))
            .copied()
            .collect()
    }

    /// What `path` names, whose directories are canonical.
    fn place(&self, path: &Path) -> Place<'run> {
        if let Some(mount) = self.mounts.get(path) {
            return self.mounted(mount);
        }
        let cover = path
            .ancestors()
            .skip(1)
            .find_map(|ancestor| self.mounts.get(ancestor).copied());
        let Some(mount) = cover else {
            return memory(Kind::Absent, false, None);
        };
        let rest = path.strip_prefix(mount.at.as_path()).unwrap_or(Path::new(""));
        match &mount.what {
            What::Bind { source, writable } => match source.join(rest) {
                Ok(source) => self.on_host(mount, source, *writable),
                Err(why) => memory(Kind::Unreachable(why.to_string()), false, Some(mount)),
            },
            What::Tmpfs(_) if self.above.contains(path) => Place {
                implied: true,
                ..memory(Kind::Directory, mount.at != SandboxPath::root(), Some(mount))
            },
            What::Proc => unknown(mount),
            What::Dev => devices::device(rest, mount),
            What::Tmpfs(_)
            | What::Link(_)
            | What::Text(_)
            | What::Certificates(_)
            | What::MaskFile
            | What::MaskDirectory => memory(Kind::Absent, false, Some(mount)),
        }
    }

    /// A mount's own place.
    fn mounted(&self, mount: &'run Mount) -> Place<'run> {
        match &mount.what {
            What::Bind { source, writable } => self.on_host(mount, source.clone(), *writable),
            // The root is made read-only once all is mounted.
            What::Tmpfs(_) => memory(Kind::Directory, mount.at != SandboxPath::root(), Some(mount)),
            What::Proc | What::MaskDirectory => memory(Kind::Directory, false, Some(mount)),
            What::Dev => memory(Kind::Directory, true, Some(mount)),
            What::Text(_) | What::Certificates(_) | What::MaskFile => memory(Kind::File, false, Some(mount)),
            What::Link(target) => Place {
                link: Some(target.clone()),
                ..memory(Kind::Absent, false, Some(mount))
            },
        }
    }

    /// What a bind mount shows of the host.
    fn on_host(&self, mount: &'run Mount, source: HostPath, writable: bool) -> Place<'run> {
        let node = match self.node(source.as_path()) {
            Ok(Some(node)) => node,
            Ok(None) => {
                return Place {
                    source: Some(source),
                    ..memory(Kind::Absent, false, Some(mount))
                };
            }
            Err(unreadable) => {
                return Place {
                    source: Some(source),
                    ..memory(Kind::Unreachable(unreadable.to_string()), false, Some(mount))
                };
            }
        };
        let may = |bits| self.host.permits(&node, bits);
        let changes = || writable && !self.host.tree.write_protected(source.as_path());
        let (kind, link, readable, writable) = match &node.kind {
            tree::Kind::Directory => (
                Kind::Directory,
                None,
                Some(may(READ)),
                Some(may(WRITE | ENTER) && changes()),
            ),
            tree::Kind::File => (Kind::File, None, Some(may(READ)), Some(may(WRITE) && changes())),
            tree::Kind::Link(target) => (Kind::Absent, Some(target.as_os_str().to_os_string()), None, None),
            tree::Kind::Socket => (Kind::Socket, None, Some(false), Some(false)),
            tree::Kind::Special => (Kind::Special, None, None, None),
        };
        Place {
            enter: may(ENTER),
            kind,
            link,
            readable,
            writable,
            mount: Some(mount),
            source: Some(source),
            implied: false,
        }
    }

    fn node(&self, path: &Path) -> Result<Option<Node>, Unreadable> {
        match self.prepared.get(path) {
            Some(node) => Ok(node.clone()),
            None => self.host.tree.node(path),
        }
    }
}

/// Something in memory, which belongs to the sandbox's user.
fn memory(kind: Kind, writable: bool, mount: Option<&Mount>) -> Place<'_> {
    let there = kind.visible();
    Place {
        kind,
        link: None,
        readable: Some(there),
        writable: Some(there && writable),
        enter: true,
        mount,
        source: None,
        implied: false,
    }
}

/// Something that only the running kernel knows.
fn unknown(mount: &Mount) -> Place<'_> {
    Place {
        readable: None,
        writable: None,
        ..memory(Kind::Kernel, false, Some(mount))
    }
}

/// Nothing, or nothing that can be reached, for the reason that `here` is what it is.
fn nothing<'run>(here: &Place<'run>, kind: Kind) -> Place<'run> {
    Place {
        source: None,
        ..memory(kind, false, here.mount)
    }
}

/// The names of a path, the last first. An empty piece stands for a slash at the end.
fn pieces_reversed(path: &OsStr) -> Vec<OsString> {
    let bytes = path.as_bytes();
    let mut pieces: Vec<OsString> = bytes
        .split(|byte| *byte == b'/')
        .filter(|piece| !piece.is_empty())
        .map(|piece| OsStr::from_bytes(piece).to_os_string())
        .collect();
    if bytes.ends_with(b"/") && !pieces.is_empty() {
        pieces.push(OsString::new());
    }
    pieces.reverse();
    pieces
}
