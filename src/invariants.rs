//! The invariants: what holds for every sandbox, whatever a script, a flag or a file says. Turns a draft into a plan, or
//! into all the violations at once. The only maker of a [`Plan`].

mod broker;
mod credentials;
mod hidden;
mod masks;
mod mounts;
mod network;
mod nix;
pub mod plan;
mod project;
mod remotes;
pub mod structure;
mod surface;
#[cfg(test)]
mod tests;
mod told;
mod variables;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Refusal, Sources};
use crate::draft::Draft;
use crate::host::Host;
use crate::path::{HostPath, SandboxPath};
use crate::request::{Program, Request};
use crate::trace::{DecisionId, Effect, Site, Trace};

use hidden::HiddenPaths;
use plan::{Mount, Parts, Plan, What};

/// Every invariant: its code, and what it holds. The book has a heading for each.
pub const CODES: &[(&str, &str)] = &[
    (
        "clean-environment",
        "bubblewrap starts with an empty environment, and every variable inside was decided",
    ),
    (
        "reserved-variable",
        "variables that make a loader, an interpreter or git run something never enter",
    ),
    (
        "secret-variable",
        "what looks like a secret enters only where the policy names it as one",
    ),
    (
        "empty-root",
        "the root is memory; nothing large and mixed is mounted whole",
    ),
    (
        "secret-exposed",
        "no mount shows a secret of the floor or of the policy",
    ),
    ("secret-in-project", "`.env` and its kin inside the project are masked"),
    ("project-root", "the project is no system directory, no home, no secret"),
    ("no-sockets", "no mount shows a daemon's socket"),
    (
        "nix-trust",
        "the Nix daemon is there only where it neither trusts the sandbox nor builds outside a sandbox of its own",
    ),
    (
        "own-controls",
        "policy, state of other projects and the programs of the launch cannot be changed from inside",
    ),
    ("mount-source", "a source that cannot be examined is not mounted"),
    (
        "mount-point",
        "no mount point is made on the host, and no link leads a mount elsewhere",
    ),
    (
        "unique-destination",
        "no two mounts on one place, and none that uncovers a mask",
    ),
    (
        "git-pointers",
        "a repository that contradicts itself, or claims another one's git directory, is not mounted",
    ),
    (
        "git-exec-surface",
        "what the host's git would run or obey cannot be written, replaced or put where nothing was",
    ),
    (
        "agent-config",
        "what other programs of the host run or obey unasked is read-only where it exists, and reported where it does not",
    ),
    (
        "mounts-verified",
        "nothing runs in a sandbox before its mounts were compared with what was checked",
    ),
    (
        "namespaces",
        "user, process, ipc, uts and cgroup namespaces, no capabilities, never uid 0",
    ),
    ("no-inherited-fds", "nothing above standard error is inherited"),
    (
        "tty-and-keyring",
        "no input into the terminal, no access to the kernel's keyring",
    ),
    (
        "bounded-policy",
        "a policy ends in bounded time and memory, or nothing starts",
    ),
    ("network", "the network is the one that was decided, or nothing starts"),
    (
        "brokered-credential",
        "where the broker holds Claude Code's login, nothing of it is inside",
    ),
];

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A later decision took its place.
    Overridden(DecisionId),
    /// It had no effect: why.
    Idle(String),
    /// An invariant held it back, and the launch goes on without it.
    Clamped {
        /// The invariant.
        code: &'static str,
        /// Why.
        why: String,
    },
    /// An invariant refused it, and with it the launch.
    Refused(&'static str),
}

/// The answer of the check.
#[derive(Debug)]
pub struct Verdict {
    /// Decisions that did not simply take effect.
    pub fates: IndexMap<DecisionId, Fate>,
    /// The plan, or everything that is wrong.
    pub outcome: Result<Plan, Refusal>,
    /// What was put together before it was refused, so that explain can tell about the rest. It is no plan: nothing starts it.
    pub rejected: Option<Parts>,
}

impl Verdict {
    /// The verdict on a policy that did not come to an end.
    #[must_use]
    pub fn failed(diagnostics: Vec<Diagnostic>, sources: &Sources) -> Self {
        let refusal = Refusal {
            diagnostics,
            sources: sources.clone(),
            exit: crate::EXIT_REFUSED,
        };
        Self {
            fates: IndexMap::new(),
            outcome: Err(refusal),
            rejected: None,
        }
    }

    /// The parts of the plan, or of what was refused; `None` where the policy did not come to an end.
    #[must_use]
    pub fn parts(&self) -> Option<&Parts> {
        self.outcome.as_ref().ok().map(Plan::parts).or(self.rejected.as_ref())
    }
}

/// Checks what the policy asked for against what always holds. Adds what the launcher itself decides to the trace.
#[must_use]
pub fn check(draft: Draft, trace: &mut Trace, host: &Host, request: &Request, sources: &Sources) -> Verdict {
    let mut checker = Checker {
        hidden: HiddenPaths::default(),
        never_whole: crate::floor::never_whole(&host.home),
        draft,
        trace,
        host,
        mounts: Vec::new(),
        prepared: Vec::new(),
        masks: Vec::new(),
        protected: IndexMap::new(),
        reserved: Vec::new(),
        links: Vec::new(),
        opened: Vec::new(),
        passed: Vec::new(),
        fates: IndexMap::new(),
        violations: Vec::new(),
        unfit: false,
        exit: crate::EXIT_REFUSED,
    };
    for (earlier, later) in std::mem::take(&mut checker.draft.taken_back) {
        checker.fates.insert(earlier, Fate::Overridden(later));
    }
    let parts = checker.run(request);
    let Checker {
        mut fates,
        violations,
        exit,
        ..
    } = checker;
    // The network that was decided last is the one there is: what the policy said before the command line is marked.
    for (id, decision) in trace.iter() {
        if decision.effect == Effect::Network && id != parts.network_decision {
            fates.entry(id).or_insert(Fate::Overridden(parts.network_decision));
        }
    }
    let (outcome, rejected) = if violations.is_empty() {
        (Ok(Plan::new(parts)), None)
    } else {
        let refusal = Refusal {
            diagnostics: violations,
            sources: sources.clone(),
            exit,
        };
        (Err(refusal), Some(parts))
    };
    Verdict {
        fates,
        outcome,
        rejected,
    }
}

/// The state of one check.
struct Checker<'run> {
    draft: Draft,
    trace: &'run mut Trace,
    host: &'run Host,
    hidden: HiddenPaths,
    /// What is never mounted whole; each mount is compared with it.
    never_whole: Vec<HostPath>,
    mounts: Vec<Mount>,
    /// What the launcher makes on the host before the start: it is there when bubblewrap looks.
    prepared: Vec<HostPath>,
    masks: Vec<(SandboxPath, DecisionId)>,
    /// The mounts that protect what programs of the host obey, by their places.
    protected: IndexMap<SandboxPath, surface::Guard>,
    /// What is made for the time of the session.
    reserved: Vec<plan::Reserved>,
    /// The links at protected names.
    links: Vec<plan::PinnedLink>,
    /// The policy's openings that opened something.
    opened: Vec<DecisionId>,
    /// The policy's words that passed a file.
    passed: Vec<DecisionId>,
    fates: IndexMap<DecisionId, Fate>,
    violations: Vec<Diagnostic>,
    /// The project itself was refused: what follows from that is not told again.
    unfit: bool,
    exit: u8,
}

impl Checker<'_> {
    /// The whole check, stage by stage.
    fn run(&mut self, request: &Request) -> Parts {
        self.gather_hidden();
        self.project_root();
        let isolation = self.isolation();
        self.base_mounts();
        let keeping = self.credentials(request);
        if request.program == Program::Login {
            self.empty_project();
        }
        self.policy_mounts();
        let state = self.state_mounts(&keeping);
        let network = self.network(&keeping);
        let broker = self.broker(&keeping, &network, request);
        self.idle_name_rules();
        let variables = self.variables(&keeping, broker.as_ref());
        let (command, command_decision) = self.command(request, &variables);
        self.protect_surface();
        self.order_mounts();
        self.masks_below_mounts();
        self.project_masks();
        self.remote_secrets();
        self.mount_points();
        self.grant_masks();
        self.idle_passes();
        let nix = self.nix_daemon();
        self.working_directory(request);
        self.tell_claude(&network, &keeping);
        self.nothing_of_the_credential(&keeping, &variables);
        let reserved = self.reserved_and_mounted();
        let links = self.links_that_are_seen();
        Parts {
            variables,
            mounts: std::mem::take(&mut self.mounts),
            network: network.kind,
            network_decision: network.decision,
            internet: network.internet,
            names: network.names,
            credentials: keeping.credentials,
            broker,
            nix,
            uid: self.host.inside_uid(),
            gid: self.host.inside_gid(),
            root: self.host.uid == 0,
            directory: self.host.directory.same_inside(),
            command,
            command_decision,
            isolation,
            preparations: state.preparations,
            reserved,
            links,
        }
    }

    /// Notes a decision of the launcher itself.
    fn host_rule(
        &mut self,
        effect: Effect,
        subject: impl Into<String>,
        reason: &str,
        rule: &'static str,
    ) -> DecisionId {
        self.trace.record(effect, subject, reason, Site::Host(rule))
    }

    /// A violation by a decision: the message points at its line.
    fn violation(&mut self, diagnostic: Diagnostic, decision: DecisionId) {
        self.fates.insert(decision, Fate::Refused(diagnostic.code));
        let site = self.trace.get(decision).map(|decision| decision.site.clone());
        self.violations.push(match site {
            Some(site @ (Site::Script { .. } | Site::Option(_))) => diagnostic.at(site, ""),
            _ => diagnostic,
        });
    }

    /// A violation that no line of a script is to blame for.
    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.violations.push(diagnostic);
    }

    /// The same, with an exit code of its own if it is the only one.
    fn refuse_with(&mut self, diagnostic: Diagnostic, exit: u8) {
        if self.violations.is_empty() {
            self.exit = exit;
        }
        self.violations.push(diagnostic);
    }

    /// The working directory must be there, or the command would start somewhere else.
    fn working_directory(&mut self, request: &Request) {
        let directory = self.host.directory.same_inside();
        let shown = self.mounts.iter().any(|mount| match &mount.what {
            What::Bind { source, .. } => {
                directory.within(&mount.at) && source.same_inside() == mount.at && self.host.directory.within(source)
            }
            What::Tmpfs(_) => request.program == Program::Login && mount.at == directory,
            _ => false,
        });
        if !shown && self.violations.is_empty() {
            self.refuse(
                Diagnostic::new(
                    "project-root",
                    format!("no mount shows the working directory `{directory}`"),
                )
                .hint("the policy's `mounts` hook must show `host.project`, or call `base::mounts(host)`"),
            );
        }
    }

    /// A session to log in works on nothing: its project is an empty directory of its own.
    fn empty_project(&mut self) {
        let at = self.host.project.same_inside();
        let reason = "an empty project: this session is there to log in";
        let decision = self.host_rule(Effect::Tmpfs, at.to_string(), reason, "login");
        self.draft.take_back(decision, |mount| mount.at.within(&at));
        for (earlier, later) in std::mem::take(&mut self.draft.taken_back) {
            self.fates.insert(earlier, Fate::Overridden(later));
        }
        self.grant(at, What::Tmpfs(0o700), decision);
    }
}
