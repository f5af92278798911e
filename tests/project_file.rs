//! What a project says about its own sandbox: tools and limits, approved by the user, whatever the agent writes there.

use crate::support::terminal::Terminal;
use crate::support::{Test, User, as_both};

const NEW: &str = "the project says this about its sandbox, compared with what you approved last:\n";
const ASK: &str = "error[project-file]: what the project says about its sandbox is new, and there is no terminal to ask on\n\
                   hint: read it, then start once with `--approve`\n";

/// A command in the home, on PATH, that is in no directory of the system.
fn with_command() -> Test {
    Test::new()
        .file("~/bin/hello", "#!/bin/sh\necho hello from $0\n")
        .mode("~/bin/hello", 0o755)
        .var("PATH", "[HOME]/bin:relative:/usr/bin:/bin")
}

fn words<'a>(options: &[&'a str], payload: &'a str) -> Vec<&'a str> {
    let mut words = vec!["--yes", "--quiet"];
    words.extend(options);
    words.extend(["--exec", "--", "sh", "-c", payload]);
    words
}

#[track_caller]
fn runs(test: &Test, options: &[&str], payload: &str, stdout: &str, stderr: &str) {
    let test = test
        .clone()
        .args_of(words(options, payload).iter())
        .stdout(stdout)
        .stderr(stderr);
    test.compare(&test.start());
}

#[track_caller]
fn refused(test: &Test, options: &[&str], stderr: &str) {
    let test = test
        .clone()
        .args_of(words(options, "touch started").iter())
        .stderr(stderr)
        .exit(125);
    let before = test.snapshot();
    test.compare(&test.start());
    assert_eq!(test.snapshot(), before);
}

as_both! {
    fn a_tool_of_the_home_is_on_the_path_once_approved(user: User) {
        let test = with_command().who(user);
        runs(&test, &[], "hello 2>/dev/null || echo none", "none\n", "");
        let test = test.file(".claudebox.toml", "tools = [\"hello\", \"ls\"]\n");
        let shown = "  .claudebox.toml\n  + tools = [\"hello\", \"ls\"]\n";
        refused(&test, &[], &format!("{NEW}{shown}{ASK}"));
        let where_ = "hello; command -v ls; (: > ~/bin/hello) 2>/dev/null || echo kept; ls ~/bin ~/.claudebox 2>/dev/null; true";
        let seen = "hello from /run/claudebox-tools/hello\n/usr/bin/ls\nkept\n[HOME]/bin:\nhello\n";
        runs(&test, &["--approve"], where_, seen, &format!("{NEW}{shown}"));
        // The approval holds until the file changes, also when the agent changes it.
        runs(&test, &[], where_, seen, "");
        runs(&test, &[], "echo 'tools = [\"hello\", \"ls\", \"cat\"]' > .claudebox.toml", "", "");
        let change = "  .claudebox.toml\n  - tools = [\"hello\", \"ls\"]\n  + tools = [\"hello\", \"ls\", \"cat\"]\n";
        refused(&test, &[], &format!("{NEW}{change}{ASK}"));
    }

    /// At a terminal a change is shown as a difference and asked about; `--yes` is no answer to it, and a no starts nothing.
    fn a_change_is_asked_about_at_a_terminal(user: User) {
        let ask = |test: &Test, line: &str, answer: &str| {
            let terminal = Terminal::open(test);
            terminal.line_with_code(&test.script("start", line));
            terminal.wait_for("[y/N]");
            let asked = terminal.screen();
            terminal.line(answer);
            let (code, screen) = (terminal.exit_code(), terminal.screen());
            drop(terminal);
            std::fs::remove_dir_all(test.base().join("terminal")).expect("the test's own directory");
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            // What was typed stands first.
            (lines(asked.trim_end())[1..].to_vec(), lines(&screen), code)
        };
        let test = Test::new().who(user).file(".claudebox.toml", "network = \"none\"\n");
        let test = test.args_of(words(&[], "echo ran >> mark").iter());
        let shown = ["the project says this about its sandbox, compared with what you approved last:", "  .claudebox.toml"];
        let question = "Approve this for the project? [y/N]";
        let new = [&shown[..], &["  + network = \"none\"", question]].concat();

        for answer in ["n", "", "nonsense"] {
            let (asked, screen, code) = ask(&test, &test.shell_line(), answer);
            assert_eq!((asked, code), (new.iter().map(|line| (*line).to_owned()).collect(), 125), "{answer:?}");
            let refused = "error[project-file]: what the project says about its sandbox is new, and it is not approved";
            assert!(screen.iter().any(|line| line == refused), "{screen:?}");
            assert!(!test.at("mark").exists(), "{answer:?} started it");
        }
        let (asked, _, code) = ask(&test, &test.shell_line(), "y");
        assert_eq!((asked, code), (new.iter().map(|line| (*line).to_owned()).collect(), 0));
        // Approved: it is not asked again, with or without a terminal.
        test.compare(&test.start());
        assert_eq!(std::fs::read_to_string(test.at("mark")).expect("the payload's mark"), "ran\nran\n");

        // The agent changes it: the difference alone is shown.
        std::fs::write(test.at(".claudebox.toml"), "network = \"internet\"\n").expect("the test's own file");
        let change = [&shown[..], &["  - network = \"none\"", "  + network = \"internet\"", question]].concat();
        let (asked, _, code) = ask(&test, &test.shell_line(), "n");
        assert_eq!((asked, code), (change.iter().map(|line| (*line).to_owned()).collect(), 125));
        assert_eq!(std::fs::read_to_string(test.at("mark")).expect("the payload's mark"), "ran\nran\n");
    }
}

#[test]
fn a_list_of_tools_counts_too() {
    let test = with_command().file(".claudebox/tools.txt", "hello # greets\n");
    let shown = format!("{NEW}  .claudebox/tools.txt\n  + hello # greets\n");
    runs(
        &test,
        &["--approve"],
        "hello",
        "hello from /run/claudebox-tools/hello\n",
        &shown,
    );
}

/// Looking starts nothing, so it asks nothing, and tells that an approval is missing.
#[test]
fn to_look_needs_no_approval() {
    let test = with_command().file(".claudebox.toml", "network = \"none\"\n");
    let before = test.snapshot();
    let run = test
        .clone()
        .args(["--explain", "--quiet", "--color", "never", "--exec", "--", "true"])
        .start();
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(
        run.stdout
            .lines()
            .any(|line| line.trim_start().starts_with("note") && line.contains(".claudebox.toml is new")),
        "{}",
        run.stdout
    );
    assert_eq!(test.snapshot(), before);
}

const INTERFACES: &str =
    "cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' ' | sort | head -1; ls -A /sys/class/net 2>/dev/null; true";

#[test]
fn limits() {
    let text = "network = \"none\"\nmask = [\"*.private\", \"deep/secret\"]\nreadonly = [\"docs\", \"absent\"]\n";
    let test = Test::new()
        .file(".claudebox.toml", text)
        .file("a.private", "no\n")
        .file("deep/b.private", "no\n")
        .file("deep/secret/c", "no\n")
        .file("docs/d", "yes\n");
    let shown: String = text.lines().map(|line| format!("  + {line}\n")).collect();
    let payload = "cat a.private deep/b.private; ls -A deep/secret; cat docs/d; (: > docs/d) 2>/dev/null || echo kept; : > other; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
    runs(
        &test,
        &["--approve"],
        payload,
        "yes\nkept\nlo\n",
        &format!("{NEW}  .claudebox.toml\n{shown}"),
    );
    // The user's own word for this launch is above the project's.
    let run = test
        .clone()
        .args_of(words(&["--net", "host"], INTERFACES).iter())
        .start();
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    assert_ne!(run.stdout, "lo\n");
}

/// A project cannot widen what the policy gives.
#[test]
fn a_wider_network_than_the_policys_is_not_given() {
    let test = Test::new()
        .policy("fn network(host) { net::none(\"nothing\"); }\n")
        .file(".claudebox.toml", "network = \"internet\"\n");
    let payload = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
    let shown = "  .claudebox.toml\n  + network = \"internet\"\n";
    runs(&test, &["--approve"], payload, "lo\n", &format!("{NEW}{shown}"));
}

fn at(line: &str, column: usize, carets: &str, file: &str) -> String {
    format!(
        "  ——▶ {file}:1:{column}\n  |\n1 | {line}\n  | {carets:>width$}\n",
        width = column - 1 + carets.len()
    )
}

#[test]
fn tools_that_cannot_be_given() {
    let line = "tools = [\"nosuchtool\"]";
    let file = ".claudebox.toml";
    refused(
        &with_command().file(file, line),
        &["--approve"],
        &format!(
            "error[project-file]: there is no command `nosuchtool` on this host\n{}hint: install it, or take it out of the list\n",
            at(line, 10, "^^^^^^^^^^^^", file)
        ),
    );
    let line = "tools = [\"mine\"]";
    let test = with_command()
        .file("mine", "#!/bin/sh\n")
        .mode("mine", 0o755)
        .file(file, line)
        .var("PATH", "[PROJECT]:/usr/bin");
    refused(
        &test,
        &["--approve"],
        &format!(
            "error[project-file]: the command `mine` is `[PROJECT]/mine`, where the agent can write\n{}hint: a tool of the project's own is there already; take it out of the list\n",
            at(line, 10, "^^^^^^", file)
        ),
    );
    let line = "tools = [\"key\"]";
    let test = with_command()
        .file("~/.ssh/key", "#!/bin/sh\n")
        .mode("~/.ssh/key", 0o755)
        .link("~/bin/key", "../.ssh/key")
        .file(file, line);
    refused(
        &test,
        &["--approve"],
        &format!(
            "error[secret-exposed]: `[HOME]/.ssh/key` lies in the secret `[HOME]/.ssh`: it holds SSH keys\n{}hint: no policy can show it; copy what the project needs into the project\n",
            at(line, 10, "^^^^^", file)
        ),
    );
}

#[test]
fn files_that_are_none() {
    let text = |file: &str, why: &str| {
        format!(
            "error[project-file]: `{file}` cannot be used: {why}\nhint: it is a plain file of your own in the project; mend it, or remove it\n"
        )
    };
    let file = ".claudebox.toml";
    let refused = |test: Test, file: &str, why: &str| refused(&test, &["--approve"], &text(file, why));
    refused(
        Test::new().link(file, "other").file("other", ""),
        file,
        "it is reached by a symbolic link",
    );
    refused(Test::new().directory(file), file, "it is no regular file");
    refused(
        Test::new()
            .link(".claudebox", "[HOME]/elsewhere")
            .file("~/elsewhere/tools.txt", "ls\n"),
        ".claudebox/tools.txt",
        "it is reached by a symbolic link",
    );
    let long = format!("# {}\n", "x".repeat(16 * 1024));
    refused(
        Test::new().file(file, &long),
        file,
        "cannot look at `[PROJECT]/.claudebox.toml`: longer than 16384 bytes",
    );
    let test = Test::new().file(file, "");
    std::fs::write(test.at(file), b"\xff").expect("the test's own file");
    refused(test, file, "it is not UTF-8 text");
    // The files of a test are given to who runs it, so the owner is changed at the last moment.
    let words = [
        "sh",
        "-c",
        "chown 12345 .claudebox.toml; exec [BIN]/claudebox --yes --approve --exec true",
    ];
    let run = Test::new().who(User::Root).file(file, "").control(&words);
    assert_eq!(
        (run.stderr, run.exit),
        (text(file, "it belongs to the user 12345, not to you"), 125)
    );
}
