//! Texts that people, or agents, write: policies, their tests, a project's files, options, the list of projects.

use std::rc::Rc;

use claudebox::declared::Declared;
use claudebox::diagnostic::Diagnostic;
use claudebox::host;
use claudebox::host::tree::Tree;
use claudebox::policy_test::coverage;
use claudebox::script::{self, layer::Source};
use claudebox::style::Style;
use claudebox::trace::Site;

use super::{Random, many};

const POLICY: &str = include_str!("../../policy/policy.rhai");
const STRICT: &str = include_str!("../../policy/profiles/strict.rhai");
const TESTS: &str = include_str!("../../policy/policy.test.rhai");

/// Pieces of policies, good and bad.
const PIECES: &[&str] = &[
    "fn mounts(host) {",
    "fn variable(host, name) {",
    "fn secrets(host) {",
    "fn environment(host) {",
    "fn network(host) {",
    "}",
    "{",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    "=>",
    "|",
    "||",
    "|x|",
    "#{",
    ":",
    "::",
    ".",
    "..",
    "..=",
    "=",
    "==",
    "+",
    "-",
    "!",
    "if ",
    "else ",
    "for x in ",
    "while true ",
    "loop ",
    "do ",
    "until ",
    "switch name ",
    "return ",
    "let x = ",
    "const X = ",
    "throw ",
    "break",
    "continue",
    "in ",
    "this",
    "fn f(a) ",
    "private ",
    "try ",
    "catch ",
    "import ",
    "export ",
    "eval",
    "mount::ro(",
    "mount::rw(",
    "mount::mask(",
    "mount::text(",
    "mount::empty_home(",
    "env::pass(",
    "env::set(",
    "net::none(",
    "secret::path(",
    "secret::pass_file(",
    "base::mounts(host)",
    "base::variable(host, name)",
    "host.home",
    "host.list(\"/\")",
    "host",
    "name",
    "\"x\"",
    "\"~/.ssh\"",
    "\"/\"",
    "`a ${x} b`",
    "'c'",
    "0",
    "9223372036854775807",
    "1.5",
    "0x7f",
    "true",
    "()",
    "_",
    ".map(|x| x)",
    ".push(x)",
    ".pad(100000, x)",
    ".sort()",
    "Fn(\"f\")",
    ".call()",
    ".curry(1)",
    "debug(",
    "print(",
    "// c\n",
    "/* c */",
    "/*",
    "\n",
    "\t",
    "\r\n",
    "\u{202e}",
    "\0",
    "\u{feff}",
    "#!",
    "#\"raw\"#",
    "\"",
    "`",
    "\\",
    "é",
    "𝄞",
];

/// A text that is a policy no more, or was none.
fn mutated(random: &mut Random, base: &str) -> String {
    let mut text: Vec<char> = base.chars().collect();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        match random.below(5) {
            0 => {
                let end = (at + random.below(40)).min(text.len());
                text.drain(at..end);
            }
            1 => {
                let end = (at + random.below(200)).min(text.len());
                let copy: Vec<char> = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, copy);
            }
            2 => {
                let swap = random.below(text.len() + 1);
                if at < text.len() && swap < text.len() {
                    text.swap(at, swap);
                }
            }
            _ => {
                let piece: Vec<char> = random.of(PIECES).chars().collect();
                text.splice(at..at, piece);
            }
        }
    }
    text.into_iter().collect()
}

fn soup(random: &mut Random) -> String {
    (0..random.below(60)).map(|_| *random.of(PIECES)).collect()
}

fn policy(random: &mut Random) -> String {
    match random.below(4) {
        0 => soup(random),
        1 => mutated(random, STRICT),
        2 => format!("fn mounts(host) {{\n{}\n}}\n", soup(random)),
        _ => mutated(random, POLICY),
    }
}

fn source(layer: &str, text: &str) -> Source {
    Source {
        layer: layer.into(),
        file: format!("{layer}.rhai").into(),
        text: text.into(),
    }
}

/// An error can be shown, is one line of message, and points into a text that is there.
fn told(error: &Diagnostic, text: &str) {
    assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
    assert!(error.message.chars().all(|c| !c.is_control()), "{error:?}");
    for (site, _) in &error.places {
        if let Site::Script { file, line, column, .. } = site
            && **file == *"user.rhai"
        {
            // The end of a text counts as a line of its own.
            assert!(
                *line >= 1 && *column >= 1 && *line <= text.lines().count() + 1,
                "{error:?}\n{text}"
            );
        }
    }
    let rendered = error.render(
        &[("user.rhai".into(), text.into())].into_iter().collect(),
        Style::plain(),
    );
    assert!(rendered.chars().all(|c| c == '\n' || !c.is_control()), "{rendered:?}");
}

#[test]
fn policies() {
    many(300, |random| {
        let mut tree = Tree::described();
        tree.describe("/home/u/p".as_ref(), host::tree::Kind::Directory, 1000, b"");
        let host = host::described(tree);
        let text = policy(random);
        let layers = [source("bundled", POLICY), source("user", &text)];
        let first = script::evaluate(&layers, &host);
        if let Err(error) = &first.outcome {
            told(error, &text);
            if error.code == "bounded-policy" {
                return;
            }
        }
        // The same policy and the same host give the same answer.
        let second = script::evaluate(&layers, &Rc::clone(&host));
        assert_eq!((first.trace, first.outcome), (second.trace, second.outcome));
    });
}

/// A probed policy decides what it decided without its probes.
#[test]
fn probes_change_nothing() {
    many(300, |random| {
        let text = if random.once_in(2) {
            mutated(random, STRICT)
        } else {
            mutated(random, POLICY)
        };
        let host = host::described(Tree::described());
        let plain = script::evaluate(&[source("bundled", POLICY), source("user", &text)], &host);
        let probed = coverage::probe(&text).text;
        let layers = [source("bundled", POLICY), source("user", &probed)];
        let measured = script::evaluate_covered(&layers, &host, Some(Rc::default()));
        if plain.outcome.is_ok() {
            let error = measured
                .outcome
                .as_ref()
                .err()
                .map(|error| (error.code, error.message.clone()));
            assert!(
                error.is_none_or(|(code, _)| code == "bounded-policy"),
                "{text}\n{probed}"
            );
        }
    });
}

#[test]
fn tests_of_policies() {
    many(60, |random| {
        let text = mutated(random, TESTS);
        let suite = claudebox::policy_test::Suite {
            tests: source("user", &text),
            layers: vec![source("bundled", POLICY)],
        };
        match claudebox::policy_test::run(&suite) {
            Ok(report) => report
                .tests
                .iter()
                .filter_map(|(_, failure)| failure.as_ref())
                .for_each(|e| told(e, &text)),
            Err(refusal) => refusal.diagnostics.iter().for_each(|error| told(error, &text)),
        }
    });
}

const PROJECT: &str =
    "# tools\ntools = [\"jq\", 'b.c']\nnetwork = \"none\"\nmask = [\"*.key\", \"a/b\"]\nreadonly = [\"docs\"]\n";
const TOML: &[&str] = &[
    "tools",
    "network",
    "mask",
    "readonly",
    " = ",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    ",",
    ".",
    "\n",
    "#",
    "jq",
    "../",
    "/",
    "*",
    "?",
    "true",
    "1e9",
    "1979-05-27",
    "\u{202e}",
    "\0",
    "\\u0000",
    "\\U0010FFFF",
    "\r",
    "é",
    "none",
    "host",
    "-",
    "_",
];

#[test]
fn files_of_projects() {
    many(3000, |random| {
        let mut text: String = if random.once_in(3) {
            String::new()
        } else {
            PROJECT.into()
        };
        for _ in 0..random.below(30) {
            let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
            let at = *random.of(&places);
            if random.once_in(4) {
                text.truncate(at);
            } else {
                let piece: &&str = random.of(TOML);
                text.insert_str(at, piece);
            }
        }
        for list in [false, true] {
            let mut declared = Declared::default();
            let read = if list {
                declared.read_list(&text)
            } else {
                declared.read_file(&text)
            };
            if let Err(error) = read {
                told(&error, &text);
            }
            // Whatever was taken is a plain name or stays in the project.
            for tool in &declared.tools {
                assert!(
                    !tool.what.contains(['/', ' ', ':', '\n', '\0']) && !tool.what.starts_with('-'),
                    "{tool:?}"
                );
            }
            for path in declared.readonly.iter().map(|said| &said.what) {
                assert!(
                    !path.starts_with('/') && !path.split('/').any(|step| step == ".."),
                    "{path}"
                );
            }
        }
    });
}
