//! What is generated from the command line's definition: completions for shells and the manual page.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// The completions of a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "claudebox", &mut out);
    out
}

/// The manual page, as man(1) reads it.
///
/// # Errors
/// None but those of writing into memory.
pub fn manual() -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut out)?;
    out.extend_from_slice(MORE.as_bytes());
    Ok(out)
}

/// What no definition of options says.
const MORE: &str = r#".SH EXIT STATUS
The command's own, 128+n where signal n ended it.
.TP
1
of a mode that only looks: something was found wrong
.TP
2
the command line is wrong
.TP
125
claudebox could not, or would not, start the sandbox
.TP
126
the command cannot be run
.TP
127
the command was not found
.SH ENVIRONMENT
.TP
CLAUDEBOX_CLAUDE
the absolute path of Claude Code, where it is not found by itself
.TP
NO_COLOR
no colour, unless \fB\-\-color always\fR
.SH FILES
.TP
~/.config/claudebox/policy.rhai
the user's policy
.TP
~/.claudebox
the state of projects, and the login that they share
.SH SEE ALSO
bwrap(1)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_completions_with_every_option() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let text = String::from_utf8(completions(shell)).unwrap();
            for option in Cli::command().get_arguments().filter_map(clap::Arg::get_long) {
                assert!(text.contains(option), "{shell}: {option}");
            }
        }
    }

    #[test]
    fn the_manual_has_every_option_and_the_exit_codes() {
        let text = String::from_utf8(manual().unwrap()).unwrap();
        for option in Cli::command().get_arguments().filter_map(clap::Arg::get_long) {
            let written = option.replace('-', "\\-");
            assert!(text.contains(&written), "{option}");
        }
        for heading in [
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH OPTIONS",
            ".SH EXIT STATUS",
            ".SH FILES",
        ] {
            assert!(text.contains(heading), "{heading}");
        }
    }
}
