//! A real terminal with a real shell in it, driven through tmux: it emulates the screen, so a test can compare what a person would see.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::test::Test;
use super::user::User;

/// How long a screen may take to show what is waited for. Nothing is measured by it: it only ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A bash in a terminal of 100 by 30.
#[derive(Debug)]
pub struct Terminal {
    directory: PathBuf,
    user: User,
    /// The number of the prompt at which the last command was typed.
    number: Cell<u32>,
}

/// The number and the exit code of a prompt that waits for a command at the end of the screen.
fn prompt(screen: &str) -> Option<(u32, i32)> {
    let line = screen.trim_end().lines().last()?;
    let (_, inner) = line.strip_suffix("] $")?.rsplit_once('[')?;
    let (number, code) = inner.split_once(':')?;
    Some((number.parse().ok()?, code.parse().ok()?))
}

/// Every prompt on the screen, with what a program that is just ending wrote behind it.
fn prompts(screen: &str) -> impl Iterator<Item = (u32, i32)> + '_ {
    screen.split('[').filter_map(|rest| {
        let (inner, _) = rest.split_once("] $")?;
        let (number, code) = inner.split_once(':')?;
        Some((number.parse().ok()?, code.parse().ok()?))
    })
}

impl Terminal {
    /// Opens one for the test's user, in the test's project.
    pub fn open(test: &Test) -> Self {
        let directory = test.base().join("terminal");
        std::fs::create_dir(&directory).expect("the test's own directory");
        test.user().own(&directory);
        let terminal = Self {
            directory,
            user: test.user(),
            number: Cell::new(0),
        };
        // The prompt shows the command's number and the last exit code: a shell whose command died of Ctrl+C runs nothing else on that line.
        let shell = r"exec env PS1='[\#:$?] $ ' bash --norc --noprofile";
        terminal.tmux(&[
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            "-c",
            &test.project().display().to_string(),
            shell,
        ]);
        terminal.wait("the shell's prompt", |screen| prompt(screen).is_some());
        terminal
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        self.text(text);
        self.key("Enter");
    }

    /// Types a command whose exit code is wanted, once the shell waits for one.
    pub fn line_with_code(&self, command: &str) {
        self.wait("the shell's prompt", |screen| prompt(screen).is_some());
        self.number.set(prompt(&self.screen()).map_or(0, |(number, _)| number));
        self.line(command);
    }

    /// Types the text as it is.
    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key by tmux's name for it, such as `C-c`.
    pub fn key(&self, name: &str) {
        self.tmux(&["send-keys", name]);
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What the screen shows, lines without their trailing blanks.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen satisfies `until`, and returns it.
    #[track_caller]
    pub fn wait(&self, what: &str, until: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if until(&screen) {
                return screen;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the terminal never showed {what}; it shows:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the screen holds the text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait(&format!("`{text}`"), |screen| screen.contains(text))
    }

    /// Waits for the shell to be back from the last [`Self::line_with_code`], and returns the exit code that it saw.
    #[track_caller]
    pub fn exit_code(&self) -> i32 {
        let code = |screen: &str| {
            prompts(screen)
                .filter(|(number, _)| *number > self.number.get())
                .map(|(_, code)| code)
                .last()
        };
        let screen = self.wait("an exit code", |screen| code(screen).is_some());
        code(&screen).expect("the prompt that was waited for")
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) -> String {
        let output = self
            .command()
            .args(args)
            .output()
            .expect("tmux, from the package of that name");
        assert!(
            output.status.success(),
            "tmux {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        // UTF-8 by `-u`, so that no locale of the machine matters; the socket lies in the test's own directory.
        command
            .args(["-u", "-f", "/dev/null", "-S"])
            .arg(self.directory.join("socket"));
        command
            .env_clear()
            .env("PATH", super::PATH)
            .env("HOME", &self.directory)
            .env("TERM", "xterm-256color");
        self.user.start(&mut command);
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
    }
}
