//! The search over described trees: each kind of installation and the order of the search.

mod refused;

use super::*;
use crate::host::tree::Unreadable;
use crate::path::Malformed;

const USER: u32 = 1000;
const MODULE: &str = "node_modules/@anthropic-ai/claude-code";
const PLACEHOLDER: &[u8] = b"echo \"Error: claude native binary not installed.\" >&2\nexit 1\n";

/// A path and what a test puts there.
type File<'a> = (&'a str, Put<'a>);

/// What a test puts at a path.
enum Put<'a> {
    Elf,
    Link(&'a str),
    Text(&'a str),
    Bytes(&'a [u8], u32, u32),
}

fn elf(machine: u16) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(b"\x7fELF");
    header[18..20].copy_from_slice(&machine.to_le_bytes());
    header
}

fn native() -> u16 {
    program::native().unwrap_or(62)
}

/// Below `/home/u` all belongs to the user, everything else to root.
fn tree(files: &[File<'_>]) -> Tree {
    let mut tree = Tree::described();
    tree.describe(Path::new("/home"), Kind::Directory, 0, b"");
    tree.describe(Path::new("/nix/store"), Kind::Directory, 0, b"");
    tree.alter(Path::new("/nix/store"), |node| node.mode = 0o1775);
    tree.describe(Path::new("/tmp"), Kind::Directory, 0, b"");
    tree.alter(Path::new("/tmp"), |node| node.mode = 0o1777);
    for (path, put) in files {
        let owner = if path.starts_with("/home/u") { USER } else { 0 };
        let path = Path::new(path);
        let (kind, content, owner, mode) = match put {
            Put::Elf => (Kind::File, elf(native()), owner, 0o755),
            Put::Link(target) => (Kind::Link(target.into()), Vec::new(), owner, 0o777),
            Put::Text(text) => (Kind::File, text.as_bytes().to_vec(), owner, 0o755),
            Put::Bytes(bytes, owner, mode) => (Kind::File, bytes.to_vec(), *owner, *mode),
        };
        tree.describe(path, kind, owner, &content);
        tree.alter(path, |node| node.mode = mode);
    }
    tree
}

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

fn found(tree: &Tree, path_variable: &str, setting: Option<&str>) -> Result<Claude, NotFound> {
    let search = Search {
        path: OsStr::new(path_variable),
        setting: setting.map(OsStr::new),
        home: &path("/home/u"),
        uid: USER,
    };
    find(tree, &search)
}

fn claude(found_at: &str, executable: &str, install: Install, version: Option<&str>) -> Claude {
    Claude {
        executable: path(executable),
        found_at: path(found_at),
        install,
        version: version.map(String::from),
        passed_over: Vec::new(),
    }
}

fn script(package: &str, interpreter: &str, options: &[&str]) -> Install {
    Install::Script {
        package: path(package),
        interpreter: path(interpreter),
        options: options.iter().map(OsString::from).collect(),
    }
}

const MANIFEST: &str =
    r#"{"dependencies": {"version": "9"}, "version": "2.1.197", "name": "@anthropic-ai/claude-code"}"#;

#[test]
fn every_kind_of_installation_is_found() {
    let old = "/home/u/n/lib/node_modules/@anthropic-ai/claude-code";
    let cases: [(&[File<'_>], &str, Claude); 9] = [
        (
            &[
                (
                    "/usr/local/bin/claude",
                    Put::Link("../lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe"),
                ),
                (&format!("/usr/local/lib/{MODULE}/bin/claude.exe"), Put::Elf),
                (&format!("/usr/local/lib/{MODULE}/package.json"), Put::Text(MANIFEST)),
            ],
            "/usr/bin:/usr/local/bin",
            claude(
                "/usr/local/bin/claude",
                &format!("/usr/local/lib/{MODULE}/bin/claude.exe"),
                Install::Binary,
                Some("2.1.197"),
            ),
        ),
        (
            &[
                (
                    "/home/u/.local/bin/claude",
                    Put::Link("/home/u/.local/share/claude/versions/2.1.330"),
                ),
                ("/home/u/.local/share/claude/versions/2.1.330", Put::Elf),
            ],
            "/usr/bin",
            claude(
                "/home/u/.local/bin/claude",
                "/home/u/.local/share/claude/versions/2.1.330",
                Install::Binary,
                Some("2.1.330"),
            ),
        ),
        (
            &[
                ("/home/u/n/bin/claude", Put::Link(&format!("{old}/cli.js"))),
                (&format!("{old}/cli.js"), Put::Text("#!/usr/bin/env node\n// x")),
                (&format!("{old}/package.json"), Put::Text(MANIFEST)),
                // A version manager's program stands before the real node.
                ("/home/u/mise/bin/mise", Put::Elf),
                ("/home/u/shims/node", Put::Link("../mise/bin/mise")),
                ("/usr/bin/node", Put::Link("/etc/alternatives/node")),
                ("/etc/alternatives/node", Put::Link("/usr/bin/nodejs")),
                ("/usr/bin/nodejs", Put::Elf),
            ],
            "/home/u/n/bin:/home/u/shims:/usr/bin",
            claude(
                "/home/u/n/bin/claude",
                &format!("{old}/cli.js"),
                script(old, "/usr/bin/nodejs", &[]),
                Some("2.1.197"),
            ),
        ),
        (
            &[
                (
                    &format!("{old}/cli.js"),
                    Put::Text("#!/usr/bin/env -S /opt/node --no-warnings\n"),
                ),
                (&format!("{old}/package.json"), Put::Text(MANIFEST)),
                ("/opt/node", Put::Elf),
                ("/home/u/n/bin/claude", Put::Link(&format!("{old}/cli.js"))),
            ],
            "/home/u/n/bin",
            claude(
                "/home/u/n/bin/claude",
                &format!("{old}/cli.js"),
                script(old, "/opt/node", &["--no-warnings"]),
                Some("2.1.197"),
            ),
        ),
        (
            &[
                ("/home/u/.nix-profile", Put::Link("/nix/store/00-profile")),
                (
                    "/nix/store/00-profile/bin/claude",
                    Put::Link("/nix/store/11-claude-code-2.1.90/bin/claude"),
                ),
                (
                    "/nix/store/11-claude-code-2.1.90/bin/claude",
                    Put::Text("#! /nix/store/22-bash-5.3/bin/bash -e\nexec ..."),
                ),
            ],
            "",
            claude(
                "/home/u/.nix-profile/bin/claude",
                "/nix/store/11-claude-code-2.1.90/bin/claude",
                Install::Store,
                Some("2.1.90"),
            ),
        ),
        (
            &[("/nix/store/11-claude-code-2.1.90/bin/claude", Put::Elf)],
            "/nix/store/11-claude-code-2.1.90/bin",
            claude(
                "/nix/store/11-claude-code-2.1.90/bin/claude",
                "/nix/store/11-claude-code-2.1.90/bin/claude",
                Install::Store,
                Some("2.1.90"),
            ),
        ),
        (
            &[
                (
                    "/home/u/.local/share/claudebox/claude/node_modules/.bin/claude",
                    Put::Link("../@anthropic-ai/claude-code/bin/claude.exe"),
                ),
                (
                    &format!("/home/u/.local/share/claudebox/claude/{MODULE}/bin/claude.exe"),
                    Put::Elf,
                ),
            ],
            "",
            claude(
                "/home/u/.local/share/claudebox/claude/node_modules/.bin/claude",
                &format!("/home/u/.local/share/claudebox/claude/{MODULE}/bin/claude.exe"),
                Install::Binary,
                None,
            ),
        ),
        // What PATH names comes before the known places, whatever is between.
        (
            &[
                ("/home/u/.local/bin/claude", Put::Elf),
                ("/opt/b/claude", Put::Elf),
                ("/opt/a/claude/README", Put::Text("a directory")),
            ],
            "/opt/none:/opt/a:/opt/b",
            claude("/opt/b/claude", "/opt/b/claude", Install::Binary, None),
        ),
        // A version that is not one is not shown.
        (
            &[
                ("/home/u/versions/a b", Put::Elf),
                ("/opt/claude", Put::Link("/home/u/versions/a b")),
            ],
            "/opt",
            claude("/opt/claude", "/home/u/versions/a b", Install::Binary, None),
        ),
    ];
    for (files, path_variable, expected) in cases {
        assert_eq!(
            found(&tree(files), path_variable, None),
            Ok(expected),
            "{path_variable}"
        );
    }
}

#[test]
fn entries_that_lead_into_the_project_are_skipped() {
    let files = tree(&[
        ("/bin/claude", Put::Elf),
        ("/claude", Put::Elf),
        ("/opt/claude", Put::Elf),
    ]);
    for path_variable in ["bin:.:./bin::/opt", "~/bin:/x/../bin:/opt", ":/opt:"] {
        assert_eq!(
            found(&files, path_variable, None).map(|claude| claude.found_at),
            Ok(path("/opt/claude")),
            "{path_variable}"
        );
    }
    assert_eq!(found(&files, ":.:bin", None), Err(NotFound::Nowhere));
}

#[test]
fn a_setting_is_the_only_candidate() {
    let files = tree(&[
        ("/opt/claude", Put::Elf),
        ("/opt/other", Put::Link("/opt/real")),
        ("/opt/real", Put::Elf),
        ("/opt/text", Put::Bytes(b"x", 0, 0o644)),
        ("/opt/loop", Put::Link("loop")),
    ]);
    let cases = [
        ("/opt/other", None),
        ("", Some(Unusable::Malformed(Malformed("is not absolute")))),
        ("claude", Some(Unusable::Malformed(Malformed("is not absolute")))),
        ("/opt/../claude", Some(Unusable::Malformed(Malformed("contains `..`")))),
        ("/opt/none", Some(Unusable::Absent)),
        ("/opt", Some(Unusable::NotAFile)),
        ("/opt/text", Some(Unusable::NotExecutable)),
        (
            "/opt/loop",
            Some(Unusable::OutOfReach(Unreadable {
                path: "/opt/loop".into(),
                why: "too many levels of symbolic links".into(),
            })),
        ),
    ];
    for (value, why) in cases {
        let expected = match why {
            None => Ok(claude(value, "/opt/real", Install::Binary, None)),
            Some(why) => Err(NotFound::Setting {
                value: value.into(),
                why,
            }),
        };
        assert_eq!(found(&files, "/opt", Some(value)), expected, "{value}");
    }
}

#[test]
fn the_search_goes_on_and_remembers_what_it_passed() {
    let local = "/home/u/.claude/local";
    let files = tree(&[
        ("/o/claude", Put::Bytes(PLACEHOLDER, 0, 0o755)),
        (&format!("{local}/claude"), Put::Text("#!/bin/bash\nexec ...")),
        (&format!("{local}/node_modules/.bin/claude"), Put::Elf),
    ]);
    let placeholder = Refused {
        found_at: path("/o/claude"),
        why: Unusable::Placeholder(None),
    };
    let shell = Refused {
        found_at: path(&format!("{local}/claude")),
        why: Unusable::Script("/bin/bash".into()),
    };
    let binary = format!("{local}/node_modules/.bin/claude");
    assert_eq!(
        found(&files, &format!("/o:/o:{local}"), None),
        Ok(Claude {
            passed_over: vec![placeholder, shell],
            ..claude(&binary, &binary, Install::Binary, None)
        })
    );
}
