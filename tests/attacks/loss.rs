//! What an agent can destroy, use up and print: how far it reaches, and where it ends.

use super::{NAIVE, boxed, of_the_host};
use crate::git_surface::{host, repository};
use crate::support::{Test, User, as_both};

as_both! {
    /// The worst command there is, with all rights: the project is lost, and nothing else.
    fn destruction_ends_with_the_project(user: User) {
        let furnished = || {
            let test = repository(user).file("~/other/file", "x\n").file("~/.bashrc", "x\n").file("~/.claude/history.jsonl", "x\n");
            host(&test, "git worktree add -q ../wt && git -C ../wt commit -q --allow-empty -m wt");
            test
        };
        let script = "rm -rf ~/other ~/.bashrc ~/.claude/* ~/wt ./* .git .git/* 2> /dev/null; git worktree prune --expire=now 2> /dev/null; true";
        let control = furnished();
        let words: Vec<&str> = NAIVE.iter().copied().chain(["sh", "-c", script]).collect();
        control.control(&words);
        assert!(!control.at("~/other").exists() && !control.at(".git").exists(), "the control");

        let test = furnished();
        let outside = |test: &Test| {
            let mut files = of_the_host(test);
            files.retain(|path, _| !path.starts_with(test.project()));
            files
        };
        let before = outside(&test);
        boxed(&test, script).run();
        assert_eq!(outside(&test), before);
        // What the book calls a residual risk: the project's own history is lost with it.
        assert!(!test.at("a.txt").exists());
        assert_ne!(test.control(&["git", "log"]).exit, 0);
        // What the host's git would obey is still what it was, and a copy elsewhere brings the rest back.
        assert!(test.at(".git/config").exists() && test.at(".git/worktrees/wt").exists());
    }

    /// Limits of the caller's hold inside, and cannot be raised there. claudebox itself sets none: the book says how to.
    fn limits_of_the_caller_hold(user: User) {
        let limited = |test: Test| test.before(&["prlimit", "--fsize=1048576:1048576", "--core=0:0", "--nofile=256:256"]);
        let script = "prlimit --pid $$ --fsize=2097152:2097152 2> /dev/null; head -c 1500000 /dev/zero > big 2> /dev/null; stat -c %s big; ulimit -Hn; rm big";
        let control = Test::new().who(user);
        assert_eq!(control.control(&["sh", "-c", script]).stdout.lines().next(), Some("1500000"), "the control");
        boxed(&limited(Test::new().who(user)), script).stdout("1048576\n256\n").run();
        // The honest use: what stays within them works.
        boxed(&limited(Test::new().who(user)), "head -c 1000000 /dev/zero > big; stat -c %s big; rm big").stdout("1000000\n").run();
    }

    /// A name that a terminal would obey is shown by claudebox as text, wherever it shows it.
    fn names_do_not_steer_the_terminal(user: User) {
        const NAME: &str = "x\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\u{202e}";
        let script = format!("mkdir -p '{NAME}/.vscode'; echo x > '{NAME}/.vscode/tasks.json'; ls --show-control-chars; find . -name .vscode");
        let obeyed = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) || text.contains('\u{202e}');
        let control = Test::new().who(user);
        assert!(obeyed(&control.control(&["sh", "-c", &script]).stdout), "the control");

        let test = Test::new().who(user);
        let left = boxed(&test, &script).start();
        assert!(obeyed(&left.stdout), "what the agent itself prints goes through: the book says so: {left:?}");
        let strange = test.clone().current(&format!("[PROJECT]/{NAME}"));
        for (test, words) in [
            (&test, &["--report"][..]),
            (&test, &["--yes", "--net", "none", "--exec", "--", "true"]),
            (&strange, &["--yes", "--net", "none", "--exec", "--", "true"]),
            (&strange, &["--explain", "--color", "never", "--exec", "--", "true"]),
            (&strange, &["--dry-run", "--exec", "--", NAME]),
            (&strange, &["--check"]),
            (&strange, &["--yes", "--quiet", "--net", "none", "--exec", "--", NAME]),
        ] {
            let run = test.clone().args_of(words).start();
            assert!(!obeyed(&run.stdout) && !obeyed(&run.stderr), "{words:?}: {run:?}");
        }
        let run = test.args(["--report"]).start();
        assert!(run.stdout.contains("x\\u{1b}]52;c;ZXZpbA==\\u{7}\\u{9b}31m\\u{202e}/.vscode"), "{run:?}");
    }
}
