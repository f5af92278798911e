//! The real Claude Code in the network `internet`. It speaks to its vendor's own name over TLS, as it does for a user: the lab's name
//! server leads that name to a stub in the lab's internet, whose certificate the policy or the host calls trusted.

use std::sync::OnceLock;

use super::lab::lab;
use super::reach::with_probe;
use crate::support::api::{Api, PLAIN};
use crate::support::tls::Tls;
use crate::support::{Test, User, as_both, claude};

/// A key that no server knows.
const KEY: &str = "dummy-key-of-the-test-0123456789";

/// The certificate of the one stub in the lab's internet. It ends with the suite's process.
fn certificate() -> &'static str {
    static VENDOR: OnceLock<(Api, Tls, String)> = OnceLock::new();
    let start = || {
        lab().internet.run(|| {
            let api = Api::start();
            let (tls, _) = Tls::at(&api, ([203, 0, 113, 11], 443).into());
            let certificate = tls.certificate();
            (api, tls, certificate)
        })
    };
    &VENDOR.get_or_init(start).2
}

/// A user with a key and with the vendor's certificate in the home, where nothing trusts it yet.
fn test(user: User) -> Test {
    let claude = claude::path();
    with_probe(user)
        .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
        .var("ANTHROPIC_API_KEY", KEY)
        .file("~/company/ca.pem", certificate())
}

/// What trusts it: a line of the user's policy.
const TRUST: &str = "fn environment(host) {\n    base::environment(host);\n    env::set(\"NODE_EXTRA_CA_CERTS\", \"/run/company.pem\", \"the company's proxy\");\n}\n\
                     fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"~/company/ca.pem\", \"/run/company.pem\", \"the company's proxy\");\n}\n";

fn ask(test: Test, turn: &str) -> Test {
    test.args(["--yes", "--quiet", "-p", turn])
}

as_both! {
    /// It gets its answer, and what it runs for the model reaches the internet and not the local network.
    fn claude_code_works_over_tls(user: User) {
        const ATTEMPTS: &str = "RUN:for to in 203.0.113.10 192.168.77.2 192.168.77.10 169.254.169.254; do ./probe tcp $to 80; done:END";
        const FOUND: &str = "ECHO internet\nEHOSTUNREACH\nEHOSTUNREACH\nEHOSTUNREACH\n";
        lab().on_machine(|| {
            let by_policy = test(user).policy(TRUST);
            let by_host = test(user).var("NODE_EXTRA_CA_CERTS", "[HOME]/company/ca.pem");
            for test in [by_policy, by_host] {
                ask(test.clone(), "hello").stdout(&format!("{PLAIN}\n")).run();
                ask(test, ATTEMPTS).stdout(FOUND).run();
            }
            // The control: the very same program outside reaches all of it.
            let control = test(user).var("NODE_EXTRA_CA_CERTS", "[HOME]/company/ca.pem");
            let claude = claude::path();
            let run = control.control(&[claude.to_str().expect("a path in ASCII"), "--allowedTools", "Bash", "-p", ATTEMPTS]);
            assert_eq!(run.stdout, "ECHO internet\nneighbour\nmachine\nmetadata\n", "{run:?}");
        });
    }

    /// A certificate that nobody calls trusted is refused, with the words that the user knows from outside.
    fn claude_code_trusts_nobody_else(user: User) {
        lab().on_machine(|| {
            let claude = claude::path();
            let outside = test(user).control(&[claude.to_str().expect("a path in ASCII"), "-p", "hello"]);
            assert_eq!((outside.exit, outside.stdout.contains("DEPTH_ZERO_SELF_SIGNED_CERT")), (1, true), "{outside:?}");
            ask(test(user), "hello").stdout(&outside.stdout).stderr(&outside.stderr).exit(1).run();
        });
    }
}
