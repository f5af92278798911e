//! A host that is not there, for the tests of the stages after it: what it knows is said instead of looked up.

use std::rc::Rc;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::net::resolver::Resolver;
use crate::path::HostPath;

use super::claude::NotFound;
use super::mounts::Mounts;
use super::namespaces::Namespaces;
use super::network::Network;
use super::nix::Platform;
use super::nix::daemon::{self, Daemon};
use super::terminal::Terminal;
use super::tree::Tree;
use super::volume::Volume;
use super::{Host, Places, declared, program};

/// A host that tests describe: an ordinary user on a distribution with `/usr`, in the project `/home/u/p`.
#[must_use]
pub fn described(tree: Tree) -> Rc<Host> {
    let path = |text: &str| HostPath::new(text).unwrap_or_else(|_| HostPath::root());
    Rc::new(Host {
        home: path("/home/u"),
        user: "u".into(),
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
        directory: path("/home/u/p"),
        project: path("/home/u/p"),
        repository: None,
        git_config: Vec::new(),
        git_settings: Vec::new(),
        variables: IndexMap::new(),
        tree,
        mounts: Mounts::default(),
        platform: Platform::Usr,
        nix_daemon: Daemon::only(daemon::Access::Absent),
        time_zone: "UTC".into(),
        locale_works: true,
        ca_bundle: None,
        ca_extra: None,
        nix_registry: None,
        gitconfig: Vec::new(),
        claude: Err(NotFound::Nowhere),
        declared: declared::Found::default(),
        bwrap: Ok(path("/usr/bin/bwrap")),
        broker: Err(Diagnostic::new(program::BROKER.name, "the broker is not installed")),
        network: Network {
            own: Ok(Vec::new()).into(),
            resolver: Resolver::parse(b"nameserver 192.168.1.1\nsearch lan\n"),
            slirp: Ok(path("/usr/bin/slirp4netns")),
            tun: Ok(()),
        },
        sockets: Vec::new(),
        namespaces: Namespaces::Free,
        moved_secrets: Vec::new(),
        places: Places {
            config: path("/home/u/.config/claudebox"),
            state: path("/home/u/.claudebox"),
        },
        executable: path("/usr/bin/claudebox"),
        terminal: Terminal::default(),
        managed_memory: Vec::new(),
        volume: Volume {
            point: path("/"),
            kind: 0xef53,
            id: 1,
            device: 1,
        },
        now: 1_764_000_000,
    })
}
