//! The bundled policies are tested as a user's are, and the tests' own errors are told.

use super::*;

fn source(layer: &str, file: &str, text: &str) -> Source {
    Source {
        layer: layer.into(),
        file: file.into(),
        text: text.into(),
    }
}

fn suite(policy: &str, tests: &str) -> Suite {
    Suite {
        tests: source("tests", "policy.test.rhai", tests),
        layers: vec![crate::host::policies::bundled(), source("user", "policy.rhai", policy)],
    }
}

#[track_caller]
fn complete(suite: &Suite) {
    let report = run(suite).unwrap_or_else(|refusal| panic!("{refusal}"));
    let text = report.text(Style::plain());
    assert!(report.passed(), "{text}");
    assert_eq!(report.lines.map(|lines| lines.missed), Some(Vec::new()), "{text}");
}

#[test]
fn the_bundled_policy_is_tested_in_full() {
    complete(&Suite {
        tests: source(
            "tests",
            "policy/policy.test.rhai",
            include_str!("../../policy/policy.test.rhai"),
        ),
        layers: vec![crate::host::policies::bundled()],
    });
}

#[test]
fn the_bundled_profiles_are_tested_in_full() {
    let tests = [
        include_str!("../../policy/profiles/offline.test.rhai"),
        include_str!("../../policy/profiles/strict.test.rhai"),
    ];
    for ((name, text), tests) in crate::host::policies::PROFILES.iter().zip(tests) {
        complete(&Suite {
            tests: source("tests", &format!("policy/profiles/{name}.test.rhai"), tests),
            layers: vec![
                crate::host::policies::bundled(),
                source("profile", &format!("policy/profiles/{name}.rhai"), text),
            ],
        });
    }
}

const POLICY: &str = "fn variable(host, name) {\n    if name == \"COLOUR\" { return env::pass(\"tests print it\"); }\n    base::variable(host, name)\n}\n\n\
                      fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"~/data\", \"training data\");\n}\n";

#[test]
fn a_failure_tells_what_was_decided_where() {
    let tests = "fn test_data() {\n    given::directory(\"~/data\");\n    expect::writable(\"~/data\");\n}\n\n\
                 fn test_colour() {\n    given::variable(\"COLOUR\");\n    expect::hidden(\"COLOUR\");\n}\n\n\
                 fn test_good() {\n    expect::absent(\"~/data\");\n}\n";
    let report = run(&suite(POLICY, tests)).unwrap();
    assert_eq!(
        report.text(Style::plain()),
        "policy.test.rhai\n  FAIL test_colour\n  FAIL test_data\n  ok   test_good\n\n\
         error[policy-test]: `COLOUR` enters\n  ——▶ policy.test.rhai:8:13\n  |\n8 |     expect::hidden(\"COLOUR\");\n  |             ^^^^^^\n  \
         ——▶ policy.rhai:2:39\n  |\n2 |     if name == \"COLOUR\" { return env::pass(\"tests print it\"); }\n  |                                       ^^^^ decided here\n\n\
         error[policy-test]: `~/data` is readable inside, not writable\n  ——▶ policy.test.rhai:3:13\n  |\n3 |     expect::writable(\"~/data\");\n  |             ^^^^^^^^\n  \
         ——▶ policy.rhai:8:12\n  |\n8 |     mount::ro(\"~/data\", \"training data\");\n  |            ^^ decided here\n\
         policy.rhai: 3 of 4 lines ran (75 %); not all of line 3\n"
    );
}

#[test]
fn a_refused_policy_fails_the_tests_that_do_not_expect_it() {
    let policy = "fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"~/.ssh\", \"keys\");\n}\n";
    let tests = "fn test_a() {\n    given::file(\"~/.ssh/id\");\n    expect::refused(\"secret-exposed\");\n}\n\n\
                 fn test_b() {\n    given::file(\"~/.ssh/id\");\n    expect::accepted();\n}\n";
    let report = run(&suite(policy, tests)).unwrap();
    assert_eq!(
        report.text(Style::plain()),
        "policy.test.rhai\n  ok   test_a\n  FAIL test_b\n\n\
         error[policy-test]: it is refused: secret-exposed: `/home/u/.ssh` is a secret: it holds SSH keys\n  ——▶ policy.test.rhai:8:13\n  |\n\
         8 |     expect::accepted();\n  |             ^^^^^^^^\n  ——▶ policy.rhai:3:12\n  |\n3 |     mount::ro(\"~/.ssh\", \"keys\");\n  |            ^^ decided here\n\
         policy.rhai: 2 of 2 lines ran (100 %)\n"
    );
}

#[test]
fn mistakes_of_the_tests() {
    let table = [
        (
            "fn test_a(x) {}",
            "error[policy-test]: the test `test_a` takes no parameters",
            4,
        ),
        (
            "fn helper() {}",
            "error[policy-test]: `policy.test.rhai` has no test",
            0,
        ),
        (
            "fn test_a() {",
            "error[policy-syntax]: expecting `}` to terminate this block",
            14,
        ),
        (
            "loop {}\nfn helper() {}",
            "error[policy-test]: `policy.test.rhai` has no test",
            0,
        ),
    ];
    for (tests, message, column) in table {
        let text = run(&suite(POLICY, tests)).unwrap_err().to_string();
        assert_eq!(text.lines().next(), Some(message));
        if column > 0 {
            assert_eq!(
                text.lines().nth(1),
                Some(format!("  ——▶ policy.test.rhai:1:{column}").as_str())
            );
        }
    }
    let table = [
        (
            "expect::acepted();",
            "there is no word `expect::acepted`",
            "did you mean `expect::accepted`?",
        ),
        (
            "given::file();",
            "`given::file` does not take these arguments",
            "write `given::file(path)` or `given::file(path, content)`",
        ),
        ("mount::ro(\"/\", \"x\");", "", ""),
        ("loop {}", "the test `test_a` takes too long, or too much memory", ""),
        ("throw \"mine\";", "mine", ""),
        ("given::variable(\"A=B\");", "the name `A=B` contains `=`", ""),
        ("given::file(7);", "`given::file(path)` takes text as `path`", ""),
        (
            "expect::accepted(); given::nix();",
            "the host is described before the first expectation",
            "",
        ),
        (
            "expect::passes(\"NONE\");",
            "the host has no variable `NONE`: write `given::variable(\"NONE\")`",
            "",
        ),
    ];
    for (body, message, hint) in table {
        let run = run(&suite(POLICY, &format!("fn test_a() {{ {body} }}")));
        let Ok(report) = run else {
            assert_eq!(message, "", "{body}");
            continue;
        };
        let failure = report.tests[0].1.clone().unwrap();
        assert_eq!(failure.message, message);
        assert_eq!(failure.hint.unwrap_or_default(), hint);
    }
}
