//! What no mount can keep a session from leaving: it is named afterwards, with what it would do, and an ordinary session
//! leaves nothing to name.

use crate::git_surface::{DAY, NAIVE, boxed, host, repository};
use crate::support::{Test, User, as_both};

/// Something that is left.
struct Left {
    /// What the agent does.
    does: &'static str,
    /// The beginnings of the lines that the report must have, and no others.
    named: &'static str,
    /// What someone does on the host that obeys it: `~/fired` is there afterwards. Empty where a program obeys it that is not
    /// installed here.
    fires: &'static str,
}

const fn left(does: &'static str, named: &'static str, fires: &'static str) -> Left {
    Left { does, named, fires }
}

/// Everything that is left.
const LEFT: &[Left] = &[
    left(
        "git init -q n; git -C n commit -q --allow-empty -m x; git add n 2> /dev/null; git -C n config core.fsmonitor 'touch [HOME]/fired; false'",
        "`[PROJECT]/n` is a repository",
        "git status",
    ),
    left(
        "mkdir node_modules; cd node_modules; git init -q n; git -C n commit -q --allow-empty -m x; git add -f n 2> /dev/null; \
         git -C n config core.fsmonitor 'touch [HOME]/fired; false'",
        "`[PROJECT]/node_modules/n` is a repository",
        "git diff",
    ),
    left(
        "git init -q n; printf '#!/bin/sh\\ntouch [HOME]/fired\\n' > n/.git/hooks/pre-commit; chmod +x n/.git/hooks/pre-commit",
        "`[PROJECT]/n` is a repository",
        "cd n; git commit --allow-empty -m x",
    ),
    left(
        "git init -q n; cp -r n/.git n/evil; printf '[core]\\n\\tfsmonitor = \"touch [HOME]/fired; false\"\\n' >> n/evil/config; echo ../evil > n/.git/commondir",
        "`[PROJECT]/n` is a repository\n`[PROJECT]/n/evil` is a repository",
        "cd n; git status",
    ),
    left(
        "git init -q --bare b; printf '[core]\\n\\tbare = false\\n\\tworktree = ..\\n\\tfsmonitor = \"touch [HOME]/fired; false\"\\n' >> b/config",
        "`[PROJECT]/b` is a repository",
        "cd b; git status",
    ),
    left(
        "mkdir -p .git/modules; git init -q --bare .git/modules/z; git --git-dir=.git/modules/z config core.fsmonitor 'touch [HOME]/fired; false'; \
         git --git-dir=.git/modules/z config core.bare false; mkdir z; echo 'gitdir: ../.git/modules/z' > z/.git",
        "`[PROJECT]/.git/modules/z` is a repository\n`[PROJECT]/z` is a repository",
        "cd z; git status",
    ),
    left(
        "mkdir -p xgit/hooks; printf '#!/bin/sh\\ntouch [HOME]/fired\\n' > xgit/hooks/pre-commit; chmod +x xgit/hooks/pre-commit; git add xgit; \
         sed -i 's#xgit/hooks#.git/hooks#' .git/index; rm -r xgit",
        "`[PROJECT]/.git/index` holds entries",
        "git checkout -- .; git commit --allow-empty -m x",
    ),
    left(
        "git commit -q --allow-empty -m x; git rebase -q --exec 'test -e ../outside && touch [HOME]/fired' HEAD~1 2> /dev/null",
        "`[PROJECT]/.git/rebase-merge` is an operation",
        "touch ../outside; sed -n p .git/rebase-merge/done >> .git/rebase-merge/git-rebase-todo; git rebase --continue",
    ),
    left(
        "git switch -q -c side; echo 1 > a.txt; git commit -q -am 1; git switch -q main; echo 2 > a.txt; git commit -q -am 2; git cherry-pick side side~1",
        "`[PROJECT]/.git/sequencer` is an operation",
        "",
    ),
    left(
        "ln -s [HOME]/fired .git/FETCH_HEAD",
        "`[PROJECT]/.git/FETCH_HEAD` is a link",
        "git fetch -q . main",
    ),
    left(
        "mv .git/logs/HEAD .git/x; ln -s [HOME]/fired .git/logs/HEAD",
        "`[PROJECT]/.git/logs/HEAD` is a link",
        "git commit --allow-empty -m x",
    ),
    left(
        "ln -sf [HOME]/fired .git/COMMIT_EDITMSG",
        "`[PROJECT]/.git/COMMIT_EDITMSG` is a link",
        "git commit --allow-empty -m x",
    ),
    left(
        "git update-index --assume-unchanged a.txt; echo evil > a.txt",
        "`[PROJECT]/.git/index` has entries",
        "[ -z \"$(git status -s)\" ] && touch ~/fired",
    ),
    left(
        "git update-index --skip-worktree a.txt; echo evil > a.txt",
        "`[PROJECT]/.git/index` has entries",
        "[ -z \"$(git status -s)\" ] && touch ~/fired",
    ),
    left(
        "git commit -q --allow-empty -m x; git replace HEAD HEAD~1",
        "`[PROJECT]/.git/refs/replace` makes git",
        "[ $(git log --format=%s -1) = one ] && touch ~/fired",
    ),
    left(
        "git commit -q --allow-empty -m x; mkdir -p .git/info; git rev-parse HEAD > .git/info/grafts",
        "`[PROJECT]/.git/info/grafts` makes git",
        "[ $(git log --format=%s 2> /dev/null | wc -l) = 1 ] && touch ~/fired",
    ),
    left("echo x > .envrc", "`[PROJECT]/.envrc` is new", ""),
    left(
        "mkdir -p a/.vscode; echo x > a/.vscode/tasks.json",
        "`[PROJECT]/a/.vscode` is new",
        "",
    ),
    left(
        "mkdir .claude; echo x > .claude/settings.json",
        "`[PROJECT]/.claude/settings.json` is new",
        "",
    ),
    left("ln -s a.txt .mcp.json", "`[PROJECT]/.mcp.json` is new", ""),
    left("echo x > CLAUDE.md", "`[PROJECT]/CLAUDE.md` is new", ""),
    left(
        "mkdir -p .github/workflows; echo x > .github/workflows/x.yml",
        "`[PROJECT]/.github/workflows` is new",
        "",
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
    /// Each of them is named, and nothing else is; and each does what is said of it once the host's git runs.
    fn what_is_left_is_named(user: User) {
        let mut wrong = Vec::new();
        for Left { does, named: expected, fires } in LEFT {
            let test = boxed(repository(user), does);
            let run = test.start();
            let (seen, exit) = named(&test);
            let same = seen.lines().count() == expected.lines().count()
                && seen.lines().zip(expected.lines()).all(|(seen, expected)| seen.starts_with(expected) || expected.starts_with(seen));
            if !same || exit != 1 {
                wrong.push(format!("{does}\n  expected {expected}\n  seen {seen} ({exit}), {run:?}"));
            }
            if !fires.is_empty() {
                let done = test.control(&["sh", "-c", fires]);
                if !test.at("~/fired").exists() {
                    wrong.push(format!("{does}\n  {fires}\n  does nothing: {done:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// A repository where none was: the directory becomes one.
    fn a_repository_where_none_was_is_named(user: User) {
        let does = "git init -q .; printf '[core]\n\tfsmonitor = \"touch [HOME]/fired; false\"\n' >> .git/config";
        let test = boxed(crate::support::Test::new().who(user), does);
        test.start();
        assert_eq!(named(&test), ("`[PROJECT]/.git/config` got settings that".to_owned(), 1));
        test.control(&["git", "status"]);
        assert!(test.at("~/fired").exists());
    }

    /// What looks as bad and is not: the host's git obeys none of it, from a naive sandbox either.
    fn what_git_does_not_obey(user: User) {
        let evil = "[core]\\n\\tfsmonitor = \"touch [HOME]/fired; false\"\\n";
        let harmless = [
            format!("printf '{evil}' > .git/config.worktree"),
            "mkdir -p .git/info; echo '* filter=x diff=x merge=x' > .git/info/attributes; echo '* filter=x' > .gitattributes".to_owned(),
            "mkdir -p .git/remotes .git/branches; echo 'URL: ext::touch [HOME]/fired' > .git/remotes/origin; echo 'ext::touch [HOME]/fired' > .git/branches/origin; \
             git fetch 2> /dev/null".to_owned(),
            format!("git init -q --bare e; printf '{evil}' >> e/config; mkdir -p .git/objects/info; echo $PWD/e/objects > .git/objects/info/alternates"),
            "printf '[submodule \"x\"]\\n\\tpath = x\\n\\turl = ext::touch [HOME]/fired\\n\\tupdate = !touch [HOME]/fired\\n' > .gitmodules; git submodule update 2> /dev/null".to_owned(),
            "git bisect start -q; echo 'touch [HOME]/fired' > .git/BISECT_RUN; echo 'touch [HOME]/fired' > .git/MERGE_MSG; echo '1 x' > .git/gc.pid".to_owned(),
        ];
        for does in harmless {
            let control = repository(user);
            let words: Vec<&str> = NAIVE.iter().copied().chain([does.as_str()]).collect();
            control.control(&words);
            control.control(&["sh", "-c", "git status; git diff; git add -A; git commit -qm x; git fetch; git pull; git push; git log -p; git gc; git fsck; git checkout -b y"]);
            assert!(!control.at("~/fired").exists(), "{does}");
        }
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
