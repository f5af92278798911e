//! The flake and its stand-ins, laid out and built once a run.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::User;

use super::world::{Home, NEW, SET_UP, World};

/// A file of the source.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The flake and its stand-ins, with the crates in the store.
pub struct Flake;

/// Where it is laid out.
const DIRECTORY: &str = "/var/cache/claudebox-test/nix-flake";

impl Flake {
    /// Where `result` and the profiles of the tests go.
    pub fn directory(&self) -> &'static Path {
        Path::new(DIRECTORY)
    }

    /// The words that name the flake's default package and put the stand-ins in the place of its inputs.
    pub fn words(&self) -> String {
        format!(
            "path:{DIRECTORY}/source --override-input nixpkgs path:{DIRECTORY}/nixpkgs \
             --override-input nix-index-database path:{DIRECTORY}/nix-index-database --no-write-lock-file"
        )
    }
}

/// The flake, laid out once a run.
pub fn flake() -> &'static Flake {
    static FLAKE: OnceLock<Flake> = OnceLock::new();
    FLAKE.get_or_init(|| {
        // One for all runs, of which one goes on at a time: a static has no end to be cleaned up at.
        World::usual();
        let path = Path::new(DIRECTORY);
        let _ = std::fs::remove_dir_all(path);
        std::fs::create_dir_all(path).expect("root may write to /var/cache");
        copy_source(&path.join("source"));
        for name in ["nixpkgs", "nix-index-database"] {
            copy(&source("tests/nix").join(name), &path.join(name));
        }
        let collected = Command::new(source("tests/nix/collect"))
            .arg(path.join("nixpkgs/host"))
            .arg(format!("{SET_UP}{NEW}"))
            .output()
            .expect("bash");
        assert!(
            collected.status.success(),
            "{}",
            String::from_utf8_lossy(&collected.stderr)
        );
        // A flake's time is that of its newest file: with one for all, the same files are the same flake.
        let touched = Command::new("find")
            .arg(path)
            .args("-exec touch -h -d @1700000000 {} +".split(' '))
            .status();
        assert!(touched.is_ok_and(|status| status.success()), "find and touch");
        seed(&path.join("crates"));
        Flake
    })
}

/// The source as a clone has it: neither what was built nor what only git reads.
fn copy_source(to: &Path) {
    for entry in std::fs::read_dir(source("")).expect("the source").flatten() {
        let name = entry.file_name();
        if !["target", ".git", "result"].iter().any(|skip| name == *skip) {
            copy(&entry.path(), &to.join(&name));
        }
    }
    let _ = std::fs::remove_dir_all(to.join("book/book"));
}

fn copy(from: &Path, to: &Path) {
    if from.is_symlink() {
        symlink(std::fs::read_link(from).expect("a link"), to).expect("a directory of our own");
    } else if from.is_dir() {
        std::fs::create_dir_all(to).expect("a directory of our own");
        for entry in std::fs::read_dir(from).expect("a directory of the source").flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::create_dir_all(to.parent().expect("a file's directory")).expect("a directory of our own");
        std::fs::copy(from, to).expect("a file of the source");
    }
}

/// Puts the crates that cargo downloaded into the store, by the names that nixpkgs gives them, so that nothing is downloaded.
fn seed(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory of our own");
    let lock = std::fs::read_to_string(source("Cargo.lock")).expect("the lock file");
    let registries = registries();
    let crates = lock
        .split("[[package]]")
        .filter(|entry| entry.contains("\nchecksum = "));
    for entry in crates {
        let value = |name: &str| {
            let line = entry
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            line.and_then(|line| line.strip_suffix('"'))
                .expect("a name and a version")
        };
        let name = format!("{}-{}", value("name"), value("version"));
        let found = registries
            .iter()
            .map(|registry| registry.join(format!("{name}.crate")))
            .find(|path| path.exists());
        let found = found.unwrap_or_else(|| panic!("cargo has not downloaded {name}: run `cargo fetch`"));
        std::fs::copy(found, directory.join(format!("crate-{name}.tar.gz"))).expect("a directory of our own");
    }
    World::usual().must(directory, "nix-store --add-fixed sha256 crate-* >/dev/null");
}

/// Where cargo keeps what it downloaded: the caller's, and, where the suite was started by sudo, that of whoever did.
fn registries() -> Vec<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let toolchain = std::env::var_os("CARGO").map(PathBuf::from);
    let beside = toolchain.and_then(|cargo| Some(cargo.ancestors().nth(5)?.join(".cargo")));
    let homes = [home("CARGO_HOME"), home("HOME").map(|home| home.join(".cargo")), beside];
    let caches = homes.into_iter().flatten().map(|home| home.join("registry/cache"));
    caches
        .flat_map(|cache| std::fs::read_dir(cache).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect()
}

/// The program that the flake builds, built once a run.
pub fn claudebox() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let flake = flake();
        let line = format!("nix build --no-link --print-out-paths {}", flake.words());
        let out = World::usual().must(flake.directory(), &line);
        format!("{}/bin/claudebox", out.trim())
    })
}

/// The directories of the sandbox's PATH, as a store path each.
pub fn tools() -> &'static str {
    static TOOLS: OnceLock<String> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let home = Home::of(User::Ordinary);
        World::usual().inside(&home, "echo $PATH").stdout.trim().to_owned()
    })
}
