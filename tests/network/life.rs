//! The network lives exactly as long as the sandbox: whatever ends one ends the other, and nothing is left, no process and no namespace.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::lab::{lab, shell};
use super::reach::{boxed, with_probe};
use crate::support::terminal::Terminal;
use crate::support::test::Running;
use crate::support::{Test, User, as_both};

/// How long something may take to be gone. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A payload that says it runs and then waits.
const WAITS: &str = "echo ready; exec sleep 600";

/// A session that runs.
struct Session {
    running: Running,
    traces: Traces,
}

/// What a session would leave behind.
struct Traces {
    launcher: u32,
    network: PathBuf,
}

impl Session {
    /// Starts one and waits for its payload.
    fn start(test: &Test) -> Self {
        let mut running = test.spawn();
        let mut line = String::new();
        BufReader::new(running.stdout())
            .read_line(&mut line)
            .expect("the payload's first line");
        assert_eq!(line, "ready\n");
        let traces = Traces::of(running.pid());
        Self { running, traces }
    }
}

impl Traces {
    /// Those of the session that this process started.
    fn of(launcher: u32) -> Self {
        let network = std::fs::read_link(format!("/proc/{launcher}/ns/net")).expect("a process of ours");
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("ourselves");
        assert_ne!(network, own, "the session has no network of its own");
        let traces = Self { launcher, network };
        assert!(traces.helper().is_some(), "the session has no slirp4netns");
        traces
    }

    /// The process that attaches the network.
    fn helper(&self) -> Option<u32> {
        let end = format!("\0{}\0tap0\0", self.launcher);
        processes().find(|pid| command_line(*pid).ends_with(&end))
    }

    /// Those of these processes that belong to the session, in its network or beside it.
    fn left(&self, there: &[u32]) -> Vec<String> {
        let beside = format!("\0{}\0", self.launcher);
        let belongs = |pid: &u32| {
            let line = command_line(*pid);
            is_companion(&line, &beside)
                || std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|network| network == self.network)
        };
        there.iter().copied().filter(belongs).map(command_line).collect()
    }

    /// A namespace without a process in it is gone, for nothing here holds one open. What starts later is not asked: it may be in a
    /// network of the same number, which the kernel gives out again.
    #[track_caller]
    fn are_gone(&self) {
        let there: Vec<u32> = processes().collect();
        wait_until_gone(|| self.left(&there));
    }
}

/// Waits until nothing is left, and fails with what is.
#[track_caller]
pub fn wait_until_gone(left: impl Fn() -> Vec<String>) {
    let start = Instant::now();
    while !left().is_empty() {
        assert!(start.elapsed() < PATIENCE, "left behind: {:?}", left());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a command line is that of a companion, or of slirp4netns, that names this launcher.
fn is_companion(line: &str, launcher: &str) -> bool {
    (line.contains("slirp4netns") || line.contains("claudebox-network")) && line.contains(launcher)
}

pub fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("the kernel's list");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub fn command_line(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
    kill_process(pid, signal).expect("a process of ours");
}

as_both! {
    /// The payload's exit code comes through, and what is no exit code is told as shells tell it.
    fn exit_codes_pass(user: User) {
        lab().on_machine(|| {
            for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137), ("kill -TERM $$", 143)] {
                boxed(Test::new().who(user), "internet", ["sh", "-c", script]).exit(code).run();
            }
            boxed(Test::new().who(user), "internet", ["no-such-program"])
                .stderr("error[command]: cannot run `no-such-program`: there is no such program in the sandbox\n")
                .exit(127)
                .run();
        });
    }

    /// A payload that ends while a child of its own goes on.
    fn a_child_of_the_payload_ends_with_it(user: User) {
        lab().on_machine(|| {
            let leaving = "setsid sleep 600 > /dev/null 2>&1 & echo ready; read line < gate; exit 3";
            let test = Test::new().who(user);
            shell(&format!("mkfifo {0} && chmod 666 {0}", test.at("gate").display()));
            let test = boxed(test, "internet", ["sh", "-c", leaving]);
            let mut session = Session::start(&test);
            std::fs::write(test.at("gate"), "go\n").expect("the payload's gate");
            assert_eq!(session.running.exit_code(), 3);
            session.traces.are_gone();
        });
    }

    /// Killed at any moment of the start, in two hundred of them: nothing stays, neither beside the sandbox nor of it.
    fn a_start_that_is_killed_leaves_nothing(user: User) {
        lab().on_machine(|| {
            let test = Test::new().who(user);
            let mark = test.base().display().to_string();
            let test = boxed(test, "internet", ["sh", "-c", &format!(": {mark}; {WAITS}")]);
            for round in 0..200 {
                let running = test.spawn();
                let beside = format!("\0{}\0", running.pid());
                std::thread::sleep(Duration::from_micros(400 * round));
                drop(running);
                let belongs = |line: &String| line.contains(&mark) || is_companion(line, &beside);
                wait_until_gone(|| processes().map(command_line).filter(belongs).collect());
            }
        });
    }

    /// The helper dies later: nothing can be reached any more, and the session goes on.
    fn a_helper_that_dies_takes_only_the_network(user: User) {
        lab().on_machine(|| {
            let script = "./probe tcp 203.0.113.10 80 > before; echo ready; while [ ! -e killed ]; do sleep 0.01; done; \
                          ./probe tcp 203.0.113.10 80 > after; ./probe tcp 192.168.77.2 80 >> after; exit 9";
            let test = boxed(with_probe(user), "internet", ["sh", "-c", script]);
            let mut session = Session::start(&test);
            let helper = session.traces.helper().expect("slirp4netns");
            send(helper, Signal::KILL);
            // Until it is no process: one that ends loses its command line before it closes the device.
            let entry = format!("/proc/{helper}");
            wait_until_gone(|| std::path::Path::new(&entry).exists().then(|| entry.clone()).into_iter().collect());
            std::fs::write(test.at("killed"), "").expect("the test's own file");
            assert_eq!(session.running.exit_code(), 9, "the session ended with its helper");
            session.traces.are_gone();
            let read = |name: &str| std::fs::read_to_string(test.at(name)).expect("the payload's file");
            assert_eq!(read("before"), "internet\n");
            assert_eq!(read("after"), "ENETUNREACH\nENETUNREACH\n");
        });
    }

    /// Ctrl+C is the payload's, once and thrice; the companions have sessions of their own and do not hear it.
    fn ctrl_c_is_the_payloads(user: User) {
        lab().on_machine(|| {
            for (presses, script, code) in [
                (1, "trap './probe tcp 203.0.113.10 80; exit 7' INT; echo ready; sleep 600 & wait", 7),
                (3, "n=0; trap 'n=$((n+1)); echo caught $n; [ $n = 3 ] && exit 9' INT; echo ready; while :; do sleep 600 & wait $!; done", 9),
            ] {
                let test = boxed(with_probe(user), "internet", ["sh", "-c", script]);
                let terminal = Terminal::open(&test);
                terminal.line_with_code(&test.script("start", &test.shell_line()));
                terminal.wait("the payload", |screen| screen.lines().any(|line| line == "ready"));
                for press in 1..=presses {
                    terminal.key("C-c");
                    if presses > 1 {
                        terminal.wait_for(&format!("caught {press}"));
                    }
                }
                assert_eq!(terminal.exit_code(), code, "{}", terminal.screen());
                if presses == 1 {
                    assert!(terminal.screen().contains("internet"), "{}", terminal.screen());
                }
            }
        });
    }
}
