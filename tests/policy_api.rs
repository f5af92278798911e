//! The reference of verbs, facts and words in the book is generated from the tables that the engine uses, and the examples are
//! tested as a user would test them.

use std::fmt::Write as _;
use std::path::Path;

use claudebox::policy_test::words::WORDS;
use claudebox::script::facts::{FACTS, METHODS};
use claudebox::script::hook::Hook;
use claudebox::script::verbs::{Takes, VERBS};

use crate::support::Test;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn reference() -> String {
    let mut out = "# Verbs and facts\n\nThis page is generated from the tables that the program itself uses; \
                   `CLAUDEBOX_BLESS=1 cargo test policy_api` writes it anew.\n"
        .to_string();
    let asked = |hook: Hook| match hook {
        Hook::Variable => "Asked once for each variable of the host; answers with a verdict",
        Hook::Environment => "Asked once: which variables have a value of the policy's own",
        Hook::Secrets => "Asked once: what is secret, beyond what always is",
        Hook::Mounts => "Asked once: what is there",
        Hook::Network => "Asked once: which network",
    };
    let mut line = |text: &str| writeln!(out, "{text}").expect("a text");
    for hook in Hook::ALL {
        let (name, parameters) = (hook.name(), hook.parameters().join(", "));
        line(&format!("\n## `fn {name}({parameters})`\n\n{}.\n", asked(hook)));
        line(&format!("`base::{name}({parameters})` asks the layer below."));
        let mut last = String::new();
        for verb in VERBS.iter().filter(|verb| verb.hook == hook) {
            // The forms of one verb stand below one heading, by which they can be linked to.
            if verb.path() != last {
                last = verb.path();
                line(&format!("\n### `{last}`"));
            }
            line(&format!("\n`{}` {}.", verb.signature(), verb.doc));
        }
    }
    line("\n## Arguments\n\n| name | takes |\n|---|---|");
    let mut seen = Vec::new();
    for parameter in VERBS.iter().flat_map(|verb| verb.parameters) {
        let takes = match parameter.takes {
            Takes::Path => "a path: absolute, or from the home with `~/`",
            Takes::Text => "text",
            Takes::Port => "a number from 1 to 65535",
            Takes::Reason => "the reason, at most 500 bytes; not empty",
        };
        let row = format!("| `{}` | {takes} |", parameter.name);
        if !seen.contains(&row) {
            line(&row);
            seen.push(row);
        }
    }
    line(
        "\n## `host`\n\nThe facts can be read and not changed. A path joins with text by `+`, and has `starts_with`, `ends_with` and `contains`.\n\n| fact | kind | is |\n|---|---|---|",
    );
    for fact in FACTS {
        line(&format!(
            "| `host.{}` | {} | {} |",
            fact.name,
            fact.kind,
            cell(fact.doc)
        ));
    }
    for (signature, doc) in METHODS {
        line(&format!("| `host.{signature}` | function | {} |", cell(doc)));
    }
    line(
        "\n## Words of tests\n\nSee [Testing a policy](../guide/policy-tests.md). All arguments are text.\n\n| word | says |\n|---|---|",
    );
    for word in WORDS {
        line(&format!("| `{}` | {} |", word.signature(), cell(word.doc)));
    }
    out
}

#[test]
fn the_reference_is_what_the_engine_has() {
    let page = root().join("book/src/reference/policy-api.md");
    if std::env::var_os("CLAUDEBOX_BLESS").is_some() {
        std::fs::write(&page, reference()).expect("the book");
    }
    assert_eq!(std::fs::read_to_string(page).unwrap_or_default(), reference());
}

/// Each example has its tests, all pass, every line runs, and the book has its page.
#[test]
fn every_example_is_tested_in_full_and_has_its_page() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("policy/examples")).expect("the examples") {
        let name = entry
            .expect("an example")
            .file_name()
            .into_string()
            .expect("a name in ASCII");
        if let Some(name) = name.strip_suffix(".rhai").filter(|name| !name.ends_with(".test")) {
            names.push(name.to_string());
        }
    }
    names.sort();
    assert_eq!(names, ["extend", "monorepo", "registry-token", "replace", "team"]);
    let summary = std::fs::read_to_string(root().join("book/src/SUMMARY.md")).expect("the book");
    for name in names {
        let text = |ending: &str| {
            std::fs::read_to_string(root().join(format!("policy/examples/{name}{ending}")))
                .expect("an example and its tests")
        };
        let test = Test::new()
            .file(&format!("~/examples/{name}.rhai"), &text(".rhai"))
            .file(&format!("~/examples/{name}.test.rhai"), &text(".test.rhai"));
        let run = test
            .args(["--policy-test", &format!("../examples/{name}.test.rhai")])
            .start();
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        assert!(run.stdout.ends_with(" lines ran (100 %)\n"), "{}", run.stdout);
        assert!(summary.contains(&format!("(guide/example-{name}.md)")), "{name}");
        let page = std::fs::read_to_string(root().join(format!("book/src/guide/example-{name}.md"))).expect("its page");
        for ending in [".rhai", ".test.rhai"] {
            assert!(
                page.contains(&format!("{{{{#include ../../../policy/examples/{name}{ending}}}}}")),
                "{name}"
            );
        }
    }
}
