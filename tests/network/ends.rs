//! Every way in which a session ends, again and again: the right exit code, and nothing is left, no process and no namespace.
//!
//! `cargo test` makes some two hundred sessions for each user. `CLAUDEBOX_ENDS=200 cargo test network::ends` makes two hundred of each way.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rustix::process::Signal;

use super::lab::lab;
use super::life::{command_line, processes, send, wait_until_gone};
use super::reach::boxed;
use crate::broker_launch::life::brokers;
use crate::support::pty::Pty;
use crate::support::{Test, User, as_both};

/// How often each way is gone, where nobody asks for another number.
pub fn rounds(usual: usize) -> usize {
    let asked = std::env::var("CLAUDEBOX_ENDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// So many sessions at a time.
const AT_A_TIME: usize = 4;

/// What ends a session.
#[derive(Clone, Copy)]
pub enum End {
    /// The payload, when it is told to.
    Itself,
    /// Ctrl+C at the terminal, so often.
    Keys(usize),
    /// A signal to the launcher's process, which is bubblewrap by then.
    Signal(Signal),
    /// The terminal is closed.
    Closed,
}

/// What a session has that must be gone after it: the words by which its processes are known, and its namespaces.
struct Traces {
    mark: String,
    beside: String,
    namespaces: BTreeSet<PathBuf>,
    /// The brokers, which are in no namespace of the session's and name no launcher.
    brokers: Vec<u32>,
    /// Processes that were there before it.
    older: BTreeSet<u32>,
}

/// The namespaces of a process, as the kernel names them.
fn namespaces(pid: &str) -> BTreeSet<PathBuf> {
    let kinds = ["user", "net", "mnt", "pid", "ipc", "uts", "cgroup"];
    let link = |kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    kinds.into_iter().filter_map(link).collect()
}

impl Traces {
    fn of(launcher: u32, mark: &str, older: BTreeSet<u32>) -> Self {
        let own = namespaces("thread-self");
        let all = |pid: u32| namespaces(&pid.to_string()).into_iter();
        let newer = processes().filter(|pid| !older.contains(pid));
        let marked = newer.filter(|pid| command_line(*pid).contains(mark));
        let found = marked.flat_map(all).filter(|namespace| !own.contains(namespace));
        let traces = Self {
            mark: mark.to_owned(),
            beside: format!("\0{launcher}\0"),
            namespaces: found.collect(),
            brokers: brokers(launcher),
            older,
        };
        // bubblewrap's own namespaces in between, and all of the payload's.
        assert!(traces.namespaces.len() >= 7, "{:?}", traces.namespaces);
        traces
    }

    /// Processes of the session: in it, or beside it, or such as hold one of its namespaces open. Only those that were there at its end
    /// are asked: a younger one may be in a namespace of the same number, which the kernel gives out again.
    fn left(&self, there: &BTreeSet<u32>) -> Vec<String> {
        let belongs = |pid: &u32| {
            let line = command_line(*pid);
            line.contains(&self.mark)
                || (line.contains("claudebox-network") || line.contains("slirp4netns")) && line.contains(&self.beside)
                || self.brokers.contains(pid) && line.contains("claudebox-broker")
                || !namespaces(&pid.to_string()).is_disjoint(&self.namespaces)
        };
        let newer = processes().filter(|pid| there.contains(pid) && !self.older.contains(pid));
        newer.filter(belongs).map(command_line).collect()
    }
}

/// One session, from its start to its end.
fn session(test: &Test, broker: bool, number: usize, end: End, payload: &str, code: i32) {
    let mark = format!("{}-{number}-", test.base().display());
    let payload = format!(": {mark}; {payload}");
    let test = boxed(test.clone(), "internet", ["sh", "-c", &payload]);
    let older = processes().collect();
    let mut pty = Pty::start(&test);
    pty.wait_for("ready");
    let traces = Traces::of(pty.pid(), &mark, older);
    assert_eq!(traces.brokers.len(), usize::from(broker));
    match end {
        End::Itself => pty.write("go\n"),
        End::Signal(signal) => send(pty.pid(), signal),
        End::Closed => pty.close(),
        End::Keys(presses) => {
            for press in 1..=presses {
                pty.write("\x03");
                if presses > 1 {
                    pty.wait_for(&format!("caught {press}"));
                }
            }
        }
    }
    assert_eq!(pty.exit_code(), code, "round {number}: {}", pty.shown());
    let there = processes().collect();
    wait_until_gone(|| traces.left(&there));
}

/// The sessions of one way, some at a time, each line of them in a home of its own.
fn all(user: User, end: End, payload: &str, code: impl Fn(usize) -> i32 + Sync) {
    let lines: Vec<Test> = std::iter::repeat_with(|| Test::new().who(user))
        .take(AT_A_TIME)
        .collect();
    lab().on_machine(|| sessions(&lines, false, rounds(30), end, payload, &code));
}

/// The sessions of one way: each test is a line of them. With the broker, or without.
pub fn sessions(
    lines: &[Test],
    broker: bool,
    rounds: usize,
    end: End,
    payload: &str,
    code: &(impl Fn(usize) -> i32 + Sync),
) {
    std::thread::scope(|scope| {
        for (line, test) in lines.iter().enumerate() {
            scope.spawn(move || {
                for number in (line..rounds).step_by(lines.len()) {
                    let code = code(number);
                    let payload = payload.replace("[CODE]", &code.to_string());
                    session(test, broker, number, end, &payload, code);
                }
            });
        }
    });
}

/// Waits for its end.
pub const WAITS: &str = "echo ready; exec sleep 600";

as_both! {
    /// The payload's own exit code comes through.
    fn by_itself(user: User) {
        all(user, End::Itself, "echo ready; read line; exit [CODE]", |number| i32::try_from(number).unwrap_or(0));
    }

    /// Ctrl+C is for the payload to answer.
    fn by_ctrl_c(user: User) {
        all(user, End::Keys(1), "trap 'exit [CODE]' INT; echo ready; sleep 600 & wait", |number| i32::try_from(number % 100).unwrap_or(0));
    }

    /// So are three of them.
    fn by_ctrl_c_thrice(user: User) {
        let payload = "n=0; trap 'n=$((n+1)); echo caught $n; [ $n = 3 ] && exit 9' INT; echo ready; while :; do sleep 600 & wait $!; done";
        all(user, End::Keys(3), payload, |_| 9);
    }

    fn by_sigterm(user: User) {
        all(user, End::Signal(Signal::TERM), WAITS, |_| 143);
    }

    fn by_sighup(user: User) {
        all(user, End::Signal(Signal::HUP), WAITS, |_| 129);
    }

    fn by_sigkill(user: User) {
        all(user, End::Signal(Signal::KILL), WAITS, |_| 137);
    }

    /// Also where the payload does not care for the hangup.
    fn by_a_closed_terminal(user: User) {
        all(user, End::Closed, "trap '' HUP; echo ready; exec sleep 600", |_| 129);
    }
}

/// A descriptor or a mount keeps a namespace that no process is in: nothing keeps one by these either.
#[test]
fn no_namespace_is_kept_without_a_process() {
    lab().on_machine(|| {
        let test = boxed(Test::new(), "internet", ["sh", "-c", "echo ready; read line"]);
        let mut pty = Pty::start(&test);
        pty.wait_for("ready");
        let own = namespaces("thread-self");
        let theirs: BTreeSet<PathBuf> = namespaces(&pty.pid().to_string()).difference(&own).cloned().collect();
        let file = std::fs::File::open(format!("/proc/{}/ns/net", pty.pid())).expect("root looks everywhere");
        assert!(kept(&theirs), "the control: a descriptor that is open is found");
        drop(file);
        pty.write("go\n");
        assert_eq!(pty.exit_code(), 0);
        assert!(!kept(&theirs));
    });
}

/// Whether any process has one of these namespaces as a descriptor or mounted.
fn kept(namespaces: &BTreeSet<PathBuf>) -> bool {
    let by_descriptor = |pid: u32| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut links = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
        links.any(|link| namespaces.contains(&link))
    };
    let by_mount = |pid: u32| {
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        namespaces
            .iter()
            .any(|namespace| mounts.contains(&format!(" {} ", namespace.display())))
    };
    processes().any(|pid| by_descriptor(pid) || by_mount(pid))
}
