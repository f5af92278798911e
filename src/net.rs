//! What the network `internet` is made of, as data: which addresses a sandbox can reach, which ports are carried over, and
//! how both are said to the kernel and to a person. Pure: nothing here opens a socket; [`crate::launch`] does.
//!
//! The picture: the sandbox has a network namespace of its own, whose only way out is slirp4netns, an ordinary process of the
//! user's that answers for the gateway and opens ordinary sockets on the host. It would reach whatever the user can reach, so
//! the kernel holds rules in front of it, which nothing inside may change (see [`rules`]).

pub mod address;
pub mod broker;
pub mod helper;
pub mod name;
pub mod nftables;
pub mod ranges;
pub mod reach;

pub mod resolver;
pub mod route;
pub mod rules;
pub mod wire;

use std::net::Ipv4Addr;

use crate::trace::DecisionId;

use rules::Rules;

/// The network that slirp4netns shows to the sandbox unless it is told otherwise (slirp4netns(1)): the sandbox's own address.
pub const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);

/// The forwarder of slirp4netns that answers questions for names, by asking the host's own name server (slirp4netns(1)).
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The interface that slirp4netns makes.
pub const INTERFACE: &str = "tap0";

/// The place of the name servers' file, which is generated for this network.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How slirp4netns is started: the interface configured, the largest packets that it takes, its own process locked in (an empty
/// root, no new privileges, a system call filter), and no way to the host's loopback (slirp4netns(1)).
pub const SLIRP_OPTIONS: [&str; 5] = [
    "--configure",
    "--mtu=65520",
    "--enable-sandbox",
    "--enable-seccomp",
    "--disable-host-loopback",
];

/// One port that is carried from one loopback to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number, the same on both sides.
    pub number: u16,
    /// The decision behind it.
    pub decision: DecisionId,
}

/// The network `internet` of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Internet {
    /// What the kernel lets out.
    pub rules: Rules,
    /// Ports of the host's loopback that appear on the sandbox's.
    pub host_ports: Vec<Port>,
    /// Ports of the sandbox's loopback that appear on the host's.
    pub published: Vec<Port>,
    /// The name servers of the host that the forwarder can ask, in the order of the host's file. It asks the first.
    pub name_servers: Vec<Ipv4Addr>,
}
