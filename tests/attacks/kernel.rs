//! What no mount hides: other processes, memory that processes share, the machine's hypervisor, and what only root may ask of the kernel.

use std::io::{BufRead, BufReader};

use super::{Attack, HOST, NAIVE, boxed, of_the_host, with_program};
use crate::support::{Test, User, as_both};

as_both! {
    /// A socket to the hypervisor belongs to no network namespace: a sandbox without a network still has it. A ring could make one
    /// without a system call that a filter sees, so rings are shut too; where the kernel has none for anybody the control says so itself.
    fn the_hypervisor_is_not_reached(user: User) {
        const WAYS: &[&str] =
            if cfg!(target_arch = "x86_64") { &["plain", "high-bits", "i386", "i386-socketcall"] } else { &["plain", "high-bits"] };
        let said = |word: &str, ring: &str| {
            WAYS.iter().map(|way| format!("vsock {way} {word}\n")).chain([format!("ring {ring}\n")]).collect::<String>()
        };
        Attack {
            naive: &[NAIVE, &["--unshare-net"]].concat(),
            script: "./program hypervisor",
            works: &said("done", "reached"),
            stopped: &said("EAFNOSUPPORT", "ENOSYS"),
            honest: ("python3 -c 'import socket; [socket.socket(f) for f in (1, 2, 10)]; print(\"made\")'", "made\n"),
        }
        .check(|| with_program(Test::new().who(user)));
    }

    /// Processes of the same user lie open to each other; those of the host are not there inside.
    fn no_process_of_the_host_is_reached(user: User) {
        const ALL: [&str; 8] = ["signal", "read-memory", "steal-descriptor", "environ", "mem", "root/etc/passwd", "fd/9", "trace"];
        let said = |errors: [&str; 8]| ALL.iter().zip(errors).map(|(name, error)| format!("{name} {error}\n")).collect::<String>();
        let test = with_program(Test::new().who(user)).file("~/open", "a secret\n");
        let mut victim = test.spawn_control(&["./program", "victim", "[HOME]/open"]);
        let mut line = String::new();
        BufReader::new(victim.stdout()).read_line(&mut line).expect("the victim's first line");
        Attack {
            naive: HOST,
            script: &format!("./program process {line}"),
            works: &said(["done"; 8]),
            stopped: &said(["ESRCH", "ESRCH", "EBADF", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "ESRCH"]),
            honest: ("./program debug", "trace-own-child done\n"),
        }
        .check(|| test.clone());
    }

    /// Shared memory and message queues are no files.
    fn no_memory_is_shared(user: User) {
        let key = if user == User::Root { 0x0c1a_0de0 } else { 0x0c1a_0de1 };
        let test = with_program(Test::new().who(user));
        let ask = |words: &str| format!("./program exchange {words} {key}");
        test.control(&["sh", "-c", &ask("1")]);
        let attack = std::panic::AssertUnwindSafe(|| {
            Attack {
                naive: NAIVE,
                script: &ask("0"),
                works: "shared-memory done\nthe secret in memory\nmessage-queue done\n",
                stopped: "shared-memory ENOENT\nmessage-queue ENOENT\n",
                honest: (&format!("{}; {}", ask("1"), ask("0")), &"shared-memory done\nthe secret in memory\nmessage-queue done\n".repeat(2)),
            }
            .check(|| test.clone());
        });
        let outcome = std::panic::catch_unwind(attack);
        test.control(&["sh", "-c", &ask("2")]);
        if let Err(failed) = outcome {
            std::panic::resume_unwind(failed);
        }
    }

    /// In a user namespace of its own a program is root again, over nothing of the host's: masks stay, and so does what is read-only.
    fn a_namespace_inside_undoes_nothing(user: User) {
        let undo = |place: &str| {
            format!("umount {place}; mount -o remount,rw,bind {place}; mount --bind /proc/1/root{place} {place}; mount -t proc proc /proc; mount --move {place} /mnt")
        };
        let script = format!(
            "unshare --user --map-root-user --mount sh -c '{}; {}; cat .env; (echo x >> .git/config) && echo written' 2> /dev/null; true",
            undo("$PWD/.env"), undo("$PWD/.git/config")
        );
        let furnished = || {
            let test = Test::new().who(user).file(".env", "KEY=a secret\n");
            let test = test.file("~/.gitconfig", "[user]\n\tname = n\n\temail = e@example.com\n");
            assert_eq!(test.control(&["git", "init", "-q", "."]).exit, 0);
            test
        };
        // The control: masks that whoever is root in a namespace of the same owner can take away again.
        let control = furnished();
        let naive = format!(
            "exec unshare --user --map-root-user --mount sh -c 'mount --bind /dev/null .env; mount --bind .git/config .git/config; \
             mount -o remount,ro,bind .git/config; {}; {}; cat .env; (echo x >> .git/config) && echo written' 2> /dev/null",
            undo("$PWD/.env"), undo("$PWD/.git/config")
        );
        assert_eq!(control.control(&["sh", "-c", &naive]).stdout, "KEY=a secret\nwritten\n", "the control");

        let test = furnished();
        let before = of_the_host(&test);
        boxed(&test, &script).run();
        assert_eq!(of_the_host(&test), before);
        // The honest use: Claude Code's own sandbox, and any other, can be made in ours.
        let nested = "unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /tmp && id -u'";
        boxed(&test, nested).stdout("0\n").run();
        boxed(&test, "bwrap --ro-bind / / --dev /dev --unshare-all echo nested").stdout("nested\n").run();
    }
}

/// Only root has on the host what is asked here, so only root can lose it.
#[test]
fn root_inside_is_not_root() {
    let names = [
        "make-device",
        "open-by-handle",
        "kernel-log",
        "chroot",
        "mount",
        "real-time",
    ];
    let said = |word: &str| names.iter().map(|name| format!("{name} {word}\n")).collect::<String>();
    Attack {
        naive: &[
            "bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", "/tmp", "/tmp", "--cap-add", "ALL",
        ],
        script: "mkdir -p mnt; ./program privileged file; id -u; (: > /proc/sys/kernel/core_pattern) 2> /dev/null && echo sysctl; rmdir mnt; true",
        works: &format!("{}0\nsysctl\n", said("done")),
        stopped: &format!("{}1000\n", said("EPERM")),
        honest: ("id -un; touch made && stat -c %U made && rm made", "root\nroot\n"),
    }
    .check(|| with_program(Test::new().who(User::Root)).file("file", "x\n"));
}
