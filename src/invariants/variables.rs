//! The environment inside: `clean-environment` and `reserved-variable`, and what looks like a secret stays outside.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::draft::{Network, Secret, Setting, Verdict};
use crate::floor;
use crate::leak;
use crate::path::EnvName;
use crate::trace::{DecisionId, Effect};

use super::broker::{CERTIFICATES, CERTIFICATES_VARIABLE};
use super::credentials::{Keeping, PROXIES};
use super::plan::{Broker, Origin, Variable};
use super::{Checker, Fate};

impl Checker<'_> {
    /// Decides the whole environment. INVARIANT(clean-environment): it starts empty, and every variable has a decision.
    pub(super) fn variables(&mut self, keeping: &Keeping, broker: Option<&Broker>) -> IndexMap<EnvName, Variable> {
        let mut variables = IndexMap::new();
        self.launcher_variables(&mut variables);
        self.brokered_variables(&mut variables, keeping, broker);
        for setting in std::mem::take(&mut self.draft.settings) {
            self.set(&mut variables, setting);
        }
        for (name, (verdict, decision)) in std::mem::take(&mut self.draft.variables) {
            self.pass(&mut variables, name, verdict, decision, keeping);
        }
        variables
    }

    fn launcher_variables(&mut self, variables: &mut IndexMap<EnvName, Variable>) {
        let home = self.host.home.as_os_str();
        let below_home = |name: &str| {
            let mut path = home.to_os_string();
            path.push(name);
            path
        };
        let values: [(&str, OsString, &'static str); 8] = [
            ("HOME", home.to_os_string(), "the home directory keeps its path"),
            ("USER", self.host.user.clone(), "the user's name"),
            ("LOGNAME", self.host.user.clone(), "the user's name"),
            (
                "PWD",
                self.host.directory.as_os_str().to_os_string(),
                "the working directory",
            ),
            (
                "XDG_RUNTIME_DIR",
                self.host.runtime_directory().as_os_str().to_os_string(),
                "an empty directory of the sandbox's own",
            ),
            ("CLAUDE_CONFIG_DIR", below_home("/.claude"), "this project's own state"),
            (
                "CLAUDE_SECURESTORAGE_CONFIG_DIR",
                below_home("/.claude-auth"),
                "the login that all projects share",
            ),
            (
                "CLAUDE_CODE_SANDBOXED",
                "1".into(),
                "no trust prompt: the sandbox is the permission layer",
            ),
        ];
        for (name, value, reason) in values {
            if let Ok(name) = EnvName::new(name) {
                let decision = self.host_rule(Effect::Set, name.to_string(), reason, "launcher-variable");
                variables.insert(
                    name,
                    Variable {
                        value,
                        secret: false,
                        origin: Origin::Launcher,
                        decision,
                    },
                );
            }
        }
    }

    fn set(&mut self, variables: &mut IndexMap<EnvName, Variable>, setting: Setting) {
        let Setting { name, value, decision } = setting;
        if self.refuse_reserved(&name, decision) {
            return;
        }
        if let Some(earlier) = variables.get(&name) {
            // Its certificates are in the launcher's file too.
            if earlier.origin == Origin::Launcher && name.as_os_str() == CERTIFICATES_VARIABLE {
                self.fates.insert(decision, Fate::Overridden(earlier.decision));
                return;
            }
            if earlier.origin == Origin::Launcher {
                self.violation(
                    Diagnostic::new("reserved-variable", format!("`{name}` is set by the launcher"))
                        .hint("leave it out: it follows the sandbox's layout"),
                    decision,
                );
                return;
            }
            self.fates.insert(earlier.decision, Fate::Overridden(decision));
        }
        let secret = leak::suspect(&name, &value).is_some();
        variables.insert(
            name,
            Variable {
                value,
                secret,
                origin: Origin::Policy,
                decision,
            },
        );
    }

    fn pass(
        &mut self,
        variables: &mut IndexMap<EnvName, Variable>,
        name: EnvName,
        verdict: Verdict,
        decision: DecisionId,
        keeping: &Keeping,
    ) {
        if verdict == Verdict::Hide {
            return;
        }
        if self.refuse_reserved(&name, decision) {
            return;
        }
        if let Some(set) = variables.get(&name) {
            self.fates.insert(decision, Fate::Overridden(set.decision));
            return;
        }
        let Some(value) = self.host.variables.get(&name).cloned() else {
            return;
        };
        if let Some((code, why)) = self.held_back(keeping, &name) {
            self.fates.insert(decision, Fate::Clamped { code, why: why.into() });
            return;
        }
        let suspicion = self.suspicion(&name, &value);
        if let (Some(why), Verdict::Pass) = (&suspicion, verdict) {
            // INVARIANT(secret-variable): a secret passes only where the policy says that it knows it to be one.
            let why = format!("{why}; only `env::pass_secret` lets it pass");
            self.fates.insert(
                decision,
                Fate::Clamped {
                    code: "secret-variable",
                    why,
                },
            );
            return;
        }
        let secret = suspicion.is_some() || verdict == Verdict::PassSecret;
        variables.insert(
            name,
            Variable {
                value,
                secret,
                origin: Origin::Host,
                decision,
            },
        );
    }

    /// What stands for the credential that the broker holds, and how its certificate is known.
    fn brokered_variables(
        &mut self,
        variables: &mut IndexMap<EnvName, Variable>,
        keeping: &Keeping,
        broker: Option<&Broker>,
    ) {
        let stand_in = keeping.variable;
        let mut values: Vec<(&str, &str, &str)> = Vec::new();
        values.extend(stand_in.map(|(name, value)| (name, value, "a placeholder: the real one stays outside")));
        if broker.is_some_and(|broker| broker.brokered) {
            let reason = "the broker's certificate, and those that the host adds";
            values.push((CERTIFICATES_VARIABLE, CERTIFICATES, reason));
        }
        for (name, value, reason) in values {
            let Ok(name) = EnvName::new(name) else { continue };
            let decision = self.host_rule(Effect::Set, name.to_string(), reason, super::credentials::CODE);
            let variable = Variable {
                value: value.into(),
                secret: false,
                origin: Origin::Launcher,
                decision,
            };
            variables.insert(name, variable);
        }
    }

    /// Variables that lead past the broker, or hold what it keeps outside: the invariant, and why.
    fn held_back(&self, keeping: &Keeping, name: &EnvName) -> Option<(&'static str, &'static str)> {
        if self.stays_outside(keeping, name) {
            return Some((
                super::credentials::CODE,
                "the broker speaks for Claude Code, and holds one credential alone",
            ));
        }
        let named_hosts = matches!(self.draft.network, Some((Network::Allowlist, _)));
        (named_hosts && PROXIES.iter().any(|proxy| name.as_os_str() == *proxy))
            .then_some(("network", "in the network `allowlist` no proxy can be reached"))
    }

    /// Why a variable is taken for a secret, by the floor or by the policy's own patterns.
    fn suspicion(&self, name: &EnvName, value: &OsStr) -> Option<String> {
        if let Some(suspicion) = leak::suspect(name, value) {
            return Some(suspicion.to_string());
        }
        self.draft.secrets.iter().find_map(|(secret, _)| match secret {
            Secret::Name(pattern) if floor::glob(pattern.as_bytes(), name.as_os_str().as_bytes()) => {
                Some(format!("its name matches the policy's secret `{pattern}`"))
            }
            _ => None,
        })
    }

    /// INVARIANT(reserved-variable): what makes a loader, an interpreter or git run something never enters, whoever asks.
    fn refuse_reserved(&mut self, name: &EnvName, decision: DecisionId) -> bool {
        let Some(why) = floor::reserved(name) else {
            return false;
        };
        self.violation(
            Diagnostic::new("reserved-variable", format!("`{name}` may never enter: it {why}"))
                .hint(format!("answer `env::hide(why)` for `{name}`")),
            decision,
        );
        true
    }

    /// Rules for names that matched nothing are marked: a typing error in a denylist is a hole.
    pub(super) fn idle_name_rules(&mut self) {
        let mut idle = Vec::new();
        for (secret, decision) in &self.draft.secrets {
            if let Secret::Name(pattern) = secret {
                let matches = |name: &EnvName| floor::glob(pattern.as_bytes(), name.as_os_str().as_bytes());
                if !self.host.variables.keys().any(matches) {
                    idle.push(*decision);
                }
            }
        }
        for decision in idle {
            self.fates
                .insert(decision, Fate::Idle("no variable of the host has such a name".into()));
        }
    }
}
