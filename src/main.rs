//! The program: the command line in, the exit code out.

use std::ffi::OsString;
use std::process::ExitCode;

use claudebox::cli::Cli;
use claudebox::diagnostic::Refusal;
use claudebox::launch::verify;
use claudebox::net::helper;
use claudebox::{EXIT_REFUSED, EXIT_USAGE, init, memory, output};

fn main() -> ExitCode {
    memory::grow_in_steps();
    let mut words = std::env::args_os();
    let program = words.next();
    let words: Vec<OsString> = words.collect();
    if init::is_init(program.as_ref()) {
        return ExitCode::from(init::run(&words));
    }
    if helper::is_helper(program.as_ref()) {
        return ExitCode::from(helper::run(&words));
    }
    let cli = match Cli::parse_words(words.iter().cloned()) {
        Ok(cli) => cli,
        // Also `--help` and `--version`, which clap prints to standard output.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    if cli.verify && !verify::is_planted(program.as_ref()) {
        let refusal = Refusal::one(verify::again(&words));
        return ExitCode::from(claudebox::refused(&cli, &refusal));
    }
    match claudebox::run(&cli) {
        Ok(exit) => ExitCode::from(exit),
        Err(error) => ExitCode::from(match error.downcast_ref::<Refusal>() {
            Some(refusal) => claudebox::refused(&cli, refusal),
            None => {
                output::error(&format!("error: {error:#}\n"));
                EXIT_REFUSED
            }
        }),
    }
}
