//! The program: the command line in, the exit code out.

use std::ffi::OsString;
use std::process::ExitCode;

use claudebox::cli::Cli;
use claudebox::diagnostic::Refusal;
use claudebox::host::terminal::Terminal;
use claudebox::style::Style;
use claudebox::{EXIT_REFUSED, EXIT_USAGE, companion, init, output};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let program = words.next();
    let words: Vec<OsString> = words.collect();
    if init::is_init(program.as_ref()) {
        return ExitCode::from(init::run(&words));
    }
    if companion::is_companion(program.as_ref()) {
        return ExitCode::from(companion::run(&words));
    }
    let cli = match Cli::parse_words(words) {
        Ok(cli) => cli,
        // Also `--help` and `--version`, which clap prints to standard output.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    match claudebox::run(&cli) {
        Ok(exit) => ExitCode::from(exit),
        Err(error) => {
            let refusal = error.downcast_ref::<Refusal>();
            let style = Style::of(cli.color, &Terminal::look());
            let text = refusal.map_or_else(|| format!("error: {error:#}\n"), |refusal| refusal.render(style));
            output::error(&text);
            ExitCode::from(refusal.map_or(EXIT_REFUSED, |refusal| refusal.exit))
        }
    }
}
