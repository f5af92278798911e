//! The table of `--verify`: plain values, and their text. What they mean was judged before.

use crate::style::{Style, Tone};

/// How one defence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was tried, and holds.
    Holds,
    /// It was tried, and does not hold.
    Leaks,
    /// There is none, because the plan says so.
    Open,
    /// It could not be tried.
    Untested,
    /// It was tried, and does not work. Nothing leaks by that.
    Broken,
}

impl Outcome {
    /// The word in the table and in the document.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Leaks => "LEAK",
            Self::Open => "open",
            Self::Untested => "untested",
            Self::Broken => "BROKEN",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Holds => Tone::Good,
            Self::Leaks | Self::Broken => Tone::Bad,
            Self::Open | Self::Untested => Tone::Warn,
        }
    }
}

/// One defence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in the table, from 1.
    pub number: usize,
    /// What is defended.
    pub defence: &'static str,
    /// How it stands.
    pub outcome: Outcome,
    /// What was found, or why it was not looked for.
    pub finding: String,
    /// What was found beside that.
    pub details: Vec<String>,
}

/// The table as text.
pub(super) fn text(rows: &[Row], style: Style) -> String {
    let width = rows.iter().map(|row| row.defence.len()).max().unwrap_or_default();
    let mut out = String::new();
    for row in rows {
        let outcome = style.paint(row.outcome.tone(), &format!("{:<8}", row.outcome.word()));
        out.push_str(&format!(
            "{:>2}  {outcome}  {:<width$}  {}\n",
            row.number, row.defence, row.finding
        ));
        for detail in &row.details {
            out.push_str(&format!("{:indent$}{detail}\n", "", indent = 16 + width));
        }
    }
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let all = [
        Outcome::Holds,
        Outcome::Leaks,
        Outcome::Broken,
        Outcome::Open,
        Outcome::Untested,
    ];
    let said: Vec<String> = all
        .into_iter()
        .map(|outcome| (outcome, count(outcome)))
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{count} {}", outcome.word()))
        .collect();
    out.push_str(&format!("{} of {} defences\n", said.join(", "), rows.len()));
    out
}
