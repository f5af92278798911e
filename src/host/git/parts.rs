//! What a git directory holds beside its own files: the entries of linked worktrees and the git directories of submodules.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Forged;
use super::judge::at;
use super::surface::{Builder, Protection};
use super::walk::walk;
use crate::host::tree::Kind;
use crate::path::HostPath;

/// How many slashes the name of a submodule may have.
const MODULES_DEEP: usize = 16;

impl Builder<'_> {
    /// The linked worktrees of a repository: this one and those inside of the project can be committed in, the others
    /// are not the session's business. Were they writable, `git worktree prune` in the sandbox would delete them all,
    /// since it does not see their directories.
    pub(super) fn worktrees(&mut self, common_dir: &HostPath, per_worktree: bool) -> Result<(), Forged> {
        let directory = at(common_dir, "worktrees")?;
        if self.judge.kind(&directory)? != Some(Kind::Directory) {
            return Ok(());
        }
        self.put(
            &directory,
            Protection::Pin,
            "holds the worktrees' pointers to their configuration",
        );
        for name in self.judge.tree.list(directory.as_path())? {
            let entry = at(&directory, name)?;
            match self.judge.kind(&entry)? {
                Some(Kind::Directory) => {}
                Some(Kind::Link(_)) => return Err(Forged::new(&entry, "is a symbolic link", "remove it")),
                _ => continue,
            }
            let work_tree = self.work_tree_of(&entry);
            let own = self.own_entry.as_ref() == Some(&entry);
            let inside = work_tree.as_ref().is_some_and(|tree| tree.within(&self.work_tree));
            if own || inside {
                self.entry(&entry, per_worktree, work_tree.as_ref())?;
                continue;
            }
            self.put(&entry, Protection::ReadOnly, "is the state of another worktree");
            // Worktrees inside of a bare repository's directory come with it.
            if let Some(work_tree) = work_tree
                && !self.work_tree.within(&work_tree)
            {
                self.put(&work_tree, Protection::ReadOnly, "is another worktree");
            }
        }
        Ok(())
    }

    /// The work tree that a worktree's entry leads back to, if it is there.
    fn work_tree_of(&self, entry: &HostPath) -> Option<HostPath> {
        let file = at(entry, "gitdir").ok()?;
        let line = self.judge.line(&file).ok()?;
        let (pointer, _) = walk(self.judge.tree, entry, Path::new(OsStr::from_bytes(&line))).ok()?;
        let there = pointer.name()? == ".git" && self.judge.kind(&pointer).ok()? == Some(Kind::File);
        pointer.parent().filter(|_| there)
    }

    /// The entry of a worktree that may be committed in.
    fn entry(&mut self, entry: &HostPath, per_worktree: bool, work_tree: Option<&HostPath>) -> Result<(), Forged> {
        self.judge.no_links(entry)?;
        for name in ["commondir", "gitdir"] {
            let path = at(entry, name)?;
            if self.judge.single_file(&path)?.is_none() {
                self.put(entry, Protection::ReadOnly, "is the incomplete entry of a worktree");
                return Ok(());
            }
        }
        self.put(
            entry,
            Protection::Pin,
            "is the git directory of a worktree: another in its place would be obeyed",
        );
        for name in ["commondir", "gitdir"] {
            self.put(
                &at(entry, name)?,
                Protection::ReadOnly,
                "names the worktree's configuration or its place",
            );
        }
        self.config_worktree(entry, per_worktree, work_tree)?;
        if let Some(work_tree) = work_tree {
            let pointer = at(work_tree, ".git")?;
            self.judge.single_file(&pointer)?;
            self.put(&pointer, Protection::ReadOnly, "names the git directory");
        }
        self.modules(&at(entry, "modules")?, 0)
    }

    /// The git directories of submodules, and the directories of names with slashes around them.
    pub(super) fn modules(&mut self, directory: &HostPath, depth: usize) -> Result<(), Forged> {
        if self.judge.kind(directory)? != Some(Kind::Directory) {
            return Ok(());
        }
        if depth > MODULES_DEEP {
            self.put(directory, Protection::ReadOnly, "is too deep for a submodule");
            return Ok(());
        }
        self.put(directory, Protection::Pin, "holds the git directories of submodules");
        for name in self.judge.tree.list(directory.as_path())? {
            let module = at(directory, name)?;
            match self.judge.kind(&module)? {
                Some(Kind::Directory) if self.judge.looks_like_git_dir(&module)? => {
                    let work_tree = self.named_work_tree(&module)?;
                    self.git_dir(&module, work_tree.as_ref())?;
                }
                Some(Kind::Directory) => {
                    self.judge.no_common_dir(&module)?;
                    self.modules(&module, depth.saturating_add(1))?;
                }
                Some(Kind::Link(_)) => return Err(Forged::new(&module, "is a symbolic link", "remove it")),
                _ => {}
            }
        }
        Ok(())
    }
}
