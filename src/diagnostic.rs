//! How an error looks: a code, a message, the line of the script with a caret under it, and a hint with the way out.
//! Pure text; no type of the script engine reaches this module.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::style::{Style, Tone};
use crate::trace::Site;

/// The text of every policy script that was read, by the name that messages use.
pub type Sources = IndexMap<Arc<str>, Arc<str>>;

/// One error, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The code, which is a heading in the book.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop, names in backticks.
    pub message: String,
    /// Places that the message speaks of, the most important first, each with a label (may be empty).
    pub places: Vec<(Site, String)>,
    /// The way out.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            places: Vec::new(),
            hint: None,
        }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, site: Site, label: impl Into<String>) -> Self {
        self.places.push((site, label.into()));
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The whole text, with a line break at its end.
    #[must_use]
    pub fn render(&self, sources: &Sources, style: Style) -> String {
        let mut out = format!(
            "{} {}\n",
            style.paint(Tone::Bad, &format!("error[{}]:", self.code)),
            self.message
        );
        for (site, label) in &self.places {
            out.push_str(&excerpt(site, label, sources, style));
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!("{} {hint}\n", style.paint(Tone::Hint, "hint:")));
        }
        out
    }
}

/// Why a run ended before anything was started. Holds what `main` prints and the exit code it ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong, all of it.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the places point into.
    pub sources: Sources,
    /// The exit code.
    pub exit: u8,
}

impl Refusal {
    /// One error that stops the run with exit code 125.
    #[must_use]
    pub fn one(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostics: vec![diagnostic],
            sources: Sources::new(),
            exit: crate::EXIT_REFUSED,
        }
    }

    /// The whole text.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let texts: Vec<String> = self
            .diagnostics
            .iter()
            .map(|d| d.render(&self.sources, style))
            .collect();
        texts.join("\n")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::plain()))
    }
}

impl std::error::Error for Refusal {}

/// How many characters of a script's line are shown.
const WINDOW: usize = 100;

fn excerpt(site: &Site, label: &str, sources: &Sources, style: Style) -> String {
    let Site::Script { file, line, column, .. } = site else {
        let separator = if label.is_empty() { "" } else { " " };
        return format!("  {} {site}{separator}{label}\n", style.paint(Tone::Place, "——▶"));
    };
    let mut out = format!("  {} {file}:{line}:{column}\n", style.paint(Tone::Place, "——▶"));
    let Some(text) = sources
        .get(file)
        .and_then(|source| source.lines().nth(line.saturating_sub(1)))
    else {
        return out;
    };
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let at = column.saturating_sub(1);
    let start = if at < WINDOW { 0 } else { at - WINDOW / 2 };
    let shown: String = text.chars().skip(start).take(WINDOW).collect();
    let before: String = text.chars().skip(start).take(at - start).collect();
    let word: String = text.chars().skip(at).take(start + WINDOW - at).collect();
    let (cut_start, cut_end) = (start > 0, text.chars().nth(start + WINDOW).is_some());
    let (cut_start, cut_end) = (if cut_start { "…" } else { "" }, if cut_end { "…" } else { "" });
    let indent = width(&before) + cut_start.chars().count();
    let carets = "^".repeat(token_width(&word));
    let bar = style.paint(Tone::Place, "|");
    out.push_str(&format!("{margin} {bar}\n"));
    out.push_str(&format!(
        "{} {bar} {cut_start}{}{cut_end}\n",
        style.paint(Tone::Place, &number),
        shown_line(&shown)
    ));
    let label = if label.is_empty() {
        String::new()
    } else {
        format!(" {label}")
    };
    out.push_str(&format!(
        "{margin} {bar} {}{}\n",
        " ".repeat(indent),
        style.paint(Tone::Bad, &format!("{carets}{label}"))
    ));
    out
}

/// A script's line as a terminal may show it: tabs become four spaces, control and invisible characters are escaped.
fn shown_line(text: &str) -> String {
    text.chars().map(shown_char).collect()
}

fn shown_char(c: char) -> String {
    match c {
        '\t' => "    ".into(),
        c if c.is_control() || crate::path::is_invisible(c) => c.escape_default().to_string(),
        c => c.to_string(),
    }
}

fn width(text: &str) -> usize {
    text.chars().map(|c| shown_char(c).chars().count()).sum()
}

/// How many characters the token at the start of `rest` has: an identifier, a string, or one sign.
fn token_width(rest: &str) -> usize {
    let mut chars = rest.chars();
    match chars.next() {
        Some(first) if first.is_alphanumeric() || first == '_' => {
            1 + chars.take_while(|c| c.is_alphanumeric() || *c == '_').count()
        }
        Some('"') => {
            let inside = chars.take_while(|c| *c != '"').count();
            inside + 2
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(line: usize, column: usize) -> Site {
        Site::Script {
            layer: "user".into(),
            file: "policy.rhai".into(),
            line,
            column,
        }
    }

    #[test]
    fn an_error_shows_the_line_and_the_token() {
        let sources = Sources::from([(
            "policy.rhai".into(),
            "fn mounts(host) {\n\tmount::ro(\"~/.ssh\", \"x\");\n}\n".into(),
        )]);
        let text = Diagnostic::new("secret-exposed", "`~/.ssh` is a secret")
            .at(site(2, 9), "asked for here")
            .hint("leave it out")
            .render(&sources, Style::plain());
        assert_eq!(
            text,
            "error[secret-exposed]: `~/.ssh` is a secret\n  ——▶ policy.rhai:2:9\n  |\n2 |     mount::ro(\"~/.ssh\", \"x\");\n  \
             |            ^^ asked for here\nhint: leave it out\n"
        );
    }

    #[test]
    fn a_hostile_line_cannot_move_the_cursor() {
        let sources = Sources::from([("policy.rhai".into(), "a\x1b[2Jb \u{202e}x".into())]);
        let text = Diagnostic::new("policy-text", "m")
            .at(site(1, 8), "")
            .render(&sources, Style::plain());
        assert_eq!(
            text,
            "error[policy-text]: m\n  ——▶ policy.rhai:1:8\n  |\n1 | a\\u{1b}[2Jb \\u{202e}x\n  |             ^\n"
        );
    }
}
