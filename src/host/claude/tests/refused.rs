//! Each reason to refuse a candidate.

use super::*;

#[test]
fn what_cannot_be_used_is_refused() {
    let own = |content: &'static [u8]| Put::Bytes(content, USER, 0o755);
    let program: &[u8] = &elf(native());
    let foreign: &[u8] = &elf(0xfff0);
    let cases: [(&[File<'_>], Unusable); 15] = [
        (&[("/o/claude", Put::Bytes(program, 0, 0o644))], Unusable::NotExecutable),
        (
            &[("/o/claude", Put::Bytes(program, 0, 0o775))],
            Unusable::Writable(path("/o/claude")),
        ),
        (
            &[("/o/claude", Put::Bytes(program, 0, 0o757))],
            Unusable::Writable(path("/o/claude")),
        ),
        (
            &[("/o/claude", Put::Bytes(program, 7, 0o755))],
            Unusable::Owner {
                path: path("/o/claude"),
                uid: 7,
            },
        ),
        (
            &[
                ("/o/claude", Put::Link("/tmp/c")),
                ("/tmp/c", Put::Bytes(program, 7, 0o755)),
            ],
            Unusable::Owner {
                path: path("/tmp/c"),
                uid: 7,
            },
        ),
        (
            &[("/o/claude", Put::Bytes(foreign, 0, 0o755))],
            Unusable::Foreign("ELF machine 65520".into()),
        ),
        (&[("/o/claude", own(b"hello"))], Unusable::Unknown),
        (&[("/o/claude", own(b""))], Unusable::Unknown),
        (&[("/o/claude", own(PLACEHOLDER))], Unusable::Placeholder(None)),
        (
            &[
                ("/o/claude", Put::Link("/p/bin/claude.exe")),
                ("/p/bin/claude.exe", own(PLACEHOLDER)),
                ("/p/install.cjs", Put::Text("")),
            ],
            Unusable::Placeholder(Some(path("/p/install.cjs"))),
        ),
        (
            &[("/o/claude", Put::Link("volta-shim")), ("/o/volta-shim", Put::Elf)],
            Unusable::Shim("volta-shim"),
        ),
        (
            &[("/o/claude", own(b"#!/bin/sh\nexec x"))],
            Unusable::Script("/bin/sh".into()),
        ),
        (
            &[
                ("/o/claude", Put::Link("/nix/store/1-x/claude")),
                ("/nix/store/1-x/claude", Put::Text("#!/usr/bin/env bash\n")),
            ],
            Unusable::Script("bash".into()),
        ),
        (
            &[
                ("/o/claude", own(b"#!/usr/bin/node\n")),
                ("/usr/bin/node", Put::Elf),
                ("/package.json", Put::Text(r#"{"name": "mine", "version": "1"}"#)),
            ],
            Unusable::Unpackaged,
        ),
        (
            &[
                ("/o/claude", own(b"#!/usr/bin/env node\n")),
                ("/o/package.json", Put::Text(MANIFEST)),
                ("/o/node", Put::Bytes(program, 7, 0o755)),
            ],
            Unusable::Interpreter("node".into()),
        ),
    ];
    for (files, why) in cases {
        let expected = NotFound::Unusable {
            first: Refused {
                found_at: path("/o/claude"),
                why,
            },
            others: Vec::new(),
        };
        assert_eq!(found(&tree(files), "/o", None), Err(expected));
    }
}

#[test]
fn the_way_to_the_program_is_trusted_too() {
    // The directory or link that is changed, its owner and its mode; and what is wrong then.
    let foreign = |at: &str| Unusable::Owner { path: path(at), uid: 7 };
    let cases = [
        ("/opt", 7, 0o755, Some(foreign("/opt"))),
        ("/opt/bin", 7, 0o755, Some(foreign("/opt/bin"))),
        ("/opt/bin/claude", 7, 0o777, Some(foreign("/opt/bin/claude"))),
        ("/srv/real", 7, 0o755, Some(foreign("/srv/real"))),
        ("/srv", 0, 0o777, Some(Unusable::Writable(path("/srv")))),
        ("/opt/bin", 0, 0o757, Some(Unusable::Writable(path("/opt/bin")))),
        ("/opt/bin", 0, 0o1777, None),
        ("/opt/bin", USER, 0o775, None),
    ];
    for (at, owner, mode, why) in cases {
        let mut tree = tree(&[("/srv/real/c", Put::Elf), ("/opt/bin/claude", Put::Link("/srv/real/c"))]);
        let kind = tree.node(Path::new(at)).unwrap().unwrap().kind;
        tree.describe(Path::new(at), kind, owner, b"");
        tree.alter(Path::new(at), |node| node.mode = mode);
        let expected = match why {
            None => Ok(claude("/opt/bin/claude", "/srv/real/c", Install::Binary, None)),
            Some(why) => Err(NotFound::Unusable {
                first: Refused {
                    found_at: path("/opt/bin/claude"),
                    why,
                },
                others: Vec::new(),
            }),
        };
        assert_eq!(found(&tree, "/opt/bin", None), expected, "{at} {owner} {mode:o}");
    }
}
