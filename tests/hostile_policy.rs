//! Policies that loop, grow, forge, hide or err: each is told apart by its whole text, and nothing starts.

mod files;
mod growth;
mod language;
mod time;
mod verbs;

use std::time::{Duration, Instant};

use crate::support::Test;

/// The longest that a run may take: the deadline of all scripts, and much room for a loaded machine.
const LIMIT: Duration = Duration::from_secs(150);

/// A payload that leaves a mark in the project.
const MARK: [&str; 6] = ["--yes", "--quiet", "--exec", "--", "touch", "started"];

macro_rules! hostile {
    ($($name:ident: $policy:expr => $stderr:expr;)*) => {
        $(
            #[test]
            fn $name() {
                super::refused(crate::support::Test::new().policy($policy.as_ref()), $stderr);
            }
        )*
    };
}
pub(crate) use hostile;

#[track_caller]
fn refused(test: Test, stderr: &str) {
    let test = test.args(MARK).stderr(stderr).exit(125);
    // Who owns the files is settled by the first look.
    let before = test.snapshot();
    let start = Instant::now();
    test.compare(&test.start());
    assert!(start.elapsed() < LIMIT, "it took {:?}", start.elapsed());
    assert_eq!(test.snapshot(), before, "it was refused and changed the home");
}

/// The control: the same start with an honest policy leaves the mark, so its absence means something.
#[test]
fn an_honest_policy_starts() {
    let policy = "fn mounts(host) {\n    base::mounts(host);\n    debug(\"seen\");\n}\n";
    let test = Test::new().policy(policy).args(MARK);
    test.compare(&test.start());
    assert!(test.at("started").exists());
}
