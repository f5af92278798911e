//! The terminal, the keyring, open descriptors, signals and exit codes: what is shared with the payload whatever is mounted.

use crate::support::terminal::Terminal;
use crate::support::{Test, User, as_both};

/// A run of `words` in the sandbox, where its own texts are of no interest.
fn boxed<const N: usize>(test: Test, words: [&str; N]) -> Test {
    let options = ["--yes", "--quiet", "--net", "none", "--exec", "--"];
    test.args_of(options.iter().chain(&words))
}

as_both! {
    /// A sandbox that shares the user's terminal must not be able to type into it: what it types would run outside.
    fn nothing_is_typed_into_the_terminal(user: User) {
        // Every entry is refused on its own: the plain call, one with bits set that the kernel ignores, and the two other system call tables.
        const REFUSED: &str = if cfg!(target_arch = "x86_64") {
            "type plain EPERM\ntype high-bits EPERM\ntype x32 ENOSYS\ntype x32-own-number ENOSYS\ntype i386 EPERM\n"
        } else {
            "type plain EPERM\ntype high-bits EPERM\n"
        };
        let outcome = |test: &Test, line: &str| {
            let terminal = Terminal::open(test);
            terminal.line_with_code(&format!("{} > said.txt", test.script("start", line)));
            assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
            // What was typed stands in the terminal's queue before this line, so it has run when this line has.
            terminal.line("clear; echo settled");
            terminal.wait("a settled shell", |screen| screen.lines().any(|line| line == "settled"));
            (std::fs::read_to_string(test.at("said.txt")).expect("the attack's report"), test.at("typed").exists())
        };

        let control = Test::new().who(user).attack();
        let naive = control.environment_line("bwrap --dev-bind / / --unshare-all ./attack type ' touch typed'");
        assert_eq!(outcome(&control, &naive), ("type plain done\n".to_owned(), true), "the control could not type");

        let test = boxed(Test::new().who(user).attack(), ["./attack", "type", " touch typed"]);
        assert_eq!(outcome(&test, &test.shell_line()), (REFUSED.to_owned(), false));
    }

    /// Pasting a console's selection is the other way to type. A pseudo-terminal's driver answers `ENOTTY` to it, a closed door `EPERM`.
    fn nothing_is_pasted_into_the_terminal(user: User) {
        const REACHED: &str = if cfg!(target_arch = "x86_64") {
            "paste plain ENOTTY\npaste high-bits ENOTTY\npaste i386 ENOTTY\n"
        } else {
            "paste plain ENOTTY\npaste high-bits ENOTTY\n"
        };
        let outcome = |test: &Test, line: &str| {
            let terminal = Terminal::open(test);
            terminal.line_with_code(&format!("{} > said.txt", test.script("start", line)));
            assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
            std::fs::read_to_string(test.at("said.txt")).expect("the attack's report")
        };
        let control = Test::new().who(user).attack();
        assert_eq!(outcome(&control, &control.environment_line("bwrap --dev-bind / / ./attack paste")), REACHED);
        let test = boxed(Test::new().who(user).attack(), ["./attack", "paste"]);
        assert_eq!(outcome(&test, &test.shell_line()), REACHED.replace("ENOTTY", "EPERM"));
    }

    /// The kernel's keyrings are no files and no namespace hides them.
    fn no_keyring_is_reached(user: User) {
        let test = Test::new()
            .who(user)
            .attack()
            .file("[BASE]/inherited/file", "")
            .before(&["[BIN]/attack", "plant", "claudebox test", "the key's secret", "[BASE]/inherited/file", "[BASE]/inherited"]);
        let control = test.control(&["bwrap", "--ro-bind", "/", "/", "--unshare-all", "./attack", "keyring", "claudebox test"]);
        assert!(control.stdout.starts_with("keyring session done\nthe key's secret\n"), "{control:?}");

        let refused = "keyring session EPERM\nkeyring user EPERM\nkeyring user-session EPERM\nkeyring request EPERM\n";
        boxed(test, ["./attack", "keyring", "claudebox test"]).stdout(refused).run();
    }

    /// A descriptor that the launcher inherited is a way past every mount: an open directory even leads out of the sandbox.
    fn no_descriptor_is_inherited(user: User) {
        let test = Test::new()
            .who(user)
            .attack()
            .file("[BASE]/inherited/file", "the file's secret\n")
            .before(&["[BIN]/attack", "plant", "claudebox test", "key", "[BASE]/inherited/file", "[BASE]/inherited"]);
        let read = "cat /proc/self/fd/7 /proc/self/fd/8/file";
        let control = test.control(&["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--proc", "/proc", "--unshare-pid", "sh", "-c", read]);
        assert_eq!(control.stdout, "the file's secret\nthe file's secret\n", "{control:?}");

        boxed(test, ["./attack", "descriptors"]).run();
    }

    /// A directory on a standard stream is as open as any other descriptor: its `..` leads out of every mount.
    fn a_directory_on_a_standard_stream_is_refused(user: User) {
        // text: from the program
        const TEXT: &str = "error[no-inherited-fds]: descriptor 0 is a directory, and all that lies in it could be opened\n\
                            hint: start claudebox without that redirection\n";
        let test = |redirection: &str| {
            let script = format!("exec \"$0\" \"$@\" {redirection}");
            Test::new().who(user).file("~/.ssh/id_ed25519", "a key\n").directory("~/open").before(&["sh", "-c", &script])
        };
        let naive = ["bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
            "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--unshare-all", "cat", "/proc/self/fd/0/../.ssh/id_ed25519"];
        assert_eq!(test("< ~/open").control(&naive).stdout, "a key\n");

        let read = "cat /proc/self/fd/0/../.ssh/id_ed25519";
        boxed(test("< ~/open"), ["sh", "-c", read]).stderr(TEXT).exit(125).run();
        // The error itself cannot be told on such a stream; that it is refused can.
        boxed(test("2< ~/open"), ["sh", "-c", "cat /proc/self/fd/2/../.ssh/id_ed25519"]).exit(125).run();
    }

    /// The payload's exit code is claudebox's, and a signal is told as shells tell it.
    fn exit_codes_pass(user: User) {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 125", 125), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
            boxed(Test::new().who(user), ["sh", "-c", script]).exit(code).run();
        }
    }

    /// What is not there is told apart from what cannot be run, as `env(1)` does it.
    fn a_command_that_does_not_start(user: User) {
        // text: from the program
        const MISSING: &str = "error[command]: cannot run `no-such-command`: there is no such program in the sandbox\n";
        // text: from the program
        const FORBIDDEN: &str = "error[command]: cannot run `./notes.txt`: permission denied\n";
        boxed(Test::new().who(user), ["no-such-command"]).stderr(MISSING).exit(127).run();
        boxed(Test::new().who(user).file("notes.txt", "words\n"), ["./notes.txt"]).stderr(FORBIDDEN).exit(126).run();
    }

    /// Standard streams are the payload's own, byte for byte.
    fn streams_pass(user: User) {
        let script = "tr a-z A-Z; echo aside >&2";
        boxed(Test::new().who(user), ["sh", "-c", script]).stdin("one\ntwo").stdout("ONE\nTWO").stderr("aside\n").run();
    }

    /// Ctrl+C is the payload's to answer: the sandbox neither dies of it nor hides it.
    fn ctrl_c_reaches_the_payload(user: User) {
        // `wait` is what a signal interrupts in a shell; the shell could not even set the trap if it had been started with the signal ignored.
        let script = "trap 'echo caught; exit 7' INT; echo ready; sleep 600 & wait";
        let press = |test: &Test, line: &str| {
            let terminal = Terminal::open(test);
            terminal.line_with_code(&test.script("start", line));
            terminal.wait("the payload", |screen| screen.lines().any(|line| line == "ready"));
            terminal.key("C-c");
            let code = terminal.exit_code();
            (code, terminal.screen().lines().any(|line| line.ends_with("caught")))
        };
        let control = Test::new().who(user);
        let naive = format!("bwrap --dev-bind / / --unshare-pid --die-with-parent sh -c \"{script}\"");
        assert_eq!(press(&control, &control.environment_line(&naive)).0, 130, "the naive sandbox lets the payload answer");

        let test = boxed(Test::new().who(user), ["sh", "-c", script]);
        assert_eq!(press(&test, &test.shell_line()), (7, true));
    }

    /// A payload that does not care ends by Ctrl+C and by Ctrl+\ as anywhere.
    fn keys_end_a_plain_payload(user: User) {
        for (key, code) in [("C-c", 130), ("C-\\", 131)] {
            let test = boxed(Test::new().who(user), ["sh", "-c", "echo ready; exec sleep 600"]);
            let terminal = Terminal::open(&test);
            terminal.line_with_code(&test.script("start", &test.shell_line()));
            terminal.wait("the payload", |screen| screen.lines().any(|line| line == "ready"));
            terminal.key(key);
            assert_eq!(terminal.exit_code(), code);
        }
    }

    /// The honest use beside the closed doors: the terminal's size, and stopping and going on.
    fn resize_and_stop_work(user: User) {
        let script = "trap 'stty size' WINCH; echo ready; while [ ! -e done ]; do [ -e wake ] && rm -f wake && echo awake; sleep 0.1; done";
        let test = boxed(Test::new().who(user), ["sh", "-c", script]);
        let terminal = Terminal::open(&test);
        terminal.line_with_code(&test.script("start", &test.shell_line()));
        terminal.wait("the payload", |screen| screen.lines().any(|line| line == "ready"));
        terminal.resize(80, 20);
        terminal.wait("the new size", |screen| screen.lines().any(|line| line == "20 80"));
        terminal.key("C-z");
        assert_eq!(terminal.exit_code(), 148);
        terminal.line("clear");
        terminal.wait("an empty screen", |screen| !screen.contains("Stopped"));
        // What goes on has the terminal again: only then is a new size its own to hear of.
        std::fs::write(test.at("wake"), "").expect("the test's own file");
        terminal.line_with_code("fg");
        terminal.wait("the payload", |screen| screen.lines().any(|line| line == "awake"));
        terminal.resize(100, 30);
        terminal.wait("the new size", |screen| screen.lines().any(|line| line == "30 100"));
        std::fs::write(test.at("done"), "").expect("the test's own file");
        assert_eq!(terminal.exit_code(), 0);
    }

    /// What is started in the sandbox ends with it, in whatever session it hides.
    fn nothing_outlives_the_sandbox(user: User) {
        let script = "setsid sh -c 'echo alive > alive; while sleep 0.05; do date +%N > alive; done' > /dev/null 2>&1 & \
                      while [ ! -s alive ]; do sleep 0.05; done";
        let still_writes = |test: &Test| {
            let read = || std::fs::read_to_string(test.at("alive")).expect("the survivor's file");
            let first = read();
            // Twenty rounds of the writer: one that lives writes within them.
            (0..20).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(100));
                read() != first
            })
        };
        let control = Test::new().who(user);
        // The writer stops by itself once its file is in a directory that is gone.
        let naive = control.control(&["bwrap", "--dev-bind", "/", "/", "sh", "-c", &script.replace("do date", "do [ -d ../project ] || exit; date")]);
        assert_eq!(naive.exit, 0, "{naive:?}");
        assert!(still_writes(&control), "the naive sandbox leaves nothing behind");

        let test = boxed(Test::new().who(user), ["sh", "-c", script]);
        test.compare(&test.start());
        assert!(!still_writes(&test));
    }
}
