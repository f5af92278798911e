//! Every link leads somewhere, every page is in the table of contents.

use std::collections::BTreeSet;

use claudebox::script::verbs::VERBS;

use crate::requirements::tests_in_source;

use super::pages::{Page, all, files, page, root};

/// Links to files and headings of the project; addresses of the web are not asked for.
#[test]
fn every_link_and_anchor_is_there() {
    let mut broken = Vec::new();
    for page in all() {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                page.path.clone()
            } else {
                page.path.parent().expect("a directory").join(file)
            };
            let there = target.exists() && (anchor.is_empty() || Page::read(target).anchors().contains(anchor));
            if !there {
                broken.push(format!("{}: {link}", page.name()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let source = root().join("book/src");
    let mut listed = page("SUMMARY.md").links();
    listed.sort();
    let pages: Vec<String> = files(&source, ".md")
        .iter()
        .map(|path| path.strip_prefix(&source).expect("a page").display().to_string())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, pages);
}

/// The pages name no heading twice: a link to it would lead to the first alone.
#[test]
fn no_page_has_a_heading_twice() {
    for page in super::pages::book() {
        let headings: Vec<&str> = page.prose().into_iter().filter(|line| line.starts_with('#')).collect();
        let different: BTreeSet<&&str> = headings.iter().collect();
        assert_eq!(headings.len(), different.len(), "{}: {headings:?}", page.name());
    }
}

/// The book names tests in its text, as `cargo test` takes them: a whole name, or the beginning of several.
#[test]
fn every_test_the_book_names_exists() {
    let tests = tests_in_source().expect("the source");
    let modules: BTreeSet<&str> = tests.iter().filter_map(|test| test.split("::").next()).collect();
    let is_name =
        |word: &str| word.contains("::") && word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    let mut missing = Vec::new();
    for page in super::pages::all() {
        for line in page.prose() {
            for word in line.split('`').skip(1).step_by(2).filter(|word| is_name(word)) {
                let module = word.split("::").next().unwrap_or_default();
                let named = modules.contains(module) && VERBS.iter().all(|verb| verb.module != module);
                let begins = |test: &String| test == word || test.starts_with(&format!("{word}::"));
                if named && !tests.iter().any(begins) {
                    missing.push(format!("{}: {word}", page.name()));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
