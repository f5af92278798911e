//! The command line: our options first; the first word that is not ours, and all after it, belong to Claude Code.
//! Parsing touches nothing.

mod documents;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::draft::Network;
use crate::request::{Access, MountOption, Program, Request};

/// Starts Claude Code in a sandbox that your secrets never enter.
#[derive(Debug, Parser)]
#[command(
    name = "claudebox",
    version,
    about,
    after_help = "Examples:\n  claudebox                      start Claude Code here, after showing what it gets\n  \
                  claudebox -y --resume          no question; `--resume` goes to Claude Code\n  \
                  claudebox -y -p \"fix the test\" one answer, then back\n  \
                  claudebox --explain            why each variable and each file is, or is not, inside\n  \
                  claudebox --dry-run            the whole bubblewrap command, without running it\n  \
                  claudebox --exec -- make test  another command in the same sandbox"
)]
pub struct Cli {
    /// Skip the question after the audit
    #[arg(short = 'y', long)]
    pub yes: bool,

    /// Print the complete bubblewrap command and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Tell why each variable and each file is, or is not, inside; or one SUBJECT: a path, a variable, a `host:port`
    #[arg(long, value_name = "SUBJECT", num_args = 0..=1, require_equals = true, default_missing_value = "",
          action = clap::ArgAction::Append)]
    pub explain: Option<Vec<OsString>>,

    /// Check everything that a launch needs, with the fix beside what is missing
    #[arg(long)]
    pub check: bool,

    /// Start the very next launch with a probe in Claude Code's place, and show which defences hold
    #[arg(long, conflicts_with_all = ["explain", "check", "report", "dry_run", "gc"])]
    pub verify: bool,

    /// Show what earlier sessions left here that programs of this host would run or obey
    #[arg(long)]
    pub report: bool,

    /// With `--explain`: write it to FILE, which must not exist, as one page to look at in a browser
    #[arg(long, value_name = "FILE", requires = "explain", conflicts_with = "json")]
    pub html: Option<PathBuf>,

    /// Remove the state of projects that are gone, after showing which and asking; with `--dry-run` only show
    #[arg(long, conflicts_with_all = ["check", "shell", "exec"])]
    pub gc: bool,

    /// Print for programs instead of people
    #[arg(long)]
    pub json: bool,

    /// Start a shell instead of Claude Code, in the same sandbox
    #[arg(long, conflicts_with = "exec")]
    pub shell: bool,

    /// Run CLAUDE_ARGS as a command instead of Claude Code, in the same sandbox
    #[arg(long)]
    pub exec: bool,

    /// The network, over what the policy chose
    #[arg(long, value_name = "MODE")]
    pub net: Option<NetMode>,

    /// With the network `allowlist`: let the host NAME be reached too, or with `*.NAME` all below it
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<OsString>,

    /// Log Claude Code in: a sandbox with an empty project, whose login is kept outside for all others
    #[arg(long, conflicts_with_all = ["check", "gc", "shell", "exec", "policy", "policy_test", "policy_diff", "profile",
          "mount_ro", "mount_rw", "net", "allow_host", "approve", "report"])]
    pub login: bool,

    /// Use FILE as the user policy
    #[arg(long, value_name = "FILE", conflicts_with = "no_user_policy")]
    pub policy: Option<PathBuf>,

    /// Run the tests of policies: those in the FILEs that follow, or all beside your own policy
    #[arg(long, conflicts_with_all = ["explain", "check", "verify", "dry_run", "gc", "shell", "exec"])]
    pub policy_test: bool,

    /// Tell what a change of policy widens and narrows: of the two files that follow, from the first to the second
    #[arg(long, conflicts_with_all = ["explain", "check", "verify", "dry_run", "gc", "shell", "exec", "policy_test"])]
    pub policy_diff: bool,

    /// Leave your own `policy.rhai` out
    #[arg(long)]
    pub no_user_policy: bool,

    /// The posture of this launch: default, strict, offline, or one of your own
    #[arg(long, value_name = "NAME")]
    pub profile: Option<OsString>,

    /// Show a file or directory too, read-only; a colon in a path is written `\:`
    #[arg(long, value_name = "PATH[:DEST]")]
    pub mount_ro: Vec<OsString>,

    /// The same, with write access
    #[arg(long, value_name = "PATH[:DEST]")]
    pub mount_rw: Vec<OsString>,

    /// Approve what the project's `.claudebox.toml` and `.claudebox/tools.txt` say now, without a question
    #[arg(long)]
    pub approve: bool,

    /// Leave out the audit; with `--explain`, all that simply took effect
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// Colour: on a terminal, always, or never
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,

    /// Print completions for SHELL
    #[arg(long, value_name = "SHELL")]
    pub completions: Option<clap_complete::Shell>,

    /// Print the manual page
    #[arg(long)]
    pub man: bool,

    /// Words for Claude Code, or the command of `--exec`
    #[arg(value_name = "CLAUDE_ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// The values of `--net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetMode {
    /// The internet; neither the local network nor the host
    Internet,
    /// Hosts that the policy or `--allow-host` names, and nothing else
    Allowlist,
    /// None
    None,
    /// The host's own network, not isolated
    Host,
}

/// The values of `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// Where the output is a terminal and `NO_COLOR` is not set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Cli {
    /// Parses the words after the program's name.
    ///
    /// # Errors
    /// clap's error, which also stands for `--help` and `--version`.
    pub fn parse_words(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().collect();
        let mut command = Self::command();
        let border = border(&command, &words);
        let (ours, rest) = words.split_at(border);
        let mut line: Vec<OsString> = vec!["claudebox".into()];
        line.extend(ours.iter().cloned());
        let matches = command.try_get_matches_from_mut(line)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        cli.arguments = rest.strip_prefix(&[OsString::from("--")]).unwrap_or(rest).to_vec();
        Ok(cli)
    }

    /// A document that is generated from the command line's definition, where one is asked for.
    #[must_use]
    pub fn document(&self) -> Option<Vec<u8>> {
        match self.completions {
            Some(shell) => Some(documents::completions(shell)),
            None if self.man => documents::manual().ok(),
            None => None,
        }
    }

    /// Whether this only looks, and starts neither Claude Code nor anything else of the user's.
    #[must_use]
    pub fn inspects(&self) -> bool {
        self.explain.is_some() || self.check || self.verify || self.dry_run || self.policy_test || self.policy_diff
    }

    /// What is to be explained: nothing in particular where the list is empty; `None` where nothing is.
    #[must_use]
    pub fn subjects(&self) -> Option<Vec<OsString>> {
        let subjects = self.explain.as_ref()?;
        Some(subjects.iter().filter(|subject| !subject.is_empty()).cloned().collect())
    }

    /// Names what a launch makes for itself alone: the process, or for a look at what a launch would be, always the same word.
    #[must_use]
    pub fn session(&self) -> String {
        if self.inspects() && !self.verify {
            "session".into()
        } else {
            std::process::id().to_string()
        }
    }

    /// What is asked of the pipeline.
    #[must_use]
    pub fn request(&self) -> Request {
        let program = if self.login {
            Program::Login
        } else if self.shell {
            Program::Shell
        } else if self.exec {
            Program::Command
        } else {
            Program::Claude
        };
        Request {
            program,
            arguments: self.arguments.clone(),
            network: self.net.map(|mode| match mode {
                NetMode::Internet => Network::Internet,
                NetMode::Allowlist => Network::Allowlist,
                NetMode::None => Network::None,
                NetMode::Host => Network::Host,
            }),
            allow_hosts: self.allow_host.clone(),
            policy: self.policy.clone(),
            no_user_policy: self.no_user_policy || self.login,
            profile: self.profile.clone(),
            mounts: [(Access::Read, &self.mount_ro), (Access::Write, &self.mount_rw)]
                .into_iter()
                .flat_map(|(access, texts)| {
                    texts.iter().map(move |text| MountOption {
                        access,
                        text: text.clone(),
                    })
                })
                .collect(),
        }
    }
}

/// How many of the words are ours: up to the first that is neither one of our options nor the value of one.
/// An option that we do not have is Claude Code's, so clap cannot be asked: to it, it would be an error.
fn border(command: &clap::Command, words: &[OsString]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match ours(command, word) {
            Some(takes_next) => at += 1 + usize::from(takes_next),
            None => break,
        }
    }
    at.min(words.len())
}

/// Whether a word is one of our options, and if so whether the next word is its value.
fn ours(command: &clap::Command, word: &OsStr) -> Option<bool> {
    let bytes = word.as_bytes();
    if let Some(long) = bytes.strip_prefix(b"--") {
        let name_end = long.iter().position(|byte| *byte == b'=');
        let name = long.get(..name_end.unwrap_or(long.len()))?;
        let name = std::str::from_utf8(name).ok()?;
        if name == "help" || name == "version" {
            return Some(false);
        }
        let option = command.get_arguments().find(|option| option.get_long() == Some(name))?;
        return Some(takes_value(option) && name_end.is_none() && !option.is_require_equals_set());
    }
    let short = std::str::from_utf8(bytes.strip_prefix(b"-")?).ok()?;
    let known = |letter: char| {
        matches!(letter, 'h' | 'V')
            || command
                .get_arguments()
                .any(|option| option.get_short() == Some(letter) && !takes_value(option))
    };
    (!short.is_empty() && short.chars().all(known)).then_some(false)
}

fn takes_value(option: &clap::Arg) -> bool {
    option.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &[&str]) -> (usize, Vec<String>) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let cli = Cli::parse_words(words.clone()).unwrap();
        (
            border(&Cli::command(), &words),
            cli.arguments
                .iter()
                .map(|word| word.to_str().unwrap().to_string())
                .collect(),
        )
    }

    #[test]
    fn the_border_between_our_words_and_claude_codes() {
        let table: [(&[&str], usize, &[&str]); 10] = [
            (&[], 0, &[]),
            (&["--resume"], 0, &["--resume"]),
            (&["-y", "-p", "hi"], 1, &["-p", "hi"]),
            (&["-yn", "--resume"], 1, &["--resume"]),
            (&["--net", "none", "-c"], 2, &["-c"]),
            (&["--net=none", "--model", "x"], 1, &["--model", "x"]),
            (&["--exec", "--", "ls", "-y"], 1, &["ls", "-y"]),
            (&["--exec", "ls", "-y"], 1, &["ls", "-y"]),
            (&["hello", "-y"], 0, &["hello", "-y"]),
            (&["-y", "--", "--", "x"], 1, &["--", "x"]),
        ];
        for (words, border, rest) in table {
            assert_eq!(
                split(words),
                (border, rest.iter().map(ToString::to_string).collect()),
                "{words:?}"
            );
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
