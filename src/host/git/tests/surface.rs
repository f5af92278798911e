//! The protected surface of described repositories, compared whole.

use super::*;

mod forged_parts;
mod named;

fn shown(surface: &Surface) -> Vec<String> {
    let items = surface.items.iter().map(|item| {
        let protection = match item.protection {
            Protection::Pin => "pin",
            Protection::ReadOnly => "ro",
            Protection::Reserve(Reservation::EmptyFile) => "file",
            Protection::Reserve(Reservation::EmptyDirectory) => "dir",
            Protection::Reserve(Reservation::Content(content)) => {
                assert_eq!(content, b"./\n");
                "dot"
            }
        };
        format!("{protection} {}", item.path)
    });
    items
        .chain(surface.gaps.iter().map(|gap| format!("gap {} {}", gap.path, gap.why)))
        .collect()
}

fn of(tree: &Tree, start: &str) -> Result<Vec<String>, String> {
    let repository = found(tree, start).unwrap().unwrap();
    let own = identity::files(&path("/home/u"), &path("/home/u/.config"));
    let surface = surface(tree, &repository, &own).map_err(|forged| forged.to_string())?;
    for (index, item) in surface.items.iter().enumerate() {
        assert!(!repository.roots().contains(&item.path), "a root among the items");
        for later in &surface.items[index + 1..] {
            assert!(!item.path.within(&later.path), "{:?} after {:?}", later.path, item.path);
            assert!(
                item.protection == Protection::Pin || !later.path.within(&item.path),
                "{:?} below what is closed",
                later.path
            );
        }
    }
    Ok(shown(&surface))
}

/// What is always protected of a git directory.
fn block(git: &str) -> Vec<String> {
    ["pin {}", "ro {}/config", "dot {}/commondir", "dir {}/hooks"]
        .map(|line| line.replace("{}", git))
        .to_vec()
}

fn lines(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(String::from).collect()
}

fn plain(config: &str) -> Tree {
    let mut tree = Tree::described();
    git_dir(&mut tree, "/home/u/p/.git", config);
    tree
}

#[test]
fn a_plain_repository() {
    let git = "/home/u/p/.git";
    assert_eq!(of(&plain(""), "/home/u/p"), Ok(block(git)));

    let mut tree = plain("[extensions]worktreeConfig=true\n");
    file(&mut tree, "/home/u/p/.git/commondir", "./\n");
    file(&mut tree, "/home/u/p/.git/hooks/pre-commit", "x");
    assert_eq!(
        of(&tree, "/home/u/p"),
        Ok(lines(&[&[
            "pin /home/u/p/.git",
            "ro /home/u/p/.git/config",
            "file /home/u/p/.git/config.worktree",
            "dot /home/u/p/.git/commondir",
            "ro /home/u/p/.git/hooks",
        ]]))
    );
}

#[test]
fn a_linked_worktree_has_its_own_entry_alone() {
    let mut tree = Tree::described();
    linked(&mut tree);
    file(&mut tree, "/home/u/p/.git/index", "DIRC");
    entry(&mut tree, "/home/u/p/.git/worktrees/other", "/home/u/o/.git");
    file(&mut tree, "/home/u/o/.git", "gitdir: /home/u/p/.git/worktrees/other\n");
    assert_eq!(
        of(&tree, "/home/u/w"),
        Ok(lines(&[&[
            "ro /home/u/w/.git",
            "ro /home/u/p/.git/config",
            "dot /home/u/p/.git/commondir",
            "dir /home/u/p/.git/hooks",
            "pin /home/u/p/.git/worktrees",
            "ro /home/u/p/.git/worktrees/other",
            "pin /home/u/p/.git/worktrees/w",
            "ro /home/u/p/.git/worktrees/w/commondir",
            "ro /home/u/p/.git/worktrees/w/gitdir",
            "ro /home/u/p/.git/HEAD",
            "ro /home/u/p/.git/index",
        ]]))
    );
}

#[test]
fn worktrees_inside_of_the_project_can_be_committed_in() {
    let mut tree = plain("");
    entry(&mut tree, "/home/u/p/.git/worktrees/in", "/home/u/p/trees/in/.git");
    file(
        &mut tree,
        "/home/u/p/trees/in/.git",
        "gitdir: /home/u/p/.git/worktrees/in\n",
    );
    entry(&mut tree, "/home/u/p/.git/worktrees/gone", "/home/u/p/trees/gone/.git");
    let mut expected = block("/home/u/p/.git");
    expected.extend(lines(&[&[
        "pin /home/u/p/.git/worktrees",
        "ro /home/u/p/.git/worktrees/gone",
        "pin /home/u/p/.git/worktrees/in",
        "ro /home/u/p/.git/worktrees/in/commondir",
        "ro /home/u/p/.git/worktrees/in/gitdir",
        "pin /home/u/p/trees",
        "pin /home/u/p/trees/in",
        "ro /home/u/p/trees/in/.git",
    ]]));
    assert_eq!(of(&tree, "/home/u/p"), Ok(expected));
}

#[test]
fn siblings_in_a_bare_repository_are_closed() {
    let mut tree = Tree::described();
    git_dir(&mut tree, "/home/u/b", "");
    for name in ["a", "z"] {
        entry(
            &mut tree,
            &format!("/home/u/b/worktrees/{name}"),
            &format!("/home/u/b/{name}/.git"),
        );
        file(
            &mut tree,
            &format!("/home/u/b/{name}/.git"),
            &format!("gitdir: /home/u/b/worktrees/{name}\n"),
        );
    }
    git_dir(&mut tree, "/home/u/b/stray/.git", "");
    let mut expected = lines(&[&[
        "ro /home/u/b/a/.git",
        "ro /home/u/b/config",
        "dot /home/u/b/commondir",
        "dir /home/u/b/hooks",
        "pin /home/u/b/worktrees",
        "pin /home/u/b/worktrees/a",
        "ro /home/u/b/worktrees/a/commondir",
        "ro /home/u/b/worktrees/a/gitdir",
        "ro /home/u/b/worktrees/z",
        "ro /home/u/b/z",
        "ro /home/u/b/HEAD",
        "pin /home/u/b/stray",
    ]]);
    expected.extend(block("/home/u/b/stray/.git"));
    let repository = found(&tree, "/home/u/b/a").unwrap().unwrap();
    assert_eq!(repository.roots(), [path("/home/u/b"), path("/home/u/b/a")]);
    assert_eq!(of(&tree, "/home/u/b/a"), Ok(expected));
}

#[test]
fn submodules_from_both_sides() {
    let mut tree = Tree::described();
    submodule(&mut tree);
    git_dir(&mut tree, "/home/u/p/.git/modules/group/deep", "");
    directory(&mut tree, "/home/u/p/.git/modules/sub/modules");
    let module = "/home/u/p/.git/modules/sub";
    let mut inner = block(module);
    inner.push(format!("pin {module}/modules"));

    let mut expected = block("/home/u/p/.git");
    expected.push("pin /home/u/p/.git/modules".into());
    expected.push("pin /home/u/p/.git/modules/group".into());
    expected.extend(block("/home/u/p/.git/modules/group/deep"));
    expected.extend(inner.clone());
    expected.extend(lines(&[&["pin /home/u/p/sub", "ro /home/u/p/sub/.git"]]));
    assert_eq!(of(&tree, "/home/u/p"), Ok(expected));

    let mut expected = lines(&[&["ro /home/u/p/sub/.git"]]);
    // The git directory itself is a mount.
    expected.extend(inner.into_iter().skip(1));
    assert_eq!(of(&tree, "/home/u/p/sub"), Ok(expected));
}

#[test]
fn nested_repositories_are_found_up_to_the_bounds() {
    let mut tree = plain("");
    git_dir(&mut tree, "/home/u/p/a/b/.git", "");
    for name in ["objects", "refs", "HEAD"] {
        directory(&mut tree, &format!("/home/u/p/new/.git/{name}"));
    }
    git_dir(&mut tree, "/home/u/p/node_modules/x/.git", "");
    git_dir(&mut tree, "/home/u/p/vendor/sub/.git", "");
    git_dir(&mut tree, "/home/u/p/1/2/3/4/5/6/7/8/9/.git", "");
    directory(&mut tree, "/home/u/p/empty/.git");
    tree.describe(Path::new("/home/u/p/root/.git/config"), Kind::File, 0, b"");
    file(
        &mut tree,
        "/home/u/p/.gitmodules",
        "[submodule \"s\"]path=vendor/sub\n[submodule \"t\"]path=../q\n[submodule \"u\"]path=.\n",
    );
    let mut expected = block("/home/u/p/.git");
    expected.extend(lines(&[&[
        "pin /home/u/p/empty",
        "ro /home/u/p/empty/.git",
        "pin /home/u/p/new",
        "pin /home/u/p/new/.git",
        "file /home/u/p/new/.git/config",
        "dot /home/u/p/new/.git/commondir",
        "dir /home/u/p/new/.git/hooks",
        "pin /home/u/p/root",
        "ro /home/u/p/root/.git",
        "pin /home/u/p/a",
        "pin /home/u/p/a/b",
    ]]));
    expected.extend(block("/home/u/p/a/b/.git"));
    expected.extend(lines(&[&["pin /home/u/p/vendor", "pin /home/u/p/vendor/sub"]]));
    expected.extend(block("/home/u/p/vendor/sub/.git"));
    expected.push("gap /home/u/p/1/2/3/4/5/6/7/8 was not searched further for repositories: too deep".into());
    assert_eq!(of(&tree, "/home/u/p"), Ok(expected));
}

#[test]
fn too_many_repositories_are_closed_as_a_whole() {
    let mut tree = plain("");
    for number in 0..70 {
        git_dir(&mut tree, &format!("/home/u/p/{number:02}/.git"), "");
    }
    let shown = of(&tree, "/home/u/p").unwrap();
    assert!(shown.contains(&"pin /home/u/p/62/.git".into()));
    assert!(shown.contains(&"ro /home/u/p/63/.git".into()));
    assert!(shown.contains(&"ro /home/u/p/69/.git".into()));
    assert_eq!(
        shown.iter().find(|line| line.starts_with("gap")).unwrap(),
        "gap /home/u/p/63/.git and the repositories after it are read-only as a whole: there are too many"
    );
}

#[test]
fn a_folder_of_repositories() {
    let mut tree = Tree::described();
    git_dir(&mut tree, "/home/u/src/a/.git", "");
    directory(&mut tree, "/home/u/src/.git");
    let surface = surface_of_folder(&tree, &path("/home/u/src"), &path("/home/u"), UID, &[]).unwrap();
    let mut expected = lines(&[&["ro /home/u/src/.git", "pin /home/u/src/a"]]);
    expected.extend(block("/home/u/src/a/.git"));
    assert_eq!(shown(&surface), expected);
}
