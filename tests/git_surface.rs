//! What the host's git would run after a session: each way to plant it works in a naive sandbox and fails in ours, and
//! the honest use of git beside it goes on.

use std::path::Path;

use crate::support::{Test, User, as_both};

/// What the planted program does when the host's git runs it.
const EVIL: &str = r#"[core]\n\tfsmonitor = "touch [HOME]/fired; false"\n"#;

/// What a person does on the host afterwards.
const HOST: &str = "for d in . sub nested a/b/c/nested ../wt; do [ -e $d/.git ] && (cd $d && git status && git diff && git log -1 \
                    && git add -A; git commit -m m --allow-empty); done > /dev/null 2>&1";

/// One way to make the host's git run something.
struct Attack {
    name: &'static str,
    /// What the user had made before, on the host.
    before: &'static str,
    /// What the agent does.
    does: &'static str,
}

const fn attack(name: &'static str, before: &'static str, does: &'static str) -> Attack {
    Attack { name, before, does }
}

const HOOK: &str = "hook() { printf '#!/bin/sh\\ntouch [HOME]/fired\\n' > $1 && chmod +x $1; }; ";
const SUBMODULE: &str = "git init -q ../source && git -C ../source commit -q --allow-empty -m s && \
                         git -c protocol.file.allow=always submodule --quiet add ../source sub && git commit -q -m sub";
const NESTED: &str = "mkdir -p a/b/c && git init -q nested && git init -q a/b/c/nested";
const WORKTREE: &str = "git worktree add -q ../wt";

/// The table of ways.
const ATTACKS: &[Attack] = &[
    attack("a hook", "", "hook .git/hooks/pre-commit"),
    attack(
        "other hooks",
        "",
        "rm -rf .git/hooks; mkdir .git/hooks; hook .git/hooks/pre-commit",
    ),
    attack(
        "hooks moved away",
        "",
        "mv .git/hooks .git/h; mkdir .git/hooks; hook .git/hooks/pre-commit",
    ),
    attack(
        "no hooks before",
        "rm -r .git/hooks",
        "mkdir .git/hooks; hook .git/hooks/pre-commit",
    ),
    attack("more configuration", "", "printf 'EVIL' >> .git/config"),
    attack(
        "other configuration",
        "",
        "printf 'EVIL' > .git/c; mv .git/c .git/config",
    ),
    attack(
        "configuration anew",
        "",
        "rm -f .git/config; printf 'EVIL' > .git/config",
    ),
    attack(
        "configuration by git",
        "",
        "git config core.fsmonitor 'touch [HOME]/fired; false'",
    ),
    attack(
        "another git directory",
        "",
        "mv .git g; cp -r g .git; printf 'EVIL' >> .git/config",
    ),
    attack(
        "a git file",
        "",
        "mv .git g; printf 'gitdir: g\\n' > .git; printf 'EVIL' >> g/config",
    ),
    attack("a git link", "", "mv .git g; ln -s g .git; printf 'EVIL' >> g/config"),
    attack(
        "a common directory",
        "",
        "cp -r .git evil; printf 'EVIL' >> evil/config; echo ../evil > .git/commondir",
    ),
    attack(
        "a common directory by rename",
        "",
        "cp -r .git evil; printf 'EVIL' >> evil/config; echo ../evil > .git/x; mv -f .git/x .git/commondir",
    ),
    attack(
        "another common directory",
        "",
        "cp -r .git evil; printf 'EVIL' >> evil/config; rm -f .git/commondir; echo ../evil > .git/commondir",
    ),
    attack(
        "the worktree's configuration",
        "git config extensions.worktreeConfig true",
        "printf 'EVIL' > .git/config.worktree",
    ),
    attack(
        "the worktree's configuration by rename",
        "git config extensions.worktreeConfig true",
        "printf 'EVIL' > .git/x; mv -f .git/x .git/config.worktree",
    ),
    attack(
        "a submodule's configuration",
        SUBMODULE,
        "printf 'EVIL' >> .git/modules/sub/config",
    ),
    attack(
        "a submodule's hook",
        SUBMODULE,
        "hook .git/modules/sub/hooks/pre-commit",
    ),
    attack(
        "other submodules",
        SUBMODULE,
        "mv .git/modules .git/m; cp -r .git/m .git/modules; printf 'EVIL' >> .git/modules/sub/config",
    ),
    attack(
        "a submodule's common directory",
        SUBMODULE,
        "cp -r .git/modules/sub evil; printf 'EVIL' >> evil/config; echo ../../../evil > .git/modules/sub/commondir",
    ),
    attack(
        "a submodule's pointer",
        SUBMODULE,
        "cp -r .git/modules/sub evil; sed -i /worktree/d evil/config; printf 'EVIL' >> evil/config; echo 'gitdir: ../evil' > sub/.git",
    ),
    attack(
        "another submodule",
        SUBMODULE,
        "mv sub s; mkdir sub; cp -r .git/modules/sub evil; sed -i /worktree/d evil/config; printf 'EVIL' >> evil/config; \
         echo 'gitdir: ../evil' > sub/.git",
    ),
    attack("a nested configuration", NESTED, "printf 'EVIL' >> nested/.git/config"),
    attack("a nested hook", NESTED, "hook nested/.git/hooks/pre-commit"),
    attack(
        "another nested repository",
        NESTED,
        "mv nested n; cp -r n nested; printf 'EVIL' >> nested/.git/config",
    ),
    attack(
        "a deep configuration",
        NESTED,
        "printf 'EVIL' >> a/b/c/nested/.git/config",
    ),
    attack(
        "another way to a deep one",
        NESTED,
        "mv a x; cp -r x a; printf 'EVIL' >> a/b/c/nested/.git/config",
    ),
    attack(
        "a part of the way to a deep one",
        NESTED,
        "mv a/b a/x; cp -r a/x a/b; printf 'EVIL' >> a/b/c/nested/.git/config",
    ),
    attack(
        "another worktree's common directory",
        WORKTREE,
        "cp -r .git evil; printf 'EVIL' >> evil/config; echo ../../../evil > .git/worktrees/wt/commondir",
    ),
    attack(
        "other worktrees",
        WORKTREE,
        "cp -r .git evil; printf 'EVIL' >> evil/config; mv .git/worktrees .git/w; cp -r .git/w .git/worktrees; \
         echo ../../../evil > .git/worktrees/wt/commondir",
    ),
    attack(
        "the directory of hooks that the configuration names",
        "mkdir -p .husky/_ && touch .husky/_/h && git config core.hooksPath .husky/_",
        "hook .husky/_/pre-commit",
    ),
    attack(
        "another directory of that name",
        "mkdir -p .husky/_ && touch .husky/_/h && git config core.hooksPath .husky/_",
        "mv .husky h; mkdir -p .husky/_; hook .husky/_/pre-commit",
    ),
    attack(
        "the directory of hooks that is not there yet",
        "git config core.hooksPath my/hooks",
        "mkdir -p my/hooks; hook my/hooks/pre-commit",
    ),
    attack(
        "the file that the configuration includes",
        "printf '[alias]\\n\\tx = log\\n' > extra && git config include.path ../extra",
        "printf 'EVIL' >> extra",
    ),
    attack(
        "another file of that name",
        "printf '[alias]\\n\\tx = log\\n' > extra && git config include.path ../extra",
        "printf 'EVIL' > e; mv -f e extra",
    ),
    attack(
        "the program that the configuration names",
        "printf '#!/bin/sh\\nfalse\\n' > monitor && chmod +x monitor && git config core.fsmonitor ./monitor",
        "hook monitor",
    ),
    attack(
        "a mount undone",
        "",
        "unshare -Urm sh -c 'umount .git/config; mount -o remount,rw .git/config; git config core.fsmonitor \"touch [HOME]/fired; false\"'",
    ),
];

/// A repository with one commit.
pub fn repository(user: User) -> Test {
    let test = Test::new()
        .who(user)
        .file(
            "~/.gitconfig",
            "[user]\n\tname = n\n\temail = e@example.com\n[init]\n\tdefaultBranch = main\n",
        )
        .file("a.txt", "one\n");
    host(&test, "git init -q . && git add . && git commit -q -m one");
    test
}

/// Does something on the host, as the user, in the project.
#[track_caller]
pub fn host(test: &Test, script: &str) {
    let run = test.control(&["sh", "-c", script]);
    assert_eq!(run.exit, 0, "{script}: {run:?}");
}

/// A sandbox as one would write it without much thought.
const NAIVE: [&str; 15] = [
    "bwrap",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--unshare-user",
    "--unshare-pid",
    "--bind",
    "[PROJECT]",
    "[PROJECT]",
    "sh",
    "-c",
];

pub fn boxed(test: Test, script: &str) -> Test {
    test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", script])
}

/// Whether the host's git ran what was planted.
fn fires(test: &Test) -> bool {
    test.control(&["sh", "-c", HOST]);
    test.at("~/fired").exists()
}

/// Every reservation below a directory.
pub fn reservations(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    crate::support::user::each(directory, &mut |path| {
        // What an attack made of copies is its own.
        if !path.components().any(|part| part.as_os_str() == "evil")
            && std::fs::read(path).is_ok_and(|content| content == b"./\n")
        {
            found.push(path.to_owned());
        }
    });
    found
}

as_both! {
    /// The whole table: each way fires from a naive sandbox, and none from ours.
    fn nothing_is_planted_for_the_hosts_git(user: User) {
        let mut wrong = Vec::new();
        for Attack { name, before, does } in ATTACKS {
            let does = format!("{HOOK}{does}").replace("EVIL", EVIL);
            let prepared = || {
                let test = repository(user);
                if !before.is_empty() {
                    host(&test, before);
                }
                test
            };
            let control = prepared();
            let words: Vec<&str> = NAIVE.iter().copied().chain([does.as_str()]).collect();
            let naive = control.control(&words);
            if !fires(&control) {
                wrong.push(format!("{name}: the control did not fire: {naive:?}"));
            }
            let test = boxed(prepared(), &does);
            let run = test.start();
            if run.exit == 125 || run.stderr.contains("error[") {
                wrong.push(format!("{name}: did not start: {}", run.stderr));
            }
            if fires(&test) {
                wrong.push(format!("{name}: fired: {run:?}"));
            }
            let left = reservations(&test.home());
            if !left.is_empty() {
                wrong.push(format!("{name}: left {left:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
