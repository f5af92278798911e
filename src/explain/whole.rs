//! The whole trace as text: every decision with its reason and its place, and what became of it. Decisions of one line of a
//! policy with one reason stand together.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::invariants::Fate;
use crate::invariants::plan::{Mount, What};
use crate::path::printable;
use crate::style::{Style, Tone};
use crate::trace::{Decision, DecisionId, Effect, Trace};

use super::{Group, Launch, Look, place, refused, wrap};

/// The column where subjects, reasons and places begin.
const COLUMN: usize = 15;

/// Decisions that are told together.
#[derive(PartialEq, Eq, Hash)]
struct Key<'run> {
    group: Group,
    effect: Effect,
    reason: &'run str,
    place: String,
    fate: Option<String>,
    /// Notes stand alone: each is a text of its own.
    alone: Option<usize>,
}

pub(super) fn text(launch: &Launch, look: Look) -> String {
    let style = look.style;
    let verdict = &launch.decided.verdict;
    let mut out = String::new();
    if !look.quiet {
        out.push_str(&layers(launch, style));
    }
    let entries = entries(launch);
    for group in Group::ALL {
        let mut told: Vec<_> = entries
            .iter()
            .filter(|(key, _)| key.group == group && (!look.quiet || worth_a_look(key)))
            .collect();
        if group == Group::Variables {
            // What enters comes first: the rest is long.
            told.sort_by_key(|(key, _)| key.effect == Effect::Hide);
        }
        if told.is_empty() {
            continue;
        }
        out.push_str(&format!("{}\n", style.paint(Tone::Heading, &heading(group, launch))));
        for (key, (tone, subjects)) in told {
            out.push_str(&entry(key, *tone, subjects, style));
        }
        out.push('\n');
    }
    out.push_str(&match &verdict.outcome {
        Ok(_) => format!("{}\n", style.paint(Tone::Good, "a launch would start")),
        Err(refusal) => refused(refusal, style),
    });
    out
}

/// With `--quiet` only what did not simply take effect, and what passes although it is a secret.
fn worth_a_look(key: &Key) -> bool {
    key.fate.is_some() || key.effect == Effect::PassSecret || key.effect == Effect::Note
}

/// Which scripts there are, and which of their hooks were asked.
fn layers(launch: &Launch, style: Style) -> String {
    let mut out = format!("{}\n", style.paint(Tone::Heading, "policy"));
    let width = launch
        .layers
        .iter()
        .map(|source| wrap::width(&source.layer))
        .max()
        .unwrap_or_default()
        .max(COLUMN - 4);
    for source in launch.layers {
        let lead = format!("  {:<width$}  ", source.layer);
        let answers: Vec<&str> = launch
            .decided
            .trace
            .answers
            .iter()
            .filter(|answer| answer.layer == source.layer)
            .map(|answer| answer.hook)
            .collect();
        let what = if answers.is_empty() {
            "answers no hook".to_string()
        } else {
            format!("answers {}", answers.join(", "))
        };
        for line in wrap::text(&lead, &format!("{}: {what}", source.file)) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out.push('\n');
    out
}

fn heading(group: Group, launch: &Launch) -> String {
    let parts = launch.decided.verdict.parts();
    match (group, parts) {
        (Group::Variables, Some(parts)) => {
            let host = launch.host.variables.keys();
            let outside = host.filter(|name| !parts.variables.contains_key(*name)).count();
            format!(
                "variables: {} inside, {outside} of the host stay outside",
                parts.variables.len()
            )
        }
        (Group::Network, Some(parts)) => format!("network: {}", parts.network.word()),
        (Group::Claudebox, _) => "added by claudebox to every sandbox".into(),
        _ => group.word().into(),
    }
}

fn entries<'run>(launch: &Launch<'run>) -> IndexMap<Key<'run>, (Option<Tone>, Vec<String>)> {
    let trace = &launch.decided.trace;
    let verdict = &launch.decided.verdict;
    let mounts: HashMap<DecisionId, &Mount> = verdict
        .parts()
        .map(|parts| parts.mounts.iter().map(|mount| (mount.decision, mount)).collect())
        .unwrap_or_default();
    let mut entries: IndexMap<Key<'run>, (Option<Tone>, Vec<String>)> = IndexMap::new();
    for (id, decision) in trace.iter() {
        let fate = verdict.fates.get(&id);
        let key = Key {
            group: Group::of(id, decision, trace),
            effect: decision.effect,
            reason: &decision.reason,
            place: place(&decision.site),
            fate: fate.map(|fate| fate_text(fate, trace)),
            alone: (decision.effect == Effect::Note).then(|| id.index()),
        };
        let (_, subjects) = entries.entry(key).or_insert_with(|| (fate.map(fate_tone), Vec::new()));
        subjects.extend(subject(decision, mounts.get(&id).copied()));
    }
    entries
}

/// What became of a decision, in words.
pub(super) fn fate_text(fate: &Fate, trace: &Trace) -> String {
    match fate {
        Fate::Overridden(by) => match trace.get(*by) {
            Some(by) => format!("overridden by {}", place(&by.site)),
            None => "overridden".into(),
        },
        Fate::Idle(why) => format!("does nothing: {why}"),
        Fate::Clamped { code, why } => format!("held back by `{code}`: {why}"),
        Fate::Refused(code) => format!("refused by `{code}`"),
    }
}

pub(super) fn fate_tone(fate: &Fate) -> Tone {
    match fate {
        Fate::Overridden(_) | Fate::Idle(_) => Tone::Dim,
        Fate::Clamped { .. } => Tone::Warn,
        Fate::Refused(_) => Tone::Bad,
    }
}

/// What a decision is about; a mount from another place tells from where.
fn subject(decision: &Decision, mount: Option<&Mount>) -> Vec<String> {
    let mut words = vec![decision.subject.clone()];
    match mount.map(|mount| (&mount.what, &mount.at)) {
        Some((What::Bind { source, .. }, at)) if source.same_inside() != *at => words.push(format!("(from {source})")),
        Some((What::Link(target), _)) => {
            words = vec![format!("{} -> {}", decision.subject, printable(target))];
        }
        _ => {}
    }
    words
}

fn entry(key: &Key, tone: Option<Tone>, subjects: &[String], style: Style) -> String {
    let indent = " ".repeat(COLUMN);
    let mut lines = Vec::new();
    let label = format!("  {:<width$}  ", key.effect.word(), width = COLUMN - 4);
    let mut first = true;
    for line in wrap::list(&label, subjects, "  ") {
        // Only the word of the effect is painted, so that the wrapped lines keep their width.
        lines.push(match (first, line.strip_prefix(&label)) {
            (true, Some(rest)) => format!("  {}{rest}", painted_label(key.effect, &label, style)),
            _ => line,
        });
        first = false;
    }
    // A note is its own text; its reason is only that it is one.
    if key.effect != Effect::Note || key.reason != "debug" {
        lines.extend(wrap::text(&indent, key.reason));
    }
    let room = lines.last().map_or(0, |line| wrap::width(line)) + 2 + wrap::width(&key.place) <= wrap::WIDTH;
    let painted = style.paint(Tone::Place, &key.place);
    match lines.last_mut() {
        Some(line) if room && key.effect != Effect::Note => line.push_str(&format!("  {painted}")),
        _ => lines.push(format!("{indent}{painted}")),
    }
    if let Some(fate) = &key.fate {
        for line in wrap::text(&indent, fate) {
            lines.push(match line.strip_prefix(&indent) {
                Some(rest) => format!("{indent}{}", style.paint(tone.unwrap_or(Tone::Dim), rest)),
                None => line,
            });
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The effect's word in its colour, padded to the column.
fn painted_label(effect: Effect, label: &str, style: Style) -> String {
    let padded = label.get(2..).unwrap_or_default();
    let word = effect.word();
    let rest = padded.strip_prefix(word).unwrap_or_default();
    let tone = match effect {
        Effect::Pass | Effect::Set | Effect::ReadOnly | Effect::Tmpfs | Effect::Link | Effect::Text => Tone::Good,
        Effect::PassSecret
        | Effect::PassFile
        | Effect::ReadWrite
        | Effect::Open
        | Effect::OpenPath
        | Effect::Publish => Tone::Warn,
        Effect::Hide
        | Effect::Close
        | Effect::Mask
        | Effect::Pin
        | Effect::Protect
        | Effect::SecretPath
        | Effect::SecretName
        | Effect::SecretFile => Tone::Hint,
        Effect::Network | Effect::Isolation | Effect::Command | Effect::Note => Tone::Place,
    };
    format!("{}{rest}", style.paint(tone, word))
}
