//! What a project may say, and every way to say too much.

use super::*;
use crate::diagnostic::Sources;
use crate::style::Style;

fn read(text: &str) -> Result<Declared, String> {
    let mut declared = Declared::default();
    let sources = Sources::from([(FILE.into(), text.into())]);
    let read = declared.read_file(text);
    read.map(|()| declared)
        .map_err(|error| error.render(&sources, Style::plain()))
}

#[test]
fn tools_and_limits() {
    let text = "# what we need\ntools = [\"jq\", \"python3Packages.black\", \"jq\"]\nnetwork = \"none\"\nmask = [\"*.key\", \"private/\"]\nreadonly = [\"docs\", \"ci/x.yml\"]\n";
    let said = |what: &str, line, column| Said {
        what: what.to_string(),
        site: place(FILE, line, column),
    };
    assert_eq!(
        read(text),
        Ok(Declared {
            tools: vec![said("jq", 2, 10), said("python3Packages.black", 2, 16)],
            network: Some(Said {
                what: Network::None,
                site: place(FILE, 3, 11)
            }),
            masks: vec![
                Said {
                    what: Mask::Name("*.key".into()),
                    site: place(FILE, 4, 9)
                },
                Said {
                    what: Mask::Path("private".into()),
                    site: place(FILE, 4, 18)
                }
            ],
            readonly: vec![said("docs", 5, 13), said("ci/x.yml", 5, 21)],
        })
    );
    assert!(read("").unwrap().is_empty());
}

#[test]
fn a_list_of_tools() {
    let mut declared = Declared::default();
    declared
        .read_list("# all of them\n  jq  # to read json\n\nripgrep\r\n")
        .unwrap();
    let said = |what: &str, line, column| Said {
        what: what.to_string(),
        site: place(LIST, line, column),
    };
    assert_eq!(declared.tools, [said("jq", 2, 3), said("ripgrep", 4, 1)]);
}

/// Each with its message, its line and column, and its hint.
#[test]
fn what_is_not_known_or_not_allowed() {
    const PATH: &str = "hint: write it from the project's root, without `..`, `*` and `?`\n";
    const NAME: &str = "hint: a name has ASCII letters, digits, `_`, `-`, `+` and `.`, and is no path\n";
    const KEY: &str = "hint: the keys are `tools`, `network`, `mask`, `readonly`; what widens the sandbox belongs in your own policy\n";
    let table: [(&str, &str, usize, &str); 21] = [
        (
            "tool = []",
            "there is no key `tool`",
            1,
            "hint: did you mean `tools`?\n",
        ),
        ("secrets = []", "there is no key `secrets`", 1, KEY),
        ("mounts = [\"/\"]", "there is no key `mounts`", 1, KEY),
        ("a.b.c = 1", "there is no key `a`", 1, KEY),
        ("tools = \"jq\"", "`tools` takes an array of texts, not a string", 9, ""),
        ("tools = [7]", "each item of `tools` takes text, not an integer", 10, ""),
        ("tools = [\"/bin/sh\"]", "`/bin/sh` is no name of a tool", 10, NAME),
        ("tools = [\"..\"]", "`..` is no name of a tool", 10, NAME),
        ("tools = [\"-x\"]", "`-x` is no name of a tool", 10, NAME),
        ("tools = [\"a b\"]", "`a b` is no name of a tool", 10, NAME),
        ("tools = [\"a;b\"]", "`a;b` is no name of a tool", 10, NAME),
        ("tools = [\"\"]", "`` is no name of a tool", 10, NAME),
        (
            "network = \"host\"",
            "a project's network is `none` or `internet`",
            11,
            "hint: a project can only narrow what the policy gives\n",
        ),
        ("network = true", "`network` takes text, not a boolean", 11, ""),
        (
            "mask = [\"a/*.key\"]",
            "a pattern with `*` or `?` is one of names, and has no `/`",
            9,
            "hint: write `*.key` for all files of that name, or a path without a pattern\n",
        ),
        (
            "mask = [\"**\"]",
            "the pattern would mask everything, or nothing",
            9,
            "hint: write the name of a file, such as `*.key`\n",
        ),
        ("mask = [\"../x\"]", "`../x` is no path in the project", 9, PATH),
        ("readonly = [\"/etc\"]", "`/etc` is no path in the project", 13, PATH),
        ("readonly = [\".\"]", "`.` is no path in the project", 13, PATH),
        ("readonly = [\"a*\"]", "`a*` is no path in the project", 13, PATH),
        ("tools = [", "unclosed array, expected `]`", 10, ""),
    ];
    for (text, message, column, hint) in table {
        let error = read(text).unwrap_err();
        let carets: String = error.lines().nth(4).unwrap_or_default().chars().skip(4).collect();
        let expected = format!(
            "error[project-file]: {message}\n  ——▶ .claudebox.toml:1:{column}\n  |\n1 | {text}\n  | {carets}\n{hint}"
        );
        assert_eq!(error, expected);
        assert_eq!(carets.find('^'), Some(column - 1), "{error}");
    }
}

#[test]
fn text_that_is_not_what_it_seems() {
    for (text, what) in [
        (
            "tools = [\"a\u{202e}b\"]",
            "an invisible or direction-changing character (U+202E)",
        ),
        ("# \u{1b}[2J", "a control character (U+001B)"),
    ] {
        let mut declared = Declared::default();
        let error = declared.read_file(text).unwrap_err();
        assert_eq!(error.message, format!("the text contains {what}"));
        assert_eq!(declared.read_list(text).unwrap_err().message, error.message);
    }
}

#[test]
fn more_than_a_person_reads() {
    let error = |text: String| read(&text).unwrap_err().lines().next().unwrap_or_default().to_string();
    assert_eq!(
        error("\n".repeat(501)),
        "error[project-file]: the file has more than 500 lines"
    );
    let names: Vec<String> = (0..101).map(|i| format!("\"t{i}\"")).collect();
    assert_eq!(
        error(format!("tools = [{}]", names.join(","))),
        "error[project-file]: there are more than 100 entries"
    );
}
