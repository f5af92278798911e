//! The start: what is asked, what is refused, what a dry run prints; nothing is started after any error.

use crate::support::terminal::Terminal;
use crate::support::{Test, User, as_both};

/// A payload that leaves a mark: where there is none, nothing ran.
const MARK: &str = "echo ran > mark";

/// A start that is expected to be refused: exit code 125, the whole text, and no mark.
#[track_caller]
fn refused(test: Test, stderr: &str) {
    let test = test.stderr(stderr).exit(125);
    test.compare(&test.start());
    assert!(!test.at("mark").exists(), "it was refused and ran all the same");
}

fn marking(test: Test) -> Test {
    test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", MARK])
}

as_both! {
    /// The honest use: the payload runs in the project and may write there.
    fn a_payload_runs_in_the_project(user: User) {
        let test = Test::new().who(user).args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", "pwd; echo ran > mark"]);
        let test = test.stdout("[PROJECT]\n");
        test.compare(&test.start());
        assert_eq!(std::fs::read_to_string(test.at("mark")).expect("the payload's mark"), "ran\n");
    }

    /// Without bwrap there is no sandbox, and so no start.
    fn no_bwrap_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error: bubblewrap is not installed: no `bwrap` in `/usr/bin` or any other trusted directory\n\n\
                            hint: install it: `apt install bubblewrap`\n";
        // The real bwrap hides itself: inside, the directory of system programs is empty.
        let test = Test::new().who(user).before(&["/usr/bin/bwrap", "--dev-bind", "/", "/", "--tmpfs", "/usr/bin", "--"]);
        let test = test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "/bin/sh", "-c", MARK]);
        refused(test, TEXT);
    }

    /// Without user namespaces there is no sandbox either, and the text says how to get them.
    fn no_user_namespaces_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error: this system does not let `bwrap` make a user namespace\n\n\
                            hint: see `claudebox --check`\n";
        let test = Test::new().who(user).before(&["/usr/bin/bwrap", "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--"]);
        refused(marking(test), TEXT);
    }

    /// A person is asked, so where there is none and no flag, nothing starts and nothing hangs.
    fn no_terminal_and_no_yes_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error: there is no terminal to ask on\n\nhint: `--yes` starts without asking\n";
        refused(Test::new().who(user).args(["--quiet", "--net", "none", "--exec", "--", "sh", "-c", MARK]), TEXT);
        // An answer in a pipe is no person's either.
        refused(Test::new().who(user).stdin("y\n").args(["--quiet", "--net", "none", "--exec", "--", "sh", "-c", MARK]), TEXT);
    }

    /// The question is answered with one key, and anything but yes is no.
    fn the_question_is_asked_at_a_terminal(user: User) {
        for (answer, code, ran) in [("y", 0, true), ("n", 125, false), ("", 125, false), ("nonsense", 125, false)] {
            let test = Test::new().who(user).args(["--net", "none", "--exec", "--", "sh", "-c", MARK]);
            let terminal = Terminal::open(&test);
            terminal.line_with_code(&test.script("start", &test.shell_line()));
            terminal.wait_for("[y/N]");
            terminal.line(answer);
            assert_eq!(terminal.exit_code(), code, "{answer:?}: {}", terminal.screen());
            assert_eq!(test.at("mark").exists(), ran, "{answer:?}");
        }
    }

    /// A directory that holds secrets, or the system, or claudebox's own files is no project.
    fn what_is_no_project_is_refused(user: User) {
        // text: from the program
        let cases = [
            ("/", "error[project-root]: `/` cannot be a project\n"),
            ("[HOME]", "error[project-root]: `[HOME]` cannot be a project: it is your home\n"),
            ("[BASE]", "error[project-root]: `[BASE]` cannot be a project: it holds your home\n"),
            ("/tmp", "error[project-root]: `/tmp` cannot be a project: it is a directory of the system\n"),
            ("/usr/lib", "error[project-root]: `/usr/lib` cannot be a project: it is a directory of the system\n"),
            ("/etc", "error[project-root]: `/etc` cannot be a project: it is a directory of the system\n"),
            ("[HOME]/.ssh", "error[project-root]: `[HOME]/.ssh` cannot be a project: it is a secret\n"),
            ("[HOME]/.ssh/inside", "error[project-root]: `[HOME]/.ssh/inside` cannot be a project: it lies in a secret\n"),
            ("[HOME]/.claudebox/instances", "error[project-root]: `[HOME]/.claudebox/instances` cannot be a project\n"),
            ("[HOME]/.config/claudebox", "error[project-root]: `[HOME]/.config/claudebox` cannot be a project\n"),
            ("[HOME]/link-to-home", "error[project-root]: `[HOME]` cannot be a project: it is your home\n"),
        ];
        for (directory, text) in cases {
            let test = marking(Test::new().who(user))
                .directory("~/.ssh/inside")
                .directory("~/.claudebox/instances")
                .directory("~/.config/claudebox")
                .link("~/link-to-home", "[HOME]")
                .current(directory);
            let before = test.snapshot();
            refused(test.clone(), text);
            assert_eq!(test.snapshot(), before, "{directory} was refused and changed");
        }
    }

    /// A project that was removed under the shell's feet.
    fn a_project_that_is_gone_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error: the current directory does not exist any more\n";
        let test = Test::new().who(user).before(&["sh", "-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\""]);
        refused(marking(test), TEXT);
    }

    /// A dry run only prints: not one byte on the disk is another afterwards.
    fn a_dry_run_changes_nothing(user: User) {
        let test = Test::new()
            .who(user)
            .file("~/.ssh/id_ed25519", "a key")
            .file("notes.txt", "words\n")
            .args(["--dry-run", "--net", "none", "--exec", "--", "sh", "-c", MARK]);
        let start = || {
            let before = test.snapshot();
            let run = test.start();
            assert_eq!((run.stderr.as_str(), run.exit), ("", 0));
            assert_eq!(test.snapshot(), before, "the dry run changed the home");
            run.stdout
        };
        let first = start();
        assert_eq!(start(), first, "two dry runs print two things");
    }

    /// What a dry run prints is what would be run: pasted into a shell it does the same. The first paste is into a fresh home.
    fn a_dry_run_can_be_pasted(user: User) {
        let payload = "pwd; ls -A ~; tr '\\0' '\\n' < /proc/self/environ | sort; ls /proc/1/environ > /dev/null && wc -c < /proc/1/environ; exit 7";
        let test = Test::new().who(user).args(["--dry-run", "--net", "none", "--exec", "--", "sh", "-c", payload]);
        let printed = test.start();
        assert_eq!((printed.stderr.as_str(), printed.exit), ("", 0));
        let command = test.fill(&printed.stdout);
        let pasted = test.control(&["bash", "--norc", "--noprofile", "-c", &command]);
        let started = test.clone().args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", payload]).start();
        assert_eq!((pasted.stdout, pasted.stderr, pasted.exit), (started.stdout, started.stderr, started.exit));
        assert_eq!(pasted.exit, 7);
    }

    /// A dry run shows neither a secret's value nor anything of it, and says where it would stand.
    fn a_dry_run_shows_no_secret(user: User) {
        const KEY: &str = "sk-ant-dummy-0123456789";
        let test = Test::new().who(user).var("ANTHROPIC_API_KEY", KEY).args(["--dry-run", "--net", "none", "--exec", "--", "true"]);
        let run = test.start();
        assert_eq!((run.stderr.as_str(), run.exit), ("", 0));
        assert!(run.stdout.contains("ANTHROPIC_API_KEY"), "{}", run.stdout);
        for part in [KEY, "0123456789", "sk-ant-dummy"] {
            assert!(!run.stdout.contains(part), "{}", run.stdout);
        }
    }

    /// A dry run needs no bwrap: it is how one looks before installing anything.
    fn a_dry_run_needs_no_bwrap(user: User) {
        let test = Test::new().who(user).args(["--dry-run", "--net", "none", "--exec", "--", "true"]);
        let with = test.start();
        let without = test.before(&["/usr/bin/bwrap", "--dev-bind", "/", "/", "--tmpfs", "/usr/bin", "--"]).start();
        assert_eq!((without.stdout, without.stderr, without.exit), (with.stdout, with.stderr, 0));
    }

    /// No Claude Code anywhere: the text says how to get it.
    fn no_claude_code_is_not_found(user: User) {
        // text: from the program
        const TEXT: &str = "error: Claude Code was not found\n\nhint: `npm install -g @anthropic-ai/claude-code`\n";
        let test = Test::new().who(user).args(["--yes", "--quiet", "--net", "none"]).stderr(TEXT).exit(127);
        test.var("PATH", "/usr/bin:/bin").run();
    }

    /// npm leaves a placeholder where its own install script was not allowed to run: the text says how to mend it.
    fn a_placeholder_is_no_claude_code(user: User) {
        // text: from the program
        const TEXT: &str = "error: Claude Code at `[HOME]/npm/bin/claude` is incomplete: npm did not run its install script\n\n\
                            hint: run `node [HOME]/npm/lib/node_modules/@anthropic-ai/claude-code/install.cjs`\n";
        const PACKAGE: &str = "~/npm/lib/node_modules/@anthropic-ai/claude-code";
        let test = Test::new()
            .who(user)
            .file(&format!("{PACKAGE}/bin/claude.exe"), "echo \"Error: claude native binary not installed.\" >&2\nexit 1\n")
            .mode(&format!("{PACKAGE}/bin/claude.exe"), 0o755)
            .file(&format!("{PACKAGE}/install.cjs"), "")
            .file(&format!("{PACKAGE}/package.json"), "{\"name\": \"@anthropic-ai/claude-code\"}")
            .link("~/npm/bin/claude", "../lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe")
            .var("CLAUDEBOX_CLAUDE", "[HOME]/npm/bin/claude");
        test.args(["--yes", "--quiet", "--net", "none"]).stderr(TEXT).exit(127).run();
    }

    /// A Claude Code that the sandbox could rewrite would run outside the next time.
    fn claude_code_in_the_project_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error[own-controls]: Claude Code at `[PROJECT]/claude` lies where the sandbox can write\n";
        let test = Test::new().who(user).file("claude", "#!/bin/sh\necho ran > mark\n").mode("claude", 0o755);
        refused(test.var("CLAUDEBOX_CLAUDE", "[PROJECT]/claude").args(["--yes", "--quiet", "--net", "none"]), TEXT);
    }

    /// An option that is not ours begins the client's arguments; one that is ours and malformed is a usage error.
    fn usage_errors_are_two(user: User) {
        // text: from the program
        const TEXT: &str = "error: invalid value 'moon' for '--net <MODE>'\n  [possible values: internet, allowlist, none, host]\n\n\
                            For more information, try '--help'.\n";
        Test::new().who(user).args(["--net", "moon", "--exec", "--", "true"]).stderr(TEXT).exit(2).run();
    }

    /// Nothing is left in the home but claudebox's own directory and what the payload wrote.
    fn a_run_leaves_no_strange_files(user: User) {
        let test = marking(Test::new().who(user)).file("~/.bashrc", "# mine\n");
        let before = test.snapshot();
        test.compare(&test.start());
        let own = test.at("~/.claudebox");
        let mut after = test.snapshot();
        after.retain(|path, _| !path.starts_with(&own));
        assert!(after.remove(&test.at("mark")).is_some());
        assert_eq!(after, before);
    }
}

/// Only an ordinary user can be kept from reading a directory by its mode.
#[test]
fn an_unreadable_project_is_refused() {
    // text: from the program
    const TEXT: &str = "error: cannot read the project `[PROJECT]`: permission denied\n";
    let test = marking(Test::new()).mode("[PROJECT]", 0o111);
    let run = test.start();
    // Given back before anything is compared, so that the directory can be removed.
    let test = test.mode("[PROJECT]", 0o755).stderr(TEXT).exit(125);
    test.compare(&run);
    assert!(!test.at("mark").exists());
}
