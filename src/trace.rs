//! What was decided, by whom, where and why: plain data that grows during one run and is printed by `--explain`.
//! Nothing here decides anything.

use std::fmt;
use std::sync::Arc;

/// Names one decision of a [`Trace`]; every item of a plan holds the id of the decision that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(usize);

impl DecisionId {
    /// The decision's place in the order of all, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// Where a decision was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// A line of a policy script. Lines and columns count from 1, columns in characters.
    Script {
        /// The layer the script belongs to: `bundled`, `user`, …
        layer: Arc<str>,
        /// The script's file, as messages show it.
        file: Arc<str>,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A rule of the host program: an invariant's code or another fixed name.
    Host(&'static str),
    /// An option of the command line, as the user wrote it.
    Option(String),
}

impl Site {
    /// The layer's name: who decided.
    #[must_use]
    pub fn layer(&self) -> &str {
        match self {
            Self::Script { layer, .. } => layer,
            Self::Host(_) => "host",
            Self::Option(_) => "command line",
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script { file, line, .. } => write!(f, "{file}:{line}"),
            Self::Host(rule) => write!(f, "host rule {rule}"),
            Self::Option(text) => f.write_str(text),
        }
    }
}

/// What a decision does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A host variable passes.
    Pass,
    /// A host variable that looks like a secret passes, by name.
    PassSecret,
    /// A host variable stays outside.
    Hide,
    /// A variable is given a value.
    Set,
    /// A path is a secret.
    SecretPath,
    /// Variables whose names match are secrets.
    SecretName,
    /// Files of the project whose names match are secrets.
    SecretFile,
    /// One file of the project is shown although its name is that of a secret.
    PassFile,
    /// A bind mount without write access.
    ReadOnly,
    /// A bind mount with write access.
    ReadWrite,
    /// An empty directory in memory.
    Tmpfs,
    /// A symbolic link.
    Link,
    /// A generated file.
    Text,
    /// A path is hidden behind an empty file or directory.
    Mask,
    /// A directory can be neither renamed nor replaced, so that what lies in it stays what it is.
    Pin,
    /// A path that programs of the host obey stays read-only where a mount would let it be written.
    Protect,
    /// Such a path may be written all the same.
    OpenPath,
    /// Which network the sandbox has.
    Network,
    /// A port of an address, or of the host's loopback, can be reached.
    Open,
    /// A range of addresses cannot be reached.
    Close,
    /// A port of the sandbox appears on the host's loopback.
    Publish,
    /// A fixed property of every sandbox: a namespace, a filter, an identity.
    Isolation,
    /// What runs inside.
    Command,
    /// A `debug(...)` of a policy script: decides nothing.
    Note,
}

impl Effect {
    /// The word that stands for the effect in the audit, in explain and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::PassSecret => "pass-secret",
            Self::Hide => "hide",
            Self::Set => "set",
            Self::SecretPath => "secret-path",
            Self::SecretName => "secret-name",
            Self::SecretFile => "secret-file",
            Self::PassFile => "pass-file",
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
            Self::Tmpfs => "tmpfs",
            Self::Link => "link",
            Self::Text => "text",
            Self::Mask => "mask",
            Self::Pin => "pin",
            Self::Protect => "protect",
            Self::OpenPath => "open-path",
            Self::Network => "network",
            Self::Open => "open",
            Self::Close => "close",
            Self::Publish => "publish",
            Self::Isolation => "isolation",
            Self::Command => "command",
            Self::Note => "note",
        }
    }
}

/// One decision, with its reason and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it does.
    pub effect: Effect,
    /// What it is about: a variable, a path inside the sandbox, a pattern. Printable text, never a variable's value.
    pub subject: String,
    /// The reason, as its author gave it.
    pub reason: String,
    /// Where it was taken.
    pub site: Site,
}

/// All decisions of one run, in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    decisions: Vec<Decision>,
    /// Which layer answered each hook, in the order of the calls.
    pub answers: Vec<Answer>,
}

/// One hook and who answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The hook's name.
    pub hook: &'static str,
    /// The layer that was asked.
    pub layer: Arc<str>,
    /// How many decisions there were before: those from here on, up to the next answer, were taken in this hook.
    pub from: usize,
}

impl Trace {
    /// Notes that a hook is asked of a layer now.
    pub fn answer(&mut self, hook: &'static str, layer: Arc<str>) {
        let from = self.decisions.len();
        self.answers.push(Answer { hook, layer, from });
    }

    /// Appends a decision and names it.
    pub fn record(
        &mut self,
        effect: Effect,
        subject: impl Into<String>,
        reason: impl Into<String>,
        site: Site,
    ) -> DecisionId {
        let id = DecisionId(self.decisions.len());
        self.decisions.push(Decision {
            effect,
            subject: subject.into(),
            reason: reason.into(),
            site,
        });
        id
    }

    /// The decision of that name. Ids come from `record` alone; an id of another trace gives `None`.
    #[must_use]
    pub fn get(&self, id: DecisionId) -> Option<&Decision> {
        self.decisions.get(id.0)
    }

    /// All decisions with their ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = (DecisionId, &Decision)> {
        self.decisions
            .iter()
            .enumerate()
            .map(|(index, decision)| (DecisionId(index), decision))
    }

    /// How many decisions were taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    /// Whether nothing was decided yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }
}
