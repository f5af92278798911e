//! Command lines: whatever the words are, they are read or refused, and none is lost on the way to Claude Code.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use claudebox::cli::Cli;

use super::{Random, many};

/// Words that mean something, and some that nearly do.
const WORDS: &[&str] = &[
    "-y",
    "--yes",
    "-n",
    "-yn",
    "-ny",
    "-q",
    "--quiet",
    "--explain",
    "--explain=",
    "--explain=~/.ssh",
    "--check",
    "--verify",
    "--json",
    "--shell",
    "--exec",
    "--net",
    "--net=none",
    "--net=",
    "none",
    "internet",
    "host",
    "--policy",
    "p.rhai",
    "--policy=x",
    "--no-user-policy",
    "--profile",
    "strict",
    "--profile=",
    "--mount-ro",
    "--mount-ro=/a:/b",
    "--mount-rw",
    "/a",
    "--approve",
    "--color",
    "never",
    "--gc",
    "--report",
    "--html",
    "--html=f",
    "--policy-test",
    "--policy-diff",
    "--",
    "---",
    "-",
    "",
    "--resume",
    "-p",
    "-c",
    "-yp",
    "-h",
    "-V",
    "--help",
    "--version",
    "--verify=x",
    "--ver",
    "--explain x",
    "hello",
    "--net\0",
    "\n",
    "é",
    "--nét",
    "--completions",
    "bash",
    "--man",
];

fn word(random: &mut Random) -> OsString {
    match random.below(12) {
        0 => OsString::from_vec(
            (0..random.below(9))
                .map(|_| u8::try_from(random.below(256)).expect("a byte"))
                .collect(),
        ),
        1 => OsString::from_vec([random.of(WORDS).as_bytes(), &[0xff], random.of(WORDS).as_bytes()].concat()),
        2 => "x".repeat(random.below(5000)).into(),
        _ => random.of(WORDS).into(),
    }
}

/// What of a command line is told apart by what it does.
fn shown(cli: &Cli) -> String {
    format!(
        "{:?}",
        Cli {
            arguments: Vec::new(),
            ..copy(cli)
        }
    )
}

fn copy(cli: &Cli) -> Cli {
    Cli {
        explain: cli.explain.clone(),
        html: cli.html.clone(),
        policy: cli.policy.clone(),
        allow_host: cli.allow_host.clone(),
        profile: cli.profile.clone(),
        mount_ro: cli.mount_ro.clone(),
        mount_rw: cli.mount_rw.clone(),
        arguments: cli.arguments.clone(),
        ..*cli
    }
}

#[test]
fn command_lines() {
    many(5000, |random| {
        let words: Vec<OsString> = (0..random.below(9)).map(|_| word(random)).collect();
        let Ok(cli) = Cli::parse_words(words.clone()) else {
            return;
        };
        // What goes to Claude Code is the end of the words, as they are.
        assert!(words.ends_with(&cli.arguments), "{words:?} gives {:?}", cli.arguments);
        let ours = &words[..words.len() - cli.arguments.len()];
        // With the border written out, the same words mean the same.
        let ours = ours.strip_suffix(&[OsString::from("--")]).unwrap_or(ours);
        let written: Vec<OsString> = ours
            .iter()
            .cloned()
            .chain(["--".into()])
            .chain(cli.arguments.clone())
            .collect();
        let again = Cli::parse_words(written.clone()).unwrap_or_else(|error| panic!("{written:?}: {error}"));
        assert_eq!(
            (shown(&again), &again.arguments),
            (shown(&cli), &cli.arguments),
            "{words:?}"
        );
        // A request is made of it without a look at anything.
        let request = cli.request();
        assert_eq!(request.arguments, cli.arguments);
        assert_eq!(request.mounts.len(), cli.mount_ro.len() + cli.mount_rw.len());
    });
}
