//! What no mount may show: secrets, claudebox's own directories, daemon sockets. All by canonical path, and by each further
//! place at which the host has mounted them, so that two paths are the same place exactly when their bytes are the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Bound;
use std::path::Path;

use ahash::AHashMap;

use crate::draft::Secret;
use crate::floor;
use crate::host::Host;
use crate::path::HostPath;
use crate::trace::{DecisionId, Effect};

use super::{Checker, Fate};

/// Why a path is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It is a secret.
    Secret,
    /// It is claudebox's own.
    Own,
    /// A daemon answers on it.
    Socket,
}

impl Class {
    /// The invariant that hides it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Secret => "secret-exposed",
            Self::Own => "own-controls",
            Self::Socket => "no-sockets",
        }
    }
}

/// What a hidden path is: completes a sentence that names the path. Made into text only where it is told.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// The floor's word for what a secret holds.
    Holds(&'static str),
    /// The floor's word for whose socket it is.
    BelongsTo(&'static str),
    /// A variable of the host names it.
    Named(&'static str),
    /// What of claudebox's own it is.
    Is(&'static str),
    /// A process of the host has bound it.
    Bound,
    /// The policy's own reason.
    Policy(String),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Holds(what) => write!(f, "it holds {what}"),
            Self::BelongsTo(whom) => write!(f, "it belongs to {whom}"),
            Self::Named(variable) => write!(f, "`{variable}` says that secrets lie there"),
            Self::Is(what) => write!(f, "it is {what}"),
            Self::Bound => f.write_str("a process of the host listens on it"),
            Self::Policy(reason) => f.write_str(reason),
        }
    }
}

/// One hidden path.
#[derive(Clone, Debug)]
pub(super) struct Hidden {
    /// Why it is hidden.
    pub(super) class: Class,
    /// What it is.
    pub(super) why: Why,
    /// The policy's decision, where the policy named it.
    pub(super) decision: Option<DecisionId>,
}

/// All hidden paths.
#[derive(Debug, Default)]
pub(super) struct HiddenPaths(BTreeMap<HostPath, Hidden>);

impl HiddenPaths {
    /// The hidden path that `path` is, or lies in.
    pub(super) fn around(&self, path: &HostPath) -> Option<(HostPath, &Hidden)> {
        path.ancestors()
            .find_map(|ancestor| self.0.get(&ancestor).map(|hidden| (ancestor.clone(), hidden)))
    }

    /// The hidden paths below `path`, without itself.
    pub(super) fn below<'a>(&'a self, path: &'a HostPath) -> impl Iterator<Item = (&'a HostPath, &'a Hidden)> {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        // In the order of bytes, `/a-b` lies between `/a` and `/a/b`: the range ends with the prefix, not with the component.
        let prefix = path.as_os_str().as_encoded_bytes();
        self.0
            .range::<HostPath, _>(after)
            .take_while(move |(hidden, _)| hidden.as_os_str().as_encoded_bytes().starts_with(prefix))
            .filter(move |(hidden, _)| hidden.within(path))
    }

    /// The first reason to hide a path stands.
    fn add(&mut self, path: HostPath, hidden: Hidden) {
        self.0.entry(path).or_insert(hidden);
    }
}

/// Directories in which the floor names so many places that reading all names there costs less than asking for each. Not
/// `/tmp`, where thousands of others can be.
const SURVEYED: [&str; 8] = [
    "~",
    "~/.config",
    "~/.local/share",
    "/etc",
    "/run",
    "/run/systemd",
    "/run/user/%U",
    "/var/lib",
];

/// The directories of the floor, by the path that the floor writes: the canonical one where there is one.
#[derive(Default)]
struct Directories(AHashMap<String, Option<HostPath>>);

impl Directories {
    /// The place of a path of the floor, below the canonical path of its directory; `None` where nothing is there.
    fn place(&mut self, host: &Host, path: &str) -> Option<HostPath> {
        let slash = path.bytes().rposition(|byte| byte == b'/')?;
        let (parent, name) = (path.get(..slash)?, path.get(slash + 1..)?);
        if !self.0.contains_key(parent) {
            let directory = match parent {
                "" => Some(HostPath::root()),
                "~" => Some(host.home.clone()),
                // Where the directory above does not name it, nothing has to be asked.
                _ => self.place(host, parent),
            };
            let directory = directory.and_then(|directory| look(host, parent, directory));
            self.0.insert(parent.to_string(), directory);
        }
        let name: Cow<'_, str> = if name.bytes().any(|byte| byte == b'%') {
            name.replace("%U", &host.uid.to_string()).into()
        } else {
            name.into()
        };
        let directory = self.0.get(parent)?.as_ref()?;
        if host.tree.lacks(directory.as_path(), OsStr::new(name.as_ref())) {
            return None;
        }
        let place = directory.join(name.as_ref()).ok()?;
        // What cannot be looked at counts as present.
        let absent = matches!(host.tree.node(place.as_path()), Ok(None));
        (!absent).then_some(place)
    }
}

/// The canonical path of a directory of the floor, where there is one.
fn look(host: &Host, written: &str, path: HostPath) -> Option<HostPath> {
    let Ok(resolved) = host.tree.resolve(&path) else {
        return Some(path);
    };
    resolved.node?;
    if SURVEYED.contains(&written) {
        host.tree.survey(resolved.path.as_path());
    }
    Some(resolved.path)
}

impl Checker<'_> {
    /// Gathers them from the floor, the policy and the host.
    pub(super) fn gather_hidden(&mut self) {
        for (path, hidden) in self.named() {
            self.hide(path, hidden);
        }
        let mut directories = Directories::default();
        let secrets = floor::SECRETS
            .iter()
            .map(|secret| (Class::Secret, secret.path, Why::Holds(secret.why)));
        let sockets = floor::SOCKETS
            .iter()
            .map(|(path, whom)| (Class::Socket, *path, Why::BelongsTo(whom)));
        // Where `/var/run` is a directory of its own, daemons listen there.
        let own_run = self.host.tree.follow(Path::new("/var/run")) != HostPath::new("/run").ok();
        for (class, path, why) in secrets.chain(sockets) {
            self.hide_present(&mut directories, class, path, &why);
            if let Some(rest) = path.strip_prefix("/run/").filter(|_| own_run) {
                self.hide_present(&mut directories, class, &format!("/var/run/{rest}"), &why);
            }
        }
    }

    /// The paths that the policy and the host name.
    fn named(&self) -> Vec<(HostPath, Hidden)> {
        let mut named = Vec::new();
        let mut add = |class, path, why, decision| named.push((path, Hidden { class, why, decision }));
        for (secret, decision) in &self.draft.secrets {
            if let Secret::Path(path) = secret {
                let why = self.trace.get(*decision).map(|decision| decision.reason.clone());
                add(
                    Class::Secret,
                    path.clone(),
                    Why::Policy(why.unwrap_or_default()),
                    Some(*decision),
                );
            }
        }
        for (path, variable) in &self.host.moved_secrets {
            add(Class::Secret, path.clone(), Why::Named(variable), None);
        }
        for (path, what) in self.host.own_paths() {
            add(Class::Own, path, Why::Is(what), None);
        }
        for path in &self.host.sockets {
            add(Class::Socket, path.clone(), Why::Bound, None);
        }
        named
    }

    /// Hides a path at its canonical place.
    fn hide(&mut self, path: HostPath, hidden: Hidden) {
        // What cannot be looked at cannot be mounted either: its written path still counts.
        let Ok(resolved) = self.host.tree.resolve(&path) else {
            return self.hidden.add(path, hidden);
        };
        if let (None, Some(decision)) = (&resolved.node, hidden.decision) {
            self.fates
                .insert(decision, Fate::Idle("it does not exist on this host".into()));
        }
        if hidden.class == Class::Socket && self.host.nix_daemon.allows(&resolved.path) {
            return;
        }
        // A bind mount of the host's shows it at another place.
        for place in self.host.mounts.other_places(&resolved.path) {
            if !self.host.home.within(&place) {
                self.hidden.add(place, hidden.clone());
            }
        }
        self.hidden.add(resolved.path, hidden);
    }

    /// Hides a path of the floor, if it is there. The floor names hundreds and few exist, so each directory is looked at once;
    /// what does not exist can be neither mounted nor shown.
    fn hide_present(&mut self, directories: &mut Directories, class: Class, path: &str, why: &Why) {
        let Some(place) = directories.place(self.host, path) else {
            return;
        };
        // An entry that is the home or lies above it, as `/root` is for root, would refuse every project.
        if !self.host.home.within(&place) {
            let (why, decision) = (why.clone(), None);
            self.hide(place, Hidden { class, why, decision });
        }
    }

    /// INVARIANT(secret-exposed), INVARIANT(own-controls), INVARIANT(no-sockets): what a mount's source holds of them is masked.
    pub(super) fn masks_below_mounts(&mut self) {
        let hidden = std::mem::take(&mut self.hidden);
        for (at, source) in self.binds() {
            for (path, reason) in hidden.below(&source) {
                let Some(Ok(place)) = path.below(&source).map(|rest| at.join(rest)) else {
                    continue;
                };
                // What another mount puts in front of it is not shown.
                if self.cover(&place).is_some_and(|mount| mount.at != at) {
                    continue;
                }
                match self.host.tree.node(path.as_path()) {
                    Ok(Some(_)) => {
                        let decision = self.host_rule(
                            Effect::Mask,
                            place.to_string(),
                            &reason.why.to_string(),
                            reason.class.code(),
                        );
                        self.masks.push((place, decision));
                    }
                    Ok(None) => {}
                    Err(error) => self.refuse(
                        crate::diagnostic::Diagnostic::new(reason.class.code(), error.to_string())
                            .hint("what cannot be looked at cannot be masked"),
                    ),
                }
            }
        }
        self.hidden = hidden;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From so many names on, one reading of the directory costs less than a question for each.
    const MANY: usize = 15;

    #[test]
    fn directories_of_which_the_floor_names_much_are_read_whole() {
        let secrets = floor::SECRETS.iter().map(|secret| secret.path);
        let sockets = floor::SOCKETS.iter().map(|(path, _)| *path);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for path in secrets.chain(sockets) {
            let (directory, _) = path.rsplit_once('/').unwrap();
            *counts.entry(directory).or_default() += 1;
        }
        let mut surveyed = SURVEYED.to_vec();
        surveyed.sort_unstable();
        let many = counts.iter().filter(|(_, count)| **count >= MANY);
        assert_eq!(many.map(|(directory, _)| *directory).collect::<Vec<_>>(), surveyed);
    }
}
