//! Repositories made by git itself.

use super::*;

/// A directory with a home in it, and git's answers kept apart from the machine's configuration.
struct Place {
    _dir: tempfile::TempDir,
    base: HostPath,
}

#[expect(clippy::disallowed_methods, reason = "the test has git make the repositories")]
impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = path(dir.path().canonicalize().unwrap());
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Self { _dir: dir, base }
    }

    fn git(&self, arguments: &str) {
        let output = std::process::Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@t",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(arguments.split_whitespace())
            .current_dir(self.base.as_path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.base.join("home").unwrap().as_path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn at(&self, name: &str) -> HostPath {
        self.base.join(name).unwrap()
    }

    fn found(&self, start: &str) -> (String, String, String, Layout, String) {
        let uid = rustix::process::getuid().as_raw();
        let repository = discover(&Tree::real(), &self.at(start), &self.at("home"), uid).unwrap();
        parts(repository).unwrap()
    }

    fn expected(&self, names: [&str; 3], layout: Layout, root: &str) -> (String, String, String, Layout, String) {
        let [work_tree, git_dir, common_dir] = names.map(|name| self.at(name).to_string());
        (work_tree, git_dir, common_dir, layout, self.at(root).to_string())
    }
}

#[test]
fn a_plain_repository_from_a_subdirectory() {
    let place = Place::new();
    place.git("init -q p");
    std::fs::create_dir_all(place.at("p/a/b").as_path()).unwrap();
    let expected = place.expected(["p", "p/.git", "p/.git"], Layout::Plain, "p");
    assert_eq!(place.found("p"), expected);
    assert_eq!(place.found("p/a/b"), expected);
}

/// Another session ends between the two looks that are taken at what it reserved.
#[test]
fn a_reservation_that_goes_meanwhile_is_no_forgery() {
    let place = Place::new();
    place.git("init -q p");
    let reserved = place.at("p/.git/commondir");
    std::fs::write(reserved.as_path(), crate::host::git::RESERVED_COMMON_DIR).unwrap();
    let tree = Tree::real();
    // What was looked at once is remembered.
    assert!(tree.node(reserved.as_path()).unwrap().is_some());
    std::fs::remove_file(reserved.as_path()).unwrap();
    let uid = rustix::process::getuid().as_raw();
    let repository = discover(&tree, &place.at("p"), &place.at("home"), uid).unwrap();
    assert_eq!(parts(repository).unwrap().0, place.at("p").to_string());
}

#[test]
fn linked_worktrees_absolute_and_relative() {
    let place = Place::new();
    place.git("init -q p");
    place.git("-C p commit -q --allow-empty -m x");
    place.git("-C p worktree add -q ../w");
    place.git("-C p worktree add -q in/side");
    place.git("-C p -c worktree.useRelativePaths=true worktree add -q ../r");
    for (tree, name) in [("w", "w"), ("p/in/side", "side"), ("r", "r")] {
        let main = Some(place.at("p"));
        let layout = Layout::Worktree {
            main,
            name: name.into(),
        };
        let git_dir = format!("p/.git/worktrees/{name}");
        assert_eq!(
            place.found(tree),
            place.expected([tree, &git_dir, "p/.git"], layout, "p")
        );
    }
}

#[test]
fn worktrees_of_a_bare_repository() {
    let place = Place::new();
    place.git("init -q s");
    place.git("-C s commit -q --allow-empty -m x");
    for (bare, root) in [("b.git", "b.git"), ("q/.git", "q"), ("v/.bare", "v/.bare")] {
        place.git(&format!("clone -q --bare s {bare}"));
        place.git(&format!("-C {bare} worktree add -q ../w"));
        let tree = place.at(bare).parent().unwrap().join("w").unwrap();
        let tree = tree.below(&place.base).unwrap().to_str().unwrap();
        let layout = Layout::Worktree {
            main: None,
            name: "w".into(),
        };
        assert_eq!(
            place.found(tree),
            place.expected([tree, &format!("{bare}/worktrees/w"), bare], layout, root)
        );
    }
    assert_eq!(
        place.found("b.git"),
        place.expected(["b.git"; 3], Layout::Bare, "b.git")
    );
    assert_eq!(
        place.found("q"),
        place.expected(["q", "q/.git", "q/.git"], Layout::Bare, "q")
    );
    std::fs::write(place.at("v/.git").as_path(), "gitdir: ./.bare\n").unwrap();
    let layout = Layout::SeparateGitDir { confirmed: true };
    assert_eq!(
        place.found("v"),
        place.expected(["v", "v/.bare", "v/.bare"], layout, "v/.bare")
    );
}

#[test]
fn a_submodule_its_worktree_and_one_in_a_worktree() {
    let place = Place::new();
    for name in ["s", "p"] {
        place.git(&format!("init -q {name}"));
        place.git(&format!("-C {name} commit -q --allow-empty -m x"));
    }
    place.git("-C p submodule --quiet add ../s deep/sub");
    place.git("-C p commit -q -m y");
    place.git("-C p/deep/sub worktree add -q ../../../w");
    let module = "p/.git/modules/deep/sub";
    let superproject = Some(place.at("p"));
    assert_eq!(
        place.found("p/deep/sub"),
        place.expected(
            ["p/deep/sub", module, module],
            Layout::Submodule { superproject },
            "p/deep/sub"
        )
    );
    let main = Some(place.at("p/deep/sub"));
    let layout = Layout::Worktree { main, name: "w".into() };
    let entry = format!("{module}/worktrees/w");
    assert_eq!(
        place.found("w"),
        place.expected(["w", &entry, module], layout, "p/deep/sub")
    );

    place.git("-C p worktree add -q ../x");
    place.git("-C x submodule --quiet update --init");
    let module = "p/.git/worktrees/x/modules/deep/sub";
    let superproject = Some(place.at("x"));
    assert_eq!(
        place.found("x/deep/sub"),
        place.expected(
            ["x/deep/sub", module, module],
            Layout::Submodule { superproject },
            "x/deep/sub"
        )
    );
}

#[test]
fn a_separate_git_directory_and_its_worktree() {
    let place = Place::new();
    place.git("init -q --separate-git-dir g p");
    place.git("-C p commit -q --allow-empty -m x");
    place.git("-C p worktree add -q ../w");
    let found = place.found("p");
    let Layout::SeparateGitDir { confirmed } = found.3 else {
        panic!("{found:?}");
    };
    assert_eq!(
        found,
        place.expected(["p", "g", "g"], Layout::SeparateGitDir { confirmed }, "p")
    );
    let main = confirmed.then(|| place.at("p"));
    let root = if confirmed { "p" } else { "g" };
    let layout = Layout::Worktree { main, name: "w".into() };
    assert_eq!(
        place.found("w"),
        place.expected(["w", "g/worktrees/w", "g"], layout, root)
    );
}

#[test]
fn a_configuration_for_each_worktree() {
    let place = Place::new();
    place.git("init -q p");
    place.git("-C p commit -q --allow-empty -m x");
    place.git("-C p worktree add -q ../w");
    place.git("-C p sparse-checkout set --no-cone a");
    place.git("-C w sparse-checkout set --no-cone b");
    assert_eq!(place.found("p").3, Layout::Plain);
    let main = Some(place.at("p"));
    assert_eq!(place.found("w").3, Layout::Worktree { main, name: "w".into() });

    // Here git moves `core.bare` out of the common configuration.
    place.git("clone -q --bare p b/.git");
    place.git("-C b worktree add -q ../x");
    place.git("-C x sparse-checkout set --no-cone b");
    assert_eq!(
        place.found("x").3,
        Layout::Worktree {
            main: None,
            name: "x".into()
        }
    );
    assert_eq!(place.found("b").3, Layout::Bare);
}

#[test]
fn the_surface_of_what_git_made() {
    let place = Place::new();
    for name in ["s", "p", "p/nest"] {
        place.git(&format!("init -q {name}"));
        place.git(&format!("-C {name} commit -q --allow-empty -m x"));
    }
    place.git("-C p submodule --quiet add ../s deep/sub");
    place.git("-C p worktree add -q ../w");
    let uid = rustix::process::getuid().as_raw();
    let tree = Tree::real();
    let repository = discover(&tree, &place.at("p"), &place.at("home"), uid)
        .unwrap()
        .unwrap();
    let surface = surface(&tree, &repository, &[]).unwrap();
    let items: Vec<String> = surface
        .items
        .iter()
        .map(|item| {
            let protection = match item.protection {
                Protection::Pin => "pin",
                Protection::ReadOnly => "ro",
                Protection::Reserve(_) => "reserve",
            };
            let path = item.path.below(&place.base).unwrap().display();
            format!("{protection} {path}")
        })
        .collect();
    assert_eq!(
        items,
        [
            "pin p/.git",
            "ro p/.git/config",
            "reserve p/.git/commondir",
            "ro p/.git/hooks",
            "pin p/.git/worktrees",
            "ro p/.git/worktrees/w",
            "pin p/.git/modules",
            "pin p/.git/modules/deep",
            "pin p/.git/modules/deep/sub",
            "ro p/.git/modules/deep/sub/config",
            "reserve p/.git/modules/deep/sub/commondir",
            "ro p/.git/modules/deep/sub/hooks",
            "pin p/nest",
            "pin p/nest/.git",
            "ro p/nest/.git/config",
            "reserve p/nest/.git/commondir",
            "ro p/nest/.git/hooks",
            "pin p/deep",
            "pin p/deep/sub",
            "ro p/deep/sub/.git",
        ]
    );
    assert_eq!(surface.gaps, []);
    // Nothing was made to find it out.
    assert!(tree.node(place.at("p/.git/commondir").as_path()).unwrap().is_none());
}
