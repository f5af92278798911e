//! The guard before the Nix daemon: who needs one, that it ends with the sandbox, and what is said where none can be had.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::User;

use super::world::{Home, NEW, OLD, World, id, said};

/// The lines of `--check` about the daemon, without those that only warn.
fn check(world: &World, home: &Home) -> String {
    let text = said(world.claudebox(home, &["--check"])).stdout;
    let lines = text
        .lines()
        .filter(|line| line.contains("nix daemon") && !line.contains("  it "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// How many guards run in a world.
fn guards(world: &World) -> String {
    world
        .must(
            std::path::Path::new("/"),
            "grep -lsz -e --force-untruste[d] /proc/[0-9]*/cmdline | wc -l",
        )
        .trim()
        .to_owned()
}

/// Names of the directories of sessions.
fn sessions(world: &World, user: User) -> String {
    world.must(
        std::path::Path::new("/"),
        &format!("ls /run/user/{}/claudebox 2>/dev/null || true", id(user)),
    )
}

/// Each kind of daemon, as a user whom it does not trust sees it.
#[test]
fn a_daemon_that_cannot_be_made_safe_stays_outside() {
    let user = User::Ordinary;
    let usual = check(World::usual(), &Home::of(user));
    assert_eq!(
        usual,
        "ok    nix daemon   version 2.26.3, does not trust you and builds in a sandbox\n"
    );
    for value in ["false", "relaxed"] {
        let (world, home) = (World::start(NEW, &format!("sandbox = {value}")), Home::of(user));
        let why = format!("it builds with `sandbox = {value}`, so what it builds could read this host's files");
        assert_eq!(
            check(&world, &home),
            format!("note  nix daemon   stays outside: {why}\n")
        );
        let inside = world.inside(
            &home,
            "ls -A /nix; nix shell nixpkgs#hello -c hello 2>/dev/null || echo refused",
        );
        assert_eq!(inside.stdout, "store\nrefused\n");
        let audit = said(world.claudebox(&home, &["--yes", "--net", "host", "--exec", "--", "true"])).stderr;
        assert!(
            audit.contains(&format!("nix daemon: stays outside ({why})\n")),
            "{audit}"
        );
        let explained = said(world.claudebox(&home, &["--explain"])).stdout;
        assert!(
            explained.contains("Nix daemon") && explained.contains("nix-trust"),
            "{explained}"
        );
        // A policy that shows it all the same is refused with its line.
        let home = home.file(
            ".config/claudebox/policy.rhai",
            "fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"/nix/var/nix/daemon-socket\", \"mine\");\n}\n",
        );
        let refused = world.inside(&home, "true");
        assert_eq!(refused.exit, 125);
        assert!(
            refused
                .stderr
                .contains("error[nix-trust]: `/nix/var/nix/daemon-socket` cannot be shown: it builds with"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("policy.rhai:3:12"), "{}", refused.stderr);
    }
}

/// A socket on which nobody answers is no daemon, and the launch goes on.
#[test]
fn a_dead_daemon_stays_outside() {
    let (world, home) = (World::start(NEW, ""), Home::of(User::Ordinary));
    world.must(std::path::Path::new("/"), "kill $(pgrep -xo nix-daemon); while pgrep -x nix-daemon >/dev/null; do sleep 0.05; done; ls /nix/var/nix/daemon-socket/socket");
    let found = check(&world, &home);
    assert!(
        found.starts_with("note  nix daemon   stays outside: it does not answer: "),
        "{found}"
    );
    assert_eq!(world.inside(&home, "echo on").stdout, "on\n");
}

/// A daemon of Nix 2.8 does not say whom it trusts: the guard stands before it too, and works with it.
#[test]
fn an_old_daemon_is_guarded() {
    let world = World::start(OLD, "");
    for user in [User::Root, User::Ordinary] {
        let home = Home::of(user);
        assert_eq!(
            check(&world, &home),
            "ok    nix daemon   version 2.8.0, may trust you, so a guard that trusts nobody stands in between\n"
        );
        let said = world.inside(
            &home,
            "nix shell nixpkgs#hello -c hello; nix store info --json 2>/dev/null | jq -c .trusted",
        );
        assert_eq!(said.stdout, "Hello, world!\n0\n", "{}", said.stderr);
    }
}

/// A user whom the daemon trusts is trusted no more inside, and whoever it does not trust needs no guard.
#[test]
fn only_who_is_trusted_is_guarded() {
    let name = User::Ordinary.name();
    let world = World::start(NEW, &format!("trusted-users = root {name}"));
    let home = Home::of(User::Ordinary);
    let line = "nix store info --json 2>/dev/null | jq -c .trusted; stat -c %a /nix/var/nix/daemon-socket";
    assert_eq!(world.inside(&home, line).stdout, "0\n700\n");
    let explain = [
        "--explain=/nix/var/nix/daemon-socket",
        "--net",
        "host",
        "--exec",
        "--",
        "true",
    ];
    let explained = said(world.claudebox(&home, &explain)).stdout;
    assert!(
        explained.starts_with("/nix/var/nix/daemon-socket is visible inside: a directory, read-only\n"),
        "{explained}"
    );
    assert_eq!(World::usual().inside(&home, line).stdout, "0\n755\n");
}

/// The guard ends with the sandbox, also where the launcher is killed; what is left of it is swept by the next start.
#[test]
fn nothing_of_a_session_is_left() {
    let (world, user) = (World::start(NEW, ""), User::Root);
    let home = Home::of(user);
    let mut command = world.claudebox(
        &home,
        &[
            "--yes",
            "--quiet",
            "--net",
            "host",
            "--exec",
            "--",
            "bash",
            "-c",
            "echo on; sleep 1000",
        ],
    );
    let mut child = command.stdout(Stdio::piped()).spawn().expect("nsenter");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("taken once"))
        .read_line(&mut line)
        .expect("a line");
    assert_eq!((line.as_str(), guards(&world).as_str()), ("on\n", "1"));
    let first = sessions(&world, user);
    world.must(
        std::path::Path::new("/"),
        &format!("kill -KILL {}", first.trim().trim_start_matches("nix-")),
    );
    child.wait().expect("our own child");
    for _ in 0..3000 {
        if guards(&world) == "0" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(guards(&world), "0");
    assert_eq!(world.inside(&home, "true").exit, 0);
    let second = sessions(&world, user);
    assert!(
        !second.contains(first.trim()) && second.lines().count() == 1,
        "{first}{second}"
    );
}

/// A dry run starts no guard and makes nothing, and its script brings a guard of its own.
#[test]
fn a_dry_run_can_be_pasted() {
    let (world, home) = (World::start(NEW, ""), Home::of(User::Root));
    let args = [
        "--dry-run",
        "--net",
        "host",
        "--exec",
        "--",
        "bash",
        "-c",
        "until nix store info >/dev/null 2>&1; do sleep 0.1; done; nix store info --json 2>/dev/null | jq -c .trusted",
    ];
    let printed = said(world.claudebox(&home, &args));
    assert_eq!((printed.stderr.as_str(), printed.exit), ("", 0));
    assert_eq!(said(world.claudebox(&home, &args)), printed);
    assert_eq!(
        (guards(&world).as_str(), sessions(&world, User::Root).as_str()),
        ("0", "")
    );
    std::fs::write(home.path().join("script"), &printed.stdout).expect("our own file");
    let pasted = world.sh(User::Root, &home.project(), "bash ../script");
    assert_eq!(pasted.stdout, "0\n", "{}", pasted.stderr);
}
