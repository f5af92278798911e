//! The host's file system as the later stages may see it: what a path is, never through a symlink that was not asked for.
//! A described tree of a test and the real one answer the same questions, so every later stage is a function of values.

mod listing;
mod read;
mod resolve;
mod search;
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test compares with the standard library's own answers"
)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ahash::AHashMap;

use crate::path::{HostPath, printable};

use listing::Listing;
pub use search::Found;

/// What kind of file a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link and where it points, as written in it.
    Link(PathBuf),
    /// A Unix socket.
    Socket,
    /// A device, a pipe or anything else.
    Special,
}

/// What `lstat` says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The kind of file.
    pub kind: Kind,
    /// The owner's user id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Hard links to the file.
    pub links: u64,
    /// Length in bytes.
    pub length: u64,
    /// Device and inode number: the file's identity.
    pub identity: (u64, u64),
    /// When the content was changed, in seconds since 1970.
    pub modified: i64,
}

/// Where a path leads once every symlink was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The canonical path. Where the last components do not exist, they are kept as written.
    pub path: HostPath,
    /// Each symlink that was followed, by its canonical own path.
    pub through: Vec<HostPath>,
    /// What is there; `None` where nothing is.
    pub node: Option<Node>,
}

/// A path that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The path that stopped the look-up.
    pub path: PathBuf,
    /// The reason, lower case, without a full stop.
    pub why: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot look at `{}`: {}", printable(self.path.as_os_str()), self.why)
    }
}

impl std::error::Error for Unreadable {}

impl Unreadable {
    /// Whether nothing is there: what was there a moment ago may have been removed since.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.why == plain(&rustix::io::Errno::NOENT.into())
    }
}

/// How often a file without a name is looked at. It is being removed, as the companion of another session does it, and where many
/// sessions start and end its successor can be too; a file system that gives files no names is taken at its word in the end.
const LOOKS_MAX: usize = 20;

/// The host's file system.
#[derive(Debug)]
pub struct Tree {
    source: Source,
    /// Directories whose way was followed before: a launch asks about hundreds of paths in a few directories.
    resolved: RefCell<AHashMap<OsString, Rc<Resolved>>>,
}

/// Where the answers come from.
#[derive(Debug)]
enum Source {
    /// The kernel. What was looked at once is remembered, so that one run sees one state of it.
    Real {
        /// Paths that were looked at.
        seen: RefCell<AHashMap<OsString, Option<Node>>>,
        /// Directories whose names were all read.
        surveyed: RefCell<AHashMap<OsString, Listing>>,
    },
    /// A description: every path that exists, and the content of files.
    Described(BTreeMap<PathBuf, (Node, Vec<u8>)>),
}

impl Tree {
    /// The real file system.
    #[must_use]
    pub fn real() -> Self {
        Self::from(Source::Real {
            seen: RefCell::default(),
            surveyed: RefCell::default(),
        })
    }

    /// An empty described tree: only `/`.
    #[must_use]
    pub fn described() -> Self {
        let root = (described_node(Kind::Directory, 0), Vec::new());
        Self::from(Source::Described(BTreeMap::from([(PathBuf::from("/"), root)])))
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            resolved: RefCell::default(),
        }
    }

    /// Adds a path to a described tree, with the directories above it. Does nothing to the real one.
    pub fn describe(&mut self, path: &Path, kind: Kind, uid: u32, content: &[u8]) {
        if let Source::Described(nodes) = &mut self.source {
            for ancestor in path.ancestors().skip(1) {
                nodes
                    .entry(ancestor.to_path_buf())
                    .or_insert_with(|| (described_node(Kind::Directory, uid), Vec::new()));
            }
            let mut node = described_node(kind, uid);
            node.length = content.len() as u64;
            node.identity = (1, nodes.len() as u64);
            nodes.insert(path.to_path_buf(), (node, content.to_vec()));
        }
        self.resolved.borrow_mut().clear();
    }

    /// Changes what a described tree says of a path. Does nothing to the real one.
    pub fn alter(&mut self, path: &Path, change: impl FnOnce(&mut Node)) {
        if let Source::Described(nodes) = &mut self.source
            && let Some((node, _)) = nodes.get_mut(path)
        {
            change(node);
        }
        self.resolved.borrow_mut().clear();
    }

    /// Takes a path and all below it out of a described tree. Does nothing to the real one.
    pub fn forget(&mut self, path: &Path) {
        if let Source::Described(nodes) = &mut self.source {
            nodes.retain(|place, _| !place.starts_with(path));
        }
        self.resolved.borrow_mut().clear();
    }

    /// Every path of a described tree; none of the real one, which nobody can list.
    #[must_use]
    pub fn described_paths(&self) -> Vec<PathBuf> {
        match &self.source {
            Source::Described(nodes) => nodes.keys().cloned().collect(),
            Source::Real { .. } => Vec::new(),
        }
    }

    /// What `path` itself is, without following a symlink at its end; `None` where nothing is.
    /// The directories above are taken as they are written, so `path` should be canonical up to its last component.
    ///
    /// # Errors
    /// When the path cannot be examined, for example for lack of permission.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
    pub fn node(&self, path: &Path) -> Result<Option<Node>, Unreadable> {
        match &self.source {
            Source::Described(nodes) => Ok(nodes.get(path).map(|(node, _)| node.clone())),
            Source::Real { seen, .. } => {
                if let Some(node) = seen.borrow().get(path.as_os_str()) {
                    return Ok(node.clone());
                }
                if let (Some(directory), Some(name)) = (path.parent(), path.file_name())
                    && self.lacks(directory, name)
                {
                    return Ok(None);
                }
                let mut found = std::fs::symlink_metadata(path);
                for _ in 1..LOOKS_MAX {
                    if !found.as_ref().is_ok_and(|metadata| metadata.nlink() == 0) {
                        break;
                    }
                    await_removals(path);
                    found = std::fs::symlink_metadata(path);
                }
                let node = match found {
                    Ok(metadata) => Some(node_of(path, &metadata)?),
                    Err(error) if is_absence(&error) => None,
                    Err(error) => return Err(unreadable(path, &error)),
                };
                seen.borrow_mut().insert(path.as_os_str().to_os_string(), node.clone());
                Ok(node)
            }
        }
    }

    /// Whether the file system that holds an existing path is mounted without write access on the host.
    #[must_use]
    pub fn write_protected(&self, path: &Path) -> bool {
        match &self.source {
            Source::Described(_) => false,
            Source::Real { .. } => rustix::fs::statvfs(path)
                .is_ok_and(|answer| answer.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY)),
        }
    }

    /// Where a written path leads, if anything is there: for a path that git's files hold, which may go up by `..`.
    #[must_use]
    pub fn follow(&self, path: &Path) -> Option<HostPath> {
        let mut here = HostPath::root();
        for component in path.components() {
            match component {
                std::path::Component::Normal(name) => here = self.resolve(&here.join(name).ok()?).ok()?.path,
                std::path::Component::ParentDir => here = here.parent().unwrap_or_else(HostPath::root),
                _ => {}
            }
        }
        self.node(here.as_path()).ok().flatten().map(|_| here)
    }
}

fn described_node(kind: Kind, uid: u32) -> Node {
    let mode = match kind {
        Kind::Directory => 0o755,
        _ => 0o644,
    };
    Node {
        kind,
        uid,
        gid: uid,
        mode,
        links: 1,
        length: 0,
        identity: (1, 1),
        modified: 0,
    }
}

#[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
fn node_of(path: &Path, metadata: &std::fs::Metadata) -> Result<Node, Unreadable> {
    let file_type = metadata.file_type();
    let kind = if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_file() {
        Kind::File
    } else if file_type.is_symlink() {
        Kind::Link(std::fs::read_link(path).map_err(|error| unreadable(path, &error))?)
    } else if file_type.is_socket() {
        Kind::Socket
    } else {
        Kind::Special
    };
    Ok(Node {
        kind,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.mode() & 0o7777,
        links: metadata.nlink(),
        length: metadata.len(),
        identity: (metadata.dev(), metadata.ino()),
        modified: metadata.mtime(),
    })
}

/// Waits for whoever is removing something beside `path`: the kernel lets nobody read a directory meanwhile.
#[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
fn await_removals(path: &Path) {
    let beside = path.parent().map(std::fs::read_dir);
    let _ = beside.and_then(|entries| entries.ok()?.next());
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    Unreadable {
        path: path.to_path_buf(),
        why: plain(error),
    }
}

/// What kind of file the mode of a stat(2) speaks of; where a link points is not in it.
#[must_use]
pub fn kind_of(mode: u32) -> Kind {
    use rustix::fs::FileType;
    match FileType::from_raw_mode(mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Link(PathBuf::new()),
        FileType::Socket => Kind::Socket,
        _ => Kind::Special,
    }
}

/// The text of an error without Rust's "(os error N)", in lower case.
#[must_use]
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
