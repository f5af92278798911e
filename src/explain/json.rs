//! What explain and the dry run say, for programs: documents with a versioned schema, which the book describes. No value of a
//! secret is ever in them.

pub mod document;
pub mod dry_run;
pub mod verify;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::invariants::Fate;
use crate::invariants::plan::{Mount, Origin, Parts, Variable, What};
use crate::net::reach::Reach;
use crate::path::EnvName;
use crate::trace::{Site, Trace};
use crate::view::Seen;

use super::subject::{Answer, PathAnswer, VariableAnswer};
use super::what_if::Way;
use super::{Group, Launch};

use document as doc;
use document::Text;

/// The whole trace.
#[must_use]
pub fn whole(launch: &Launch) -> String {
    let trace = &launch.decided.trace;
    let parts = launch.decided.verdict.parts();
    print(&doc::Whole {
        schema: doc::EXPLAIN,
        layers: launch
            .layers
            .iter()
            .map(|source| doc::Layer {
                layer: source.layer.to_string(),
                file: source.file.to_string(),
            })
            .collect(),
        hooks: trace
            .answers
            .iter()
            .map(|answer| doc::Hook {
                hook: answer.hook,
                layer: answer.layer.to_string(),
            })
            .collect(),
        decisions: decisions(launch, |_| true),
        variables: parts
            .map(|parts| parts.variables.iter().map(variable).collect())
            .unwrap_or_default(),
        mounts: parts
            .map(|parts| parts.mounts.iter().map(mount).collect())
            .unwrap_or_default(),
        network: parts.map(network),
        verdict: verdict(launch.decided.verdict.outcome.as_ref().err()),
    })
}

/// The answers for subjects. Of the decisions only those that an answer names.
#[must_use]
pub fn subjects(launch: &Launch, answers: &[Answer]) -> String {
    let mut named: Vec<usize> = Vec::new();
    let answers: Vec<doc::Answer> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Path(answer) => path(answer, &mut named),
            Answer::Variable(answer) => variable_answer(answer, &mut named),
            Answer::Address(answer) => doc::Answer::Address {
                subject: answer.asked.clone(),
                network: answer.network.map(|(network, decision)| doc::Network {
                    mode: network.word(),
                    decision: noted(&mut named, decision.index()),
                }),
                reachable: answer.reach.as_ref().and_then(Reach::is_open),
                reach: answer.reach.as_ref().map(ToString::to_string),
                decision: answer
                    .reach
                    .as_ref()
                    .and_then(Reach::decision)
                    .map(|decision| noted(&mut named, decision.index())),
            },
        })
        .collect();
    named.sort_unstable();
    print(&doc::Subjects {
        schema: doc::SUBJECT,
        answers,
        decisions: decisions(launch, |index| named.binary_search(&index).is_ok()),
        verdict: verdict(launch.decided.verdict.outcome.as_ref().err()),
    })
}

/// The document where nothing could be decided: a fact about the host or a policy's file is missing.
#[must_use]
pub fn refused(refusal: &Refusal) -> String {
    print(&doc::Whole {
        schema: doc::EXPLAIN,
        layers: Vec::new(),
        hooks: Vec::new(),
        decisions: Vec::new(),
        variables: Vec::new(),
        mounts: Vec::new(),
        network: None,
        verdict: verdict(Some(refusal)),
    })
}

/// A document's text, with a line break at its end.
fn print(document: &impl serde::Serialize) -> String {
    // Only a map with keys that are no text could fail; the documents have none.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// The verdict: whether a launch would start, and if not, all that is wrong.
fn verdict(refusal: Option<&Refusal>) -> doc::Verdict {
    doc::Verdict {
        starts: refusal.is_none(),
        exit: refusal.map(|refusal| refusal.exit),
        diagnostics: refusal
            .map(|refusal| refusal.diagnostics.iter().map(diagnostic).collect())
            .unwrap_or_default(),
    }
}

fn noted(named: &mut Vec<usize>, index: usize) -> usize {
    named.push(index);
    index
}

fn decisions(launch: &Launch, wanted: impl Fn(usize) -> bool) -> Vec<doc::Decision> {
    let trace = &launch.decided.trace;
    trace
        .iter()
        .filter(|(id, _)| wanted(id.index()))
        .map(|(id, decision)| doc::Decision {
            id: id.index(),
            effect: decision.effect.word(),
            group: Group::of(id, decision, trace).word(),
            subject: decision.subject.clone(),
            reason: decision.reason.clone(),
            site: site(&decision.site),
            fate: launch.decided.verdict.fates.get(&id).map(|told| fate(told, trace)),
        })
        .collect()
}

fn fate(fate: &Fate, trace: &Trace) -> doc::Fate {
    match fate {
        Fate::Overridden(by) => doc::Fate::Overridden {
            by: by.index(),
            site: trace.get(*by).map(|by| site(&by.site)),
        },
        Fate::Idle(why) => doc::Fate::Idle { why: why.clone() },
        Fate::Clamped { code, why } => doc::Fate::Clamped { code, why: why.clone() },
        Fate::Refused(code) => doc::Fate::Refused { code },
    }
}

fn site(site: &Site) -> doc::Site {
    let mut told = doc::Site {
        layer: site.layer().to_string(),
        ..doc::Site::default()
    };
    match site {
        Site::Script { file, line, column, .. } => {
            told.file = Some(file.to_string());
            told.line = Some(*line);
            told.column = Some(*column);
        }
        Site::Host(rule) => told.rule = Some(rule),
        Site::Option(option) => told.option = Some(option.clone()),
    }
    told
}

fn diagnostic(diagnostic: &Diagnostic) -> doc::Diagnostic {
    doc::Diagnostic {
        code: diagnostic.code,
        message: diagnostic.message.clone(),
        places: diagnostic
            .places
            .iter()
            .map(|(place, label)| doc::Place {
                site: site(place),
                label: label.clone(),
            })
            .collect(),
        hint: diagnostic.hint.clone(),
    }
}

fn network(parts: &Parts) -> doc::Network {
    doc::Network {
        mode: parts.network.word(),
        decision: parts.network_decision.index(),
    }
}

fn variable((name, variable): (&EnvName, &Variable)) -> doc::Variable {
    doc::Variable {
        name: Text::of(name.as_os_str()),
        value: (!variable.secret).then(|| Text::of(&variable.value)),
        secret: variable.secret,
        origin: match variable.origin {
            Origin::Host => "host",
            Origin::Policy => "policy",
            Origin::Launcher => "claudebox",
        },
        decision: variable.decision.index(),
    }
}

fn mount(mount: &Mount) -> doc::Mount {
    let mut told = doc::Mount {
        at: Text::of(mount.at.as_os_str()),
        kind: "",
        source: None,
        target: None,
        writable: false,
        decision: mount.decision.index(),
    };
    told.kind = match &mount.what {
        What::Bind { source, writable } => {
            told.source = Some(Text::of(source.as_os_str()));
            told.writable = *writable;
            "bind"
        }
        What::Tmpfs(_) => {
            told.writable = mount.at.depth() > 0;
            "tmpfs"
        }
        What::Proc => "proc",
        What::Dev => "dev",
        What::Link(target) => {
            told.target = Some(Text::of(target));
            "link"
        }
        What::Text(_) => "text",
        What::MaskDirectory => "mask-directory",
        What::MaskFile => "mask-file",
    };
    told
}

fn seen(seen: &Seen, named: &mut Vec<usize>) -> doc::Seen {
    doc::Seen {
        path: Text::of(seen.path.as_os_str()),
        kind: seen.kind.word(),
        why: match &seen.kind {
            crate::view::Kind::Unreachable(why) => Some(why.clone()),
            _ => None,
        },
        visible: seen.kind.visible(),
        readable: seen.readable,
        writable: seen.writable,
        masked: seen.masked(),
        implied: seen.implied,
        source: seen.source.as_ref().map(|source| Text::of(source.as_os_str())),
        mount: seen.mount.map(|mount| Text::of(mount.at.as_os_str())),
        decision: seen.mount.map(|mount| noted(named, mount.decision.index())),
        through: seen
            .through
            .iter()
            .map(|link| doc::Link {
                at: Text::of(link.at.as_os_str()),
                target: Text::of(&link.target),
                decision: link.mount.map(|mount| noted(named, mount.decision.index())),
            })
            .collect(),
    }
}

fn path(answer: &PathAnswer, named: &mut Vec<usize>) -> doc::Answer {
    doc::Answer::Path(Box::new(doc::Path {
        subject: Text::of(&answer.asked),
        path: Text::of(answer.path.as_os_str()),
        inside: answer.inside.as_ref().map(|inside| seen(inside, named)),
        shows_host: answer.shows_the_host(),
        host: match &answer.host {
            Ok(resolved) => doc::OnHost {
                path: Some(Text::of(resolved.path.as_os_str())),
                exists: Some(resolved.node.is_some()),
                error: None,
            },
            Err(unreadable) => doc::OnHost {
                path: None,
                exists: None,
                error: Some(unreadable.to_string()),
            },
        },
        elsewhere: answer
            .places
            .iter()
            .map(|(at, there)| doc::Elsewhere {
                at: Text::of(at.as_os_str()),
                seen: seen(there, named),
            })
            .collect(),
        parts: answer
            .parts
            .iter()
            .map(|mount| Text::of(mount.at.as_os_str()))
            .collect(),
        besides: answer.besides.iter().map(|id| noted(named, id.index())).collect(),
        without_effect: answer
            .without_effect
            .iter()
            .map(|id| noted(named, id.index()))
            .collect(),
        to_show: way(&answer.way),
    }))
}

fn variable_answer(answer: &VariableAnswer, named: &mut Vec<usize>) -> doc::Answer {
    doc::Answer::Variable(Box::new(doc::AboutVariable {
        subject: Text::of(answer.name.as_os_str()),
        on_host: answer.on_host,
        inside: answer.inside.map(|inside| {
            named.push(inside.decision.index());
            variable((&answer.name, inside))
        }),
        decisions: answer.decisions.iter().map(|id| noted(named, id.index())).collect(),
        to_show: way(&answer.way),
    }))
}

fn way(way: &Way) -> doc::Way {
    match way {
        Way::Shown => doc::Way::Shown,
        Way::Line(line) => doc::Way::Line {
            file: line.file.clone(),
            hook: line.hook,
            line: line.line.clone(),
            function: line.function.clone(),
            has_hook: line.has_hook,
        },
        Way::Forbidden(told) => doc::Way::Forbidden {
            diagnostic: diagnostic(told),
        },
        Way::None(why) => doc::Way::None { why: why.clone() },
    }
}
