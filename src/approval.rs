//! Asks the user about what a project says of its own sandbox, whenever that has changed. The answer is remembered in
//! claudebox's own state, where no sandbox reaches: the agent can write the files, but not approve them.

use crate::diagnostic::{Diagnostic, Refusal};
use crate::host::Host;
use crate::host::declared::approval_file;
use crate::{output, prepare, prompt};

/// Asks, where there is something to ask, and remembers a yes. With `approve` it is yes.
///
/// # Errors
/// The answer is no, or there is no terminal to ask on; or it cannot be remembered.
pub fn settle(host: &Host, approve: bool) -> Result<(), Refusal> {
    let found = &host.declared;
    if found.approved() {
        return Ok(());
    }
    output::error(&difference(&found.before, &found.texts));
    if !approve {
        let hint = "read it, then start once with `--approve`";
        prompt::ask(host.terminal.input, "Approve this for the project?", hint).map_err(|_| {
            let why = if host.terminal.input {
                "it is not approved"
            } else {
                "there is no terminal to ask on"
            };
            let message = format!("what the project says about its sandbox is new, and {why}");
            Refusal::one(Diagnostic::new("project-file", message).hint(hint))
        })?;
    }
    let file = |(name, text): &(std::sync::Arc<str>, std::sync::Arc<str>)| serde_json::json!({ "name": **name, "text": **text });
    let files: Vec<serde_json::Value> = found.texts.iter().map(file).collect();
    let record = serde_json::json!({ "project": host.project.to_string(), "files": files });
    match approval_file(&host.places.state, &host.project) {
        Some(path) => {
            prepare::record(&path, record.to_string().as_bytes(), host.uid, &host.places.state).map_err(Refusal::one)
        }
        None => Ok(()),
    }
}

type Text = (std::sync::Arc<str>, std::sync::Arc<str>);

/// What changed from file to file, as lines with `+` and `-`.
fn difference(before: &[Text], now: &[Text]) -> String {
    let mut out = "the project says this about its sandbox, compared with what you approved last:\n".to_string();
    let old = |name: &str| {
        before
            .iter()
            .find(|(known, _)| **known == *name)
            .map_or("", |(_, text)| text)
    };
    for (name, text) in now {
        if old(name) != &**text {
            out.push_str(&format!("  {name}\n{}", lines(old(name), text)));
        }
    }
    for (name, text) in before {
        if !now.iter().any(|(known, _)| known == name) {
            out.push_str(&format!("  {name}\n{}", lines(text, "")));
        }
    }
    out
}

/// The shortest list of removed and added lines, with the lines between that stay.
fn lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // How many lines two ends have in common, from each pair of lines on.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    let at = |table: &[Vec<usize>], i: usize, j: usize| table.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            let best = if left == right {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    loop {
        let (sign, line) = match (old.get(i), new.get(j)) {
            (Some(left), Some(right)) if left == right => {
                (i, j) = (i + 1, j + 1);
                (' ', *left)
            }
            (Some(left), _) if j == new.len() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                i += 1;
                ('-', *left)
            }
            (_, Some(right)) => {
                j += 1;
                ('+', *right)
            }
            _ => return out,
        };
        out.push_str(&format!(
            "  {sign} {}\n",
            crate::path::printable(std::ffi::OsStr::new(line))
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_line_by_line() {
        let file = |name: &str, text: &str| (name.into(), text.into());
        let before = [file("a", "one\ntwo\nthree\n"), file("gone", "x\n"), file("same", "s\n")];
        let now = [
            file("a", "one\n2\nthree\nfour\n"),
            file("same", "s\n"),
            file("new", "n\u{202e}\n"),
        ];
        assert_eq!(
            difference(&before, &now),
            "the project says this about its sandbox, compared with what you approved last:\n  a\n    one\n  - two\n  + 2\n    \
             three\n  + four\n  new\n  + n\\u{202e}\n  gone\n  - x\n"
        );
    }
}
