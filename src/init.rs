//! The first program inside the sandbox: gives signals their usual meaning back and becomes the command. It is this very
//! binary under another name, so nothing else has to be found or trusted.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use crate::companion;
use crate::output;
use crate::path::printable;
use crate::sys::{self, Interrupts};
use crate::verify::probe;

/// Whether the program was started as the sandbox's first process: by the name of its place inside.
#[must_use]
pub fn is_init(program: Option<&OsString>) -> bool {
    program.is_some_and(|program| program == crate::invariants::structure::INIT)
}

/// Becomes the command. Returns only where that failed: 127 if there is no such program, 126 if it cannot be run, as env(1).
#[expect(clippy::disallowed_methods, reason = "becomes the command inside the sandbox")]
pub fn run(command: &[OsString]) -> u8 {
    sys::interrupts(Interrupts::Usual);
    if probe::is_wanted(command) {
        return probe::run();
    }
    // INVARIANT(mounts-verified): the command starts when the companion has seen that the sandbox is what was checked.
    let Some(command) = companion::pass_gate(command) else {
        return crate::EXIT_REFUSED;
    };
    // INVARIANT(no-inherited-fds): bubblewrap closes what it was given in all its processes but this one. What comes with it
    // is the launcher's lock, which bubblewrap has taken by itself now.
    if sys::close_others_on_exec().is_err() {
        output::error("error[no-inherited-fds]: cannot close the launcher's descriptors\n");
        return crate::EXIT_REFUSED;
    }
    let Some((program, arguments)) = command.split_first() else {
        return crate::EXIT_REFUSED;
    };
    let error = std::process::Command::new(program).args(arguments).exec();
    let (exit, why) = match error.kind() {
        std::io::ErrorKind::NotFound => (
            crate::EXIT_NOT_FOUND,
            "there is no such program in the sandbox".to_string(),
        ),
        _ => (crate::EXIT_CANNOT_RUN, crate::host::tree::plain(&error)),
    };
    output::error(&format!("error[command]: cannot run `{}`: {why}\n", printable(program)));
    exit
}
