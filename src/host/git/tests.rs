//! What the tests of this module share: described repositories, and real ones made by git.

use std::path::Path;

use super::*;

mod forged;
mod real;
mod surface;

pub(super) const UID: u32 = 1000;

pub(super) fn path(text: impl AsRef<Path>) -> HostPath {
    HostPath::new(text).unwrap()
}

/// Adds a file of the user's.
pub(super) fn file(tree: &mut Tree, path: &str, content: &str) {
    tree.describe(Path::new(path), Kind::File, UID, content.as_bytes());
}

/// Adds a directory of the user's.
pub(super) fn directory(tree: &mut Tree, path: &str) {
    tree.describe(Path::new(path), Kind::Directory, UID, b"");
}

/// Adds a git directory with this configuration.
pub(super) fn git_dir(tree: &mut Tree, path: &str, config: &str) {
    file(tree, &format!("{path}/HEAD"), "ref: refs/heads/main\n");
    file(tree, &format!("{path}/config"), config);
    directory(tree, &format!("{path}/objects"));
    directory(tree, &format!("{path}/refs"));
}

/// Adds the linked worktree `/home/u/w` of the repository in `/home/u/p`.
pub(super) fn linked(tree: &mut Tree) {
    git_dir(tree, "/home/u/p/.git", "");
    file(tree, "/home/u/w/.git", "gitdir: /home/u/p/.git/worktrees/w\n");
    entry(tree, "/home/u/p/.git/worktrees/w", "/home/u/w/.git");
}

/// Adds the entry of a linked worktree.
pub(super) fn entry(tree: &mut Tree, path: &str, back: &str) {
    file(tree, &format!("{path}/HEAD"), "ref: refs/heads/w\n");
    file(tree, &format!("{path}/commondir"), "../..\n");
    file(tree, &format!("{path}/gitdir"), &format!("{back}\n"));
}

/// Adds the submodule `/home/u/p/sub` of the repository in `/home/u/p`.
pub(super) fn submodule(tree: &mut Tree) {
    git_dir(tree, "/home/u/p/.git", "");
    git_dir(tree, "/home/u/p/.git/modules/sub", "[core]worktree = ../../../sub\n");
    file(tree, "/home/u/p/sub/.git", "gitdir: ../.git/modules/sub\n");
}

pub(super) fn found(tree: &Tree, start: &str) -> Result<Option<Repository>, Forged> {
    discover(tree, &path(start), &path("/home/u"), UID)
}

/// What is asked of a discovered repository: work tree, git directory, common directory, layout, root.
fn parts(repository: Option<Repository>) -> Option<(String, String, String, Layout, String)> {
    repository.map(|it| {
        let root = canonical_root(&it).to_string();
        (
            it.work_tree.to_string(),
            it.git_dir.to_string(),
            it.common_dir.to_string(),
            it.layout,
            root,
        )
    })
}

fn expected(parts: [&str; 3], layout: Layout, root: &str) -> Option<(String, String, String, Layout, String)> {
    let [work_tree, git_dir, common_dir] = parts.map(String::from);
    Some((work_tree, git_dir, common_dir, layout, root.to_owned()))
}

#[test]
fn a_directory_without_a_repository() {
    let mut tree = Tree::described();
    directory(&mut tree, "/home/u/p/a");
    directory(&mut tree, "/srv/p");
    // The dotfiles in the home directory, and a repository above it, are not the project of what lies below.
    git_dir(&mut tree, "/home/u/.git", "");
    git_dir(&mut tree, "/.git", "");
    // Git passes over an empty `.git`: some tools reserve the name so.
    directory(&mut tree, "/home/u/p/.git");
    for start in ["/home/u/p/a", "/home/u", "/home", "/", "/srv/p"] {
        assert_eq!(found(&tree, start), Ok(None), "{start}");
    }
}

#[test]
fn a_home_behind_a_link_ends_the_search_too() {
    let mut tree = Tree::described();
    tree.describe(Path::new("/home"), Kind::Link("/var/home".into()), 0, b"");
    git_dir(&mut tree, "/var/home/u/.git", "");
    directory(&mut tree, "/var/home/u/p");
    assert_eq!(discover(&tree, &path("/var/home/u/p"), &path("/home/u"), UID), Ok(None));
}

#[test]
fn each_layout_is_told_apart() {
    let git = "/home/u/p/.git";
    let mut tree = Tree::described();
    git_dir(&mut tree, git, "[core]\n\tbare = false\n\tworktree = ..\n");
    directory(&mut tree, "/home/u/p/a/b");
    let plain = expected(["/home/u/p", git, git], Layout::Plain, "/home/u/p");
    for start in ["/home/u/p", "/home/u/p/a/b", git, "/home/u/p/.git/objects"] {
        assert_eq!(parts(found(&tree, start).unwrap()), plain, "{start}");
    }

    let mut tree = Tree::described();
    linked(&mut tree);
    let name = OsString::from("w");
    let main = Some(path("/home/u/p"));
    assert_eq!(
        parts(found(&tree, "/home/u/w").unwrap()),
        expected(
            ["/home/u/w", "/home/u/p/.git/worktrees/w", git],
            Layout::Worktree { main, name },
            "/home/u/p"
        )
    );

    let mut tree = Tree::described();
    submodule(&mut tree);
    let module = "/home/u/p/.git/modules/sub";
    let superproject = Some(path("/home/u/p"));
    assert_eq!(
        parts(found(&tree, "/home/u/p/sub").unwrap()),
        expected(
            ["/home/u/p/sub", module, module],
            Layout::Submodule { superproject },
            "/home/u/p/sub"
        )
    );

    let mut tree = Tree::described();
    git_dir(&mut tree, "/home/u/p.git", "[core]bare\n");
    let bare = "/home/u/p.git";
    assert_eq!(
        parts(found(&tree, bare).unwrap()),
        expected([bare, bare, bare], Layout::Bare, bare)
    );
}

#[test]
fn a_separate_git_directory_is_confirmed_or_not() {
    for (place, config, confirmed, root, roots) in [
        ("/home/u/g", "", false, "/home/u/p", vec!["/home/u/p", "/home/u/g"]),
        (
            "/home/u/g",
            "[core]worktree=/home/u/p",
            true,
            "/home/u/p",
            vec!["/home/u/p", "/home/u/g"],
        ),
        (
            "/home/u/p/.bare",
            "[core]bare=true",
            true,
            "/home/u/p/.bare",
            vec!["/home/u/p"],
        ),
    ] {
        let mut tree = Tree::described();
        git_dir(&mut tree, place, config);
        file(&mut tree, "/home/u/p/.git", &format!("gitdir: {place}"));
        let repository = found(&tree, "/home/u/p").unwrap().unwrap();
        let layout = Layout::SeparateGitDir { confirmed };
        assert_eq!(repository.unconfirmed(), (!confirmed).then_some(&path(place)));
        assert_eq!(repository.roots(), roots.into_iter().map(path).collect::<Vec<_>>());
        assert_eq!(
            parts(Some(repository)),
            expected(["/home/u/p", place, place], layout, root)
        );
    }
}

#[test]
fn the_reservation_of_another_session_is_no_forgery() {
    let mut tree = Tree::described();
    linked(&mut tree);
    file(&mut tree, "/home/u/p/.git/commondir", "./\n");
    for start in ["/home/u/p", "/home/u/w"] {
        assert!(found(&tree, start).unwrap().is_some(), "{start}");
    }
}
