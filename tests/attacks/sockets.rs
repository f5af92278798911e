//! Sockets of daemons: whoever connects to one has what the daemon has. A mount that is read-only stops no connection.

use std::os::unix::net::UnixListener;

use super::{Attack, NAIVE, boxed, with_program};
use crate::support::{Test, User, as_both};

/// Where daemons of a session listen.
const PLACES: [&str; 14] = [
    "[BASE]/run/bus",
    "[BASE]/run/docker.sock",
    "[BASE]/run/podman/podman.sock",
    "[BASE]/run/gnupg/S.gpg-agent",
    "[BASE]/run/systemd/private",
    "[BASE]/run/wayland-0",
    "[BASE]/run/vscode-ipc-1.sock",
    "[BASE]/run/kitty-1",
    "[BASE]/tmux-1000/default",
    "[BASE]/ssh-x/agent.1",
    "~/.docker/run/docker.sock",
    "~/.gnupg/S.keyboxd",
    "~/.ssh/control-master",
    "~/.local/state/unknown.sock",
];

/// A home with a daemon at each place. They listen for as long as they are held.
fn with_daemons(user: User) -> (Test, Vec<UnixListener>) {
    let test = with_program(Test::new().who(user))
        .var("XDG_RUNTIME_DIR", "[BASE]/run")
        .var("SSH_AUTH_SOCK", "[BASE]/ssh-x/agent.1")
        .var("DBUS_SESSION_BUS_ADDRESS", "unix:path=[BASE]/run/bus");
    let listen = |place: &&str| {
        let path = test.at(place);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("the test's own directory");
        let listener = UnixListener::bind(&path).expect("the test's own socket");
        user.own(&path);
        listener
    };
    let listeners = PLACES.iter().map(listen).collect();
    (test, listeners)
}

/// The attack and what it says.
fn said(word: &str) -> String {
    let name = |place: &str| place.rsplit('/').next().unwrap_or_default().to_owned();
    PLACES.iter().map(|place| format!("{} {word}\n", name(place))).collect()
}

as_both! {
    /// None of them is there, whatever it is called.
    fn no_daemon_is_reached(user: User) {
        let held = std::cell::RefCell::new(Vec::new());
        let (test, listeners) = with_daemons(user);
        held.borrow_mut().push(listeners);
        let places = PLACES.map(|place| test.at(place).display().to_string());
        Attack {
            naive: &["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent"],
            script: &format!("./program connect {}", places.join(" ")),
            works: &said("done"),
            stopped: &said("ENOENT"),
            honest: (
                "python3 -c 'import socket; s = socket.socket(1); s.bind(\"own\"); s.listen(); c = socket.socket(1); c.connect(\"own\"); \
                 print(\"connected\")'; rm own",
                "connected\n",
            ),
        }
        .check(|| test.clone());
    }

    /// No policy shows one either: by its name it is refused, and a directory that it lies in is refused or shows a mask in its place,
    /// whether the table of daemons knows it or not.
    fn no_policy_shows_a_daemon(user: User) {
        let (test, _listeners) = with_daemons(user);
        for (line, why) in [
            ("mount::ro(\"~/.docker/run/docker.sock\", \"x\");", "~/.docker/run/docker.sock"),
            ("mount::ro(\"[BASE]/run\", \"x\");", "[BASE]/run"),
            ("mount::ro(\"~/.local/state\", \"x\");", "~/.local/state"),
            ("mount::rw(\"[BASE]/tmux-1000\", \"x\");", "[BASE]/tmux-1000"),
        ] {
            let test = test.clone().policy(&format!("fn mounts(host) {{\n    base::mounts(host);\n    {line}\n}}\n"));
            let script = format!("./program connect $(find {} -type s -o -type f)", test.at(why).display());
            let run = boxed(&test, &script).start();
            let refused = run.exit == 125 && run.stdout.is_empty() && run.stderr.starts_with("error[no-sockets]: ");
            let masked = run.exit == 0 && !run.stdout.is_empty() && run.stdout.lines().all(|line| line.ends_with(" ECONNREFUSED") || line.ends_with(" EACCES"));
            assert!(refused || masked, "{line}: {run:?}");
        }
    }

    /// The project is mounted whole, and so a daemon's socket in it is masked: what listens there is the host's.
    fn a_daemon_in_the_project_is_masked(user: User) {
        let test = with_program(Test::new().who(user));
        let _listener = UnixListener::bind(test.at("server.sock")).expect("the test's own socket");
        Attack {
            naive: NAIVE,
            script: "./program connect ./server.sock",
            works: "server.sock done\n",
            stopped: "server.sock EACCES\n",
            honest: ("echo x > file && cat file && rm file", "x\n"),
        }
        .check(|| test.clone());
    }
}
