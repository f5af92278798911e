//! The names that stand for a test's real paths in its texts.

use std::path::Path;

use super::super::user::programs;
use super::Test;

impl Test {
    /// Puts the real paths in.
    pub fn fill(&self, text: &str) -> String {
        self.places()
            .into_iter()
            .fold(text.to_owned(), |text, (name, path)| text.replace(name, &path))
    }

    /// Puts the placeholders in.
    pub fn blank(&self, text: &str) -> String {
        self.places()
            .into_iter()
            .fold(text.to_owned(), |text, (name, path)| text.replace(&path, name))
    }

    /// Longest path first, so that none is taken for another's beginning.
    fn places(&self) -> [(&'static str, String); 4] {
        let text = |path: &Path| path.to_str().expect("a path in ASCII").to_owned();
        [
            ("[PROJECT]", text(&self.project())),
            ("[HOME]", text(&self.home())),
            ("[BASE]", text(self.base.path())),
            ("[BIN]", text(programs())),
        ]
    }
}
