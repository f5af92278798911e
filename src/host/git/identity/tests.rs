//! The identity from described homes, and the configuration made from it as git reads it.

use super::*;

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

fn found(files: &[(&str, Kind, &str)]) -> Identity {
    let mut tree = Tree::described();
    for (file, kind, content) in files {
        tree.describe(Path::new(file), kind.clone(), 1000, content.as_bytes());
    }
    identity(&tree, &path("/home/u"), &path("/home/u/.config"))
}

fn known(name: Option<&str>, email: Option<&str>) -> Identity {
    Identity {
        name: name.map(Into::into),
        email: email.map(Into::into),
        ..Identity::default()
    }
}

#[test]
fn the_users_own_files() {
    let xdg = "/home/u/.config/git/config";
    let own = "/home/u/.gitconfig";
    let file = Kind::File;
    assert_eq!(found(&[]), Identity::default());
    assert_eq!(
        found(&[
            (xdg, file.clone(), "[user]name=X\nemail=x@x"),
            (
                own,
                file.clone(),
                "[User]\nNAME = \"U \\\"q\\\" V\"\n[user \"sub\"]email=no"
            ),
        ]),
        known(Some("U \"q\" V"), Some("x@x"))
    );
    assert_eq!(
        found(&[(own, file.clone(), "[init]defaultBranch=main\n[user]name\n")]),
        Identity {
            default_branch: Some(b"main".to_vec()),
            ..Identity::default()
        }
    );
    // A link is followed, and relative includes go from the place of the link, as git does it.
    assert_eq!(
        found(&[
            (own, Kind::Link("dots/gitconfig".into()), ""),
            (
                "/home/u/dots/gitconfig",
                file.clone(),
                "[include]path=.who\n[include]path=~/more\n[include]path=none"
            ),
            ("/home/u/.who", file.clone(), "[user]name=W"),
            ("/home/u/more", file.clone(), "[user]email=w@w"),
        ]),
        known(Some("W"), Some("w@w"))
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    let own = "/home/u/.gitconfig";
    for (files, problems) in [
        (
            vec![(own, Kind::File, "[user]\nname=U\n[user")],
            vec!["`/home/u/.gitconfig` is no git configuration: line 3: a section's name that does not end in `]`"],
        ),
        (
            vec![(own, Kind::Link(".gitconfig".into()), "")],
            vec!["`/home/u/.gitconfig` cannot be examined: too many levels of symbolic links"],
        ),
        (vec![(own, Kind::Directory, "")], vec![]),
    ] {
        let problems = problems.into_iter().map(String::from).collect();
        assert_eq!(
            found(&files),
            Identity {
                problems,
                ..Identity::default()
            }
        );
    }
}

#[test]
fn includes_in_a_circle_end() {
    let found = found(&[(
        "/home/u/.gitconfig",
        Kind::File,
        "[user]name=U\n[include]path=.gitconfig\npath=.gitconfig",
    )]);
    assert_eq!(found.name, Some(b"U".to_vec()));
    assert!(
        !found.problems.is_empty() && found.problems.len() < 200,
        "{}",
        found.problems.len()
    );
}

/// What git reads from the generated configuration, as `(key, value)`.
#[expect(clippy::disallowed_methods, reason = "the test compares with git itself")]
fn read_by_git(config: &[u8]) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, config).unwrap();
    let output = std::process::Command::new("git")
        .args(["config", "--list", "-z", "--file"])
        .arg(&file)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut read = Vec::new();
    for item in output.stdout.split(|byte| *byte == 0).filter(|item| !item.is_empty()) {
        let mut parts = item.splitn(2, |byte| *byte == b'\n');
        let key = String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
        read.push((key, parts.next().unwrap().to_vec()));
    }
    read
}

#[test]
fn git_reads_the_generated_configuration() {
    let hostile: Vec<u8> = (1..=255).chain(*b" a\\\"#;\n[core]\n\tfsmonitor = x\r\n ").collect();
    let safe = path("/home/u/a \"b\"\\ #;\nc");
    let config = gitconfig(
        &Identity {
            name: Some(hostile.clone()),
            email: Some(b"u@example.org".to_vec()),
            default_branch: Some(b"main".to_vec()),
            problems: Vec::new(),
        },
        &[&safe, &path("/p")],
    );
    let expected: Vec<(String, Vec<u8>)> = [
        ("user.name", hostile.as_slice()),
        ("user.email", b"u@example.org"),
        ("init.defaultbranch", b"main"),
        ("safe.directory", safe.as_os_str().as_bytes()),
        ("safe.directory", b"/p"),
        ("safe.barerepository", b"explicit"),
        ("credential.helper", b""),
        ("protocol.ext.allow", b"never"),
        ("commit.gpgsign", b"false"),
        ("tag.gpgsign", b"false"),
        ("url.https://github.com/.insteadof", b"git@github.com:"),
        ("url.https://github.com/.insteadof", b"ssh://git@github.com/"),
        ("url.https://gitlab.com/.insteadof", b"git@gitlab.com:"),
        ("url.https://gitlab.com/.insteadof", b"ssh://git@gitlab.com/"),
        ("url.https://bitbucket.org/.insteadof", b"git@bitbucket.org:"),
        ("url.https://bitbucket.org/.insteadof", b"ssh://git@bitbucket.org/"),
        ("url.https://codeberg.org/.insteadof", b"git@codeberg.org:"),
        ("url.https://codeberg.org/.insteadof", b"ssh://git@codeberg.org/"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_vec()))
    .collect();
    assert_eq!(read_by_git(&config), expected);
}

#[test]
fn without_an_identity_none_is_made_up() {
    let config = gitconfig(
        &Identity {
            name: Some(b"a\0b".to_vec()),
            ..Identity::default()
        },
        &[],
    );
    assert!(
        read_by_git(&config)
            .iter()
            .all(|(key, _)| !key.starts_with("user.") && key != "safe.directory")
    );
}
