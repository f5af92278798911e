//! Each contradiction is refused, and says where and what.

use super::*;
use crate::host::tree::Node;

fn link(tree: &mut Tree, from: &str, to: &str) {
    remove(tree, from);
    tree.describe(Path::new(from), Kind::Link(to.into()), UID, b"");
}

fn change(tree: &mut Tree, path: &str, change: impl Fn(&mut Node)) {
    tree.alter(Path::new(path), change);
}

fn remove(tree: &mut Tree, path: &str) {
    tree.forget(Path::new(path));
}

type Forgery = fn(&mut Tree);

/// Builds a repository with `base`, changes it, and expects the refusal at `start`.
fn refused(base: fn(&mut Tree), start: &str, cases: &[(Forgery, &str)]) {
    for (forge, message) in cases {
        let mut tree = Tree::described();
        base(&mut tree);
        assert!(found(&tree, start).unwrap().is_some(), "the control for {message}");
        forge(&mut tree);
        let forged = found(&tree, start).unwrap_err();
        assert_eq!(forged.to_string(), *message);
        assert!(!forged.hint.is_empty());
    }
}

fn plain(tree: &mut Tree) {
    git_dir(tree, "/home/u/p/.git", "");
}

#[test]
fn a_plain_repository() {
    refused(
        plain,
        "/home/u/p",
        &[
            (
                |t| link(t, "/home/u/p/.git", "/home/u/q/.git"),
                "`/home/u/p/.git` is a symbolic link",
            ),
            (
                |t| {
                    remove(t, "/home/u/p/.git");
                    t.describe(Path::new("/home/u/p/.git"), Kind::Special, UID, b"");
                },
                "`/home/u/p/.git` is neither a directory nor a regular file",
            ),
            (
                |t| change(t, "/home/u/p", |node| node.uid = 0),
                "`/home/u/p` belongs to another user (uid 0, not 1000)",
            ),
            (
                |t| change(t, "/home/u/p/.git", |node| node.uid = 1001),
                "`/home/u/p/.git` belongs to another user (uid 1001, not 1000)",
            ),
            (
                |t| change(t, "/home/u/p/.git/config", |node| node.uid = 0),
                "`/home/u/p/.git/config` belongs to another user (uid 0, not 1000)",
            ),
            (
                |t| change(t, "/home/u/p/.git/config", |node| node.links = 2),
                "`/home/u/p/.git/config` has 2 names (hard links)",
            ),
            (
                |t| link(t, "/home/u/p/.git/config", "../x"),
                "`/home/u/p/.git/config` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/hooks", "../x"),
                "`/home/u/p/.git/hooks` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/objects", "/o"),
                "`/home/u/p/.git/objects` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/HEAD", "refs/x"),
                "`/home/u/p/.git/HEAD` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/index", "/x"),
                "`/home/u/p/.git/index` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/logs", "/home/u"),
                "`/home/u/p/.git/logs` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/modules", "/m"),
                "`/home/u/p/.git/modules` is a symbolic link",
            ),
            (
                |t| remove(t, "/home/u/p/.git/config"),
                "`/home/u/p/.git/config` is missing",
            ),
            (
                |t| {
                    remove(t, "/home/u/p/.git/refs");
                    file(t, "/home/u/p/.git/refs", "");
                },
                "`/home/u/p/.git/refs` is not what a git directory holds there",
            ),
            (
                |t| file(t, "/home/u/p/.git/commondir", "../evil\n"),
                "`/home/u/p/.git/commondir` sends git to the configuration and the hooks of another directory",
            ),
            (
                |t| {
                    // Without objects git takes those of the common directory: the shape alone does not show it.
                    remove(t, "/home/u/p/.git/objects");
                    file(t, "/home/u/p/.git/commondir", "../evil\n");
                },
                "`/home/u/p/.git/commondir` sends git to the configuration and the hooks of another directory",
            ),
            (
                |t| file(t, "/home/u/p/.git/config", "[core]worktree=/home/u\n"),
                "`/home/u/p/.git/config` sets `core.worktree` to `/home/u`, not to `/home/u/p`",
            ),
            (
                |t| {
                    file(t, "/home/u/p/.git/config", "[extensions]worktreeConfig\n");
                    file(t, "/home/u/p/.git/config.worktree", "[core]worktree=../../q\n");
                },
                "`/home/u/p/.git/config.worktree` sets `core.worktree` to `/home/u/q`, not to `/home/u/p`",
            ),
            (
                |t| file(t, "/home/u/p/.git/config", "[core\n"),
                "`/home/u/p/.git/config` is no git configuration: line 1: a section's name that does not end in `]`",
            ),
        ],
    );
}

#[test]
fn a_pointer_file() {
    refused(
        linked,
        "/home/u/w",
        &[
            (
                |t| file(t, "/home/u/w/.git", ""),
                "`/home/u/w/.git` does not hold exactly one line",
            ),
            (
                |t| file(t, "/home/u/w/.git", "\n"),
                "`/home/u/w/.git` does not hold exactly one line",
            ),
            (
                |t| file(t, "/home/u/w/.git", "gitdir: /a\ngitdir: /b\n"),
                "`/home/u/w/.git` does not hold exactly one line",
            ),
            (
                |t| file(t, "/home/u/w/.git", "gitdir: /a\0b\n"),
                "`/home/u/w/.git` does not hold exactly one line",
            ),
            (
                |t| file(t, "/home/u/w/.git", "gitdir:/a\n"),
                "`/home/u/w/.git` does not begin with `gitdir: `",
            ),
            (
                |t| file(t, "/home/u/w/.git", &format!("gitdir: /{}\n", "a".repeat(5000))),
                "`/home/u/w/.git` cannot be examined: longer than 4096 bytes",
            ),
            (
                |t| change(t, "/home/u/w/.git", |node| node.links = 2),
                "`/home/u/w/.git` has 2 names (hard links)",
            ),
            (
                |t| change(t, "/home/u/w/.git", |node| node.uid = 7),
                "`/home/u/w/.git` belongs to another user (uid 7, not 1000)",
            ),
            (
                |t| file(t, "/home/u/w/.git", "gitdir: /none\n"),
                "`/none` does not exist",
            ),
            (
                |t| file(t, "/home/u/w/.git", "gitdir: /home/u\n"),
                "`/home/u` is your home directory or above it, and named as a git directory",
            ),
            (
                |t| file(t, "/home/u/w/.git", "gitdir: ../..\n"),
                "`/home` is your home directory or above it, and named as a git directory",
            ),
            (
                |t| {
                    directory(t, "/home/u/.ssh");
                    file(t, "/home/u/w/.git", "gitdir: /home/u/.ssh\n");
                },
                "`/home/u/.ssh/HEAD` is missing",
            ),
            (
                |t| {
                    link(t, "/home/u/l", "/home/u/p");
                    file(t, "/home/u/w/.git", "gitdir: ../l/.git/worktrees/w\n");
                },
                "`/home/u/w/.git` names a path through the symbolic link `/home/u/l`",
            ),
        ],
    );
}

#[test]
fn a_linked_worktree() {
    refused(
        linked,
        "/home/u/w",
        &[
            (
                |t| file(t, "/home/u/p/.git/worktrees/w/commondir", "/home/u/q\n"),
                "`/home/u/q` does not exist",
            ),
            (
                |t| {
                    git_dir(t, "/home/u/q/.git", "");
                    file(t, "/home/u/p/.git/worktrees/w/commondir", "/home/u/q/.git\n");
                },
                "`/home/u/p/.git/worktrees/w/commondir` names `/home/u/q/.git`, which does not hold it as one of its worktrees",
            ),
            (
                |t| file(t, "/home/u/p/.git/worktrees/w/commondir", "../../../..\n"),
                "`/home/u` is your home directory or above it, and named as a git directory",
            ),
            (
                |t| file(t, "/home/u/p/.git/worktrees/w/gitdir", "/home/u/v/.git\n"),
                "`/home/u/p/.git/worktrees/w/gitdir` does not lead back to `/home/u/w/.git`",
            ),
            (
                |t| remove(t, "/home/u/p/.git/worktrees/w/gitdir"),
                "`/home/u/p/.git/worktrees/w/gitdir` is missing",
            ),
            (
                |t| remove(t, "/home/u/p/.git/worktrees/w/HEAD"),
                "`/home/u/p/.git/worktrees/w/HEAD` is missing",
            ),
            (
                |t| link(t, "/home/u/p/.git/worktrees/w/index", "/x"),
                "`/home/u/p/.git/worktrees/w/index` is a symbolic link",
            ),
            (
                |t| link(t, "/home/u/p/.git/worktrees/w/commondir", "/x"),
                "`/home/u/p/.git/worktrees/w/commondir` is a symbolic link",
            ),
            (
                |t| file(t, "/home/u/p/.git/commondir", "/home/u/evil\n"),
                "`/home/u/p/.git/commondir` sends git to the configuration and the hooks of another directory",
            ),
            (
                |t| change(t, "/home/u/p/.git", |node| node.uid = 0),
                "`/home/u/p/.git` belongs to another user (uid 0, not 1000)",
            ),
            (
                |t| change(t, "/home/u/p/.git/worktrees/w", |node| node.uid = 0),
                "`/home/u/p/.git/worktrees/w` belongs to another user (uid 0, not 1000)",
            ),
            (
                |t| link(t, "/home/u/p/.git/refs", "/x"),
                "`/home/u/p/.git/refs` is a symbolic link",
            ),
            (
                |t| {
                    file(t, "/home/u/p/.git/config", "[extensions]worktreeConfig=1\n");
                    file(
                        t,
                        "/home/u/p/.git/worktrees/w/config.worktree",
                        "[core]worktree=/home/u\n",
                    );
                },
                "`/home/u/p/.git/worktrees/w/config.worktree` sets `core.worktree` to `/home/u`, not to `/home/u/w`",
            ),
        ],
    );
}

#[test]
fn a_submodule() {
    refused(
        submodule,
        "/home/u/p/sub",
        &[
            (
                |t| {
                    file(
                        t,
                        "/home/u/p/.git/modules/sub/config",
                        "[core]worktree=../../../other\n",
                    )
                },
                "`/home/u/p/.git/modules/sub/config` sets `core.worktree` to `/home/u/p/other`, not to `/home/u/p/sub`",
            ),
            (
                |t| file(t, "/home/u/p/.git/modules/sub/commondir", "../../../evil\n"),
                "`/home/u/p/evil` does not exist",
            ),
            (
                |t| {
                    git_dir(t, "/home/u/p/evil", "");
                    file(t, "/home/u/p/.git/modules/sub/commondir", "../../../evil\n");
                },
                "`/home/u/p/.git/modules/sub/commondir` names `/home/u/p/evil`, which does not hold it as one of its worktrees",
            ),
        ],
    );
}

#[test]
fn a_pointer_without_a_way_back_is_not_confirmed() {
    let mut tree = Tree::described();
    submodule(&mut tree);
    file(&mut tree, "/home/u/p/.git/modules/sub/config", "");
    let repository = found(&tree, "/home/u/p/sub").unwrap().unwrap();
    assert_eq!(repository.unconfirmed(), Some(&path("/home/u/p/.git/modules/sub")));
}

#[test]
fn a_bare_repository() {
    refused(
        |t| git_dir(t, "/home/u/p.git", "[core]bare"),
        "/home/u/p.git",
        &[
            (
                |t| file(t, "/home/u/p.git/config", "[core]bare=false"),
                "`/home/u/p.git` is the git directory of a work tree elsewhere",
            ),
            (
                |t| file(t, "/home/u/p.git/config", "[core]bare\nworktree=/home/u/x"),
                "`/home/u/p.git` is the git directory of a work tree elsewhere",
            ),
            (
                |t| link(t, "/home/u/p.git/hooks", "/x"),
                "`/home/u/p.git/hooks` is a symbolic link",
            ),
        ],
    );
}
