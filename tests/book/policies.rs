//! Every script in the book and in the README runs, on top of the bundled policy.

use crate::support::Test;

use super::pages::all;

/// A `rhai` block is a policy: it loads and is granted, or is refused where the block says `rhai,refused`. One with functions `test_*` is a test: the blocks of policies before it on the page
/// are what it tests, the last of them, and it passes.
#[test]
fn every_script_in_the_book_runs() {
    let mut seen = 0;
    for page in all() {
        let mut policy = "";
        for block in page.blocks() {
            let granted = match block.kind {
                "rhai" => true,
                "rhai,refused" => false,
                _ => continue,
            };
            let run = if block.content.contains("fn test_") {
                Test::new()
                    .policy(policy)
                    .file("~/.config/claudebox/policy.test.rhai", block.content)
                    .args(["--policy-test"])
                    .start()
            } else {
                policy = block.content;
                Test::new()
                    .policy(policy)
                    .args(["--dry-run", "--net", "none", "--exec", "--", "true"])
                    .directory("~/datasets")
                    .directory("~/.ssh")
                    .start()
            };
            let well = if granted {
                run.exit == 0 && run.stderr.is_empty()
            } else {
                run.exit == 1 && run.stderr.starts_with("error[")
            };
            assert!(
                well,
                "{}:\n{}\n{}{}",
                page.name(),
                block.content,
                run.stdout,
                run.stderr
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "the book shows at least one policy");
}

/// No script hides from the test above: what the book marks with another word is included from `policy/`, where it has tests of its own.
#[test]
fn no_script_is_passed_over() {
    for page in all() {
        for block in page.blocks() {
            let script = block.content.contains("fn ") && block.content.contains("::");
            let included = block.content.contains("{{#include ");
            assert!(
                !script
                    || included
                    || block.kind.starts_with("rhai")
                    || block.kind == "hidden"
                    || block.kind == "console",
                "{}:\n{}",
                page.name(),
                block.content
            );
        }
        let indented: Vec<&str> = page
            .prose()
            .into_iter()
            .filter(|line| line.starts_with("    ") && line.contains("fn "))
            .collect();
        assert_eq!(indented, Vec::<&str>::new(), "{}", page.name());
    }
}
