//! Masks, and `secret-in-project`: `.env` and its kin, inside what the sandbox may write to, are masked unless the policy passes them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::diagnostic::Diagnostic;
use crate::draft::Secret;
use crate::floor;
use crate::host::ENTER;
use crate::host::tree::Kind;
use crate::path::{HostPath, SandboxPath};
use crate::trace::{DecisionId, Effect, Site};

use super::plan::{Mount, What};

use super::{Checker, Fate};

impl Checker<'_> {
    /// Masks what a bounded search of the project finds. INVARIANT(secret-in-project).
    pub(super) fn project_masks(&mut self) {
        if self.unfit {
            return;
        }
        let patterns: Vec<(String, DecisionId)> = self
            .draft
            .secrets
            .iter()
            .filter_map(|(secret, decision)| match secret {
                Secret::File(pattern) => Some((pattern.clone(), *decision)),
                _ => None,
            })
            .collect();
        let by_policy = |name: &OsStr| {
            patterns
                .iter()
                .find(|(pattern, _)| floor::glob(pattern.as_bytes(), name.as_bytes()))
        };
        // The later word counts: a pattern of a profile, or of the project's own file, masks what an earlier one passed.
        let latest = |name: &OsStr| {
            let rules = patterns
                .iter()
                .filter(|(pattern, _)| floor::glob(pattern.as_bytes(), name.as_bytes()));
            rules.map(|(_, rule)| *rule).max()
        };
        // A directory `.env` is a Python environment, not a file of secrets; a policy's own pattern may mean a directory.
        let wanted = |name: &OsStr, is_directory: bool| {
            by_policy(name).is_some() || (!is_directory && floor::project_secret(name).is_some())
        };
        let search = match self.host.tree.search(&self.host.project, &wanted) {
            Ok(search) => search,
            Err(error) => {
                return self.refuse(
                    Diagnostic::new("secret-in-project", error.to_string())
                        .hint("secrets cannot be masked in a project that cannot be read"),
                );
            }
        };
        let mut used: Vec<DecisionId> = Vec::new();
        for path in search.found {
            let Some(name) = path.name() else {
                continue;
            };
            if self.passes(&path, latest(name)) {
                continue;
            }
            let leads_to_directory = || {
                let resolved = self.host.tree.resolve(&path).ok().and_then(|resolved| resolved.node);
                resolved.is_some_and(|node| node.kind == Kind::Directory)
            };
            if let Some((_, rule)) = by_policy(name) {
                used.push(*rule);
                let why = self
                    .trace
                    .get(*rule)
                    .map(|decision| (decision.reason.clone(), decision.site.clone()));
                if let Some((reason, site)) = why {
                    self.mask_everywhere(&path, &reason, &site);
                }
            } else if let (Some(why), false) = (floor::project_secret(name), leads_to_directory()) {
                self.mask_everywhere(&path, why, &Site::Host("secret-in-project"));
            }
        }
        // What the owner has closed cannot be looked through, and the sandbox's user, who is the owner, could open it.
        for path in search.closed {
            let node = self.host.tree.node(path.as_path());
            if matches!(node, Ok(Some(node)) if node.uid != self.host.uid) {
                continue;
            }
            let why = "its mode keeps it from being looked through for secrets";
            self.mask_everywhere(&path, why, &Site::Host("secret-in-project"));
        }
        for (_, decision) in &patterns {
            if !used.contains(decision) {
                self.fates
                    .insert(*decision, Fate::Idle("no file of the project has such a name".into()));
            }
        }
        if let Some(unseen) = search.unseen {
            let text = format!("the search for secrets ended at `{unseen}`");
            self.host_rule(
                Effect::Note,
                text,
                "the project has more directories than are looked through",
                "secret-in-project",
            );
        }
    }

    /// Masks a file of the project at its own place, and wherever else a mount shows it, or shows what it is a link to.
    fn mask_everywhere(&mut self, path: &HostPath, reason: &str, site: &Site) {
        let own = path.same_inside();
        let mut places = vec![own.clone()];
        let lies_at = self.mask_place(&own).ok();
        let found = self.host.tree.resolve(path).ok();
        let file = found.filter(|found| found.node.is_some()).map(|found| found.path);
        for mount in &self.mounts {
            let What::Bind { source, .. } = &mount.what else {
                continue;
            };
            for shown in [Some(path), file.as_ref()].into_iter().flatten() {
                let place = match shown.below(source) {
                    Some(rest) if rest.as_os_str().is_empty() => mount.at.clone(),
                    Some(rest) => match mount.at.join(rest) {
                        Ok(place) => place,
                        Err(_) => continue,
                    },
                    None => continue,
                };
                // What another mount puts in front of it is not shown.
                let covered = place != mount.at && self.cover(&place).is_some_and(|cover| cover.at != mount.at);
                if !covered && lies_at.as_ref() != Some(&place) && !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        for place in places {
            let decision = self.trace.record(Effect::Mask, place.to_string(), reason, site.clone());
            self.masks.push((place, decision));
        }
    }

    /// Whether the policy passes this file by name, and no later rule of it masks it again. `rule` is the latest that would.
    fn passes(&mut self, path: &HostPath, rule: Option<DecisionId>) -> bool {
        let words = self.draft.passed.iter().filter(|(passed, _)| passed == path);
        let Some(word) = words.map(|(_, decision)| *decision).max() else {
            return false;
        };
        if let Some(rule) = rule.filter(|rule| *rule > word) {
            self.fates.insert(word, Fate::Overridden(rule));
            return false;
        }
        self.passed.push(word);
        true
    }

    /// A word that passed nothing is marked: who wrote it believes something else.
    pub(super) fn idle_passes(&mut self) {
        for (path, decision) in std::mem::take(&mut self.draft.passed) {
            if self.fates.contains_key(&decision) {
                continue;
            }
            let at = path.same_inside();
            // A file can be masked under another name that leads to it, or with the directory that it lies in.
            let place = self.mask_place(&at).unwrap_or(at);
            let hides =
                |mount: &&Mount| matches!(mount.what, What::MaskFile | What::MaskDirectory) && place.within(&mount.at);
            let fate = match self.mounts.iter().find(hides) {
                Some(mask) => Fate::Overridden(mask.decision),
                None if self.passed.contains(&decision) => continue,
                None if !path.within(&self.host.project) => Fate::Idle("it does not lie in the project".into()),
                None => Fate::Idle("no file there would be masked".into()),
            };
            self.fates.insert(decision, fate);
        }
    }

    /// Turns the requests for masks into mounts: over a directory an empty one, over a file an empty one.
    pub(super) fn grant_masks(&mut self) {
        let mut masks = Vec::new();
        for (at, decision) in std::mem::take(&mut self.masks) {
            match self.mask_place(&at) {
                Ok(at) => masks.push((at, decision)),
                Err(why) => {
                    self.fates.insert(decision, Fate::Idle(why));
                }
            }
        }
        // The outermost first: what lies in a masked directory needs no mask of its own.
        masks.sort_by_key(|(at, _)| at.depth());
        let mut masked: Vec<(SandboxPath, DecisionId)> = Vec::new();
        for (at, decision) in masks {
            if let Some((outer, first)) = masked.iter().find(|(outer, _)| at.within(outer)) {
                let why = if *outer == at {
                    Fate::Overridden(*first)
                } else {
                    Fate::Idle(format!("`{outer}` is masked already"))
                };
                self.fates.insert(decision, why);
                continue;
            }
            match self.seen_kind(&at) {
                None => {
                    self.fates
                        .insert(decision, Fate::Idle("nothing is there to be masked".into()));
                }
                Some(directory) => {
                    masked.push((at.clone(), decision));
                    // A mount on the very place is replaced by the mask; what lies below would uncover it. What protects
                    // parts of it is not needed where nothing of it is seen.
                    let protected = &self.protected;
                    self.mounts
                        .retain(|mount| mount.at != at && !(mount.at.within(&at) && protected.contains_key(&mount.at)));
                    if let Some(uncovers) = self.mounts.iter().find(|mount| mount.at.within(&at)) {
                        let error = Diagnostic::new(
                            "unique-destination",
                            format!("`{}` would uncover the mask on `{at}`", uncovers.at),
                        )
                        .hint("a mask hides all that lies below it");
                        let culprit = uncovers.decision;
                        self.violation(error, culprit);
                    }
                    let what = if directory { What::MaskDirectory } else { What::MaskFile };
                    self.mounts.push(Mount { at, what, decision });
                }
            }
        }
    }

    /// Where the mask on `at` has to lie: bubblewrap would follow a link of the host at its place, and make a file where the link
    /// leads. So the mask lies on what the link leads to, where that is shown; the link itself then shows the mask.
    fn mask_place(&self, at: &SandboxPath) -> Result<SandboxPath, String> {
        let mount = self.mounts.iter().find(|mount| mount.at == *at);
        let Some(mount) = mount.or_else(|| self.cover(at)) else {
            return Ok(at.clone());
        };
        let What::Bind { source, .. } = &mount.what else {
            return Ok(at.clone());
        };
        let Some(Ok(path)) = at.below(&mount.at).map(|rest| source.join(rest)) else {
            return Ok(at.clone());
        };
        if let Some(closed) = self.closed_below(mount, source, &path) {
            return Ok(closed);
        }
        // A link that leads in a circle, or where nobody may look: nothing can be read through it either.
        let found = self.host.tree.resolve(&path).map_err(|error| error.to_string())?;
        if found.path == path {
            return Ok(at.clone());
        }
        let shown = self.mounts.iter().find_map(|mount| {
            let What::Bind { source, .. } = &mount.what else {
                return None;
            };
            let place = mount.at.join(found.path.below(source)?).ok()?;
            let seen = place == mount.at || self.cover(&place).is_some_and(|cover| cover.at == mount.at);
            let closed = self.closed_below(mount, source, &found.path);
            (found.node.is_some() && seen).then(|| closed.unwrap_or(place))
        });
        shown.ok_or_else(|| format!("it is a link to `{}`, and nothing of that is shown", found.path))
    }

    /// The uppermost directory on the way from a mount's source to `path` that bubblewrap may not enter: nothing below it can be
    /// mounted over, and the owner could open it, so the mask lies on that directory.
    fn closed_below(&self, mount: &Mount, source: &HostPath, path: &HostPath) -> Option<SandboxPath> {
        let closed = |directory: &HostPath| {
            let node = self.host.tree.node(directory.as_path());
            matches!(node, Ok(Some(node)) if node.kind == Kind::Directory && !self.host.permits(&node, ENTER))
        };
        let mut above: Vec<HostPath> = path.ancestors().skip(1).filter(|above| above.within(source)).collect();
        above.reverse();
        let directory = above.into_iter().find(closed)?;
        mount.at.join(directory.below(source)?).ok()
    }

    /// Whether a directory (true) or another file (false) is seen at a place inside; `None` where nothing is.
    fn seen_kind(&self, at: &SandboxPath) -> Option<bool> {
        let mount = self
            .mounts
            .iter()
            .find(|mount| mount.at == *at)
            .or_else(|| self.cover(at))?;
        match &mount.what {
            What::Bind { source, .. } => {
                let path = source.join(at.below(&mount.at)?).ok()?;
                if self.is_guards(&path) {
                    return Some(true);
                }
                let node = self.host.tree.node(path.as_path()).ok()??;
                Some(node.kind == Kind::Directory)
            }
            What::Tmpfs(_) | What::Proc | What::Dev | What::MaskDirectory if mount.at == *at => Some(true),
            What::Text(_) | What::MaskFile | What::Link(_) if mount.at == *at => Some(false),
            _ => None,
        }
    }
}
