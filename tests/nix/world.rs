//! Worlds with Nix, and claudebox as the flake builds it there.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

use crate::support::User;
use crate::support::user::need_root;

/// Where `make test-setup` lays the Nix of Debian's suites out.
const SET_UP: &str = "/var/cache/claudebox-test/nix-";
/// The store of all worlds, kept from run to run, so that what did not change is not built again.
const STORE: &str = "/var/cache/claudebox-test/nix-world";
/// Beyond this size, in kilobytes, the store is thrown away at the start of a run.
const STORE_MAX: u64 = 4_000_000;
/// The suites that are tested: Nix 2.26, and 2.8.
pub const NEW: &str = "trixie";
pub const OLD: &str = "bookworm";

/// A machine with Nix, until it is dropped.
#[derive(Debug)]
pub struct World {
    child: Child,
    pid: String,
}

/// What a command in a world said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub exit: i32,
}

impl World {
    /// Starts one, with the Nix daemon of a suite and these settings beside the usual ones. Its daemon does not trust the ordinary user.
    pub fn start(suite: &str, settings: &str) -> Self {
        need_root();
        let _only_run = only_run();
        let setup = format!("{SET_UP}{suite}");
        assert!(Path::new(&setup).is_dir(), "there is no {setup}: run `make test-setup`");
        let cargo = std::env::var("CARGO").expect("cargo runs the tests");
        let toolchain = Path::new(&cargo)
            .parent()
            .and_then(Path::parent)
            .expect("a directory of cargo's");
        // No other machine builds for this one. 2.8 cannot be told so, and looks for its helper where Debian installs it.
        let hook = match suite {
            OLD => format!("{setup}/root/usr/libexec/nix/build-remote"),
            _ => String::new(),
        };
        let configuration = format!(
            "experimental-features = nix-command flakes\nsubstituters =\nbuild-hook = {hook}\nbuild-users-group = nixbld\nsandbox = true\n\
             sandbox-paths = /bin/sh=/bin/busybox /usr /lib /lib64 /toolchain={}\ntrusted-users = root\nallowed-users = *\n\
             flake-registry = /etc/nix/registry-empty.json\n{settings}",
            toolchain.display()
        );
        let uid = id(User::Ordinary);
        let mut child = Command::new(source("tests/nix/world"))
            .args([&setup, STORE, &configuration, &uid])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, from util-linux");
        let mut pid = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is taken once"));
        stdout.read_line(&mut pid).expect("the world's process id");
        let pid = pid.trim().to_owned();
        assert!(!pid.is_empty(), "the world did not come up");
        Self { child, pid }
    }

    /// The usual one: Nix 2.26, which trusts root alone.
    pub fn usual() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| Self::start(NEW, ""))
    }

    /// Words that start a command in this world as a user, in a directory.
    fn words(&self, user: User, directory: &Path) -> Vec<String> {
        let mut words = vec!["nsenter".to_owned(), format!("--target={}", self.pid)];
        words.extend(["--mount", "--pid", "--"].map(str::to_owned));
        // The working directory is another file system's: it is entered anew.
        words.extend(["sh", "-c", "cd \"$0\" && exec \"$@\""].map(str::to_owned));
        words.push(directory.display().to_string());
        if user == User::Ordinary {
            let uid = id(user);
            words.extend(["setpriv", "--clear-groups"].map(str::to_owned));
            words.extend([format!("--reuid={uid}"), format!("--regid={uid}"), "--".to_owned()]);
        }
        words
    }

    /// Starts a command in this world, in a directory and with this environment.
    pub fn command(&self, user: User, directory: &Path, environment: &[(&str, &str)], command: &[&str]) -> Command {
        let words = self.words(user, directory);
        let mut started = Command::new(&words[0]);
        started
            .args(&words[1..])
            .args(command)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        started
    }

    /// Runs a line of bash in this world, with a Nix on PATH as a client of the daemon.
    pub fn sh(&self, user: User, directory: &Path, line: &str) -> Said {
        let path = format!("{SET_UP}{NEW}/bin:{}", crate::support::PATH);
        let home = directory.to_str().expect("a path in ASCII");
        let environment = [("PATH", path.as_str()), ("HOME", home), ("NIX_REMOTE", "daemon")];
        said(self.command(user, directory, &environment, &["bash", "-c", line]))
    }

    /// The same, as root, where failing is no answer.
    #[track_caller]
    pub fn must(&self, directory: &Path, line: &str) -> String {
        let said = self.sh(User::Root, directory, line);
        assert_eq!(said.exit, 0, "{line}\n{}\n{}", said.stdout, said.stderr);
        said.stdout
    }

    /// The claudebox of the flake, to be started in this world.
    pub fn claudebox(&self, home: &Home, args: &[&str]) -> Command {
        home.handed_over();
        let (path, uid) = (home.path().display().to_string(), id(home.user));
        let runtime = format!("/run/user/{uid}");
        let name = home.user.name();
        let mut environment = vec![
            ("HOME", path.as_str()),
            ("USER", name.as_str()),
            ("PATH", crate::support::PATH),
            ("TERM", "dumb"),
            ("XDG_RUNTIME_DIR", runtime.as_str()),
        ];
        environment.extend(home.variables.iter().map(|(name, value)| (*name, value.as_str())));
        let mut words = vec![claudebox()];
        words.extend(args);
        self.command(home.user, &home.project(), &environment, &words)
    }

    /// Runs a line of bash in a sandbox of this world, on the host's network.
    pub fn inside(&self, home: &Home, line: &str) -> Said {
        self.inside_by(home, &["--net", "host"], line)
    }

    /// The same with other options.
    pub fn inside_by(&self, home: &Home, options: &[&str], line: &str) -> Said {
        let mut args = vec!["--yes", "--quiet"];
        args.extend(options);
        args.extend(["--exec", "--", "bash", "-c", line]);
        said(self.claudebox(home, &args))
    }
}

/// A home with a project in it.
#[derive(Debug)]
pub struct Home {
    base: tempfile::TempDir,
    user: User,
    variables: Vec<(&'static str, String)>,
}

impl Home {
    pub fn of(user: User) -> Self {
        let base = tempfile::Builder::new().prefix("claudebox-nix-").tempdir_in("/tmp");
        let base = base.expect("a directory in /tmp");
        std::fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("our own");
        let home = Self {
            base,
            user,
            variables: Vec::new(),
        };
        std::fs::create_dir_all(home.project()).expect("our own directory");
        home
    }

    /// Writes a file below the home.
    pub fn file(self, path: &str, content: &str) -> Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file's directory")).expect("our own directory");
        std::fs::write(path, content).expect("our own file");
        self
    }

    /// Sets a variable of claudebox's own environment.
    pub fn var(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub fn path(&self) -> PathBuf {
        self.base.path().join("home")
    }

    pub fn project(&self) -> PathBuf {
        self.path().join("project")
    }

    pub fn user(&self) -> User {
        self.user
    }

    /// Gives the home to its user.
    pub fn handed_over(&self) {
        self.user.own(&self.path());
    }
}

/// Runs a command to its end.
pub fn said(mut command: Command) -> Said {
    let output = command.output().expect("nsenter, from util-linux");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        exit: output.status.code().unwrap_or(-1),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Its first process ends with its input, and the kernel ends everything else in it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The numeric id of a user, which is its group's too.
pub fn id(user: User) -> String {
    user.numbers().0.to_string()
}

/// One run of the suite has the store at a time.
fn only_run() -> &'static File {
    static LOCK: OnceLock<File> = OnceLock::new();
    LOCK.get_or_init(|| {
        std::fs::create_dir_all(STORE).expect("root may write to /var/cache");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(format!("{STORE}.lock"))
            .expect("a file of our own");
        flock(&lock, FlockOperation::LockExclusive).expect("a lock");
        let size = Command::new("du")
            .args(["-sk", STORE])
            .output()
            .expect("du, from coreutils");
        let size = String::from_utf8_lossy(&size.stdout);
        let size = size.split_whitespace().next().and_then(|size| size.parse::<u64>().ok());
        if size.is_none_or(|size| size > STORE_MAX) {
            std::fs::remove_dir_all(STORE).expect("a directory of our own");
            std::fs::create_dir_all(STORE).expect("root may write to /var/cache");
        }
        lock
    })
}

/// A file of the source.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The flake and its stand-ins, with the crates in the store.
pub struct Flake {
    directory: tempfile::TempDir,
}

impl Flake {
    /// Where `result` and the profiles of the tests go.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The words that name the flake's default package and put the stand-ins in the place of its inputs.
    pub fn words(&self) -> String {
        let directory = self.directory.path().display();
        format!(
            "path:{directory}/source --override-input nixpkgs path:{directory}/nixpkgs \
             --override-input nix-index-database path:{directory}/nix-index-database --no-write-lock-file"
        )
    }
}

/// The flake, laid out once a run.
pub fn flake() -> &'static Flake {
    static FLAKE: OnceLock<Flake> = OnceLock::new();
    FLAKE.get_or_init(|| {
        let directory = tempfile::Builder::new()
            .prefix("claudebox-flake-")
            .tempdir_in("/var/cache/claudebox-test")
            .expect("root may write to /var/cache");
        let path = directory.path();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("our own directory");
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
        Flake { directory }
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
