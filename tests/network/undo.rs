//! Attempts to undo the isolation from inside, and to get past it. Each is first shown to work where nothing stops it.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::lab::lab;
use super::reach::{boxed, with_probe};
use crate::support::{User, as_both};

/// Attempts to change the network, for a shell.
const CHANGES: [&str; 25] = [
    "ip route del default",
    "ip route add 192.168.77.2 dev tap0",
    "ip rule add to 192.168.77.2 lookup main",
    "ip neigh add 192.168.77.2 lladdr 52:55:0a:00:02:02 dev tap0",
    "ip addr add 192.168.77.99/24 dev tap0",
    "ip link add other type bridge",
    "ip link set tap0 down",
    "nft list ruleset",
    "nft add table inet other",
    "nft flush ruleset",
    "nft delete table inet claudebox",
    "unshare --user --map-root-user ip route add 192.168.77.2 dev lo",
    "unshare --user --map-root-user nft flush ruleset",
    "nsenter --net=/proc/1/ns/net true",
    "sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'",
    "sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/disable_ipv6'",
    // A procfs and a sysfs of one's own, should the sandbox's be closed.
    "unshare --user --map-root-user unshare --mount --pid --fork sh -c 'mount -t proc proc /proc && echo 1 > /proc/sys/net/ipv4/ip_forward'",
    "unshare --user --map-root-user unshare --mount sh -c 'mount -t sysfs sysfs /sys && echo 1400 > /sys/class/net/tap0/mtu'",
    "unshare --user --map-root-user nsenter --net=/proc/1/ns/net ip link set tap0 down",
    "unshare --user --map-root-user sh -c 'test \"$(./probe packet)\" = done'",
    "unshare --user --map-root-user sh -c 'test \"$(./probe raw)\" = done'",
    "unshare --user --map-root-user sh -c 'test \"$(./probe tun)\" = done'",
    "test \"$(./probe packet)\" = done",
    "test \"$(./probe raw)\" = done",
    "test \"$(./probe tun)\" = done",
];

/// A line for each attempt: whether it worked.
fn script(attempts: &[&str]) -> String {
    attempts
        .iter()
        .map(|attempt| format!("{attempt} > /dev/null 2>&1 && echo done || echo failed\n"))
        .collect()
}

as_both! {
    /// The namespace belongs to nobody inside: not to the payload, and to no root that it makes itself.
    fn nothing_inside_changes_the_network(user: User) {
        lab().on_machine(|| {
            // The naive way: the payload owns its namespace. Two attempts would end each other's ground, so the table is made anew.
            let ground = "ip link set lo up; ip link add tap0 type bridge; ip link set tap0 up; ip addr add 10.0.2.100/24 dev tap0; \
                          ip route add default via 10.0.2.2; ip link add name spare type bridge";
            let naive = |attempt: &str| {
                // Here the payload is root already, and a nested one would own nothing.
                let attempt = attempt.replace("unshare --user --map-root-user ", "");
                let line = format!("{ground}; nft add table inet claudebox; {}", script(&[&attempt]));
                let test = with_probe(user);
                let run = test.control(&["unshare", "--user", "--map-root-user", "--net", "--mount-proc", "--fork", "--pid", "sh", "-c", &line]);
                format!("{attempt}: {}", run.stdout)
            };
            for attempt in CHANGES {
                let seen = naive(attempt);
                assert!(seen.ends_with(": done\n"), "the control failed: {seen}");
            }

            let questions = "./probe tcp 192.168.77.2 80; ./probe udp 192.168.77.2 7777; ./probe tcp 203.0.113.10 80";
            let line = format!("{}{questions}", script(&CHANGES));
            let expected = format!("{}EHOSTUNREACH\nEPERM\ninternet\n", "failed\n".repeat(CHANGES.len()));
            boxed(with_probe(user), "internet", ["sh", "-c", &line]).stdout(&expected).run();
        });
    }

    /// A network that the payload makes for itself leads nowhere: not to the internet, not to the sandbox's own loopback.
    fn a_network_made_inside_leads_nowhere(user: User) {
        lab().on_machine(|| {
            let asks = "ip link set lo up; for to in 203.0.113.10 192.168.77.2 10.0.2.3; do ./probe tcp $to 80; done";
            let nested = format!("unshare --user --map-root-user --net sh -c '{asks}'");
            let expected = "ENETUNREACH\nENETUNREACH\nENETUNREACH\n";
            boxed(with_probe(user), "internet", ["sh", "-c", &nested]).stdout(expected).run();
        });
    }

    /// Ways of sending that pass by the routes, which therefore are no isolation. A route in the packet is for those alone who may
    /// send raw ones, so it is refused on the host's network too: it is asked to show that the sandbox gives no such right.
    fn no_socket_option_gets_past_the_rules(user: User) {
        let ways = |device: &str, tailnet: &str| {
            format!(
                "device-tcp {device} 192.168.77.2 80\ndevice-udp {device} 192.168.77.2 7777\ndevice-tcp {device} 169.254.169.254 80\n\
                 device-udp {tailnet} 100.64.9.9 7777\npacket-info {device} 192.168.77.2 7777\nno-route 192.168.77.2 7777\n\
                 source-route 192.168.77.1 192.168.77.2 80\ntcp 192.168.77.2 80\n"
            )
        };
        let answers = |ways: &str, answers: [&str; 8]| -> String {
            ways.lines().zip(answers).map(|(way, answer)| format!("{way} {answer}\n")).collect()
        };
        lab().on_machine(|| {
            let asked = ways("eth0", "tailscale0");
            let open = ["neighbour", "neighbour", "metadata", "tailnet", "neighbour", "neighbour", "EPERM", "neighbour"];
            boxed(with_probe(user), "host", ["./probe"]).stdin(&asked).stdout(&answers(&asked, open)).run();

            let asked = ways("tap0", "tap0");
            let shut = ["EHOSTUNREACH", "EPERM", "EHOSTUNREACH", "EPERM", "EPERM", "ENETUNREACH", "EPERM", "EHOSTUNREACH"];
            boxed(with_probe(user), "internet", ["./probe"]).stdin(&asked).stdout(&answers(&asked, shut)).run();
        });
    }

    /// A socket belongs to the namespace it was made in: one that the caller left open would be a way out.
    fn no_socket_is_inherited(user: User) {
        lab().on_machine(|| {
            let planted = || with_probe(user).before(&["[PROJECT]/probe", "plant", "9"]);
            let naive = planted().control(&["bwrap", "--dev-bind", "/", "/", "--unshare-net", "./probe", "inherited", "9", "192.168.77.2", "7777"]);
            assert_eq!(naive.stdout, "neighbour\n", "{naive:?}");
            let words = ["./probe", "inherited", "9", "192.168.77.2", "7777"];
            boxed(planted(), "internet", words).stdout("EBADF\n").run();
        });
    }

    /// Abstract sockets belong to the network namespace too, so mounts do not hide them, and this network does.
    fn no_abstract_socket_of_the_host_is_seen(user: User) {
        lab().on_machine(|| {
            let name = format!("claudebox-test-{user:?}");
            let place = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
            let listener = UnixListener::bind_addr(&place).expect("a name of our own");
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let _ = writeln!(stream, "machine");
                }
            });
            boxed(with_probe(user), "host", ["./probe", "abstract", &name]).stdout("machine\n").run();
            boxed(with_probe(user), "internet", ["./probe", "abstract", &name]).stdout("ECONNREFUSED\n").run();
        });
    }

    /// The processes beside the sandbox are out of reach: not seen, and not to be joined.
    fn the_helpers_are_not_seen(user: User) {
        lab().on_machine(|| {
            let script = "cat /proc/[0-9]*/comm | sort -u; ls -l /proc/1/fd | grep -c socket";
            let expected = "bwrap\ncat\nls\nsh\nsort\n";
            let run = boxed(with_probe(user), "internet", ["sh", "-c", script]).start();
            for name in run.stdout.lines() {
                assert!(expected.contains(name) || name == "grep" || name == "0" || name == "init", "{run:?}");
            }
            assert!(!run.stdout.contains("slirp"), "{run:?}");
        });
    }
}
