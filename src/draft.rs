//! What the policy asked for. Nothing of it is granted: only [`crate::invariants::check`] turns a draft into a plan.

use std::ffi::OsString;

use indexmap::IndexMap;

use crate::net::address::Endpoint;
use crate::path::{EnvName, HostPath, SandboxPath};
use crate::trace::DecisionId;

/// The policy's answer for one variable of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes, unless it looks like a secret.
    Pass,
    /// It passes although it looks like a secret.
    PassSecret,
    /// It stays outside.
    Hide,
}

/// A variable that the policy gives a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: EnvName,
    /// Its value inside.
    pub value: OsString,
    /// The decision that asked for it.
    pub decision: DecisionId,
}

/// What the policy calls a secret, beyond the floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A path on the host and all below it.
    Path(HostPath),
    /// Variables whose names match this pattern (`*` and `?`).
    Name(String),
    /// Files of the project whose names match this pattern (`*` and `?`).
    File(String),
}

/// What is to appear at a place inside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A bind mount without write access.
    ReadOnly(HostPath),
    /// A bind mount with write access.
    ReadWrite(HostPath),
    /// An empty directory in memory.
    Tmpfs,
    /// A symbolic link to this target, as written.
    Link(OsString),
    /// A file with this content.
    Text(Vec<u8>),
    /// An empty file or directory that hides what a mount would show.
    Mask,
}

/// One mount that the policy asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is to appear.
    pub request: Request,
    /// Where it is to appear.
    pub at: SandboxPath,
    /// The decision that asked for it.
    pub decision: DecisionId,
    /// Whether an absent source is an error instead of a mount that does nothing: the user named it for this launch.
    pub required: bool,
}

/// Which network the sandbox gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// None but a loopback of its own.
    None,
    /// A namespace of its own: the internet, but neither the local network nor the host.
    Internet,
    /// The host's own network, not isolated.
    Host,
}

impl Network {
    /// The word that the command line and JSON use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Internet => "internet",
            Self::Host => "host",
        }
    }
}

/// A hole in the network [`Network::Internet`], or a way into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A port of an address that would be closed.
    Address(Endpoint),
    /// A port of the host's loopback, which appears on the sandbox's.
    HostPort(u16),
    /// A port of the sandbox's loopback, which appears on the host's.
    Publish(u16),
}

/// Everything the policy asked for, in the order in which it asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The answer for each variable of the host.
    pub variables: IndexMap<EnvName, (Verdict, DecisionId)>,
    /// Variables that are given a value.
    pub settings: Vec<Setting>,
    /// What is secret beyond the floor.
    pub secrets: Vec<(Secret, DecisionId)>,
    /// Files of the project that are shown although their names are those of secrets.
    pub passed: Vec<(HostPath, DecisionId)>,
    /// Mounts, in the order of the requests. The plan orders them anew.
    pub mounts: Vec<Mount>,
    /// What stays read-only although a mount would let it be written, with the ways to it.
    pub protected: Vec<(HostPath, DecisionId)>,
    /// What may be written although programs of the host obey it.
    pub opened: Vec<(HostPath, DecisionId)>,
    /// The network that was chosen last, if any was.
    pub network: Option<(Network, DecisionId)>,
    /// What is opened in it.
    pub openings: Vec<(Opening, DecisionId)>,
    /// Decisions that a later one took back: the earlier, the later.
    pub taken_back: Vec<(DecisionId, DecisionId)>,
}

impl Draft {
    /// Takes back the mounts that `which` names, by a later decision.
    pub fn take_back(&mut self, later: DecisionId, which: impl Fn(&Mount) -> bool) {
        let (taken, kept) = std::mem::take(&mut self.mounts)
            .into_iter()
            .partition(|mount| which(mount));
        self.mounts = kept;
        let taken: Vec<Mount> = taken;
        self.taken_back
            .extend(taken.iter().map(|mount| (mount.decision, later)));
    }
}
