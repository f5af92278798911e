//! What was granted. A plan has private fields and one constructor, which only the invariants' check can reach:
//! to launch what was not checked does not compile.

mod secrets;

use std::ffi::OsString;

use indexmap::IndexMap;

use crate::draft::{Keeper, Network};
use crate::host::git::Reservation;
use crate::host::nix::daemon::Guard;
use crate::net::Internet;
use crate::net::broker::wire::Credential;
use crate::net::name::Pattern;
use crate::path::{EnvName, HostPath, SandboxPath};
use crate::trace::DecisionId;

pub use secrets::Secrets;

/// Where the value of a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The host's environment.
    Host,
    /// The policy set it.
    Policy,
    /// The launcher set it.
    Launcher,
}

/// One variable of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The value.
    pub value: OsString,
    /// Whether it is shown redacted.
    pub secret: bool,
    /// Where the value comes from.
    pub origin: Origin,
    /// The decision behind it.
    pub decision: DecisionId,
}

/// What is at a place inside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file or directory of the host: its canonical path.
    Bind {
        /// The canonical path on the host.
        source: HostPath,
        /// Whether the sandbox may write to it.
        writable: bool,
    },
    /// An empty directory in memory, with this mode.
    Tmpfs(u32),
    /// The kernel's process information.
    Proc,
    /// A minimal `/dev`.
    Dev,
    /// A symbolic link to this target.
    Link(OsString),
    /// A file with this content, without write access.
    Text(Vec<u8>),
    /// The same, and after the content the broker's certificate, which is known once the broker runs.
    Certificates(Vec<u8>),
    /// An empty, read-only directory over something that is hidden.
    MaskDirectory,
    /// An empty, read-only file over something that is hidden.
    MaskFile,
}

/// One mount of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The place inside.
    pub at: SandboxPath,
    /// What is there.
    pub what: What,
    /// The decision behind it.
    pub decision: DecisionId,
}

/// Something the launcher makes on the host before it starts the sandbox, if it is not there yet. Replaces nothing but the
/// record of the last start, and a login by a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// A directory with mode 0700.
    Directory(HostPath),
    /// A directory that is there already: it is looked at again, for it must be the caller's alone.
    Existing(HostPath),
    /// An empty file with mode 0600 that is held with a lock until the sandbox has its own.
    Lock(HostPath),
    /// A file with mode 0600.
    File {
        /// The path.
        path: HostPath,
        /// The content.
        content: Vec<u8>,
        /// Whether the content must not be shown.
        secret: bool,
    },
    /// A file that is replaced as a whole, by a rename; it need not be there yet.
    Replace {
        /// The path.
        path: HostPath,
        /// The new content.
        content: Vec<u8>,
        /// What is in it, for a dry run: the content tells the time.
        says: &'static str,
    },
    /// A file that lies at an old place is moved to a new one, and is the caller's alone afterwards (mode 0600).
    Move {
        /// The old place.
        from: HostPath,
        /// The new place.
        to: HostPath,
        /// Whether it replaces an older file there.
        replace: bool,
    },
}

impl Preparation {
    /// What is there afterwards.
    #[must_use]
    pub fn path(&self) -> &HostPath {
        match self {
            Self::Directory(path)
            | Self::Existing(path)
            | Self::Lock(path)
            | Self::File { path, .. }
            | Self::Replace { path, .. }
            | Self::Move { to: path, .. } => path,
        }
    }
}

/// A name that is absent and must stay so: the companion makes it for the time of the session, and removes it after the
/// last one. Mounted read-only like what exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The path on the host.
    pub path: HostPath,
    /// What is made there.
    pub content: Reservation,
    /// Where the companion notes that it was made.
    pub record: HostPath,
    /// Whether nothing is there yet. Where something is, it is taken over if a session left it, and else the user's own.
    pub absent: bool,
}

/// A symbolic link of the host at a protected name: bubblewrap cannot mount on it, so the companion does. It can be neither
/// renamed nor removed inside then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedLink {
    /// The place inside.
    pub at: SandboxPath,
    /// The path on the host.
    pub path: HostPath,
}

/// The sandbox's way to the Nix daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NixWay {
    /// The daemon's own socket.
    Open,
    /// A guard's socket; the launch starts the guard.
    Guarded(Guard),
    /// None.
    Outside,
}

/// What became of the Nix daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NixDaemon {
    /// The way to it.
    pub way: NixWay,
    /// What a user should know of it: each completes "it".
    pub warnings: Vec<String>,
    /// The decision behind it.
    pub decision: DecisionId,
}

/// Who holds Claude Code's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub keeper: Keeper,
    /// The decision behind it.
    pub decision: DecisionId,
    /// Where it is from, for people; `None` where nobody is logged in.
    pub origin: Option<String>,
    /// The credential itself, where it stays outside. It is in no text that is shown.
    pub held: Option<Credential>,
    /// What must be seen nowhere inside then.
    pub secrets: Secrets,
}

/// The broker of one launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The program.
    pub program: HostPath,
    /// Whether it speaks for Claude Code, or only lets named hosts be reached.
    pub brokered: bool,
    /// Whether the session is there to log in.
    pub login: bool,
    /// Certificates that it trusts beside its own: of the host, and those that the host adds for Claude Code.
    pub roots: [Option<HostPath>; 2],
    /// Where it notes what it refuses; `None` in a session that has no place of its own.
    pub log: Option<HostPath>,
}

/// Everything the sandbox will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    parts: Parts,
}

/// The parts of a plan, before it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The environment, in the order in which it is shown.
    pub variables: IndexMap<EnvName, Variable>,
    /// The mounts, in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// The network.
    pub network: Network,
    /// The decision behind the network.
    pub network_decision: DecisionId,
    /// What can be reached in the network `internet`, where it is that.
    pub internet: Option<Internet>,
    /// The hosts that can be reached in the network `allowlist`, where it is that.
    pub names: Option<Vec<(Pattern, DecisionId)>>,
    /// Who holds Claude Code's credential.
    pub credentials: Credentials,
    /// The broker, where the launch starts one.
    pub broker: Option<Broker>,
    /// The Nix daemon, where there is a word to say about it.
    pub nix: Option<NixDaemon>,
    /// The user id inside.
    pub uid: u32,
    /// The group id inside.
    pub gid: u32,
    /// Whether the caller is root on the host.
    pub root: bool,
    /// The working directory inside.
    pub directory: SandboxPath,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// The decision behind the command.
    pub command_decision: DecisionId,
    /// Decisions on the namespaces, the capabilities, the filter: fixed for every sandbox.
    pub isolation: Vec<DecisionId>,
    /// What is made on the host before the start.
    pub preparations: Vec<Preparation>,
    /// What is made on the host for the time of the session: parents before children.
    pub reserved: Vec<Reserved>,
    /// The links that the companion keeps in their places.
    pub links: Vec<PinnedLink>,
}

impl Plan {
    /// The one maker, which [`super::check`] alone can call: whoever has a plan has one that was checked.
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// All parts, to be looked at.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The environment inside, in the order in which it is shown.
    #[must_use]
    pub fn variables(&self) -> &IndexMap<EnvName, Variable> {
        &self.parts.variables
    }

    /// The mounts, in the order in which they are made.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.parts.mounts
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.parts.network
    }

    /// The decision behind the network.
    #[must_use]
    pub fn network_decision(&self) -> DecisionId {
        self.parts.network_decision
    }

    /// What can be reached in the network `internet`; `None` where the network is another one.
    #[must_use]
    pub fn internet(&self) -> Option<&Internet> {
        self.parts.internet.as_ref()
    }

    /// The hosts that can be reached in the network `allowlist`; `None` where the network is another one.
    #[must_use]
    pub fn names(&self) -> Option<&[(Pattern, DecisionId)]> {
        self.parts.names.as_deref()
    }

    /// Who holds Claude Code's credential.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.parts.credentials
    }

    /// The broker, where the launch starts one.
    #[must_use]
    pub fn broker(&self) -> Option<&Broker> {
        self.parts.broker.as_ref()
    }

    /// The Nix daemon, where there is a word to say about it.
    #[must_use]
    pub fn nix(&self) -> Option<&NixDaemon> {
        self.parts.nix.as_ref()
    }

    /// The guard before the Nix daemon, where the sandbox needs one.
    #[must_use]
    pub fn guard(&self) -> Option<&Guard> {
        match &self.parts.nix.as_ref()?.way {
            NixWay::Guarded(guard) => Some(guard),
            NixWay::Open | NixWay::Outside => None,
        }
    }

    /// User and group id inside.
    #[must_use]
    pub fn ids(&self) -> (u32, u32) {
        (self.parts.uid, self.parts.gid)
    }

    /// Whether the caller is root on the host.
    #[must_use]
    pub fn root(&self) -> bool {
        self.parts.root
    }

    /// The working directory inside.
    #[must_use]
    pub fn directory(&self) -> &SandboxPath {
        &self.parts.directory
    }

    /// The command and its arguments.
    #[must_use]
    pub fn command(&self) -> &[OsString] {
        &self.parts.command
    }

    /// The decision behind the command.
    #[must_use]
    pub fn command_decision(&self) -> DecisionId {
        self.parts.command_decision
    }

    /// What is fixed for every sandbox.
    #[must_use]
    pub fn isolation(&self) -> &[DecisionId] {
        &self.parts.isolation
    }

    /// What is made on the host before the start.
    #[must_use]
    pub fn preparations(&self) -> &[Preparation] {
        &self.parts.preparations
    }

    /// The links that the companion keeps in their places.
    #[must_use]
    pub fn links(&self) -> &[PinnedLink] {
        &self.parts.links
    }

    /// What is made on the host for the time of the session.
    #[must_use]
    pub fn reserved(&self) -> &[Reserved] {
        &self.parts.reserved
    }
}
