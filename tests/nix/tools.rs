//! The tools that a project asks for on a Nix host: built from the pinned nixpkgs before the launch, and not again.

use std::path::Path;

use crate::support::{User, as_both};

use super::built::flake;
use super::world::{Home, Said, World};

const OPTIONS: [&str; 3] = ["--approve", "--net", "host"];

/// The store path that an attribute of the pinned nixpkgs is built to.
fn output(world: &World, attribute: &str) -> String {
    let line = format!("nix eval --raw path:$PWD/nixpkgs#{attribute}.outPath");
    world.must(flake().directory(), &line).trim().to_owned()
}

fn exists(world: &World, path: &str) -> bool {
    world.sh(User::Root, Path::new("/"), &format!("test -e {path}")).exit == 0
}

/// Takes it out of the store; what was never built is not there anyway.
fn delete(world: &World, path: &str) {
    let said = world.sh(User::Root, Path::new("/"), &format!("nix store delete {path}"));
    assert!(!exists(world, path), "{said:?}");
}

as_both! {
    /// What nobody has built is built before the sandbox is there, and stands at the end of PATH; a second launch starts no build.
    fn a_projects_tools_are_built_once(user: User) {
        let (world, name) = (World::usual(), match user { User::Root => "brought-by-root", User::Ordinary => "brought-by-user" });
        let home = Home::of(user);
        let without = world.inside(&home, "type -P brought || echo none");
        assert_eq!(without.stdout, "none\n", "{}", without.stderr);

        let path = output(world, name);
        delete(world, &path);
        let home = home.file("project/.claudebox.toml", &format!("tools = [\"{name}\", \"hello\", \"hello-again\"]\n"));
        let line = "brought; hello; type -P brought; echo ${PATH##*:} | grep -c -e -hello-";
        let seen = format!("brought\nHello, world!\n{path}/bin/brought\n1\n");
        let first = world.inside_by(&home, &OPTIONS, line);
        assert_eq!((first.stdout.as_str(), first.exit), (seen.as_str(), 0), "{}", first.stderr);
        assert!(exists(world, &path));

        // Nix leaves a trace of each evaluation in the home's cache.
        let cache = home.path().join(".cache/nix");
        assert!(cache.exists(), "the first launch asked Nix");
        std::fs::remove_dir_all(&cache).expect("the test's own home");
        let second = world.inside_by(&home, &OPTIONS, line);
        assert_eq!(second, Said { stdout: seen.clone(), stderr: String::new(), exit: 0 });
        assert!(!cache.exists(), "the second launch asked Nix again");

        // What was collected since is built again.
        delete(world, &path);
        let third = world.inside_by(&home, &OPTIONS, line);
        assert_eq!((third.stdout.as_str(), third.exit), (seen.as_str(), 0), "{}", third.stderr);
        assert!(exists(world, &path));
    }

    /// What cannot be built starts nothing, and neither does what is not approved.
    fn tools_that_cannot_be_built_start_nothing(user: User) {
        let world = World::usual();
        for name in ["no-such-attribute", "broken"] {
            let home = Home::of(user).file("project/.claudebox.toml", &format!("tools = [\"{name}\"]\n"));
            let said = world.inside_by(&home, &OPTIONS, "touch started");
            assert_eq!((said.stdout.as_str(), said.exit), ("", 125), "{}", said.stderr);
            let error = format!(
                "error[project-tools]: the project's tools were not built: the build failed\n  ——▶ .claudebox.toml:1:10\n  |\n\
                 1 | tools = [\"{name}\"]\n  |          {}\nhint: Nix says more above\n",
                "^".repeat(name.len() + 2)
            );
            assert!(said.stderr.ends_with(&error), "{}", said.stderr);
            assert!(!home.project().join("started").exists());
        }
        let path = output(world, "unapproved");
        delete(world, &path);
        let home = Home::of(user).file("project/.claudebox.toml", "tools = [\"unapproved\"]\n");
        let said = world.inside(&home, "touch started");
        assert_eq!((said.exit, exists(world, &path)), (125, false), "{}", said.stderr);
    }
}
