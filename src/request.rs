//! What the command line asks of this launch, in the terms of the pipeline. Made by [`crate::cli`]; decides nothing.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::draft::{Draft, Network};
use crate::trace::{Effect, Site, Trace};

/// What runs in the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Claude Code.
    Claude,
    /// An interactive shell.
    Shell,
    /// A command of the user's.
    Command,
}

/// One launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What runs.
    pub program: Program,
    /// Its arguments; for a command, the command too.
    pub arguments: Vec<OsString>,
    /// `--net`.
    pub network: Option<Network>,
    /// `--policy FILE`: another user policy.
    pub policy: Option<PathBuf>,
    /// `--no-user-policy`.
    pub no_user_policy: bool,
}

impl Request {
    /// Lays what the command line says over what the policy asked for. The invariants hold for it like for everything else.
    pub fn apply(&self, draft: &mut Draft, trace: &mut Trace) {
        if let Some(network) = self.network {
            let site = Site::Option(format!("--net {}", network.word()));
            let decision = trace.record(Effect::Network, network.word(), "the command line says so", site);
            draft.network = Some((network, decision));
        }
    }
}
