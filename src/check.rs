//! `--check`: one line an item, and beside what is wrong, what mends it. A pure function of the host's facts, the decision
//! on a launch, and what a trial of bubblewrap showed.

mod inside;
mod sandbox;
mod user;

use std::path::Path;

use crate::Decided;
use crate::host::Host;
use crate::host::tree::Node;
use crate::path::HostPath;
use crate::style::{Style, Tone};

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// All is well.
    Good,
    /// Worth knowing; a launch works.
    Note,
    /// A launch cannot work, or would not be safe.
    Bad,
}

impl Mark {
    /// The word in the list and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// One line of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// How it stands.
    pub mark: Mark,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found.
    pub finding: String,
    /// What mends it.
    pub fix: Option<String>,
}

/// What a trial of bubblewrap showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What `bwrap --version` says.
    pub version: Option<String>,
    /// A sandbox with all its namespaces starts, or what bubblewrap said.
    pub sandbox: Result<(), String>,
}

/// All items, in the order of a launch.
#[must_use]
pub fn items(host: &Host, decided: &Decided, trial: Option<&Trial>) -> Vec<Item> {
    let mut items = Vec::new();
    sandbox::bubblewrap(host, trial, &mut items);
    sandbox::namespaces(host, trial, &mut items);
    inside::programs(host, &mut items);
    inside::nix(host, &mut items);
    user::state(host, &mut items);
    user::claude(host, &mut items);
    user::login(host, &mut items);
    user::policy(decided, &mut items);
    sandbox::terminal(host, &mut items);
    inside::network(host, &mut items);
    sandbox::kernel(host, &mut items);
    items
}

/// Whether something stops a launch.
#[must_use]
pub fn stops(items: &[Item]) -> bool {
    items.iter().any(|item| item.mark == Mark::Bad)
}

/// The list as text.
#[must_use]
pub fn text(items: &[Item], style: Style) -> String {
    let width = items
        .iter()
        .map(|item| item.subject.chars().count())
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for item in items {
        let tone = match item.mark {
            Mark::Good => Tone::Good,
            Mark::Note => Tone::Warn,
            Mark::Bad => Tone::Bad,
        };
        let mark = style.paint(tone, &format!("{:<4}", item.mark.word()));
        out.push_str(&format!("{mark}  {:<width$}  {}\n", item.subject, item.finding));
        if let Some(fix) = &item.fix {
            let indent = " ".repeat(8 + width);
            out.push_str(&format!("{indent}{} {fix}\n", style.paint(Tone::Hint, "fix:")));
        }
    }
    out
}

/// The list for programs: `claudebox.check/1`.
#[must_use]
pub fn json(items: &[Item]) -> String {
    let list: Vec<serde_json::Value> = items
        .iter()
        .map(|item| {
            serde_json::json!({ "mark": item.mark.word(), "subject": item.subject, "finding": item.finding, "fix": item.fix })
        })
        .collect();
    format!(
        "{:#}\n",
        serde_json::json!({ "schema": "claudebox.check/1", "starts": !stops(items), "items": list })
    )
}

fn item(mark: Mark, subject: &'static str, finding: impl Into<String>) -> Item {
    Item {
        mark,
        subject,
        finding: finding.into(),
        fix: None,
    }
}

fn with_fix(mark: Mark, subject: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Item {
    Item {
        mark,
        subject,
        finding: finding.into(),
        fix: Some(fix.into()),
    }
}

fn node(host: &Host, path: &HostPath) -> Option<Node> {
    host.tree.node(path.as_path()).ok().flatten()
}

fn resolves(host: &Host, path: &HostPath) -> bool {
    host.tree.resolve(path).is_ok_and(|resolved| resolved.node.is_some())
}

/// The content of a switch of the kernel.
fn value_of(host: &Host, file: &str) -> Option<String> {
    let content = host.tree.read(Path::new(file), 64).ok()?;
    Some(String::from_utf8(content).ok()?.trim().to_string())
}

#[cfg(test)]
mod tests;
