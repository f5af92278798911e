//! Turns what the script engine says into errors a policy's author can act on: the true file, line and column, a message
//! in terms of our own verbs, and a hint.

use std::ffi::OsStr;
use std::sync::Arc;

use rhai::{EvalAltResult, ParseError, ParseErrorType, Position};

use crate::diagnostic::Diagnostic;
use crate::path::printable;
use crate::trace::Site;

use super::engine::{CALLS_MAX, DEPTH_MAX, FUNCTIONS_MAX, VARIABLES_MAX};
use super::facts::{FACTS, METHODS};
use super::hook::Hook;
use super::layer::{Layer, Source};
use super::recorder::{DEADLINE, MEMORY_MAX, STEPS_MAX, Spent};
use super::text::nearest;
pub use super::text::site_of_function;
use super::verbs::{VERBS, Verb};

/// A syntax error.
#[must_use]
pub fn syntax(error: &ParseError, source: &Source) -> Diagnostic {
    let place = site(source, error.position());
    let bounded = match error.err_type() {
        ParseErrorType::ExprTooDeep => Some(format!("blocks and expressions may nest {DEPTH_MAX} deep")),
        ParseErrorType::TooManyFunctions => Some(format!("a policy may have {FUNCTIONS_MAX} functions")),
        ParseErrorType::LiteralTooLarge(..) => Some(TOO_LARGE.into()),
        _ => None,
    };
    let text = sentence(&error.err_type().to_string());
    if let Some(hint) = bounded {
        return Diagnostic::new("bounded-policy", text).at(place, "").hint(hint);
    }
    if let Some(module) = text.strip_prefix("undefined module: ") {
        let error = Diagnostic::new("policy-syntax", format!("there is no module `{module}`"));
        return error.at(place, "").hint(modules_hint(module));
    }
    if let Some(variable) = text.strip_prefix("undefined variable: ") {
        let error = Diagnostic::new("policy-syntax", format!("there is no variable `{variable}`")).at(place, "");
        let known = ["host", "name"].into_iter().map(String::from);
        return match nearest(variable, known) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("give it a value with `let` first; the facts are properties of `host`"),
        };
    }
    let error = Diagnostic::new("policy-syntax", text).at(place, "");
    match error.message.as_str() {
        "`try` is a reserved keyword" => error.hint("a policy cannot catch errors: each one stops the launch"),
        "`import` is a reserved keyword" | "`export` is a reserved keyword" => {
            error.hint("a policy is one file; the layers below are reached by `base::`")
        }
        "reserved keyword `eval` is disabled" => error.hint("a policy runs only the text that can be read in it"),
        _ => error,
    }
}

/// An error while a hook ran, or, without one, what stands outside the functions.
#[must_use]
pub fn diagnose(error: &EvalAltResult, layer: &Layer, hook: Option<Hook>) -> Diagnostic {
    let inner = error.unwrap_inner();
    let mut position = inner.position();
    if position.is_none() {
        position = error.position();
    }
    let source = &layer.source;
    let place = match hook {
        Some(hook) if position.is_none() => site_of_function(source, hook.name()),
        _ => site(source, position),
    };
    let part = part(hook);
    let bounded = |message: String| Diagnostic::new("bounded-policy", message);
    match inner {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature, layer).at(place, ""),
        EvalAltResult::ErrorTerminated(..) | EvalAltResult::ErrorTooManyOperations(_) => {
            spent(layer.budget.spent().unwrap_or(Spent::Stopped), hook).at(place, "")
        }
        EvalAltResult::ErrorStackOverflow(_) => bounded(format!("{part} calls functions too deeply"))
            .at(place, "")
            .hint(format!(
                "calls may nest {CALLS_MAX} deep; look for a function that calls itself"
            )),
        EvalAltResult::ErrorTooManyVariables(_) => bounded(format!("{part} has too many variables"))
            .at(place, "")
            .hint(format!("{VARIABLES_MAX} may be in scope")),
        EvalAltResult::ErrorDataTooLarge(..) => bounded(format!("{part} makes a value that is too large"))
            .at(place, "")
            .hint(TOO_LARGE),
        EvalAltResult::ErrorDotExpr(text, _) => property(text).at(place, ""),
        EvalAltResult::ErrorRuntime(value, _) => {
            Diagnostic::new("policy-failed", sentence(&value.to_string())).at(place, "")
        }
        other => Diagnostic::new("policy-failed", sentence(&without_position(&other.to_string()))).at(place, ""),
    }
}

const TOO_LARGE: &str = "a text may have 65536 bytes, an array or a map 10000 items with all that is in them";

fn part(hook: Option<Hook>) -> String {
    match hook {
        Some(hook) => format!("the hook `{}`", hook.name()),
        None => "what stands outside the functions".into(),
    }
}

/// The budget of all layers is spent.
#[must_use]
pub fn spent(spent: Spent, hook: Option<Hook>) -> Diagnostic {
    let part = part(hook);
    match spent {
        Spent::Time | Spent::Stopped => Diagnostic::new("bounded-policy", format!("{part} did not come to an end"))
            .hint(format!(
                "all scripts together may take {} million steps and {} seconds; look for a loop without an end",
                STEPS_MAX / 1_000_000,
                DEADLINE.as_secs()
            )),
        Spent::Memory => Diagnostic::new("bounded-policy", format!("{part} takes too much memory")).hint(format!(
            "all scripts together may hold {} MiB; look for a loop that collects",
            MEMORY_MAX >> 20
        )),
    }
}

/// A call that found no function: told in terms of our verbs, the host's functions, the script's own and the operators.
fn unknown_function(signature: &str, layer: &Layer) -> Diagnostic {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let name = name.trim();
    let given: Vec<&str> = arguments
        .trim_end_matches(')')
        .split(", ")
        .filter(|argument| !argument.is_empty())
        .map(kind)
        .collect();
    let fitting = signatures(name, layer);
    // A method call of a function of the script's own would have the right number: the host was meant.
    let method = given.first() == Some(&HOST)
        && layer
            .functions()
            .any(|(own, parameters)| own == name && parameters.len() == given.len());
    if !method && !fitting.is_empty() {
        let error = Diagnostic::new(
            "policy-argument",
            format!("`{name}` does not take {}", count(given.len(), "argument")),
        );
        return error.hint(format!("write {}", fitting.join(" or ")));
    }
    if let Some((module, _)) = name.split_once("::") {
        return unknown_verb(name, module);
    }
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Diagnostic::new(
            "policy-argument",
            format!("`{name}` does not work on {}", given.join(" and ")),
        );
    }
    if given.first() == Some(&HOST) {
        let methods = METHODS.iter().map(|(method, _)| before_parenthesis(method).to_string());
        let error = Diagnostic::new("policy-unknown", format!("`host` has no function `{name}`"));
        return match nearest(name, methods) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(host_has()),
        };
    }
    let with = if given.is_empty() {
        String::new()
    } else {
        format!(" for {}", given.join(" and "))
    };
    let error = Diagnostic::new("policy-unknown", format!("there is no function `{name}`{with}"));
    // A verb without its module is a likely slip.
    if let Some(verb) = VERBS.iter().find(|verb| verb.name == name) {
        return error.hint(format!("did you mean `{}`?", verb.path()));
    }
    match nearest(name, layer.functions().map(|(name, _)| name.to_string())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// How a function of this name is called, whether a verb, a hook of the layer below or the script's own.
fn signatures(name: &str, layer: &Layer) -> Vec<String> {
    let verbs = VERBS.iter().filter(|verb| verb.path() == name).map(Verb::signature);
    let base = Hook::ALL
        .into_iter()
        .map(|hook| (format!("base::{}", hook.name()), hook.parameters().join(", ")))
        .filter(|(path, _)| path == name)
        .map(|(path, parameters)| format!("{path}({parameters})"));
    let own = layer
        .functions()
        .filter(|(function, _)| *function == name)
        .map(|(function, parameters)| format!("{function}({})", parameters.join(", ")));
    let all = verbs.chain(base).chain(own);
    all.map(|signature| format!("`{signature}`")).collect()
}

fn unknown_verb(name: &str, module: &str) -> Diagnostic {
    let base = Hook::ALL.into_iter().map(|hook| format!("base::{}", hook.name()));
    let known: Vec<String> = VERBS.iter().map(Verb::path).chain(base).collect();
    let error = Diagnostic::new("policy-unknown", format!("there is no verb `{name}`"));
    if let Some(near) = nearest(name, known.iter().cloned()) {
        return error.hint(format!("did you mean `{near}`?"));
    }
    let mut own: Vec<String> = known
        .iter()
        .filter(|path| path.split_once("::").is_some_and(|(start, _)| start == module))
        .map(|path| format!("`{path}`"))
        .collect();
    own.dedup();
    error.hint(format!("`{module}` has {}", own.join(", ")))
}

const HOST: &str = "the host";

/// The engine's name for a type, in a user's terms.
fn kind(of: &str) -> &str {
    match of {
        "&str | ImmutableString | String" | "string" | "&str" | "String" => "text",
        "i64" => "a number",
        "bool" => "a truth value",
        "()" => "nothing",
        "array" => "an array",
        "map" => "a map",
        "char" => "a character",
        "Fn" => "a function",
        "Path" => "a path",
        "Host" => HOST,
        "Verdict" => "a verdict",
        other => other,
    }
}

fn before_parenthesis(signature: &str) -> &str {
    signature.split('(').next().unwrap_or_default()
}

fn host_has() -> String {
    let facts = FACTS.iter().map(|fact| fact.name);
    let methods = METHODS.iter().map(|(signature, _)| *signature);
    let all: Vec<String> = facts.chain(methods).map(|name| format!("`{name}`")).collect();
    format!("`host` has {}", all.join(", "))
}

fn property(text: &str) -> Diagnostic {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let name = quoted.next().unwrap_or_default();
    let owner = quoted.next().map_or("the value", kind);
    if text.contains("writable") || text.contains("setter") {
        return Diagnostic::new(
            "policy-failed",
            format!("`{name}` cannot be changed: the facts about the host are read only"),
        );
    }
    if owner != HOST {
        return Diagnostic::new("policy-unknown", format!("{owner} has no property `{name}`"));
    }
    let diagnostic = Diagnostic::new("policy-unknown", format!("`host` has no property `{name}`"));
    match nearest(name, FACTS.iter().map(|fact| fact.name.to_string())) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic.hint(host_has()),
    }
}

fn modules_hint(module: &str) -> String {
    let mut modules: Vec<&str> = VERBS.iter().map(|verb| verb.module).collect();
    modules.dedup();
    modules.push("base");
    match nearest(module, modules.iter().map(ToString::to_string)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<String> = modules.iter().map(|module| format!("`{module}`")).collect();
            format!("the modules are {}", all.join(", "))
        }
    }
}

/// `1 argument`, `2 arguments`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn site(source: &Source, position: Position) -> Site {
    Site::Script {
        layer: Arc::clone(&source.layer),
        file: Arc::clone(&source.file),
        line: position.line().unwrap_or(1),
        column: position.position().unwrap_or(1),
    }
}

/// The longest message of a script's own that is shown, in characters.
const MESSAGE_MAX: usize = 300;

/// The engine's text, or a script's own, in our voice: lower case at the start, quotes as backticks, no full stop, and
/// nothing that a terminal would obey.
fn sentence(text: &str) -> String {
    let short: String = text.chars().take(MESSAGE_MAX).collect();
    let text = printable(OsStr::new(&short)).replace('\'', "`");
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
