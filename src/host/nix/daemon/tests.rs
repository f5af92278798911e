//! Answers of real daemons, from Nix 2.8 to 2.34, and answers that no daemon should give.

use super::*;

/// What `nix config show` says where builds are sandboxed, cut to what is read.
const SANDBOXED: &str =
    "netrc-file = /etc/nix/netrc\nsandbox = true\nsandbox-build-dir = /build\nsandbox-paths = /bin/sh=/bin/busybox\n";

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

fn asked(info: Result<&str, &str>, configuration: Result<(Age, &str), &str>) -> Daemon {
    let answer = Answer {
        info: info.map(str::to_string).map_err(str::to_string),
        configuration: configuration
            .map(|(age, text)| (age, text.to_string()))
            .map_err(str::to_string),
    };
    let guard = Ok(path("/run/user/1000/claudebox/nix-1"));
    Daemon::judge(&Tree::described(), &path("/nix/store/1-nix/bin/nix"), guard, &answer)
}

fn guarded() -> Access {
    Access::Guarded(Guard {
        program: path("/nix/store/1-nix/bin/nix"),
        directory: path("/run/user/1000/claudebox/nix-1"),
    })
}

fn withheld(why: &str) -> Access {
    Access::Withheld(why.to_string())
}

#[test]
fn trust_needs_a_guard_and_so_does_silence_about_it() {
    let table = [
        // 2.26 and 2.34 to a user whom they do not trust.
        (r#"{"trusted":0,"url":"daemon","version":"2.26.3"}"#, Access::Open),
        (r#"{"trusted":false,"url":"daemon","version":"2.34.8"}"#, Access::Open),
        // To one whom they do.
        (r#"{"trusted":1,"url":"daemon","version":"2.26.3"}"#, guarded()),
        (r#"{"trusted":true,"url":"daemon","version":"2.34.8"}"#, guarded()),
        // A daemon of 2.8 does not say.
        (r#"{"url":"daemon","version":"2.8.0"}"#, guarded()),
        (r#"{"trusted":null,"url":"daemon"}"#, guarded()),
        // None says this.
        (r#"{"trusted":"no"}"#, guarded()),
        ("[]", withheld("its answer is not understood")),
        ("", withheld("its answer is not understood")),
    ];
    for (info, access) in table {
        assert_eq!(asked(Ok(info), Ok((Age::Modern, SANDBOXED))).access, access, "{info}");
    }
}

#[test]
fn an_old_nix_cannot_stand_guard() {
    let silent = asked(Err("error: unrecognised flag '--json'"), Ok((Age::Old, SANDBOXED)));
    assert_eq!(
        silent.access,
        withheld("`/nix/store/1-nix/bin/nix` is too old to ask whether it trusts you")
    );
    let trusting = asked(Ok(r#"{"trusted":true}"#), Ok((Age::Old, SANDBOXED)));
    assert_eq!(
        trusting.access,
        withheld("it may trust you, and `/nix/store/1-nix/bin/nix` is too old to stand guard in between")
    );
}

#[test]
fn builds_outside_a_sandbox_keep_the_daemon_outside() {
    let info = Ok(r#"{"trusted":false,"version":"2.34.8"}"#);
    for value in ["false", "relaxed", ""] {
        let settings = format!("sandbox = {value}\nsandbox-fallback = true\n");
        assert_eq!(
            asked(info, Ok((Age::Modern, &settings))).access,
            Access::Withheld(format!(
                "it builds with `sandbox = {value}`, so what it builds could read this host's files"
            ))
        );
    }
    assert_eq!(
        asked(info, Ok((Age::Modern, "sandbox-fallback = true\n"))).access,
        withheld("whether it builds in a sandbox is not known")
    );
    assert_eq!(
        asked(info, Err("permission denied")).access,
        withheld("its configuration is not known: permission denied")
    );
    assert_eq!(
        asked(Err("error: cannot connect"), Ok((Age::Modern, SANDBOXED))).access,
        withheld("it does not answer: error: cannot connect")
    );
}

#[test]
fn versions_with_the_known_hole_are_told() {
    let holed = [
        "2.8.0",
        "2.18.9",
        "2.26.3",
        "2.28.5",
        "2.33.3",
        "2.34.4",
        "2.34pre20250101",
        "1.11",
        "",
    ];
    let mended = [
        "2.28.6",
        "2.30.5",
        "2.34.5",
        "2.34.8",
        "2.35.0",
        "2.35pre20260101_abc",
        "2.94.0",
        "3.0",
    ];
    for version in holed {
        assert!(!is_mended(version), "{version}");
    }
    for version in mended {
        assert!(is_mended(version), "{version}");
    }
}

#[test]
fn what_the_daemon_gives_away_is_told() {
    let mut tree = Tree::described();
    tree.describe(Path::new("/etc/nix/netrc"), Kind::File, 0, b"");
    let settings = "netrc-file = /etc/nix/netrc\nsandbox = true\n\
                    sandbox-paths = /bin/sh=/nix/store/1-busybox/bin/busybox /nix/store/2 /var/cache/ccache\n";
    let answer = Answer {
        info: Ok(r#"{"trusted":0,"version":"2.26.3"}"#.into()),
        configuration: Ok((Age::Modern, settings.into())),
    };
    let daemon = Daemon::judge(&tree, &path("/usr/bin/nix"), Err("none".into()), &answer);
    let expected = Daemon {
        access: Access::Open,
        version: Some("2.26.3".into()),
        warnings: vec![
            "has version 2.26.3, in which whoever may use it can write files as root (CVE-2026-39860), unless your \
             distribution mended it"
                .into(),
            "uses the logins of `/etc/nix/netrc` for whatever a build of the sandbox downloads".into(),
            "shows its builds these paths of this host: /var/cache/ccache".into(),
        ],
    };
    assert_eq!(daemon, expected);
}

#[test]
fn a_guards_socket_lies_where_nobody_else_comes() {
    let mut tree = Tree::described();
    tree.describe(Path::new("/run/user/1000"), Kind::Directory, 1000, b"");
    let (project, state) = (path("/home/u/p"), path("/home/u/.claudebox"));
    let directory = |tree: &Tree, runtime: &str| {
        guard_directory(tree, &[None, Some(path(runtime))], 1000, &project, &state, "7").map(|path| path.to_string())
    };
    // Others can look into it.
    assert_eq!(
        directory(&tree, "/run/user/1000"),
        Ok("/home/u/.claudebox/run/nix-7".into())
    );
    tree.alter(Path::new("/run/user/1000"), |node| node.mode = 0o700);
    assert_eq!(
        directory(&tree, "/run/user/1000"),
        Ok("/run/user/1000/claudebox/nix-7".into())
    );
    // The agent could write there.
    tree.describe(Path::new("/home/u/p/run"), Kind::Directory, 1000, b"");
    tree.alter(Path::new("/home/u/p/run"), |node| node.mode = 0o700);
    assert_eq!(
        directory(&tree, "/home/u/p/run"),
        Ok("/home/u/.claudebox/run/nix-7".into())
    );
    let long = format!("/{}", "x".repeat(90));
    tree.describe(Path::new(&long), Kind::Directory, 1000, b"");
    tree.alter(Path::new(&long), |node| node.mode = 0o700);
    assert_eq!(
        directory(&tree, &long),
        Err(format!("the path `{long}/claudebox/nix-7` is too long for a socket"))
    );
}
