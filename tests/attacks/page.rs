//! The book's page of known attacks against the tests that exist: every row in its place, every name a test, every test of this suite on the
//! page, and nothing left unexplained.

use std::collections::BTreeSet;

use crate::requirements::tests_in_source;

const PAGE: &str = include_str!("../../book/src/concepts/known-attacks.md");

/// The rows: thirty ways out, and three holes that others had.
fn ids() -> Vec<String> {
    let numbered = |prefix: &'static str, last: u32| (1..=last).map(move |number| format!("{prefix}{number:02}"));
    numbered("E", 30).chain(numbered("M", 3)).collect()
}

struct Row<'a> {
    id: &'a str,
    /// What is tried, and what stands against it.
    words: [&'a str; 2],
    tests: Vec<&'a str>,
    remains: &'a str,
}

/// The lines of the page's table.
fn rows() -> Vec<Row<'static>> {
    let lines = PAGE
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| row "));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let ["", id, attack, defence, tests, remains, ""] = *cells else {
                panic!("this row has not exactly five cells: {line}");
            };
            let names = tests.split(", ").map(|name| {
                let name = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
                name.unwrap_or_else(|| {
                    panic!("the tests of {id} are not names in backticks, parted by commas: {tests}")
                })
            });
            Row {
                id,
                words: [attack, defence],
                tests: names.collect(),
                remains,
            }
        })
        .collect()
}

/// The tests that a name stands for: itself, or as root and as an ordinary user.
fn stands_for(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}::as_root"), format!("{name}::as_user")]
}

#[test]
fn every_row_is_there_once() {
    let seen: Vec<&str> = rows().iter().map(|row| row.id).collect();
    assert_eq!(seen, ids());
}

#[test]
fn every_row_says_what_remains() {
    for Row { id, words, remains, .. } in rows() {
        assert!(words.iter().all(|words| !words.is_empty()), "{id} has an empty cell");
        let explained = ["Residual: ", "Not applicable: "]
            .iter()
            .any(|word| remains.strip_prefix(word).is_some_and(|why| !why.is_empty()));
        assert!(remains == "Stopped" || explained, "{id} is unexplained: {remains}");
    }
}

#[test]
fn every_test_on_the_page_exists() {
    let existing = tests_in_source().expect("the source");
    let missing: Vec<String> = rows()
        .iter()
        .flat_map(|row| row.tests.iter().map(|name| (row.id, *name)))
        .filter(|(_, name)| {
            let [one, root, user] = stands_for(name);
            !(existing.contains(&one) || existing.contains(&root) && existing.contains(&user))
        })
        .map(|(id, name)| format!("{id}: {name}"))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_test_of_the_suite_is_on_the_page() {
    let named: BTreeSet<String> = rows()
        .iter()
        .flat_map(|row| row.tests.iter().flat_map(|name| stands_for(name)))
        .collect();
    let existing = tests_in_source().expect("the source");
    let suite = existing
        .iter()
        .filter(|name| name.starts_with("attacks::") && !name.starts_with("attacks::page::"));
    let unnamed: Vec<&String> = suite.filter(|name| !named.contains(*name)).collect();
    assert_eq!(unnamed, Vec::<&String>::new());
}

/// Thirty rows of a table need no second list of what remains: each that has a rest is explained on the page of residual risks.
#[test]
fn every_rest_is_on_the_page_of_residual_risks() {
    let residual = include_str!("../../book/src/concepts/residual-risks.md");
    let named: BTreeSet<&str> = residual.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let missing: Vec<&str> = rows()
        .iter()
        .filter(|row| row.remains.starts_with("Residual"))
        .map(|row| row.id)
        .filter(|id| !named.contains(id))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
