//! Who commits inside the sandbox: the name and the address from the user's own git configuration, and nothing else of
//! it. No helper, no key and no alias of the host is known inside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config;
use super::judge::CONFIG_MAX;
use super::walk::walk;
use crate::host::tree::{Kind, Tree};
use crate::path::{HostPath, printable};

/// How deep one configuration may include another: git's own limit.
const INCLUDES_DEEP: usize = 10;

/// How many files are read at most, so that files that include each other twice cannot double without end.
const FILES_MAX: usize = 100;

/// Where a repository is hosted that is reached by SSH elsewhere. There is no key inside, so HTTPS is used for them.
const HOSTS: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org"];

/// What a commit says of its author, and what could not be learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `user.name`.
    pub name: Option<Vec<u8>>,
    /// `user.email`.
    pub email: Option<Vec<u8>>,
    /// `init.defaultBranch`.
    pub default_branch: Option<Vec<u8>>,
    /// Each file that should have been read and could not be, with the reason; for a warning.
    pub problems: Vec<String>,
}

/// The user's own configuration files, those that override the others last, as git reads them.
#[must_use]
pub fn files(home: &HostPath, xdg_config: &HostPath) -> Vec<HostPath> {
    [xdg_config.join("git/config"), home.join(".gitconfig")]
        .into_iter()
        .flatten()
        .collect()
}

/// Reads the identity from the user's own configuration and what it includes by `include.path`. Symbolic links are
/// followed: home-manager, stow and their like put them there.
#[must_use]
pub fn identity(tree: &Tree, home: &HostPath, xdg_config: &HostPath) -> Identity {
    let mut reading = Reading {
        tree,
        home,
        found: Identity::default(),
        files: 0,
    };
    for file in files(home, xdg_config) {
        reading.file(file.as_path(), 0);
    }
    reading.found
}

struct Reading<'a> {
    tree: &'a Tree,
    home: &'a HostPath,
    found: Identity,
    files: usize,
}

impl Reading<'_> {
    fn problem(&mut self, problem: String) {
        if !self.found.problems.contains(&problem) {
            self.found.problems.push(problem);
        }
    }

    /// `path` is as git would open it: relative includes go from there, not from where a link leads.
    fn file(&mut self, path: &Path, depth: usize) {
        let shown = format!("`{}`", printable(path.as_os_str()));
        let (target, _) = match walk(self.tree, &HostPath::root(), path) {
            Ok(found) => found,
            Err(forged) => return self.problem(forged.to_string()),
        };
        match self.tree.node(target.as_path()) {
            Ok(Some(node)) if node.kind == Kind::File => {}
            // git passes over what is absent, and over `/dev/null`.
            Ok(_) => return,
            Err(unreadable) => return self.problem(unreadable.to_string()),
        }
        if self.files == FILES_MAX || depth > INCLUDES_DEEP {
            return self.problem(format!("{shown} is included too deep or as one of too many"));
        }
        self.files = self.files.saturating_add(1);
        let text = match self.tree.read(target.as_path(), CONFIG_MAX) {
            Ok(text) => text,
            Err(unreadable) => return self.problem(unreadable.to_string()),
        };
        let entries = match config::parse(&text) {
            Ok(entries) => entries,
            Err(malformed) => return self.problem(format!("{shown} is no git configuration: {malformed}")),
        };
        for entry in entries {
            let Some(value) = &entry.value else { continue };
            if entry.is("user", "name") {
                self.found.name = Some(value.clone());
            } else if entry.is("user", "email") {
                self.found.email = Some(value.clone());
            } else if entry.is("init", "defaultbranch") {
                self.found.default_branch = Some(value.clone());
            } else if entry.is("include", "path")
                && let Some(included) = expand(value, path, self.home)
            {
                self.file(&included, depth.saturating_add(1));
            }
        }
    }
}

/// The path that an `include.path` in `file` names; `None` for one that only git itself could tell: another user's
/// home, or git's installation.
pub(super) fn expand(value: &[u8], file: &Path, home: &HostPath) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(value));
    if let Some(rest) = value.strip_prefix(b"~/".as_slice()) {
        return Some(home.as_path().join(OsStr::from_bytes(rest)));
    }
    if value == b"~" {
        return Some(home.as_path().to_path_buf());
    }
    if value.starts_with(b"~") || value.starts_with(b"%(prefix)/") || value.is_empty() {
        return None;
    }
    Some(file.parent().unwrap_or(Path::new("/")).join(path))
}

/// The configuration inside: the identity, trust in the project, and HTTPS without any helper of the host.
#[must_use]
pub fn gitconfig(identity: &Identity, safe_directories: &[&HostPath]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut section = |header: &str, settings: &[(&str, &[u8])]| {
        out.extend_from_slice(format!("[{header}]\n").as_bytes());
        for (key, value) in settings {
            out.extend_from_slice(format!("\t{key} = ").as_bytes());
            quote(value, &mut out);
            out.push(b'\n');
        }
    };
    let known = |key, value: &'_ Option<Vec<u8>>| {
        value
            .clone()
            .filter(|value| !value.contains(&0))
            .map(|value| (key, value))
    };
    let user: Vec<(&str, Vec<u8>)> = [known("name", &identity.name), known("email", &identity.email)]
        .into_iter()
        .flatten()
        .collect();
    let borrowed: Vec<(&str, &[u8])> = user.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    section("user", &borrowed);
    if let Some((key, value)) = known("defaultBranch", &identity.default_branch) {
        section("init", &[(key, &value)]);
    }
    let trusted: Vec<(&str, &[u8])> = safe_directories
        .iter()
        .map(|path| ("directory", path.as_os_str().as_bytes()))
        .collect();
    section("safe", &trusted);
    // Bare repositories that lie in the work tree as ordinary files are not entered by accident.
    section("safe", &[("bareRepository", b"explicit")]);
    // An empty value forgets every helper named before, also those of the system's configuration.
    section("credential", &[("helper", b"")]);
    section("protocol \"ext\"", &[("allow", b"never")]);
    // No signing key is inside.
    section("commit", &[("gpgSign", b"false")]);
    section("tag", &[("gpgSign", b"false")]);
    for host in HOSTS {
        let short = format!("git@{host}:");
        let long = format!("ssh://git@{host}/");
        section(
            &format!("url \"https://{host}/\""),
            &[("insteadOf", short.as_bytes()), ("insteadOf", long.as_bytes())],
        );
    }
    out
}

fn quote(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
