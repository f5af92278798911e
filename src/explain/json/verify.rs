//! The table of `--verify` for programs.

use serde::Serialize;

use crate::diagnostic::Refusal;
use crate::verify::{Outcome, Row};

use super::{document as doc, print, verdict};

/// The schema of the table.
const SCHEMA: &str = "claudebox.verify/1";

#[derive(Serialize)]
struct Table<'run> {
    schema: &'static str,
    leaks: bool,
    rows: Vec<Line<'run>>,
    verdict: doc::Verdict,
}

#[derive(Serialize)]
struct Line<'run> {
    number: usize,
    defence: &'static str,
    outcome: String,
    finding: &'run str,
    details: &'run [String],
}

/// The document of a table.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    document(rows, None)
}

/// The document of a launch that is refused: nothing was tested.
#[must_use]
pub fn refused(refusal: &Refusal) -> String {
    document(&[], Some(refusal))
}

fn document(rows: &[Row], refusal: Option<&Refusal>) -> String {
    print(&Table {
        schema: SCHEMA,
        leaks: rows.iter().any(|row| row.outcome == Outcome::Leaks),
        rows: rows.iter().map(line).collect(),
        verdict: verdict(refusal),
    })
}

fn line(row: &Row) -> Line<'_> {
    Line {
        number: row.number,
        defence: row.defence,
        outcome: row.outcome.word().to_ascii_lowercase(),
        finding: &row.finding,
        details: &row.details,
    }
}
