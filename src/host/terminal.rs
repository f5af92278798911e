//! What standard input, output and error are.
#![expect(clippy::disallowed_methods, reason = "a fact about the host")]

use std::io::IsTerminal;

use rustix::fs::{FileType, fstat};

/// The three standard streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Standard input is a terminal: a question can be answered.
    pub input: bool,
    /// Colour is welcome on standard error: it is a terminal that can, and `NO_COLOR` is not set (no-color.org).
    pub colour: bool,
    /// The same for standard output, where inspecting modes print.
    pub output_colour: bool,
    /// A stream that is a directory, by its number: whoever holds it can open what lies in it, and above it.
    pub directory: Option<u8>,
}

impl Terminal {
    /// Looks at the streams.
    #[must_use]
    pub fn look() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_directory = |stat: rustix::io::Result<rustix::fs::Stat>| {
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        };
        let streams = [
            fstat(std::io::stdin()),
            fstat(std::io::stdout()),
            fstat(std::io::stderr()),
        ];
        let directory = streams
            .into_iter()
            .zip(0..)
            .find(|(stat, _)| is_directory(*stat))
            .map(|(_, number)| number);
        Self {
            input: std::io::stdin().is_terminal(),
            colour: std::io::stderr().is_terminal() && !plain,
            output_colour: std::io::stdout().is_terminal() && !plain,
            directory,
        }
    }
}
