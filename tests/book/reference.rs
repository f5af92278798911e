//! The lists of the reference against the code: options, exit codes, limits, dependencies.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;
use claudebox::cli::Cli;

use super::pages::{code, page, root, rows};
use crate::requirements::rust_files;

/// The names of an option.
fn names(option: &clap::Arg) -> Vec<String> {
    let long = option.get_long().map(|name| format!("--{name}"));
    let short = option.get_short().map(|letter| format!("-{letter}"));
    short.into_iter().chain(long).collect()
}

/// The name in a form such as `--net MODE` or `--explain=SUBJECT`.
fn name(form: &str) -> String {
    form.split(['=', ' ']).next().unwrap_or_default().to_owned()
}

#[test]
fn every_option_has_its_row_and_every_row_its_option() {
    let page = page("reference/cli.md");
    let rows = rows(&page, "Options");
    let forms: Vec<&str> = rows.iter().flat_map(|row| code(&row[0])).collect();
    let listed: BTreeSet<String> = forms.iter().map(|form| name(form)).collect();
    let mut command = Cli::command();
    command.build();
    let known: BTreeSet<String> = command.get_arguments().flat_map(names).collect();
    assert_eq!(listed, known);
    // An option is written with its value.
    for option in command
        .get_arguments()
        .filter(|option| option.get_action().takes_values() && !option.is_positional())
    {
        let value = option.get_value_names().and_then(<[_]>::first).expect("a value's name");
        let between = if option.is_require_equals_set() { '=' } else { ' ' };
        let form = format!("--{}{between}{value}", option.get_long().expect("a long name"));
        assert!(forms.contains(&form.as_str()), "{form}");
    }
    // Each word that an option takes is explained in its row.
    for option in command.get_arguments() {
        let row = rows
            .iter()
            .find(|row| code(&row[0]).iter().any(|form| names(option).contains(&name(form))));
        for value in option.get_possible_values() {
            let named = row.is_none_or(|row| row[1].contains(value.get_name()));
            assert!(
                !option.get_action().takes_values() || named,
                "{}: {}",
                option.get_id(),
                value.get_name()
            );
        }
    }
}

#[test]
fn every_exit_code_has_its_row() {
    let listed: Vec<String> = rows(&page("reference/exit-codes.md"), "A launch")
        .iter()
        .map(|row| code(&row[0]).concat())
        .collect();
    let codes = [
        claudebox::EXIT_USAGE,
        claudebox::EXIT_REFUSED,
        claudebox::EXIT_CANNOT_RUN,
        claudebox::EXIT_NOT_FOUND,
    ];
    assert_eq!(listed, codes.map(|code| code.to_string()));
}

/// The value of a constant, worked out of the line of the source that defines it.
fn value(expression: &str) -> u64 {
    let number = |text: &str| {
        text.trim()
            .replace('_', "")
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{expression}"))
    };
    let expression = expression.trim();
    let inner = ["Duration::from_secs(", "Duration::from_millis("]
        .iter()
        .find_map(|call| expression.strip_prefix(call))
        .map(|rest| rest.trim_end_matches(')'));
    match (inner, expression.split_once("<<")) {
        (Some(inner), _) => number(inner),
        (None, Some((base, shift))) => number(base) << number(shift),
        (None, None) => expression.split('*').map(number).product(),
    }
}

/// The number at the start of a cell: `10,000`, `32 MiB`.
fn shown(cell: &str) -> u64 {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number: u64 = number
        .replace(',', "")
        .parse()
        .unwrap_or_else(|_| panic!("no number: {cell}"));
    number
        * match unit {
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            _ => 1,
        }
}

#[test]
fn every_limit_is_the_codes() {
    let rows = rows(&page("reference/limits.md"), "");
    assert!(rows.len() > 10, "{} limits", rows.len());
    for row in rows {
        let place = code(&row[2]).concat();
        let (file, name) = place.rsplit_once(' ').expect("a file and a name");
        let source =
            fs::read_to_string(root().join("src").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let start = format!("const {name}:");
        let definition = source
            .lines()
            .find(|line| line.contains(&start))
            .unwrap_or_else(|| panic!("{file} has no {name}"));
        let (_, expression) = definition.split_once('=').expect("a value");
        assert_eq!(
            shown(&row[1]),
            value(expression.trim_end_matches(';')),
            "{}: {}",
            row[0],
            definition.trim()
        );
    }
}

fn dependencies(manifest: &toml::Spanned<toml::de::DeTable>, table: &str) -> BTreeSet<String> {
    let table = manifest.get_ref().get(table).map(toml::Spanned::get_ref);
    let table = table
        .and_then(toml::de::DeValue::as_table)
        .expect("a table of Cargo.toml");
    table.keys().map(|name| name.get_ref().to_string()).collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let page = page("dependencies.md");
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let manifest = toml::de::DeTable::parse(&text).expect("TOML");
    for (table, headings) in [
        ("dependencies", ["In the program", "In the broker"].as_slice()),
        ("dev-dependencies", &["In the tests"]),
    ] {
        let known = dependencies(&manifest, table);
        let rows: Vec<Vec<String>> = headings.iter().flat_map(|heading| rows(&page, heading)).collect();
        let named: BTreeSet<String> = rows.iter().flat_map(|row| code(&row[0])).map(str::to_owned).collect();
        assert_eq!(named, known, "{table}");
    }
}

/// Whoever looks for an invariant finds where it is relied on, and no comment names one that there is not.
#[test]
fn every_invariant_is_marked_in_the_source() {
    let mut marked = BTreeSet::new();
    for file in rust_files(&root().join("src")).expect("the source") {
        let text = fs::read_to_string(&file).expect("a source file");
        marked.extend(
            text.split("INVARIANT(")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())),
        );
    }
    let known: BTreeSet<String> = claudebox::invariants::CODES
        .iter()
        .map(|(code, _)| (*code).to_owned())
        .collect();
    assert_eq!(marked, known);
}
