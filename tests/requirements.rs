//! The book's page of requirements against the list of them and against the tests that exist.
//!
//! A row is `| ID | how it is met | tests |`. The tests are named as `cargo test` prints them, each in backticks. A row without a test
//! has to say "Not yet": the book claims nothing that no test shows.

#![expect(
    clippy::disallowed_methods,
    reason = "it reads the source of the tests, not facts about the host"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../book/src/reference/requirements.md");

/// Every requirement there is: a prefix, and the last number of its ids, which count from 01.
const REQUIREMENTS: [(&str, u32); 11] = [
    ("SAND", 15),
    ("TOOL", 3),
    ("UX", 6),
    ("AWARE", 2),
    ("GIT", 2),
    ("NIX", 3),
    ("AUTH", 2),
    ("INST", 4),
    ("NET", 2),
    ("SEC", 3),
    ("EXT", 3),
];

fn known_ids() -> Vec<String> {
    let numbered = |(prefix, last): (&'static str, u32)| (1..=last).map(move |number| format!("{prefix}-{number:02}"));
    REQUIREMENTS.into_iter().flat_map(numbered).collect()
}

/// Whether a word has the form of an id, known or not.
fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(prefix, number)| {
        prefix.len() >= 2
            && prefix.chars().all(|c| c.is_ascii_uppercase())
            && number.len() == 2
            && number.chars().all(|c| c.is_ascii_digit())
    })
}

struct Row<'a> {
    id: &'a str,
    how: &'a str,
    tests: Vec<&'a str>,
}

/// The rows of the page's tables: those lines of a table whose first cell has the form of an id.
fn rows() -> Result<Vec<Row<'static>>, String> {
    let is_row = |line: &&str| {
        line.strip_prefix("| ")
            .and_then(|rest| rest.split(' ').next())
            .is_some_and(is_id)
    };
    PAGE.lines().filter(is_row).map(row).collect()
}

fn row(line: &str) -> Result<Row<'_>, String> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let ["", id, how, tests, ""] = *cells else {
        return Err(format!("this row has not exactly three cells: {line}"));
    };
    // Every second piece between backticks is inside a pair of them; outside stand only the commas.
    let pieces: Vec<&str> = tests.split('`').collect();
    let outside = pieces.iter().step_by(2).all(|piece| matches!(piece.trim(), "" | ","));
    if pieces.len().is_multiple_of(2) || !outside {
        return Err(format!(
            "the tests of {id} are not names in backticks, parted by commas: {tests}"
        ));
    }
    let tests = pieces.into_iter().skip(1).step_by(2).collect();
    Ok(Row { id, how, tests })
}

/// The names of all tests that are run, as `cargo test` prints them, read off the source: the unit tests are in another program than this
/// one. That the source is formatted is relied on; of the tests that a macro makes, only those of
/// `as_both!` are found.
pub fn tests_in_source() -> io::Result<BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for top in ["src", "tests"].map(|name| root.join(name)) {
        for file in rust_files(&top)? {
            let modules = modules_of(file.strip_prefix(&top).unwrap_or(&file));
            names.extend(tests_of(&fs::read_to_string(&file)?, modules));
        }
    }
    Ok(names)
}

pub fn rust_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// `host/tree.rs` is the module `host::tree`; `lib.rs`, `main.rs` and `mod.rs` add nothing to the name.
fn modules_of(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| !["lib", "main", "mod"].contains(&name.as_str()))
        .collect()
}

fn tests_of(source: &str, file_modules: Vec<String>) -> Vec<String> {
    let mut modules = file_modules.clone();
    let mut names = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in source.lines() {
        let code = line.trim_start();
        let depth = (line.len() - code.len()) / 4;
        if let Some(name) = code
            .trim_start_matches("pub ")
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            modules.truncate(file_modules.len() + depth);
            modules.push(name.to_owned());
        } else if code == "#[test]" {
            is_test = true;
        } else if code.starts_with("#[ignore") {
            is_ignored = true;
        } else if let Some((name, _)) = code.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
            // Inside of `as_both!` each function is two tests; nothing else is written so.
            if depth == 1 && code.ends_with("(user: User) {") {
                let both = ["as_root", "as_user"].map(|who| [file_modules.join("::").as_str(), name, who].join("::"));
                names.extend(both);
            }
            if is_test && !is_ignored {
                modules.truncate(file_modules.len() + depth);
                names.push([modules.as_slice(), &[name.to_owned()]].concat().join("::"));
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    names
}

#[test]
fn every_requirement_has_exactly_one_row() {
    let rows = rows().unwrap();
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id).collect();
    let mut known = known_ids();
    ids.sort_unstable();
    known.sort_unstable();
    assert_eq!(ids, known);
}

#[test]
fn the_page_names_no_unknown_id() {
    let known = known_ids();
    let words = PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let unknown: Vec<&str> = words
        .filter(|word| is_id(word) && !known.iter().any(|id| id == word))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn every_test_the_page_names_exists() {
    let existing = tests_in_source().unwrap();
    let rows = rows().unwrap();
    let missing: Vec<String> = rows
        .iter()
        .flat_map(|row| row.tests.iter().map(|test| (row.id, *test)))
        .filter(|(_, test)| !existing.contains(*test))
        .map(|(id, test)| format!("{id}: {test}"))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_row_without_a_test_says_not_yet() {
    let rows = rows().unwrap();
    let unproven = rows
        .iter()
        .filter(|row| row.tests.is_empty() && !row.how.starts_with("Not yet"));
    let unproven: Vec<&str> = unproven.map(|row| row.id).collect();
    assert_eq!(unproven, Vec::<&str>::new());
}

#[test]
fn the_source_is_read_as_cargo_names_its_tests() {
    let source = "\
#[test]
fn outside() {}

fn no_test() {}

mod outer {
    mod inner {
        #[test]
        #[should_panic]
        fn deep() {}
    }

    #[test]
    fn shallow() {}

    #[test]
    #[ignore = \"slow\"]
    fn never_run() {}
}
";
    let names = tests_of(source, modules_of(Path::new("host/tree.rs")));
    assert_eq!(
        names,
        [
            "host::tree::outside",
            "host::tree::outer::inner::deep",
            "host::tree::outer::shallow"
        ]
    );

    let existing = tests_in_source().unwrap();
    assert!(existing.contains("requirements::the_source_is_read_as_cargo_names_its_tests"));
}
