//! What the broker needs of the sandbox: the network's files that lead to it, its certificate, and the hosts that it lets be
//! reached.

use crate::diagnostic::Diagnostic;
use crate::draft::{Network, Opening};
use crate::net::RESOLV_CONF;
use crate::net::broker::{BROKERED, NAME_SERVER};
use crate::net::name::Pattern;
use crate::net::resolver::Resolver;
use crate::path::{EnvName, SandboxPath};
use crate::request::{Program, Request};
use crate::trace::{DecisionId, Effect, Site};

use super::credentials::{CODE, Keeping};
use super::network::Chosen;
use super::plan::{Broker, Mount, What};
use super::{Checker, Fate};

/// The names inside.
const HOSTS: &str = "/etc/hosts";
/// The certificates for Claude Code: those that the host adds, and the broker's.
pub(super) const CERTIFICATES: &str = "/run/claudebox-certificates/session.pem";
/// The variable that names them.
pub(super) const CERTIFICATES_VARIABLE: &str = "NODE_EXTRA_CA_CERTS";

/// The longest file of that kind that is read, in bytes.
const FILE_MAX: u64 = 4 * 1024 * 1024;

impl Checker<'_> {
    /// The hosts of the network `allowlist`. INVARIANT(network): without the broker there is no way to them.
    pub(super) fn named_hosts(
        &mut self,
        openings: Vec<(Opening, DecisionId)>,
        decision: DecisionId,
        keeping: &Keeping,
    ) -> Vec<(Pattern, DecisionId)> {
        if let Err(missing) = &self.host.broker {
            let error = Diagnostic::new(
                "network",
                format!("the network `allowlist` needs the broker: {}", missing.message),
            );
            let hint = missing.hint.clone().unwrap_or_default();
            self.violation(error.hint(hint), decision);
        }
        let mut names: Vec<(Pattern, DecisionId)> = Vec::new();
        if !keeping.outside() {
            for (name, _) in BROKERED {
                let decision = self.host_rule(Effect::Open, name, "Claude Code's own service", "network");
                names.extend(name.parse().map(|name| (name, decision)));
            }
        }
        for (opening, decision) in openings {
            match opening {
                Opening::Names(pattern) => match names.iter().find(|(known, _)| *known == pattern) {
                    Some((_, first)) => {
                        self.fates.insert(decision, Fate::Overridden(*first));
                    }
                    None => names.push((pattern, decision)),
                },
                _ => {
                    let why = "the network is `allowlist`, in which hosts are opened by name alone";
                    self.fates.insert(decision, Fate::Idle(why.into()));
                }
            }
        }
        names
    }

    /// A name that the command line asks for and that nothing comes of is a mistake that the user should hear of.
    pub(super) fn idle_name(&mut self, pattern: &Pattern, decision: DecisionId, network: Network) {
        let asked = self
            .trace
            .get(decision)
            .is_some_and(|decision| matches!(decision.site, Site::Option(_)));
        if asked {
            let network = network.word();
            let error = Diagnostic::new(
                "allow-host",
                format!("nothing comes of `{pattern}`: the network is `{network}`"),
            );
            self.violation(
                error.hint("add `--net allowlist`, or leave `--allow-host` out"),
                decision,
            );
        } else {
            let why = "names count in the network `allowlist` alone";
            self.fates.insert(decision, Fate::Idle(why.into()));
        }
    }

    /// The broker of this launch, and the files inside that lead to it; `None` where there is nothing for it to do.
    pub(super) fn broker(&mut self, keeping: &Keeping, network: &Chosen, request: &Request) -> Option<Broker> {
        let own_network = matches!(network.kind, Network::Internet | Network::Allowlist);
        let brokered = own_network && keeping.outside() && self.host.broker.is_ok();
        if network.kind == Network::Allowlist {
            let text = Resolver::default().inside(NAME_SERVER);
            self.replaced(
                RESOLV_CONF,
                What::Text(text.into_bytes()),
                "the broker, which knows the named hosts alone",
            );
        }
        if brokered {
            let mut hosts = String::new();
            for (name, address) in BROKERED {
                hosts.push_str(&format!("{address} {name}\n"));
            }
            let mut hosts = hosts.into_bytes();
            hosts.extend(self.content_at(HOSTS).unwrap_or_default());
            self.replaced(
                HOSTS,
                What::Text(hosts),
                "the names for which the broker speaks, before the others",
            );
            let extra = self.extra_certificates();
            self.replaced(
                CERTIFICATES,
                What::Certificates(extra),
                "the broker's certificate of this session, for Claude Code alone",
            );
        }
        let program = self
            .host
            .broker
            .as_ref()
            .ok()
            .filter(|_| brokered || network.kind == Network::Allowlist)?;
        let login = request.program == Program::Login;
        let instance = self.host.places.state.join("instances").ok();
        let instance = instance.and_then(|all| all.join(crate::state::instance_name(self.host.instance_root())).ok());
        Some(Broker {
            program: program.clone(),
            brokered,
            login,
            roots: [self.host.ca_bundle.clone(), self.host.ca_extra.clone()],
            log: instance
                .filter(|_| !login)
                .and_then(|instance| instance.join("denied.jsonl").ok()),
        })
    }

    /// A file of the launcher's own in the place of what the policy has there.
    fn replaced(&mut self, at: &str, what: What, reason: &str) {
        let Ok(at) = SandboxPath::new(at) else { return };
        let decision = self.host_rule(Effect::Text, at.to_string(), reason, CODE);
        for mount in self.mounts.extract_if(.., |mount| mount.at == at) {
            self.fates.insert(mount.decision, Fate::Overridden(decision));
        }
        self.mounts.push(Mount { at, what, decision });
    }

    /// The certificates that Claude Code would trust beside its own without us: they are kept.
    fn extra_certificates(&mut self) -> Vec<u8> {
        let name = EnvName::new(CERTIFICATES_VARIABLE);
        let setting = name.ok().and_then(|name| {
            let setting = self.draft.settings.iter().rev().find(|setting| setting.name == name)?;
            Some((setting.value.clone(), setting.decision))
        });
        let Some((place, decision)) = setting else {
            return Vec::new();
        };
        match place.to_str().and_then(|place| self.content_at(place)) {
            Some(mut content) => {
                if !content.ends_with(b"\n") {
                    content.push(b'\n');
                }
                content
            }
            None => {
                let shown = crate::path::printable(&place);
                let error = Diagnostic::new(
                    CODE,
                    format!("the certificates of `{CERTIFICATES_VARIABLE}` cannot be read: `{shown}`"),
                );
                let hint = "the broker's own is added to them, so they must be a file that the policy mounts at that very place";
                self.violation(error.hint(hint), decision);
                Vec::new()
            }
        }
    }

    /// The content of a file that is mounted at a place; `None` where none is, or it cannot be read.
    fn content_at(&self, at: &str) -> Option<Vec<u8>> {
        let mount = self.mounts.iter().find(|mount| mount.at.as_os_str() == at)?;
        match &mount.what {
            What::Text(content) => Some(content.clone()),
            What::Bind { source, .. } => self.host.tree.read(source.as_path(), FILE_MAX).ok(),
            _ => None,
        }
    }
}
