//! What no mount can keep a session from leaving: it is named afterwards, with what it would do, and an ordinary session
//! leaves nothing to name.

use crate::git_surface::{DAY, boxed, host, repository};
use crate::support::{Test, User, as_both};

/// What is left, and the paths that the report must name.
const LEFT: &[(&str, &str)] = &[
    (
        "git init -q n; git -C n commit -q --allow-empty -m x; git add n 2> /dev/null; git -C n config core.fsmonitor 'touch x'",
        "`[PROJECT]/n` is a repository",
    ),
    (
        "mkdir node_modules; cd node_modules; git init -q n; git -C n commit -q --allow-empty -m x; git add -f n 2> /dev/null; \
         git -C n config core.fsmonitor 'touch x'",
        "`[PROJECT]/node_modules/n` is a repository",
    ),
    (
        "git init -q n; echo x > n/.git/hooks/pre-commit",
        "`[PROJECT]/n` is a repository",
    ),
    (
        "git init -q n; cp -r .git n/evil; git -C n/evil config core.pager 'touch x'; echo ../evil > n/.git/commondir",
        "`[PROJECT]/n` is a repository",
    ),
    (
        "git init -q --bare b; printf '[core]\\n\\tfsmonitor = touch x\\n' >> b/config",
        "`[PROJECT]/b` is a repository",
    ),
    (
        "mkdir -p .git/modules; git init -q --bare .git/modules/z; git -C .git/modules/z config core.fsmonitor 'touch x'; \
         mkdir z; echo 'gitdir: ../.git/modules/z' > z/.git",
        "`[PROJECT]/.git/modules/z` is a repository\n`[PROJECT]/z` is a repository",
    ),
    (
        "mkdir -p xgit/hooks; echo x > xgit/hooks/x; git add xgit; sed -i 's#xgit/hooks#.git/hooks#' .git/index; rm -r xgit",
        "`[PROJECT]/.git/index` holds entries",
    ),
    (
        "git commit -q --allow-empty -m x; git rebase -q --exec false HEAD~1 2> /dev/null",
        "`[PROJECT]/.git/rebase-merge` is an operation",
    ),
    ("ln -s ../../x .git/FETCH_HEAD", "`[PROJECT]/.git/FETCH_HEAD` is a link"),
    (
        "mv .git/logs/HEAD .git/x; ln -s ../../../x .git/logs/HEAD",
        "`[PROJECT]/.git/logs/HEAD` is a link",
    ),
    (
        "git update-index --assume-unchanged a.txt",
        "`[PROJECT]/.git/index` has entries",
    ),
    (
        "git commit -q --allow-empty -m x; git replace HEAD HEAD~1",
        "`[PROJECT]/.git/refs/replace` makes git",
    ),
    ("echo x > .envrc", "`[PROJECT]/.envrc` is new"),
    (
        "mkdir -p a/.vscode; echo x > a/.vscode/tasks.json",
        "`[PROJECT]/a/.vscode` is new",
    ),
    (
        "mkdir .claude; echo x > .claude/settings.json",
        "`[PROJECT]/.claude/settings.json` is new",
    ),
    ("ln -s a.txt .mcp.json", "`[PROJECT]/.mcp.json` is new"),
    ("echo x > CLAUDE.md", "`[PROJECT]/CLAUDE.md` is new"),
    (
        "mkdir -p .github/workflows; echo x > .github/workflows/x.yml",
        "`[PROJECT]/.github/workflows` is new",
    ),
];

/// The first words of each thing that the report names.
fn named(test: &Test) -> (String, i32) {
    let run = test.clone().args(["--report"]).start();
    let lines = run.stdout.lines().filter_map(|line| line.strip_prefix("  `"));
    let short = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').take(4).collect();
        format!("`{}", words.join(" "))
    });
    (short.collect::<Vec<_>>().join("\n"), run.exit)
}

as_both! {
    /// Each of them is named, and nothing else is.
    fn what_is_left_is_named(user: User) {
        let mut wrong = Vec::new();
        for (script, expected) in LEFT {
            let test = boxed(repository(user), script);
            let run = test.start();
            let (seen, exit) = named(&test);
            let same = seen.lines().count() == expected.lines().count()
                && seen.lines().zip(expected.lines()).all(|(seen, expected)| seen.starts_with(expected) || expected.starts_with(seen));
            if !same || exit != 1 {
                wrong.push(format!("{script}\n  expected {expected}\n  seen {seen} ({exit}), {run:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// An ordinary day leaves nothing to name: commits, branches, an ended rebase, a repository of the agent's own.
    fn an_ordinary_session_reports_nothing(user: User) {
        let test = repository(user);
        host(&test, "git init -q --bare ../remote.git && git remote add origin ../remote.git && git push -q origin main");
        let policy = "fn mounts(host) { base::mounts(host); mount::rw(\"~/remote.git\", \"to push\"); }";
        let test = boxed(test.policy(policy), &format!("{DAY} git init -q lib; echo all: > Makefile; echo '{{}}' > package.json"));
        let run = test.start();
        assert_eq!((run.stdout.as_str(), run.exit), ("done\n", 0), "{run:?}");
        test.args(["--report"]).stdout("nothing is left of earlier sessions\n").run();
    }

    /// The next launch shows it, until it is gone.
    fn the_next_launch_shows_it(user: User) {
        let text = "left by an earlier session:\n  `[PROJECT]/.envrc` is new or another, and programs of this host obey it unasked: a shell that enters, \
                    an editor or a Claude Code that opens the project\n    read it before you open the project or commit; remove it if you did \
                    not ask for it\n";
        let first = boxed(repository(user), "echo x > .envrc");
        first.compare(&first.start());
        let next = first.args(["--yes", "--net", "none", "--exec", "--", "true"]);
        for _ in 0..2 {
            assert!(next.start().stderr.contains(text), "{}", next.start().stderr);
        }
        std::fs::remove_file(next.at(".envrc")).expect("the session's file");
        assert!(!next.start().stderr.contains("left by"));
    }
}
