//! The parser against tables and against git itself.

use super::*;

fn entry(section: &str, subsection: Option<&str>, key: &str, value: Option<&str>) -> Entry {
    Entry {
        section: section.as_bytes().into(),
        subsection: subsection.map(|text| text.as_bytes().into()),
        key: key.into(),
        value: value.map(|text| text.into()),
    }
}

/// Texts on both sides of each rule of the format.
const TEXTS: &[&str] = &[
    "",
    "[core]\n\tbare = false\n\tWorkTree = \"a b\" # why\n",
    "[remote \"Or\\\"i\\\\g\\in\"]\n\turl = x;y\n",
    "[Branch.Main]k",
    "[a \"b\"]k=v[c]\nd=e",
    "[a]k = v [b] c = d",
    "[a] [b] c = d\n",
    "[a]\nk = one\\\n  two \\\n\nl=1",
    "[a]k=  a  b\t c  \t\n",
    "[a]k=\"  a\" b \" \" \n",
    "[a]k=\\t\\n\\b\\\\\\\"\n",
    "[a]k=\\x\n",
    "[a]k=\"open\n",
    "[a]k=\"a\\\nb\"",
    "[a]k=1\\",
    "[a]k=1 ; c \\\nl=2\n",
    "; [a]\n# k\n[a];c\nk;c\n",
    "[a]k #c\n",
    "[a]k:v\n",
    "[a]k_y=v\n",
    "[a]1k=v\n",
    "[a_b]k=v\n",
    "[a-b.c-d]k-1=v\n",
    "[a \"b\" ]k=v\n",
    "[a b]k=v\n",
    "[a \"b]k=v\n",
    "[a\n]k=v\n",
    "[\"a\"]k=v\n",
    "[ \"a\"]k=v\n",
    "[]k=v\n",
    "[.]k=v\n",
    "[a.]k=v\n",
    "[.a]k=v\n",
    "[a \"\"]k=v\n",
    "[a.b \"c.d\"]k=v\n",
    "[a",
    "[a]k",
    "[a]k=",
    "k=v\n",
    "\u{feff}[a]k=v",
    "[a]\u{feff}k=v",
    "[a]k=v\r\nl=w\r\n",
    "[a]k=v\rw\r\r\n",
    "[a]k\r\n",
    "[a]k\r=v\n",
    "[a]\u{b}k=v\n",
    "[a]k=\u{c}v\u{b}\n",
    "[a]k=é ü\n",
    "=v\n",
    "[a]k==v\n",
    "[a]k=v#\"\n",
];

#[test]
fn names_values_and_comments() {
    assert_eq!(
        parse(b"[core]\n\tbare\n\tWorkTree = \"a b\" # why\n[remote \"Or\\\"i\\g\"]url = x;y\n[Br.Main]k=\n"),
        Ok(vec![
            entry("core", None, "bare", None),
            entry("core", None, "worktree", Some("a b")),
            entry("remote", Some("Or\"ig"), "url", Some("x")),
            entry("br", Some("main"), "k", Some("")),
        ])
    );
}

#[test]
fn malformed_text_names_its_line() {
    for (text, line, why) in [
        ("\n\n[a]k:v\n", 3, "a key that is not followed by `=`"),
        ("[a]k=\"open\n", 1, "a value without its closing quote"),
        ("[a]\n[b \"c\n", 2, "a subsection without its closing quote"),
        ("[a]\n\nk=\\x\n", 3, "an unknown escape in a value"),
        ("[a]\nk=a\0b\n", 2, "a NUL byte"),
        ("[]\n", 1, "a section without a name"),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(Malformed { line, why }), "{text:?}");
    }
}

#[test]
fn booleans_are_gits() {
    for (text, is) in [
        ("[a]k", true),
        ("[a]k=", false),
        ("[a]k=No", false),
        ("[a]k=OFF", false),
        ("[a]k=0", false),
        ("[a]k=false", false),
        ("[a]k=yes", true),
        ("[a]k=2", true),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap()[0].is_true(), is, "{text}");
    }
}

#[test]
fn git_reads_the_same() {
    for text in TEXTS {
        assert_same(text.as_bytes());
    }
}

/// Texts made of the format's own pieces, from a fixed sequence of numbers.
#[test]
fn git_reads_the_same_from_random_texts() {
    const PIECES: &[&str] = &[
        "[a]",
        "[a \"b\"]",
        "[",
        "]",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "=",
        "k",
        "K-1",
        "v",
        "#",
        ";",
        ".",
        "\\n",
        "\\\n",
        "[a.b]",
        "k = v\n",
        "[a]k=",
    ];
    let mut state = 1_u64;
    for _ in 0..300 {
        let mut text = String::from("[a]\n");
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(PIECES[usize::try_from(state >> 33).unwrap() % PIECES.len()]);
        }
        assert_same(text.as_bytes());
    }
}

#[expect(clippy::disallowed_methods, reason = "the test compares with git itself")]
fn assert_same(text: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, text).unwrap();
    let output = std::process::Command::new("git")
        .args(["config", "--list", "-z", "--file"])
        .arg(&file)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let git = output.status.success().then_some(output.stdout);
    let ours = parse(text).ok().map(|entries| listed(&entries));
    let shown = String::from_utf8_lossy(text);
    if keeps_white_space() {
        assert_eq!(ours, git, "{shown:?}");
    } else {
        // What such a git makes of a tab in a value, a reader of paths and switches need not make of it too.
        assert_eq!(ours.map(blank), git.map(blank), "{shown:?}");
    }
}

/// Since 2.45 git leaves white space inside a value as it is; before, each sign of it became a blank.
#[expect(clippy::disallowed_methods, reason = "the test compares with git itself")]
fn keeps_white_space() -> bool {
    let output = std::process::Command::new("git").arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().nth(2).unwrap();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (2, 45)
}

fn blank(mut listed: Vec<u8>) -> Vec<u8> {
    for byte in &mut listed {
        if matches!(byte, b'\t' | b'\r') {
            *byte = b' ';
        }
    }
    listed
}

/// As `git config --list -z` prints them.
fn listed(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend_from_slice(&entry.section);
        if let Some(subsection) = &entry.subsection {
            out.push(b'.');
            out.extend_from_slice(subsection);
        }
        if !(entry.section.is_empty() && entry.subsection.is_none()) {
            out.push(b'.');
        }
        out.extend_from_slice(&entry.key);
        if let Some(value) = &entry.value {
            out.push(b'\n');
            out.extend_from_slice(value);
        }
        out.push(0);
    }
    out
}
