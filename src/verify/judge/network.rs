//! Who can be reached: sockets of the host, its network, its Nix daemon.

use std::net::SocketAddr;

use rustix::io::Errno;

use super::{Evidence, Judged, Outcome, ask, count, reached};
use crate::draft::Network;
use crate::host::nix::daemon;
use crate::invariants::plan::NixWay;
use crate::net::Port;
use crate::net::address::Transport;
use crate::net::reach::{self, Place, Target};
use crate::path::printable;
use crate::verify::message::{Nix, Try};
use crate::view::Kind;

impl Evidence<'_> {
    /// No daemon of the host can be reached by its socket.
    pub(super) fn sockets(&self) -> Judged {
        let (mut leaks, mut open) = (Vec::new(), Vec::new());
        let known = ask::sockets(self.case);
        for (path, result) in self.questions.sockets.iter().zip(&self.answers.sockets) {
            let path = path.as_path();
            let name = printable(path.as_os_str());
            let whose = known.iter().find(|(known, _)| known.as_path() == path);
            let whose = whose.map_or("the canary in the host's /tmp", |(_, whose)| whose);
            let seen = self.view.see(path);
            if reached(result) {
                if seen.kind == Kind::Socket {
                    open.push(format!("`{name}`"));
                } else {
                    leaks.push(format!("`{name}` can be reached: {whose}"));
                }
            } else if self.look(path).is_some_and(|look| look.kind == "socket") && seen.kind != Kind::Socket {
                leaks.push(format!("`{name}` is seen: {whose}"));
            }
        }
        let host = self.case.plan.network() == Network::Host;
        if self.answers.abstract_socket == Try::Done {
            if host {
                open.push("every abstract socket".into());
            } else {
                leaks.push("the abstract sockets of this host can be reached".into());
            }
        }
        if leaks.is_empty() && !open.is_empty() {
            let site = self.site(self.case.plan.network_decision());
            let why = if host { format!(" ({site})") } else { String::new() };
            return Judged::plain(Outcome::Open, format!("the plan leaves open: {}{why}", open.join(", ")));
        }
        let tried = count(self.questions.sockets.len(), "place", "places");
        Judged::of(
            leaks,
            format!("{tried} where something of this host may listen, and an abstract one: none answers"),
        )
    }

    /// The host, its networks and the machines around it cannot be reached, but for what the plan opens.
    pub(super) fn network(&self) -> Judged {
        let plan = self.case.plan;
        if plan.network() == Network::Host {
            let site = self.site(plan.network_decision());
            return Judged::plain(
                Outcome::Open,
                format!("it is this host's own, and was not tried out ({site})"),
            );
        }
        let mut leaks: Vec<String> = self.shared("net").into_iter().collect();
        let mut tried = 0;
        for (address, result) in self.questions.addresses.iter().zip(&self.answers.addresses) {
            if self.is_open(address) {
                continue;
            }
            tried += 1;
            let how = match result {
                Try::Done => "answers",
                Try::Refused(error) if *error == Errno::CONNREFUSED.raw_os_error() && !address.ip().is_loopback() => {
                    "was reached, and refused"
                }
                // A rule refuses at once: this one let it out.
                Try::Silence => "was not refused at once",
                Try::Refused(_) => continue,
            };
            leaks.push(format!("{address} {how}"));
        }
        Judged::of(
            leaks,
            format!(
                "`{}`: {} of this host and its networks refused at once, a canary on its loopback among them",
                plan.network().word(),
                count(tried, "address", "addresses")
            ),
        )
    }

    /// Whether the plan lets the sandbox reach an address. On its loopback that is nobody but itself, save a port of the
    /// host that the plan carries over.
    fn is_open(&self, address: &SocketAddr) -> bool {
        let plan = self.case.plan;
        if address.ip().is_loopback() {
            let carried = |port: &Port| port.number == address.port();
            return plan
                .internet()
                .is_some_and(|internet| internet.host_ports.iter().any(carried));
        }
        let target = Target {
            place: Place::Address(address.ip()),
            port: address.port(),
            transport: Transport::Tcp,
        };
        reach::ask(plan.parts(), &target).is_open() == Some(true)
    }

    /// A daemon that trusts the sandbox would be root for it.
    pub(super) fn nix(&self) -> Judged {
        let way = self.case.plan.nix().map(|nix| &nix.way);
        match (way, &self.answers.nix) {
            (None | Some(NixWay::Outside), Nix::Unreachable) => {
                Judged::plain(Outcome::Holds, format!("none can be reached at `{}`", daemon::SOCKET))
            }
            (None | Some(NixWay::Outside), Nix::Answers(_)) => Judged::plain(
                Outcome::Leaks,
                format!("one answers at `{}`, and nobody decided that", daemon::SOCKET),
            ),
            (Some(_), Nix::Answers(Some(false))) => Judged::plain(
                Outcome::Holds,
                "it says that it does not trust the sandbox; what it fetches for it, it fetches by this host's network",
            ),
            (Some(_), Nix::Answers(Some(true))) => Judged::plain(
                Outcome::Leaks,
                "it says that it trusts the sandbox, which can be root by it",
            ),
            (Some(_), Nix::Answers(None)) => Judged::untested("it is too old to say whether it trusts the sandbox"),
            (Some(_), Nix::Unreachable) => Judged::untested("the plan shows it, and it does not answer"),
        }
    }
}
