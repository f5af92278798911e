//! The answer for one subject as text.

use crate::draft::Network;
use crate::host::tree::{Kind as HostKind, Resolved};
use crate::invariants::plan::{Mount, Origin, What};
use crate::leak;
use crate::net::reach::Reach;
use crate::path::printable;
use crate::style::{Style, Tone};
use crate::trace::DecisionId;
use crate::view::{Kind, Seen};

use super::subject::{AddressAnswer, Answer, PathAnswer, VariableAnswer};
use super::what_if::{NOT_THERE, Way};
use super::whole::{fate_text, fate_tone};
use super::{Launch, place, wrap};

/// The column of the facts.
const COLUMN: usize = 14;
/// How much of a value is shown.
const VALUE_WIDTH: usize = 200;
/// How many parts of a directory are named.
const PARTS_SHOWN: usize = 20;

pub(super) fn answer(launch: &Launch, answer: &Answer, style: Style) -> String {
    let mut text = Text {
        launch,
        style,
        out: String::new(),
    };
    match answer {
        Answer::Path(answer) => text.path(answer),
        Answer::Variable(answer) => text.variable(answer),
        Answer::Address(answer) => text.address(answer),
    }
    text.out
}

struct Text<'run> {
    launch: &'run Launch<'run>,
    style: Style,
    out: String,
}

impl Text<'_> {
    fn heading(&mut self, subject: &str, tone: Tone, says: &str) {
        let heading = self.style.paint(Tone::Heading, subject);
        for (index, line) in wrap::text("", &format!("{subject} {says}")).iter().enumerate() {
            match line.strip_prefix(subject) {
                Some(rest) if index == 0 => {
                    self.out
                        .push_str(&format!("{heading}{}\n", self.style.paint(tone, rest)));
                }
                _ => self.out.push_str(&format!("{}\n", self.style.paint(tone, line))),
            }
        }
    }

    /// One fact, its word in the margin.
    fn fact(&mut self, word: &str, tone: Option<Tone>, text: &str) {
        let lead = format!("  {word:<width$}", width = COLUMN - 2);
        for (index, line) in wrap::text(&lead, text).iter().enumerate() {
            let rest = line.get(COLUMN..).unwrap_or_default();
            let shown = tone.map_or(rest.to_string(), |tone| self.style.paint(tone, rest));
            let margin = if index == 0 { lead.clone() } else { " ".repeat(COLUMN) };
            self.out.push_str(&format!("{margin}{shown}\n"));
        }
    }

    /// A decision: what, why, where, and what became of it.
    fn decision(&mut self, word: &str, id: DecisionId) {
        let Some(decision) = self.launch.decided.trace.get(id).cloned() else {
            return;
        };
        self.fact(
            word,
            None,
            &format!("{} {}: {}", decision.effect.word(), decision.subject, decision.reason),
        );
        self.fact("", Some(Tone::Place), &place(&decision.site));
        if let Some(fate) = self.launch.decided.verdict.fates.get(&id) {
            let text = fate_text(fate, &self.launch.decided.trace);
            self.fact("", Some(fate_tone(fate)), &text);
        }
    }

    fn path(&mut self, answer: &PathAnswer) {
        let subject = printable(answer.path.as_os_str());
        match &answer.inside {
            None => self.heading(
                &subject,
                Tone::Warn,
                "is not decided: the policy did not come to an end",
            ),
            Some(seen) => {
                let (tone, says) = state(answer, seen);
                self.heading(&subject, tone, &says);
                self.inside(answer, seen);
            }
        }
        for id in &answer.besides {
            self.decision("besides", *id);
        }
        for id in &answer.without_effect {
            self.decision("but", *id);
        }
        self.on_the_host(answer);
        self.way(&answer.way, "to show it");
    }

    fn inside(&mut self, answer: &PathAnswer, seen: &Seen) {
        for link in &seen.through {
            let by = link
                .mount
                .filter(|mount| matches!(mount.what, What::Link(_)))
                .and_then(|mount| self.launch.decided.trace.get(mount.decision))
                .map(|decision| format!(" ({})", place(&decision.site)))
                .unwrap_or_default();
            let text = format!("{} -> {}{by}", printable(link.at.as_os_str()), printable(&link.target));
            self.fact("through", None, &text);
        }
        if seen.kind.visible() && seen.path != answer.path {
            self.fact("is", None, &printable(seen.path.as_os_str()));
        }
        if let (Some(source), false) = (&seen.source, seen.kind == Kind::Absent)
            && (source.as_path() != seen.path || !answer.shows_the_host())
        {
            self.fact("shows", None, &format!("{source} of the host"));
        }
        if let Some(mount) = seen.mount {
            self.decision("because", mount.decision);
        }
    }

    /// What the host has at the path, where that is not simply what is seen.
    fn on_the_host(&mut self, answer: &PathAnswer) {
        match &answer.host {
            Err(unreadable) => self.fact("host", None, &unreadable.to_string()),
            Ok(Resolved { node: None, .. }) => {
                if !answer.inside.as_ref().is_some_and(|seen| seen.kind.visible()) {
                    self.fact("host", None, "there is no such file on the host");
                }
            }
            Ok(Resolved {
                node: Some(node), path, ..
            }) if !answer.shows_the_host() => {
                let what = match node.kind {
                    HostKind::Directory => "a directory",
                    HostKind::File => "a file",
                    HostKind::Link(_) => "a link",
                    HostKind::Socket => "a socket",
                    HostKind::Special => "a device or a pipe",
                };
                let leads = if path.as_path() == answer.path {
                    String::new()
                } else {
                    format!(", `{path}`")
                };
                self.fact("host", None, &format!("the host has {what} there{leads}"));
            }
            Ok(_) => {}
        }
        for (at, seen) in &answer.places {
            let source = seen.source.as_ref();
            let text = match (&answer.host, seen.masked()) {
                (_, true) => format!("masked at {at}"),
                (Ok(host), false) if source == Some(&host.path) => {
                    format!("the host's file is seen at {at}, {}", access(seen))
                }
                _ => format!("at {at} something else is mounted over it"),
            };
            self.fact("elsewhere", None, &text);
        }
        if !answer.parts.is_empty() {
            self.parts(&answer.parts);
        }
    }

    fn parts(&mut self, parts: &[&Mount]) {
        let mut names: Vec<String> = parts
            .iter()
            .take(PARTS_SHOWN)
            .map(|mount| mount.at.to_string())
            .collect();
        if parts.len() > PARTS_SHOWN {
            names.push(format!("and {} more", parts.len() - PARTS_SHOWN));
        }
        self.fact(
            "parts",
            None,
            &format!("of the host's directory these are shown: {}", names.join(" ")),
        );
    }

    fn way(&mut self, way: &Way, word: &str) {
        match way {
            Way::Shown => {}
            // Said already, by the first line or by what the host has there.
            Way::None(_) if self.launch.decided.verdict.parts().is_none() => {}
            Way::None(why) if why == NOT_THERE => {}
            Way::None(why) => self.fact(word, None, &format!("there is no way: {why}")),
            Way::Forbidden(diagnostic) => {
                let text = format!("no policy can: {} [{}]", diagnostic.message, diagnostic.code);
                self.fact(word, Some(Tone::Warn), &text);
                for (site, label) in &diagnostic.places {
                    self.fact("", Some(Tone::Place), &format!("{} {label}", place(site)));
                }
                if let Some(hint) = &diagnostic.hint {
                    self.fact("", None, &format!("hint: {hint}"));
                }
            }
            Way::Line(line) => {
                let file = &line.file;
                let (says, code) = if line.has_hook {
                    (format!("add to `fn {}` of {file}:", line.hook), &line.line)
                } else {
                    (format!("write in {file}:"), &line.function)
                };
                self.fact(word, None, &says);
                self.out.push('\n');
                for line in code.lines() {
                    self.out
                        .push_str(&format!("      {}\n", self.style.paint(Tone::Hint, line)));
                }
            }
        }
    }

    fn variable(&mut self, answer: &VariableAnswer) {
        let name = answer.name.to_string();
        match answer.inside {
            Some(variable) => {
                let origin = match variable.origin {
                    Origin::Host => "enters with the host's value",
                    Origin::Policy => "enters with a value of the policy",
                    Origin::Launcher => "enters with a value of claudebox",
                };
                let secret = if variable.secret { ", a secret" } else { "" };
                let tone = if variable.secret { Tone::Warn } else { Tone::Good };
                self.heading(&name, tone, &format!("{origin}{secret}"));
                let value = if variable.secret {
                    leak::redacted(&variable.value)
                } else {
                    leak::shown(&answer.name, &variable.value, VALUE_WIDTH)
                };
                self.fact("value", None, &value);
                self.decision("because", variable.decision);
            }
            None if self.launch.decided.verdict.parts().is_none() => {
                self.heading(&name, Tone::Warn, "is not decided: the policy did not come to an end");
            }
            None if answer.on_host => self.heading(&name, Tone::Hint, "stays outside"),
            None => self.heading(&name, Tone::Hint, "is set neither on the host nor by the policy"),
        }
        for id in &answer.decisions {
            if answer.inside.is_none_or(|variable| variable.decision != *id) {
                self.decision(if answer.inside.is_some() { "besides" } else { "because" }, *id);
            }
        }
        self.way(&answer.way, "to pass it");
    }

    fn address(&mut self, answer: &AddressAnswer) {
        let Some((network, decision)) = answer.network else {
            return self.heading(
                &answer.asked,
                Tone::Warn,
                "is not decided: the policy did not come to an end",
            );
        };
        let (tone, says) = match (&answer.reach, network) {
            (Some(reach), Network::Host) => (Tone::Warn, reach.to_string()),
            (Some(reach), _) if reach.is_open() == Some(true) => (Tone::Good, reach.to_string()),
            (Some(reach), _) => (Tone::Hint, reach.to_string()),
            (None, _) => (
                Tone::Hint,
                "is no address: write `HOST:PORT`, or `[ADDRESS]:PORT`".into(),
            ),
        };
        self.heading(&answer.asked, tone, &says);
        let decision = answer.reach.as_ref().and_then(Reach::decision).unwrap_or(decision);
        self.decision("because", decision);
    }
}

/// The first line: what is seen.
fn state(answer: &PathAnswer, seen: &Seen) -> (Tone, String) {
    match &seen.kind {
        Kind::Absent => (Tone::Hint, "is not visible inside".into()),
        Kind::Unreachable(why) => (Tone::Hint, format!("cannot be reached inside: {why}")),
        Kind::Kernel => (
            Tone::Place,
            "is the kernel's own: what is there is known only once the sandbox runs".into(),
        ),
        _ if seen.masked() => (
            Tone::Hint,
            match seen.kind {
                Kind::Directory => "is masked: an empty directory hides it".into(),
                _ => "is masked: an empty file hides it".into(),
            },
        ),
        Kind::Socket => (
            Tone::Warn,
            "is visible inside: a socket; whoever listens on it can be reached".into(),
        ),
        kind => {
            let what = match kind {
                Kind::Directory if seen.implied => "a directory that holds what is mounted below it",
                Kind::Directory => "a directory",
                Kind::File => "a file",
                _ => "a device or a pipe",
            };
            let own = if answer.shows_the_host() || seen.source.is_some() {
                "is visible inside"
            } else {
                "is the sandbox's own"
            };
            let tone = if seen.writable == Some(true) {
                Tone::Warn
            } else {
                Tone::Good
            };
            (tone, format!("{own}: {what}, {}", access(seen)))
        }
    }
}

fn access(seen: &Seen) -> &'static str {
    match (seen.readable, seen.writable) {
        (Some(true), Some(true)) => "readable and writable",
        (Some(true), Some(false)) => "read-only",
        (Some(false), Some(true)) => "writable, not readable",
        (Some(false), Some(false)) => "neither readable nor writable",
        _ => "as the kernel lets it",
    }
}
