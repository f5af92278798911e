//! The broker's beginning and end, and what it keeps to itself.

use std::process::{Command, Stdio};

use claudebox::net::broker::API;
use claudebox::net::broker::wire::{Answer, Configuration, Credential, Listener};

use super::requests::shown;
use super::world::{REAL_KEY, World, world};
use crate::support::User;

#[test]
fn it_ends_with_its_launcher() {
    world(|world| {
        let mut broker = world.broker(&world.configuration());
        broker.close();
        assert_eq!((broker.ended(), broker.stderr()), (Some(0), String::new()));
    });
    // Also where the other end of the socket stays open by mistake.
    world(|world| {
        let mut broker = std::thread::scope(|scope| {
            let started = scope.spawn(|| world.broker(&world.configuration()));
            started.join().expect("no panic")
        });
        assert_eq!(broker.ended(), None);
    });
    // And before it was told anything.
    world(|world| {
        let mut broker = world.spawn();
        broker.close();
        assert_eq!(
            (broker.ended(), broker.stderr().as_str()),
            (Some(1), "error: the launcher ended\n")
        );
    });
}

#[test]
fn a_second_message_ends_it() {
    world(|world| {
        let mut broker = world.broker(&world.configuration());
        broker.send_bytes(b"{}", &[]);
        assert_eq!(broker.ended(), Some(0));
    });
}

#[test]
fn what_it_cannot_do_is_said_to_the_launcher() {
    type Change = fn(&World, &mut Configuration);
    let table: [(&str, Change); 12] = [
        (
            "claudebox and claudebox-broker are not of one version: install them together",
            |_, configuration| {
                configuration.version = 2;
            },
        ),
        (
            "the name `evil.test` is none that can be brokered",
            |_, configuration| {
                configuration
                    .brokered
                    .push(("evil.test".into(), [127, 64, 0, 3].into()));
            },
        ),
        (
            "the name `127.0.0.1` is an address: names alone can be allowed",
            |_, configuration| {
                configuration
                    .brokered
                    .push(("127.0.0.1".into(), [127, 64, 0, 3].into()));
            },
        ),
        (
            "the address `127.64.0.1` or its name is there twice",
            |_, configuration| {
                configuration.brokered[1].1 = [127, 64, 0, 1].into();
            },
        ),
        (
            "the address `203.0.113.1` is none for a brokered name",
            |_, configuration| {
                configuration.brokered[0].1 = [203, 0, 113, 1].into();
            },
        ),
        (
            "the address `127.64.1.2` is none for a brokered name",
            |_, configuration| {
                configuration.brokered[0].1 = [127, 64, 1, 2].into();
            },
        ),
        (
            "the name `*` has a `*` that is not its whole first part, as in `*.example.org`",
            |_, configuration| {
                configuration.allow = Some(vec!["*".into()]);
            },
        ),
        (
            "the credential has characters that no header can carry",
            |_, configuration| {
                configuration.credential = Some(Credential::Key("REAL\nKEY".into()));
            },
        ),
        (
            "there is no certificate to know Claude Code's service by: install `ca-certificates`",
            |_, configuration| {
                configuration.roots = None;
            },
        ),
        (
            "cannot read the certificates in `/nowhere`: [IO]",
            |_, configuration| {
                configuration.extra_roots = Some("/nowhere".into());
            },
        ),
        (
            "cannot write refusals to `[DIR]/link`: Too many levels of symbolic links (os error 40)",
            |world, configuration| {
                std::os::unix::fs::symlink("elsewhere", world.path("link")).expect("our own link");
                configuration.log = Some(world.path("link"));
            },
        ),
        (
            "the file for refusals, `[DIR]/two`, is not a file of its own",
            |world, configuration| {
                std::fs::write(world.path("one"), "").expect("our own file");
                std::fs::hard_link(world.path("one"), world.path("two")).expect("our own file");
                User::Ordinary.own(world.directory.path());
                configuration.log = Some(world.path("two"));
            },
        ),
    ];
    for (expected, change) in table {
        world(|world| {
            let mut configuration = world.configuration();
            change(world, &mut configuration);
            let mut broker = world.spawn();
            broker.send(&configuration, world.sockets(&configuration));
            let Some(Answer::Error(said)) = broker.answer() else {
                panic!("{expected}")
            };
            let expected = expected.replace("[DIR]", &world.directory.path().to_string_lossy());
            match expected.strip_suffix("[IO]") {
                Some(begin) => assert!(said.starts_with(begin), "{said}"),
                None => assert_eq!(said, expected),
            }
            assert_eq!((broker.ended(), broker.stderr()), (Some(1), format!("error: {said}\n")));
        });
    }
    world(|world| {
        let configuration = world.configuration();
        let wrong = [
            (
                b"nonsense".to_vec(),
                3,
                "the configuration cannot be read: are claudebox and claudebox-broker of one version?",
            ),
            (
                br#"{"credential":{"key":"REAL"}}"#.to_vec(),
                3,
                "the configuration cannot be read: are claudebox and claudebox-broker of one version?",
            ),
            (
                serde_json::to_vec(&configuration).expect("JSON"),
                2,
                "2 descriptors came, and 3 are wanted",
            ),
            (
                serde_json::to_vec(&configuration).expect("JSON"),
                0,
                "0 descriptors came, and 3 are wanted",
            ),
        ];
        for (bytes, count, expected) in wrong {
            let mut sockets = world.sockets(&configuration);
            sockets.truncate(count);
            let mut broker = world.spawn();
            broker.send_bytes(&bytes, &sockets);
            assert_eq!(broker.answer(), Some(Answer::Error(expected.into())));
            assert_eq!(
                (broker.ended(), broker.stderr()),
                (Some(1), format!("error: {expected}\n"))
            );
        }
    });
}

#[test]
fn a_socket_of_another_kind_is_not_served() {
    world(|world| {
        let mut configuration = world.configuration();
        configuration.listeners = vec![Listener::Dns];
        let mut broker = world.spawn();
        let other = std::fs::File::open("/dev/null").expect("a device").into();
        broker.send(&configuration, vec![other]);
        assert_eq!(
            broker.answer(),
            Some(Answer::Error(
                "a socket cannot be used: Operation not permitted (os error 1)".into()
            ))
        );
    });
}

#[test]
fn it_is_started_by_claudebox_alone() {
    type Change = fn(&mut Command);
    world(|world| {
        let alone = "error: `claudebox-broker` is started by claudebox alone, without arguments and with an empty environment\n";
        let by_hand = "error: `claudebox-broker` is started by claudebox, and is of no use by hand\n";
        let changes: [(&str, Change); 3] = [
            (alone, |command| {
                command.env("HOSTALIASES", "/tmp/x");
            }),
            (alone, |command| {
                command.arg("--help");
            }),
            (by_hand, |command| {
                command.stdin(Stdio::null());
            }),
        ];
        for (expected, change) in changes {
            let mut broker = world.spawn_with(change);
            assert_eq!((broker.ended(), broker.stderr().as_str()), (Some(1), expected));
        }
    });
}

#[test]
fn no_other_process_of_the_user_looks_into_it() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let mut sleep = Command::new("sleep");
        sleep.arg("600").env_clear().stdin(Stdio::null());
        User::Ordinary.start(&mut sleep);
        let mut control = sleep.spawn().expect("sleep, from coreutils");
        let look = |pid: u32| {
            let mut command = Command::new("/bin/sh");
            // Opening is what is forbidden; for `mem` it says it all.
            let script = format!(
                "cd /proc/{pid} && for f in environ maps mem; do (exec 3<$f) 2>/dev/null && echo $f; done; \
                 ls fd >/dev/null 2>&1 && echo fd; (exec 3<map_files) 2>/dev/null; readlink exe >/dev/null 2>&1 && echo exe; \
                 grep -c REAL cmdline"
            );
            command
                .args(["-c", &script])
                .env_clear()
                .env("PATH", crate::support::PATH);
            User::Ordinary.start(&mut command);
            String::from_utf8(command.output().expect("sh").stdout).expect("text")
        };
        assert_eq!(look(control.id()), "environ\nmaps\nmem\nfd\nexe\n0\n");
        assert_eq!(look(broker.child.id()), "0\n");
        let _ = control.kill();
        let _ = control.wait();
        let of = |file: &str, name: &str| {
            let text =
                std::fs::read_to_string(format!("/proc/{}/{file}", broker.child.id())).expect("a running broker");
            let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("status", "NoNewPrivs:"), "NoNewPrivs: 1");
        assert_eq!(of("limits", "Max core file size"), "Max core file size 0 0 bytes");
        let environ = std::fs::read(format!("/proc/{}/environ", broker.child.id())).expect("a running broker");
        assert_eq!(environ, b"");
        // The control: root sees that the key is in there.
        let dump = Command::new("python3")
            .args(["-c", FIND, &broker.child.id().to_string(), REAL_KEY])
            .output();
        assert_eq!(String::from_utf8_lossy(&dump.expect("python3").stdout), "found\n");
    });
}

/// Looks for a text in a process's memory.
const FIND: &str = r#"
import sys
pid, text = sys.argv[1:]
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
    for line in maps:
        words = line.split()
        if "r" not in words[1] or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
            continue
        start, end = (int(word, 16) for word in words[0].split("-"))
        mem.seek(start)
        if text.encode() in mem.read(end - start):
            print("found")
            break
"#;

#[test]
fn a_service_that_cannot_prove_who_it_is_gets_nothing() {
    world(|world| {
        let other = super::upstream::Authority::new("another");
        std::fs::write(world.path("roots.pem"), other.pem()).expect("our own file");
        let broker = world.broker(&world.configuration());
        let request = format!("GET /api/hello HTTP/1.1\r\nHost: {API}\r\n\r\n");
        let response = world.client(&broker, API).ask(&request).expect("an answer");
        assert_eq!(
            shown(&response),
            "502 claudebox: `api.anthropic.com` cannot be reached: the encrypted connection failed: invalid peer certificate: UnknownIssuer"
        );
        assert_eq!(world.api.received(), Vec::<String>::new());
        // With the host's further certificates it is known.
        std::fs::write(world.path("extra.pem"), world.authority.pem()).expect("our own file");
        let mut configuration = world.configuration();
        configuration.extra_roots = Some(world.path("extra.pem"));
        drop(broker);
        let broker = world.broker(&configuration);
        assert_eq!(
            shown(&world.client(&broker, API).ask(&request).expect("an answer")),
            "200 ok"
        );
    });
}

#[test]
fn refusals_are_told_once_and_not_without_end() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        for number in 0..1100 {
            let path = format!("/v1/files/{number:0>300}");
            for _ in 0..2 {
                client
                    .ask(format!("GET {path} HTTP/1.1\r\nHost: {API}\r\n\r\n"))
                    .expect("an answer");
            }
            client
                .ask(format!("GET /{number} HTTP/1.1\r\nHost: {API}\r\n\r\n"))
                .expect("an answer");
        }
        let told = world.told();
        assert_eq!(told.len(), 1000);
        let why = "this call is not one that Claude Code needs";
        let cut = format!(
            "GET {API}/v1/files/{}",
            "0".repeat(200 - 4 - API.len() - "/v1/files/".len())
        );
        assert_eq!(told[0], format!("Request {cut}: {why}"));
        assert_eq!(told[1], format!("Request GET {API}/0: {why}"));
        assert_eq!(told[2], format!("Request GET {API}/1: {why}"));
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(world.path("denied.jsonl")).expect("the log"));
        assert_eq!(mode & 0o7777, 0o600);
    });
}
