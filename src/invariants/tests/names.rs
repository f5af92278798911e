//! The network `allowlist`: which names it opens, what it refuses, and what it needs.

use super::broker::{REAL, host, set};
use super::*;
use crate::diagnostic::Diagnostic;
use crate::draft::Keeper;
use crate::net::reach::{self, Target};
use crate::request::Request;
use crate::style::Style;

/// The network `allowlist` with these lines after it is chosen.
fn names(lines: &str) -> String {
    format!(
        "fn variable(host, name) {{ env::pass_secret(\"all\") }}\nfn network(host) {{\n    net::allowlist(\"work\");\n    {lines}\n}}\n\
         fn credentials(host) {{ credential::pass(\"needed\"); credential::broker(\"outside\"); }}\n"
    )
}

#[test]
fn named_hosts_can_be_reached_and_nothing_else() {
    let lines = "net::allow_host(\"crates.io\", \"crates\"); net::allow_host(\"*.GitHub.com\", \"git\"); net::allow_host(\"crates.io.\", \"again\");\n    \
                 net::allow(\"192.168.1.1:80\", \"the router\"); net::allow_host_port(6379, \"redis\"); net::publish(3000, \"the server\");";
    let decided = decided(
        &names(lines),
        &host(|host| set(host, "HTTPS_PROXY", "http://proxy")),
        &request(),
    );
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let ask = |question: &str| {
        let reach = reach::ask(plan.parts(), &Target::parse(question).unwrap());
        let reason = reach
            .decision()
            .and_then(|id| decided.trace.get(id))
            .map(|decision| decision.reason.clone());
        format!("{question} {reach} ({})", reason.unwrap_or_default())
    };
    let table = [
        (
            "crates.io:443",
            "can be reached: the broker carries the connection over to it (crates)",
        ),
        (
            "api.github.com:80",
            "can be reached: the broker carries the connection over to it (git)",
        ),
        (
            "github.com:443",
            "cannot be reached: no `net::allow_host` names it, so its name does not resolve (work)",
        ),
        (
            "crates.io:22",
            "cannot be reached: the broker answers on the ports of the web alone, 443 and 80 (crates)",
        ),
        (
            "crates.io:443/udp",
            "cannot be reached: the broker answers on the ports of the web alone, 443 and 80 (crates)",
        ),
        (
            "api.anthropic.com:443",
            "can be reached: the broker answers there, and speaks for Claude Code (outside)",
        ),
        (
            "api.anthropic.com:80",
            "cannot be reached: the broker answers on the ports of the web alone, 443 and 80 (outside)",
        ),
        (
            "8.8.8.8:443",
            "cannot be reached: in this network hosts are reached by name alone (work)",
        ),
        (
            "[2001:db8::1]:443",
            "cannot be reached: in this network hosts are reached by name alone (work)",
        ),
        (
            "localhost:80",
            "can be reached: it is the sandbox's own loopback, not this host's (work)",
        ),
    ];
    for (question, answer) in table {
        assert_eq!(ask(question), format!("{question} {answer}"));
    }
    let idle: Vec<String> = decided
        .verdict
        .fates
        .iter()
        .filter_map(|(id, fate)| Some(format!("{}: {fate:?}", decided.trace.get(*id)?.reason)))
        .collect();
    assert_eq!(idle.len(), 6, "{idle:#?}");
    let by_name =
        |reason| format!("{reason}: Idle(\"the network is `allowlist`, in which hosts are opened by name alone\")");
    assert_eq!(
        idle[2..6],
        [
            by_name("the router"),
            by_name("redis"),
            by_name("the server"),
            "all: Clamped { code: \"network\", why: \"in the network `allowlist` no proxy can be reached\" }".into(),
        ],
        "{idle:#?}"
    );
    let audit = crate::audit::text(plan, &decided.verdict, &decided.trace, Style::plain());
    let (_, network) = audit.split_once("\nnetwork: ").unwrap();
    assert_eq!(
        network,
        "named hosts, and nothing else (work)\n  open    crates.io *.github.com\nlogin: none; `claudebox --login` makes one\n"
    );
    let options = bwrap::invocation(plan).options;
    assert!(options.contains(&Word::Lifeline) && !options.contains(&Word::Plain("--unshare-net".into())));
}

#[test]
fn a_login_that_is_inside_needs_its_service_on_the_list() {
    let policy = names("").replace("credential::broker(\"outside\");", "");
    let decided = decided(&policy, &host(|host| set(host, "ANTHROPIC_API_KEY", REAL)), &request());
    let plan = decided.verdict.outcome.unwrap();
    let names: Vec<String> = plan.names().unwrap().iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["api.anthropic.com", "platform.claude.com"]);
    assert_eq!(plan.credentials().keeper, Keeper::Sandbox);
    assert!(!plan.broker().unwrap().brokered);
}

#[test]
fn what_nothing_can_come_of_is_refused() {
    let missing = host(|host| {
        host.broker = Err(Diagnostic::new("claudebox-broker", "the broker is not installed").hint("install it"));
    });
    assert_eq!(
        refusal("fn network(host) { net::allowlist(\"work\"); }", &missing),
        "error[network]: the network `allowlist` needs the broker: the broker is not installed\n  ——▶ p.rhai:1:25\n  |\n1 | fn network(host) { \
         net::allowlist(\"work\"); }\n  |                         ^^^^^^^^^\nhint: install it\n"
    );
    let asked = |names: &[&str], network: Option<crate::draft::Network>| {
        let request = Request {
            allow_hosts: names.iter().map(OsString::from).collect(),
            network,
            ..request()
        };
        match decided("", &host(|_| {}), &request).verdict.outcome {
            Ok(plan) => format!("{:?}", plan.names().map(<[_]>::len)),
            Err(refusal) => refusal.to_string(),
        }
    };
    use crate::draft::Network;
    assert_eq!(
        asked(&["crates.io", "*.example.org"], Some(Network::Allowlist)),
        "Some(2)"
    );
    assert_eq!(
        asked(&["crates.io"], None),
        "error[allow-host]: nothing comes of `crates.io`: the network is `none`\n  ——▶ --allow-host crates.io\nhint: add `--net allowlist`, or leave \
         `--allow-host` out\n"
    );
    assert_eq!(
        asked(&["https://crates.io", "10.0.0.1"], Some(Network::Allowlist)),
        "error[allow-host]: the name `https://crates.io` has more in it than letters, digits, hyphens and dots: neither a port nor a path belongs \
         to it\n  ——▶ --allow-host https://crates.io\nhint: write a name such as `crates.io`, or `*.example.org` for all names below that one\n\n\
         error[allow-host]: the name `10.0.0.1` is an address: names alone can be allowed\n  ——▶ --allow-host 10.0.0.1\nhint: write a name such as \
         `crates.io`, or `*.example.org` for all names below that one\n"
    );
}
