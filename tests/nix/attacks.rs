//! What a program in a sandbox can make the Nix daemon do. Each attack runs by the same script: as a control in a naive sandbox that
//! has the daemon's socket, where it must succeed, and in claudebox. What nobody can close from this side is shown to be open, as the
//! book says.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use crate::support::{User, as_both};

use super::built::{source, tools};
use super::world::{Home, NEW, World};

/// What the files of the host hold. The second is readable for everybody, but in no sandbox.
const SECRETS: [(&str, &str, &str); 2] = [("root", "secret-of-root", "600"), ("world", "secret-for-all", "644")];

/// Where they lie in each world: a place of memory of its own.
const PLACE: &str = "/run/secrets-of-the-host";

fn prepared(world: &World) {
    for (name, content, mode) in SECRETS {
        let line = format!("mkdir -p {PLACE} && echo {content} > {PLACE}/{name} && chmod {mode} {PLACE}/{name}");
        world.must(Path::new("/"), &line);
    }
}

/// A home that has the script.
fn home(user: User) -> Home {
    let script = std::fs::read_to_string(source("tests/nix/attack")).expect("the source");
    Home::of(user).file("project/attack", &script)
}

/// A word that no other attack of any run has.
fn salt(home: &Home) -> String {
    let name = home
        .path()
        .parent()
        .and_then(Path::file_name)
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    format!("{name}-{}", std::process::id())
}

/// What comes out in a naive sandbox: the whole file system read only, the secrets' place empty, and the daemon's socket.
fn naive(world: &World, home: &Home, words: &str) -> String {
    let line = format!(
        "exec bwrap --unshare-user --uid 1000 --ro-bind / / --dev /dev --proc /proc --tmpfs /run --bind \"$PWD\" \"$PWD\" \
         --setenv PATH {} --setenv HOME \"$PWD\" bash attack {words} naive-{}",
        tools(),
        salt(home)
    );
    home.handed_over();
    world.sh(home.user(), &home.project(), &line).stdout
}

/// What comes out of claudebox.
fn boxed(world: &World, home: &Home, options: &[&str], words: &str) -> String {
    let line = format!("bash attack {words} boxed-{}", salt(home));
    let said = world.inside_by(home, options, &line);
    format!("{}{}", said.stdout, said.stderr)
}

/// Which of the secrets are in a text.
fn leaks(text: &str) -> Vec<&'static str> {
    let all = SECRETS.iter().map(|(name, content, _)| (*name, *content));
    let all = all.chain([("poison", "poisoned")]);
    all.filter(|(_, content)| text.contains(content))
        .map(|(name, _)| name)
        .collect()
}

as_both! {
    /// A user whom the daemon trusts is root on the host by its socket; inside claudebox nobody is trusted.
    fn trust_does_not_enter(user: User) {
        let world = World::start(NEW, &format!("trusted-users = root {}", User::Ordinary.name()));
        prepared(&world);
        let home = home(user);
        let table: [(&str, &[&str]); 5] =
            [("T1", &["root"]), ("T2", &["root", "world"]), ("T3", &["world"]), ("T4", &["world"]), ("T5", &["poison"])];
        for (attack, expected) in table {
            let words = format!("{attack} {PLACE}");
            let control = naive(&world, &home, &words);
            assert_eq!(leaks(&control), expected, "the control of {attack}: {control}");
            let seen = boxed(&world, &home, &["--net", "host"], &words);
            assert_eq!(leaks(&seen), Vec::<&str>::new(), "{attack}: {seen}");
        }
        // The honest use beside it.
        let honest = world.inside(&home, "nix shell nixpkgs#hello -c hello");
        assert_eq!(honest.stdout, "Hello, world!\n", "{}", honest.stderr);
    }

    /// A daemon that builds outside a sandbox shows the host's files to any build; claudebox keeps it outside.
    fn an_unsandboxed_daemon_does_not_enter(user: User) {
        for (setting, attack) in [("false", "U4"), ("relaxed", "U3")] {
            let world = World::start(NEW, &format!("sandbox = {setting}"));
            prepared(&world);
            let home = home(user);
            let words = format!("{attack} {PLACE}");
            let control = naive(&world, &home, &words);
            assert_eq!(leaks(&control), ["world"], "the control of {attack}: {control}");
            let seen = boxed(&world, &home, &["--net", "host"], &words);
            assert_eq!(leaks(&seen), Vec::<&str>::new(), "{attack}: {seen}");
        }
    }

    /// With a daemon as it should be, expressions and builds read nothing of the host.
    fn builds_do_not_see_the_host(user: User) {
        let world = World::usual();
        prepared(world);
        let home = home(user);
        for attack in ["U1", "U3", "U4"] {
            let seen = boxed(world, &home, &["--net", "host"], &format!("{attack} {PLACE}"));
            assert_eq!(leaks(&seen), Vec::<&str>::new(), "{attack}: {seen}");
        }
    }
}

/// What stays open wherever there is a daemon, and is gone where there is none: the book's page on Nix and the audit say so.
#[test]
fn what_remains_is_what_the_book_says() {
    let netrc = "machine 127.0.0.1 login user-of-the-daemon password password-of-the-daemon\n";
    let world = World::start(NEW, "netrc-file = /run/netrc");
    world.must(
        Path::new("/"),
        &format!("printf '{netrc}' > /run/netrc && chmod 644 /run/netrc"),
    );
    let home = home(User::Ordinary);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let (heard, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut connection = connection;
            let _ = connection.write_all(b"answer-of-a-service-of-the-host\n");
            let _ = connection.set_read_timeout(Some(std::time::Duration::from_secs(10)));
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap_or_default();
            let _ = heard.send(String::from_utf8_lossy(&request[..length]).into_owned());
        }
    });
    let salted = |attack: &str| format!("{attack} {PLACE} {}-{attack} {port} #", salt(&home));
    // U5: a fixed-output build has the host's network, although the sandbox reaches the internet alone.
    let seen = boxed(&world, &home, &["--net", "internet"], &salted("U5"));
    assert!(seen.contains("answer-of-a-service-of-the-host"), "{seen}");
    while hear.try_recv().is_ok() {}
    // U6: the daemon's logins go wherever a download is named.
    let seen = boxed(&world, &home, &["--net", "internet"], &salted("U6"));
    let request = hear
        .recv_timeout(std::time::Duration::from_secs(60))
        .expect("a request");
    assert!(request.contains("Authorization: Basic "), "{request}\n{seen}");
    // U7: a fixed-output build may name any variable of the daemon's.
    let seen = boxed(&world, &home, &["--net", "internet"], &salted("U7"));
    assert!(seen.contains("secret-of-the-daemon"), "{seen}");
    // U8: what nothing holds on to can be deleted.
    let path = world.must(
        &home.path(),
        &format!("echo {} > unrooted && nix store add-file unrooted", salt(&home)),
    );
    let path = path.trim();
    let seen = boxed(&world, &home, &["--net", "internet"], &format!("U8 {path}"));
    assert_eq!(
        world
            .must(Path::new("/"), &format!("ls -d {path} 2>/dev/null | wc -l"))
            .trim(),
        "0",
        "{seen}"
    );
    // None of it without the daemon.
    while hear.try_recv().is_ok() {}
    for (attack, network) in [
        ("U5", "none"),
        ("U7", "none"),
        ("U5", "allowlist"),
        ("U6", "allowlist"),
        ("U7", "allowlist"),
    ] {
        let seen = boxed(&world, &home, &["--net", network], &salted(attack));
        assert!(
            !seen.contains("answer-of") && !seen.contains("secret-of-the-daemon"),
            "{seen}"
        );
    }
    assert!(hear.try_recv().is_err(), "a service of the host was reached");
    // And it is told beforehand.
    let audit =
        super::world::said(world.claudebox(&home, &["--yes", "--net", "internet", "--exec", "--", "true"])).stderr;
    for line in [
        "  it downloads for a build by the host's own network, whatever network the sandbox has\n",
        "  it uses the logins of `/run/netrc` for whatever a build of the sandbox downloads\n",
        "  it has version 2.26.3, in which whoever may use it can write files as root (CVE-2026-39860)",
    ] {
        assert!(audit.contains(line), "{audit}");
    }
    let check = super::world::said(world.claudebox(&home, &["--check"])).stdout;
    for line in [
        "note  nix daemon   it downloads by the host's own network, whatever network the sandbox has",
        "note  nix daemon   it shows its own environment to builds that ask, and deletes what nothing holds on to",
        "note  nix daemon   it uses the logins of `/run/netrc` for whatever a build of the sandbox downloads",
    ] {
        assert!(check.contains(line), "{check}");
    }
}
