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
            "a project's network is `none`, `allowlist` or `internet`",
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

use std::ffi::OsStr;
use std::rc::Rc;

use crate::host::declared::{Found, Place, built_file, look};
use crate::host::nix::Platform;
use crate::host::tree::{Kind, Tree};
use crate::path::{EnvName, HostPath};

/// What is found on a Nix host whose project wants `jq`, with this record of what was built before.
fn on_nix(record: Option<&str>) -> (Tree, Found) {
    let path = |text: &str| HostPath::new(text).unwrap();
    let (project, state) = (path("/home/u/p"), path("/home/u/.claudebox"));
    let mut tree = Tree::described();
    tree.describe(
        Path::new("/home/u/p/.claudebox.toml"),
        Kind::File,
        1000,
        b"tools = [\"jq\"]\n",
    );
    tree.describe(Path::new("/nix/store/abc-jq/bin/jq"), Kind::File, 0, b"");
    if let Some(record) = record {
        let file = built_file(&state, &["jq".to_string()]).unwrap();
        tree.describe(file.as_path(), Kind::File, 1000, record.as_bytes());
    }
    let found = look(&Place {
        tree: &tree,
        project: &project,
        state: &state,
        uid: 1000,
        path: OsStr::new("/usr/bin"),
        platform: &Platform::Nix(vec![path("/nix/store/tools/bin")]),
    });
    (tree, found)
}

#[test]
fn a_tool_of_nix_is_built_once() {
    assert_eq!(on_nix(None).1.unbuilt, ["jq"]);
    let (tree, found) = on_nix(Some("[\"/nix/store/abc-jq\"]"));
    assert_eq!((found.unbuilt.len(), found.tools.len()), (0, 1));
    let mut host = Rc::into_inner(crate::host::described(tree)).unwrap();
    host.declared = found;
    let mut draft = crate::draft::Draft::default();
    let mut trace = crate::trace::Trace::default();
    apply::apply(&host, &mut draft, &mut trace);
    let path = draft
        .settings
        .iter()
        .find(|setting| setting.name == EnvName::new("PATH").unwrap());
    assert_eq!(
        path.map(|setting| setting.value.clone()),
        Some("/nix/store/abc-jq/bin".into())
    );
}

/// A record that was written by someone else, or whose packages were removed since, counts for nothing.
#[test]
fn what_is_not_in_the_store_is_not_built() {
    for record in [
        "[\"/home/u/p/evil\"]",
        "[\"/nix/store/gone\"]",
        "[]",
        "{}",
        "no json",
        "[7]",
    ] {
        assert_eq!(on_nix(Some(record)).1.unbuilt, ["jq"], "{record}");
    }
}

/// This build has no pinned nixpkgs.
#[test]
fn without_a_nixpkgs_nothing_is_built() {
    let (tree, found) = on_nix(None);
    let mut host = Rc::into_inner(crate::host::described(tree)).unwrap();
    host.declared = found;
    let error = crate::launch::tools::provide(&host).unwrap_err();
    let sources = Sources::from([(FILE.into(), "tools = [\"jq\"]\n".into())]);
    assert_eq!(
        error.render(&sources, Style::plain()),
        "error[project-tools]: this claudebox has no nixpkgs to build the project's tools from\n  ——▶ .claudebox.toml:1:10\n  |\n\
         1 | tools = [\"jq\"]\n  |          ^^^^\nhint: install claudebox by its flake, which pins one; or take the tools out of the list\n"
    );
}
