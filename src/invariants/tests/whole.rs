//! What holds for all invariants together: every violation is told, every item has its decision, every rule its code.

use super::*;
use crate::invariants::CODES;
use crate::trace::Site;

#[test]
fn all_violations_are_told_at_once() {
    let text =
        mounts("mount::ro(\"~/.ssh\", \"x\"); mount::ro(\"/etc\", \"y\"); mount::ro(\"/run/docker.sock\", \"z\");");
    assert_eq!(text.matches("error[").count(), 3);
}

#[test]
fn every_mount_and_variable_of_the_command_has_its_decision_and_the_other_way_round() {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    host.variables.insert(EnvName::new("TERM").unwrap(), "xterm".into());
    host.variables.insert(EnvName::new("EDITOR").unwrap(), "vi".into());
    let policy = "fn variable(host, name) { if name == \"TERM\" { env::pass(\"t\") } else { env::hide(\"no\") } }\n\
                  fn environment(host) { env::set(\"PATH\", \"/usr/bin\", \"programs\"); }\n\
                  fn mounts(host) { base::mounts(host); mount::ro(\"/srv/data\", \"data\"); mount::ro(\"/srv/none\", \"none\"); mount::text(\"/etc/x\", \"y\", \"text\"); }";
    let decided = decided(policy, &Rc::new(host), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let invocation = bwrap::invocation(plan);
    // What the command sets and mounts, read from its options.
    let words: Vec<String> = invocation
        .options
        .iter()
        .map(|word| match word {
            Word::Plain(word) | Word::Secret { value: word, .. } => word.to_str().unwrap().to_string(),
            Word::File(_) => "FILE".to_string(),
            Word::Lifeline => "LIFELINE".to_string(),
        })
        .collect();
    let mut subjects: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let at = |offset: usize| words[index + offset].clone();
        match word.as_str() {
            "--setenv" | "--tmpfs" | "--proc" | "--dev" => subjects.push(at(1)),
            "--bind" | "--ro-bind" | "--symlink" | "--ro-bind-data" => subjects.push(at(2)),
            _ => {}
        }
    }
    subjects.sort();
    // What the trace says is set and mounted: every decision that no fate took back.
    let mut decisions: Vec<String> = decided
        .trace
        .iter()
        .filter(|(id, _)| !decided.verdict.fates.contains_key(id))
        .filter(|(_, decision)| {
            use crate::trace::Effect::*;
            matches!(
                decision.effect,
                Pass | PassSecret | Set | ReadOnly | ReadWrite | Tmpfs | Link | Text | Mask
            )
        })
        .map(|(_, decision)| decision.subject.clone())
        .collect();
    decisions.sort();
    assert_eq!(subjects, decisions);
    // And each item's own decision is about that item.
    for (name, variable) in plan.variables() {
        assert_eq!(decided.trace.get(variable.decision).unwrap().subject, name.to_string());
    }
    for mount in plan.mounts() {
        assert_eq!(decided.trace.get(mount.decision).unwrap().subject, mount.at.to_string());
    }
}

#[test]
fn codes_are_unique_and_sites_of_the_host_are_codes_or_rules() {
    let mut codes: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    let all = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), all);
    let decided = decided("", &host::described(tree()), &request());
    let rules: Vec<&str> = decided
        .trace
        .iter()
        .filter_map(|(_, decision)| match decision.site {
            Site::Host(rule) => Some(rule),
            _ => None,
        })
        .collect();
    for rule in rules {
        assert!(
            CODES.iter().any(|(code, _)| *code == rule)
                || ["structure", "state", "command", "launcher-variable", "awareness"].contains(&rule),
            "{rule}"
        );
    }
}
