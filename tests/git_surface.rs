//! What the host's git would run after a session: each way to plant it works in a naive sandbox and fails in ours, and
//! the honest use of git beside it goes on.

mod attacks;
mod reserved;

use std::path::Path;

use attacks::{ATTACKS, Attack, HOOK, IN_A_WORKTREE, WORKTREE};

use crate::support::{Test, User, as_both};

/// What the planted program does when the host's git runs it.
pub const EVIL: &str = r#"[core]\n\tfsmonitor = "touch [HOME]/fired; false"\n"#;

/// What a person does on the host afterwards.
const HOST: &str = "git checkout -q -- . 2> /dev/null; for d in . sub nested a/b/c/nested ../wt; do [ -e $d/.git ] && (cd $d && git status && git diff && git log -1 \
                    && git add -A; git commit -m m --allow-empty); done > /dev/null 2>&1";

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
pub const NAIVE: [&str; 18] = [
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
    "--bind-try",
    "[HOME]/wt",
    "[HOME]/wt",
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

/// Each of these fires from a naive sandbox, and none from ours that is started in this directory.
#[track_caller]
fn none_fires(user: User, attacks: &[Attack], directory: &str) {
    let mut wrong = Vec::new();
    for Attack { name, before, does } in attacks {
        let does = format!("{HOOK}{does}")
            .replace("EVILFILE", "[HOME]/evil")
            .replace("EVIL", EVIL);
        let prepared = || {
            let test = repository(user);
            let test = test.file("~/evil", &EVIL.replace("\\n", "\n").replace("\\t", "\t"));
            if !before.is_empty() {
                host(&test, before);
            }
            test
        };
        let control = prepared();
        let enter = format!("cd {}; {does}", control.at(directory).display());
        let words: Vec<&str> = NAIVE.iter().copied().chain([enter.as_str()]).collect();
        let naive = control.control(&words);
        if !fires(&control) {
            wrong.push(format!("{name}: the control did not fire: {naive:?}"));
        }
        let test = boxed(prepared(), &does).current(directory);
        let run = test.start();
        if run.exit == 125 || run.stderr.contains("error[") {
            wrong.push(format!("{name}: did not start: {}", run.stderr));
        }
        if fires(&test.clone().current("[PROJECT]")) {
            wrong.push(format!("{name}: fired: {run:?}"));
        }
        let left = reservations(&test.home());
        if !left.is_empty() {
            wrong.push(format!("{name}: left {left:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

as_both! {
    /// The whole table: each way fires from a naive sandbox, and none from ours.
    fn nothing_is_planted_for_the_hosts_git(user: User) {
        none_fires(user, ATTACKS, "[PROJECT]");
    }

    /// The same from a linked worktree, which has its pointer, its entry in the repository, and what all worktrees share.
    fn nothing_is_planted_from_a_worktree(user: User) {
        none_fires(user, IN_A_WORKTREE, "~/wt");
    }

    /// What git in a sandbox takes for gone is another's: worktrees that are not shown inside are lost to a naive sandbox.
    fn other_worktrees_are_kept(user: User) {
        let prune = "git worktree prune --expire=now; git gc -q --prune=now 2> /dev/null; true";
        let kept = |test: &Test| test.control(&["sh", "-c", "cd ../wt && git log --format=%s -1"]).stdout;
        let prepared = || {
            let test = repository(user);
            host(&test, WORKTREE);
            test
        };
        let control = prepared();
        let words: Vec<&str> = NAIVE[..13].iter().chain(&NAIVE[16..]).copied().chain([prune]).collect();
        let words: Vec<&str> = words.iter().flat_map(|word| if *word == "--bind" { vec!["--tmpfs", "[HOME]", "--bind"] } else { vec![*word] }).collect();
        assert_eq!(control.control(&words).exit, 0);
        assert_eq!(kept(&control), "");
        let test = prepared();
        boxed(test.clone(), prune).start();
        assert_eq!(kept(&test), "one\n");
    }

    /// A link at a protected name can be followed, and neither replaced nor removed; nor can the link to its directory.
    fn a_link_at_a_protected_name_stays(user: User) {
        let prepared = || {
            repository(user).file("config/envrc", "old\n").file("config/editor/tasks.json", "old\n").link(".envrc", "config/envrc").link(".vscode", "config/editor")
        };
        let script = "cat .envrc .vscode/tasks.json; for l in .envrc .vscode; do rm $l; mv $l x; ln -sfn /tmp $l; done 2> /dev/null; \
                      (echo new > .envrc) 2> /dev/null; (echo new > .vscode/tasks.json) 2> /dev/null; \
                      mv config c 2> /dev/null; readlink .envrc .vscode; cat .envrc .vscode/tasks.json";
        let control = prepared();
        let words: Vec<&str> = NAIVE.iter().copied().chain([script]).collect();
        assert_eq!(control.control(&words).stdout, "old\nold\n/tmp\n/tmp\n", "the control could not replace them");
        boxed(prepared(), script).stdout("old\nold\nconfig/envrc\nconfig/editor\nold\nold\n").run();
        // The host may replace it, as it may replace everything.
        let test = prepared();
        let running = boxed(test.clone(), "echo up; while [ ! -e go ]; do sleep 0.01; done; \
            for i in $(seq 3000); do (: >> .envrc) 2> /dev/null || { echo closed; exit; }; sleep 0.02; done").spawn();
        assert_eq!(crate::replaced::end(&test, "rm .envrc; echo mine > .envrc", running), "closed\n");
    }

    /// The honest use: what a developer does in a day, in a plain repository and in a linked worktree, and the host agrees.
    fn git_works_inside(user: User) {
        for worktree in [false, true] {
            let test = repository(user);
            host(&test, "git init -q --bare ../remote.git && git remote add origin ../remote.git && git push -q origin main");
            let directory = if worktree {
                host(&test, "git worktree add -q ../wt");
                "~/wt"
            } else {
                "[PROJECT]"
            };
            let policy = "fn mounts(host) { base::mounts(host); mount::rw(\"~/remote.git\", \"to push\"); }";
            let test = boxed(test.policy(policy), DAY).current(directory);
            let run = test.start();
            assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.exit), ("done\n", "", 0), "worktree: {worktree}");
            let log = test.control(&["sh", "-c", &format!("cd {directory} && git fsck --strict --no-dangling 2>&1 && git log --format=%s -2")]);
            assert_eq!((log.stdout.as_str(), log.exit), ("picked\nside\n", 0), "{log:?}");
            assert_eq!(reservations(&test.home()), [] as [std::path::PathBuf; 0]);
        }
    }

    /// What cannot be done inside says so, and nothing half-done is left.
    fn what_is_the_users_says_so(user: User) {
        let test = repository(user);
        let before = test.snapshot();
        let script = "git config user.email x; git remote add o u; git branch -q x; git branch -m x y; echo $?; git branch -D y > /dev/null";
        let busy = "error: could not write config file .git/config: Device or resource busy\n";
        let test = boxed(test, script);
        let run = test.start();
        assert_eq!((run.stdout.as_str(), run.exit), ("128\n", 0), "{run:?}");
        assert!(run.stderr.contains("Device or resource busy"), "{busy}{run:?}");
        let config = test.at(".git/config");
        assert_eq!(before[&config], test.snapshot()[&config]);
        let told = boxed(test, "grep -c 'Device or resource busy' /etc/claude-code/CLAUDE.md");
        told.stdout("1\n").run();
    }

    /// A policy opens one of them by name, and the audit says it.
    fn one_is_opened_by_name(user: User) {
        let policy = "fn mounts(host) {\n    base::mounts(host);\n    mount::open(host.project + \"/.git/config\", \"the agent sets remotes\");\n}\n";
        let test = repository(user).policy(policy);
        let test = test.args(["--yes", "--net", "none", "--exec", "--", "sh", "-c", "git remote add o u && git remote && mv .git g"]);
        let run = test.start();
        assert_eq!((run.stdout.as_str(), run.exit), ("o\n", 1), "{run:?}");
        assert!(run.stderr.contains("\n  open   [PROJECT]/.git/config  the agent sets remotes\n"), "{run:?}");
        assert!(run.stderr.ends_with("mv: cannot move '.git' to 'g': Device or resource busy\n"), "{run:?}");
    }

    /// Files of other programs that exist are read-only with the way to them; those that ask to be run are not.
    fn what_other_programs_obey_is_read_only(user: User) {
        let names = [".envrc", ".claude/settings.json", ".claude/hooks/x", ".mcp.json", ".vscode/tasks.json", ".npmrc", ".cargo/config.toml"];
        let prepared = || names.iter().fold(repository(user), |test, name| test.file(name, "old\n").file("Makefile", "old\n"));
        let script = "for f in .envrc .claude/settings.json .claude/hooks/x .mcp.json .vscode/tasks.json .npmrc .cargo/config.toml Makefile CLAUDE.md; do \
                      (echo new > $f) 2>/dev/null && echo wrote $f; done; \
                      for d in .claude .claude/hooks .vscode .cargo; do mv $d x 2>/dev/null && echo moved $d; done; true";
        let control = prepared();
        let words: Vec<&str> = NAIVE.iter().copied().chain([script]).collect();
        assert_eq!(control.control(&words).stdout.lines().count(), 12 , "the control could not write");
        boxed(prepared(), script).stdout("wrote Makefile\nwrote CLAUDE.md\n").run();
    }

    /// From the project down to where the session was started they are read-only; elsewhere in the project they are named when they
    /// change, and their directories can be removed, as a checkout does it.
    fn what_other_programs_obey_below_the_project(user: User) {
        let places = ["", "packages/", "packages/one/", "packages/one/src/", "packages/two/"];
        let prepared = || places.iter().fold(repository(user), |test, place| test.file(&format!("{place}.envrc"), "old\n"));
        let script = "for p in . packages packages/one packages/one/src packages/two; do (echo new > [PROJECT]/$p/.envrc) 2>/dev/null && echo wrote $p; done; \
                      rm -r [PROJECT]/packages/one/src; mv [PROJECT]/packages [PROJECT]/x 2>/dev/null || echo stays";
        let control = prepared();
        let words: Vec<&str> = NAIVE.iter().copied().chain([script]).collect();
        assert_eq!(control.control(&words).stdout, "wrote .\nwrote packages\nwrote packages/one\nwrote packages/one/src\nwrote packages/two\n");
        let test = boxed(prepared(), script).current("packages/one").stdout("wrote packages/one/src\nwrote packages/two\nstays\n");
        test.compare(&test.start());
        let report = test.args(["--report"]).start().stdout;
        let named: Vec<&str> = report.lines().filter_map(|line| line.trim().strip_prefix('`')?.split('`').next()).collect();
        assert_eq!(named, ["[PROJECT]/packages/two/.envrc"]);
    }

    /// A repository that points elsewhere is refused before anything is mounted.
    fn forged_pointers_are_refused(user: User) {
        let refused = |test: Test, text: &str| {
            let test = boxed(test, "touch ran").stderr(text).exit(125);
            let before = test.snapshot();
            test.compare(&test.start());
            assert_eq!(test.snapshot(), before);
        };
        let victim = |test: Test| {
            let test = test.file("~/.gitconfig", "[user]\n\tname = n\n\temail = e@example.com\n");
            host(&test, "git init -q ../victim && git -C ../victim commit -q --allow-empty -m v");
            test
        };
        refused(Test::new().who(user).file(".git", "gitdir: [HOME]/.ssh\n").directory("~/.ssh"), SSH);
        refused(victim(Test::new().who(user)).file(".git", "gitdir: [HOME]/victim/.git\n"), VICTIM);
        refused(victim(Test::new().who(user)).file(".git", "gitdir: ..\n"), ABOVE);
        refused(Test::new().who(user).link(".git", "../victim/.git"), LINK);
        let forged = repository(user);
        host(&forged, "mkdir -p ../victim && cp -r .git ../victim/.git && echo ../../victim/.git > .git/commondir");
        refused(forged, COMMON);
        let linked = repository(user);
        host(&linked, "ln .git/config ../config");
        refused(linked, HARD_LINK);
    }

    /// Where there are many, the companion makes the mounts in bubblewrap's place: nothing is open that was closed, and it is looked after
    /// like the others.
    fn many_repositories_are_protected(user: User) {
        let make = "for i in $(seq 40); do git init -q r$i; done; echo x > .envrc";
        let attack = "for i in $(seq 40); do (: >> r$i/.git/config; : > r$i/.git/commondir; : > r$i/.git/hooks/x; : > .envrc) 2> /dev/null && echo $i; \
                      mv r$i x$i 2> /dev/null && echo moved; done; true";
        let prepared = || {
            let test = repository(user).file(".env", "SECRET=1\n");
            host(&test, make);
            test
        };
        let control = prepared();
        let words: Vec<&str> = NAIVE.iter().copied().chain([attack]).collect();
        assert_eq!(control.control(&words).stdout.lines().count(), 80);
        let honest = "cd r40 && echo x > f && git add f && git commit -qm x && git log --format=%s; cat ../.env";
        boxed(prepared(), &format!("{attack}; {honest}")).stdout("x\n").run();
        let test = prepared();
        let running = boxed(test.clone(), "echo up; while [ ! -e go ]; do sleep 0.01; done; \
            for i in $(seq 3000); do (: >> r39/.git/config) 2> /dev/null || { echo closed; exit; }; sleep 0.02; done").spawn();
        assert_eq!(crate::replaced::end(&test, "git -C r39 config user.x y", running), "closed\n");
    }
}

/// A day's work, each step of which must succeed.
pub const DAY: &str = "set -e
exec 3>&1 >/dev/null 2>err
trap 'rc=$?; [ $rc = 0 ] || cat err >&3' EXIT
base=$(git branch --show-current)
echo two > b.txt; git add b.txt; git commit -q -m two; git commit -q --amend -m two
git switch -q -c side; echo side > c.txt; git add .; git reset -q err; git commit -q -m side
git switch -q $base; git merge -q side; git branch -d side; git branch other; git switch -q other
echo x > d.txt; git add d.txt; git commit -q -m picked; git switch -q $base; git cherry-pick other; git branch -D other
git rebase -q --exec true HEAD~1; GIT_SEQUENCE_EDITOR=true git rebase -q -i HEAD~1
echo change >> a.txt; git stash; git stash pop; git checkout a.txt
git revert --no-edit HEAD; git reset -q --hard HEAD~1
git tag t; git fetch -q origin; git push -q origin HEAD:refs/heads/work; git push -q origin --delete work; git pull -q --rebase origin main
git worktree add -q ./inner; (cd inner; git commit -q --allow-empty -m inner); git worktree remove --force inner; git branch -D inner
git gc -q || true; git notes add -m n; git bisect start; git bisect reset; git archive HEAD > /dev/null; git clean -fdxq -e err; git init -q fresh; rm -rf fresh; git status
echo done >&3
";

// text: from the program
const SSH: &str = "error[git-pointers]: `[HOME]/.ssh/HEAD` is missing
hint: no git directory is without it: look at who wrote the pointer
";
// text: from the program
const VICTIM: &str =
    "error[git-pointers]: `[PROJECT]/.git` claims the git directory `[HOME]/victim/.git`, which does not name it in return
hint: if you made it with `git init --separate-git-dir`, name it in your policy: mount::rw(\"[HOME]/victim/.git\", \"why\")
";
// text: from the program
const ABOVE: &str = "error[git-pointers]: `[HOME]` is your home directory or above it, and named as a git directory
hint: look at who wrote the `.git` file of this project
";
// text: from the program
const LINK: &str = "error[git-pointers]: `[PROJECT]/.git` is a symbolic link
hint: a link cannot be protected from being replaced; a file with `gitdir: PATH` does the same
";
// text: from the program
const COMMON: &str =
    "error[git-pointers]: `[PROJECT]/.git/commondir` sends git to the configuration and the hooks of another directory
hint: git makes this file in linked worktrees alone: look at who wrote it, and remove it before git runs here
";
// text: from the program
const HARD_LINK: &str = "error[git-pointers]: `[PROJECT]/.git/config` has 2 names (hard links)
hint: replace it by a copy of itself
";
