//! What configurations name in the project is protected with them.

use super::*;

/// The lines beside those of the git directory itself, for a configuration and some files of the project.
fn named(config: &str, files: &[&str]) -> Result<Vec<String>, String> {
    let mut tree = plain(config);
    for name in files {
        file(&mut tree, &format!("/home/u/p/{name}"), "x");
    }
    let shown = of(&tree, "/home/u/p")?;
    let usual = block("/home/u/p/.git");
    Ok(shown.into_iter().filter(|line| !usual.contains(line)).collect())
}

#[test]
fn what_the_configuration_names() {
    for (config, files, expected) in [
        (
            "[core]hooksPath=.husky/_",
            &[".husky/_/pre-commit"] as &[&str],
            &["pin /home/u/p/.husky", "ro /home/u/p/.husky/_"] as &[&str],
        ),
        ("[core]hooksPath=.husky/_", &[], &["dir /home/u/p/.husky"]),
        ("[core]hooksPath=file/_", &["file"], &["ro /home/u/p/file"]),
        (
            "[core]hooksPath=.husky/_",
            &[".husky/a"],
            &["pin /home/u/p/.husky", "dir /home/u/p/.husky/_"],
        ),
        ("[Core]HOOKSPATH=/home/u/p/h", &["h/x"], &["ro /home/u/p/h"]),
        ("[core]hooksPath=~/p/h", &["h/x"], &["ro /home/u/p/h"]),
        ("[core]hooksPath=/dev/null", &[], &[]),
        ("[core]hooksPath=", &[], &[]),
        ("[core]hooksPath=.git/hooks", &[], &[]),
        ("[include]path=../cfg", &["cfg"], &["ro /home/u/p/cfg"]),
        ("[include]path=../a/cfg", &[], &["dir /home/u/p/a"]),
        ("[include]path=../cfg", &[], &["file /home/u/p/cfg"]),
        (
            "[includeIf \"gitdir:/never/\"]path=../cfg",
            &["cfg"],
            &["ro /home/u/p/cfg"],
        ),
        ("[include \"x\"]path=~/p/cfg", &["cfg"], &["ro /home/u/p/cfg"]),
        (
            "[include]path=~/other\npath=%(prefix)/x\npath=~v/x\npath=/etc/x",
            &[],
            &[],
        ),
        (
            "[filter \"x\"]clean = sh 'tools/f.sh' %f",
            &["tools/f.sh", "sh"],
            &["pin /home/u/p/tools", "ro /home/u/p/tools/f.sh"],
        ),
        (
            "[core]fsmonitor = ./mon\n[alias]a = !x/y\nb = README",
            &["mon", "x/y", "README"],
            &["ro /home/u/p/mon", "pin /home/u/p/x", "ro /home/u/p/x/y"],
        ),
        // A directory that is read-only as a whole needs nothing below, whichever came first.
        (
            "[include]path=../h/cfg\n[core]hooksPath=h",
            &["h/cfg"],
            &["ro /home/u/p/h"],
        ),
        (
            "[core]hooksPath=h\n[include]path=../h/cfg",
            &["h/cfg"],
            &["ro /home/u/p/h"],
        ),
    ] {
        // An included file holds "x", which is a key without a section.
        let expected = Ok(expected.iter().map(|line| (*line).to_owned()).collect());
        assert_eq!(named(config, files), expected, "{config}");
    }
}

#[test]
fn an_empty_directory_on_the_way_is_closed_without_a_reservation() {
    let mut tree = plain("[core]hooksPath=.husky/_\n");
    directory(&mut tree, "/home/u/p/.husky");
    assert!(of(&tree, "/home/u/p").unwrap().contains(&"ro /home/u/p/.husky".into()));
}

#[test]
fn a_directory_that_must_stay_writable_holds_no_hooks() {
    for (raw, path) in [
        (".", "/home/u/p"),
        (".git", "/home/u/p/.git"),
        ("/home/u/p", "/home/u/p"),
    ] {
        assert_eq!(
            named(&format!("[core]hooksPath={raw}"), &[]),
            Err(format!(
                "`/home/u/p/.git/config` sets `core.hooksPath` to `{path}`, which must stay writable"
            ))
        );
    }
    assert_eq!(
        named("[core]hooksPath=..", &[]),
        Ok(vec![]),
        "above the project nothing can be written"
    );
}

#[test]
fn the_users_own_configuration_names_parts_of_every_repository() {
    let mut tree = plain("");
    file(&mut tree, "/home/u/p/.githooks/x", "");
    git_dir(&mut tree, "/home/u/p/sub/.git", "");
    file(&mut tree, "/home/u/p/sub/.githooks/x", "");
    // As in a repository of dotfiles.
    tree.describe(
        Path::new("/home/u/.gitconfig"),
        Kind::Link("p/gitconfig".into()),
        UID,
        b"",
    );
    file(
        &mut tree,
        "/home/u/p/gitconfig",
        "[core]hooksPath=.githooks\n[include]path=.more\n",
    );
    file(&mut tree, "/home/u/.more", "[user]name=x\n");
    let mut expected = lines(&[&["ro /home/u/p/gitconfig"]]);
    expected.extend(lines(&[&[
        "pin /home/u/p/.git",
        "ro /home/u/p/.git/config",
        "ro /home/u/p/.githooks",
    ]]));
    expected.extend(block("/home/u/p/.git").into_iter().skip(2));
    expected.push("pin /home/u/p/sub".into());
    expected.extend(lines(&[&[
        "pin /home/u/p/sub/.git",
        "ro /home/u/p/sub/.git/config",
        "ro /home/u/p/sub/.githooks",
    ]]));
    expected.extend(block("/home/u/p/sub/.git").into_iter().skip(2));
    assert_eq!(of(&tree, "/home/u/p"), Ok(expected));
}

#[test]
fn a_hook_that_is_a_link_protects_what_it_leads_to() {
    let mut tree = plain("");
    for (name, target) in [
        ("pre-commit", "../../tools/pc"),
        ("post-merge", "../../none"),
        ("x", "/usr/bin/x"),
    ] {
        let hook = format!("/home/u/p/.git/hooks/{name}");
        tree.describe(Path::new(&hook), Kind::Link(target.into()), UID, b"");
    }
    file(&mut tree, "/home/u/p/tools/pc", "x");
    assert_eq!(
        of(&tree, "/home/u/p"),
        Ok(lines(&[&[
            "pin /home/u/p/.git",
            "ro /home/u/p/.git/config",
            "dot /home/u/p/.git/commondir",
            "ro /home/u/p/.git/hooks",
            "file /home/u/p/none",
            "pin /home/u/p/tools",
            "ro /home/u/p/tools/pc",
        ]]))
    );
}
