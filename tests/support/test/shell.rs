//! A start as a line for a shell, for tests at a terminal.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use super::Test;

impl Test {
    /// The same start as a line for a shell, from an environment emptied first.
    pub fn shell_line(&self) -> String {
        self.words()
            .iter()
            .map(|word| quote(word))
            .fold(self.environment_line(""), |line, word| format!("{line} {word}"))
    }

    /// A line for a shell that starts another command from the same environment.
    pub fn environment_line(&self, command: &str) -> String {
        let text = |text: &OsString| text.to_str().expect("text in UTF-8").to_owned();
        let pair = |(name, value): (&OsString, &OsString)| quote(&format!("{}={}", text(name), text(value)));
        let pairs = self.environment().iter().map(pair).collect::<Vec<_>>();
        format!("env -i {} {command}", pairs.join(" "))
    }

    /// Puts a line into a script, and returns the short command that becomes it: a terminal shows what is typed, and a long line would hide the rest.
    pub fn script(&self, name: &str, line: &str) -> String {
        self.hand_over();
        let path = self.base.path().join(name);
        std::fs::write(&path, format!("exec {line}\n")).expect("the test's own file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("the test's own file");
        format!("sh {}", path.display())
    }
}

/// A word as bash reads it back.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
