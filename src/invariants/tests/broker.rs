//! Who holds Claude Code's login, what is inside in its place, and the network `allowlist`.

use super::*;
use crate::decide_with;
use crate::diagnostic::Diagnostic;
use crate::draft::Keeper;
use crate::net::broker::wire::Credential;
use crate::net::broker::{ACCESS, KEY};
use crate::net::reach::{self, Target};
use crate::path::HostPath;
use crate::request::{Program, Request};
use crate::script::layer::Source;
use crate::style::Style;

/// The real login, in each of its forms.
const REAL: &str = "sk-ant-api03-REAL-REAL-REAL";

/// Passes every variable, and asks for the broker first and the login inside where it cannot be.
const POLICY: &str = "fn variable(host, name) { env::pass_secret(\"all\") }
fn network(host) { net::internet(\"work\"); }
fn credentials(host) {
    credential::pass(\"needed\");
    credential::broker(\"outside\");
}
";

fn host(change: impl FnOnce(&mut Host)) -> Rc<Host> {
    let mut tree = tree();
    tree.describe(Path::new("/usr/bin/claudebox-broker"), Kind::File, 0, b"");
    let mut host = Rc::into_inner(host::described(tree)).unwrap();
    host.broker = Ok(HostPath::new("/usr/bin/claudebox-broker").unwrap());
    change(&mut host);
    Rc::new(host)
}

fn set(host: &mut Host, name: &str, value: &str) {
    host.variables.insert(EnvName::new(name).unwrap(), value.into());
}

fn login(host: &mut Host, path: &str) {
    let text = format!(
        "{{\"claudeAiOauth\":{{\"accessToken\":\"{REAL}\",\"refreshToken\":\"{REAL}2\",\"scopes\":[\"user:inference\"]}}}}"
    );
    host.tree.describe(Path::new(path), Kind::File, 1000, text.as_bytes());
    host.tree
        .alter(Path::new("/home/u/.claudebox"), |node| node.mode = 0o700);
    for directory in ["/home/u/.claudebox", "/home/u/.claudebox/auth"] {
        host.tree.describe(Path::new(directory), Kind::Directory, 1000, b"");
        host.tree.alter(Path::new(directory), |node| node.mode = 0o700);
    }
}

/// Who holds the login, and what became of both decisions.
fn keeper(policy: &str, host: &Rc<Host>) -> String {
    let decided = decided(policy, host, &request());
    let plan = match &decided.verdict.outcome {
        Ok(plan) => plan,
        Err(refusal) => return refusal.to_string(),
    };
    let mut out = format!(
        "{} of {:?}\n",
        plan.credentials().keeper.word(),
        plan.credentials().origin
    );
    for (id, fate) in &decided.verdict.fates {
        if let (Fate::Idle(why), Some(decision)) = (fate, decided.trace.get(*id)) {
            out.push_str(&format!("{}: {why}\n", decision.subject));
        }
    }
    out
}

#[test]
fn the_broker_holds_it_where_it_can() {
    let with = |name: &'static str, value: &'static str| {
        host(move |host| {
            set(host, "ANTHROPIC_API_KEY", REAL);
            set(host, name, value);
        })
    };
    let usual = "broker of Some(\"`ANTHROPIC_API_KEY`\")\n";
    let pass = |why: &str| format!("pass of Some(\"`ANTHROPIC_API_KEY`\")\nbroker: {why}\n");
    let none = POLICY.replace("net::internet", "net::none");
    let shared = POLICY.replace("net::internet", "net::host");
    let missing = host(|host| {
        set(host, "ANTHROPIC_API_KEY", REAL);
        host.broker = Err(Diagnostic::new("claudebox-broker", "the broker is not installed"));
    });
    let table = [
        (POLICY, with("X", "1"), usual.to_string()),
        (POLICY, with("ANTHROPIC_BASE_URL", "https://api.anthropic.com/"), usual.into()),
        (POLICY, with("HTTPS_PROXY", ""), usual.into()),
        (none.as_str(), missing.clone(), usual.into()),
        (shared.as_str(), with("X", "1"), pass("the network is this host's own, and nothing stands between it and the sandbox")),
        (POLICY, missing.clone(), pass("the broker is not installed")),
        (
            POLICY,
            with("ANTHROPIC_BASE_URL", "https://gateway.example"),
            pass("by `ANTHROPIC_BASE_URL` Claude Code talks to `https://gateway.example`, for which the broker does not speak"),
        ),
        (
            POLICY,
            with("CLAUDE_CODE_USE_BEDROCK", "1"),
            pass("by `CLAUDE_CODE_USE_BEDROCK` Claude Code talks to Amazon Bedrock, for which the broker does not speak"),
        ),
        (
            POLICY,
            with("https_proxy", "http://proxy:3128"),
            pass("by `https_proxy` Claude Code goes through a proxy, and past the broker"),
        ),
        (
            "fn variable(host, name) { env::pass_secret(\"all\") }\nfn credentials(host) { credential::broker(\"only\"); }\nfn network(host) { net::host(\"all\"); }\n",
            with("X", "1"),
            "error[brokered-credential]: the broker cannot hold Claude Code's login: the network is this host's own, and nothing stands between \
             it and the sandbox\n  ——▶ p.rhai:2:36\n  |\n2 | fn credentials(host) { credential::broker(\"only\"); }\n  |                                    ^^^^^^\nhint: a policy that says `credential::pass(why)` first falls back to it\n"
                .into(),
        ),
        (
            "fn variable(host, name) { env::pass_secret(\"all\") }\nfn credentials(host) { credential::broker(\"a\"); credential::pass(\"b\"); }\n",
            with("X", "1"),
            "pass of Some(\"`ANTHROPIC_API_KEY`\")\n".into(),
        ),
        // Nobody decides: it stays outside.
        ("fn variable(host, name) { env::pass_secret(\"all\") }\n", with("X", "1"), usual.into()),
        (POLICY, host(|_| {}), "broker of None\n".into()),
        (POLICY, host(|host| login(host, "/home/u/.claudebox/auth/.credentials.json")), "broker of Some(\"~/.claudebox/auth/.credentials.json\")\n".into()),
        (POLICY, host(|host| login(host, "/home/u/.claudebox/.credentials.json")), "broker of Some(\"~/.claudebox/.credentials.json\")\n".into()),
    ];
    for (policy, host, expected) in table {
        assert_eq!(keeper(policy, &host), expected, "{policy}\n{:?}", host.variables);
    }
}

/// The variables and files that stand for the login inside.
fn inside(policy: &str, host: &Rc<Host>) -> (Vec<String>, Option<Credential>) {
    let decided = decided(policy, host, &request());
    let plan = decided.verdict.outcome.unwrap();
    let told = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "NODE_EXTRA_CA_CERTS",
    ];
    let variables = told.iter().filter_map(|name| {
        let variable = plan.variables().get(&EnvName::new(name).unwrap())?;
        Some(format!("{name}={}", variable.value.to_str().unwrap()))
    });
    let files = plan.mounts().iter().filter_map(|mount| {
        let at = mount.at.to_string();
        let told = ["/etc/hosts", "session.pem", ".credentials.json", ".claude-auth"]
            .iter()
            .any(|name| at.ends_with(name));
        told.then(|| match &mount.what {
            What::Text(text) => format!("{at}: {}", String::from_utf8(text.clone()).unwrap()),
            What::Certificates(text) => format!("{at}: {}...", String::from_utf8(text.clone()).unwrap()),
            other => format!("{at}: {other:?}"),
        })
    });
    (variables.chain(files).collect(), plan.credentials().held.clone())
}

#[test]
fn a_placeholder_stands_for_what_the_broker_holds() {
    let all = host(|host| {
        set(host, "ANTHROPIC_API_KEY", REAL);
        set(host, "CLAUDE_CODE_OAUTH_TOKEN", "another token");
    });
    let mounts = "fn mounts(host) {
    base::mounts(host);
    mount::text(\"/etc/hosts\", \"127.0.0.1 localhost\\n\", \"names\");
    mount::text(\"/run/company.pem\", \"COMPANY\", \"the company's\");
}
fn environment(host) { env::set(\"NODE_EXTRA_CA_CERTS\", \"/run/company.pem\", \"the company's\"); }
";
    let hosts = "/etc/hosts: 127.64.0.1 api.anthropic.com\n127.64.0.2 platform.claude.com\n";
    assert_eq!(
        inside(&format!("{POLICY}{mounts}"), &all),
        (
            vec![
                format!("ANTHROPIC_API_KEY={KEY}"),
                "NODE_EXTRA_CA_CERTS=/run/claudebox-certificates/session.pem".into(),
                format!("{hosts}127.0.0.1 localhost\n"),
                "/home/u/.claude-auth: Tmpfs(448)".into(),
                "/run/claudebox-certificates/session.pem: COMPANY\n...".into(),
            ],
            Some(Credential::Key(REAL.into()))
        )
    );
    let token = host(|host| {
        set(host, "ANTHROPIC_API_KEY", "a key");
        set(host, "ANTHROPIC_AUTH_TOKEN", REAL);
    });
    let (seen, held) = inside(POLICY, &token);
    assert_eq!(
        (seen[0].as_str(), held),
        (
            format!("ANTHROPIC_AUTH_TOKEN={ACCESS}").as_str(),
            Some(Credential::Token(REAL.into()))
        )
    );
    assert!(
        !seen.iter().any(|line| line.starts_with("ANTHROPIC_API_KEY")),
        "{seen:?}"
    );

    let file = host(|host| login(host, "/home/u/.claudebox/auth/.credentials.json"));
    let (seen, held) = inside(POLICY, &file);
    let stand_in = format!(
        "{{\"claudeAiOauth\":{{\"accessToken\":\"{ACCESS}\",\"expiresAt\":4102444800000,\"refreshToken\":\"{}\",\"scopes\":[\"user:inference\"]}}}}\n",
        crate::net::broker::REFRESH
    );
    assert_eq!(
        seen,
        [
            "NODE_EXTRA_CA_CERTS=/run/claudebox-certificates/session.pem".to_string(),
            hosts.into(),
            "/home/u/.claude-auth: Tmpfs(448)".into(),
            "/run/claudebox-certificates/session.pem: ...".into(),
            format!("/home/u/.claude-auth/.credentials.json: {stand_in}"),
            format!("/home/u/.claude/.credentials.json: {stand_in}"),
        ]
    );
    assert_eq!(
        held,
        Some(Credential::Oauth("/home/u/.claudebox/auth/.credentials.json".into()))
    );
}

#[test]
fn nothing_of_the_login_enters_in_another_way() {
    let key = |change: fn(&mut Host)| {
        host(|host| {
            set(host, "ANTHROPIC_API_KEY", REAL);
            change(host);
        })
    };
    let text = |lines: &str| format!("{POLICY}fn mounts(host) {{\n    base::mounts(host);\n    {lines}\n}}\n");
    let environment = |line: &str| format!("{POLICY}fn environment(host) {{ {line} }}\n");
    let error = |what: &str| format!("{what} has Claude Code's own login in it, which the broker keeps outside");
    let messages = |policy: &str, host: &Rc<Host>| match decided(policy, host, &request()).verdict.outcome {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal.diagnostics.iter().map(|error| error.message.clone()).collect(),
    };
    let copy = key(|host| set(host, "COPY", &format!("x {REAL} y")));
    assert_eq!(messages(POLICY, &copy), [error("the variable `COPY`")]);
    let usual = key(|_| {});
    assert_eq!(messages(POLICY, &usual), Vec::<String>::new());
    assert_eq!(
        messages(&text(&format!("mount::text(\"/etc/x\", \"{REAL}\", \"x\");")), &usual),
        [error("the file `/etc/x`")]
    );
    assert_eq!(
        messages(
            &environment("env::set(\"ANTHROPIC_API_KEY\", \"mine\", \"x\");"),
            &usual
        ),
        ["`ANTHROPIC_API_KEY` is set by the launcher"]
    );
    assert_eq!(
        messages(
            &environment("env::set(\"NODE_EXTRA_CA_CERTS\", \"/nowhere.pem\", \"x\");"),
            &usual
        ),
        ["the certificates of `NODE_EXTRA_CA_CERTS` cannot be read: `/nowhere.pem`"]
    );
    assert_eq!(
        messages(
            &text("mount::ro(\"~/.claudebox/auth\", \"x\");"),
            &host(|host| login(host, "/home/u/.claudebox/auth/.credentials.json"))
        ),
        ["`/home/u/.claudebox/auth` cannot be shown: it is claudebox's own state"]
    );
}

#[test]
fn the_broker_itself_cannot_be_changed() {
    let host = host(|host| {
        host.tree
            .describe(Path::new("/opt/tools/claudebox-broker"), Kind::File, 1000, b"");
        host.broker = Ok(HostPath::new("/opt/tools/claudebox-broker").unwrap());
    });
    assert_eq!(
        refusal(
            "fn mounts(host) { base::mounts(host); mount::rw(\"/opt/tools\", \"x\"); }",
            &host
        ),
        "error[own-controls]: `/opt/tools` would be writable, and claudebox's broker lies in it: `/opt/tools/claudebox-broker`\n  \
         ——▶ p.rhai:1:46\n  |\n1 | fn mounts(host) { base::mounts(host); mount::rw(\"/opt/tools\", \"x\"); }\n  \
         |                                              ^^\nhint: install it outside every project\n"
    );
}

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

#[test]
fn a_session_to_log_in_keeps_nothing_but_the_login() {
    let mut host = Rc::into_inner(host(|host| {
        set(host, "ANTHROPIC_API_KEY", REAL);
        host.claude = Ok(crate::host::claude::Claude {
            executable: HostPath::new("/opt/claude").unwrap(),
            found_at: HostPath::new("/opt/claude").unwrap(),
            install: crate::host::claude::Install::Binary,
            version: None,
            passed_over: Vec::new(),
        });
        host.tree.describe(Path::new("/opt/claude"), Kind::File, 0, b"");
    }))
    .unwrap();
    host.without_project();
    let request = Request {
        program: Program::Login,
        ..Request::default()
    };
    let source = |layer: &str, text: &str| Source {
        layer: layer.into(),
        file: layer.into(),
        text: text.into(),
    };
    let decided = decide_with(
        &[source("bundled", crate::host::policies::BUNDLED)],
        &Rc::new(host),
        &request,
    );
    let plan = decided.verdict.outcome.unwrap();
    assert_eq!(
        plan.credentials().held,
        Some(Credential::Oauth("/home/u/.claudebox/auth/.credentials.json".into()))
    );
    assert!(plan.broker().unwrap().login);
    let writable: Vec<String> = plan
        .mounts()
        .iter()
        .filter(|mount| matches!(mount.what, What::Bind { writable: true, .. }))
        .map(|mount| mount.at.to_string())
        .collect();
    assert_eq!(writable, Vec::<String>::new());
    let made: Vec<String> = plan
        .preparations()
        .iter()
        .map(|preparation| preparation.path().to_string())
        .collect();
    assert_eq!(made, ["/home/u/.claudebox", "/home/u/.claudebox/auth"]);
}
