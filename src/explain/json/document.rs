//! The documents' form, as `book/src/reference/json.md` describes it. A field may be added within a version; one that is
//! removed, renamed or changes its meaning needs a new version.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde::Serialize;

use crate::path::printable;

/// The schema of the whole trace.
pub const EXPLAIN: &str = "claudebox.explain/1";
/// The schema of the answers for subjects.
pub const SUBJECT: &str = "claudebox.explain-subject/1";
/// The schema of the dry run.
pub const DRY_RUN: &str = "claudebox.dry-run/1";

/// Bytes of the host: a string where they are UTF-8; else an object with a text for people and all bytes in hexadecimal.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Text {
    /// UTF-8, as it is.
    Plain(String),
    /// Other bytes.
    Bytes {
        /// For people: what is not UTF-8 is escaped.
        text: String,
        /// All bytes, two hexadecimal digits each.
        bytes: String,
    },
}

impl Text {
    /// The bytes without loss.
    #[must_use]
    pub fn of(bytes: &OsStr) -> Self {
        match bytes.to_str() {
            Some(text) => Self::Plain(text.to_string()),
            None => Self::Bytes {
                text: printable(bytes),
                bytes: bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct Whole {
    pub schema: &'static str,
    pub layers: Vec<Layer>,
    pub hooks: Vec<Hook>,
    pub decisions: Vec<Decision>,
    pub variables: Vec<Variable>,
    pub mounts: Vec<Mount>,
    pub network: Option<Network>,
    pub verdict: Verdict,
}

#[derive(Serialize)]
pub(super) struct Subjects {
    pub schema: &'static str,
    pub answers: Vec<Answer>,
    pub decisions: Vec<Decision>,
    pub verdict: Verdict,
}

#[derive(Serialize)]
pub(super) struct DryRun {
    pub schema: &'static str,
    /// Bubblewrap.
    pub program: Text,
    pub options: Vec<Word>,
    pub files: Vec<Text>,
    pub command: Vec<Text>,
    pub preparations: Vec<Preparation>,
    pub reservations: Vec<Reservation>,
    pub links: Vec<PinnedLink>,
    pub verdict: Verdict,
}

/// What is made for the time of the session.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Reservation {
    Directory { path: Text },
    File { path: Text, content: Text },
}

/// A link that is kept in its place by the companion.
#[derive(Serialize)]
pub(super) struct PinnedLink {
    pub at: Text,
    pub path: Text,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Word {
    Plain { text: Text },
    Secret { variable: Text },
    File { index: usize },
    Lifeline,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Preparation {
    Directory { path: Text },
    File { path: Text, content: Option<Text> },
    Lock { path: Text },
    Replace { path: Text, says: &'static str },
    Move { from: Text, to: Text, replace: bool },
}

#[derive(Serialize)]
pub(super) struct Layer {
    pub layer: String,
    pub file: String,
}

#[derive(Serialize)]
pub(super) struct Hook {
    pub hook: &'static str,
    pub layer: String,
}

#[derive(Serialize)]
pub(super) struct Decision {
    pub id: usize,
    pub effect: &'static str,
    pub group: &'static str,
    pub subject: String,
    pub reason: String,
    pub site: Site,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

#[derive(Default, Serialize)]
pub(super) struct Site {
    pub layer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Fate {
    Overridden { by: usize, site: Option<Site> },
    Idle { why: String },
    Clamped { code: &'static str, why: String },
    Refused { code: &'static str },
}

#[derive(Serialize)]
pub(super) struct Variable {
    pub name: Text,
    /// Never a secret's.
    pub value: Option<Text>,
    pub secret: bool,
    pub origin: &'static str,
    pub decision: usize,
}

#[derive(Serialize)]
pub(super) struct Mount {
    pub at: Text,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Text>,
    pub writable: bool,
    pub decision: usize,
}

#[derive(Serialize)]
pub(super) struct Network {
    pub mode: &'static str,
    pub decision: usize,
}

#[derive(Serialize)]
pub(super) struct Verdict {
    pub starts: bool,
    /// The exit code of the launch that is refused.
    pub exit: Option<u8>,
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Serialize)]
pub(super) struct Diagnostic {
    pub code: &'static str,
    pub message: String,
    pub places: Vec<Place>,
    pub hint: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Place {
    pub site: Site,
    pub label: String,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Answer {
    Path(Box<Path>),
    Variable(Box<AboutVariable>),
    Address {
        subject: String,
        network: Option<Network>,
        /// Null where the address behind a name decides, and where nothing is decided.
        reachable: Option<bool>,
        reach: Option<String>,
        decision: Option<usize>,
    },
}

#[derive(Serialize)]
pub(super) struct AboutVariable {
    pub subject: Text,
    pub on_host: bool,
    pub inside: Option<Variable>,
    pub decisions: Vec<usize>,
    pub to_show: Way,
}

#[derive(Serialize)]
pub(super) struct Path {
    pub subject: Text,
    pub path: Text,
    pub inside: Option<Seen>,
    pub shows_host: bool,
    pub host: OnHost,
    pub elsewhere: Vec<Elsewhere>,
    pub parts: Vec<Text>,
    pub besides: Vec<usize>,
    pub without_effect: Vec<usize>,
    pub to_show: Way,
}

#[derive(Serialize)]
pub(super) struct Seen {
    pub path: Text,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub visible: bool,
    pub readable: Option<bool>,
    pub writable: Option<bool>,
    pub masked: bool,
    pub implied: bool,
    pub source: Option<Text>,
    pub mount: Option<Text>,
    pub decision: Option<usize>,
    pub through: Vec<Link>,
}

#[derive(Serialize)]
pub(super) struct Link {
    pub at: Text,
    pub target: Text,
    pub decision: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct OnHost {
    pub path: Option<Text>,
    pub exists: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Elsewhere {
    pub at: Text,
    pub seen: Seen,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Way {
    Shown,
    Line {
        file: String,
        hook: &'static str,
        line: String,
        function: String,
        has_hook: bool,
    },
    Forbidden {
        diagnostic: Diagnostic,
    },
    None {
        why: String,
    },
}
