//! The broker's life beside a sandbox: where it cannot serve nothing starts; where it ends nothing can be reached any more; and
//! it never outlives the sandbox.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::world::{KEY, World, world};
use crate::network::lab::shell;
use crate::support::test::Running;
use crate::support::user::programs;
use crate::support::{Test, User, as_both};

/// After this long a process is taken for one that stays.
const PATIENCE: Duration = Duration::from_secs(60);

/// A launch with the broker that would leave a mark.
fn marking(world: &World, user: User) -> Test {
    let test = world.home(user).var("ANTHROPIC_API_KEY", KEY);
    test.args(["--yes", "--quiet", "--exec", "--", "sh", "-c", "echo ran > mark"])
}

/// Puts a script in the place of the broker, for this thread alone.
pub fn instead_of_the_broker(script: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file in /tmp");
    std::fs::write(file.path(), script).expect("our own file");
    let path = file.path().display();
    let broker = programs().join("with-broker/claudebox-broker");
    shell(&format!("chmod 755 {path} && mount --bind {path} {}", broker.display()));
}

#[track_caller]
fn refused(test: &Test, stderr: &str) {
    let test = test.clone().stderr(stderr).exit(125);
    test.compare(&test.start());
    assert!(!test.at("mark").exists(), "it was refused and ran all the same");
}

/// The brokers that a launcher started and that are there.
pub fn brokers(launcher: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        field("Name:") == Some("claudebox-broke")
            && field("PPid:") == Some(&launcher.to_string())
            && !field("State:").is_some_and(|state| state.starts_with('Z'))
    })
    .collect()
}

/// Whether a process has let go of all that it held. One that ends is a zombie by its first thread while others still hold its sockets.
fn ended(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    threads == 0 || (threads == 1 && status.lines().any(|line| line.starts_with("State:\tZ")))
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
    kill_process(pid, signal).expect("a process of ours");
}

#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A session that runs, and its broker.
fn session(test: &Test) -> (Running, u32) {
    let mut running = test.spawn();
    assert_eq!(running.first_line(), "ready\n");
    let brokers = brokers(running.pid());
    assert_eq!(brokers.len(), 1);
    (running, brokers[0])
}

as_both! {
    /// Missing, the login enters where the policy says so, and the network of names does not start.
    fn a_broker_that_is_missing(user: User) {
        world(|world| {
            let test = marking(world, user).program("claudebox");
            let options = ["--yes", "--quiet", "--net", "allowlist", "--exec", "--", "sh", "-c", "echo ran > mark"];
            let text = "error[network]: the network `allowlist` needs the broker: the broker is not installed\n  ——▶ --net allowlist\n\
                        hint: install claudebox anew: `make install` puts `claudebox-broker` beside it\n";
            refused(&test.clone().args(options), text);
            let strict = test.clone().policy("fn credentials(host) { credential::broker(\"or nothing\"); }\n");
            let text = "error[brokered-credential]: the broker cannot hold Claude Code's login: the broker is not installed\n  \
                        ——▶ ~/.config/claudebox/policy.rhai:1:36\n  |\n1 | fn credentials(host) { credential::broker(\"or nothing\"); }\n  \
                        |                                    ^^^^^^\nhint: a policy that says `credential::pass(why)` first falls back to it\n";
            refused(&strict, text);
            let usual = marking(world, user).program("claudebox").args(["--yes", "--quiet", "--exec", "--", "sh", "-c", "echo $ANTHROPIC_API_KEY"]);
            usual.stdout(&format!("{KEY}\n")).run();
        });
    }

    /// It ends at once, or never says that it serves, or says that it does not: each time nothing runs.
    fn a_broker_that_does_not_serve(user: User) {
        let end = "hint: `--net none` needs no broker\n";
        for (script, said) in [
            ("#!/bin/sh\n", "it did not say why"),
            ("#!/bin/sh\necho no luck >&2\nexit 1\n", "it said: no luck"),
            ("#!/bin/sh\nexec sleep 600\n", "it did not say why"),
            (
                "#!/usr/bin/python3\nimport socket\ns = socket.socket(fileno=0)\ns.recv(100000)\ns.send(b'{\"error\":\"it \\\\u001b[31m cannot\"}')\n",
                "it said: it \\u{1b}[31m cannot",
            ),
            (
                "#!/usr/bin/python3\nimport socket\ns = socket.socket(fileno=0)\ns.recv(100000)\ns.send(b'nonsense')\n",
                "it did not say why",
            ),
        ] {
            world(|world| {
                instead_of_the_broker(script);
                refused(&marking(world, user), &format!("error[broker]: the broker does not serve; {said}\n{end}"));
            });
        }
        world(|world| {
            instead_of_the_broker("#!/no/such/interpreter\n");
            let broker = programs().join("with-broker/claudebox-broker");
            let text = format!("error[broker]: cannot start `{}`: no such file or directory\n{end}", broker.display());
            refused(&marking(world, user), &text.replace(&programs().display().to_string(), "[BIN]"));
        });
    }

    /// It dies later: nothing can be reached by it, nothing of the login appears, and the payload goes on to its own end.
    fn a_broker_that_dies_takes_only_what_it_did(user: User) {
        for network in ["internet", "allowlist"] {
            world(|world| {
                let script = "ask() { curl -s -o /dev/null -w '%{http_code} %{exitcode}\\n' --cacert $NODE_EXTRA_CA_CERTS -H \"x-api-key: $ANTHROPIC_API_KEY\" \
                              https://api.anthropic.com/api/hello; }
                    ask > before; echo ready; while [ ! -e killed ]; do sleep 0.01; done; ask > after; echo end > end; exit 9";
                let test = world.home(user).var("ANTHROPIC_API_KEY", KEY);
                let test = test.args(["--yes", "--quiet", "--net", network, "--exec", "--", "sh", "-c", script]);
                let (mut running, broker) = session(&test);
                send(broker, Signal::KILL);
                until("the broker is gone", || ended(broker));
                std::fs::write(test.at("killed"), "").expect("the test's own file");
                until("the session goes on", || test.at("end").exists());
                assert_eq!(running.exit_code(), 9);
                let read = |name: &str| std::fs::read_to_string(test.at(name)).expect("the payload's file");
                assert_eq!((read("before").as_str(), read("after").as_str()), ("200 0\n", "000 7\n"));
            });
        }
    }

    /// Whatever ends the sandbox ends the broker, and the exit code is the payload's.
    fn every_end_leaves_nothing(user: User) {
        world(|world| {
            // Also where the suite itself was started with the hangup ignored.
            let test = world.home(user).var("ANTHROPIC_API_KEY", KEY).before(&["env", "--default-signal=HUP"]);
            for network in ["internet", "allowlist"] {
                let run = |script: &str| test.clone().args_of(&["--yes", "--quiet", "--net", network, "--exec", "--", "sh", "-c", script]);
                for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137)] {
                    run(script).exit(code).run();
                }
                for signal in [Signal::TERM, Signal::HUP, Signal::KILL].repeat(5) {
                    let (running, broker) = session(&run("echo ready; exec sleep 600"));
                    send(running.pid(), signal);
                    until("the broker ends with the launcher", || !std::path::Path::new(&format!("/proc/{broker}")).exists() || brokers(running.pid()).is_empty());
                }
                // Killed in the midst of the start.
                for round in 0..40 {
                    let running = run("sleep 600").spawn();
                    let launcher = running.pid();
                    std::thread::sleep(Duration::from_micros(500 * round));
                    drop(running);
                    until("the broker ends with a launcher that is killed at the start", || brokers(launcher).is_empty() && brokers(1).is_empty());
                }
            }
        });
    }

    /// Each sandbox has a network namespace of its own: the listeners of one are nowhere in the other.
    fn sandboxes_do_not_reach_each_others_brokers(user: User) {
        world(|world| {
            let test = world.home(user).var("ANTHROPIC_API_KEY", KEY);
            let (first, _) = session(&test.clone().args(["--yes", "--quiet", "--exec", "--", "sh", "-c", "echo ready; exec sleep 600"]));
            // Another session, without the broker: the addresses are there, and nobody listens.
            let script = "for address in 127.64.0.1 127.64.0.2 127.0.0.1 10.0.2.2 192.168.77.10; do curl -s -m 60 -o /dev/null -w '%{exitcode}\\n' https://$address/; done; true";
            let other = test.beside("~/other").policy("fn credentials(host) { credential::pass(\"x\"); }\n");
            other.args(["--yes", "--quiet", "--net", "internet", "--exec", "--", "sh", "-c", script]).stdout("7\n7\n7\n7\n7\n").run();
            // And nothing listens on the host.
            let listening = std::fs::read_to_string("/proc/thread-self/net/tcp").expect("the machine's sockets");
            let web = listening.lines().filter(|line| line.contains(":01BB ") && line.contains(" 0A ")).count();
            assert_eq!(web, 0, "{listening}");
            drop(first);
        });
    }

    /// Another process of the user's cannot read the broker, and neither its environment nor its command line says anything.
    fn the_broker_cannot_be_read(user: User) {
        world(|world| {
            let test = world.home(user).var("ANTHROPIC_API_KEY", KEY);
            let (running, broker) = session(&test.clone().args(["--yes", "--quiet", "--exec", "--", "sh", "-c", "echo ready; exec sleep 600"]));
            let command = std::fs::read(format!("/proc/{broker}/cmdline")).expect("the command line");
            let program = programs().join("with-broker/claudebox-broker").display().to_string();
            assert_eq!(String::from_utf8_lossy(&command), format!("{program}\0"));
            if user == User::Ordinary {
                let look = format!("for name in environ mem maps; do head -c 1 /proc/{broker}/$name > /dev/null 2>&1 && echo read $name; done; ls /proc/{broker}/fd > /dev/null 2>&1 && echo read fd; true");
                let seen = test.control(&["sh", "-c", &look]);
                assert_eq!((seen.stdout.as_str(), seen.exit), ("", 0));
            }
            drop(running);
        });
    }
}
