//! Every code of an error has its place on the page of invariants.

use std::collections::BTreeSet;
use std::fs;

use claudebox::invariants::CODES;

use super::pages::{files, page, root};

/// Every invariant has its heading, in the order of the program, and below it the program's own words.
#[test]
fn every_invariant_has_its_heading() {
    let page = page("reference/invariants.md").text;
    let headings: Vec<(String, String)> = page
        .split("\n## `")
        .skip(1)
        .map(|part| {
            let (code, rest) = part.split_once("`\n\n").expect("a heading and its text");
            (code.to_string(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect();
    let found: Vec<&str> = headings.iter().map(|(code, _)| code.as_str()).collect();
    let expected: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(found, expected);
    for ((code, what), (_, text)) in CODES.iter().zip(&headings) {
        assert!(
            text.starts_with(what),
            "`{code}` begins with other words than the program's: {text}"
        );
    }
}

/// Every code that an error can show is on the page, and the page names none that no error shows.
#[test]
fn every_code_is_on_the_page() {
    let mut used: BTreeSet<String> = CODES.iter().map(|(code, _)| (*code).to_string()).collect();
    for file in files(&root().join("src"), ".rs") {
        if file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs") {
            continue;
        }
        let source = fs::read_to_string(&file).expect("a source file");
        let source = source
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_string();
        for part in source
            .split("Diagnostic::new(")
            .skip(1)
            .chain(source.split("error[").skip(1))
        {
            let part = part.trim_start().trim_start_matches('"');
            let code: String = part
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            let ends = part
                .get(code.len()..)
                .is_some_and(|rest| rest.starts_with('"') || rest.starts_with(']'));
            if ends && !code.is_empty() {
                used.insert(code);
            }
        }
    }
    let page = page("reference/invariants.md").text;
    let mut named: BTreeSet<String> = BTreeSet::new();
    for line in page.lines() {
        let code = line.strip_prefix("## `").or_else(|| line.strip_prefix("| `"));
        named.extend(code.and_then(|rest| rest.split('`').next()).map(str::to_string));
    }
    // Some codes reach their error through a function or a table: they are words of the program all the same.
    let words: String = files(&root().join("src"), ".rs")
        .iter()
        .map(|file| fs::read_to_string(file).expect("a source file"))
        .collect();
    let missing: Vec<&String> = used.difference(&named).collect();
    let idle: Vec<&String> = named
        .difference(&used)
        .filter(|code| !words.contains(&format!("\"{code}\"")))
        .collect();
    assert_eq!((missing, idle), (Vec::<&String>::new(), Vec::<&String>::new()));
}
