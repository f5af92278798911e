//! What is known about the host's network: its own addresses, its name servers, and what a network of the sandbox's own needs.
//! Nothing is sent to anyone.

use std::cell::OnceCell;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::diagnostic::Diagnostic;
use crate::net::resolver::Resolver;
use crate::net::route::{self, Own};
use crate::path::HostPath;
use crate::sys::netlink::{Service, Socket};

use super::program::{SLIRP4NETNS, Search};
use super::tree::{Tree, plain};

/// The longest file of name servers that is read, in bytes.
const RESOLV_CONF_MAX: u64 = 64 * 1024;

/// The device by which slirp4netns makes its interface.
const TUN: &str = "/dev/net/tun";

/// The facts.
#[derive(Clone, Debug)]
pub struct Network {
    /// The host's own addresses, or why they are not known; empty until [`Self::own`] looks.
    pub own: OnceCell<Result<Vec<Own>, String>>,
    /// The name servers.
    pub resolver: Resolver,
    /// What attaches a network, or why there is none.
    pub slirp: Result<HostPath, Diagnostic>,
    /// Whether the device for it can be opened, or why not.
    pub tun: Result<(), Diagnostic>,
}

impl Network {
    /// Looks.
    #[must_use]
    pub fn look(search: &Search) -> Self {
        Self {
            own: OnceCell::new(),
            resolver: Resolver::parse(&resolv_conf(search.tree).unwrap_or_default()),
            slirp: search.find(&SLIRP4NETNS),
            tun: tun(),
        }
    }

    /// The host's own addresses, or why they are not known. They are looked at when they are first asked for: only a network of
    /// the sandbox's own needs them.
    pub fn own(&self) -> &Result<Vec<Own>, String> {
        self.own.get_or_init(own_addresses)
    }
}

fn own_addresses() -> Result<Vec<Own>, String> {
    let list = |socket: Socket| socket.list(&route::list_addresses(), route::NEW_ADDRESS, route::address);
    Socket::open(Service::Route)
        .and_then(list)
        .map_err(|error| plain(&error))
}

fn resolv_conf(tree: &Tree) -> Option<Vec<u8>> {
    let resolved = tree.resolve(&HostPath::new(crate::net::RESOLV_CONF).ok()?).ok()?;
    tree.read(resolved.path.as_path(), RESOLV_CONF_MAX).ok()
}

fn tun() -> Result<(), Diagnostic> {
    let access = accessat(
        CWD,
        Path::new(TUN),
        Access::READ_OK | Access::WRITE_OK,
        AtFlags::EACCESS,
    );
    access.map_err(|error| {
        let missing = error == rustix::io::Errno::NOENT;
        let way = if missing {
            "load the kernel's module: modprobe tun"
        } else {
            "most systems let every user open it: chmod 0666 /dev/net/tun"
        };
        Diagnostic::new("network", format!("`{TUN}` cannot be opened: {}", plain(&error.into()))).hint(format!(
            "slirp4netns connects a sandbox with the internet by it; {way}; or choose `--net host`, which is not isolated, or \
             `--net none`"
        ))
    })
}
