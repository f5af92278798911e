//! The report: what sessions left and is still there. It lies beside the state, is written by the companion when a session
//! ends, and shown by the next launch and by `claudebox --report`; each looks again, so that what is gone is not told.

use std::fmt::Write;

use super::{Found, KINDS, Places, look};
use crate::host::tree::Tree;
use crate::path::printable;

/// The longest report that is read.
const REPORT_MAX: u64 = 1 << 20;

/// The lines of the report's file: one a finding, its mark, its kind and its path.
fn lines(found: &Found) -> Vec<String> {
    let line = |((path, kind), mark): (&(crate::path::HostPath, super::Kind), &String)| {
        let word = KINDS
            .iter()
            .find(|(other, ..)| other == kind)
            .map_or("", |(_, word, ..)| word);
        format!("{mark} {word} {}", printable(path.as_os_str()))
    };
    found.iter().map(line).collect()
}

/// The file's text after a session: what is there now and was not before it, and what an earlier session left and nobody
/// has looked after. Empty where there is nothing to tell.
#[must_use]
pub fn after(tree: &Tree, places: &Places, before: &Found) -> String {
    let now = look(tree, places);
    let known = known(tree, places);
    let before = lines(before);
    let mut text = String::new();
    for line in lines(&now) {
        if !before.contains(&line) || known.contains(&line) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn known(tree: &Tree, places: &Places) -> Vec<String> {
    let bytes = tree.read(places.report.as_path(), REPORT_MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

/// What the report says that is still so, for people; empty where nothing is.
#[must_use]
pub fn text(tree: &Tree, places: &Places) -> String {
    let known = known(tree, places);
    if known.is_empty() {
        return String::new();
    }
    let now = look(tree, places);
    let mut out = String::new();
    for (line, (path, kind)) in lines(&now).iter().zip(now.keys()) {
        if known.contains(line)
            && let Some((_, _, does, undo)) = KINDS.iter().find(|(other, ..)| other == kind)
        {
            let _ = writeln!(out, "  `{path}` {does}\n    {undo}");
        }
    }
    if out.is_empty() {
        return out;
    }
    format!(
        "left by an earlier session:\n{out}  seen, and wanted? remove `{}`\n",
        places.report
    )
}
