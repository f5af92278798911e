//! How text reaches the user: our own on standard error, what an inspecting mode was asked to print on standard output.
//! A closed pipe ends the output, not the program.

use std::io::Write;

/// Our own text: audit, errors, questions.
pub fn error(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What was asked for.
pub fn result(text: &str) {
    result_bytes(text.as_bytes());
}

/// The same, for text that may hold bytes of the host as they are.
pub fn result_bytes(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text);
    let _ = out.flush();
}
