//! Every `console` block of the book is what the program really prints: its commands run, and all of the output is compared.
//! `CLAUDEBOX_BLESS=1 cargo test book::console` writes the outputs anew.
//!
//! In a block, `…` stands for what differs between machines or was left out: on a line of its own for any number of lines, else for any
//! text of the line. A block of another kind is a file that the commands after it see, where the comment `<!-- file PATH -->` stands before
//! it. Commands run in one world a page, in the order of the page.

use super::pages::{Page, all};
use super::world::World;

/// A block's commands, each with what the book says it prints.
fn commands(content: &str) -> Vec<(&str, String)> {
    let mut commands: Vec<(&str, String)> = Vec::new();
    for line in content.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, String::new())),
            (None, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => panic!("a console block begins with a command: {line}"),
        }
    }
    commands
}

/// Whether a text is what the book shows.
fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=printed.len()).any(|skip| fits(rest, &printed[skip..])),
        ([line, rest @ ..], [text, more @ ..]) => line_fits(line, text) && fits(rest, more),
        _ => false,
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let mut pieces = shown.split('…');
    let mut rest = match pieces.next().and_then(|start| printed.strip_prefix(start)) {
        Some(rest) => rest,
        None => return false,
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The output without the lines of the bundled policy, which every change of it moves.
fn lasting(printed: &str) -> String {
    const POLICY: &str = "policy/policy.rhai:";
    let mut pieces = printed.split(POLICY);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(POLICY);
        // The user's own policy ends with the same words.
        let own = out.ends_with(&format!("claudebox/{POLICY}"));
        let rest = if own {
            piece
        } else {
            piece.trim_start_matches(|c: char| c.is_ascii_digit())
        };
        out.push_str(if own { "" } else { "…" });
        out.push_str(rest);
    }
    out
}

/// Compares a page's blocks with what the program prints, and writes them anew where that is asked for.
fn check(mut page: Page, bless: bool) -> Vec<String> {
    let world = World::new();
    let mut wrong = Vec::new();
    let mut written = Vec::new();
    for block in page.blocks() {
        if let Some(path) = block.note.and_then(|note| note.strip_prefix("file ")) {
            world.file(path, block.content);
        }
        if block.kind != "console" {
            continue;
        }
        let commands = commands(block.content);
        let lines: Vec<&str> = commands.iter().map(|(command, _)| *command).collect();
        let outputs = world.run(&lines, block.content.contains("[y/N] y"));
        let mut fresh = String::new();
        for ((command, shown), printed) in commands.iter().zip(&outputs) {
            let right = fits(&shown.lines().collect::<Vec<_>>(), &printed.lines().collect::<Vec<_>>());
            if !right {
                wrong.push(format!(
                    "{}: $ {command}\n--- shown\n{shown}--- printed\n{printed}",
                    page.name()
                ));
            }
            fresh.push_str(&format!(
                "$ {command}\n{}",
                if right { shown.clone() } else { lasting(printed) }
            ));
        }
        written.push((block.at, block.content.len(), fresh));
    }
    if bless {
        for (at, length, fresh) in written.into_iter().rev() {
            page.text.replace_range(at..at + length, &fresh);
        }
        std::fs::write(&page.path, &page.text).expect("the book");
        wrong.clear();
    }
    wrong
}

#[test]
fn every_console_block_is_what_the_program_prints() {
    let bless = std::env::var_os("CLAUDEBOX_BLESS").is_some();
    let only = std::env::var("CLAUDEBOX_PAGE").unwrap_or_default();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in all() {
        if page.name().contains(&only) && page.blocks().iter().any(|block| block.kind == "console") {
            wrong.extend(check(page, bless));
            seen += 1;
        }
    }
    assert!(seen > 0, "the book shows what the program prints");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_left_out_fits_anything() {
    let table: [(&str, &str, bool); 8] = [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nd", true),
        ("a\n…\nd", "a\nb", false),
        ("Linux … here", "Linux 6.1 here", true),
        ("Linux … here", "Linux 6.1 there", false),
        ("a …, b …", "a 1, b 2", true),
    ];
    for (shown, printed, right) in table {
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        assert_eq!(fits(&lines(shown), &lines(printed)), right, "{shown} / {printed}");
    }
}
