//! Something in bubblewrap's place.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use crate::network::lab::{lab, shell, unshare};
use crate::support::Test;
use crate::support::test::Run;
use crate::support::user::need_root;

use rustix::thread::UnshareFlags;

/// Each way to take a defence away, and the rows that then leak, with what they say.
pub const ALL: &[(&str, &[(u64, &str)])] = &[
    ("variable", &[(1, "`SMUGGLED` is inside, and nobody decided that")]),
    ("first-environment", &[(2, "process N (`bwrap`) has an environment")]),
    (
        "no-pid-namespace",
        &[
            (2, "the pid namespace is this host's own"),
            (17, "a process of the sandbox goes on after its end"),
        ],
    ),
    (
        "options-on-the-command-line",
        &[(
            3,
            "the value of `ANTHROPIC_API_KEY` stands on a command line, where every user can read it",
        )],
    ),
    (
        "descriptor",
        &[(4, "descriptor N came in: `[HOME]/.claudebox/instances/project-H/lock`")],
    ),
    (
        "no-filter",
        &[
            (
                5,
                "the keyring can be used (search the session's keyring): the kernel answers: required key not available",
            ),
            (
                6,
                "input can be put into the terminal (TIOCSTI): the kernel answers: bad file descriptor",
            ),
            (15, "no filter is in place (Seccomp)"),
        ],
    ),
    ("no-ipc-namespace", &[(7, "the ipc namespace is this host's own")]),
    (
        "socket",
        &[
            (
                8,
                "`/tmp/claudebox-verify-H/socket` can be reached: the canary in the host's /tmp",
            ),
            (
                10,
                "the canary in the host's /tmp is seen: `/tmp/claudebox-verify-H/file`",
            ),
            (
                11,
                "something is mounted on `/tmp/claudebox-verify-H`, and nobody decided that",
            ),
        ],
    ),
    (
        "secret",
        &[
            (9, "`[HOME]/.ssh` is seen: SSH keys"),
            (10, "`[HOME]/.ssh` is seen, and nobody decided that"),
            (11, "something is mounted on `[HOME]/.ssh`, and nobody decided that"),
        ],
    ),
    (
        "secret-elsewhere",
        &[
            (9, "`[PROJECT]/data/keys` is seen: SSH keys"),
            (
                11,
                "something is mounted on `[PROJECT]/data/keys`, and nobody decided that",
            ),
        ],
    ),
    (
        "diary",
        &[
            (10, "`[HOME]/diary.txt` is seen, and nobody decided that"),
            (
                11,
                "something is mounted on `[HOME]/diary.txt`, and nobody decided that",
            ),
        ],
    ),
    ("writable-root", &[(11, "`/` can be written")]),
    (
        "writable-bind",
        &[
            (4, "descriptor N came in: `[HOME]/.claudebox/instances/project-H/lock`"),
            (11, "`[PROJECT]/.git/config` can be written"),
            (12, "`[PROJECT]/.git/config` can be written"),
        ],
    ),
    (
        "hooks",
        &[
            (4, "descriptor N came in: `[HOME]/.claudebox/instances/project-H/lock`"),
            (11, "`[PROJECT]/.git/hooks` can be written"),
            (12, "`[PROJECT]/.git/hooks` can be replaced: nothing is mounted there"),
        ],
    ),
    (
        "no-net-namespace",
        &[
            (8, "the abstract sockets of this host can be reached"),
            (13, "the net namespace is this host's own"),
        ],
    ),
    ("no-rules", &[(13, "N.N.N.N:N was not refused at once")]),
    (
        "nix-daemon",
        &[
            (10, "`/nix` is seen, and nobody decided that"),
            (
                11,
                "something is mounted on `/nix/var/nix/daemon-socket`, and nobody decided that",
            ),
            (
                14,
                "one answers at `/nix/var/nix/daemon-socket/socket`, and nobody decided that",
            ),
        ],
    ),
    ("capability", &[(15, "CapInh is H")]),
    ("root", &[(16, "the user inside is `N N N N`, and should be N")]),
];

/// Runs a test where what is at the real bubblewrap's place is another program: this script. Nobody else sees it. The network
/// has a loopback and nothing else.
pub fn in_own_world(test: &Test, script: &str, act: &(impl Fn(&Test) -> Run + Sync)) -> Run {
    need_root();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(UnshareFlags::NEWNET);
            shell("ip link set lo up");
            in_own_files(test, script, act)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn in_own_files(test: &Test, script: &str, act: &(impl Fn(&Test) -> Run + Sync)) -> Run {
    unshare(UnshareFlags::NEWNS);
    let base = test.base();
    let (real, false_one) = (base.join("bwrap"), base.join("sabotage"));
    std::fs::copy("/usr/bin/bwrap", &real).expect("bubblewrap");
    std::fs::write(&false_one, script).expect("the test's own file");
    std::fs::set_permissions(&false_one, PermissionsExt::from_mode(0o755)).expect("the test's own file");
    shell(&format!(
        "mount --make-rprivate / && mount --bind {} /usr/bin/bwrap",
        false_one.display()
    ));
    act(test)
}

/// Runs a test with one defence less.
pub fn with_sabotage(test: &Test, name: &str) -> Run {
    let world = if name == "no-rules" { World::Machine } else { World::Own };
    sabotaged(test, name, world)
}

/// The same where the thread is by now.
pub fn with_sabotage_here(test: &Test, name: &str) -> Run {
    sabotaged(test, name, World::Here)
}

fn sabotaged(test: &Test, name: &str, world: World) -> Run {
    let base = test.base();
    let script = include_str!("sabotage")
        .replace("[SABOTAGE]", name)
        .replace("[REAL]", &base.join("bwrap").display().to_string())
        .replace("[BASE]", &base.display().to_string());
    std::fs::create_dir_all(base.join("daemon-socket")).expect("the test's own directory");
    let socket = base.join("daemon-socket/socket");
    let _daemon = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).expect("the test's own file");
    match world {
        World::Machine => lab().on_machine(|| in_own_files(test, &script, &Test::start)),
        World::Here => in_own_files(test, &script, &Test::start),
        World::Own => in_own_world(test, &script, &Test::start),
    }
}

/// Where a test runs with one defence less.
enum World {
    /// A network with a loopback and nothing else.
    Own,
    /// The lab's machine.
    Machine,
    /// Where the thread is, which must be its alone.
    Here,
}
