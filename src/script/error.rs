//! Turns what the script engine says into errors a policy's author can act on: the true file, line and column, a message
//! in terms of our own verbs, and a hint.

use std::sync::Arc;

use rhai::{EvalAltResult, ParseError, Position};

use crate::diagnostic::Diagnostic;
use crate::trace::Site;

use super::facts::{FACTS, METHODS};
use super::hook::Hook;
use super::layer::{Layer, Source};
use super::recorder::{DEADLINE, STEPS_MAX};
use super::verbs::VERBS;

/// A syntax error.
#[must_use]
pub fn syntax(error: &ParseError, source: &Source) -> Diagnostic {
    let text = sentence(&error.err_type().to_string());
    let message = match text.strip_prefix("undefined module: ") {
        Some(module) => format!("there is no module `{module}`"),
        None => text,
    };
    let hint = modules_hint(&message);
    let diagnostic = Diagnostic::new("policy-syntax", message).at(site(source, error.position()), "");
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// An error while a hook ran.
#[must_use]
pub fn diagnose(error: &EvalAltResult, layer: &Layer, hook: Hook) -> Diagnostic {
    let inner = error.unwrap_inner();
    let mut position = inner.position();
    if position.is_none() {
        position = error.position();
    }
    let source = &layer.source;
    let place = if position.is_none() {
        site_of_function(source, hook.name())
    } else {
        site(source, position)
    };
    let function = hook.name();
    match inner {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature).at(place, ""),
        EvalAltResult::ErrorTerminated(..) => spent(hook).at(place, ""),
        EvalAltResult::ErrorTooManyOperations(_) => spent(hook).at(place, ""),
        EvalAltResult::ErrorStackOverflow(_) => Diagnostic::new(
            "bounded-policy",
            format!("the hook `{function}` calls functions too deeply"),
        )
        .at(place, "")
        .hint(format!(
            "calls may nest {} deep; look for a function that calls itself",
            super::engine::CALLS_MAX
        )),
        EvalAltResult::ErrorDataTooLarge(what, _) => Diagnostic::new(
            "bounded-policy",
            format!(
                "the hook `{function}` makes a value that is too large: {}",
                sentence(what)
            ),
        )
        .at(place, "")
        .hint("a policy needs only short texts and lists"),
        EvalAltResult::ErrorDotExpr(text, _) => property(text).at(place, ""),
        EvalAltResult::ErrorRuntime(value, _) => {
            Diagnostic::new("policy-failed", sentence(&value.to_string())).at(place, "")
        }
        other => Diagnostic::new("policy-failed", sentence(&without_position(&other.to_string()))).at(place, ""),
    }
}

fn spent(hook: Hook) -> Diagnostic {
    Diagnostic::new(
        "bounded-policy",
        format!("the hook `{}` did not come to an end", hook.name()),
    )
    .hint(format!(
        "all scripts together may take {STEPS_MAX} steps and {} seconds; look for a loop without an end",
        DEADLINE.as_secs()
    ))
}

fn unknown_function(signature: &str) -> Diagnostic {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let name = name.trim();
    let matching: Vec<String> = VERBS
        .iter()
        .filter(|verb| verb.path() == name)
        .map(|verb| format!("`{}`", verb.signature()))
        .collect();
    if !matching.is_empty() {
        let given = arguments
            .trim_end_matches(')')
            .split(',')
            .filter(|argument| !argument.trim().is_empty())
            .count();
        return Diagnostic::new(
            "policy-argument",
            format!("`{name}` does not take {}", count(given, "argument")),
        )
        .hint(format!("write {}", matching.join(" or ")));
    }
    let diagnostic = Diagnostic::new(
        "policy-unknown",
        format!("there is no function `{name}` for these arguments"),
    );
    let known = VERBS.iter().map(super::verbs::Verb::path);
    match nearest(name, known) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

fn property(text: &str) -> Diagnostic {
    let name = text.split('\'').nth(1).unwrap_or_default();
    if text.contains("writable") || text.contains("setter") {
        return Diagnostic::new(
            "policy-failed",
            format!("`{name}` cannot be changed: the facts about the host are read only"),
        );
    }
    let diagnostic = Diagnostic::new("policy-unknown", format!("there is no property `{name}`"));
    let known = FACTS.iter().map(|fact| fact.name.to_string());
    match nearest(name, known) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic.hint(format!(
            "`host` has {}",
            FACTS
                .iter()
                .map(|f| f.name)
                .chain(METHODS.iter().map(|m| m.0))
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", ")
        )),
    }
}

fn modules_hint(message: &str) -> Option<String> {
    let module = message.strip_prefix("there is no module `")?.trim_end_matches('`');
    let mut modules: Vec<&str> = VERBS.iter().map(|verb| verb.module).collect();
    modules.dedup();
    modules.push("base");
    match nearest(module, modules.iter().map(ToString::to_string)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Some(format!(
            "the modules are {}",
            modules.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// `1 argument`, `2 arguments`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The candidate that is near enough to `word` to be what its author meant.
#[must_use]
pub fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|candidate| (distance(word, &candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, counted in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((cb, above_left), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above_left + usize::from(ca != *cb)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// The place of a function's definition, found in the text: the engine tells no position of a definition.
#[must_use]
pub fn site_of_function(source: &Source, name: &str) -> Site {
    let start = format!("fn {name}");
    let found = source.text.lines().enumerate().find_map(|(index, line)| {
        let at = line.find(&start)?;
        let column = line.get(..at)?.chars().count() + 4;
        Some((index + 1, column))
    });
    let (line, column) = found.unwrap_or((1, 1));
    Site::Script {
        layer: Arc::clone(&source.layer),
        file: Arc::clone(&source.file),
        line,
        column,
    }
}

fn site(source: &Source, position: Position) -> Site {
    Site::Script {
        layer: Arc::clone(&source.layer),
        file: Arc::clone(&source.file),
        line: position.line().unwrap_or(1),
        column: position.position().unwrap_or(1),
    }
}

/// The engine's text in our voice: lower case at the start, quotes as backticks, no full stop.
fn sentence(text: &str) -> String {
    let text = text.replace('\'', "`");
    let mut chars = text.trim_end_matches('.').chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let rest = chars.as_str();
    // An abbreviation or a name in capitals keeps them.
    if rest.starts_with(|c: char| c.is_uppercase()) {
        format!("{first}{rest}")
    } else {
        format!("{}{rest}", first.to_lowercase())
    }
}

fn without_position(text: &str) -> String {
    match text.rfind(" (line ") {
        Some(at) => text.get(..at).unwrap_or(text).to_string(),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let verbs = || VERBS.iter().map(super::super::verbs::Verb::path);
        assert_eq!(nearest("mount::rw2", verbs()), Some("mount::rw".into()));
        assert_eq!(nearest("env::pas", verbs()), Some("env::pass".into()));
        assert_eq!(nearest("launch_missiles", verbs()), None);
    }
}
