//! What no mount may show: secrets, claudebox's own directories, daemon sockets. All by canonical path, so that two paths
//! are the same place exactly when their bytes are the same.

use std::collections::BTreeMap;
use std::ops::Bound;

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

/// One hidden path.
#[derive(Clone, Debug)]
pub(super) struct Hidden {
    /// Why it is hidden.
    pub(super) class: Class,
    /// The words for it: completes a sentence that names the path.
    pub(super) why: String,
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

impl Checker<'_> {
    /// Gathers them from the floor, the policy and the host.
    pub(super) fn gather_hidden(&mut self) {
        let written = self.written();
        self.host.tree.look_ahead(written.iter().map(|(path, _)| path));
        for (path, hidden) in written {
            // What cannot be looked at cannot be mounted either: its written path still counts.
            let Ok(resolved) = self.host.tree.resolve(&path) else {
                self.hidden.add(path, hidden);
                continue;
            };
            if let (None, Some(decision)) = (&resolved.node, hidden.decision) {
                self.fates
                    .insert(decision, Fate::Idle("it does not exist on this host".into()));
            }
            if hidden.class != Class::Socket || !self.host.nix_daemon.allows(&resolved.path) {
                self.hidden.add(resolved.path, hidden);
            }
        }
    }

    /// The paths as the floor, the policy and the host name them.
    fn written(&self) -> Vec<(HostPath, Hidden)> {
        let hidden = |class, why, decision| Hidden { class, why, decision };
        let mut written = Vec::new();
        for (secret, decision) in &self.draft.secrets {
            if let Secret::Path(path) = secret {
                let why = self.trace.get(*decision).map(|decision| decision.reason.clone());
                written.push((
                    path.clone(),
                    hidden(Class::Secret, why.unwrap_or_default(), Some(*decision)),
                ));
            }
        }
        let Host { home, uid, .. } = self.host;
        for (path, why) in floor::secrets(home) {
            written.push((path, hidden(Class::Secret, format!("it holds {why}"), None)));
        }
        for (path, variable) in &self.host.moved_secrets {
            let why = format!("`{variable}` says that secrets lie there");
            written.push((path.clone(), hidden(Class::Secret, why, None)));
        }
        for (path, what) in self.host.own_paths() {
            written.push((path, hidden(Class::Own, format!("it is {what}"), None)));
        }
        for (path, why) in floor::sockets(home, *uid) {
            written.push((path, hidden(Class::Socket, format!("it belongs to {why}"), None)));
        }
        for path in &self.host.sockets {
            written.push((
                path.clone(),
                hidden(Class::Socket, "a process of the host listens on it".into(), None),
            ));
        }
        written
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
                        let decision =
                            self.host_rule(Effect::Mask, place.to_string(), &reason.why, reason.class.code());
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
