//! The real Claude Code in the sandbox, against a stub of the Messages API on loopback.

use serde_json::{Value, json};

use crate::support::api::{self, Api, PLAIN};
use crate::support::canaries::{Canaries, WANTED};
use crate::support::terminal::Terminal;
use crate::support::tls::Tls;
use crate::support::{Test, User, as_both, claude};

/// A key that no server knows. Claude Code asks about a key it has not seen by the last twenty characters.
const KEY: &str = "dummy-key-of-the-test-0123456789";

/// The stub's address goes in by the user's policy, so that these tests say nothing about what the bundled one thinks of it.
const POLICY: &str = r#"
fn variable(host, name) {
    switch name {
        "ANTHROPIC_BASE_URL" => env::pass("the test's own server"),
        _ => base::variable(host, name),
    }
}
"#;

/// A home whose user has an API key, and the stub as the server.
fn with_key(user: User, api: &Api) -> Test {
    let claude = claude::path();
    Test::new()
        .who(user)
        .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
        .var("ANTHROPIC_BASE_URL", api.url())
        .var("ANTHROPIC_API_KEY", KEY)
}

/// Claude Code itself without any sandbox, and the shortest answer: shows that the stub is one Claude Code can talk to.
fn bare(test: &Test, args: &[&str]) -> (String, String, i32) {
    let claude = claude::path();
    let mut words = vec![claude.to_str().expect("a path in ASCII")];
    words.extend(args);
    let run = test.control(&words);
    (run.stdout, run.stderr, run.exit)
}

as_both! {
    /// The stub speaks well enough for the real client, tools and errors included.
    fn the_stub_serves_the_bare_client(user: User) {
        let api = Api::start();
        let test = with_key(user, &api);
        assert_eq!(bare(&test, &["-p", "hello"]), (format!("{PLAIN}\n"), String::new(), 0));
        let asked = "RUN:echo one; echo two:END";
        assert_eq!(bare(&test, &["--allowedTools", "Bash", "-p", asked]), ("ECHO one\ntwo\n".to_owned(), String::new(), 0));
        let failed = "API Error: 400 as the test asked\n".to_owned();
        assert_eq!(bare(&test, &["-p", "FAIL400"]), (failed, String::new(), 1));
    }
}
