//! Reads what the project says about its sandbox, and finds on this host what it names. The files lie where the agent can
//! write: they are read without following a link, whole or not at all, and count only once the user has approved them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::declared::{Declared, FILE, LIST, SIZE_MAX};
use crate::diagnostic::Diagnostic;
use crate::path::HostPath;
use crate::trace::Site;

use super::nix::Platform;
use super::tree::{Kind, Tree};

const CODE: &str = "project-file";

/// The longest record of an approval or of built tools, in bytes.
const RECORD_MAX: u64 = 256 * 1024;

/// A tool on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The name by which the project asks for it; on a Nix host none, since a package's directory is shown whole.
    pub name: String,
    /// The program itself, canonical. On a Nix host, the package.
    pub path: HostPath,
    /// On a Nix host, the directory that goes on PATH.
    pub directory: Option<HostPath>,
    /// Where it is asked for.
    pub site: Site,
}

/// What the project says, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What it says.
    pub declared: Declared,
    /// The files that are there, and their texts.
    pub texts: Vec<(Arc<str>, Arc<str>)>,
    /// The texts that the user approved last.
    pub before: Vec<(Arc<str>, Arc<str>)>,
    /// The tools that were found.
    pub tools: Vec<Tool>,
    /// Tools of a Nix host that must be built first.
    pub unbuilt: Vec<String>,
    /// Everything that is wrong with the files.
    pub errors: Vec<Diagnostic>,
}

impl Found {
    /// Whether the files are as the user approved them. What says nothing needs no approval.
    #[must_use]
    pub fn approved(&self) -> bool {
        self.texts.is_empty() || self.texts == self.before
    }
}

/// What the look needs of the other facts.
pub struct Place<'host> {
    /// The file system.
    pub tree: &'host Tree,
    /// The project's root.
    pub project: &'host HostPath,
    /// claudebox's state.
    pub state: &'host HostPath,
    /// The caller.
    pub uid: u32,
    /// The caller's PATH.
    pub path: &'host OsStr,
    /// Where tools come from.
    pub platform: &'host Platform,
}

/// The file that remembers what was approved for a project.
#[must_use]
pub fn approval_file(state: &HostPath, project: &HostPath) -> Option<HostPath> {
    let name = crate::state::instance_name(project);
    state.join(format!("approvals/{name}.json")).ok()
}

/// The file that remembers what tools were built to: named by what was asked of which packages.
#[must_use]
pub fn built_file(state: &HostPath, tools: &[String]) -> Option<HostPath> {
    let all = format!("{} {}", super::nix::nixpkgs().unwrap_or_default(), tools.join(" "));
    let digest = crate::state::digest_of(all.as_bytes());
    state.join(format!("tools/{digest}.json")).ok()
}

/// Looks.
#[must_use]
pub fn look(at: &Place) -> Found {
    let mut found = Found::default();
    for (name, list) in [(FILE, false), (LIST, true)] {
        match at.file(name) {
            Ok(None) => {}
            Ok(Some(text)) => {
                found.texts.push((name.into(), text.as_str().into()));
                let read = if list {
                    found.declared.read_list(&text)
                } else {
                    found.declared.read_file(&text)
                };
                found.errors.extend(read.err());
            }
            Err(error) => found.errors.push(error),
        }
    }
    if !found.texts.is_empty() {
        found.before = at.approved();
    }
    if found.errors.is_empty() && !found.declared.tools.is_empty() {
        match at.platform {
            Platform::Usr => at.commands(&mut found),
            Platform::Nix(_) => at.packages(&mut found),
        }
    }
    found
}

impl Place<'_> {
    /// The text of one of the files; `None` where there is none.
    fn file(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        let wrong = |why: String| {
            Diagnostic::new(CODE, format!("`{name}` cannot be used: {why}"))
                .hint("it is a plain file of your own in the project; mend it, or remove it")
        };
        let mut path = self.project.as_path().to_path_buf();
        let mut steps = Path::new(name).components().peekable();
        while let Some(step) = steps.next() {
            path.push(step);
            let node = self.tree.node(&path).map_err(|error| wrong(error.to_string()))?;
            let Some(node) = node else {
                return Ok(None);
            };
            let last = steps.peek().is_none();
            let fits = match node.kind {
                Kind::File => last,
                Kind::Directory => !last,
                Kind::Link(_) => return Err(wrong("it is reached by a symbolic link".into())),
                Kind::Socket | Kind::Special => false,
            };
            if !fits {
                // A directory `.claudebox.toml` is a mistake; a file `.claudebox` is none of ours.
                return if last {
                    Err(wrong("it is no regular file".into()))
                } else {
                    Ok(None)
                };
            }
            if node.uid != self.uid && node.uid != 0 {
                return Err(wrong(format!("it belongs to the user {}, not to you", node.uid)));
            }
        }
        let bytes = self
            .tree
            .read(&path, SIZE_MAX)
            .map_err(|error| wrong(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".into()))?;
        Ok(Some(text))
    }

    /// What was approved last. A record that cannot be read approves nothing.
    fn approved(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let Some(record) = approval_file(self.state, self.project).and_then(|path| self.record(&path)) else {
            return Vec::new();
        };
        let files = record.get("files").and_then(serde_json::Value::as_array);
        let pair = |file: &serde_json::Value| {
            let name = file.get("name")?.as_str()?;
            Some((Arc::from(name), Arc::from(file.get("text")?.as_str()?)))
        };
        files.into_iter().flatten().filter_map(pair).collect()
    }

    fn record(&self, path: &HostPath) -> Option<serde_json::Value> {
        let bytes = self.tree.read(path.as_path(), RECORD_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Looks the commands up as a shell would, in the absolute entries of PATH.
    fn commands(&self, found: &mut Found) {
        for tool in found.declared.tools.clone() {
            match self.command(&tool.what) {
                Ok(path) => found.tools.push(Tool {
                    name: tool.what,
                    path,
                    directory: None,
                    site: tool.site,
                }),
                Err(error) => found.errors.push(error.at(tool.site, "")),
            }
        }
    }

    fn command(&self, name: &str) -> Result<HostPath, Diagnostic> {
        for directory in self.path.as_bytes().split(|byte| *byte == b':') {
            let directory = Path::new(OsStr::from_bytes(directory));
            let Ok(path) = HostPath::new(directory.join(name)) else {
                continue;
            };
            let Ok(resolved) = self.tree.resolve(&path) else {
                continue;
            };
            let runs = resolved
                .node
                .is_some_and(|node| node.kind == Kind::File && node.mode & 0o111 != 0);
            if !runs {
                continue;
            }
            // INVARIANT(own-controls): what the agent could have written is no tool of the host's.
            if resolved.path.within(self.project) || resolved.path.within(self.state) {
                return Err(Diagnostic::new(
                    CODE,
                    format!("the command `{name}` is `{}`, where the agent can write", resolved.path),
                )
                .hint("a tool of the project's own is there already; take it out of the list"));
            }
            return Ok(resolved.path);
        }
        Err(
            Diagnostic::new(CODE, format!("there is no command `{name}` on this host"))
                .hint("install it, or take it out of the list"),
        )
    }

    /// Takes packages that were built before; the others are built before the launch.
    fn packages(&self, found: &mut Found) {
        let names: Vec<String> = found.declared.tools.iter().map(|tool| tool.what.clone()).collect();
        let record = built_file(self.state, &names).and_then(|path| self.record(&path));
        let outputs = record.as_ref().and_then(serde_json::Value::as_array);
        // Not counted against the names: a package can have several outputs, and two names can be one package.
        let recorded: &[serde_json::Value] = outputs.map_or(&[], Vec::as_slice);
        let paths: Vec<HostPath> = recorded
            .iter()
            .filter_map(|path| HostPath::new(path.as_str()?).ok())
            .filter(|path| path.within_str("/nix/store") && matches!(self.tree.node(path.as_path()), Ok(Some(_))))
            .collect();
        if paths.is_empty() || paths.len() < recorded.len() {
            found.unbuilt = names;
            return;
        }
        let site = found.declared.tools.first().map(|tool| tool.site.clone());
        for path in paths {
            let Some((site, bin)) = site.clone().zip(path.join("bin").ok()) else {
                continue;
            };
            found.tools.push(Tool {
                name: String::new(),
                path,
                directory: Some(bin),
                site,
            });
        }
    }
}
