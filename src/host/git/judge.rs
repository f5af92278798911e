//! The single questions that [`discover`](super::discover) asks of a repository's files, each answered yes or refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::config::{self, Entry};
use super::settings::Settings;
use super::walk::walk;
use super::{Forged, Layout, Repository};
use crate::host::tree::{Kind, Node, Tree};
use crate::path::HostPath;

/// How long a file that holds one path may be: the kernel takes no longer path (`PATH_MAX`).
const POINTER_MAX: u64 = 4096;

/// How long a configuration may be. The largest seen in the wild, with 10,000 branches, is below 1 MiB.
pub(super) const CONFIG_MAX: u64 = 4 << 20;

/// What a `commondir` may hold besides a pointer: the reservation that a session puts there, which leads git nowhere.
pub const RESERVED_COMMON_DIR: &[u8] = b"./\n";

/// What git reads or writes in a git directory by name. A link there would be followed out of it.
const NAMES: [&str; 14] = [
    "HEAD",
    "index",
    "config",
    "config.worktree",
    "hooks",
    "objects",
    "refs",
    "logs",
    "worktrees",
    "modules",
    "info",
    "packed-refs",
    "reftable",
    "gitdir",
];

pub(super) const REPAIR: &str = "if the work tree was moved, run `git worktree repair` in the main one";
const OWNER: &str = "git refuses such a repository too (`safe.directory`); start claudebox as its owner";

/// Who asks, and of which file system.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) tree: &'a Tree,
    pub(super) home: HostPath,
    canonical_home: HostPath,
    pub(super) uid: u32,
}

/// `path/name`.
pub(super) fn at(path: &HostPath, name: impl AsRef<Path>) -> Result<HostPath, Forged> {
    path.join(name)
        .map_err(|why| Forged::new(path, format!("holds a name that {why}"), "look at who wrote it"))
}

fn missing(file: &HostPath) -> Forged {
    Forged::new(
        file,
        "is missing",
        "restore it, or make the repository anew with `git clone`",
    )
}

/// The directory that a person would call the repository's: around `.git`, else the git directory itself.
pub(super) fn holder(git_dir: &HostPath) -> HostPath {
    match git_dir.parent() {
        Some(parent) if git_dir.name().is_some_and(|name| name == ".git") => parent,
        _ => git_dir.clone(),
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(tree: &'a Tree, home: &HostPath, uid: u32) -> Result<Self, Forged> {
        Ok(Self {
            tree,
            canonical_home: tree.resolve(home)?.path,
            home: home.clone(),
            uid,
        })
    }

    /// A repository with one git directory, keyed by its work tree.
    pub(super) fn repository(&self, work_tree: HostPath, git_dir: HostPath, layout: Layout) -> Repository {
        Repository {
            root: work_tree.clone(),
            work_tree,
            common_dir: git_dir.clone(),
            git_dir,
            layout,
            home: self.home.clone(),
            uid: self.uid,
        }
    }

    /// `home` may be reached through a link (`/home` -> `/var/home`): both of its names count.
    pub(super) fn at_or_above_home(&self, path: &HostPath) -> bool {
        self.home.within(path) || self.canonical_home.within(path)
    }

    pub(super) fn node(&self, path: &HostPath) -> Result<Option<Node>, Forged> {
        Ok(self.tree.node(path.as_path())?)
    }

    pub(super) fn kind(&self, path: &HostPath) -> Result<Option<Kind>, Forged> {
        Ok(self.node(path)?.map(|node| node.kind))
    }

    pub(super) fn is_empty_directory(&self, path: &HostPath) -> Result<bool, Forged> {
        Ok(self.kind(path)? == Some(Kind::Directory) && self.tree.entries(path.as_path())?.is_empty())
    }

    /// At least as generous as git's own test, so that nothing is a repository for git and none for us.
    pub(super) fn looks_like_git_dir(&self, path: &HostPath) -> Result<bool, Forged> {
        for name in ["HEAD", "objects", "refs"] {
            if self.kind(&at(path, name)?)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn owned(&self, path: &HostPath, node: &Node) -> Result<(), Forged> {
        if node.uid == self.uid {
            return Ok(());
        }
        let why = format!("belongs to another user (uid {}, not {})", node.uid, self.uid);
        Err(Forged::new(path, why, OWNER))
    }

    /// A directory, not a link to one, and the caller's.
    pub(super) fn owned_directory(&self, path: &HostPath) -> Result<(), Forged> {
        match self.node(path)? {
            Some(node) if node.kind == Kind::Directory => self.owned(path, &node),
            Some(_) => Err(Forged::new(path, "is not a directory", "look at who wrote it")),
            None => Err(Forged::new(path, "does not exist", REPAIR)),
        }
    }

    /// A regular file with one name. `None` where there is nothing; a link or a second name would let the file be
    /// changed in spite of a mount over this one.
    pub(super) fn single_file(&self, path: &HostPath) -> Result<Option<Node>, Forged> {
        match self.node(path)? {
            None => Ok(None),
            Some(node) if matches!(node.kind, Kind::Link(_)) => Err(Forged::new(
                path,
                "is a symbolic link",
                "replace it by a copy of what it leads to",
            )),
            Some(node) if node.kind != Kind::File => Err(Forged::new(path, "is not a regular file", "remove it")),
            Some(node) if node.links != 1 => Err(Forged::new(
                path,
                format!("has {} names (hard links)", node.links),
                "replace it by a copy of itself",
            )),
            Some(node) => Ok(Some(node)),
        }
    }

    fn owned_file(&self, path: &HostPath) -> Result<(), Forged> {
        match self.single_file(path)? {
            Some(node) => self.owned(path, &node),
            None => Err(missing(path)),
        }
    }

    /// The one line of a pointer file.
    pub(super) fn line(&self, path: &HostPath) -> Result<Vec<u8>, Forged> {
        self.line_if_there(path)?.ok_or_else(|| missing(path))
    }

    /// The same; `None` where there is no such file.
    fn line_if_there(&self, path: &HostPath) -> Result<Option<Vec<u8>>, Forged> {
        let Some(node) = self.single_file(path)? else {
            return Ok(None);
        };
        self.owned(path, &node)?;
        let Some(mut text) = self.read(path, POINTER_MAX)? else {
            return Ok(None);
        };
        while text.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            text.pop();
        }
        if text.is_empty() || text.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
            return Err(Forged::new(path, "does not hold exactly one line", REPAIR));
        }
        Ok(Some(text))
    }

    /// Where `raw`, written in `file` and relative to `base`, leads. A link on the way is refused: who may change the
    /// link would choose what gets mounted.
    pub(super) fn follow(&self, file: &HostPath, base: &HostPath, raw: &[u8]) -> Result<HostPath, Forged> {
        let (path, through) = walk(self.tree, base, Path::new(OsStr::from_bytes(raw)))?;
        match through.first() {
            None => Ok(path),
            Some(link) => Err(Forged::new(
                file,
                format!("names a path through the symbolic link `{link}`"),
                "write the canonical path into it; `git worktree repair` does so",
            )),
        }
    }

    /// Where a git directory may be at all.
    pub(super) fn git_dir_place(&self, path: &HostPath) -> Result<(), Forged> {
        if self.at_or_above_home(path) {
            let why = "is your home directory or above it, and named as a git directory";
            return Err(Forged::new(
                path,
                why,
                "look at who wrote the `.git` file of this project",
            ));
        }
        self.owned_directory(path)
    }

    /// The common directory that a git directory names; `None` where it is its own.
    pub(super) fn common_dir(&self, git_dir: &HostPath) -> Result<Option<HostPath>, Forged> {
        let file = at(git_dir, "commondir")?;
        let Some(line) = self.line_if_there(&file)? else {
            return Ok(None);
        };
        Ok(Some(self.follow(&file, git_dir, &line)?).filter(|common| common != git_dir))
    }

    /// What a file holds; `None` where it is not there, or no more: a session that ends removes what it reserved while another one
    /// looks at it.
    fn read(&self, file: &HostPath, limit: u64) -> Result<Option<Vec<u8>>, Forged> {
        match self.tree.read(file.as_path(), limit) {
            Err(unreadable) if unreadable.is_absence() => Ok(None),
            read => Ok(Some(read?)),
        }
    }

    /// Refuses a `commondir`, which would have git take the configuration and the hooks of another directory.
    pub(super) fn no_common_dir(&self, git_dir: &HostPath) -> Result<(), Forged> {
        let file = at(git_dir, "commondir")?;
        if self.single_file(&file)?.is_none()
            || self
                .read(&file, POINTER_MAX)?
                .is_none_or(|content| content == RESERVED_COMMON_DIR)
        {
            return Ok(());
        }
        Err(Forged::new(
            &file,
            "sends git to the configuration and the hooks of another directory",
            "git makes this file in linked worktrees alone: look at who wrote it, and remove it before git runs here",
        ))
    }

    /// A complete git directory of the caller's, without links and without another common directory.
    pub(super) fn git_dir(&self, path: &HostPath) -> Result<Settings, Forged> {
        self.owned_directory(path)?;
        self.no_common_dir(path)?;
        self.no_links(path)?;
        for (name, directory) in [("HEAD", false), ("objects", true), ("refs", true)] {
            let part = at(path, name)?;
            let kind = self.kind(&part)?;
            if kind.is_none() || (kind == Some(Kind::Directory)) != directory {
                let why = if kind.is_none() {
                    "is missing"
                } else {
                    "is not what a git directory holds there"
                };
                return Err(Forged::new(
                    &part,
                    why,
                    "no git directory is without it: look at who wrote the pointer",
                ));
            }
        }
        let mut settings = Settings::default();
        let file = at(path, "config")?;
        self.owned_file(&file)?;
        settings.take(&file, &self.config(&file)?);
        if settings.per_worktree {
            self.worktree_settings(path, &mut settings)?;
        }
        Ok(settings)
    }

    /// Adds what a `config.worktree` says, which git reads only where the extension is on. `git worktree` and
    /// `git sparse-checkout` move `core.bare` and `core.worktree` of the main work tree there.
    pub(super) fn worktree_settings(&self, git_dir: &HostPath, settings: &mut Settings) -> Result<(), Forged> {
        let file = at(git_dir, "config.worktree")?;
        if self.single_file(&file)?.is_some() {
            settings.take(&file, &self.config(&file)?);
        }
        Ok(())
    }

    /// The entry of a linked worktree: no links at the names that git uses.
    pub(super) fn worktree_entry(&self, git_dir: &HostPath) -> Result<(), Forged> {
        self.no_links(git_dir)?;
        let head = at(git_dir, "HEAD")?;
        match self.kind(&head)? {
            Some(Kind::File) => Ok(()),
            _ => Err(Forged::new(&head, "is missing", REPAIR)),
        }
    }

    pub(super) fn no_links(&self, git_dir: &HostPath) -> Result<(), Forged> {
        for name in NAMES {
            let path = at(git_dir, name)?;
            if let Some(Kind::Link(_)) = self.kind(&path)? {
                let hint = "git would read or write where it leads: replace it by what it leads to";
                return Err(Forged::new(&path, "is a symbolic link", hint));
            }
        }
        Ok(())
    }

    /// The entries of a configuration.
    pub(super) fn config(&self, file: &HostPath) -> Result<Vec<Entry>, Forged> {
        let text = self.read(file, CONFIG_MAX)?.unwrap_or_default();
        config::parse(&text).map_err(|malformed| {
            Forged::new(
                file,
                format!("is no git configuration: {malformed}"),
                "git cannot read it either: correct it",
            )
        })
    }

    /// `core.worktree`, where it is set, must lead from the git directory back to the work tree.
    pub(super) fn leads_back(
        &self,
        git_dir: &HostPath,
        named: Option<&(HostPath, Vec<u8>)>,
        to: &HostPath,
    ) -> Result<(), Forged> {
        let Some((file, raw)) = named else { return Ok(()) };
        let work_tree = self.follow(file, git_dir, raw)?;
        if work_tree == *to {
            return Ok(());
        }
        Err(Forged::new(
            file,
            format!("sets `core.worktree` to `{work_tree}`, not to `{to}`"),
            "git here would change files elsewhere; remove the setting, or start in the directory that it names",
        ))
    }

    /// The main work tree of a common directory: around a `.git`, or where `core.worktree` and a pointer back agree.
    pub(super) fn main_work_tree(&self, common: &HostPath, settings: &Settings) -> Result<Option<HostPath>, Forged> {
        if settings.bare == Some(true) {
            return Ok(None);
        }
        let Some((file, raw)) = &settings.work_tree else {
            return Ok(common
                .parent()
                .filter(|_| common.name().is_some_and(|name| name == ".git")));
        };
        let work_tree = self.follow(file, common, raw)?;
        let pointer = at(&work_tree, ".git")?;
        if pointer == *common {
            return Ok(Some(work_tree));
        }
        if self.kind(&pointer)? != Some(Kind::File) {
            return Ok(None);
        }
        let line = self.line(&pointer)?;
        let Some(target) = line.strip_prefix(b"gitdir: ".as_slice()) else {
            return Ok(None);
        };
        Ok(Some(work_tree.clone()).filter(|_| {
            self.follow(&pointer, &work_tree, target)
                .is_ok_and(|dir| dir == *common)
        }))
    }

    /// The nearest directory above `path`, and below the home directory, that holds a `.git`.
    pub(super) fn work_tree_around(&self, path: &HostPath) -> Result<Option<HostPath>, Forged> {
        for directory in path.ancestors().skip(1) {
            if self.at_or_above_home(&directory) {
                break;
            }
            if self.kind(&at(&directory, ".git")?)?.is_some() {
                return Ok(Some(directory));
            }
        }
        Ok(None)
    }
}
