//! The host's file system as the later stages may see it: what a path is, never through a symlink that was not asked for.
//! A described tree of a test and the real one answer the same questions, so every later stage is a function of values.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::path::{HostPath, printable};

/// How many symlinks one path may go through: the kernel's own limit (`MAXSYMLINKS`, path_resolution(7)).
const LINKS_MAX: usize = 40;

const NOT_REGULAR: &str = "not a regular file";

/// How many directories a search of the project looks into: about 30 ms with a warm cache.
const SEARCH_MAX: usize = 5_000;

/// Directories that a search passes over.
const PASSED_OVER: [&str; 10] = [
    ".git",
    "node_modules",
    "target",
    ".venv",
    "venv",
    "__pycache__",
    "vendor",
    ".tox",
    ".direnv",
    ".cache",
];

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The paths, those near the root first.
    pub found: Vec<HostPath>,
    /// The first directory that was not looked into, where there were too many.
    pub unseen: Option<HostPath>,
}

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
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Hard links to the file.
    pub links: u64,
    /// Length in bytes.
    pub length: u64,
    /// Device and inode number: the file's identity.
    pub identity: (u64, u64),
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

/// The host's file system.
#[derive(Debug)]
pub enum Tree {
    /// The real one. What was looked at once is remembered, so that one run sees one state of it.
    Real(RefCell<HashMap<OsString, Option<Node>>>),
    /// A described one: every path that exists, and the content of files.
    Described(BTreeMap<PathBuf, (Node, Vec<u8>)>),
}

impl Tree {
    /// The real file system.
    #[must_use]
    pub fn real() -> Self {
        Self::Real(RefCell::new(HashMap::new()))
    }

    /// An empty described tree: only `/`.
    #[must_use]
    pub fn described() -> Self {
        Self::Described(BTreeMap::from([(
            PathBuf::from("/"),
            (described_node(Kind::Directory, 0), Vec::new()),
        )]))
    }

    /// Adds a path to a described tree, with the directories above it. Does nothing to the real one.
    pub fn describe(&mut self, path: &Path, kind: Kind, uid: u32, content: &[u8]) {
        if let Self::Described(nodes) = self {
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
    }

    /// Gives a path of a described tree other permission bits. Does nothing to the real one.
    pub fn permit(&mut self, path: &Path, mode: u32) {
        if let Self::Described(nodes) = self
            && let Some((node, _)) = nodes.get_mut(path)
        {
            node.mode = mode;
        }
    }

    /// What `path` itself is, without following a symlink at its end; `None` where nothing is.
    /// The directories above are taken as they are written, so `path` should be canonical up to its last component.
    ///
    /// # Errors
    /// When the path cannot be examined, for example for lack of permission.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
    pub fn node(&self, path: &Path) -> Result<Option<Node>, Unreadable> {
        match self {
            Self::Described(nodes) => Ok(nodes.get(path).map(|(node, _)| node.clone())),
            Self::Real(seen) => {
                if let Some(node) = seen.borrow().get(path.as_os_str()) {
                    return Ok(node.clone());
                }
                let node = match std::fs::symlink_metadata(path) {
                    Ok(metadata) => Some(node_of(path, &metadata)?),
                    Err(error) if is_absence(&error) => None,
                    Err(error) => return Err(unreadable(path, &error)),
                };
                seen.borrow_mut().insert(path.as_os_str().to_os_string(), node.clone());
                Ok(node)
            }
        }
    }

    /// Follows every symlink of `path`, as the kernel would.
    ///
    /// # Errors
    /// When a directory on the way cannot be examined, or there are more than 40 symlinks.
    pub fn resolve(&self, path: &HostPath) -> Result<Resolved, Unreadable> {
        let mut todo: Vec<OsString> = components_reversed(path.as_path());
        let mut done = PathBuf::from("/");
        let mut through = Vec::new();
        let mut node = self.node(&done)?;
        while let Some(name) = todo.pop() {
            if name == ".." {
                done.pop();
                node = self.node(&done)?;
                continue;
            }
            let next = done.join(&name);
            node = match &node {
                Some(Node {
                    kind: Kind::Directory, ..
                }) => self.node(&next)?,
                _ => None,
            };
            if let Some(Node {
                kind: Kind::Link(target),
                ..
            }) = &node
            {
                if through.len() == LINKS_MAX {
                    return Err(Unreadable {
                        path: next,
                        why: "too many levels of symbolic links".into(),
                    });
                }
                through.push(clean(&next)?);
                if target.has_root() {
                    done = PathBuf::from("/");
                }
                todo.extend(components_reversed(target));
                node = self.node(&done)?;
            } else {
                done = next;
            }
        }
        Ok(Resolved {
            path: clean(&done)?,
            through,
            node,
        })
    }

    /// The bytes of a regular file, at most `limit` of them. The file is opened without following a symlink at its end.
    ///
    /// # Errors
    /// When there is no such file, it is no regular file, longer than `limit` bytes, or not readable.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Described(nodes) => match nodes.get(path) {
                Some((Node { kind: Kind::File, .. }, content)) if content.len() as u64 <= limit => Ok(content.clone()),
                Some(_) => Err(Unreadable {
                    path: path.to_path_buf(),
                    why: too_long(limit),
                }),
                None => Err(Unreadable {
                    path: path.to_path_buf(),
                    why: "no such file".into(),
                }),
            },
            Self::Real(_) => read_real(path, limit),
        }
    }

    /// The first bytes of a regular file: `count` of them, or all of a shorter one. Opened as by [`Tree::read`].
    ///
    /// # Errors
    /// When there is no such file, it is no regular file, or not readable.
    pub fn read_start(&self, path: &Path, count: usize) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Described(nodes) => match nodes.get(path) {
                Some((Node { kind: Kind::File, .. }, content)) => Ok(content.iter().take(count).copied().collect()),
                Some(_) => Err(Unreadable {
                    path: path.to_path_buf(),
                    why: NOT_REGULAR.into(),
                }),
                None => Err(Unreadable {
                    path: path.to_path_buf(),
                    why: "no such file".into(),
                }),
            },
            Self::Real(_) => read_at_most(path, count as u64),
        }
    }

    /// Looks below `root` for what `wanted` says yes to, by its name and whether it is a directory, in a bounded number of directories and without following a link.
    /// Directories of packages and build results are passed over: nobody keeps secrets there, and they are large.
    ///
    /// # Errors
    /// When `root` itself cannot be read. A directory below it that cannot be read is passed over: the sandbox, which
    /// runs with the same rights, cannot read it either.
    pub fn search(&self, root: &HostPath, wanted: &dyn Fn(&OsStr, bool) -> bool) -> Result<Found, Unreadable> {
        let mut found = Found::default();
        let mut level = vec![root.clone()];
        let mut left = SEARCH_MAX;
        // The upper directories first: where the search has to end, what is near the root was seen.
        while !level.is_empty() {
            let mut next = Vec::new();
            for directory in level {
                if left == 0 {
                    found.unseen = Some(directory);
                    return Ok(found);
                }
                left -= 1;
                let entries = match self.entries(directory.as_path()) {
                    Ok(entries) => entries,
                    Err(error) if directory == *root => return Err(error),
                    Err(_) => continue,
                };
                for (name, is_directory) in entries {
                    let Ok(path) = directory.join(&name) else {
                        continue;
                    };
                    if wanted(&name, is_directory) {
                        found.found.push(path);
                    } else if is_directory && !PASSED_OVER.iter().any(|passed| name == *passed) {
                        next.push(path);
                    }
                }
            }
            level = next;
        }
        Ok(found)
    }

    /// The names in a directory, sorted, each with whether it is a directory itself.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
    fn entries(&self, path: &Path) -> Result<Vec<(OsString, bool)>, Unreadable> {
        let mut entries = Vec::new();
        if let Self::Real(_) = self {
            for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
                let entry = entry.map_err(|error| unreadable(path, &error))?;
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                entries.push((entry.file_name(), is_directory));
            }
            entries.sort();
        } else {
            for name in self.list(path)? {
                let is_directory = matches!(
                    self.node(&path.join(&name))?,
                    Some(Node {
                        kind: Kind::Directory,
                        ..
                    })
                );
                entries.push((name, is_directory));
            }
        }
        Ok(entries)
    }

    /// The names in a directory, sorted; empty where there is no such directory.
    ///
    /// # Errors
    /// When the directory exists but cannot be read.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
    pub fn list(&self, path: &Path) -> Result<Vec<OsString>, Unreadable> {
        let mut names = Vec::new();
        match self {
            Self::Described(nodes) => {
                for candidate in nodes.keys() {
                    if candidate.parent() == Some(path) {
                        names.extend(candidate.file_name().map(OsString::from));
                    }
                }
            }
            Self::Real(_) => match std::fs::read_dir(path) {
                Ok(entries) => {
                    for entry in entries {
                        names.push(entry.map_err(|error| unreadable(path, &error))?.file_name());
                    }
                }
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(unreadable(path, &error)),
            },
        }
        names.sort();
        Ok(names)
    }
}

fn clean(path: &Path) -> Result<HostPath, Unreadable> {
    HostPath::new(path).map_err(|why| Unreadable {
        path: path.to_path_buf(),
        why: why.to_string(),
    })
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect();
    names.reverse();
    names
}

fn described_node(kind: Kind, uid: u32) -> Node {
    let mode = match kind {
        Kind::Directory => 0o755,
        _ => 0o644,
    };
    Node {
        kind,
        uid,
        mode,
        links: 1,
        length: 0,
        identity: (1, 1),
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
        mode: metadata.mode() & 0o7777,
        links: metadata.nlink(),
        length: metadata.len(),
        identity: (metadata.dev(), metadata.ino()),
    })
}

fn read_real(path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let content = read_at_most(path, limit.saturating_add(1))?;
    if content.len() as u64 > limit {
        return Err(Unreadable {
            path: path.to_path_buf(),
            why: too_long(limit),
        });
    }
    Ok(content)
}

fn read_at_most(path: &Path, count: u64) -> Result<Vec<u8>, Unreadable> {
    use rustix::fs::{Mode, OFlags};
    use std::io::Read;
    // O_NONBLOCK: a FIFO that someone put in the place of a file must not make us wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(path, &error.into()))?;
    let file = std::fs::File::from(descriptor);
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Unreadable {
            path: path.to_path_buf(),
            why: NOT_REGULAR.into(),
        });
    }
    let mut content = Vec::new();
    file.take(count)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(path, &error))?;
    Ok(content)
}

fn too_long(limit: u64) -> String {
    format!("longer than {limit} bytes")
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

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test compares with the standard library's own answers"
)]
mod tests;
