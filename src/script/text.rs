//! Questions to a script's text that the engine does not answer: its words, where a function is defined, and which name an
//! author may have meant.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::trace::Site;

use super::layer::Source;

/// Text that reads otherwise than it runs is refused whole: nobody can check what they cannot see.
///
/// # Errors
/// The first hidden character, by `site` of its line and column.
pub fn refuse_hidden(code: &'static str, text: &str, site: &dyn Fn(usize, usize) -> Site) -> Result<(), Diagnostic> {
    // Most scripts are plain ASCII, and every launch reads one.
    let shown = |byte: u8| matches!(byte, b'\t' | b'\n' | b' '..=b'~');
    if text.bytes().fold(true, |all, byte| all & shown(byte)) {
        return Ok(());
    }
    for (index, line) in text.lines().enumerate() {
        for (column, c) in line.chars().enumerate() {
            let what = match c {
                '\0' => "a NUL character",
                c if crate::path::is_invisible(c) => "an invisible or direction-changing character",
                c if c.is_control() && c != '\t' => "a control character",
                _ => continue,
            };
            return Err(
                Diagnostic::new(code, format!("the text contains {what} (U+{:04X})", u32::from(c)))
                    .at(site(index + 1, column + 1), "")
                    .hint("remove it; in a string, write `\\u` and its number instead"),
            );
        }
    }
    Ok(())
}

/// The candidate that is near enough to `word` to be what its author meant.
#[must_use]
pub fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .filter_map(|candidate| {
            let length = candidate.chars().count();
            let near = |distance: usize| distance * 3 <= length.max(3);
            // The distance is never less than what one is longer, nor than the letters that one has and the other has not:
            // most words need no closer look.
            let strange = (letters(word) & !letters(&candidate)).count_ones();
            if !near(length.abs_diff(word.chars().count())) || !near(usize::try_from(strange).unwrap_or_default()) {
                return None;
            }
            let distance = distance(word, &candidate);
            near(distance).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Which letters of the English alphabet are in a word: a bit each.
fn letters(word: &str) -> u32 {
    word.bytes()
        .filter(u8::is_ascii_lowercase)
        .fold(0, |letters, letter| letters | 1 << (letter - b'a'))
}

/// Levenshtein's distance, counted in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((cb, above_left), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above_left + usize::from(ca != *cb)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// How often a script's code speaks of a name, otherwise than as a module. Texts count as code, since a function can be
/// called by its name in one; comments do not.
#[must_use]
pub fn mentions(text: &str, name: &str) -> usize {
    located_words(text)
        .filter(|(word, rest, _, _)| *word == name && !rest.starts_with("::"))
        .count()
}

/// Where a script speaks of a name for the first time.
#[must_use]
pub fn site_of_word(source: &Source, name: &str) -> Site {
    let found = located_words(&source.text).find(|(word, ..)| *word == name);
    site(source, found.map(|(_, _, line, column)| (line, column)))
}

/// The place of a function's definition, found in the text: the engine tells no position of a definition.
#[must_use]
pub fn site_of_function(source: &Source, name: &str) -> Site {
    let mut before = "";
    let found = located_words(&source.text).find_map(|(word, _, line, column)| {
        let found = before == "fn" && word == name;
        before = word;
        found.then_some((line, column))
    });
    site(source, found)
}

/// The place of a line and column of a script, by default its start.
#[must_use]
pub fn site(source: &Source, place: Option<(usize, usize)>) -> Site {
    let (line, column) = place.unwrap_or((1, 1));
    Site::Script {
        layer: Arc::clone(&source.layer),
        file: Arc::clone(&source.file),
        line,
        column,
    }
}

/// The words of a script's code, each with what follows it on its line, its line and its column.
fn located_words(text: &str) -> impl Iterator<Item = (&str, &str, usize, usize)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        let code = line.split("//").next().unwrap_or_default();
        let start = code.as_ptr() as usize;
        code.split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(move |word| {
                let at = word.as_ptr() as usize - start;
                let before = code.get(..at).unwrap_or_default();
                let rest = code.get(at + word.len()..).unwrap_or_default();
                (word, rest, index + 1, before.chars().count() + 1)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::super::verbs::{VERBS, Verb};
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let verbs = || VERBS.iter().map(Verb::path);
        assert_eq!(nearest("mount::rw2", verbs()), Some("mount::rw".into()));
        assert_eq!(nearest("env::pas", verbs()), Some("env::pass".into()));
        assert_eq!(nearest("launch_missiles", verbs()), None);
    }

    #[test]
    fn a_definition_is_found_where_it_is() {
        let source = Source {
            layer: "user".into(),
            file: "policy.rhai".into(),
            text: "// fn mounts(host)\nfn mounts_of(h) {}\n  private fn   mounts(host) {}\n".into(),
        };
        let place = |name: &str| match site_of_function(&source, name) {
            Site::Script { line, column, .. } => (line, column),
            _ => (0, 0),
        };
        assert_eq!(place("mounts"), (3, 16));
        assert_eq!(place("mounts_of"), (2, 4));
        assert_eq!(place("absent"), (1, 1));
    }
}
