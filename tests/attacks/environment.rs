//! The environment as a way in: names that reach out of a sandbox or run something, names that are there twice, and what is left behind.

use super::{Attack, NAIVE, boxed, with_program};
use crate::support::{Test, User, as_both};

/// Variables that are a capability, or make a program run something, or say where a secret lies.
const NAMES: [&str; 24] = [
    "BASH_ENV",
    "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "DOCKER_HOST",
    "ENV",
    "GIT_CONFIG_COUNT",
    "GIT_SSH_COMMAND",
    "GPG_AGENT_INFO",
    "KITTY_LISTEN_ON",
    "KUBECONFIG",
    "LD_LIBRARY_PATH",
    "NIX_CONFIG",
    "NODE_OPTIONS",
    "PERL5OPT",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "TMUX",
    "VSCODE_IPC_HOOK_CLI",
    "WAYLAND_DISPLAY",
    "WEZTERM_UNIX_SOCKET",
    "XAUTHORITY",
];

as_both! {
    /// None of the names passes, and a policy that passes all of them is refused or passes none all the same.
    fn names_that_reach_out_stay_outside(user: User) {
        let furnished = || NAMES.iter().fold(Test::new().who(user).var("EDITOR", "vi"), |test, name| test.var(name, "0"));
        let list = NAMES.join("|");
        let script = format!("tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1 | grep -xE '{list}' | sort; true");
        Attack {
            naive: NAIVE,
            script: &script,
            works: &NAMES.map(|name| format!("{name}\n")).concat(),
            stopped: "",
            honest: ("echo $TERM $EDITOR", "xterm-256color vi\n"),
        }
        .check(furnished);

        let all = furnished().policy("fn variable(host, name) { env::pass(\"all of them\") }\n");
        let run = boxed(&all, &script).start();
        assert!(run.stdout.is_empty() && run.exit == 125 && run.stderr.starts_with("error[reserved-variable]: "), "{run:?}");
    }

    /// One name twice: some programs take the first and some the last. Inside there is one, and it is the one that was looked at.
    fn a_name_is_there_once(user: User) {
        let count = "tr '\\0' '\\n' < /proc/1/environ | grep -c ^EDITOR=";
        let twice = |first: &str, second: &str| {
            let test = with_program(Test::new().who(user));
            test.before(&["[PROJECT]/program", "duplicate", "EDITOR", first, second])
        };
        let naive = twice("one", "two").control(&["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "sh", "-c", count]);
        assert_eq!(naive.stdout, "2\n", "the control: {naive:?}");

        let list = "tr '\\0' '\\n' < /proc/$$/environ | grep ^EDITOR=; true";
        boxed(&twice("one", "two"), list).stdout("EDITOR=one\n").run();
        // A secret does not pass beside a harmless value of the same name, whichever comes first.
        const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
        boxed(&twice("vi", TOKEN), list).stdout("EDITOR=vi\n").run();
        let run = boxed(&twice(TOKEN, "vi"), list).start();
        assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN), "{run:?}");
    }
}

/// Nothing is put where other users of the host look, or where they could have put something first. Only root can give a run such directories
/// of its own, in which nobody else writes at the same time.
#[test]
fn nothing_is_left_in_shared_directories() {
    let run = |script: &str| {
        let script = format!("{script}; ls -A /tmp /var/tmp /dev/shm");
        let words = [
            "bwrap",
            "--dev-bind",
            "/",
            "/",
            "--tmpfs",
            "/tmp",
            "--tmpfs",
            "/var/tmp",
            "--tmpfs",
            "/dev/shm",
            "--bind",
            "[BASE]",
            "[BASE]",
            "--ro-bind",
            "[BIN]",
            "[BIN]",
            "sh",
            "-c",
            &script,
        ];
        let test = Test::new().who(User::Root).before(&words);
        let mut names = [test.base(), test.at("[BIN]")]
            .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned());
        names.sort();
        (boxed(&test, "true").start(), names.join("\n"))
    };
    let (control, _) = run("mktemp -p /var/tmp > /dev/null");
    assert!(control.stdout.contains("/var/tmp:\ntmp."), "the control: {control:?}");
    let (seen, names) = run("\"$0\" \"$@\"");
    assert_eq!((seen.stderr.as_str(), seen.exit), ("", 0));
    assert_eq!(seen.stdout, format!("/dev/shm:\n\n/tmp:\n{names}\n\n/var/tmp:\n"));
}
