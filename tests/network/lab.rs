//! A small world in network namespaces without names: a user's machine, its router, what lies around it, and an internet.
//! It is gone when the suite's process ends, however it ends.
//!
//! ```text
//!            tailnet 100.64.9.9                       metadata 169.254.169.254
//!                  |                                         |
//!   machine .10 ---+--- 192.168.77.0/24, fd00:77::/64 --- router .1 --- internet 203.0.113.10, 2001:db8::10
//!   docker0 172.17.0.1         2001:db8:77::/64              |
//!                                                    neighbour .2 (also 10.9.9.9, 172.20.0.9, 10.0.2.77)
//! ```

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::servers;
use crate::support::user::need_root;

/// A network namespace that lives as long as this value.
#[derive(Debug)]
pub struct Namespace(OwnedFd);

impl Namespace {
    /// A new one, with nothing in it but a loopback that is down.
    pub fn new() -> Self {
        std::thread::spawn(|| {
            unshare(UnshareFlags::NEWNET);
            for file in ["all", "default"] {
                // Addresses can be used at once: nobody else can have them here.
                let file = format!("/proc/sys/net/ipv6/conf/{file}/accept_dad");
                std::fs::write(file, "0").expect("a setting of our own namespace");
            }
            // As distributions set it: every user may ping.
            std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").expect("our own namespace");
            Self(
                File::open("/proc/thread-self/ns/net")
                    .expect("our own namespace")
                    .into(),
            )
        })
        .join()
        .expect("a thread of the lab")
    }

    /// Runs something in a thread that is in the namespace; what it starts is there too.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.0.as_fd(), network).expect("root may enter its namespaces");
                act()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs lines of ip(8).
    pub fn ip(&self, lines: &str) {
        self.run(|| {
            let mut ip = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("ip, from iproute2");
            let mut input = ip.stdin.take().expect("a pipe");
            input.write_all(lines.as_bytes()).expect("a pipe to ip");
            drop(input);
            let output = ip.wait_with_output().expect("a child of ours");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}{lines}");
        });
    }

    /// The namespace's name for ip(8).
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

#[expect(unsafe_code, reason = "rustix marks the call, whose unsafe flag is not used")]
pub fn unshare(flags: UnshareFlags) {
    // SAFETY: unsafe is only the flag that splits the table of descriptors.
    unsafe { rustix::thread::unshare_unsafe(flags) }.expect("root may make namespaces");
}

/// The whole world.
#[derive(Debug)]
pub struct Lab {
    machine: Namespace,
    /// Where servers of the internet stand, at 203.0.113.10.
    pub internet: Namespace,
    #[expect(dead_code, reason = "held open: a namespace lives as long as this")]
    others: [Namespace; 4],
}

/// The one lab of the suite.
pub fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        need_root();
        build()
    })
}

impl Lab {
    /// Runs a test on the user's machine, whose file of name servers has this content.
    pub fn on_machine_with<T: Send>(&self, resolv_conf: &str, test: impl FnOnce() -> T + Send) -> T {
        self.machine.run(|| {
            let _file = with_name_servers(resolv_conf);
            // The device is there for every user, as on most systems, whatever this machine's is like.
            shell("mount -t tmpfs tmpfs /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun");
            test()
        })
    }

    /// The same with the router as the name server.
    pub fn on_machine<T: Send>(&self, test: impl FnOnce() -> T + Send) -> T {
        self.on_machine_with("nameserver 192.168.77.1\nsearch lan\noptions timeout:1\n", test)
    }
}

/// Gives this thread a file of name servers of its own, while the value lives: what is mounted here, nobody else sees.
pub fn with_name_servers(resolv_conf: &str) -> tempfile::NamedTempFile {
    unshare(UnshareFlags::NEWNS);
    let file = tempfile::NamedTempFile::new().expect("a file in /tmp");
    std::fs::write(file.path(), resolv_conf).expect("our own file");
    let path = file.path().display();
    shell(&format!(
        "mount --make-rprivate / && chmod 644 {path} && mount --bind {path} /etc/resolv.conf"
    ));
    file
}

/// Runs a script that must succeed.
#[track_caller]
pub fn shell(script: &str) {
    let output = Command::new("sh").args(["-c", script]).output().expect("sh");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {text}");
}

fn build() -> Lab {
    let [machine, router, neighbour, tailnet, metadata, internet] = std::array::from_fn(|_| Namespace::new());
    router.ip(&format!(
        "link set lo up\nlink add br0 type bridge\nlink set br0 up\n\
         link add to-machine type veth peer name eth0 netns {}\nlink set to-machine master br0 up\n\
         link add to-neighbour type veth peer name eth0 netns {}\nlink set to-neighbour master br0 up\n\
         link add to-internet type veth peer name eth0 netns {}\nlink set to-internet up\n\
         link add to-metadata type veth peer name eth0 netns {}\nlink set to-metadata up\n\
         addr add 192.168.77.1/24 dev br0\naddr add fd00:77::1/64 dev br0 nodad\naddr add 2001:db8:77::1/64 dev br0 nodad\n\
         addr add fe80::1/64 dev br0 nodad\naddr add 203.0.113.1/24 dev to-internet\naddr add 2001:db8::1/64 dev to-internet nodad\n\
         addr add 169.254.169.1/24 dev to-metadata\n\
         route add 10.9.9.9 via 192.168.77.2\nroute add 172.20.0.9 via 192.168.77.2\nroute add 10.0.2.77 via 192.168.77.2\n",
        machine.path(),
        neighbour.path(),
        internet.path(),
        metadata.path()
    ));
    let set = |namespace: &Namespace, files: &[&str]| {
        namespace.run(|| {
            for file in files {
                std::fs::write(format!("/proc/sys/net/{file}"), "1").expect("a setting of our own namespace");
            }
        });
    };
    set(&router, &["ipv4/ip_forward", "ipv6/conf/all/forwarding"]);
    // Nobody takes routes from a packet; here all do on this link, so that an attack with them could work.
    for (namespace, interface) in [(&router, "br0"), (&neighbour, "eth0"), (&machine, "eth0")] {
        let file = |interface: &str| format!("ipv4/conf/{interface}/accept_source_route");
        set(namespace, &[&file("all"), &file(interface)]);
    }
    machine.ip(&format!(
        "link set lo up\nlink set eth0 up\naddr add 192.168.77.10/24 dev eth0\naddr add fd00:77::10/64 dev eth0 nodad\n\
         addr add 2001:db8:77::10/64 dev eth0 nodad\nroute add default via 192.168.77.1\nroute add default via fe80::1 dev eth0\n\
         link add tailscale0 type veth peer name eth0 netns {}\nlink set tailscale0 up\naddr add 100.64.9.1/24 dev tailscale0\n\
         route add 100.64.0.0/10 dev tailscale0\nlink add docker0 type bridge\nlink set docker0 up\n\
         addr add 172.17.0.1/16 dev docker0\nlink add public0 type bridge\nlink set public0 up\naddr add 198.51.100.7/28 dev public0\n",
        tailnet.path()
    ));
    neighbour.ip(
        "link set lo up\nlink set eth0 up\naddr add 192.168.77.2/24 dev eth0\naddr add fd00:77::2/64 dev eth0 nodad\n\
         addr add 2001:db8:77::2/64 dev eth0 nodad\naddr add 10.9.9.9 dev lo\naddr add 172.20.0.9 dev lo\naddr add 10.0.2.77 dev lo\n\
         route add default via 192.168.77.1\nroute add default via fe80::1 dev eth0\n",
    );
    tailnet.ip("link set lo up\nlink set eth0 up\naddr add 100.64.9.9/24 dev eth0\nroute add default via 100.64.9.1\n");
    metadata.ip(
        "link set lo up\nlink set eth0 up\naddr add 169.254.169.254/24 dev eth0\nroute add default via 169.254.169.1\n",
    );
    internet.ip(
        "link set lo up\nlink set eth0 up\naddr add 203.0.113.10/24 dev eth0\naddr add 203.0.113.11/24 dev eth0\naddr add 2001:db8::10/64 dev eth0 nodad\n\
         route add default via 203.0.113.1\nroute add default via 2001:db8::1\n",
    );

    let at = |namespace: &Namespace, name: &'static str, addresses: &[&str]| {
        namespace.run(|| {
            for address in addresses {
                let address = address.parse().expect("an address");
                servers::named(address, 80, 7777, name);
            }
        });
    };
    at(&router, "router", &["192.168.77.1"]);
    at(
        &neighbour,
        "neighbour",
        &[
            "192.168.77.2",
            "10.9.9.9",
            "172.20.0.9",
            "10.0.2.77",
            "fd00:77::2",
            "2001:db8:77::2",
        ],
    );
    at(&tailnet, "tailnet", &["100.64.9.9"]);
    at(&metadata, "metadata", &["169.254.169.254"]);
    at(&internet, "internet", &["203.0.113.10", "2001:db8::10"]);
    at(
        &machine,
        "machine",
        &[
            "127.0.0.1",
            "::1",
            "192.168.77.10",
            "100.64.9.1",
            "172.17.0.1",
            "198.51.100.7",
            "2001:db8:77::10",
        ],
    );
    router.run(|| servers::names([192, 168, 77, 1].into()));
    internet.run(|| servers::names([203, 0, 113, 10].into()));
    machine.run(|| servers::names([127, 0, 0, 53].into()));
    Lab {
        machine,
        internet,
        others: [router, neighbour, tailnet, metadata],
    }
}
