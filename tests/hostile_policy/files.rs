//! Policy files that are no policy, or that someone else could have written.

use std::os::unix::ffi::OsStringExt;

use super::{MARK, refused};
use crate::support::{Test, User};

const HINT: &str =
    "hint: nothing starts without the policy that you wrote; mend it, or start with `--no-user-policy`\n";
const POLICY: &str = "~/.config/claudebox/policy.rhai";
const HONEST: &str = "fn network(host) { net::none(\"x\"); }\n";

fn text(why: &str) -> String {
    format!("error[policy-file]: the policy cannot be used: {why}\n{HINT}")
}

#[test]
fn a_policy_that_is_not_utf_8() {
    let test = Test::new().policy("");
    std::fs::write(test.at(POLICY), b"// one\n// two \xff\n").expect("the test's own file");
    refused(
        test,
        &text("`[HOME]/.config/claudebox/policy.rhai` is not UTF-8 text (line 2)"),
    );
}

#[test]
fn a_directory() {
    refused(
        Test::new().directory(POLICY),
        &text("cannot look at `[HOME]/.config/claudebox/policy.rhai`: not a regular file"),
    );
}

#[test]
fn a_pipe_that_nobody_writes_to() {
    let test = Test::new().policy("");
    std::fs::remove_file(test.at(POLICY)).expect("the test's own file");
    let made = std::process::Command::new("mkfifo")
        .arg(test.at(POLICY))
        .status()
        .expect("mkfifo starts");
    assert!(made.success());
    refused(
        test,
        &text("cannot look at `[HOME]/.config/claudebox/policy.rhai`: not a regular file"),
    );
}

#[test]
fn a_link_to_nothing() {
    refused(
        Test::new().link(POLICY, "nowhere"),
        &text("cannot look at `[HOME]/.config/claudebox/nowhere`: no such file or directory"),
    );
}

#[test]
fn a_link_into_the_project() {
    refused(
        Test::new()
            .file("policy.rhai", HONEST)
            .link(POLICY, "[PROJECT]/policy.rhai"),
        &text("`[PROJECT]/policy.rhai` lies in the project, where the agent can write"),
    );
}

/// The agent could turn the link elsewhere.
#[test]
fn a_link_that_leads_through_the_project() {
    let test = Test::new()
        .file("~/dotfiles/policy.rhai", HONEST)
        .link("way", "[HOME]/dotfiles/policy.rhai")
        .link(POLICY, "[PROJECT]/way");
    refused(
        test,
        &text("`[PROJECT]/way` lies in the project, where the agent can write"),
    );
}

/// Managers of dotfiles make such links: the control of those above.
#[test]
fn a_link_to_a_file_of_the_users_own() {
    let policy = "fn mounts(host) { base::mounts(host); }\n";
    let test = Test::new()
        .file("~/dotfiles/policy.rhai", policy)
        .link(POLICY, "[HOME]/dotfiles/policy.rhai")
        .args(MARK);
    test.compare(&test.start());
    assert!(test.at("started").exists());
}

#[test]
fn a_policy_in_the_state_of_the_sandboxes() {
    refused(
        Test::new()
            .file("~/.claudebox/policy.rhai", HONEST)
            .link(POLICY, "[HOME]/.claudebox/policy.rhai"),
        &text("`[HOME]/.claudebox/policy.rhai` lies in the state of the sandboxes, where the agent can write"),
    );
}

#[test]
fn a_policy_that_everybody_can_write_to() {
    refused(
        Test::new().who(User::Root).policy(HONEST).mode(POLICY, 0o666),
        &text("`[HOME]/.config/claudebox/policy.rhai` can be written by other users (owner 0, mode 0666)"),
    );
}

#[test]
fn a_policy_in_a_directory_that_everybody_can_write_to() {
    let test = Test::new().policy(HONEST).mode("~/.config/claudebox", 0o777);
    refused(
        test,
        &text("`[HOME]/.config/claudebox`, above it, can be written by other users (mode 0777)"),
    );
}

/// Root's files are everybody's law; those of a third user are not.
#[test]
fn a_policy_of_another_user() {
    let test = Test::new().who(User::Root).directory("~/.config/claudebox");
    let foreign = test.base().join("foreign.rhai");
    std::fs::write(&foreign, HONEST).expect("the test's own file");
    std::os::unix::fs::chown(&foreign, Some(12_345), None).expect("root may change owners");
    refused(
        test.link(POLICY, "[BASE]/foreign.rhai"),
        &text("`[BASE]/foreign.rhai` can be written by other users (owner 12345, mode 0644)"),
    );
}

#[test]
fn a_named_policy_in_the_project() {
    let test = Test::new()
        .file("policy.rhai", HONEST)
        .args(["--policy", "policy.rhai", "--exec", "true"]);
    let stderr = text("`[PROJECT]/policy.rhai` lies in the project, where the agent can write");
    let test = test.stderr(&stderr).exit(125);
    test.compare(&test.start());
}

#[test]
fn a_named_policy_that_is_absent() {
    let test = Test::new().args(["--policy", "../other.rhai", "--exec", "true"]);
    let stderr = text("cannot look at `[HOME]/other.rhai`: no such file or directory");
    let test = test.stderr(&stderr).exit(125);
    test.compare(&test.start());
}

/// A path climbs at its start alone: further on, a link could make the climb lead elsewhere.
#[test]
fn a_named_policy_beside_the_project_and_one_on_a_winding_way() {
    let policy = "fn mounts(host) { base::mounts(host); }\n";
    let test = Test::new().file("~/other.rhai", policy).args([
        "--policy",
        "../other.rhai",
        "--yes",
        "--quiet",
        "--exec",
        "true",
    ]);
    test.compare(&test.start());
    let test = test
        .args(["--policy", "sub/../other.rhai", "--exec", "true"])
        .stderr("error[policy-file]: the policy `sub/../other.rhai` contains `..`\n")
        .exit(125);
    test.compare(&test.start());
}

#[test]
fn names_are_bytes() {
    let test = Test::new();
    let name = std::ffi::OsString::from_vec(b"\xff.rhai".to_vec());
    std::fs::write(test.home().join(&name), "fn mounts(host) {}\nloop").expect("the test's own file");
    let stderr = "error[policy-syntax]: expecting `{` to start a statement block\n  ——▶ ~/\\xff.rhai:2:5\n  |\n2 | loop\n  |     ^\n";
    let test = test
        .link("~/way", "x")
        .args(["--exec", "true"])
        .stderr(stderr)
        .exit(125);
    let run = test.control(&[
        "sh",
        "-c",
        "exec [BIN]/claudebox --policy ../$(printf '\\377').rhai --exec true",
    ]);
    test.compare(&run);
}
