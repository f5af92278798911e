//! Whether a port can be reached from inside, and which decision says so: the answer of `--explain=HOST:PORT`, found in the
//! very rules that the kernel gets.

use std::fmt;
use std::net::IpAddr;

use crate::draft::Network;
use crate::invariants::plan::Parts;
use crate::trace::DecisionId;

use super::address::{Transport, port_number};
use super::broker::BROKERED;
use super::name::Name;
use super::rules::{Answer, Packet};
use super::{NAME_SERVER, Port};

/// Whom the question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address.
    Address(IpAddr),
    /// A name. Where it leads is not known here: whoever asks may resolve it, and ask about each address.
    Name(String),
}

/// A question: `HOST:PORT`, `[ADDRESS]:PORT`, either with `/tcp` or `/udp` after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whom.
    pub place: Place,
    /// Which port.
    pub port: u16,
    /// How.
    pub transport: Transport,
}

impl Target {
    /// Reads a question. `None` if the text is no question about the network: it may be a path or a variable.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, transport) = match text.rsplit_once('/') {
            Some((rest, "udp")) => (rest, Transport::Udp),
            Some((rest, "tcp")) => (rest, Transport::Tcp),
            Some(_) => return None,
            None => (text, Transport::Tcp),
        };
        let (host, port) = rest.rsplit_once(':')?;
        let port = port_number(port)?;
        let place = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(six) => Place::Address(IpAddr::V6(six.parse().ok()?)),
            None => match host.parse() {
                Ok(IpAddr::V4(four)) => Place::Address(IpAddr::V4(four)),
                // Without brackets it is not clear where the address ends.
                Ok(IpAddr::V6(_)) => return None,
                Err(_) => Place::Name(name(host)?),
            },
        };
        Some(Self { place, port, transport })
    }
}

/// A name of a host: letters, digits, hyphens and dots (RFC 1123), and something other than digits in it.
fn name(text: &str) -> Option<String> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let named = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    (named && text.bytes().all(letters) && !text.starts_with(['-', '.'])).then(|| text.to_ascii_lowercase())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Address(IpAddr::V6(six)) => write!(f, "[{six}]:{}", self.port)?,
            Place::Address(four) => write!(f, "{four}:{}", self.port)?,
            Place::Name(name) => write!(f, "{name}:{}", self.port)?,
        }
        match self.transport {
            Transport::Tcp => Ok(()),
            Transport::Udp => f.write_str("/udp"),
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It can be reached, by this decision.
    Open {
        /// The decision.
        decision: DecisionId,
        /// What stands at the other end.
        what: &'static str,
    },
    /// It cannot, by this decision.
    Shut {
        /// The decision.
        decision: DecisionId,
        /// What happens to who tries.
        what: &'static str,
    },
    /// It is a name, and its address decides.
    ByAddress,
}

/// Answers for the parts of a plan, or of one that was refused.
#[must_use]
pub fn ask(plan: &Parts, target: &Target) -> Reach {
    let decision = plan.network_decision;
    if let Place::Name(name) = &target.place
        && let Some(reach) = ask_broker(plan, name, target)
    {
        return reach;
    }
    let address = match &target.place {
        Place::Address(address) => *address,
        Place::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
        }
        Place::Name(_) => match plan.network {
            Network::None => {
                return Reach::Shut {
                    decision,
                    what: NO_NETWORK,
                };
            }
            Network::Allowlist => {
                return Reach::Shut {
                    decision,
                    what: "no `net::allow_host` names it, so its name does not resolve",
                };
            }
            Network::Host => {
                return Reach::Open {
                    decision,
                    what: AS_HOST,
                };
            }
            Network::Internet => return Reach::ByAddress,
        },
    };
    let loopback = address.to_canonical().is_loopback();
    match (plan.network, plan.internet.as_ref()) {
        (Network::Host, _) => Reach::Open {
            decision,
            what: AS_HOST,
        },
        (Network::Internet, Some(internet)) if loopback && target.transport == Transport::Tcp => {
            let find = |ports: &[Port]| ports.iter().find(|port| port.number == target.port).copied();
            if let Some(port) = find(&internet.host_ports) {
                let what = "it is this host's own port, carried into the sandbox";
                Reach::Open {
                    decision: port.decision,
                    what,
                }
            } else if let Some(port) = find(&internet.published) {
                let what = "it is the sandbox's own port, and this host sees it too";
                Reach::Open {
                    decision: port.decision,
                    what,
                }
            } else {
                Reach::Open { decision, what: OWN }
            }
        }
        (Network::Internet, Some(internet)) => match internet.rules.judge(address, target.port, target.transport) {
            Some(rule) => {
                let decision = rule.decision;
                match (rule.answer, rule.packet) {
                    (Answer::Accept, Packet::Own) => Reach::Open { decision, what: OWN },
                    (Answer::Accept, Packet::To(end)) if end.address == NAME_SERVER => {
                        let what = "it is the network's own forwarder, which asks this host's name server";
                        Reach::Open { decision, what }
                    }
                    (Answer::Accept, Packet::To(_)) => {
                        let what = "the policy opens this port";
                        Reach::Open { decision, what }
                    }
                    (Answer::Accept, _) => {
                        let what = "it is part of the internet";
                        Reach::Open { decision, what }
                    }
                    (Answer::Reject, _) => {
                        let what = "a connection is refused at once";
                        Reach::Shut { decision, what }
                    }
                }
            }
            None => Reach::Shut {
                decision,
                what: "no rule lets it out",
            },
        },
        (Network::Allowlist, _) if !loopback => Reach::Shut {
            decision,
            what: "in this network hosts are reached by name alone",
        },
        (Network::None | Network::Allowlist, _) if loopback => Reach::Open { decision, what: OWN },
        _ => Reach::Shut {
            decision,
            what: NO_NETWORK,
        },
    }
}

/// What the broker does with a name; `None` where it has nothing to do with it.
fn ask_broker(plan: &Parts, name: &str, target: &Target) -> Option<Reach> {
    let name: Name = name.parse().ok()?;
    let brokered = plan.broker.as_ref().is_some_and(|broker| broker.brokered);
    let own = BROKERED.iter().any(|(brokered, _)| name.as_str() == *brokered);
    let names = plan.names.as_ref();
    let allowed = names.and_then(|names| names.iter().find(|(pattern, _)| pattern.matches(&name)));
    let (decision, what, ports): (DecisionId, &str, &[u16]) = if brokered && own {
        let what = "the broker answers there, and speaks for Claude Code";
        (plan.credentials.decision, what, &[443])
    } else {
        let (_, decision) = allowed?;
        (*decision, "the broker carries the connection over to it", &PORTS)
    };
    let open = target.transport == Transport::Tcp && ports.contains(&target.port);
    Some(if open {
        Reach::Open { decision, what }
    } else {
        let what = "the broker answers on the ports of the web alone, 443 and 80";
        Reach::Shut { decision, what }
    })
}

/// The ports on which named hosts are reached.
const PORTS: [u16; 2] = [443, 80];

const OWN: &str = "it is the sandbox's own loopback, not this host's";
const AS_HOST: &str = "the network is this host's own: what this host can reach, the sandbox can";
const NO_NETWORK: &str = "there is no network";

impl Reach {
    /// Whether it can be reached; `None` where its address decides.
    #[must_use]
    pub fn is_open(&self) -> Option<bool> {
        match self {
            Self::Open { .. } => Some(true),
            Self::Shut { .. } => Some(false),
            Self::ByAddress => None,
        }
    }

    /// The decision that says so.
    #[must_use]
    pub fn decision(&self) -> Option<DecisionId> {
        match self {
            Self::Open { decision, .. } | Self::Shut { decision, .. } => Some(*decision),
            Self::ByAddress => None,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { what, .. } => write!(f, "can be reached: {what}"),
            Self::Shut { what, .. } => write!(f, "cannot be reached: {what}"),
            Self::ByAddress => f.write_str(
                "is a name, and its address decides: one of the internet can be reached, one of the local network or of this \
                 host cannot",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_host_and_a_port() {
        let table = [
            ("192.168.1.20:5432", Some("192.168.1.20:5432")),
            ("192.168.1.20:53/udp", Some("192.168.1.20:53/udp")),
            ("[::1]:80/tcp", Some("[::1]:80")),
            ("GitHub.com:443", Some("github.com:443")),
            ("localhost:3000", Some("localhost:3000")),
            ("fe80::1:80", None),
            ("[127.0.0.1]:80", None),
            ("github.com", None),
            ("github.com:", None),
            ("github.com:0", None),
            ("192.168.1:80", None),
            ("/etc/passwd:1", None),
            ("HOME", None),
            ("a b:80", None),
            ("x:80/sctp", None),
        ];
        for (text, shown) in table {
            let parsed = Target::parse(text).map(|target| target.to_string());
            assert_eq!(parsed.as_deref(), shown, "{text:?}");
        }
    }
}
