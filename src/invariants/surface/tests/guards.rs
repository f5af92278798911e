//! Which mount guards what where mounts, guards and names overlap.

use super::*;
use crate::host::git::Reservation;

/// The project with these lines after it.
fn project(lines: &str) -> (Vec<String>, Vec<String>) {
    protected(&format!("{PROJECT} {lines}"), &host(tree()))
}

/// What guards the git directory, after these mounts.
fn with_git(mounts: &[&str]) -> Vec<String> {
    mounts
        .iter()
        .chain(GIT.get(2..).unwrap())
        .map(|mount| (*mount).to_string())
        .collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_part_that_can_be_written_is_protected() {
    let whole = "mount::ro(host.project, \"to look at\");";
    let (mounts, rest) = protected(
        &format!("{whole} mount::rw(\"~/p/.git\", \"to commit\");"),
        &host(tree()),
    );
    assert_eq!(
        mounts,
        [
            "ro p",
            "rw p/.git",
            "ro p/.git/config",
            "make p/.git/commondir",
            "ro p/.git/hooks"
        ]
    );
    assert_eq!(rest, NOTHING);
    let (mounts, _) = protected(
        &format!("{whole} mount::rw(\"~/p/.vscode\", \"settings\");"),
        &host(tree()),
    );
    assert_eq!(mounts, ["ro p", "rw p/.vscode"]);
}

#[test]
fn what_another_mount_hides_needs_no_guard() {
    for other in [
        "mount::tmpfs(\"~/p/.git\", \"another one\");",
        "mount::ro(\"/usr/bin\", \"~/p/.git\", \"another one\");",
    ] {
        let (mounts, rest) = project(other);
        assert_eq!((mounts, rest), (vec!["rw p".to_string()], Vec::new()), "{other}");
    }
    // The same below what is hidden, and beside it.
    let (mounts, _) = project(
        "mount::tmpfs(\"~/p/.claude\", \"another one\"); mount::protect(\"~/p/.claude/settings.json\", \"why\");",
    );
    assert_eq!(mounts, GIT);
    let (mounts, _) =
        project("mount::tmpfs(\"~/p/.vscode\", \"another one\"); mount::protect(\"~/p/.envrc\", \"why\");");
    assert_eq!(mounts, with_git(&["rw p", "ro p/.envrc", "rw p/.git"]));
}

#[test]
fn a_closed_directory_needs_no_guards_inside() {
    let directory = "mount::protect(\"~/p/.claude\", \"all of it\");";
    let file = "mount::protect(\"~/p/.claude/settings.json\", \"one file\");";
    for lines in [
        format!("{directory} {file}"),
        format!("{file} {directory}"),
        format!("{directory} {directory}"),
    ] {
        let (mounts, rest) = project(&lines);
        assert_eq!(mounts, with_git(&["rw p", "ro p/.claude", "rw p/.git"]), "{lines}");
        assert_eq!(rest, NOTHING, "{lines}");
    }
    let (mounts, _) = project(&format!("{file} {file}"));
    assert_eq!(
        mounts,
        with_git(&["rw p", "rw p/.claude", "rw p/.git", "ro p/.claude/settings.json"])
    );
}

#[test]
fn mounts_of_the_policy_at_places_of_guards() {
    // A mount with write access where a pin belongs is one.
    let (mounts, rest) = project("mount::rw(\"~/p/.git\", \"mine\");");
    assert_eq!((mounts, rest), (with_git(&["rw p", "rw p/.git"]), Vec::new()));
    // One that is read-only already needs no word, and neither does one that is no file of the host's.
    let (mounts, rest) = project("mount::ro(\"~/p/.git/config\", \"mine\");");
    assert_eq!(
        mounts,
        [
            "rw p",
            "rw p/.git",
            "ro p/.git/config",
            "make p/.git/commondir",
            "ro p/.git/hooks"
        ]
    );
    assert_eq!(rest, NOTHING);
    let (mounts, rest) = project("mount::text(\"~/p/.git/config\", \"[core]\", \"mine\");");
    assert_eq!(
        mounts,
        ["rw p", "rw p/.git", "make p/.git/commondir", "ro p/.git/hooks"]
    );
    assert_eq!(rest, NOTHING);
}

#[test]
fn an_opening_below_a_pin_opens_nothing() {
    let (mounts, rest) = project(
        "mount::protect(\"~/p/.claude/settings.json\", \"why\"); mount::open(\"~/p/.claude/other\", \"mine\");",
    );
    assert_eq!(
        mounts,
        with_git(&["rw p", "rw p/.claude", "rw p/.git", "ro p/.claude/settings.json"])
    );
    assert_eq!(
        rest,
        ["open-path /home/u/p/.claude/other: Idle(\"nothing protects it\")"]
    );
}

#[test]
fn second_names_are_told() {
    let mut tree = tree();
    tree.alter(Path::new("/home/u/p/.envrc"), |node| node.links = 2);
    tree.alter(Path::new("/home/u/p/.vscode"), |node| node.links = 3);
    tree.describe(
        Path::new("/home/u/from-outside"),
        Kind::Link("p/.envrc".into()),
        1000,
        b"",
    );
    let lines = "mount::protect(\"~/p/.envrc\", \"why\"); mount::protect(\"~/p/.vscode\", \"why\"); mount::protect(\"~/from-outside\", \"why\");";
    let (mounts, rest) = protected(&format!("{PROJECT} {lines}"), &host(tree));
    assert_eq!(mounts, with_git(&["rw p", "ro p/.envrc", "ro p/.vscode", "rw p/.git"]));
    let second = "has a second name, through which it can be written";
    assert_eq!(
        rest,
        [
            format!("note /home/u/p/.envrc {second}"),
            format!("note /home/u/from-outside {second}")
        ]
    );
}

#[test]
fn what_is_reserved_is_reserved_once_by_its_kind() {
    let mut absent = tree();
    absent.forget(Path::new("/home/u/p/.git/hooks"));
    let config = b"[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tworktreeConfig = true\n";
    absent.describe(Path::new("/home/u/p/.git/config"), Kind::File, 1000, config);
    // The same where another session has reserved two of them already.
    let mut there = tree();
    there.forget(Path::new("/home/u/p/.git/hooks/pre-commit.sample"));
    there.describe(Path::new("/home/u/p/.git/config"), Kind::File, 1000, config);
    there.describe(Path::new("/home/u/p/.git/config.worktree"), Kind::File, 1000, b"");
    let git = |name: &str| format!("/home/u/p/.git/{name}");
    for (tree, missing) in [(absent, true), (there, false)] {
        let decided = decided(
            &format!("{PROJECT} mount::rw(host.project, \"/work\", \"twice\");"),
            &host(tree),
        );
        let plan = decided.verdict.outcome.as_ref().unwrap();
        let mut reserved: Vec<(String, Reservation, bool)> = plan
            .reserved()
            .iter()
            .map(|reserved| (reserved.path.to_string(), reserved.content, reserved.absent))
            .collect();
        reserved.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            reserved,
            [
                (git("commondir"), Reservation::Content(b"./\n"), true),
                (git("config.worktree"), Reservation::EmptyFile, missing),
                (git("hooks"), Reservation::EmptyDirectory, missing),
            ]
        );
        // A pin says that it is one, in the trace too.
        let effect = |subject: &str| {
            let mut decisions = decided.trace.iter().filter(|(_, decision)| decision.subject == subject);
            decisions.next().unwrap().1.effect
        };
        assert_eq!(
            (effect("/home/u/p/.git"), effect("/home/u/p/.git/config")),
            (Effect::Pin, Effect::Protect)
        );
    }
}

#[test]
fn the_state_is_not_looked_through() {
    let mut tree = tree();
    git_dir(&mut tree, "/home/u/.claudebox/instances/p-60ad706fe5335804/claude/.git");
    let decided = decided(PROJECT, &host(tree));
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let inside = |mount: &&crate::invariants::plan::Mount| mount.at.to_string().starts_with("/home/u/.claude/.git");
    assert_eq!(plan.mounts().iter().filter(inside).count(), 0);
}
