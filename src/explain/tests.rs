//! Whole texts: of the trace under policies of every kind, of subjects of every kind, and that no form holds a secret.

use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;

use crate::host::tree::{Kind, Tree};
use crate::host::{self, Host};
use crate::path::EnvName;
use crate::request::{Program, Request};
use crate::script::layer::Source;
use crate::style::Style;
use crate::{Decided, decide_with};

use super::{Launch, Look, html, json, text};

/// The value of a variable that is a secret.
const CANARY: &str = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";

const BASE: &str = r#"fn secrets(host) { secret::path("~/customers", "data of customers"); }
fn variable(host, name) {
    switch name {
        "TERM" => env::pass("what the terminal can do"),
        _ => env::hide("not on the list"),
    }
}
fn environment(host) { env::set("PATH", "/usr/bin", "programs of the sandbox"); }
fn mounts(host) {
    mount::rw(host.project, "the project");
    mount::ro("/usr", "the programs of the distribution");
    mount::link("usr/bin", "/bin", "as on the host");
    mount::ro("/opt/absent", "programs, where there are any");
    mount::text("/etc/passwd", "u:x:1000:1000::/home/u:/bin/sh\n", "the user");
}
fn network(host) { net::none("nothing needs it"); }
"#;

fn host() -> Rc<Host> {
    let mut tree = Tree::described();
    for directory in [
        "/usr/bin",
        "/home/u/p/src",
        "/home/u/.claudebox",
        "/home/u/.config/claudebox",
        "/home/u/datasets",
        "/home/u/customers",
        "/srv",
    ] {
        tree.describe(Path::new(directory), Kind::Directory, 1000, b"");
    }
    for file in [
        "/usr/bin/bwrap",
        "/usr/bin/claudebox",
        "/usr/bin/dash",
        "/home/u/.ssh/id",
        "/home/u/p/.env",
        "/home/u/p/src/main.rs",
        "/etc/passwd",
    ] {
        tree.describe(Path::new(file), Kind::File, 1000, b"text");
    }
    for (link, target) in [
        ("/usr/bin/sh", "dash"),
        ("/home/u/p/data", "../datasets"),
        ("/home/u/p/keys", "/home/u/.ssh"),
    ] {
        tree.describe(Path::new(link), Kind::Link(target.into()), 1000, b"");
    }
    let mut host = host::described(tree);
    let facts = Rc::get_mut(&mut host).unwrap();
    for (name, value) in [
        ("TERM", "xterm"),
        ("HOME", "/home/u"),
        ("GITHUB_TOKEN", CANARY),
        ("EDITOR", "vi"),
        ("LD_PRELOAD", "/x.so"),
    ] {
        facts.variables.insert(EnvName::new(name).unwrap(), value.into());
    }
    facts.variables.sort_keys();
    host
}

fn source(layer: &str, file: &str, text: &str) -> Source {
    Source {
        layer: layer.into(),
        file: file.into(),
        text: text.into(),
    }
}

/// The forms of one launch under a user policy.
struct Forms {
    text: String,
    quiet: String,
    json: String,
    html: String,
}

fn forms(policy: &str, subjects: &[&str]) -> Forms {
    let host = host();
    let request = Request {
        program: Program::Command,
        arguments: vec!["true".into()],
        network: None,
        policy: None,
        no_user_policy: false,
        mounts: Vec::new(),
        profile: None,
    };
    let mut layers = vec![source("bundled", "policy/policy.rhai", BASE)];
    if !policy.is_empty() {
        layers.push(source("user", "~/.config/claudebox/policy.rhai", policy));
    }
    let decided: Decided = decide_with(&layers, &host, &request);
    let launch = Launch {
        host: &host,
        request: &request,
        layers: &layers,
        decided: &decided,
    };
    let subjects: Vec<OsString> = subjects.iter().map(OsString::from).collect();
    let look = |quiet| Look {
        style: Style::plain(),
        quiet,
    };
    Forms {
        text: text(&launch, &subjects, look(false)),
        quiet: text(&launch, &subjects, look(true)),
        json: super::json(&launch, &subjects),
        html: html::page(&launch),
    }
}

#[track_caller]
fn shows(shown: &str, expected: &str) {
    assert!(shown == expected, "--- expected:\n{expected}\n--- shown:\n{shown}\n---");
}

const EXTENDED: &str = r#"fn variable(host, name) {
    if name == "EDITOR" { return env::pass("the editor"); }
    if name == "GITHUB_TOKEN" { return env::pass("to fetch"); }
    base::variable(host, name)
}
fn environment(host) {
    base::environment(host);
    env::set("PATH", "/usr/local/bin:/usr/bin", "my programs too");
}
fn mounts(host) {
    base::mounts(host);
    debug("datasets next");
    mount::ro("~/datasets", "training data, read only");
    mount::ro("/usr/bin", "/opt/tools", "the tools under the name that the build of this project expects them to have");
}
"#;

const REFUSED: &str = r#"fn mounts(host) {
    base::mounts(host);
    mount::ro("~/.ssh", "keys");
}
"#;

const FAILING: &str = r#"fn mounts(host) {
    mount::rw(host.project, "the project");
    mount::ro(host.nothing, "x");
}
"#;

#[test]
fn the_whole_trace() {
    shows(&forms("", &[]).text, include_str!("tests/bundled.txt"));
    shows(&forms(EXTENDED, &[]).text, include_str!("tests/extended.txt"));
    shows(&forms(EXTENDED, &[]).quiet, include_str!("tests/quiet.txt"));
    shows(&forms(REFUSED, &[]).quiet, include_str!("tests/refused.txt"));
    shows(&forms(FAILING, &[]).text, include_str!("tests/failing.txt"));
}

#[test]
fn one_subject() {
    let paths = [
        "/home/u/p/src/main.rs",
        "src/../.env",
        "~/.ssh/id",
        "~/datasets",
        "data",
        "keys/id",
        "/bin/sh",
        "/etc",
        "/etc/passwd",
        "/opt/absent",
        "/dev/null",
        "/proc/1/environ",
        "/srv",
        "~",
    ];
    shows(&forms("", &paths).text, include_str!("tests/paths.txt"));
    let passing = "fn secrets(host) {\n    secret::pass_file(\"~/p/.env\", \"ports of the dev servers\");\n}\n";
    shows(&forms(passing, &[".env"]).text, include_str!("tests/passed.txt"));
    let variables = [
        "TERM",
        "PATH",
        "HOME",
        "EDITOR",
        "GITHUB_TOKEN",
        "LD_PRELOAD",
        "NOPE",
        "$nope",
    ];
    shows(&forms("", &variables).text, include_str!("tests/variables.txt"));
    let extended = [
        "PATH",
        "GITHUB_TOKEN",
        "~/datasets",
        "/srv",
        "/opt/tools/sh",
        "localhost:80",
    ];
    shows(
        &forms(EXTENDED, &extended).text,
        include_str!("tests/subjects-extended.txt"),
    );
    shows(
        &forms(REFUSED, &["~/.ssh", "/srv"]).text,
        include_str!("tests/subjects-refused.txt"),
    );
    shows(
        &forms(FAILING, &["/srv", "TERM"]).text,
        include_str!("tests/subjects-failing.txt"),
    );
}

#[test]
fn no_line_is_wider_than_a_terminal_unless_a_name_is() {
    for policy in ["", EXTENDED, FAILING] {
        for line in forms(policy, &[]).text.lines() {
            let longest = line.split(' ').map(super::wrap::width).max().unwrap_or_default();
            assert!(
                super::wrap::width(line) <= super::wrap::WIDTH
                    || longest > 50
                    || line.contains("——▶")
                    || line.starts_with("hint"),
                "{line}"
            );
        }
    }
}

#[test]
fn no_form_holds_the_value_of_a_secret() {
    let passes = "fn variable(host, name) { env::pass_secret(\"all\") }";
    for policy in ["", EXTENDED, passes] {
        let forms = forms(policy, &[]);
        let one = self::forms(policy, &["GITHUB_TOKEN"]);
        for form in [
            &forms.text,
            &forms.quiet,
            &forms.json,
            &forms.html,
            &one.text,
            &one.json,
        ] {
            assert!(!form.contains(CANARY));
        }
    }
}

#[test]
fn every_decision_is_in_every_whole_form() {
    let host = host();
    let request = Request {
        program: Program::Shell,
        arguments: Vec::new(),
        network: None,
        policy: None,
        no_user_policy: false,
        mounts: Vec::new(),
        profile: None,
    };
    let layers = [
        source("bundled", "policy/policy.rhai", BASE),
        source("user", "~/.config/claudebox/policy.rhai", EXTENDED),
    ];
    let decided = decide_with(&layers, &host, &request);
    let launch = Launch {
        host: &host,
        request: &request,
        layers: &layers,
        decided: &decided,
    };
    let look = Look {
        style: Style::plain(),
        quiet: false,
    };
    let plain = text(&launch, &[], look);
    // Wrapped lines are laid together again, so that a reason is found whatever its length.
    let words: String = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let document: serde_json::Value = serde_json::from_str(&json::whole(&launch)).unwrap();
    assert_eq!(document["decisions"].as_array().unwrap().len(), decided.trace.len());
    for (_, decision) in decided.trace.iter() {
        assert!(plain.contains(&decision.subject), "{decision:?}");
        assert!(
            words.contains(&decision.reason) || decision.reason == "debug",
            "{decision:?}"
        );
        assert!(words.contains(&super::place(&decision.site)), "{decision:?}");
    }
}
