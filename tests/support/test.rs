//! The words in which a test of the program is written: what there is, what is run, and everything that must come of it.

mod placeholders;
mod shell;
mod snapshot;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

pub use super::running::Running;
use super::running::{reader, wait};
use super::user::{User, programs};
pub use snapshot::Snapshot;

/// A home, a project in it, and one run of the program there. In every text `[HOME]`, `[PROJECT]`, `[BASE]` and `[BIN]` stand for the real paths.
#[must_use = "a test that is not run proves nothing"]
#[derive(Clone, Debug)]
pub struct Test {
    base: Arc<tempfile::TempDir>,
    user: User,
    variables: BTreeMap<OsString, OsString>,
    before: Vec<String>,
    args: Vec<String>,
    /// The program, below the directory of programs.
    program: &'static str,
    directory: String,
    stdin: Option<String>,
    stdout: String,
    stderr: String,
    exit: i32,
}

/// What came of a run: texts with the placeholders put back in.
#[derive(Debug)]
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub exit: i32,
}

impl Test {
    /// An empty home with an empty project, the ordinary user, the environment `HOME PATH TERM USER` and nothing else.
    pub fn new() -> Self {
        super::user::open_many_files();
        // All names have one length on every machine: tables in the program's output are laid out by it.
        let base = tempfile::Builder::new()
            .prefix("claudebox-")
            .rand_bytes(6)
            .tempdir_in("/tmp")
            .expect("a directory in /tmp");
        std::fs::set_permissions(base.path(), PermissionsExt::from_mode(0o755)).expect("our own directory");
        let test = Self {
            base: Arc::new(base),
            user: User::Ordinary,
            variables: BTreeMap::new(),
            before: Vec::new(),
            args: Vec::new(),
            program: "claudebox",
            directory: "[PROJECT]".to_owned(),
            stdin: None,
            stdout: String::new(),
            stderr: String::new(),
            exit: 0,
        };
        std::fs::create_dir_all(test.project()).expect("our own directory");
        test.var("PATH", super::PATH)
            .var("TERM", "xterm-256color")
            .var("HOME", "[HOME]")
    }

    /// Runs as `user`.
    pub fn who(mut self, user: User) -> Self {
        self.user = user;
        self
    }

    /// Starts the program that has the broker beside it.
    pub fn with_broker(mut self) -> Self {
        self.program = "with-broker/claudebox";
        self
    }

    /// Starts another copy of the program.
    pub fn program(mut self, path: &'static str) -> Self {
        self.program = path;
        self
    }

    /// Sets a variable of the environment that the program starts from.
    pub fn var(mut self, name: impl AsRef<OsStr>, value: impl AsRef<str>) -> Self {
        let value = self.fill(value.as_ref());
        self.variables.insert(name.as_ref().to_owned(), value.into());
        self
    }

    /// Writes the user's policy.
    pub fn policy(self, text: &str) -> Self {
        self.file("~/.config/claudebox/policy.rhai", text)
    }

    /// Writes a file: below the home with `~/`, absolute with `/` or a placeholder, else below the project.
    pub fn file(self, path: &str, content: &str) -> Self {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a file's directory")).expect("the test's own directory");
        std::fs::write(path, self.fill(content)).expect("the test's own file");
        self
    }

    /// Makes a directory.
    pub fn directory(self, path: &str) -> Self {
        std::fs::create_dir_all(self.at(path)).expect("the test's own directory");
        self
    }

    /// Makes a symlink.
    pub fn link(self, path: &str, target: &str) -> Self {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a link's directory")).expect("the test's own directory");
        std::os::unix::fs::symlink(self.fill(target), path).expect("the test's own link");
        self
    }

    /// Changes a file's mode.
    pub fn mode(self, path: &str, mode: u32) -> Self {
        std::fs::set_permissions(self.at(path), PermissionsExt::from_mode(mode)).expect("the test's own file");
        self
    }

    /// Copies a file with its mode.
    pub fn copy(self, from: &str, to: &str) -> Self {
        let to = self.at(to);
        std::fs::create_dir_all(to.parent().expect("a file's directory")).expect("the test's own directory");
        std::fs::copy(self.at(from), to).expect("the test's own file");
        self
    }

    /// Puts the program with the attacks that a shell cannot make into the project.
    pub fn attack(self) -> Self {
        self.copy("[BIN]/attack", "attack")
    }

    /// Starts the program by another one, which is given the program's path and arguments.
    pub fn before(mut self, words: &[&str]) -> Self {
        self.before = words.iter().map(|word| self.fill(word)).collect();
        self
    }

    /// The arguments.
    pub fn args<const N: usize>(self, args: [&str; N]) -> Self {
        self.args_of(&args)
    }

    /// The arguments, from an iterator.
    pub fn args_of<'a>(mut self, args: impl IntoIterator<Item = &'a &'a str>) -> Self {
        self.args = args.into_iter().map(|word| self.fill(word)).collect();
        self
    }

    /// The working directory, if it is not the project.
    pub fn current(mut self, path: &str) -> Self {
        self.directory = path.to_owned();
        self
    }

    /// What is fed to stdin, which is `/dev/null` else.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// The whole of stdout. Without a word about it, nothing may be written there.
    pub fn stdout(mut self, text: &str) -> Self {
        self.stdout = text.to_owned();
        self
    }

    /// The whole of stderr. Without a word about it, nothing may be written there.
    pub fn stderr(mut self, text: &str) -> Self {
        self.stderr = text.to_owned();
        self
    }

    /// The exit code, which is 0 else.
    pub fn exit(mut self, code: i32) -> Self {
        self.exit = code;
        self
    }

    /// The directory that holds the home.
    pub fn base(&self) -> PathBuf {
        self.base.path().to_owned()
    }

    /// The home.
    pub fn home(&self) -> PathBuf {
        self.base.path().join("home")
    }

    /// The project.
    pub fn project(&self) -> PathBuf {
        self.home().join("project")
    }

    /// Who runs the program.
    pub fn user(&self) -> User {
        self.user
    }

    /// The real path of `path` as `file` takes it.
    pub fn at(&self, path: &str) -> PathBuf {
        let path = self.fill(path);
        match path.strip_prefix("~/") {
            Some(rest) => self.home().join(rest),
            None => self.project().join(path),
        }
    }

    /// Runs it and compares everything.
    #[track_caller]
    pub fn run(self) -> Run {
        let run = self.start();
        self.compare(&run);
        run
    }

    /// Runs it and compares nothing; the test can be run again.
    #[track_caller]
    pub fn start(&self) -> Run {
        self.hand_over();
        self.capture(self.command())
    }

    /// Runs a naive sandbox line, or anything else, in the very same place: the control of an attack.
    #[track_caller]
    pub fn control(&self, words: &[&str]) -> Run {
        self.hand_over();
        let words = self
            .before
            .iter()
            .cloned()
            .chain(words.iter().map(|word| self.fill(word)))
            .collect::<Vec<_>>();
        self.capture(self.command_of(&words))
    }

    /// Runs a script of bash in which `$0` is the program. Unlike the others it gives no files to the user first: what the test
    /// made so stays so.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Run {
        let program = programs().join("claudebox").display().to_string();
        let words = ["bash", "-c", &self.fill(script), &program].map(str::to_owned);
        self.capture(self.command_of(&[self.before.as_slice(), &words].concat()))
    }

    /// Starts it and leaves it running.
    pub fn spawn(&self) -> Running {
        self.hand_over();
        Running::start(self.command())
    }

    /// The same with a terminal, or anything else, as its three standard streams.
    pub fn spawn_on(&self, stream: &OwnedFd) -> Running {
        self.hand_over();
        let stream = || Stdio::from(stream.try_clone().expect("a descriptor"));
        let child = self.command().stdin(stream()).stdout(stream()).stderr(stream()).spawn();
        Running {
            child: child.expect("the program starts"),
        }
    }

    /// The same for a control.
    pub fn spawn_control(&self, words: &[&str]) -> Running {
        self.hand_over();
        let words = words.iter().map(|word| self.fill(word)).collect::<Vec<_>>();
        Running::start(self.command_of(&words))
    }

    /// The same run in another project of the same home.
    pub fn beside(&self, path: &str) -> Self {
        std::fs::create_dir_all(self.at(path)).expect("the test's own directory");
        Self {
            directory: path.to_owned(),
            ..self.clone()
        }
    }

    /// A start that is refused with this text, runs nothing and changes nothing: its payload would leave a mark.
    #[track_caller]
    pub fn refused(self, stderr: &str) {
        const MARK: [&str; 9] = [
            "--yes",
            "--quiet",
            "--net",
            "none",
            "--exec",
            "--",
            "sh",
            "-c",
            "echo ran > mark",
        ];
        let test = self.args(MARK).stderr(stderr).exit(125);
        // Who owns the files is settled by the first look.
        test.user.own(&test.home());
        let before = test.snapshot();
        test.compare(&test.start());
        assert_eq!(test.snapshot(), before, "it was refused and changed something");
    }

    /// Compares a run with what was expected.
    #[track_caller]
    pub fn compare(&self, run: &Run) {
        let same = run.stdout == self.stdout && run.stderr == self.stderr && run.exit == self.exit;
        assert!(
            same,
            "{:?} as {:?}\n--- exit: {} expected, {} seen\n--- stdout expected:\n{}\n--- stdout seen:\n{}\n\
             --- stderr expected:\n{}\n--- stderr seen:\n{}\n---",
            self.args, self.user, self.exit, run.exit, self.stdout, run.stdout, self.stderr, run.stderr
        );
    }

    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut all = self.variables.clone();
        all.entry("USER".into()).or_insert_with(|| self.user.name().into());
        all
    }

    /// Gives the files to the user who runs the program.
    fn hand_over(&self) {
        self.user.own(&self.home());
    }

    fn command(&self) -> Command {
        self.command_of(&self.words())
    }

    fn words(&self) -> Vec<String> {
        let program = programs().join(self.program).display().to_string();
        self.before
            .iter()
            .cloned()
            .chain([program])
            .chain(self.args.iter().cloned())
            .collect()
    }

    fn command_of(&self, words: &[String]) -> Command {
        let (program, args) = words.split_first().expect("a command");
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.at(&self.directory));
        self.user.start(&mut command);
        command
    }

    #[track_caller]
    fn capture(&self, mut command: Command) -> Run {
        let stdin = if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), &self.stdin) {
            // A program that refuses does not read its input; that is no failure of the test.
            let _ = pipe.write_all(text.as_bytes());
        }
        let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let exit = wait(&mut child);
        let text = |bytes: std::thread::JoinHandle<Vec<u8>>| {
            self.blank(&String::from_utf8_lossy(&bytes.join().expect("the reader of a pipe")))
        };
        Run {
            stdout: text(out),
            stderr: text(err),
            exit,
        }
    }
}
