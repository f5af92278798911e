//! No secret of the host is found from inside, wherever one looks.

use std::io::{BufRead, BufReader};

use rustix::thread::UnshareFlags;

use crate::network::lab::{shell, unshare};
use crate::support::canaries::Canaries;
use crate::support::{Test, User, as_both};

as_both! {
    /// The first promise of the program: all of the host's secrets are looked for, and none is there.
    fn nothing_of_the_host_is_found(user: User) {
        let (test, canaries) = Canaries::plant(Test::new().who(user));
        let test = test.policy(&canaries.policy(&[]));
        canaries.control(&test);
        let hunt = canaries.hunt();
        test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", &hunt]).stdout(&Canaries::expected()).run();
    }

    /// A bind mount of the host's shows a secret at a second place, in the middle of the project: it is masked there too, and cannot be
    /// mounted from there.
    fn a_secret_that_is_mounted_elsewhere_too_stays_hidden(user: User) {
        let test = Test::new().who(user).file("~/.ssh/id", "SECRET\n").directory("keys").directory("[BASE]/second");
        let check = || {
            unshare(UnshareFlags::NEWNS);
            shell("mount --make-rprivate /");
            for at in ["keys", "[BASE]/second"] {
                shell(&test.fill(&format!("mount --bind [HOME]/.ssh {}", test.at(at).display())));
            }
            let control = test.control(&["bwrap", "--ro-bind", "/", "/", "--tmpfs", "[HOME]/.ssh", "cat", "keys/id"]);
            assert_eq!((control.stdout.as_str(), control.exit), ("SECRET\n", 0));
            let run = test.clone().args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", "ls -A keys; cat keys/id 2>&1"]);
            run.stdout("cat: keys/id: No such file or directory\n").exit(1).run();
            let mount = test.clone().args(["--yes", "--quiet", "--net", "none", "--mount-ro", "[BASE]/second", "--exec", "true"]).start();
            assert!(mount.stderr.starts_with("error[secret-exposed]: `[BASE]/second`"), "{mount:?}");
            assert_eq!((mount.stdout.as_str(), mount.exit), ("", 125));
        };
        std::thread::scope(|scope| scope.spawn(check).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    /// bwrap is the sandbox's first process, and the environment that it was started with stays readable there whatever it cleared later.
    fn the_first_process_has_no_environment(user: User) {
        let count = "tr '\\0' '\\n' < /proc/1/environ | grep -c CANARY";
        let test = Test::new().who(user).var("CANARY", "x");
        let naive = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--clearenv", "/bin/sh", "-c", count];
        let control = test.control(&naive);
        assert_eq!((control.stdout.as_str(), control.stderr.as_str(), control.exit), ("1\n", "", 0));
        test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", "wc -c < /proc/1/environ"]).stdout("0\n").run();
    }

    /// Every variable inside was decided by somebody; this is the list for a bare environment.
    fn the_environment_holds_what_was_decided(user: User) {
        // text: from the program
        const NAMES: &str = "\
CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL
CLAUDE_CODE_SANDBOXED
CLAUDE_CONFIG_DIR
CLAUDE_SECURESTORAGE_CONFIG_DIR
DISABLE_AUTOUPDATER
HOME
LANG
LOGNAME
NIX_SSL_CERT_FILE
PATH
PWD
SHELL
SSL_CERT_FILE
TERM
TZ
USER
XDG_RUNTIME_DIR
";
        let names = "tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1 | sort";
        let test = Test::new().who(user).var("FAVOURITE_COLOUR", "blue").var("EMPTY", "");
        test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", names]).stdout(NAMES).run();
    }

    /// What passes does not become readable to the host's other users: neither command lines nor the launcher's environment show a value.
    fn no_value_stands_on_a_command_line(user: User) {
        const KEY: &str = "CANARY-of-the-command-line";
        let payload = "echo up; sleep 600";
        let test = Test::new().who(user).var("ANTHROPIC_API_KEY", KEY);

        let parent = "tr '\\0' '\\n' < /proc/$PPID/cmdline | grep -c CANARY";
        let naive = ["bwrap", "--ro-bind", "/", "/", "--setenv", "ANTHROPIC_API_KEY", KEY, "sh", "-c", parent];
        let control = test.control(&naive);
        assert_eq!((control.stdout.as_str(), control.stderr.as_str()), ("2\n", ""));

        let test = test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", payload]);
        let mut running = test.spawn();
        let mut line = String::new();
        BufReader::new(running.stdout()).read_line(&mut line).expect("the payload's first line");
        assert_eq!(line, "up\n");
        let family = family(running.pid());
        assert!(family.len() > 1, "the sandbox has more processes than the launcher");
        for pid in &family {
            let cmdline = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            assert!(!cmdline.contains(KEY), "the value stands on the command line of {pid}: {cmdline:?}");
        }
        let environ = std::fs::read(format!("/proc/{}/environ", running.pid())).expect("our child's environment");
        assert_eq!(String::from_utf8_lossy(&environ), "", "the launcher became bwrap with an environment");
    }
}

/// A process and all that descend from it.
fn family(root: u32) -> Vec<u32> {
    let parent = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let mut all = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .collect::<Vec<_>>();
    all.retain(|&pid| std::iter::successors(Some(pid), |&pid| parent(pid)).any(|pid| pid == root));
    all
}
