//! Compares what the probe found with the plan, one row for each defence. What was not answered counts as a leak.

mod credential;
mod files;
mod isolation;
mod network;
mod processes;

use std::collections::BTreeMap;
use std::path::Path;

use super::ask;
use super::message::{Answers, Bytes, Look, Questions, Try};
use super::report::{Outcome, Row};
use super::{Case, Planted, Told};
use crate::host::tree::Tree;
use crate::path::printable;
use crate::trace::DecisionId;
use crate::view::{Kind, Seen, View};

/// All that is known after a run.
pub(super) struct Evidence<'run> {
    case: Case<'run>,
    planted: &'run Planted,
    view: View<'run>,
    /// The host's files as they are now, after the launch made what it needs.
    tree: Tree,
    questions: Questions,
    answers: Answers,
    looks: BTreeMap<Bytes, Look>,
    command_lines: Vec<Vec<u8>>,
    credential: super::credential::Told,
    outlived: bool,
}

/// What came of one defence.
struct Judged {
    outcome: Outcome,
    finding: String,
    /// Each leak, where there is more than one.
    details: Vec<String>,
}

impl Judged {
    /// It holds, if nothing leaks.
    fn of(leaks: Vec<String>, holds: impl Into<String>) -> Self {
        match leaks.as_slice() {
            [] => Self::plain(Outcome::Holds, holds),
            [one] => Self::plain(Outcome::Leaks, one),
            [first, rest @ ..] => Self {
                outcome: Outcome::Leaks,
                finding: first.clone(),
                details: rest.to_vec(),
            },
        }
    }

    fn plain(outcome: Outcome, finding: impl Into<String>) -> Self {
        Self {
            outcome,
            finding: finding.into(),
            details: Vec::new(),
        }
    }

    fn untested(why: impl Into<String>) -> Self {
        Self::plain(Outcome::Untested, why)
    }
}

/// All rows, in the order of the table.
pub(super) fn rows(evidence: &Evidence) -> Vec<Row> {
    let mut table = vec![
        ("environment", evidence.environment()),
        ("processes", evidence.processes()),
        ("command lines", evidence.command_lines()),
        ("descriptors", evidence.descriptors()),
        ("keyring", evidence.keyring()),
        ("terminal", evidence.terminal()),
        ("shared memory", evidence.memory()),
        ("sockets", evidence.sockets()),
        ("secret paths", evidence.secrets()),
        ("home and /tmp", evidence.directories()),
        ("write access", evidence.mounts()),
        ("git and editors", evidence.kept()),
        ("network", evidence.network()),
        ("Nix daemon", evidence.nix()),
        ("capabilities", evidence.capabilities()),
        ("user", evidence.user()),
        ("survivors", evidence.survivors()),
        ("credentials", evidence.credentials()),
    ];
    table.extend(evidence.broker().map(|judged| ("broker", judged)));
    table
        .into_iter()
        .zip(1..)
        .map(|((defence, judged), number)| Row {
            number,
            defence,
            outcome: judged.outcome,
            finding: judged.finding,
            details: judged.details,
        })
        .collect()
}

impl<'run> Evidence<'run> {
    pub(super) fn new(
        case: Case<'run>,
        planted: &'run Planted,
        questions: Questions,
        told: Told,
        outlived: bool,
    ) -> Self {
        let Told {
            answers,
            command_lines,
            credential,
        } = told;
        let looks = questions.paths.iter().cloned().zip(answers.looks.iter().cloned());
        Self {
            view: View::new(case.host, case.plan.parts()),
            tree: Tree::real(),
            looks: looks.collect(),
            case,
            planted,
            questions,
            answers,
            command_lines,
            credential,
            outlived,
        }
    }

    fn look(&self, path: &Path) -> Option<&Look> {
        self.looks.get(&Bytes::from(path))
    }

    /// The line or the rule that decided.
    fn site(&self, decision: DecisionId) -> String {
        let decision = self.case.decided.trace.get(decision);
        decision.map(|decision| decision.site.to_string()).unwrap_or_default()
    }

    /// How a path inside is other than the plan's view of it; `None` where it is the same.
    fn differs(&self, path: &Path, expected: &Seen) -> Option<String> {
        let name = printable(path.as_os_str());
        let Some(look) = self.look(path) else {
            return Some(format!("`{name}` was not looked at"));
        };
        let kind = expected.kind.word();
        match expected.kind {
            Kind::Kernel => return None,
            _ if look.kind != kind => return Some(format!("`{name}` is {} and should be {kind}", look.kind)),
            Kind::Directory | Kind::File => {}
            _ => return None,
        }
        let wrong = |said: Option<bool>, is: bool| is && said == Some(false);
        if wrong(expected.writable, look.writable) {
            return Some(format!("`{name}` can be written"));
        }
        if wrong(expected.readable, look.readable) {
            return Some(format!("`{name}` can be read"));
        }
        if expected.masked() && !look.empty {
            return Some(format!("`{name}` should be hidden, and something is in it"));
        }
        let source = expected.source.as_ref().filter(|_| !expected.masked())?;
        let there = self.tree.node(source.as_path()).ok()??;
        // The login and its kin are replaced when they are refreshed, at any moment.
        if source.within(&self.case.host.places.state) && expected.kind == Kind::File {
            return None;
        }
        (there.identity != look.identity).then(|| format!("`{name}` is not `{source}` of this host"))
    }
}

/// Whether a try met somebody: it worked, or was answered by one who does not speak like this.
fn reached(result: &Try) -> bool {
    match result {
        Try::Done => true,
        Try::Refused(error) => [rustix::io::Errno::AGAIN, rustix::io::Errno::PROTOTYPE]
            .iter()
            .any(|other| other.raw_os_error() == *error),
        Try::Silence => true,
    }
}

/// A number with its word.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
