//! What a subject is, and everything that is known about it: plain values, which the text and JSON print.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::Decided;
use crate::draft::Network;
use crate::host::Host;
use crate::host::tree::{Resolved, Tree, Unreadable};
use crate::invariants::plan::{Mount, Parts, Variable};
use crate::net::reach::{self, Reach, Target};
use crate::path::{EnvName, HostPath, SandboxPath, printable};
use crate::trace::{DecisionId, Effect};
use crate::view::{Seen, View};

use super::Launch;
use super::what_if::{self, Way};

/// The answer for one subject.
#[derive(Debug)]
pub enum Answer<'run> {
    /// A path.
    Path(Box<PathAnswer<'run>>),
    /// A variable.
    Variable(VariableAnswer<'run>),
    /// An address of the network.
    Address(AddressAnswer),
}

/// What is known about a path, which may be meant on the host or inside.
#[derive(Debug)]
pub struct PathAnswer<'run> {
    /// As it was asked.
    pub asked: OsString,
    /// Absolute, not yet freed of links.
    pub path: PathBuf,
    /// What is seen there inside; `None` where the policy did not come to an end.
    pub inside: Option<Seen<'run>>,
    /// What is there on the host.
    pub host: Result<Resolved, Unreadable>,
    /// Where else inside the host's file would appear, and what is seen there.
    pub places: Vec<(SandboxPath, Seen<'run>)>,
    /// Mounts that show something below the host's directory, which is not shown itself.
    pub parts: Vec<&'run Mount>,
    /// The policy's word that what would be masked, or kept read-only, is not.
    pub besides: Vec<DecisionId>,
    /// Decisions about the path, or one above it, that did not simply take effect.
    pub without_effect: Vec<DecisionId>,
    /// How it could be shown.
    pub way: Way,
}

impl PathAnswer<'_> {
    /// Whether the host's file of that path is what is seen there.
    #[must_use]
    pub fn shows_the_host(&self) -> bool {
        match (&self.inside, &self.host) {
            (Some(seen), Ok(host)) => seen.kind.visible() && !seen.masked() && seen.source.as_ref() == Some(&host.path),
            _ => false,
        }
    }
}

/// What is known about a variable.
#[derive(Debug)]
pub struct VariableAnswer<'run> {
    /// Its name.
    pub name: EnvName,
    /// Whether the host has it.
    pub on_host: bool,
    /// The variable inside, where it enters.
    pub inside: Option<&'run Variable>,
    /// All decisions about it.
    pub decisions: Vec<DecisionId>,
    /// How it could be passed.
    pub way: Way,
}

/// What is known about an address.
#[derive(Debug)]
pub struct AddressAnswer {
    /// As it was asked: `host:port`.
    pub asked: String,
    /// The network there is, and the decision behind it; `None` where the policy did not come to an end.
    pub network: Option<(Network, DecisionId)>,
    /// Whether it can be reached; `None` too where the question cannot be understood.
    pub reach: Option<Reach>,
}

enum Subject {
    Path(PathBuf),
    Variable(EnvName),
    Address(String),
}

/// The answers, in the order of the subjects.
#[must_use]
pub fn answers<'run>(launch: &Launch<'run>, subjects: &[OsString]) -> Vec<Answer<'run>> {
    let parts = launch.decided.verdict.parts();
    let view = parts.map(|parts| View::new(launch.host, parts));
    subjects
        .iter()
        .map(|asked| match subject(launch.host, parts, asked) {
            Subject::Path(path) => Answer::Path(Box::new(path_answer(launch, view.as_ref(), asked, path))),
            Subject::Variable(name) => Answer::Variable(variable_answer(launch, parts, name)),
            Subject::Address(asked) => Answer::Address(AddressAnswer {
                reach: parts.and_then(|parts| Some(reach::ask(parts, &Target::parse(&asked)?))),
                asked,
                network: parts.map(|parts| (parts.network, parts.network_decision)),
            }),
        })
        .collect()
}

/// Tells paths, variables and addresses apart: what has a slash is a path, what is known as a variable is one. `./NAME` and
/// `$NAME` say which is meant.
fn subject(host: &Host, parts: Option<&Parts>, asked: &OsStr) -> Subject {
    let bytes = asked.as_bytes();
    let path = || {
        let path = match Path::new(asked).strip_prefix("~") {
            Ok(rest) if rest.as_os_str().is_empty() => host.home.as_path().to_path_buf(),
            Ok(rest) => host.home.as_path().join(rest),
            Err(_) => host.directory.as_path().join(asked),
        };
        Subject::Path(path)
    };
    if let Some(name) = bytes.strip_prefix(b"$")
        && let Ok(name) = EnvName::new(OsStr::from_bytes(name))
    {
        return Subject::Variable(name);
    }
    // With its protocol, `host:port/udp`, an address has a slash too.
    if let Some(text) = asked.to_str()
        && Target::parse(text).is_some()
    {
        return Subject::Address(text.to_string());
    }
    if bytes.contains(&b'/') || bytes.starts_with(b"~") || bytes == b"." || bytes == b".." {
        return path();
    }
    if let Some(text) = asked.to_str()
        && is_address(text)
    {
        return Subject::Address(text.to_string());
    }
    let Ok(name) = EnvName::new(asked) else {
        return path();
    };
    let known = host.variables.contains_key(&name) || parts.is_some_and(|parts| parts.variables.contains_key(&name));
    let is_file = || matches!(host.tree.node(&host.directory.as_path().join(asked)), Ok(Some(_)));
    let named_like_one = bytes
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    if known || (named_like_one && !is_file()) {
        Subject::Variable(name)
    } else {
        path()
    }
}

/// `host:port`, or `[address]:port`.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

fn path_answer<'run>(
    launch: &Launch<'run>,
    view: Option<&View<'run>>,
    asked: &OsStr,
    path: PathBuf,
) -> PathAnswer<'run> {
    let host = resolved(&launch.host.tree, &path);
    let inside = view.map(|view| view.see(&path));
    let mut places = Vec::new();
    let mut parts = Vec::new();
    if let (Some(view), Ok(Resolved { path: file, node, .. })) = (view, &host) {
        if node.is_some() {
            places = view.places_of(file);
            places.retain(|(at, _)| {
                inside
                    .as_ref()
                    .is_none_or(|seen| !seen.kind.visible() || seen.path != at.as_path())
            });
        }
        let shown = |seen: &Seen| seen.source.as_ref() == Some(file);
        if !inside.as_ref().is_some_and(shown) && !places.iter().any(|(_, seen)| shown(seen)) {
            parts = view.parts_of(file);
        }
    }
    let mut answer = PathAnswer {
        asked: asked.to_os_string(),
        besides: besides(launch, &path, inside.as_ref()),
        without_effect: without_effect(launch, &path, inside.as_ref()),
        path,
        inside,
        host,
        places,
        parts,
        way: Way::Shown,
    };
    answer.way = what_if::path(launch, &answer);
    answer
}

/// Decisions that lift something from this very path, and took effect.
fn besides(launch: &Launch, path: &Path, inside: Option<&Seen>) -> Vec<DecisionId> {
    let ended = inside.map(|seen| seen.path.as_path());
    let shown = [Some(path), ended].map(|path| path.map(|path| printable(path.as_os_str())));
    let Decided { trace, verdict, .. } = launch.decided;
    let lifts = |effect| matches!(effect, Effect::PassFile | Effect::OpenPath);
    let about = trace.iter().filter(|(id, decision)| {
        lifts(decision.effect)
            && shown.iter().flatten().any(|path| *path == decision.subject)
            && !verdict.fates.contains_key(id)
    });
    about.map(|(id, _)| id).collect()
}

/// Decisions about the path or one above it, inside, that a fate befell.
fn without_effect(launch: &Launch, path: &Path, inside: Option<&Seen>) -> Vec<DecisionId> {
    let ended = inside.map(|seen| seen.path.as_path());
    let above: HashSet<String> = [Some(path), ended]
        .into_iter()
        .flatten()
        .flat_map(Path::ancestors)
        .map(|path| printable(path.as_os_str()))
        .collect();
    let verdict = &launch.decided.verdict;
    verdict
        .fates
        .keys()
        .filter(|id| {
            launch.decided.trace.get(**id).is_some_and(|decision| {
                matches!(
                    decision.effect,
                    Effect::ReadOnly
                        | Effect::ReadWrite
                        | Effect::Tmpfs
                        | Effect::Link
                        | Effect::Text
                        | Effect::Mask
                        | Effect::Protect
                        | Effect::OpenPath
                        | Effect::PassFile
                ) && above.contains(&decision.subject)
            })
        })
        .copied()
        .collect()
}

/// Where a path leads on the host. A `..` goes up from where the links before it led, as in the kernel.
fn resolved(tree: &Tree, path: &Path) -> Result<Resolved, Unreadable> {
    let malformed = |why: crate::path::Malformed| Unreadable {
        path: path.to_path_buf(),
        why: why.to_string(),
    };
    let mut here = HostPath::root();
    let mut through = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => here = here.join(name).map_err(malformed)?,
            Component::ParentDir => {
                let upto = tree.resolve(&here)?;
                through.extend(upto.through);
                here = upto.path.parent().unwrap_or_else(HostPath::root);
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let mut resolved = tree.resolve(&here)?;
    through.append(&mut resolved.through);
    Ok(Resolved { through, ..resolved })
}

fn variable_answer<'run>(launch: &Launch<'run>, parts: Option<&'run Parts>, name: EnvName) -> VariableAnswer<'run> {
    let shown = name.to_string();
    let decisions = launch
        .decided
        .trace
        .iter()
        .filter(|(_, decision)| {
            matches!(
                decision.effect,
                Effect::Pass | Effect::PassSecret | Effect::Hide | Effect::Set
            ) && decision.subject == shown
        })
        .map(|(id, _)| id)
        .collect();
    let mut answer = VariableAnswer {
        on_host: launch.host.variables.contains_key(&name),
        inside: parts.and_then(|parts| parts.variables.get(&name)),
        decisions,
        name,
        way: Way::Shown,
    };
    answer.way = what_if::variable(launch, &answer);
    answer
}
