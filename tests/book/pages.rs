//! The pages as text: their blocks of code, their headings, their links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory whose names end so, sorted.
pub fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A page of the book, or one of the texts beside it.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// A block of code.
pub struct Block<'a> {
    /// The word after the fence.
    pub kind: &'a str,
    /// What the comment before the block says about it: `<!-- WORD REST -->`.
    pub note: Option<&'a str>,
    pub content: &'a str,
    /// Where the content begins in the page.
    pub at: usize,
}

/// The kind of a block that readers do not see.
const HIDDEN: &str = "hidden";

impl Page {
    pub fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// The name in messages.
    pub fn name(&self) -> String {
        self.path
            .strip_prefix(root())
            .unwrap_or(&self.path)
            .display()
            .to_string()
    }

    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let (mut at, mut note, mut open) = (0, None, None);
        for line in self.text.split_inclusive('\n') {
            let next = at + line.len();
            let bare = line.trim_end();
            // A file that readers do not see is a comment of several lines, whose first is as the one before a block.
            let hidden = matches!(open, Some((HIDDEN, _)));
            let fence = if hidden {
                (bare == "-->").then_some("")
            } else {
                bare.strip_prefix("```")
            };
            match (open, fence) {
                (None, None) if bare.starts_with("<!-- ") && !bare.ends_with(" -->") => {
                    note = bare.strip_prefix("<!-- ");
                    open = Some((HIDDEN, next));
                }
                (None, Some(kind)) => open = Some((kind, next)),
                (Some((kind, start)), Some("")) => {
                    blocks.push(Block {
                        kind,
                        note,
                        content: self.text.get(start..at).unwrap_or_default(),
                        at: start,
                    });
                    (open, note) = (None, None);
                }
                (None, None) if !bare.is_empty() => {
                    note = bare.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                }
                _ => {}
            }
            at = next;
        }
        assert!(open.is_none(), "{}: a block of code has no end", self.name());
        blocks
    }

    /// The text without its blocks of code, line by line.
    pub fn prose(&self) -> Vec<&str> {
        let mut inside = false;
        let keep = |line: &&str| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        };
        self.text.lines().filter(keep).collect()
    }

    /// The anchors of the headings, as mdBook makes them.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for line in self.prose() {
            let Some(title) = line.starts_with('#').then(|| line.trim_start_matches('#').trim()) else {
                continue;
            };
            let id: String = title
                .to_lowercase()
                .chars()
                .filter_map(|c| match c {
                    c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
                    c if c.is_whitespace() => Some('-'),
                    _ => None,
                })
                .collect();
            // The second heading of a name gets a number.
            let mut unique = id.clone();
            let mut number = 1;
            while !anchors.insert(unique.clone()) {
                unique = format!("{id}-{number}");
                number += 1;
            }
        }
        anchors
    }

    /// The targets of the links, outside of code.
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            // Every second piece between backticks is code.
            for text in line.split('`').step_by(2) {
                for part in text.split("](").skip(1) {
                    links.extend(part.split(')').next().map(str::to_owned));
                }
            }
        }
        links
    }
}

/// The pages of the book.
pub fn book() -> Vec<Page> {
    files(&root().join("book/src"), ".md")
        .into_iter()
        .map(Page::read)
        .collect()
}

/// The pages of the book and the texts at the top of the project.
pub fn all() -> Vec<Page> {
    let mut pages = book();
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        pages.push(Page::read(root().join(name)));
    }
    pages
}

/// One page of the book.
pub fn page(name: &str) -> Page {
    Page::read(root().join("book/src").join(name))
}

/// The rows of a page's tables below a heading, cell by cell; below every heading where it is empty.
pub fn rows(page: &Page, below: &str) -> Vec<Vec<String>> {
    let mut here = below.is_empty();
    let mut rows = Vec::new();
    for line in page.prose() {
        if line.starts_with('#') && !below.is_empty() {
            here = line.trim_start_matches('#').trim() == below;
        }
        let cells = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |"));
        if let (true, Some(cells)) = (here, cells) {
            // A bar of the text itself is written with a backslash.
            let cells = cells.replace("\\|", "\u{0}");
            rows.push(
                cells
                    .split(" | ")
                    .map(|cell| cell.trim().replace('\u{0}', "|"))
                    .collect(),
            );
        }
    }
    // The first is the table's head.
    rows.into_iter()
        .filter(|row: &Vec<String>| row.iter().any(|cell| cell.contains('`')))
        .collect()
}

/// What stands between backticks in a cell.
pub fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}
