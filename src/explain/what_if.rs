//! What a user would write to show what is hidden, and whether it would be granted. Nothing here knows a rule: the line is laid
//! over the policy as a layer of its own, and the real check says what comes of it.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::Decided;
use crate::diagnostic::Diagnostic;
use crate::host::tree::Resolved;
use crate::invariants::Fate;
use crate::path::{HostPath, is_invisible};
use crate::script::layer::Source;
use crate::trace::{Site, Trace};
use crate::view::View;

use super::Launch;
use super::subject::{PathAnswer, VariableAnswer};

/// Why nothing can be shown where nothing is.
pub(super) const NOT_THERE: &str = "there is no such file on the host";

/// The name of the layer that is tried.
const LAYER: &str = "what-if";

/// How something hidden could be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is shown.
    Shown,
    /// By this line of a policy, which was tried.
    Line(Line),
    /// Not by any policy: what the check says to the line.
    Forbidden(Diagnostic),
    /// Not at all: why.
    None(String),
}

/// A line of a policy that would show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The hook that it belongs in.
    pub hook: &'static str,
    /// The line itself.
    pub line: String,
    /// The whole function, for a policy that does not have the hook yet.
    pub function: String,
    /// The policy's file.
    pub file: String,
    /// Whether that policy has the hook already.
    pub has_hook: bool,
}

/// How the host's file at a path could be shown there.
pub(super) fn path(launch: &Launch, answer: &PathAnswer) -> Way {
    if answer.shows_the_host() {
        return Way::Shown;
    }
    let file = match &answer.host {
        Ok(Resolved {
            path, node: Some(_), ..
        }) => path,
        Ok(_) => return Way::None(NOT_THERE.into()),
        Err(unreadable) => return Way::None(unreadable.to_string()),
    };
    if launch.decided.verdict.parts().is_none() {
        return Way::None("the policy fails before that is known".into());
    }
    // As it was asked, so that a link of the host may stay in it; `..` no policy takes. Where a link inside leads on, the file
    // itself is to be mounted.
    let asked = HostPath::new(&answer.path).unwrap_or_else(|_| file.clone());
    let first = mounted(launch, answer, file, &asked);
    if let Some(way) = passed(launch, answer, file, &asked) {
        return way;
    }
    if asked == *file || matches!(first, Way::Line(_)) {
        return first;
    }
    match mounted(launch, answer, file, file) {
        second @ Way::Line(_) => second,
        _ => first,
    }
}

/// What comes of a mount of `named`, in order to see `file` at the path that was asked.
fn mounted(launch: &Launch, answer: &PathAnswer, file: &HostPath, named: &HostPath) -> Way {
    let Some(text) = path_text(launch, named) else {
        return Way::None("its name is not UTF-8, so no policy can name it: mount the directory that holds it".into());
    };
    let line = format!("mount::ro({text}, \"why\");");
    let function = format!("fn mounts(host) {{\n    base::mounts(host);\n    {line}\n}}\n");
    let decided = tried(launch, &function);
    if let Some(refusal) = refusal(launch, &decided) {
        return Way::Forbidden(refusal);
    }
    let Some(parts) = decided.verdict.parts() else {
        return Way::None("the policy fails before that is known".into());
    };
    let seen = View::new(launch.host, parts).see(&answer.path);
    if seen.source.as_ref() != Some(file) || seen.masked() {
        let mask = seen.mount.and_then(|mount| decided.trace.get(mount.decision));
        return match mask {
            Some(mask) if seen.masked() => Way::Forbidden(masked(&mask.site, &mask.reason, file)),
            _ => Way::None(idle(&decided).unwrap_or_else(|| "a mount of its own would not show it".into())),
        };
    }
    if seen.readable == Some(false) {
        return Way::None("the sandbox's user may not read it, on the host either".into());
    }
    Way::Line(proposal(launch, "mounts", line, function))
}

/// What comes of the word that a masked file of the project may be seen, where that shows it.
fn passed(launch: &Launch, answer: &PathAnswer, file: &HostPath, asked: &HostPath) -> Option<Way> {
    if !answer.inside.as_ref().is_some_and(|seen| seen.masked()) || !asked.within(&launch.host.project) {
        return None;
    }
    let line = format!("secret::pass_file({}, \"why\");", path_text(launch, asked)?);
    let function = format!("fn secrets(host) {{\n    base::secrets(host);\n    {line}\n}}\n");
    let decided = tried(launch, &function);
    let seen = View::new(launch.host, decided.verdict.parts()?).see(&answer.path);
    let shown = seen.source.as_ref() == Some(file) && !seen.masked() && refusal(launch, &decided).is_none();
    shown.then(|| Way::Line(proposal(launch, "secrets", line, function)))
}

fn masked(site: &Site, reason: &str, file: &HostPath) -> Diagnostic {
    match site {
        Site::Host(rule) => Diagnostic::new(rule, format!("`{file}` is masked whatever a policy mounts: {reason}")),
        _ => Diagnostic::new("secret-exposed", format!("`{file}` is masked: {reason}")).at(site.clone(), ""),
    }
}

/// How a variable could be passed.
pub(super) fn variable(launch: &Launch, answer: &VariableAnswer) -> Way {
    if answer.inside.is_some() {
        return Way::Shown;
    }
    if launch.decided.verdict.parts().is_none() {
        return Way::None("the policy fails before that is known".into());
    }
    let Some(name) = answer.name.to_str() else {
        return Way::None("its name is not UTF-8, so no policy can name it".into());
    };
    let name = quoted(name);
    if !answer.on_host {
        let line = format!("env::set({name}, \"value\", \"why\");");
        let function = format!("fn environment(host) {{\n    base::environment(host);\n    {line}\n}}\n");
        return attempt(launch, answer, "environment", line, function)
            .unwrap_or_else(|| Way::None("a value of the policy's own does not enter either".into()));
    }
    for verb in ["pass", "pass_secret"] {
        let line = format!("if name == {name} {{ return env::{verb}(\"why\"); }}");
        let function = format!("fn variable(host, name) {{\n    {line}\n    base::variable(host, name)\n}}\n");
        if let Some(way) = attempt(launch, answer, "variable", line, function) {
            return way;
        }
    }
    Way::None("no verb lets it pass".into())
}

fn attempt(
    launch: &Launch,
    answer: &VariableAnswer,
    hook: &'static str,
    line: String,
    function: String,
) -> Option<Way> {
    let decided = tried(launch, &function);
    if let Some(refusal) = refusal(launch, &decided) {
        return Some(Way::Forbidden(refusal));
    }
    let enters = decided
        .verdict
        .parts()
        .is_some_and(|parts| parts.variables.contains_key(&answer.name));
    enters.then(|| Way::Line(proposal(launch, hook, line, function)))
}

/// The launch as it would be decided with a further layer.
fn tried(launch: &Launch, text: &str) -> Decided {
    let mut layers = launch.layers.to_vec();
    layers.push(Source {
        layer: LAYER.into(),
        file: LAYER.into(),
        text: text.into(),
    });
    crate::decide_with(&layers, launch.host, launch.request)
}

/// The first error that the line brings about: one that is not there without it.
fn refusal(launch: &Launch, decided: &Decided) -> Option<Diagnostic> {
    let new = decided.verdict.outcome.as_ref().err()?;
    let old = launch.decided.verdict.outcome.as_ref().err();
    let known = |diagnostic: &Diagnostic| old.is_some_and(|old| old.diagnostics.contains(diagnostic));
    let mut found = new.diagnostics.iter().find(|diagnostic| !known(diagnostic))?.clone();
    // The line stands in no file: only the places of the others help.
    found.places.retain(|(site, _)| !of_the_line(site));
    Some(found)
}

fn of_the_line(site: &Site) -> bool {
    matches!(site, Site::Script { layer, .. } if **layer == *LAYER)
}

/// Why the line does nothing, where it does nothing.
fn idle(decided: &Decided) -> Option<String> {
    let Decided { trace, verdict, .. } = decided;
    let of_the_line = |trace: &Trace, id| trace.get(id).is_some_and(|decision| of_the_line(&decision.site));
    verdict.fates.iter().find_map(|(id, fate)| match fate {
        Fate::Idle(why) if of_the_line(trace, *id) => Some(format!("a mount of its own would do nothing: {why}")),
        _ => None,
    })
}

fn proposal(launch: &Launch, hook: &'static str, line: String, function: String) -> Line {
    let user: Option<&Source> = launch.layers.iter().find(|source| &*source.layer == "user");
    let file = match user {
        Some(source) => source.file.to_string(),
        None => match launch.host.places.config.join("policy.rhai") {
            Ok(path) => launch.host.tilde(&path),
            Err(_) => "policy.rhai".into(),
        },
    };
    let layer: Option<Arc<str>> = user.map(|source| Arc::clone(&source.layer));
    let has_hook = launch
        .decided
        .trace
        .answers
        .iter()
        .any(|answer| answer.hook == hook && Some(&answer.layer) == layer.as_ref());
    Line {
        hook,
        line,
        function,
        file,
        has_hook,
    }
}

/// A path as a policy writes it, the home as `~`; `None` where it is not UTF-8.
fn path_text(launch: &Launch, path: &HostPath) -> Option<String> {
    match path.below(&launch.host.home) {
        Some(rest) if !rest.as_os_str().is_empty() => Some(quoted(&format!("~/{}", rest.to_str()?))),
        _ => OsStr::to_str(path.as_os_str()).map(quoted),
    }
}

/// A text as the script language reads it back.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || is_invisible(c) => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
