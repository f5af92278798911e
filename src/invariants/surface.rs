//! `git-exec-surface` and `agent-config`: inside what the sandbox may write to, what programs of the host would later run
//! or obey is read-only, and the ways to it are pinned. A read-only file alone protects nothing: the directory above it
//! could be moved away and another one put in its place.

use crate::diagnostic::Diagnostic;
use crate::host::git::{Forged, Protection, Reservation, Surface, SurfaceItem};
use crate::host::tree::Kind;
use crate::path::{HostPath, SandboxPath};
use crate::trace::{DecisionId, Effect};

use super::plan::{Mount, PinnedLink, Reserved, What};
use super::{Checker, Fate};

/// The rule of what git would run or obey.
pub(super) const GIT: &str = "git-exec-surface";
/// The rule of what other programs would.
const AGENT: &str = "agent-config";

/// How one mount protects its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// It keeps a directory from being renamed.
    Pin,
    /// It keeps its place, and all below it, as it is.
    Closed,
}

/// A mount through which the sandbox may write, as it was before anything was protected.
struct Writable {
    at: SandboxPath,
    source: HostPath,
}

impl Checker<'_> {
    /// INVARIANT(git-exec-surface), INVARIANT(agent-config): after the policy's mounts, before their order is made.
    pub(super) fn protect_surface(&mut self) {
        if self.unfit {
            return;
        }
        let writable = self.writable();
        self.named_git_dir(&writable);
        for directory in self.host.way() {
            self.host.tree.survey(directory.as_path());
        }
        let asked = std::mem::take(&mut self.draft.protected);
        for (path, decision) in asked {
            self.protect_named(&writable, &path, decision);
        }
        let roots = self
            .host
            .repository
            .as_ref()
            .map_or_else(|| vec![self.host.project.clone()], crate::host::git::Repository::roots);
        let in_roots = |path: &HostPath| roots.iter().any(|root| path.within(root));
        if writable.iter().any(|mount| {
            roots
                .iter()
                .any(|root| root.within(&mount.source) || in_roots(&mount.source))
        }) {
            self.protect_git(&writable, self.host.project_surface(), &|_| false);
        }
        for mount in writable.iter().filter(|mount| !in_roots(&mount.source)) {
            // What belongs to the project was looked at as the project's, which is another question than as a stranger's.
            self.protect_git(&writable, self.host.other_surface(&mount.source), &in_roots);
        }
        self.unused_openings();
    }

    /// The mounts of the policy that let a directory or file of the host be written.
    fn writable(&self) -> Vec<Writable> {
        let mounts = self.mounts.iter().filter_map(|mount| match &mount.what {
            What::Bind { source, writable: true } if !source.within(&self.host.places.state) => Some(Writable {
                at: mount.at.clone(),
                source: source.clone(),
            }),
            _ => None,
        });
        mounts.collect()
    }

    /// INVARIANT(git-pointers): a git directory that only the project's own `.git` file claims may be another project's.
    fn named_git_dir(&mut self, writable: &[Writable]) {
        let Some(git_dir) = self
            .host
            .repository
            .as_ref()
            .and_then(crate::host::git::Repository::unconfirmed)
        else {
            return;
        };
        let shown = self
            .mounts
            .iter()
            .any(|mount| matches!(&mount.what, What::Bind { source, .. } if git_dir.within(source)));
        let project = writable.iter().any(|mount| self.host.project.within(&mount.source));
        if project && !shown {
            let error = Diagnostic::new(
                "git-pointers",
                format!(
                    "`{}/.git` claims the git directory `{git_dir}`, which does not name it in return",
                    self.host.project
                ),
            )
            .hint(format!(
                "if you made it with `git init --separate-git-dir`, name it in your policy: mount::rw(\"{git_dir}\", \"why\")"
            ));
            self.refuse(error);
        }
    }

    fn protect_git(
        &mut self,
        writable: &[Writable],
        surface: Result<Surface, Forged>,
        elsewhere: &dyn Fn(&HostPath) -> bool,
    ) {
        let surface = match surface {
            Ok(surface) => surface,
            Err(forged) => return self.refuse(Diagnostic::new(GIT, forged.to_string()).hint(forged.hint)),
        };
        for SurfaceItem { path, protection, why } in surface.items {
            if elsewhere(&path) {
                continue;
            }
            if protection != Protection::Pin && self.opening(&path).is_some() {
                continue;
            }
            let protection = match protection {
                Protection::ReadOnly => self.perhaps_reserved(&path).unwrap_or(protection),
                other => other,
            };
            for at in self.places(writable, &path) {
                let effect = if protection == Protection::Pin {
                    Effect::Pin
                } else {
                    Effect::Protect
                };
                self.guard(at, &path, protection, &|checker: &mut Self, at| {
                    checker.host_rule(effect, at.to_string(), why, GIT)
                });
            }
        }
        for gap in surface.gaps {
            self.host_rule(Effect::Note, gap.path.to_string(), gap.why, GIT);
        }
    }

    /// What another session reserved looks like an empty file or directory of the user's, and goes with that session: it is
    /// reserved here too. The companion knows the user's own from it, and leaves them.
    fn perhaps_reserved(&self, path: &HostPath) -> Option<Protection> {
        let node = self.host.tree.node(path.as_path()).ok()??;
        let empty = match node.kind {
            Kind::Directory => self
                .host
                .tree
                .entries(path.as_path())
                .is_ok_and(|entries| entries.is_empty()),
            Kind::File => node.length == 0,
            Kind::Link(_) | Kind::Socket | Kind::Special => false,
        };
        empty.then_some(Protection::Reserve(if node.kind == Kind::Directory {
            Reservation::EmptyDirectory
        } else {
            Reservation::EmptyFile
        }))
    }

    /// What the policy wants to be kept as it is.
    fn protect_named(&mut self, writable: &[Writable], path: &HostPath, decision: DecisionId) {
        if let Some(opening) = self.opening(path) {
            self.fates.insert(decision, Fate::Overridden(opening));
            return;
        }
        let resolved = match self.host.tree.resolve(path) {
            Ok(resolved) => resolved,
            Err(error) => return self.violation(Diagnostic::new(AGENT, error.to_string()), decision),
        };
        let Some(node) = &resolved.node else {
            self.fates.insert(
                decision,
                Fate::Idle("it does not exist in this project: it is reported if it appears".into()),
            );
            return;
        };
        let places = self.places(writable, &resolved.path);
        if places.is_empty() {
            self.fates
                .insert(decision, Fate::Idle("no mount lets it be written".into()));
            return;
        }
        // A link can be replaced in spite of a mount over what it leads to, and a second name leads around one.
        for link in &resolved.through {
            self.pin_link(writable, path, link);
        }
        if node.kind == Kind::File && node.links != 1 {
            self.host_rule(
                Effect::Note,
                path.to_string(),
                "has a second name, through which it can be written",
                AGENT,
            );
        }
        for at in places {
            self.guard(at, &resolved.path, Protection::ReadOnly, &|_, _| decision);
        }
    }

    /// Keeps a link on the way to a protected name in its place.
    fn pin_link(&mut self, writable: &[Writable], path: &HostPath, link: &HostPath) {
        for at in self.places(writable, link) {
            if self.links.iter().any(|known| known.at == at) {
                continue;
            }
            let why = format!("is a symbolic link on the way to `{path}`: it can be neither renamed nor removed");
            let decision = self.host_rule(Effect::Pin, at.to_string(), &why, AGENT);
            self.pin_ways(&at, link, decision);
            let path = link.clone();
            self.links.push(PinnedLink { at, path });
        }
    }

    /// The places inside at which `path` could be written.
    fn places(&self, writable: &[Writable], path: &HostPath) -> Vec<SandboxPath> {
        let mut places = Vec::new();
        for mount in writable {
            let Some(Ok(at)) = path.below(&mount.source).map(|rest| mount.at.join(rest)) else {
                continue;
            };
            // What another mount of the policy shows there is that mount's business.
            let covered = self.mounts.iter().any(|other| {
                at.within(&other.at)
                    && other.at != mount.at
                    && other.at.within(&mount.at)
                    && !self.protected.contains_key(&other.at)
            });
            if !covered {
                places.push(at);
            }
        }
        places
    }

    /// Adds the mount that protects a place, and the pins on the way to it.
    fn guard(
        &mut self,
        at: SandboxPath,
        path: &HostPath,
        protection: Protection,
        decide: &dyn Fn(&mut Self, &SandboxPath) -> DecisionId,
    ) {
        // What lies in a closed directory is closed; a pin there would open it again.
        if at
            .ancestors()
            .skip(1)
            .any(|above| self.protected.get(&above) == Some(&Guard::Closed))
        {
            return;
        }
        let closed = protection != Protection::Pin;
        // A mount at this very place: the policy's own, or what protects it already.
        if let Some(index) = self.mounts.iter().position(|mount| mount.at == at) {
            if closed {
                self.close(index, &at, decide);
            }
            return;
        }
        let decision = decide(self, &at);
        self.pin_ways(&at, path, decision);
        if let Protection::Reserve(content) = protection
            && let Ok(record) = self.host.reservation_record(path)
        {
            self.prepared.push(path.clone());
            if !self.reserved.iter().any(|reserved| reserved.path == *path) {
                let absent = matches!(self.host.tree.node(path.as_path()), Ok(None));
                self.reserved.push(Reserved {
                    path: path.clone(),
                    content,
                    record,
                    absent,
                });
            }
        }
        self.protected
            .insert(at.clone(), if closed { Guard::Closed } else { Guard::Pin });
        let what = What::Bind {
            source: path.clone(),
            writable: !closed,
        };
        self.mounts.push(Mount { at, what, decision });
    }

    /// A mount that is there already becomes read-only, and what protected parts of it is needed no more.
    fn close(&mut self, index: usize, at: &SandboxPath, decide: &dyn Fn(&mut Self, &SandboxPath) -> DecisionId) {
        let pinned = self.protected.contains_key(at);
        let Some(Mount {
            what: What::Bind { writable, .. },
            ..
        }) = self.mounts.get(index)
        else {
            return;
        };
        if !*writable {
            return;
        }
        let decision = decide(self, at);
        if let Some(mount) = self.mounts.get_mut(index) {
            let earlier = std::mem::replace(&mut mount.decision, decision);
            if let What::Bind { writable, .. } = &mut mount.what {
                *writable = false;
            }
            if !pinned {
                let why = "programs of the host obey it: only `mount::open` lets it be written".into();
                self.fates.insert(earlier, Fate::Clamped { code: GIT, why });
            }
        }
        let inside = |other: &SandboxPath| other != at && other.within(at);
        let protected = &self.protected;
        self.mounts
            .retain(|mount| !(inside(&mount.at) && protected.contains_key(&mount.at)));
        self.protected.retain(|other, _| !inside(other));
        self.protected.insert(at.clone(), Guard::Closed);
    }

    /// Pins each directory between a mount and what it protects, if it is not pinned yet.
    fn pin_ways(&mut self, at: &SandboxPath, path: &HostPath, decision: DecisionId) {
        let mut pins = Vec::new();
        for (above, source) in at.ancestors().zip(path.ancestors()).skip(1) {
            if self.mounts.iter().any(|mount| mount.at == above) {
                break;
            }
            pins.push((above, source));
        }
        for (at, source) in pins.into_iter().rev() {
            self.protected.insert(at.clone(), Guard::Pin);
            let what = What::Bind { source, writable: true };
            self.mounts.push(Mount { at, what, decision });
        }
    }

    /// The policy's word that a path may be written, if it gave one.
    fn opening(&mut self, path: &HostPath) -> Option<DecisionId> {
        let (_, decision) = self.draft.opened.iter().find(|(opened, _)| opened == path)?;
        self.opened.push(*decision);
        Some(*decision)
    }

    /// An opening that opened nothing is marked: who wrote it believes something else.
    fn unused_openings(&mut self) {
        for (path, decision) in std::mem::take(&mut self.draft.opened) {
            if self.opened.contains(&decision) {
                continue;
            }
            let at = path.same_inside();
            let around = at
                .ancestors()
                .find(|above| self.protected.get(above) == Some(&Guard::Closed));
            let why = match around {
                Some(closed) => format!("`{closed}` is protected as a whole: open that"),
                None => "nothing protects it".into(),
            };
            self.fates.insert(decision, Fate::Idle(why));
        }
    }

    /// The pinned links that no mask hides.
    pub(super) fn links_that_are_seen(&mut self) -> Vec<PinnedLink> {
        let mut links = std::mem::take(&mut self.links);
        links.retain(|link| {
            let cover = self.cover(&link.at).map(|mount| (&mount.at, &mount.what));
            let Some((above, What::Bind { source, .. })) = cover else {
                return false;
            };
            link.at
                .below(above)
                .is_some_and(|rest| source.join(rest).is_ok_and(|path| path == link.path))
        });
        links
    }

    /// The reservations whose mounts are still there: a mask over a directory needs nothing below it.
    pub(super) fn reserved_and_mounted(&mut self) -> Vec<Reserved> {
        let mut reserved = std::mem::take(&mut self.reserved);
        reserved.retain(|reserved| {
            let shows = |mount: &Mount| matches!(&mount.what, What::Bind { source, .. } if *source == reserved.path);
            self.mounts.iter().any(shows)
        });
        reserved
    }
}

#[cfg(test)]
mod tests;
