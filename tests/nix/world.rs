//! Machines with Nix, and how claudebox is started in them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

use crate::support::User;

use super::built::{claudebox, source};
use crate::support::user::need_root;

/// Where `make test-setup` lays the Nix of Debian's suites out.
pub const SET_UP: &str = "/var/cache/claudebox-test/nix-";
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
