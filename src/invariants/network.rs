//! `network`: the network is the one that was decided. For `internet` this is where its rules are made: what is never the
//! internet stays closed, whatever a policy says; what a policy may open is checked one by one.

use std::net::Ipv4Addr;

use crate::diagnostic::Diagnostic;
use crate::draft::{Network, Opening};
use crate::net::address::{Endpoint, Prefix};
use crate::net::name::Pattern;
use crate::net::ranges::{CLOSED, never_opened};
use crate::net::rules::{Parts, Rules};
use crate::net::{Internet, NAME_SERVER, Port, RESOLV_CONF};
use crate::path::SandboxPath;
use crate::trace::{DecisionId, Effect};

use super::credentials::Keeping;
use super::plan::{Mount, What};
use super::{Checker, Fate};

/// The network of slirp4netns itself: what has such an address on the local network cannot be reached past it.
const SLIRP: Prefix = Prefix::new(NAME_SERVER, 24);

/// A link as wide as this, or wider, is no local network but a way to the whole internet: its own address alone is closed.
const WIDEST_LINK: u8 = 7;

/// The network that was chosen, and what it is made of.
pub(super) struct Chosen {
    pub kind: Network,
    pub decision: DecisionId,
    pub internet: Option<Internet>,
    pub names: Option<Vec<(Pattern, DecisionId)>>,
}

impl Checker<'_> {
    /// INVARIANT(network): without a decision there is no network.
    pub(super) fn network(&mut self, keeping: &Keeping) -> Chosen {
        let (kind, decision) = self.draft.network.unwrap_or_else(|| {
            let decision = self.host_rule(Effect::Network, "none", "no policy decided on a network", "network");
            (Network::None, decision)
        });
        let openings = std::mem::take(&mut self.draft.openings);
        let mut chosen = Chosen {
            kind,
            decision,
            internet: None,
            names: None,
        };
        match kind {
            Network::Internet => {
                self.name_servers_file();
                chosen.internet = Some(self.internet(decision, openings));
            }
            Network::Allowlist => chosen.names = Some(self.named_hosts(openings, decision, keeping)),
            Network::None | Network::Host => {
                for (opening, decision) in openings {
                    if let Opening::Names(pattern) = opening {
                        self.idle_name(&pattern, decision, kind);
                        continue;
                    }
                    let why = format!("the network is `{}`, in which nothing is opened", kind.word());
                    self.fates.insert(decision, Fate::Idle(why));
                }
            }
        }
        chosen
    }

    /// The host's name servers cannot be reached from this network: the forwarder takes their place.
    fn name_servers_file(&mut self) {
        let Ok(at) = SandboxPath::new(RESOLV_CONF) else {
            return;
        };
        let decision = self.host_rule(
            Effect::Text,
            RESOLV_CONF,
            "the network's own forwarder, which asks the host's name server",
            "network",
        );
        for mount in self.mounts.extract_if(.., |mount| mount.at == at) {
            self.fates.insert(mount.decision, Fate::Overridden(decision));
        }
        let text = self.host.network.resolver.inside(NAME_SERVER);
        self.mounts.push(Mount {
            at,
            what: What::Text(text.into_bytes()),
            decision,
        });
    }

    fn internet(&mut self, network: DecisionId, openings: Vec<(Opening, DecisionId)>) -> Internet {
        let mut parts = Parts {
            network,
            holes: Vec::new(),
            closed: self.closed(),
            six: self.host_rule(
                Effect::Close,
                "IPv6",
                "the way out is made for IPv4; every rule would be needed twice",
                "network",
            ),
        };
        let (mut host_ports, mut published): (Vec<Port>, Vec<Port>) = (Vec::new(), Vec::new());
        for (opening, decision) in openings {
            match opening {
                Opening::Address(end) => self.hole(end, decision, &mut parts),
                Opening::HostPort(number) => self.carried(number, decision, &mut host_ports, &published),
                Opening::Publish(number) => self.carried(number, decision, &mut published, &host_ports),
                Opening::Names(pattern) => self.idle_name(&pattern, decision, Network::Internet),
            }
        }
        Internet {
            rules: Rules::new(&parts),
            host_ports,
            published,
            name_servers: self.host.network.resolver.usable(),
        }
    }

    /// What stays closed: ranges that are never the internet, then the host's own addresses and links.
    fn closed(&mut self) -> Vec<(Prefix, DecisionId)> {
        let mut closed: Vec<(Prefix, DecisionId)> = CLOSED
            .iter()
            .map(|range| {
                let decision = self.host_rule(Effect::Close, range.prefix.to_string(), range.reason, "network");
                (range.prefix, decision)
            })
            .collect();
        let own = match self.host.network.own() {
            Ok(own) => own.clone(),
            Err(why) => {
                self.refuse(
                    Diagnostic::new("network", format!("this host's own addresses cannot be listed: {why}")).hint(
                        "they must be known to be closed; choose `--net none`, or `--net host`, which is not isolated",
                    ),
                );
                Vec::new()
            }
        };
        let links = own
            .iter()
            .filter(|own| own.link.length() > WIDEST_LINK)
            .map(|own| (own.link, "a network that this host is connected to"));
        let addresses = own
            .iter()
            .map(|own| (Prefix::one(own.address), "an address of this host"));
        for (range, why) in links.chain(addresses) {
            if !closed.iter().any(|(known, _)| range.within(*known)) {
                let decision = self.host_rule(Effect::Close, range.to_string(), why, "network");
                closed.push((range, decision));
            }
        }
        closed
    }

    /// One port of one address, if it may be opened.
    fn hole(&mut self, end: Endpoint, decision: DecisionId, parts: &mut Parts) {
        if let Some(error) = never(end) {
            return self.violation(error, decision);
        }
        if let Some((_, first)) = parts.holes.iter().find(|(known, _)| *known == end) {
            self.fates.insert(decision, Fate::Overridden(*first));
        } else if parts.closed.iter().any(|(range, _)| range.contains(end.address)) {
            parts.holes.push((end, decision));
        } else {
            let why = "it is part of the internet, which can be reached anyway";
            self.fates.insert(decision, Fate::Idle(why.into()));
        }
    }

    /// One port that is carried over between the loopbacks, if nothing else is carried on it.
    fn carried(&mut self, number: u16, decision: DecisionId, same: &mut Vec<Port>, other: &[Port]) {
        if let Some(first) = same.iter().find(|port| port.number == number) {
            self.fates.insert(decision, Fate::Overridden(first.decision));
        } else if other.iter().any(|port| port.number == number) {
            let error = Diagnostic::new(
                "network",
                format!("the port {number} cannot be both the host's and the sandbox's own"),
            )
            .hint("keep either `net::allow_host_port` or `net::publish` for it");
            self.violation(error, decision);
        } else {
            same.push(Port { number, decision });
        }
    }
}

/// Why a port of this address cannot be opened.
fn never(end: Endpoint) -> Option<Diagnostic> {
    let error = |why: &str| Diagnostic::new("network", format!("`{end}` cannot be opened: {why}"));
    let address: Ipv4Addr = end.address;
    if address.is_loopback() || address.is_unspecified() {
        let hint = format!(
            "`net::allow_host_port({}, why)` shows a port of this host's loopback",
            end.port
        );
        return Some(error("inside, that address is the sandbox's own").hint(hint));
    }
    if let Some(why) = never_opened(address) {
        return Some(error(why).hint("no policy can open it"));
    }
    SLIRP
        .contains(address)
        .then(|| error("the sandbox's own network has these addresses").hint("give that machine another address"))
}
