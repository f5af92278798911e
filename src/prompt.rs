//! The question after the audit: default no, and without a terminal no question but a refusal that names the way out.

use std::io::BufRead;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::host::Host;
use crate::output;

/// The longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 1024;

/// Asks whether to start.
///
/// # Errors
/// No terminal to ask on, or the answer is not yes.
pub fn confirm(host: &Host) -> Result<(), Refusal> {
    ask(
        host.terminal.input,
        "Start with this?",
        "look at `claudebox --dry-run`, then start with `--yes`",
    )
}

/// Asks a question whose answer is no unless it is yes. `input` is whether standard input is a terminal.
///
/// # Errors
/// No terminal to ask on, and then what to do `otherwise`; or the answer is not yes.
pub fn ask(input: bool, question: &str, otherwise: &str) -> Result<(), Refusal> {
    if !input {
        return Err(Refusal::one(
            Diagnostic::new("confirmation", "there is no terminal to ask on").hint(otherwise),
        ));
    }
    output::error(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::Read::take(std::io::stdin().lock(), ANSWER_MAX).read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES") {
        return Ok(());
    }
    Err(Refusal::one(
        Diagnostic::new("confirmation", "not confirmed").hint("answer `y`, or use `--yes`"),
    ))
}
