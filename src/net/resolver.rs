//! The host's file of name servers, and the one that the sandbox gets instead (resolv.conf(5)).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// What the host's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// The name servers, in order.
    pub servers: Vec<IpAddr>,
    /// The lines on how names are completed and asked for, as they are.
    pub kept: Vec<String>,
}

/// Lines that say how to ask, not whom.
const KEPT: [&str; 3] = ["search", "domain", "options"];

impl Resolver {
    /// Reads the file's text. Lines that are no text, and those that say nothing here, are left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut resolver = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let line = line.trim_end();
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let (Some(keyword), Some(value)) = (words.next(), words.next()) else {
                continue;
            };
            // resolv.conf(5): the keyword starts the line.
            if keyword == "nameserver" && line.starts_with(keyword) {
                // A scope (`fe80::1%eth0`) is no part of the address.
                let address = value.split('%').next().unwrap_or(value);
                resolver.servers.extend(address.parse::<IpAddr>());
            } else if KEPT.contains(&keyword) && line.chars().all(|c| c == '\t' || !c.is_control()) {
                resolver.kept.push(line.to_string());
            }
        }
        resolver
    }

    /// The servers that the forwarder of slirp4netns can ask: it knows IPv4 alone.
    #[must_use]
    pub fn usable(&self) -> Vec<Ipv4Addr> {
        self.servers
            .iter()
            .filter_map(|server| match server {
                IpAddr::V4(server) => Some(*server),
                IpAddr::V6(_) => None,
            })
            .collect()
    }

    /// The sandbox's file: the forwarder as the one name server, and how to ask as on the host.
    #[must_use]
    pub fn inside(&self, server: Ipv4Addr) -> String {
        let mut text = format!("nameserver {server}\n");
        for line in &self.kept {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_are_replaced_and_the_rest_is_kept() {
        let text = b"# made by a program\nnameserver fe80::1%eth0\nnameserver 192.168.1.1\n  nameserver 9.9.9.9\n\
            nameserver\t127.0.0.53 # stub\nnameserver nonsense\nsearch lan corp.example\noptions edns0 trust-ad\n\
            sortlist 10.0.0.0\nsearch\nsearch a\x1bb\n\xff\n";
        let resolver = Resolver::parse(text);
        let servers: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["fe80::1", "192.168.1.1", "127.0.0.53"]);
        assert_eq!(
            resolver.usable(),
            [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(127, 0, 0, 53)]
        );
        assert_eq!(
            resolver.inside(Ipv4Addr::new(10, 0, 2, 3)),
            "nameserver 10.0.2.3\nsearch lan corp.example\noptions edns0 trust-ad\n"
        );
    }

    #[test]
    fn a_host_without_the_file_has_no_servers() {
        assert_eq!(Resolver::parse(b""), Resolver::default());
    }
}
