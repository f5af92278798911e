//! The flake: it builds, runs, installs and is checked, and it is what it says for both systems.

use crate::support::User;

use super::built::{claudebox, flake, source};
use super::world::{World, said};

/// The name and the version, as cargo has them.
const VERSION: &str = concat!("claudebox ", env!("CARGO_PKG_VERSION"), "\n");

/// `nix build`, `nix run` and `nix profile install`, each by a user who then has a claudebox that runs.
#[test]
fn it_builds_runs_and_installs() {
    let (world, flake) = (World::usual(), flake());
    let words = flake.words();
    assert!(claudebox().starts_with("/nix/store/"), "{}", claudebox());
    assert_eq!(
        world.must(flake.directory(), &format!("{} --version", claudebox())),
        VERSION
    );
    assert_eq!(
        world.must(flake.directory(), &format!("nix run {words} -- --version")),
        VERSION
    );
    let line =
        format!("nix profile install --profile $PWD/profile {words} && env -i $PWD/profile/bin/claudebox --version");
    assert_eq!(world.must(flake.directory(), &line), VERSION);
}

/// The flake's own checks: the format, the lints, the tests of every stage, a sandbox in Nix's own sandbox, the book.
#[test]
fn its_checks_pass() {
    let (world, flake) = (World::usual(), flake());
    let said = world.sh(
        User::Root,
        flake.directory(),
        &format!("nix flake check -L {}", flake.words()),
    );
    assert_eq!(said.exit, 0, "{}", said.stderr);
}

/// Everything in it evaluates on the other system too, down to the derivations.
#[test]
fn it_evaluates_for_both_systems() {
    let (world, flake) = (World::usual(), flake());
    let all = format!("nix flake check --no-build --all-systems {} 2>&1", flake.words());
    let said = world.sh(User::Root, flake.directory(), &all);
    assert_eq!(said.exit, 0, "{}", said.stdout);
    let words = flake.words();
    let (path, overrides) = words.split_once(' ').expect("a path and its inputs");
    for system in ["x86_64-linux", "aarch64-linux"] {
        for output in ["packages", "checks", "devShells", "apps"] {
            let line = format!("nix eval --json --apply builtins.attrNames {path}#{output}.{system} {overrides}");
            let names = world.must(flake.directory(), &line);
            let expected = match output {
                "packages" => r#"["claudebox","default"]"#,
                "checks" => r#"["book","claudebox","clippy","format","sandbox","tests"]"#,
                _ => r#"["default"]"#,
            };
            assert_eq!(names.trim(), expected, "{output} of {system}");
        }
        let line = format!("nix eval --raw {path}#packages.{system}.default.system {overrides}");
        assert_eq!(world.must(flake.directory(), &line), system);
    }
}

/// Every program that a launch starts, and every tool of the sandbox, is fixed in the binary: the package's closure has them all, and the
/// environment of a launch changes none.
#[test]
fn every_program_is_pinned() {
    let (world, flake) = (World::usual(), flake());
    let closure = world.must(
        flake.directory(),
        &format!("nix path-info -r {}", claudebox().trim_end_matches("/bin/claudebox")),
    );
    let names: Vec<&str> = closure
        .lines()
        .filter_map(|path| path.split_once('-'))
        .map(|(_, name)| name)
        .collect();
    for name in [
        "bash",
        "bubblewrap",
        "cacert",
        "claudebox-comma",
        "coreutils",
        "curl",
        "diffutils",
        "fd",
        "findutils",
        "gawk",
        "git",
        "gnugrep",
        "gnumake",
        "gnupatch",
        "gnused",
        "gnutar",
        "gzip",
        "jq",
        "less",
        "nix",
        "procps",
        "ripgrep",
        "slirp4netns",
        "which",
        "xz",
    ] {
        assert!(
            names.contains(&format!("{name}-0").as_str()),
            "{name} is not in the closure: {names:?}"
        );
    }
    assert!(names.contains(&"source"), "the source of nixpkgs is not in the closure");
    // A bwrap of the caller's is not even looked at.
    let fake = "mkdir -p bin && printf '#!/bin/sh\\necho fake; exit 3\\n' > bin/bwrap && chmod 755 bin/bwrap";
    world.must(flake.directory(), fake);
    let line = format!(
        "PATH=$PWD/bin:$PATH CLAUDEBOX_BWRAP=$PWD/bin/bwrap CLAUDEBOX_TOOLS=$PWD/bin CLAUDEBOX_NIX=$PWD/bin/bwrap {} --check",
        claudebox()
    );
    let check = world.sh(User::Root, flake.directory(), &line).stdout;
    assert!(check.contains("-bubblewrap-0/bin/bwrap, version"), "{check}");
    assert!(!check.contains("fake"), "{check}");
}

/// The lock file names each input by revision and content.
#[test]
fn every_input_is_locked() {
    let lock = std::fs::read_to_string(source("flake.lock")).expect("the lock file");
    let lock: serde_json::Value = serde_json::from_str(&lock).expect("JSON");
    let nodes = lock["nodes"].as_object().expect("nodes");
    let mut names: Vec<&str> = nodes.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["nix-index-database", "nixpkgs", "root"]);
    for name in ["nix-index-database", "nixpkgs"] {
        let locked = &nodes[name]["locked"];
        assert_eq!(locked["rev"].as_str().map(str::len), Some(40), "{name}");
        assert!(
            locked["narHash"]
                .as_str()
                .is_some_and(|hash| hash.starts_with("sha256-")),
            "{name}"
        );
    }
    // A lock file that does not fit the flake would be written anew: with the inputs as they are it must stay.
    let (world, flake) = (World::usual(), flake());
    let before = std::fs::read(flake.directory().join("source/flake.lock")).expect("the copy");
    let _ = said(world.command(User::Root, flake.directory(), &[], &["true"]));
    let metadata = world.must(
        flake.directory(),
        &format!("nix flake metadata --json {}", flake.words()),
    );
    assert!(metadata.contains("nix-index-database"), "{metadata}");
    assert_eq!(
        std::fs::read(flake.directory().join("source/flake.lock")).expect("the copy"),
        before
    );
}
