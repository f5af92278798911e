//! `--explain`: why each variable and each file is, or is not, inside. Prints the trace and the verdict of this very launch;
//! decides nothing and looks at nothing that the launch does not look at.

pub mod html;
pub mod json;
pub mod subject;
#[cfg(test)]
mod tests;
mod text;
pub mod what_if;
mod whole;
pub mod wrap;

use std::ffi::OsString;
use std::rc::Rc;

use crate::Decided;
use crate::diagnostic::Refusal;
use crate::host::Host;
use crate::request::Request;
use crate::script::layer::Source;
use crate::style::{Style, Tone};
use crate::trace::{Decision, DecisionId, Effect, Site, Trace};

/// What explain is made of: the values of one launch.
pub struct Launch<'run> {
    /// The host.
    pub host: &'run Rc<Host>,
    /// What the command line asked.
    pub request: &'run Request,
    /// The policy's layers, the lowest first.
    pub layers: &'run [Source],
    /// What was decided.
    pub decided: &'run Decided,
}

/// How the text is to look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Colour, or none.
    pub style: Style,
    /// Only what is wrong or worth a second look.
    pub quiet: bool,
}

/// The whole trace, or the answers for the subjects, as text.
#[must_use]
pub fn text(launch: &Launch, subjects: &[OsString], look: Look) -> String {
    if subjects.is_empty() {
        return whole::text(launch, look);
    }
    let answers: Vec<String> = subject::answers(launch, subjects)
        .iter()
        .map(|answer| text::answer(launch, answer, look.style))
        .collect();
    let mut out = answers.join("\n");
    if let Err(refusal) = &launch.decided.verdict.outcome {
        out.push('\n');
        out.push_str(&refused(refusal, look.style));
    }
    out
}

/// The same as a document for programs.
#[must_use]
pub fn json(launch: &Launch, subjects: &[OsString]) -> String {
    if subjects.is_empty() {
        json::whole(launch)
    } else {
        json::subjects(launch, &subject::answers(launch, subjects))
    }
}

/// The end of the text where nothing would start.
#[must_use]
pub fn refused(refusal: &Refusal, style: Style) -> String {
    let heading = style.paint(Tone::Bad, "nothing would start:");
    format!("{heading}\n{}", refusal.render(style))
}

/// The parts of the text, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Variables of the host and of the policy.
    Variables,
    /// What is secret.
    Secrets,
    /// What is mounted.
    Mounts,
    /// The network.
    Network,
    /// What the launcher adds by itself.
    Claudebox,
}

impl Group {
    /// All groups in order.
    pub const ALL: [Self; 5] = [
        Self::Variables,
        Self::Secrets,
        Self::Mounts,
        Self::Network,
        Self::Claudebox,
    ];

    /// The heading, and the word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Variables => "variables",
            Self::Secrets => "secrets",
            Self::Mounts => "mounts",
            Self::Network => "network",
            Self::Claudebox => "claudebox",
        }
    }

    /// Where a decision belongs. A `debug(...)` of a policy stands with the decisions of the hook that it was called in.
    #[must_use]
    pub fn of(id: DecisionId, decision: &Decision, trace: &Trace) -> Self {
        match (decision.effect, &decision.site) {
            (Effect::Network | Effect::Open | Effect::Close | Effect::Publish, _) => Self::Network,
            (Effect::Hide, _) => Self::Variables,
            (_, Site::Host(_)) => Self::Claudebox,
            (Effect::Pass | Effect::PassSecret | Effect::Set, _) => Self::Variables,
            (Effect::SecretPath | Effect::SecretName | Effect::SecretFile | Effect::PassFile, _) => Self::Secrets,
            (Effect::Note, _) => Self::of_hook(id, trace),
            _ => Self::Mounts,
        }
    }

    fn of_hook(id: DecisionId, trace: &Trace) -> Self {
        let before = |answer: &&crate::trace::Answer| answer.from <= id.index();
        match trace.answers.iter().rev().find(before).map(|answer| answer.hook) {
            Some("variable" | "environment") => Self::Variables,
            Some("mounts") => Self::Mounts,
            Some("network") => Self::Network,
            _ => Self::Secrets,
        }
    }
}

/// A decision's place with its layer: `policy/policy.rhai:12 (bundled)`.
#[must_use]
pub fn place(site: &Site) -> String {
    match site {
        Site::Script { layer, .. } => format!("{site} ({layer})"),
        Site::Host(rule) => format!("claudebox's rule {rule}"),
        Site::Option(_) => format!("{site} (command line)"),
    }
}
