//! The Nix daemon: `nix-trust`. A policy asks for the daemon's directory; what it gets is that one, a guard's in its place,
//! or a refusal.

use crate::diagnostic::Diagnostic;
use crate::draft::Network;
use crate::host::nix::daemon::{Access, DIRECTORY};
use crate::path::{HostPath, SandboxPath};
use crate::trace::{DecisionId, Effect};

use super::plan::{NixDaemon, NixWay, What};
use super::{Checker, Fate};

/// The invariant.
const CODE: &str = "nix-trust";

impl Checker<'_> {
    /// Grants a mount of the daemon's directory. INVARIANT(nix-trust): by the guard where the daemon may trust the caller, and
    /// not at all where that is not known, or where the sandbox is to reach nothing, or named hosts alone: the daemon reaches
    /// whatever this host does.
    pub(super) fn nix_mount(&mut self, source: &HostPath, at: SandboxPath, writable: bool, decision: DecisionId) {
        let refused = |what: String| Diagnostic::new(CODE, format!("`{source}` {what}"));
        if writable {
            let error =
                refused("would be writable, and with it the way of this host's programs to the Nix daemon".into());
            return self.violation(error.hint("read-only is enough to use it"), decision);
        }
        if source.as_os_str() != DIRECTORY {
            let error = refused("is mounted as a whole directory or not at all".into());
            return self.violation(error.hint(format!("mount `{DIRECTORY}`")), decision);
        }
        let directory = match &self.host.nix_daemon.access {
            Access::Open => source.clone(),
            Access::Guarded(guard) => guard.directory.clone(),
            Access::Absent => {
                self.fates
                    .insert(decision, Fate::Idle("there is no Nix daemon on this host".into()));
                return;
            }
            Access::Withheld(why) => return self.nix_refused(refused(format!("cannot be shown: {why}")), decision),
            Access::Unasked => return self.nix_refused(refused("cannot be shown: it was not asked".into()), decision),
        };
        let too_far = match self.draft.network {
            Some((Network::Internet | Network::Host, _)) => None,
            Some((Network::Allowlist, _)) => {
                Some("the Nix daemon fetches from any host, and this sandbox is to reach named hosts alone")
            }
            Some((Network::None, _)) | None => Some("the Nix daemon has a network, and this sandbox is to have none"),
        };
        if let Some(why) = too_far.map(str::to_string) {
            self.fates.insert(decision, Fate::Clamped { code: CODE, why });
            return;
        }
        let what = What::Bind {
            source: directory,
            writable: false,
        };
        self.grant(at, what, decision);
    }

    fn nix_refused(&mut self, error: Diagnostic, decision: DecisionId) {
        let hint = "ask in the policy first: `if host.nix_daemon { ... }`; `claudebox --check` says what mends it";
        self.violation(error.hint(hint), decision);
    }

    /// Whether a path is the directory of this launch's guard, which is made just before the start.
    pub(super) fn is_guards(&self, path: &HostPath) -> bool {
        matches!(&self.host.nix_daemon.access, Access::Guarded(guard) if guard.directory == *path)
    }

    /// What became of the daemon, once all mounts are known: for the audit, and for the launch, which starts the guard.
    pub(super) fn nix_daemon(&mut self) -> Option<NixDaemon> {
        let daemon = &self.host.nix_daemon;
        let shows = |directory: &HostPath| {
            self.mounts
                .iter()
                .any(|mount| matches!(&mount.what, What::Bind { source, .. } if source == directory))
        };
        let (way, reason) = match &daemon.access {
            Access::Open if HostPath::new(DIRECTORY).is_ok_and(|directory| shows(&directory)) => (
                NixWay::Open,
                "it does not trust you, and builds in a sandbox of its own".to_string(),
            ),
            Access::Guarded(guard) if shows(&guard.directory) => (
                NixWay::Guarded(guard.clone()),
                "it may trust you, so a guard that trusts nobody stands in between".to_string(),
            ),
            Access::Withheld(why) if !self.host.platform.tools().is_empty() => (NixWay::Outside, why.clone()),
            _ => return None,
        };
        let warnings = match way {
            NixWay::Outside => Vec::new(),
            _ => daemon.warnings.clone(),
        };
        let decision = self.host_rule(Effect::Isolation, "Nix daemon", &reason, CODE);
        Some(NixDaemon {
            way,
            warnings,
            decision,
        })
    }
}
