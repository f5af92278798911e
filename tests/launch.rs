//! The start: what is asked, what is refused, what a dry run prints; nothing is started after any error.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

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
        const TEXT: &str = r#"error[bwrap]: bubblewrap is not installed
hint: install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap
"#;
        // The real bwrap hides itself: inside, the directory of system programs is empty.
        let test = Test::new().who(user).before(&["/usr/bin/bwrap", "--dev-bind", "/", "/", "--tmpfs", "/usr/bin", "--"]);
        let test = test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "/bin/sh", "-c", MARK]);
        refused(test, TEXT);
    }

    /// Without user namespaces there is no sandbox either, and the text says how to get them.
    fn no_user_namespaces_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error[namespaces]: this system does not let you make a user namespace: operation not permitted\n\
                            hint: `claudebox --check` names what forbids it, and the fix\n";
        let test = Test::new().who(user).before(&["[BIN]/attack", "no-namespaces"]);
        assert_eq!(test.control(&["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"]).exit, 1, "the control got a namespace");
        refused(marking(test), TEXT);
    }

    /// A person is asked, so where there is none and no flag, nothing starts and nothing hangs.
    fn no_terminal_and_no_yes_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = r#"error[confirmation]: there is no terminal to ask on
hint: look at `claudebox --dry-run`, then start with `--yes`
"#;
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
        for (directory, text) in NO_PROJECT {
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
        const TEXT: &str = r#"error[host]: the working directory cannot be used: it is not known, or it does not exist
hint: start from a directory that exists and that you can read
"#;
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
        let payload = "pwd; ls -A ~; tr '\\0' '\\n' < /proc/$$/environ | sort; ls /proc/1/environ > /dev/null && wc -c < /proc/1/environ; exit 7";
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
        let test = Test::new().who(user).var("ANTHROPIC_API_KEY", KEY).args(["--dry-run", "--net", "host", "--exec", "--", "true"]);
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
        assert_eq!((without.stderr.as_str(), without.exit), ("", 0));
        // Where none is installed the command names it without a directory.
        assert_eq!(without.stdout, with.stdout.replace("env -i /usr/bin/bwrap ", "env -i bwrap "));
    }

    /// No Claude Code anywhere: the text says how to get it.
    fn no_claude_code_is_not_found(user: User) {
        // text: from the program
        const TEXT: &str = r#"error[claude-not-found]: cannot find Claude Code: no `claude` in `PATH` nor where installers put it
hint: install it with `npm install -g --prefix ~/.local --allow-scripts=@anthropic-ai/claude-code @anthropic-ai/claude-code` or `curl -fsSL https://claude.ai/install.sh | bash`, or set `CLAUDEBOX_CLAUDE` to its absolute path
"#;
        let test = Test::new().who(user).args(["--yes", "--quiet", "--net", "none"]).stderr(TEXT).exit(127);
        test.var("PATH", "/usr/bin:/bin").run();
    }

    /// npm leaves a placeholder where its own install script was not allowed to run: the text says how to mend it.
    fn a_placeholder_is_no_claude_code(user: User) {
        // text: from the program
        const TEXT: &str = r#"error[claude-not-found]: cannot start Claude Code: `[HOME]/npm/bin/claude`, which `CLAUDEBOX_CLAUDE` names, is only the placeholder that npm leaves when the package's postinstall script did not run
hint: run `node [HOME]/npm/lib/node_modules/@anthropic-ai/claude-code/install.cjs`
"#;
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
        const TEXT: &str = r#"error[own-controls]: `[PROJECT]` would be writable, and Claude Code lies in it: `[PROJECT]/claude`
  ——▶ policy/policy.rhai:68:12
   |
68 |     mount::rw(host.project, "the project");
   |            ^^
hint: install it outside every project
"#;
        let test = Test::new().who(user).copy("[BIN]/attack", "claude");
        refused(test.var("CLAUDEBOX_CLAUDE", "[PROJECT]/claude").args(["--yes", "--quiet", "--net", "none"]), TEXT);
    }

    /// An option that is not ours begins the client's arguments; one that is ours and malformed is a usage error.
    fn usage_errors_are_two(user: User) {
        // text: from the program
        const TEXT: &str = r#"error: invalid value 'moon' for '--net <MODE>'
  [possible values: internet, allowlist, none, host]

For more information, try '--help'.
"#;
        Test::new().who(user).args(["--net", "moon", "--exec", "--", "true"]).stderr(TEXT).exit(2).run();
    }

    /// A launcher that is killed at any moment takes everything with it, and leaves no half-made file.
    fn a_killed_launcher_leaves_nothing(user: User) {
        // Half a millisecond apart from the start to well beyond the moment at which the payload runs.
        const MOMENTS: u64 = 60;
        let base = Test::new().who(user);
        let tag = base.base().display().to_string();
        // The sandbox carries the test's own directory on its command line, and the payload in its environment.
        let payload = ["sh", "-c", "exec sleep 600", &tag];
        let alive = || processes().into_iter().filter(|(_, text)| text.contains(&tag)).map(|(pid, _)| pid).collect::<Vec<_>>();

        let whole = base.clone().args(["--yes", "--quiet", "--net", "none", "--exec", "--", "true"]);
        let test = base.args_of(["--yes", "--quiet", "--net", "none", "--exec", "--"].iter().chain(&payload));
        // The kernel needs a moment to end what is told to end, and a busy machine a long one; what lives after it lives on, and is ended here.
        let survivors = |patience: Duration| {
            let start = Instant::now();
            while start.elapsed() < patience && !alive().is_empty() {
                std::thread::sleep(Duration::from_millis(50));
            }
            let survivors = alive();
            for pid in survivors.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            survivors
        };
        let naive = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "sh", "-c", "echo up; exec sleep 600", &tag];
        let mut running = test.spawn_control(&naive);
        BufReader::new(running.stdout()).read_line(&mut String::new()).expect("the payload's first line");
        drop(running);
        assert_ne!(survivors(Duration::from_secs(2)), Vec::<i32>::new(), "the naive sandbox ends with its launcher");

        for moment in 0..MOMENTS {
            let running = test.spawn();
            std::thread::sleep(Duration::from_micros(500 * moment));
            drop(running);
        }
        assert_eq!(survivors(Duration::from_secs(60)), Vec::<i32>::new(), "processes that outlived their launcher");

        // On a busy machine none of them may have come to the end of its preparations: one that does makes the two comparable.
        whole.compare(&whole.start());
        let paths = |test: &Test| test.snapshot().into_keys().map(|path| test.blank(&path.display().to_string())).collect::<Vec<_>>();
        let fresh = Test::new().who(user).args(["--yes", "--quiet", "--net", "none", "--exec", "--", "true"]);
        fresh.compare(&fresh.start());
        // The name of the state's directory is made of the project's path, which is another in each test.
        let plain = |paths: Vec<String>| paths.into_iter().map(|path| instance(&path)).collect::<Vec<_>>();
        assert_eq!(plain(paths(&test)), plain(paths(&fresh)));
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

/// Every process that can be looked into, with its command line and its environment.
fn processes() -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let mut text = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        text.extend(std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default());
        Some((pid, String::from_utf8_lossy(&text).into_owned()))
    })
    .collect()
}

/// A path with the hash in the name of an instance's directory taken out.
fn instance(path: &str) -> String {
    let name = |part: &str| match part.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.chars().all(|letter| letter.is_ascii_hexdigit()) => {
            format!("{name}-HASH")
        }
        _ => part.to_owned(),
    };
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

/// Only an ordinary user can be kept from reading a directory by its mode.
#[test]
fn an_unreadable_project_is_refused() {
    // text: from the program
    const TEXT: &str = r#"error[host]: the working directory `[PROJECT]` cannot be read: permission denied
hint: change to a directory that you can read
"#;
    let test = marking(Test::new()).mode("[PROJECT]", 0o111);
    let run = test.start();
    // Given back before anything is compared, so that the directory can be removed.
    let test = test.mode("[PROJECT]", 0o755).stderr(TEXT).exit(125);
    test.compare(&run);
    assert!(!test.at("mark").exists());
}

/// What is no project, and the whole text that says so. text: from the program
const NO_PROJECT: [(&str, &str); 11] = [
    (
        "/",
        r#"error[project-root]: `/` cannot be the project: it is the whole file system
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[HOME]",
        r#"error[project-root]: `[HOME]` cannot be the project: it is your home directory, with all your secrets
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[BASE]",
        r#"error[project-root]: `[BASE]` cannot be the project: your home directory lies in it
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "/tmp",
        r#"error[project-root]: `/tmp` cannot be the project: your home directory lies in it
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "/usr/lib",
        r#"error[project-root]: `/usr/lib` cannot be the project: `/usr` belongs to the system
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "/etc",
        r#"error[project-root]: `/etc` cannot be the project: `/etc` belongs to the system
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[HOME]/.ssh",
        r#"error[project-root]: `[HOME]/.ssh` cannot be the project: it lies in `[HOME]/.ssh`: it holds SSH keys
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[HOME]/.ssh/inside",
        r#"error[project-root]: `[HOME]/.ssh/inside` cannot be the project: it lies in `[HOME]/.ssh`: it holds SSH keys
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[HOME]/.claudebox/instances",
        r#"error[project-root]: `[HOME]/.claudebox/instances` cannot be the project: it lies in `[HOME]/.claudebox`: it is claudebox's own state
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[HOME]/.config/claudebox",
        r#"error[project-root]: `[HOME]/.config/claudebox` cannot be the project: it lies in `[HOME]/.config/claudebox`: it is claudebox's own configuration
hint: change to a directory of its own for the project and start again
"#,
    ),
    (
        "[HOME]/link-to-home",
        r#"error[project-root]: `[HOME]` cannot be the project: it is your home directory, with all your secrets
hint: change to a directory of its own for the project and start again
"#,
    ),
];
