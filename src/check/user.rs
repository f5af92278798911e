//! What belongs to the user: the state, Claude Code, the login, the policy.

use std::os::unix::ffi::OsStrExt;

use crate::Decided;
use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::host::claude::Install;
use crate::host::tree::{Kind, Node};
use crate::path::EnvName;

use super::{Item, Mark, item, node, with_fix};

pub(super) fn state(host: &Host, items: &mut Vec<Item>) {
    let subject = "state";
    let path = &host.places.state;
    let shown = host.tilde(path);
    items.push(match node(host, path) {
        None => item(Mark::Good, subject, format!("{shown} is made at the first start")),
        Some(Node {
            kind: Kind::Directory,
            uid,
            mode,
            ..
        }) if uid == host.uid && mode & 0o077 == 0 => {
            item(Mark::Good, subject, format!("{shown}, mode {mode:04o}, yours"))
        }
        Some(Node {
            kind: Kind::Directory,
            uid,
            mode,
            ..
        }) if uid == host.uid => {
            let mark = if mode & 0o022 == 0 { Mark::Note } else { Mark::Bad };
            with_fix(
                mark,
                subject,
                format!("{shown} has mode {mode:04o}: others can look into it"),
                format!("chmod 700 {shown}"),
            )
        }
        Some(node) => with_fix(
            Mark::Bad,
            subject,
            format!("{shown} is no directory of yours (owner {})", node.uid),
            format!("move it away: mv {shown} {shown}.old"),
        ),
    });
}

pub(super) fn claude(host: &Host, items: &mut Vec<Item>) {
    let subject = "Claude Code";
    match &host.claude {
        Ok(claude) => {
            let kind = match claude.install {
                Install::Binary => "one program",
                Install::Script { .. } => "a script for node",
                Install::Store => "in the Nix store",
            };
            let version = claude
                .version
                .as_ref()
                .map_or_else(String::new, |version| format!(", version {version}"));
            items.push(item(
                Mark::Good,
                subject,
                format!("{}{version}, {kind}", host.tilde(&claude.found_at)),
            ));
        }
        Err(missing) => items.push(with_fix(Mark::Bad, subject, missing.to_string(), missing.hint())),
    }
}

pub(super) fn login(host: &Host, items: &mut Vec<Item>) {
    let subject = "login";
    let set = |name: &str| {
        EnvName::new(name).is_ok_and(|name| {
            host.variables
                .get(&name)
                .is_some_and(|value| !value.as_bytes().is_empty())
        })
    };
    let named = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
        .into_iter()
        .find(|name| set(name));
    let file = ["auth/.credentials.json", ".credentials.json"]
        .iter()
        .filter_map(|name| host.places.state.join(name).ok())
        .find(|path| node(host, path).is_some_and(|node| node.kind == Kind::File && node.length > 0));
    items.push(match (named, file) {
        (Some(name), _) => item(Mark::Good, subject, format!("by `{name}`")),
        (None, Some(path)) => item(Mark::Good, subject, format!("by {}", host.tilde(&path))),
        (None, None) => with_fix(
            Mark::Note,
            subject,
            "none yet",
            "type /login inside, once for all projects, or set `ANTHROPIC_API_KEY`",
        ),
    });
}

pub(super) fn policy(decided: &Decided, items: &mut Vec<Item>) {
    let subject = "policy";
    // A missing Claude Code and a bad state have lines of their own.
    let wrong: Vec<&Diagnostic> = match &decided.verdict.outcome {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal
            .diagnostics
            .iter()
            .filter(|diagnostic| !["claude-not-found", "state"].contains(&diagnostic.code))
            .collect(),
    };
    if wrong.is_empty() {
        let layers: Vec<&str> = decided.sources.keys().map(AsRef::as_ref).collect();
        items.push(item(
            Mark::Good,
            subject,
            format!("loads, and is granted: {}", layers.join(", ")),
        ));
    }
    for diagnostic in wrong {
        let place = diagnostic
            .places
            .first()
            .map(|(site, _)| format!(" ({site})"))
            .unwrap_or_default();
        let fix = diagnostic
            .hint
            .clone()
            .unwrap_or_else(|| "see claudebox --explain".into());
        let finding = format!("[{}] {}{place}", diagnostic.code, diagnostic.message);
        items.push(with_fix(Mark::Bad, subject, finding, fix));
    }
}
