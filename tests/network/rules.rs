//! The rules as the kernel has them: read back by nft(8), which knows nothing of our encoder.

use std::io::{BufRead, BufReader};
use std::process::Command;

use super::lab::lab;
use super::reach::{boxed, with_probe};
use crate::support::{Test, User, as_both};

/// What a closed range looks like.
fn closed(ranges: &[&str]) -> String {
    let line = |range: &&str| format!("\t\tip daddr {range} reject with icmpx admin-prohibited\n");
    ranges.iter().map(line).collect()
}

as_both! {
    /// Every rule, in order, and no other table.
    fn the_kernel_has_the_rules_of_the_plan(user: User) {
        lab().on_machine(|| {
            let policy = "fn network(host) { base::network(host); net::allow(\"192.168.77.2:7777/udp\", \"x\"); net::allow(\"10.9.9.9:80\", \"y\"); }";
            let test = boxed(Test::new().who(user).policy(policy), "internet", ["sh", "-c", "echo ready; exec sleep 600"]);
            let mut running = test.spawn();
            let mut line = String::new();
            BufReader::new(running.stdout()).read_line(&mut line).expect("the payload's first line");
            let network = format!("--net=/proc/{}/ns/net", running.pid());
            let list = Command::new("nsenter").args([&network, "nft", "list", "ruleset"]).output().expect("nsenter");
            let expected = format!(
                "table inet claudebox {{\n\tchain out {{\n\t\ttype filter hook output priority filter; policy drop;\n\
                 \t\toif \"lo\" accept\n\t\tip daddr 10.0.2.3 udp dport 53 accept\n\t\tip daddr 10.0.2.3 tcp dport 53 accept\n\
                 \t\tip daddr 192.168.77.2 udp dport 7777 accept\n\t\tip daddr 10.9.9.9 tcp dport 80 accept\n{}\
                 \t\tmeta nfproto ipv4 accept\n\t\tmeta nfproto ipv6 reject with icmpx admin-prohibited\n\t}}\n}}\n",
                closed(&[
                    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16", "169.254.0.0/16", "172.16.0.0/12",
                    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "198.51.100.0/28",
                ])
            );
            assert_eq!(String::from_utf8_lossy(&list.stdout).replace(" ; policy", "; policy"), expected);
        });
    }

    /// What a dry run prints is the same network by the tools of the distribution.
    fn a_dry_run_of_the_network_can_be_pasted(user: User) {
        lab().on_machine(|| {
            let payload = "cat /etc/resolv.conf; for to in 203.0.113.10 192.168.77.2 192.168.77.10; do ./probe tcp $to 80; done; exit 7";
            let test = with_probe(user).args(["--dry-run", "--net", "internet", "--exec", "--", "sh", "-c", payload]);
            let printed = test.start();
            assert_eq!((printed.stderr.as_str(), printed.exit), ("", 0));
            let pasted = test.control(&["bash", "--norc", "--noprofile", "-c", &test.fill(&printed.stdout)]);
            let started = boxed(test.clone(), "internet", ["sh", "-c", payload]).start();
            // slirp4netns has something to say for itself, which a launch keeps for its own errors.
            assert_eq!((pasted.stdout, pasted.exit), (started.stdout.clone(), started.exit), "{}", pasted.stderr);
            assert_eq!(started.exit, 7);
            assert!(started.stdout.ends_with("internet\nEHOSTUNREACH\nEHOSTUNREACH\n"), "{}", started.stdout);
        });
    }
}
