//! The suite of known attacks. Each goes by the same rules: it works in a naive sandbox, or on the plain host, in the very same test;
//! it fails in ours, as root and as an ordinary user; the honest use beside it works; and the host's files are what they were.
//!
//! The book's page of known attacks has a row for each, also for those that other modules of these tests try, and `page` compares the two.

mod agent;
mod environment;
mod hijack;
mod kernel;
mod login;
mod loss;
mod page;
mod paths;
mod sockets;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::Test;
use crate::support::test::Snapshot;
use crate::support::user::{compile, programs};

/// A sandbox as one would write it without much thought: all of the host is there to be read, the project and `/tmp` to be written.
const NAIVE: &[&str] = &[
    "bwrap",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--bind",
    "/tmp",
    "/tmp",
    "--unshare-user",
    "--unshare-pid",
];

/// No sandbox at all.
const HOST: &[&str] = &[];

/// One attack by the rules. All scripts are for `sh`, and run in the project.
struct Attack<'a> {
    /// What it works in, to the last word before the script's own.
    naive: &'a [&'a str],
    script: &'a str,
    /// What the script prints where it works.
    works: &'a str,
    /// What it prints in the sandbox.
    stopped: &'a str,
    /// The honest use beside it, and what it prints.
    honest: (&'a str, &'a str),
}

impl Attack<'_> {
    /// Tries it. Each run gets a test of its own: an attack that works may leave nothing as it was.
    #[track_caller]
    fn check(&self, furnished: impl Fn() -> Test) {
        let control = furnished();
        let words: Vec<&str> = self.naive.iter().copied().chain(["sh", "-c", self.script]).collect();
        let run = control.control(&words);
        assert_eq!(
            (run.stdout.as_str(), run.exit),
            (control.fill(self.works).as_str(), 0),
            "the control: {run:?}"
        );

        let test = furnished();
        let before = of_the_host(&test);
        let run = boxed(&test, self.script).stdout(&test.blank(self.stopped)).run();
        assert_eq!(
            of_the_host(&test),
            before,
            "the attack left something on the host: {run:?}"
        );
        boxed(&test, self.honest.0).stdout(self.honest.1).run();
    }
}

/// A script in the sandbox, without a network, in the same home and project. Nothing may come on stderr.
fn boxed(test: &Test, script: &str) -> Test {
    test.clone()
        .args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", script])
}

/// Everything in the home but claudebox's own directory.
fn of_the_host(test: &Test) -> Snapshot {
    let own = test.at("~/.claudebox");
    let mut files = test.snapshot();
    files.retain(|path, _| !path.starts_with(&own));
    files
}

/// Puts the program with the attacks that a shell cannot make into the project.
fn with_program(test: Test) -> Test {
    // By a process of its own: a file that this one had open for writing could not be run by a child that was forked just then.
    let copied = Command::new("cp").arg(program()).arg(test.at("program")).status();
    assert!(copied.expect("cp, from coreutils").success());
    test
}

/// That program, built once.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let program = programs().join("attacks-program");
        compile("tests/attacks/program.c", &program);
        program
    };
    PROGRAM.get_or_init(build).clone()
}
