//! The rules that the kernel holds in front of the way out, in order: the first that a packet meets decides.
//!
//! Refusing is answered at once, never silent: a program inside sees "no route to host" and does not wait for a timeout.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::trace::DecisionId;

use super::address::{Endpoint, Prefix, Transport};
use super::{NAME_SERVER, OWN_ADDRESS};

/// The name of the table in the sandbox's own network namespace.
pub const TABLE: &str = "claudebox";
/// The name of its chain.
pub const CHAIN: &str = "out";

/// What a packet must be like to meet a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// It stays in the sandbox: it leaves by the loopback interface.
    Own,
    /// It goes to a port of an address.
    To(Endpoint),
    /// It goes to an address of a range.
    Into(Prefix),
    /// It is IPv4.
    Four,
    /// It is IPv6.
    Six,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes out.
    Accept,
    /// It is refused, and the sender is told at once.
    Reject,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which packets.
    pub packet: Packet,
    /// What becomes of them.
    pub answer: Answer,
    /// The decision behind it.
    pub decision: DecisionId,
}

/// All rules, in order. A packet that meets none is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What rules are made from, each part with its decisions.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The decision for the network itself.
    pub network: DecisionId,
    /// Single ports that the policy opens.
    pub holes: Vec<(Endpoint, DecisionId)>,
    /// Ranges that stay closed.
    pub closed: Vec<(Prefix, DecisionId)>,
    /// The decision that IPv6 stays closed.
    pub six: DecisionId,
}

impl Rules {
    /// The rules for these parts.
    ///
    /// INVARIANT(network): holes come before what is closed, and what is closed before the rest of the internet.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        let rule = |packet, answer, decision| Rule {
            packet,
            answer,
            decision,
        };
        let mut rules = vec![rule(Packet::Own, Answer::Accept, parts.network)];
        for transport in [Transport::Udp, Transport::Tcp] {
            let names = Endpoint {
                address: NAME_SERVER,
                port: 53,
                transport,
            };
            rules.push(rule(Packet::To(names), Answer::Accept, parts.network));
        }
        let holes = parts.holes.iter();
        rules.extend(holes.map(|(to, decision)| rule(Packet::To(*to), Answer::Accept, *decision)));
        let closed = parts.closed.iter();
        rules.extend(closed.map(|(range, decision)| rule(Packet::Into(*range), Answer::Reject, *decision)));
        rules.push(rule(Packet::Four, Answer::Accept, parts.network));
        rules.push(rule(Packet::Six, Answer::Reject, parts.six));
        Self(rules)
    }

    /// The rules in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rule that decides on a packet to this port, as the kernel would find it; `None` if it is dropped.
    #[must_use]
    pub fn judge(&self, address: IpAddr, port: u16, transport: Transport) -> Option<&Rule> {
        // An IPv4 address in the clothes of IPv6 is IPv4 for the kernel.
        let address = address.to_canonical();
        self.0.iter().find(|rule| match (rule.packet, address) {
            (Packet::Own, IpAddr::V4(to)) => to.is_loopback() || to.is_unspecified() || to == OWN_ADDRESS,
            (Packet::Own, IpAddr::V6(to)) => to.is_loopback() || to.is_unspecified(),
            (Packet::To(end), IpAddr::V4(to)) => end == endpoint(to, port, transport),
            (Packet::Into(range), IpAddr::V4(to)) => range.contains(to),
            (Packet::Four, IpAddr::V4(_)) | (Packet::Six, IpAddr::V6(_)) => true,
            _ => false,
        })
    }

    /// The rules as nft(8) reads and lists them.
    #[must_use]
    pub fn nft(&self) -> String {
        let mut out = format!(
            "table inet {TABLE} {{\n\tchain {CHAIN} {{\n\t\ttype filter hook output priority filter; policy drop;\n"
        );
        for rule in &self.0 {
            let packet = match rule.packet {
                Packet::Own => "oif \"lo\"".to_string(),
                Packet::To(end) => format!("ip daddr {} {} dport {}", end.address, end.transport.word(), end.port),
                Packet::Into(range) => format!("ip daddr {range}"),
                Packet::Four => "meta nfproto ipv4".into(),
                Packet::Six => "meta nfproto ipv6".into(),
            };
            let answer = match rule.answer {
                Answer::Accept => "accept",
                Answer::Reject => "reject with icmpx admin-prohibited",
            };
            let _ = writeln!(out, "\t\t{packet} {answer}");
        }
        out.push_str("\t}\n}\n");
        out
    }
}

const fn endpoint(address: Ipv4Addr, port: u16, transport: Transport) -> Endpoint {
    Endpoint {
        address,
        port,
        transport,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::net::ranges::CLOSED;
    use crate::trace::{Effect, Site, Trace};

    /// Rules with one hole in the private networks, a public address of the host's own, and a decision for each.
    pub(crate) fn sample() -> (Rules, Trace) {
        let mut trace = Trace::default();
        let mut decide = |subject: &str| trace.record(Effect::Network, subject, "why", Site::Host("network"));
        let parts = Parts {
            network: decide("internet"),
            holes: vec![("192.168.1.20:5432".parse().unwrap(), decide("hole"))],
            closed: CLOSED
                .iter()
                .map(|range| (range.prefix, range.prefix.to_string()))
                .chain([(Prefix::new(Ipv4Addr::new(203, 0, 113, 7), 24), "own".to_string())])
                .map(|(prefix, subject)| (prefix, decide(&subject)))
                .collect(),
            six: decide("six"),
        };
        (Rules::new(&parts), trace)
    }

    #[test]
    fn the_first_rule_that_is_met_decides() {
        let (rules, trace) = sample();
        let table = [
            ("127.0.0.1", 80, Transport::Tcp, "internet", Answer::Accept),
            ("::1", 80, Transport::Tcp, "internet", Answer::Accept),
            ("0.0.0.0", 80, Transport::Tcp, "internet", Answer::Accept),
            ("10.0.2.100", 80, Transport::Tcp, "internet", Answer::Accept),
            ("10.0.2.3", 53, Transport::Udp, "internet", Answer::Accept),
            ("10.0.2.3", 53, Transport::Tcp, "internet", Answer::Accept),
            ("10.0.2.3", 54, Transport::Udp, "10.0.0.0/8", Answer::Reject),
            ("10.0.2.2", 80, Transport::Tcp, "10.0.0.0/8", Answer::Reject),
            ("192.168.1.20", 5432, Transport::Tcp, "hole", Answer::Accept),
            ("192.168.1.20", 5432, Transport::Udp, "192.168.0.0/16", Answer::Reject),
            ("192.168.1.20", 5433, Transport::Tcp, "192.168.0.0/16", Answer::Reject),
            ("169.254.169.254", 80, Transport::Tcp, "169.254.0.0/16", Answer::Reject),
            (
                "::ffff:192.168.1.1",
                80,
                Transport::Tcp,
                "192.168.0.0/16",
                Answer::Reject,
            ),
            ("203.0.113.99", 443, Transport::Tcp, "own", Answer::Reject),
            ("198.51.100.1", 443, Transport::Tcp, "internet", Answer::Accept),
            ("2001:db8::1", 443, Transport::Tcp, "six", Answer::Reject),
        ];
        for (address, port, transport, subject, answer) in table {
            let rule = rules.judge(address.parse().unwrap(), port, transport).unwrap();
            let decision = trace.get(rule.decision).unwrap();
            assert_eq!(
                (decision.subject.as_str(), rule.answer),
                (subject, answer),
                "{address}:{port}"
            );
        }
    }

    #[test]
    fn the_text_is_that_of_nft() {
        let (rules, _) = sample();
        assert_eq!(
            rules.nft(),
            "table inet claudebox {
\tchain out {
\t\ttype filter hook output priority filter; policy drop;
\t\toif \"lo\" accept
\t\tip daddr 10.0.2.3 udp dport 53 accept
\t\tip daddr 10.0.2.3 tcp dport 53 accept
\t\tip daddr 192.168.1.20 tcp dport 5432 accept
\t\tip daddr 0.0.0.0/8 reject with icmpx admin-prohibited
\t\tip daddr 10.0.0.0/8 reject with icmpx admin-prohibited
\t\tip daddr 100.64.0.0/10 reject with icmpx admin-prohibited
\t\tip daddr 127.0.0.0/8 reject with icmpx admin-prohibited
\t\tip daddr 168.63.129.16 reject with icmpx admin-prohibited
\t\tip daddr 169.254.0.0/16 reject with icmpx admin-prohibited
\t\tip daddr 172.16.0.0/12 reject with icmpx admin-prohibited
\t\tip daddr 192.0.0.0/24 reject with icmpx admin-prohibited
\t\tip daddr 192.168.0.0/16 reject with icmpx admin-prohibited
\t\tip daddr 198.18.0.0/15 reject with icmpx admin-prohibited
\t\tip daddr 224.0.0.0/4 reject with icmpx admin-prohibited
\t\tip daddr 240.0.0.0/4 reject with icmpx admin-prohibited
\t\tip daddr 203.0.113.0/24 reject with icmpx admin-prohibited
\t\tmeta nfproto ipv4 accept
\t\tmeta nfproto ipv6 reject with icmpx admin-prohibited
\t}
}
"
        );
    }
}
