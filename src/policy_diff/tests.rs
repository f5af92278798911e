//! What single lines of a policy widen and narrow.

use super::*;

fn source(file: &str, text: &str) -> Source {
    Source {
        layer: "user".into(),
        file: file.into(),
        text: text.into(),
    }
}

fn text(old: &str, new: &str) -> String {
    compare(&source("old.rhai", old), &source("new.rhai", new)).text(Style::plain())
}

fn mounts(line: &str) -> String {
    format!("fn mounts(host) {{\n    base::mounts(host);\n    {line}\n}}\n")
}

#[test]
fn what_one_line_does() {
    let data = "mount::ro(\"~/data\", \"x\");";
    let table = [
        (String::new(), String::new(), "nothing changes on the 4 described hosts\n"),
        (
            String::new(),
            mounts(data),
            "widens\n  ~/data can be read, not written (on nix, usr, worktree)  new.rhai:3\n",
        ),
        (
            mounts(data),
            mounts("mount::rw(\"~/data\", \"x\");"),
            "widens\n  ~/data can be written (on nix, usr, worktree)  new.rhai:3\n",
        ),
        (
            mounts(data),
            String::new(),
            "narrows\n  ~/data is not seen any more (on nix, usr, worktree)  old.rhai:3\n",
        ),
        (
            mounts(data),
            mounts("mount::ro(\"~/data\", \"~/there\", \"x\");"),
            "widens\n  ~/there can be read, not written (on nix, usr, worktree)  new.rhai:3\nnarrows\n  \
             ~/data is not seen any more (on nix, usr, worktree)  old.rhai:3\n",
        ),
        (
            String::new(),
            "fn variable(host, name) {\n    if name == \"NPM_TOKEN\" { return env::pass_secret(\"x\"); }\n    base::variable(host, name)\n}\n".into(),
            "widens\n  variable NPM_TOKEN enters (on nix, usr, worktree)  new.rhai:2\n",
        ),
        (
            String::new(),
            "fn network(host) { net::none(\"x\"); }\n".into(),
            "narrows\n  /etc/resolv.conf is not seen any more\n  /nix/var is not seen any more (on nix)\n  \
             Claude Code's login stays outside  policy/policy.rhai:96\n  the network is `none`, not `internet`  new.rhai:1\n  \
             variable ANTHROPIC_API_KEY enters no more (on nix, usr, worktree)  policy/policy.rhai:23\n  \
             variable CLAUDE_CODE_OAUTH_TOKEN enters no more (on nix, usr, worktree)  policy/policy.rhai:23\nchanges\n  \
             variable ANTHROPIC_AUTH_TOKEN is another one (on nix, usr, worktree)\n  ~/.claude-auth is another one\n",
        ),
        (
            "fn secrets(host) { base::secrets(host); secret::path(\"~/vault\", \"x\"); }\n".into(),
            String::new(),
            "widens\n  /home/u/vault is called a secret no more  old.rhai:1\n",
        ),
        (
            String::new(),
            "fn secrets(host) { base::secrets(host); secret::pass_file(\"~/p/.env\", \"x\"); }\n".into(),
            "widens\n  /home/u/p/.env is passed in spite of its name  new.rhai:1\n",
        ),
        (
            String::new(),
            mounts("mount::ro(\"~/.ssh\", \"x\");"),
            "narrows\n  nothing starts any more: secret-exposed (on nix, usr, worktree)\n",
        ),
        (
            "fn environment(host) { base::environment(host); env::set(\"EXTRA\", \"1\", \"x\"); }\n".into(),
            "fn environment(host) { base::environment(host); env::set(\"EXTRA\", \"2\", \"x\"); }\n".into(),
            "changes\n  variable EXTRA is another one  new.rhai:1\n",
        ),
        (
            mounts("mount::mask(host.project + \"/private\", \"x\"); debug(\"~/p/private\");"),
            mounts("debug(\"~/p/private\");"),
            "widens\n  ~/p/private can be written (on nix, usr, worktree)  old.rhai:3\n",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(text(&old, &new), expected, "{old}\n{new}");
    }
}

/// A script that fails is as narrow as can be, and mending it widens.
#[test]
fn a_policy_that_fails() {
    assert_eq!(
        text("", "fn mounts(host) { loop {} }"),
        "narrows\n  nothing starts any more: bounded-policy\n"
    );
    assert_eq!(text("let = 1;", ""), "widens\n  it starts, which was refused before\n");
}
