//! `secret-in-project`: `.env` and its kin, inside what the sandbox may write to, are masked unless the policy passes them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::diagnostic::Diagnostic;
use crate::draft::Secret;
use crate::floor;
use crate::trace::{DecisionId, Effect};

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
            let at = path.same_inside();
            if let Some((_, rule)) = by_policy(name) {
                used.push(*rule);
                let why = self
                    .trace
                    .get(*rule)
                    .map(|decision| (decision.reason.clone(), decision.site.clone()));
                if let Some((reason, site)) = why {
                    let decision = self.trace.record(Effect::Mask, at.to_string(), reason, site);
                    self.masks.push((at, decision));
                }
            } else if let Some(why) = floor::project_secret(name) {
                let decision = self.host_rule(Effect::Mask, at.to_string(), why, "secret-in-project");
                self.masks.push((at, decision));
            }
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
}
