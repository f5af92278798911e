//! The described tree and the real one give the kernel's answers.

use super::*;

fn tree() -> Tree {
    let mut tree = Tree::described();
    tree.describe(Path::new("/home/u/.ssh/id"), Kind::File, 1000, b"key");
    tree.describe(Path::new("/home/u/p/link"), Kind::Link("../.ssh".into()), 1000, b"");
    tree.describe(Path::new("/home/u/loop"), Kind::Link("loop".into()), 1000, b"");
    tree.describe(Path::new("/abs"), Kind::Link("/home/u/p/link".into()), 0, b"");
    tree
}

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

#[test]
fn symlinks_are_followed_to_the_end() {
    let resolved = tree().resolve(&path("/abs/id")).unwrap();
    assert_eq!(resolved.path, path("/home/u/.ssh/id"));
    assert_eq!(resolved.through, [path("/abs"), path("/home/u/p/link")]);
    assert_eq!(resolved.node.unwrap().kind, Kind::File);
}

#[test]
fn absent_paths_resolve_to_themselves() {
    let resolved = tree().resolve(&path("/home/u/p/link/none/x")).unwrap();
    assert_eq!((resolved.path, resolved.node), (path("/home/u/.ssh/none/x"), None));
}

#[test]
fn a_loop_ends() {
    assert_eq!(
        tree().resolve(&path("/home/u/loop")).unwrap_err().to_string(),
        "cannot look at `/home/u/loop`: too many levels of symbolic links"
    );
}

#[test]
fn the_real_tree_agrees_with_the_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(base.join("a/b")).unwrap();
    std::os::unix::fs::symlink("../a/b/..", base.join("a/l")).unwrap();
    std::fs::write(base.join("a/f"), "x").unwrap();
    let resolved = Tree::real()
        .resolve(&HostPath::new(base.join("a/l/f")).unwrap())
        .unwrap();
    assert_eq!(resolved.path.as_path(), base.join("a/l/f").canonicalize().unwrap());
}

#[test]
fn the_start_of_a_file_is_read_alike_in_both_trees() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    std::fs::write(base.join("f"), "long").unwrap();
    let mut described = Tree::described();
    described.describe(&base.join("f"), Kind::File, 0, b"long");
    for (name, count) in [("f", 2), ("f", 9), ("none", 2)] {
        let start = |tree: &Tree| tree.read_start(&base.join(name), count).ok();
        assert_eq!(start(&described), start(&Tree::real()), "{name} {count}");
    }
    assert_eq!(
        Tree::real().read_start(&base, 1).unwrap_err().why,
        described.read_start(&base, 1).unwrap_err().why
    );
}
