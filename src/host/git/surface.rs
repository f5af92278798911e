//! What of a repository the host's git would run or obey, and how each part is kept from the sandbox: as data, in the
//! order in which it has to be mounted.
//!
//! A read-only file alone protects nothing: a directory above it can be renamed and another one put in its place. So
//! every directory between a mount and a protected name is pinned, that is bound onto itself: the kernel then answers
//! `EBUSY` to a rename. `objects refs logs info HEAD index packed-refs` stay writable, or nothing could be committed.
//!
//! Bare repositories among the project's files are not protected: any directory of the project can be made into one
//! during the session, so a mount over those that exist would close nothing (`safe.bareRepository = explicit` does).

use std::collections::HashSet;

use indexmap::IndexMap;

use super::judge::{Judge, RESERVED_COMMON_DIR, at};
use super::named::Named;
use super::{Forged, Layout, Repository};
use crate::host::tree::{Kind, Tree};
use crate::path::HostPath;

/// How many git directories are opened part by part, five mounts each; the repositories beyond are read-only as a whole. The
/// companion makes the mounts where there are many, in a time that grows with their number.
pub(super) const OPEN_MAX: usize = 64;

/// How many gaps of one kind are told.
const GAPS_MAX: usize = 8;

/// What must be protected. The mounts of [`Repository::roots`] come first and are not among the items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Parents before children, each path once, and nothing below what is read-only as a whole.
    pub items: Vec<SurfaceItem>,
    /// Where the search for more ended early, or a mount cannot help: for the audit and the report at the end.
    pub gaps: Vec<Gap>,
}

/// One path to protect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceItem {
    /// The canonical path.
    pub path: HostPath,
    /// How.
    pub protection: Protection,
    /// What the host's git would do with it otherwise.
    pub why: &'static str,
}

/// How a path is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Bound onto itself read-write, so that it can be neither renamed nor replaced.
    Pin,
    /// Bound read-only.
    ReadOnly,
    /// Absent: made for the time of the session, bound read-only, and removed after it. A `commondir` with the
    /// reservation's content may be there already, from another session or one that was killed: it is taken over.
    /// Whatever else such a session left looks like the user's own and is an item of the other kind; who removes
    /// reservations has to know them by a record of its own.
    Reserve(Reservation),
}

/// What reserves an absent name without changing what git does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// A file without content.
    EmptyFile,
    /// A directory without content.
    EmptyDirectory,
    /// A file with this content.
    Content(&'static [u8]),
}

impl Reservation {
    /// What a file holds that reserves its name.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::EmptyFile | Self::EmptyDirectory => b"",
            Self::Content(content) => content,
        }
    }
}

/// Something that is left unprotected: the first few of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where.
    pub path: HostPath,
    /// Why; completes a sentence that begins with the path.
    pub why: &'static str,
}

/// What to protect of a repository, its submodules, its worktrees and the repositories among its files.
///
/// `own` are the caller's own configuration files ([`super::identity::files`], and `/etc/gitconfig`): git obeys them
/// in every repository, and what they name may lie in this one.
///
/// # Errors
/// When a protected name is a link or has a second name, when a part contradicts the others, or cannot be examined.
pub fn surface(tree: &Tree, repository: &Repository, own: &[HostPath]) -> Result<Surface, Forged> {
    let judge = Judge::new(tree, &repository.home, repository.uid)?;
    let mut builder = Builder::new(judge, repository.roots(), &repository.work_tree);
    builder.kept = vec![
        repository.work_tree.clone(),
        repository.git_dir.clone(),
        repository.common_dir.clone(),
    ];
    builder.read_own(own)?;
    let pointer = at(&repository.work_tree, ".git")?;
    if pointer != repository.git_dir && builder.judge.single_file(&pointer)?.is_some() {
        builder.put(&pointer, Protection::ReadOnly, "names the git directory");
    }
    let linked = matches!(repository.layout, Layout::Worktree { .. });
    let work_tree = match repository.layout {
        Layout::Worktree { .. } => None,
        // Hooks of a bare repository run in its git directory.
        Layout::Bare => Some(&repository.git_dir),
        _ => Some(&repository.work_tree),
    };
    builder.own_entry = Some(repository.git_dir.clone()).filter(|_| linked);
    builder.git_dir(&repository.common_dir, work_tree)?;
    if linked {
        // A relative path in the common configuration is relative to each work tree.
        let config = at(&repository.common_dir, "config")?;
        builder.config(&config, Some(&repository.work_tree))?;
        builder.config(
            &at(&repository.git_dir, "config.worktree")?,
            Some(&repository.work_tree),
        )?;
        for name in ["HEAD", "index"] {
            let path = at(&repository.common_dir, name)?;
            if builder.judge.single_file(&path)?.is_some() {
                builder.put(&path, Protection::ReadOnly, "is the state of the main work tree");
            }
        }
    }
    for root in repository.roots() {
        // Other git directories than one around the work tree hold no files of a project.
        if repository.work_tree.within(&root) {
            builder.nested(&root)?;
        }
    }
    Ok(builder.finish())
}

/// What to protect in a folder that is in no repository: the repositories among its files.
///
/// # Errors
/// As [`surface`].
pub fn surface_of_folder(
    tree: &Tree,
    folder: &HostPath,
    home: &HostPath,
    uid: u32,
    own: &[HostPath],
) -> Result<Surface, Forged> {
    let mut builder = Builder::new(Judge::new(tree, home, uid)?, vec![folder.clone()], folder);
    builder.kept = vec![folder.clone()];
    builder.read_own(own)?;
    builder.nested_repository(folder)?;
    builder.nested(folder)?;
    Ok(builder.finish())
}

pub(super) struct Builder<'a> {
    pub(super) judge: Judge<'a>,
    /// What is mounted read-write.
    roots: Vec<HostPath>,
    pub(super) work_tree: HostPath,
    /// What must stay writable: no configuration may ask for a directory around it to be read-only.
    pub(super) kept: Vec<HostPath>,
    /// The worktree's entry that the session may commit through.
    pub(super) own_entry: Option<HostPath>,
    items: IndexMap<HostPath, (Protection, &'static str)>,
    gaps: Vec<Gap>,
    done: HashSet<HostPath>,
    /// What the caller's own configuration names, for every work tree.
    pub(super) everywhere: Named,
}

impl<'a> Builder<'a> {
    fn new(judge: Judge<'a>, roots: Vec<HostPath>, work_tree: &HostPath) -> Self {
        Self {
            judge,
            roots,
            work_tree: work_tree.clone(),
            kept: Vec::new(),
            own_entry: None,
            items: IndexMap::new(),
            gaps: Vec::new(),
            done: HashSet::new(),
            everywhere: Named::default(),
        }
    }

    fn finish(self) -> Surface {
        let items = self.items.into_iter();
        Surface {
            items: items
                .map(|(path, (protection, why))| SurfaceItem { path, protection, why })
                .collect(),
            gaps: self.gaps,
        }
    }

    pub(super) fn gap(&mut self, path: &HostPath, why: &'static str) {
        if self.gaps.iter().filter(|gap| gap.why == why).count() < GAPS_MAX {
            let path = path.clone();
            self.gaps.push(Gap { path, why });
        }
    }

    /// The innermost mount that shows `path`; `None` where the sandbox does not see it.
    pub(super) fn root(&self, path: &HostPath) -> Option<&HostPath> {
        let roots = self.roots.iter().filter(|root| path.within(root));
        roots.max_by_key(|root| root.depth())
    }

    /// Protects `path`, and pins every directory between it and its mount.
    pub(super) fn put(&mut self, path: &HostPath, protection: Protection, why: &'static str) {
        let Some(root) = self.root(path).cloned() else { return };
        if *path == root {
            return;
        }
        let mut pins = Vec::new();
        for ancestor in path.ancestors().skip(1).take_while(|ancestor| *ancestor != root) {
            match self.items.get(&ancestor) {
                None => pins.push(ancestor),
                Some((Protection::Pin, _)) => {}
                // What is below a closed directory is closed, and a pin there would open it again.
                Some(_) => return,
            }
        }
        for pin in pins.into_iter().rev() {
            let why = "holds what the host's git obeys: replacing it would replace that";
            self.items.insert(pin, (Protection::Pin, why));
        }
        match self.items.get_mut(path) {
            None => {
                self.items.insert(path.clone(), (protection, why));
            }
            Some(item) if item.0 == Protection::Pin && protection != Protection::Pin => {
                *item = (protection, why);
                self.items.retain(|other, _| other == path || !other.within(path));
            }
            Some(_) => {}
        }
    }

    /// Closes `path`, or reserves it where it is absent.
    pub(super) fn keep(&mut self, path: &HostPath, absent: Reservation, why: &'static str) -> Result<(), Forged> {
        let protection = match self.judge.kind(path)? {
            None => Protection::Reserve(absent),
            Some(_) => Protection::ReadOnly,
        };
        self.put(path, protection, why);
        Ok(())
    }

    /// A git directory that is its own common directory, with its submodules' and its worktrees'.
    pub(super) fn git_dir(&mut self, path: &HostPath, work_tree: Option<&HostPath>) -> Result<(), Forged> {
        if !self.done.insert(path.clone()) {
            return Ok(());
        }
        if self.done.len() > OPEN_MAX {
            self.gap(
                path,
                "and the repositories after it are read-only as a whole: there are too many",
            );
            self.put(
                path,
                Protection::ReadOnly,
                "is one of too many repositories to protect part by part",
            );
            return Ok(());
        }
        self.judge.no_common_dir(path)?;
        self.judge.no_links(path)?;
        self.put(
            path,
            Protection::Pin,
            "is the git directory: another in its place would be obeyed",
        );
        let config = at(path, "config")?;
        self.judge.single_file(&config)?;
        self.keep(&config, Reservation::EmptyFile, "can name programs that git runs")?;
        let per_worktree = self.config(&config, work_tree)?;
        self.config_worktree(path, per_worktree, work_tree)?;
        self.put(
            &at(path, "commondir")?,
            Protection::Reserve(Reservation::Content(RESERVED_COMMON_DIR)),
            "would send git to another configuration and other hooks",
        );
        let hooks = at(path, "hooks")?;
        match self.judge.kind(&hooks)? {
            None | Some(Kind::Directory) => self.hooks(&hooks)?,
            Some(_) => return Err(Forged::new(&hooks, "is not a directory", "remove it")),
        }
        self.worktrees(path, per_worktree)?;
        self.modules(&at(path, "modules")?, 0)
    }

    pub(super) fn config_worktree(
        &mut self,
        git_dir: &HostPath,
        on: bool,
        work_tree: Option<&HostPath>,
    ) -> Result<(), Forged> {
        let path = at(git_dir, "config.worktree")?;
        if self.judge.single_file(&path)?.is_some() || on {
            self.keep(&path, Reservation::EmptyFile, "can name programs that git runs")?;
            self.config(&path, work_tree)?;
        }
        Ok(())
    }
}
