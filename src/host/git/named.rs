//! What a configuration names: files that it includes, directories of hooks, programs. Where they lie in the project,
//! the sandbox could change what the host's git runs without touching the configuration.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Forged;
use super::config::Entry;
use super::identity::expand;
use super::judge::at;
use super::surface::{Builder, Protection, Reservation};
use super::walk::walk;
use crate::host::tree::Kind;
use crate::path::HostPath;

/// How many files one configuration may include.
const INCLUDES_MAX: usize = 100;

/// What one configuration and all that it includes say.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Values of `core.hooksPath`, and the file that sets each.
    hooks: Vec<(HostPath, Vec<u8>)>,
    /// Values that hold a command.
    commands: Vec<Vec<u8>>,
    /// The last `core.worktree`.
    work_tree: Option<Vec<u8>>,
    /// `extensions.worktreeConfig`.
    per_worktree: bool,
}

impl Named {
    fn take(&mut self, file: &HostPath, entry: &Entry) {
        if entry.is("extensions", "worktreeconfig") {
            self.per_worktree = entry.is_true();
        }
        let Some(value) = &entry.value else { return };
        if entry.is("core", "hookspath") {
            self.hooks.push((file.clone(), value.clone()));
        } else if entry.is("core", "worktree") {
            self.work_tree = Some(value.clone());
        } else if names_command(entry, value) {
            self.commands.push(value.clone());
        }
    }
}

/// Whether git, or a shell for it, runs what the value names.
pub(super) fn names_command(entry: &Entry, value: &[u8]) -> bool {
    match (&*entry.section, entry.key.as_slice()) {
        (b"alias", _) => value.starts_with(b"!"),
        (b"pager", _) => true,
        (b"core", key) => matches!(
            key,
            b"fsmonitor" | b"sshcommand" | b"editor" | b"pager" | b"gitproxy" | b"askpass" | b"alternaterefscommand"
        ),
        (b"filter", key) => matches!(key, b"clean" | b"smudge" | b"process"),
        (b"diff", key) => matches!(key, b"external" | b"command" | b"textconv"),
        (b"gpg", key) => matches!(key, b"program" | b"defaultkeycommand"),
        (b"remote", key) => matches!(key, b"uploadpack" | b"receivepack"),
        (b"difftool" | b"mergetool" | b"guitool" | b"browser" | b"man", key) => matches!(key, b"cmd" | b"path"),
        (b"trailer" | b"hook" | b"tar", key) => matches!(key, b"cmd" | b"command"),
        (b"sendemail", key) => key.ends_with(b"cmd") || key == b"smtpserver",
        (b"merge", b"driver")
        | (b"credential", b"helper")
        | (b"sequence", b"editor")
        | (b"submodule", b"update")
        | (b"interactive", b"difffilter")
        | (b"uploadpack", b"packobjectshook")
        | (b"web", b"browser")
        | (b"instaweb", b"httpd")
        | (b"imap", b"tunnel") => true,
        _ => false,
    }
}

impl Builder<'_> {
    /// Reads the caller's own configuration, once for all work trees.
    pub(super) fn read_own(&mut self, files: &[HostPath]) -> Result<(), Forged> {
        let mut named = Named::default();
        for file in files {
            self.read(file.as_path(), &mut named)?;
        }
        self.everywhere = named;
        Ok(())
    }

    /// Protects what the configuration `file` names, and what the caller's own does, for this work tree. Tells whether
    /// `config.worktree` is in use.
    pub(super) fn config(&mut self, file: &HostPath, work_tree: Option<&HostPath>) -> Result<bool, Forged> {
        let mut named = Named::default();
        self.read(file.as_path(), &mut named)?;
        let everywhere = std::mem::take(&mut self.everywhere);
        let result = self
            .protect(&named, work_tree)
            .and_then(|()| self.protect(&everywhere, work_tree));
        self.everywhere = everywhere;
        result.map(|()| named.per_worktree)
    }

    /// The work tree that a submodule's configuration names.
    pub(super) fn named_work_tree(&mut self, git_dir: &HostPath) -> Result<Option<HostPath>, Forged> {
        let mut named = Named::default();
        self.read(at(git_dir, "config")?.as_path(), &mut named)?;
        let Some(raw) = named.work_tree else { return Ok(None) };
        let (path, _) = walk(self.judge.tree, git_dir, Path::new(OsStr::from_bytes(&raw)))?;
        Ok(Some(path))
    }

    /// Reads a configuration and all that it includes, whatever the condition: it may hold at another time. Included
    /// files that lie in the project are protected.
    fn read(&mut self, file: &Path, named: &mut Named) -> Result<(), Forged> {
        let mut seen = HashSet::new();
        let mut todo: Vec<PathBuf> = vec![file.to_path_buf()];
        while let Some(file) = todo.pop() {
            let (path, through) = walk(self.judge.tree, &HostPath::root(), &file)?;
            self.no_link_inside(&path, &through)?;
            if !seen.insert(path.clone()) {
                continue;
            }
            if seen.len() > INCLUDES_MAX {
                return Err(Forged::new(
                    &path,
                    "is one of too many included files",
                    "include fewer files",
                ));
            }
            match self.judge.kind(&path)? {
                Some(Kind::File) => {}
                // The file that it all began with is reserved by who asked.
                None if seen.len() == 1 => continue,
                None => {
                    self.reserve(
                        &path,
                        Reservation::EmptyFile,
                        "would be included by git's configuration",
                    )?;
                    continue;
                }
                Some(_) => continue,
            }
            if self.root(&path).is_some() {
                self.judge.single_file(&path)?;
                self.keep(
                    &path,
                    Reservation::EmptyFile,
                    "is git's configuration, and can name programs that git runs",
                )?;
            }
            for entry in self.judge.config(&path)? {
                let includes = *entry.section == *b"include" || *entry.section == *b"includeif";
                match &entry.value {
                    Some(value) if includes && entry.key == b"path" => {
                        todo.extend(expand(value, &file, &self.judge.home));
                    }
                    _ => named.take(&path, &entry),
                }
            }
        }
        Ok(())
    }

    fn protect(&mut self, named: &Named, work_tree: Option<&HostPath>) -> Result<(), Forged> {
        let Some(work_tree) = work_tree else { return Ok(()) };
        for (file, raw) in &named.hooks {
            let Some(raw) = self.relative_to(work_tree, raw) else {
                continue;
            };
            let (path, through) = walk(self.judge.tree, work_tree, &raw)?;
            if self.root(&path).is_none() && through.iter().all(|link| self.root(link).is_none()) {
                continue;
            }
            if self.kept.iter().chain([work_tree]).any(|kept| kept.within(&path)) {
                return Err(Forged::new(
                    file,
                    format!("sets `core.hooksPath` to `{path}`, which must stay writable"),
                    "keep the hooks in a directory of their own",
                ));
            }
            self.no_link_inside(&path, &through)?;
            match self.judge.kind(&path)? {
                Some(Kind::Directory) => self.hooks(&path)?,
                Some(_) => self.put(&path, Protection::ReadOnly, "is named as the directory of hooks"),
                None => {
                    let why = "would hold programs that git runs";
                    self.reserve(&path, Reservation::EmptyDirectory, why)?;
                }
            }
        }
        for command in &named.commands {
            self.command(command, work_tree);
        }
        Ok(())
    }

    /// `~` stands for the home directory; `None` for a path that only git itself could tell.
    fn relative_to(&self, base: &HostPath, raw: &[u8]) -> Option<PathBuf> {
        expand(raw, &base.as_path().join("x"), &self.judge.home)
    }

    /// Protects each file of the project among the words of a command. A script may well run others: what is closed
    /// here is the one that the configuration names.
    fn command(&mut self, command: &[u8], work_tree: &HostPath) {
        let blank =
            |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'!' | b'"' | b'\'' | b';' | b'&' | b'|' | b'=');
        for (index, word) in command.split(blank).filter(|word| !word.is_empty()).enumerate() {
            if index == 0 && !word.contains(&b'/') {
                // A program is looked up in `PATH`.
                continue;
            }
            let Some(path) = self.relative_to(work_tree, word) else {
                continue;
            };
            let Ok((path, through)) = walk(self.judge.tree, work_tree, &path) else {
                continue;
            };
            if self.judge.kind(&path).ok().flatten() != Some(Kind::File) {
                continue;
            }
            if let Some(link) = through.iter().find(|link| self.root(link).is_some()) {
                let link = link.clone();
                self.gap(
                    &link,
                    "is a link to a program that git's configuration names: a link cannot be protected",
                );
            }
            self.put(
                &path,
                Protection::ReadOnly,
                "is a program that git's configuration names",
            );
        }
    }

    /// A directory of hooks, and the files of the project that links in it lead to.
    pub(super) fn hooks(&mut self, directory: &HostPath) -> Result<(), Forged> {
        self.keep(directory, Reservation::EmptyDirectory, "holds programs that git runs")?;
        for name in self.judge.tree.list(directory.as_path())? {
            if name.as_bytes().ends_with(b".sample") {
                continue;
            }
            let hook = at(directory, name)?;
            let Some(node) = self.judge.node(&hook)? else { continue };
            match node.kind {
                Kind::File if node.links != 1 => {
                    self.judge.single_file(&hook)?;
                }
                Kind::Link(target) => {
                    let (path, through) = walk(self.judge.tree, directory, &target)?;
                    self.no_link_inside(&path, &through)?;
                    match self.judge.kind(&path)? {
                        Some(Kind::File) => self.put(&path, Protection::ReadOnly, "is run by git: a hook leads to it"),
                        None => {
                            self.reserve(&path, Reservation::EmptyFile, "would be run by git: a hook leads to it")?
                        }
                        Some(_) => {}
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps an absent path absent: an empty directory or a file on the way is closed, else the first component that
    /// does not exist is reserved.
    fn reserve(&mut self, path: &HostPath, last: Reservation, why: &'static str) -> Result<(), Forged> {
        let Some(root) = self.root(path).cloned() else {
            return Ok(());
        };
        let mut closed = (path.clone(), Protection::Reserve(last));
        for ancestor in path.ancestors().skip(1).take_while(|ancestor| *ancestor != root) {
            match self.judge.kind(&ancestor)? {
                None => closed = (ancestor, Protection::Reserve(Reservation::EmptyDirectory)),
                Some(Kind::Directory) if !self.judge.is_empty_directory(&ancestor)? => {}
                Some(_) => closed = (ancestor, Protection::ReadOnly),
            }
        }
        self.put(&closed.0, closed.1, why);
        Ok(())
    }

    /// Refuses a path that leads through a link in the project, since the sandbox could put another in its place.
    pub(super) fn no_link_inside(&self, path: &HostPath, through: &[HostPath]) -> Result<(), Forged> {
        match through.iter().find(|link| self.root(link).is_some()) {
            None => Ok(()),
            Some(link) => Err(Forged::new(
                link,
                format!("is a symbolic link on the way to `{path}`, which git obeys"),
                "a link cannot be protected from being replaced: name the path that it leads to",
            )),
        }
    }
}
