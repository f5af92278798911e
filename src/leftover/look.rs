//! Looks at a project for what programs of the host would run or obey: bounded, without following a link.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use super::index;
use super::{Found, Kind, Places};
use crate::host::git::{self, RESERVED_COMMON_DIR, config};
use crate::host::tree::{self, Tree};
use crate::path::HostPath;

/// How many directories are looked at.
const DIRECTORIES_MAX: usize = 4096;
/// How many files of one watched directory count.
const FILES_MAX: usize = 256;
/// How much of a file counts.
const CONTENT_MAX: u64 = 1 << 20;
/// The longest index that is read: some two million entries.
const INDEX_MAX: u64 = 256 << 20;

/// Large directories of other tools' making. A repository in one is still found where the index names it.
const SKIPPED: [&str; 8] = [
    ".git",
    ".venv",
    "node_modules",
    "target",
    "vendor",
    "venv",
    "__pycache__",
    ".cache",
];

/// Files and directories that are obeyed unasked, wherever in the project they are.
const UNASKED: [&str; 44] = [
    ".autoenv",
    ".bundle/config",
    ".cargo/config",
    ".cargo/config.toml",
    ".claude-plugin",
    ".claude/agents",
    ".claude/commands",
    ".claude/hooks",
    ".claude/plugins",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".claude/skills",
    ".cursor",
    ".devcontainer",
    ".devcontainer.json",
    ".dir-locals-2.el",
    ".dir-locals.el",
    ".direnv",
    ".envrc",
    ".envrc.local",
    ".envrc.private",
    ".exrc",
    ".fleet",
    ".gdbinit",
    ".husky",
    ".idea",
    ".lefthook",
    ".lefthook.yaml",
    ".lefthook.yml",
    ".lintstagedrc",
    ".lldbinit",
    ".mcp.json",
    ".mise",
    ".mise.local.toml",
    ".mise.toml",
    ".npmrc",
    ".nvim.lua",
    ".pnpmfile.cjs",
    ".pre-commit-config.yaml",
    ".tool-versions",
    ".vimrc",
    ".vscode",
    ".zed",
    "bunfig.toml",
];
/// More of them, whose names begin with a letter or are rare.
const UNASKED_TOO: [&str; 12] = [
    ".config/mise",
    ".config/mise.toml",
    ".rtx.toml",
    ".yarn/plugins",
    ".yarn/releases",
    ".yarnrc",
    ".yarnrc.yml",
    "lefthook.yaml",
    "lefthook.yml",
    "mise.local.toml",
    "mise.toml",
    "rust-toolchain.toml",
];
const INSTRUCTIONS: [&str; 4] = ["CLAUDE.md", "CLAUDE.local.md", ".claude/CLAUDE.md", "AGENTS.md"];
const SERVER: [&str; 5] = [
    ".github/workflows",
    ".gitlab-ci.yml",
    ".circleci",
    "Jenkinsfile",
    ".woodpecker.yml",
];

/// What is there now. The tree must be a fresh one: it remembers what it saw.
#[must_use]
pub fn look(tree: &Tree, places: &Places) -> Found {
    let mut look = Look {
        tree,
        places,
        found: Found::new(),
    };
    look.work_tree();
    for git_dir in &places.git_dirs {
        look.own_git_dir(git_dir);
    }
    look.found
}

struct Look<'a> {
    tree: &'a Tree,
    places: &'a Places,
    found: Found,
}

impl Look<'_> {
    fn add(&mut self, path: &HostPath, kind: Kind, mark: &[u8]) {
        let digest = Sha256::digest(mark);
        let mark = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.found.insert((path.clone(), kind), mark);
    }

    fn kind(&self, path: &HostPath) -> Option<tree::Kind> {
        Some(self.tree.node(path.as_path()).ok()??.kind)
    }

    fn work_tree(&mut self) {
        let mut todo = VecDeque::from([self.places.project.clone()]);
        let mut looked = 0;
        while let Some(directory) = todo.pop_front() {
            looked += 1;
            if looked > DIRECTORIES_MAX {
                break;
            }
            let Ok(entries) = self.tree.entries(directory.as_path()) else {
                continue;
            };
            let holds = |name: &str| entries.iter().any(|(entry, _)| entry == name);
            if holds(".git")
                && let Ok(git) = directory.join(".git")
            {
                self.repository(&directory, &git);
            } else if holds("HEAD") && holds("objects") && holds("refs") {
                self.repository(&directory, &directory);
                continue;
            }
            let lists: [(Kind, &[&str]); 4] = [
                (Kind::Unasked, &UNASKED),
                (Kind::Unasked, &UNASKED_TOO),
                (Kind::Instructions, &INSTRUCTIONS),
                (Kind::Server, &SERVER),
            ];
            for (kind, names) in lists {
                for name in names {
                    let first = name.split('/').next().unwrap_or(name);
                    if holds(first)
                        && let Ok(path) = directory.join(name)
                    {
                        self.watched(&path, kind);
                    }
                }
            }
            for (name, is_directory) in entries {
                if is_directory
                    && !SKIPPED.iter().any(|skipped| name == *skipped)
                    && let Ok(below) = directory.join(&name)
                {
                    todo.push_back(below);
                }
            }
        }
    }

    fn watched(&mut self, path: &HostPath, kind: Kind) {
        let Some(found) = self.kind(path) else { return };
        let mut mark = Vec::new();
        let mut todo = vec![(path.clone(), found)];
        let mut left = FILES_MAX;
        while let Some((path, kind)) = todo.pop() {
            if left == 0 {
                break;
            }
            left -= 1;
            mark.extend_from_slice(path.as_os_str().as_bytes());
            match kind {
                tree::Kind::Directory => {
                    for (name, _) in self.tree.entries(path.as_path()).unwrap_or_default() {
                        if let Ok(below) = path.join(name)
                            && let Some(kind) = self.kind(&below)
                        {
                            todo.push((below, kind));
                        }
                    }
                }
                tree::Kind::Link(target) => mark.extend_from_slice(target.as_os_str().as_bytes()),
                tree::Kind::File => {
                    // What is longer counts by its length.
                    let content = self.tree.read(path.as_path(), CONTENT_MAX);
                    let length = || {
                        self.tree
                            .node(path.as_path())
                            .ok()
                            .flatten()
                            .map_or(0, |node| node.length)
                    };
                    mark.extend(content.unwrap_or_else(|_| length().to_be_bytes().to_vec()));
                }
                tree::Kind::Socket | tree::Kind::Special => mark.push(0),
            }
        }
        // An empty directory says nothing to anyone.
        if left + 1 < FILES_MAX || self.kind(path) != Some(tree::Kind::Directory) {
            self.add(path, kind, &mark);
        }
    }

    /// A repository among the files, or what calls itself one.
    fn repository(&mut self, directory: &HostPath, git: &HostPath) {
        let kind = self.kind(git);
        if self.places.git_dirs.contains(git) && kind == Some(tree::Kind::Directory) {
            return;
        }
        let mark = match kind {
            Some(tree::Kind::Directory) => self.runs(git),
            Some(tree::Kind::File) => {
                let text = self.tree.read(git.as_path(), 4096).unwrap_or_default();
                let target = text.strip_prefix(b"gitdir: ").map(<[u8]>::trim_ascii_end);
                let target = target.map(|target| directory.as_path().join(OsStr::from_bytes(target)));
                let target = target.and_then(|target| self.tree.follow(&target));
                target.map(|target| self.runs(&target)).unwrap_or_default()
            }
            Some(tree::Kind::Link(target)) => target.as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        if !mark.is_empty() {
            self.add(directory, Kind::Repository, &mark);
        }
    }

    /// What of a git directory makes git run something; empty where nothing does.
    fn runs(&self, git: &HostPath) -> Vec<u8> {
        let mut mark = Vec::new();
        for name in ["config", "config.worktree"] {
            let text = git
                .join(name)
                .ok()
                .and_then(|file| self.tree.read(file.as_path(), CONTENT_MAX).ok());
            for entry in config::parse(&text.unwrap_or_default()).unwrap_or_default() {
                if git::runs(&entry) {
                    mark.extend_from_slice(format!("{entry:?}\n").as_bytes());
                }
            }
        }
        if let Ok(hooks) = git.join("hooks") {
            for name in self.tree.list(hooks.as_path()).unwrap_or_default() {
                if !name.as_bytes().ends_with(b".sample")
                    && let Ok(hook) = hooks.join(&name)
                {
                    mark.extend_from_slice(name.as_bytes());
                    mark.extend(self.tree.read(hook.as_path(), CONTENT_MAX).unwrap_or_default());
                }
            }
        }
        if let Ok(file) = git.join("commondir")
            && let Ok(text) = self.tree.read(file.as_path(), 4096)
            && text != RESERVED_COMMON_DIR
        {
            let common = git.as_path().join(OsStr::from_bytes(text.trim_ascii_end()));
            let honest = self.tree.follow(&common);
            match honest {
                Some(common) if self.places.git_dirs.contains(&common) => {}
                _ => mark.extend(text),
            }
        }
        mark
    }

    fn own_git_dir(&mut self, git: &HostPath) {
        let mark = self.runs(git);
        if !mark.is_empty()
            && let Ok(config) = git.join("config")
        {
            self.add(&config, Kind::Configuration, &mark);
        }
        self.links(git, 0);
        for name in ["rebase-merge", "rebase-apply", "sequencer"] {
            if let Ok(path) = git.join(name)
                && self.kind(&path).is_some()
            {
                self.add(&path, Kind::Operation, b"");
            }
        }
        for name in ["refs/replace", "info/grafts"] {
            if let Ok(path) = git.join(name)
                && self.kind(&path).is_some()
            {
                self.watched(&path, Kind::Replaced);
            }
        }
        self.index(git);
        self.modules(git, 0);
    }

    fn index(&mut self, git: &HostPath) {
        let Ok(file) = git.join("index") else { return };
        let Ok(bytes) = self.tree.read(file.as_path(), INDEX_MAX) else {
            return;
        };
        let Some(index) = index::parse(&bytes, 20).or_else(|| index::parse(&bytes, 32)) else {
            return;
        };
        if !index.bad.is_empty() {
            self.add(&file, Kind::Index, &index.bad.concat());
        }
        if !index.hidden.is_empty() {
            self.add(&file, Kind::Hidden, &index.hidden.concat());
        }
        for link in index.links {
            if let Ok(directory) = self.places.project.join(OsStr::from_bytes(&link))
                && let Ok(inside) = directory.join(".git")
            {
                self.repository(&directory, &inside);
            }
        }
    }

    fn modules(&mut self, git: &HostPath, depth: usize) {
        let Ok(modules) = git.join("modules") else { return };
        let mut todo = vec![(modules, depth)];
        while let Some((directory, depth)) = todo.pop() {
            for (name, is_directory) in self.tree.entries(directory.as_path()).unwrap_or_default() {
                let Ok(below) = directory.join(&name) else { continue };
                if !is_directory || depth > 4 {
                    continue;
                }
                if below.join("HEAD").is_ok_and(|head| self.kind(&head).is_some()) {
                    let mark = self.runs(&below);
                    if !mark.is_empty() {
                        self.add(&below, Kind::Repository, &mark);
                    }
                } else {
                    todo.push((below, depth + 1));
                }
            }
        }
    }

    /// Links in a git directory: everywhere but in the directories of objects.
    fn links(&mut self, directory: &HostPath, depth: usize) {
        for (name, is_directory) in self.tree.entries(directory.as_path()).unwrap_or_default() {
            let Ok(path) = directory.join(&name) else { continue };
            if is_directory {
                let objects = depth == 1 && directory.name().is_some_and(|name| name == "objects");
                if !objects && depth < 8 && name != "modules" {
                    self.links(&path, depth + 1);
                }
            } else if let Some(tree::Kind::Link(target)) = self.kind(&path)
                && directory.name().is_none_or(|name| name != "hooks")
            {
                self.add(&path, Kind::Link, target.as_os_str().as_bytes());
            }
        }
    }
}
