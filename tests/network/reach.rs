//! What can be reached: every kind of place, over TCP, UDP and ICMP, from inside and (the control) from the host's own network.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::lab::{lab, shell};
use crate::support::user::programs;
use crate::support::{Test, User, as_both};

/// A run of `words` in the sandbox, where its own texts are of no interest.
pub fn boxed<const N: usize>(test: Test, network: &str, words: [&str; N]) -> Test {
    let options = ["--yes", "--quiet", "--net", network, "--exec", "--"];
    test.args_of(options.iter().chain(&words))
}

/// A test with the probe in its project.
pub fn with_probe(user: User) -> Test {
    let test = Test::new().who(user);
    std::fs::copy(probe(), test.project().join("probe")).expect("the test's own directory");
    test
}

/// The probe, built once.
pub fn probe() -> PathBuf {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let probe = programs().join("reach-probe");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/network/probe.c");
        shell(&format!(
            "cc -static -O1 -Wall -Werror -o '{0}' '{source}' && chmod 755 '{0}'",
            probe.display()
        ));
        probe
    };
    PROBE.get_or_init(build).clone()
}

/// A place, and what comes of trying it over TCP, UDP and ICMP from inside.
type Row = (&'static str, [&'static str; 3]);

/// A refusal by the rules of IPv4: at once, by TCP as a place without a way to it.
const SHUT: [&str; 3] = ["EHOSTUNREACH", "EPERM", "EPERM"];
/// There is no way at all: the sandbox has no address of IPv6.
const NO_SIX: [&str; 3] = ["ENETUNREACH", "ENETUNREACH", "ENETUNREACH"];
/// The sandbox's own loopback, on which nobody listens.
const OWN: [&str; 3] = ["ECONNREFUSED", "ECONNREFUSED", "answer"];

const INSIDE: [Row; 34] = [
    ("203.0.113.10", ["internet", "internet", "answer"]),
    ("2001:db8::10", NO_SIX),
    ("192.168.77.2", SHUT),
    ("192.168.77.1", SHUT),
    ("10.9.9.9", SHUT),
    ("172.20.0.9", SHUT),
    ("10.0.2.77", SHUT),
    ("100.64.9.9", SHUT),
    ("169.254.169.254", SHUT),
    ("192.168.77.10", SHUT),
    ("100.64.9.1", SHUT),
    ("172.17.0.1", SHUT),
    ("198.51.100.7", SHUT),
    ("198.51.100.8", SHUT),
    ("127.0.0.1", OWN),
    ("127.0.0.53", OWN),
    ("::1", OWN),
    ("0.0.0.0", OWN),
    ("10.0.2.100", OWN),
    ("10.0.2.2", SHUT),
    ("10.0.2.3", SHUT),
    ("168.63.129.16", SHUT),
    ("fd00:77::2", NO_SIX),
    ("2001:db8:77::2", NO_SIX),
    ("2001:db8:77::10", NO_SIX),
    ("fe80::1%tap0", NO_SIX),
    // Where slirp4netns has its gateway and its forwarder, if it has IPv6.
    ("fd00::2", NO_SIX),
    ("fd00::3", NO_SIX),
    ("::ffff:192.168.77.2", ["EHOSTUNREACH", "EPERM", "EINVAL"]),
    ("64:ff9b::c0a8:4d02", NO_SIX),
    ("2002:c0a8:4d02::1", NO_SIX),
    ("255.255.255.255", ["ENETUNREACH", "EACCES", "EACCES"]),
    ("192.168.77.255", SHUT),
    ("224.0.0.251", ["ENETUNREACH", "EPERM", "EPERM"]),
];

/// The same places from the host's own network: who answers there.
const CONTROL: [Row; 20] = [
    ("203.0.113.10", ["internet", "internet", "answer"]),
    ("2001:db8::10", ["internet", "internet", "answer"]),
    ("192.168.77.2", ["neighbour", "neighbour", "answer"]),
    ("192.168.77.1", ["router", "router", "answer"]),
    ("10.9.9.9", ["neighbour", "neighbour", "answer"]),
    ("172.20.0.9", ["neighbour", "neighbour", "answer"]),
    ("10.0.2.77", ["neighbour", "neighbour", "answer"]),
    ("100.64.9.9", ["tailnet", "tailnet", "answer"]),
    ("169.254.169.254", ["metadata", "metadata", "answer"]),
    ("192.168.77.10", ["machine", "machine", "answer"]),
    ("100.64.9.1", ["machine", "machine", "answer"]),
    ("172.17.0.1", ["machine", "machine", "answer"]),
    ("198.51.100.7", ["machine", "machine", "answer"]),
    ("127.0.0.1", ["machine", "machine", "answer"]),
    ("::1", ["machine", "machine", "answer"]),
    ("fd00:77::2", ["neighbour", "neighbour", "answer"]),
    ("2001:db8:77::2", ["neighbour", "neighbour", "answer"]),
    ("2001:db8:77::10", ["machine", "machine", "answer"]),
    ("::ffff:192.168.77.2", ["neighbour", "neighbour", "EINVAL"]),
    ("0.0.0.0", ["machine", "machine", "answer"]),
];

/// The probe's questions and the answers that are wanted.
fn script(rows: &[Row]) -> (String, String) {
    let (mut questions, mut answers) = (String::new(), String::new());
    for (place, wanted) in rows {
        let ways = [
            format!("tcp {place} 80"),
            format!("udp {place} 7777"),
            format!("icmp {place}"),
        ];
        for (way, wanted) in ways.iter().zip(wanted) {
            questions.push_str(&format!("{way}\n"));
            answers.push_str(&format!("{way} {wanted}\n"));
        }
    }
    (questions, answers)
}

as_both! {
    /// The table: the internet over IPv4, and nothing else of the world.
    fn the_internet_and_nothing_else(user: User) {
        lab().on_machine(|| {
            let (questions, answers) = script(&CONTROL);
            boxed(with_probe(user), "host", ["./probe"]).stdin(&questions).stdout(&answers).run();
            let (questions, answers) = script(&INSIDE);
            boxed(with_probe(user), "internet", ["./probe"]).stdin(&questions).stdout(&answers).run();
        });
    }

    /// Names resolve whatever the host's resolver is; what they lead to is judged by its address.
    fn names_resolve_whatever_the_resolver_is(user: User) {
        let questions = "names-udp 10.0.2.3\nnames-tcp 10.0.2.3\nnames-udp 192.168.77.1\n\
                         names-tcp 192.168.77.1\nnames-udp 10.0.2.2\nnames-udp 127.0.0.53\nnames-udp 203.0.113.10\n";
        let answers = "names-udp 10.0.2.3 203.0.113.10\nnames-tcp 10.0.2.3 203.0.113.10\nnames-udp 192.168.77.1 EPERM\n\
                       names-tcp 192.168.77.1 EHOSTUNREACH\nnames-udp 10.0.2.2 EPERM\nnames-udp 127.0.0.53 ECONNREFUSED\nnames-udp 203.0.113.10 203.0.113.10\n";
        for resolver in [
            "nameserver 192.168.77.1\n",
            "nameserver 127.0.0.53\noptions edns0 trust-ad\n",
            "nameserver 203.0.113.10\nnameserver 192.168.77.1\n",
            "nameserver fd00:77::1\nnameserver 192.168.77.1\n",
        ] {
            lab().on_machine_with(resolver, || {
                boxed(with_probe(user), "internet", ["./probe"]).stdin(questions).stdout(answers).run();
            });
        }
        // By the C library, with the host's search list; the names of the local network resolve and lead nowhere.
        let script = "for name in www.example.test nas rebind.example.test metadata.example.test; do \
                      getent ahostsv4 $name | head -1 | cut -d' ' -f1; ./probe tcp $(getent ahostsv4 $name | head -1 | cut -d' ' -f1) 80; done";
        let expected = "203.0.113.10\ninternet\n192.168.77.2\nEHOSTUNREACH\n192.168.77.2\nEHOSTUNREACH\n169.254.169.254\nEHOSTUNREACH\n";
        lab().on_machine(|| boxed(with_probe(user), "internet", ["sh", "-c", script]).stdout(expected).run());
    }

    /// The forwarder asks the first server alone. One that is dead is not gone around, and the audit says which is asked.
    fn a_dead_first_name_server_is_told(user: User) {
        let resolver = "nameserver 192.168.77.99\nnameserver 192.168.77.1\noptions timeout:1 attempts:1\n";
        let asks = "getent ahostsv4 www.example.test > /dev/null && echo found || echo not found";
        lab().on_machine_with(resolver, || {
            let test = Test::new().who(user);
            assert_eq!(test.control(&["sh", "-c", asks]).stdout, "found\n", "outside the second server is asked");
            let run = test.args(["--yes", "--exec", "--", "sh", "-c", asks]).start();
            assert_eq!((run.stdout.as_str(), run.exit), ("not found\n", 0), "{run:?}");
            let told: Vec<&str> = run.stderr.lines().filter(|line| line.contains("names")).collect();
            assert_eq!(told, ["  names are asked at 192.168.77.99, the first of this host's name servers, alone"], "{}", run.stderr);
        });
    }

    /// The other two networks are what they say.
    fn no_network_is_none(user: User) {
        lab().on_machine(|| {
            let questions = "tcp 203.0.113.10 80\nudp 192.168.77.2 7777\ntcp 127.0.0.1 80\n";
            let answers = "tcp 203.0.113.10 80 ENETUNREACH\nudp 192.168.77.2 7777 ENETUNREACH\ntcp 127.0.0.1 80 ECONNREFUSED\n";
            boxed(with_probe(user), "none", ["./probe"]).stdin(questions).stdout(answers).run();
        });
    }
}

/// What `--explain=HOST:PORT` answers comes from the rules that were read back here, so no lookup of the test's own is needed.
#[test]
fn the_lab_has_no_way_out_of_itself() {
    lab().on_machine(|| {
        let routes = Command::new("ip")
            .args(["route", "show", "default"])
            .output()
            .expect("ip");
        assert_eq!(
            String::from_utf8_lossy(&routes.stdout),
            "default via 192.168.77.1 dev eth0 \n"
        );
    });
}
