//! The launch as one page to look at: a tree of what Claude Code will see, each part coloured by how it got there, hidden secrets
//! as locked doors, and on a click the reason and the policy's line. It needs nothing from elsewhere, and every text of the host
//! is escaped: a name with markup in it stays a name.

mod page;
mod tree;

use crate::invariants::Fate;
use crate::invariants::plan::{Origin, Parts};
use crate::leak;
use crate::trace::{DecisionId, Effect, Site};

use super::whole::fate_text;
use super::{Group, Launch, place};
use page::{Facts, Item, Page, Table};

/// How much of a value is shown.
const VALUE_WIDTH: usize = 400;

/// The whole page.
#[must_use]
pub fn page(launch: &Launch) -> String {
    let verdict = &launch.decided.verdict;
    let mut page = Page::new(&launch.host.project.to_string(), verdict.outcome.as_ref().err());
    page.table("Worth a look", &worth_a_look(launch));
    if let Some(parts) = verdict.parts() {
        page.tree(&tree::tree(launch, parts));
        let (groups, count) = variables(launch, parts);
        page.items(&format!("Variables: {count} inside"), &groups);
        page.table("Network", &network(launch, parts));
    }
    page.table("Without effect", &without_effect(launch));
    page.table("Said by the policy", &debugged(launch));
    page.table("The policy", &layers(launch));
    page.table("Fixed for every sandbox", &isolation(launch));
    page.finish()
}

/// A decision as facts: what, why, where, the line, and what became of it.
fn decision(launch: &Launch, id: DecisionId, facts: &mut Facts) {
    let Some(decision) = launch.decided.trace.get(id) else {
        return;
    };
    facts.add("reason", &decision.reason);
    facts.add("decided by", &place(&decision.site));
    if let Some(fate) = launch.decided.verdict.fates.get(&id) {
        facts.add("but", &fate_text(fate, &launch.decided.trace));
    }
    if let Site::Script { file, line, .. } = &decision.site {
        let text = launch.decided.sources.get(file);
        facts.code = text
            .and_then(|text| text.lines().nth(line.saturating_sub(1)))
            .map(|line| line.trim().to_string());
    }
}

/// The variables that enter, then those that stay outside, by reason.
fn variables(launch: &Launch, parts: &Parts) -> (Vec<(String, Vec<Item>)>, usize) {
    let mut inside = Vec::new();
    for (name, variable) in &parts.variables {
        let (class, tag) = match (variable.secret, variable.origin) {
            (true, _) => ("rw", "secret"),
            (_, Origin::Host) => ("ro", "host"),
            (_, Origin::Policy) => ("text", "policy"),
            (_, Origin::Launcher) => ("kernel", "claudebox"),
        };
        let says = match variable.origin {
            Origin::Host => "enters with the host's value",
            Origin::Policy => "enters with a value of the policy",
            Origin::Launcher => "enters with a value of claudebox",
        };
        let mut facts = Facts::new(name.to_string(), says);
        facts.add(
            "value",
            &if variable.secret {
                leak::redacted(&variable.value)
            } else {
                leak::shown(name, &variable.value, VALUE_WIDTH)
            },
        );
        decision(launch, variable.decision, &mut facts);
        inside.push(Item {
            class,
            tag: tag.into(),
            facts,
        });
    }
    let count = inside.len();
    let mut groups = vec![("They enter".to_string(), inside)];
    let trace = &launch.decided.trace;
    for (id, told) in trace.iter() {
        let held_back = launch.decided.verdict.fates.contains_key(&id) && told.effect == Effect::Pass;
        if told.effect != Effect::Hide && !held_back {
            continue;
        }
        let mut facts = Facts::new(told.subject.clone(), "stays outside");
        decision(launch, id, &mut facts);
        let item = Item {
            class: "locked",
            tag: String::new(),
            facts,
        };
        let heading = format!("Outside: {}", if held_back { "held back" } else { &told.reason });
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, items)) => items.push(item),
            None => groups.push((heading, vec![item])),
        }
    }
    groups.retain(|(_, items)| !items.is_empty());
    (groups, count)
}

fn network(launch: &Launch, parts: &Parts) -> Table {
    let mut rows = Vec::new();
    for (id, told) in launch.decided.trace.iter() {
        if matches!(told.effect, Effect::Network | Effect::Open | Effect::Publish) {
            let fate = launch.decided.verdict.fates.get(&id);
            let fate = fate
                .map(|fate| fate_text(fate, &launch.decided.trace))
                .unwrap_or_default();
            let opened = told.effect != Effect::Network && fate.is_empty();
            let mark = if id == parts.network_decision || opened {
                "in force"
            } else {
                &fate
            };
            let subject = match told.effect {
                Effect::Network => told.subject.clone(),
                effect => format!("{} {}", effect.word(), told.subject),
            };
            rows.push(vec![subject, told.reason.clone(), place(&told.site), mark.to_string()]);
        }
    }
    rows
}

/// What the check noted, held back or refused.
fn worth_a_look(launch: &Launch) -> Table {
    let trace = &launch.decided.trace;
    let mut rows: Table = trace
        .iter()
        .filter(|(_, decision)| decision.effect == Effect::Note && matches!(decision.site, Site::Host(_)))
        .map(|(_, note)| vec![note.subject.clone(), note.reason.clone(), place(&note.site)])
        .collect();
    rows.extend(fates(launch, |fate| {
        matches!(fate, Fate::Clamped { .. } | Fate::Refused(_))
    }));
    rows
}

fn without_effect(launch: &Launch) -> Table {
    fates(launch, |fate| matches!(fate, Fate::Overridden(_) | Fate::Idle(_)))
}

/// Decisions that such a fate befell.
fn fates(launch: &Launch, wanted: impl Fn(&Fate) -> bool) -> Table {
    let trace = &launch.decided.trace;
    let befell = launch.decided.verdict.fates.iter().filter(|(_, fate)| wanted(fate));
    let told = befell.filter_map(|(id, fate)| {
        let decision = trace.get(*id)?;
        Some(vec![
            format!("{} {}", decision.effect.word(), decision.subject),
            fate_text(fate, trace),
            format!("{}, {}", decision.reason, place(&decision.site)),
        ])
    });
    told.collect()
}

/// What the policy's scripts print.
fn debugged(launch: &Launch) -> Table {
    let notes = launch
        .decided
        .trace
        .iter()
        .filter(|(_, decision)| decision.effect == Effect::Note && matches!(decision.site, Site::Script { .. }));
    notes
        .map(|(_, note)| vec![note.subject.clone(), place(&note.site)])
        .collect()
}

fn layers(launch: &Launch) -> Table {
    let answers = &launch.decided.trace.answers;
    let row = |source: &crate::script::layer::Source| {
        let hooks: Vec<&str> = answers
            .iter()
            .filter(|answer| answer.layer == source.layer)
            .map(|answer| answer.hook)
            .collect();
        vec![source.layer.to_string(), source.file.to_string(), hooks.join(", ")]
    };
    launch.layers.iter().map(row).collect()
}

fn isolation(launch: &Launch) -> Table {
    let trace = &launch.decided.trace;
    let fixed = trace.iter().filter(|(id, decision)| {
        Group::of(*id, decision, trace) == Group::Claudebox
            && matches!(decision.effect, Effect::Isolation | Effect::Command)
    });
    fixed
        .map(|(_, decision)| vec![decision.subject.clone(), decision.reason.clone()])
        .collect()
}
