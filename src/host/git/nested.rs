//! The repositories among the files of the project: the host's git runs what their configuration names as soon as
//! someone, or a prompt, enters their directory.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::Forged;
use super::config;
use super::judge::{CONFIG_MAX, at};
use super::surface::{Builder, Protection};
use super::walk::walk;
use crate::host::tree::Kind;
use crate::path::HostPath;

/// How deep below the work tree a repository is searched for.
const DEPTH_MAX: usize = 8;

/// How many directories are looked at. Listing one takes about 6 µs.
const DIRECTORIES_MAX: usize = 4096;

/// Directories of other tools' making, large and replaced as a whole: a pin inside would have `npm ci` fail.
const SKIPPED: [&str; 18] = [
    ".cache",
    ".direnv",
    ".gradle",
    ".mypy_cache",
    ".nox",
    ".pnpm-store",
    ".terraform",
    ".tox",
    ".venv",
    "Pods",
    "__pycache__",
    "bower_components",
    "dist-newstyle",
    "elm-stuff",
    "node_modules",
    "target",
    "vendor",
    "venv",
];

/// What git keeps in a bare repository: no place for another one.
const GIT_OWN: [&str; 7] = ["hooks", "info", "logs", "modules", "objects", "refs", "worktrees"];

/// How many submodules are taken from one `.gitmodules`.
const SUBMODULES_MAX: usize = 4096;

fn is(name: &OsStr, names: &[&str]) -> bool {
    names.iter().any(|other| name == *other)
}

impl Builder<'_> {
    /// Finds and protects the repositories below `work_tree`: by a search that is bounded, and where `.gitmodules` says
    /// that a submodule is, however deep.
    pub(super) fn nested(&mut self, work_tree: &HostPath) -> Result<(), Forged> {
        let mut found: VecDeque<HostPath> = self.search(work_tree)?.into();
        found.extend(self.submodules(work_tree));
        let mut seen = HashSet::from([work_tree.clone()]);
        while let Some(directory) = found.pop_front() {
            if seen.insert(directory.clone()) {
                self.nested_repository(&directory)?;
                found.extend(self.submodules(&directory));
            }
        }
        Ok(())
    }

    /// The directories below `top` that hold a `.git`, those nearer first.
    fn search(&mut self, top: &HostPath) -> Result<Vec<HostPath>, Forged> {
        let mut found = Vec::new();
        let mut looked = 0_usize;
        let mut todo = VecDeque::from([(top.clone(), 0_usize)]);
        while let Some((directory, depth)) = todo.pop_front() {
            if looked == DIRECTORIES_MAX {
                self.gap(
                    &directory,
                    "and what comes after it was not searched for repositories: too many directories",
                );
                break;
            }
            looked = looked.saturating_add(1);
            // What the caller cannot list, the sandbox cannot either.
            let Ok(entries) = self.judge.tree.entries(directory.as_path()) else {
                self.gap(&directory, "was not searched for repositories: it cannot be listed");
                continue;
            };
            let holds = |name: &str| entries.iter().any(|(entry, _)| entry == name);
            if holds(".git") && directory != *top {
                found.push(directory.clone());
            }
            let git_dir = holds("HEAD") && holds("objects") && holds("refs");
            if git_dir && directory != *top {
                continue;
            }
            for (name, is_directory) in &entries {
                let skipped = name == ".git" || is(name, &SKIPPED) || (git_dir && is(name, &GIT_OWN));
                if !is_directory || skipped {
                    continue;
                }
                if depth == DEPTH_MAX {
                    self.gap(&directory, "was not searched further for repositories: too deep");
                    break;
                }
                todo.push_back((at(&directory, name)?, depth.saturating_add(1)));
            }
        }
        Ok(found)
    }

    /// Where `.gitmodules` says that submodules are. It is a file of the project's, so it is believed in nothing but
    /// where to look.
    fn submodules(&self, work_tree: &HostPath) -> Vec<HostPath> {
        let read = || {
            let file = at(work_tree, ".gitmodules").ok()?;
            config::parse(&self.judge.tree.read(file.as_path(), CONFIG_MAX).ok()?).ok()
        };
        let mut found = Vec::new();
        for entry in read().unwrap_or_default() {
            if found.len() == SUBMODULES_MAX {
                break;
            }
            let (b"submodule", b"path", Some(value)) = (&*entry.section, entry.key.as_slice(), &entry.value) else {
                continue;
            };
            let path = Path::new(OsStr::from_bytes(value));
            let inside = path
                .components()
                .all(|part| matches!(part, Component::Normal(name) if name != ".git"));
            let walked = walk(self.judge.tree, work_tree, path).ok();
            if let Some((path, through)) = walked.filter(|_| inside)
                && through.is_empty()
                && path != *work_tree
            {
                found.push(path);
            }
        }
        found
    }

    /// Protects the repository that `directory` holds as `.git`, if it does.
    pub(super) fn nested_repository(&mut self, directory: &HostPath) -> Result<(), Forged> {
        let entry = at(directory, ".git")?;
        match self.judge.node(&entry)? {
            None => Ok(()),
            Some(node) if node.kind == Kind::Directory => {
                // git does not enter another user's repository.
                if node.uid == self.judge.uid {
                    if self.judge.looks_like_git_dir(&entry)? {
                        return self.git_dir(&entry, Some(directory));
                    }
                    self.judge.no_common_dir(&entry)?;
                }
                self.put(
                    &entry,
                    Protection::ReadOnly,
                    "is no repository of yours, and must not become one",
                );
                Ok(())
            }
            Some(_) => {
                self.judge.single_file(&entry)?;
                self.put(&entry, Protection::ReadOnly, "names the git directory");
                self.pointed(directory, &entry)
            }
        }
    }

    /// Protects the git directory that a `.git` file names, where it lies in the project too.
    fn pointed(&mut self, directory: &HostPath, entry: &HostPath) -> Result<(), Forged> {
        // What git cannot read it does not obey.
        let Ok(line) = self.judge.line(entry) else {
            return Ok(());
        };
        let Some(target) = line.strip_prefix(b"gitdir: ".as_slice()) else {
            return Ok(());
        };
        let (git_dir, through) = walk(self.judge.tree, directory, Path::new(OsStr::from_bytes(target)))?;
        self.no_link_inside(&git_dir, &through)?;
        if self.root(&git_dir).is_none() || self.judge.kind(&git_dir)? != Some(Kind::Directory) {
            return Ok(());
        }
        match self.judge.common_dir(&git_dir)? {
            Some(common_dir) if git_dir.parent() == Some(at(&common_dir, "worktrees")?) => {
                self.git_dir(&common_dir, Some(directory))
            }
            Some(common_dir) => Err(Forged::new(
                &at(&git_dir, "commondir")?,
                format!("names `{common_dir}`, which does not hold it as one of its worktrees"),
                "no `git worktree add` makes this: look at who wrote it",
            )),
            None if self.judge.looks_like_git_dir(&git_dir)? => self.git_dir(&git_dir, Some(directory)),
            None => {
                self.put(
                    &git_dir,
                    Protection::ReadOnly,
                    "is no repository, and must not become one",
                );
                Ok(())
            }
        }
    }
}
