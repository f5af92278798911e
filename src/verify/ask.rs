//! What the probe is asked: each place that a defence speaks of. The same lists are what its answers are judged by.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::message::{Bytes, Questions};
use super::{Case, Planted};
use crate::draft::Network;
use crate::floor;
use crate::host::nix::daemon;
use crate::invariants::plan::{Mount, What};
use crate::net::ranges;
use crate::path::HostPath;
use crate::trace::Effect;
use crate::view::View;

/// A port at which a service of a machine would be found.
const PORT: u16 = 80;

/// An address of IPv6 that nobody has (RFC 3849).
const SIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Where clouds give machines their credentials.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// The questions of a run.
pub(super) fn questions(case: Case, planted: &Planted) -> Questions {
    let view = View::new(case.host, case.plan.parts());
    let mut paths: BTreeSet<Bytes> = BTreeSet::new();
    for secret in secrets(case) {
        paths.extend(secret.places(&view).iter().map(Bytes::from));
    }
    paths.extend(case.plan.mounts().iter().map(|mount| Bytes::from(mount.at.as_os_str())));
    paths.insert(Bytes::from(&planted.files.file));
    let sockets = sockets(case);
    paths.extend(sockets.iter().map(|(path, _)| Bytes::from(path.as_os_str())));
    Questions {
        token: planted.token.clone(),
        paths: paths.into_iter().collect(),
        directories: directories(case).into_iter().map(Bytes::from).collect(),
        sockets: sockets
            .iter()
            .map(|(path, _)| Bytes::from(path.as_os_str()))
            .chain([Bytes::from(&planted.files.socket)])
            .collect(),
        abstract_socket: Bytes::from(&planted.abstract_name),
        addresses: addresses(case, planted),
        memory: planted.memory.as_ref().map(|memory| memory.number),
        nix: Bytes::from(daemon::SOCKET),
    }
}

/// A place of the host that no sandbox may see.
#[derive(Debug)]
pub(super) struct Secret {
    /// As it is listed.
    pub listed: HostPath,
    /// Where it is, links followed.
    pub canonical: HostPath,
    /// What lies there.
    pub why: &'static str,
    /// Whether anything is there.
    pub exists: bool,
}

impl Secret {
    /// Where inside it would be seen: at its own path, and wherever a mount shows what is around it.
    pub(super) fn places(&self, view: &View) -> Vec<PathBuf> {
        let shown = view.places_of(&self.canonical);
        let shown = shown.iter().map(|(at, _)| at.as_path().to_path_buf());
        let own = [&self.listed, &self.canonical].map(|path| path.as_path().to_path_buf());
        own.into_iter().chain(shown).collect()
    }
}

/// The floor, and where variables say that secrets lie.
pub(super) fn secrets(case: Case) -> Vec<Secret> {
    let moved = case.host.moved_secrets.iter().cloned();
    floor::secrets(&case.host.home)
        .into_iter()
        .chain(moved)
        .map(|(listed, why)| {
            let resolved = case.host.tree.resolve(&listed).ok();
            Secret {
                exists: resolved.as_ref().is_some_and(|found| found.node.is_some()),
                canonical: resolved.map_or_else(|| listed.clone(), |found| found.path),
                listed,
                why,
            }
        })
        .collect()
}

/// The sockets of the host: where daemons listen, and those that are bound now. The Nix daemon has a row of its own.
pub(super) fn sockets(case: Case) -> Vec<(HostPath, &'static str)> {
    let bound = case
        .host
        .sockets
        .iter()
        .map(|path| (path.clone(), "a program of this host"));
    let mut seen = BTreeSet::new();
    floor::sockets(&case.host.home, case.host.uid)
        .into_iter()
        .chain(bound)
        .filter(|(path, _)| !path.within_str(daemon::DIRECTORY) && seen.insert(path.clone()))
        .collect()
}

/// Directories in memory, in which nothing is but what mounts put there: the root, the home, and the temporary ones.
pub(super) fn directories(case: Case) -> Vec<OsString> {
    let memory = case
        .plan
        .mounts()
        .iter()
        .filter(|mount| matches!(mount.what, What::Tmpfs(_)));
    memory.map(|mount| mount.at.as_os_str().to_os_string()).collect()
}

/// Mounts that keep what git and other programs of the host would obey.
pub(super) fn kept<'run>(case: &Case<'run>) -> Vec<(&'run Mount, Effect)> {
    let trace = &case.decided.trace;
    let effect = |mount: &Mount| trace.get(mount.decision).map(|decision| decision.effect);
    let mounts = case.plan.mounts().iter();
    mounts
        .filter_map(|mount| Some((mount, effect(mount)?)))
        .filter(|(_, effect)| matches!(effect, Effect::Protect | Effect::Pin))
        .collect()
}

/// Addresses that are the host's, or in its own networks. None where the network is the host's: all of them could answer.
pub(super) fn addresses(case: Case, planted: &Planted) -> Vec<SocketAddr> {
    if case.plan.network() == Network::Host {
        return vec![planted.port];
    }
    let closed = ranges::CLOSED.iter().map(|range| range.prefix);
    let firsts = closed
        .filter(|prefix| !prefix.contains(Ipv4Addr::LOCALHOST))
        .map(|prefix| match prefix.length() {
            32 => prefix.address(),
            _ => Ipv4Addr::from_bits(prefix.address().to_bits() | 1),
        });
    let never = ranges::NEVER.iter().map(|(address, _)| *address);
    let own = case.host.network.own().iter().flatten().map(|own| own.address);
    let own = own.filter(|address| !address.is_loopback());
    let four = firsts.chain(never).chain([METADATA]).chain(own).map(IpAddr::V4);
    let mut all: Vec<SocketAddr> = four
        .chain([IpAddr::V6(SIX)])
        .map(|address| SocketAddr::new(address, PORT))
        .collect();
    all.push(planted.port);
    all
}

/// Where a mount shows the very path.
pub(super) fn is_mount(case: &Case, path: &Path) -> bool {
    case.plan.mounts().iter().any(|mount| mount.at.as_path() == path)
}
