//! Parts beside the repository itself that contradict it are refused.

use super::*;
use crate::host::tree::Node;

/// Each changes a repository that was found sound, and is refused.
#[test]
fn forged_parts_are_refused() {
    type Forgery = fn(&mut Tree);
    fn link(tree: &mut Tree, from: &str, to: &str) {
        tree.describe(Path::new(from), Kind::Link(to.into()), UID, b"");
    }
    fn change(tree: &mut Tree, path: &str, change: impl Fn(&mut Node)) {
        tree.alter(Path::new(path), change);
    }
    let cases: &[(Forgery, &str)] = &[
        (
            |t| link(t, "/home/u/p/n/.git", "../q"),
            "`/home/u/p/n/.git` is a symbolic link",
        ),
        (
            |t| {
                git_dir(t, "/home/u/p/n/.git", "");
                change(t, "/home/u/p/n/.git/config", |node| node.links = 2);
            },
            "`/home/u/p/n/.git/config` has 2 names (hard links)",
        ),
        (
            |t| {
                git_dir(t, "/home/u/p/n/.git", "");
                file(t, "/home/u/p/n/.git/commondir", "../../evil");
            },
            "`/home/u/p/n/.git/commondir` sends git to the configuration and the hooks of another directory",
        ),
        (
            |t| file(t, "/home/u/p/n/.git/commondir", "../../evil"),
            "`/home/u/p/n/.git/commondir` sends git to the configuration and the hooks of another directory",
        ),
        (
            |t| {
                git_dir(t, "/home/u/p/.git/modules/m", "");
                file(t, "/home/u/p/.git/modules/m/commondir", "../../../evil");
            },
            "`/home/u/p/.git/modules/m/commondir` sends git to the configuration and the hooks of another directory",
        ),
        (
            |t| {
                directory(t, "/home/u/p/.git/modules");
                link(t, "/home/u/p/.git/modules/m", "/x");
            },
            "`/home/u/p/.git/modules/m` is a symbolic link",
        ),
        (
            |t| {
                directory(t, "/home/u/p/.git/worktrees");
                link(t, "/home/u/p/.git/worktrees/w", "/x");
            },
            "`/home/u/p/.git/worktrees/w` is a symbolic link",
        ),
        (
            |t| {
                file(t, "/home/u/p/.git/hooks/pre-commit", "x");
                change(t, "/home/u/p/.git/hooks/pre-commit", |node| node.links = 3);
            },
            "`/home/u/p/.git/hooks/pre-commit` has 3 names (hard links)",
        ),
        (
            |t| {
                file(t, "/home/u/p/.git/config", "[include]path=../cfg");
                link(t, "/home/u/p/cfg", "real");
            },
            "`/home/u/p/cfg` is a symbolic link on the way to `/home/u/p/real`, which git obeys",
        ),
        (
            |t| {
                file(t, "/home/u/p/.git/config", "[core]hooksPath=h");
                link(t, "/home/u/p/h", "/opt/hooks");
            },
            "`/home/u/p/h` is a symbolic link on the way to `/opt/hooks`, which git obeys",
        ),
        (
            |t| {
                file(t, "/home/u/p/n/.git", "gitdir: ../g\n");
                directory(t, "/home/u/p/evil");
                file(t, "/home/u/p/g/commondir", "../evil\n");
            },
            "`/home/u/p/g/commondir` names `/home/u/p/evil`, which does not hold it as one of its worktrees",
        ),
        (
            |t| {
                git_dir(t, "/home/u/p/n/.git", "[x");
            },
            "`/home/u/p/n/.git/config` is no git configuration: line 1: a section's name that does not end in `]`",
        ),
    ];
    for (forge, message) in cases {
        let mut tree = plain("");
        assert!(of(&tree, "/home/u/p").is_ok());
        forge(&mut tree);
        assert_eq!(of(&tree, "/home/u/p"), Err((*message).to_owned()));
    }
}
