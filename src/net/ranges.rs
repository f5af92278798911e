//! Ranges that are never the internet: private networks, tailnets, links, machines' own services. Data with its reasons.

use std::net::{IpAddr, Ipv4Addr};

use super::address::Prefix;

/// One range that stays closed.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The addresses.
    pub prefix: Prefix,
    /// What is there.
    pub reason: &'static str,
    /// Whether a policy can open single ports in it.
    pub can_be_opened: bool,
}

const fn range(octets: [u8; 4], length: u8, reason: &'static str, can_be_opened: bool) -> Range {
    let [a, b, c, d] = octets;
    Range {
        prefix: Prefix::new(Ipv4Addr::new(a, b, c, d), length),
        reason,
        can_be_opened,
    }
}

/// IPv4 addresses that are not part of the public internet (IANA's registry of special-purpose addresses, RFC 6890), save those for
/// documentation, which nobody has; and two public ones at which clouds serve their machines.
pub const CLOSED: [Range; 12] = [
    range([0, 0, 0, 0], 8, "no destination (RFC 1122)", false),
    range([10, 0, 0, 0], 8, "private networks (RFC 1918)", true),
    range(
        [100, 64, 0, 0],
        10,
        "networks of carriers and tailnets (RFC 6598)",
        true,
    ),
    range([127, 0, 0, 0], 8, "loopback (RFC 1122)", false),
    range(
        [168, 63, 129, 16],
        32,
        "the service by which Azure sets up its machines",
        false,
    ),
    range(
        [169, 254, 0, 0],
        16,
        "the link, and the services by which clouds give machines their credentials (RFC 3927)",
        false,
    ),
    range([172, 16, 0, 0], 12, "private networks (RFC 1918)", true),
    range(
        [192, 0, 0, 0],
        24,
        "protocols, and the service by which Oracle's cloud gives machines their credentials (RFC 6890)",
        false,
    ),
    range([192, 168, 0, 0], 16, "private networks (RFC 1918)", true),
    range([198, 18, 0, 0], 15, "measurements of networks (RFC 2544)", true),
    range([224, 0, 0, 0], 4, "groups of receivers (RFC 5771)", false),
    range([240, 0, 0, 0], 4, "reserved, and broadcast (RFC 1112)", false),
];

/// Single addresses in ranges that can be opened which are never opened themselves: they give machines their credentials.
pub const NEVER: [(Ipv4Addr, &str); 1] = [(
    Ipv4Addr::new(100, 100, 100, 200),
    "the service by which Alibaba's cloud gives machines their credentials",
)];

/// Whether an address is one of the internet. Of IPv6 that is the range of single receivers (2000::/3, RFC 4291) without those that
/// carry an address of IPv4, which can be any: Teredo (RFC 4380) and 6to4 (RFC 3056).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !CLOSED.iter().any(|range| range.prefix.contains(four)),
        IpAddr::V6(six) => {
            let [first, second, ..] = six.segments();
            let carries_four = first == 0x2002 || (first == 0x2001 && second < 0x200);
            first & 0xe000 == 0x2000 && !carries_four
        }
    }
}

/// Why a policy cannot open a port of this address; `None` if it can.
#[must_use]
pub fn never_opened(address: Ipv4Addr) -> Option<&'static str> {
    let single = NEVER.iter().find(|(never, _)| *never == address).map(|(_, why)| *why);
    single.or_else(|| {
        CLOSED
            .iter()
            .find(|range| !range.can_be_opened && range.prefix.contains(address))
            .map(|range| range.reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hands_out_credentials_is_never_opened() {
        for address in [
            [169, 254, 169, 254],
            [168, 63, 129, 16],
            [192, 0, 0, 192],
            [100, 100, 100, 200],
            [127, 0, 0, 1],
            [0, 0, 0, 0],
            [255, 255, 255, 255],
            [224, 0, 0, 251],
        ] {
            assert!(never_opened(Ipv4Addr::from(address)).is_some(), "{address:?}");
        }
        for address in [
            [192, 168, 1, 1],
            [10, 1, 2, 3],
            [100, 64, 0, 1],
            [172, 16, 0, 1],
            [203, 0, 113, 1],
        ] {
            assert_eq!(never_opened(Ipv4Addr::from(address)), None, "{address:?}");
        }
    }

    #[test]
    fn the_internet_is_what_is_left() {
        for address in [
            "0.0.0.0",
            "10.1.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.192",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "203.0.113.10", "2606:4700::1", "2001:4860::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn no_range_hides_another() {
        for (index, range) in CLOSED.iter().enumerate() {
            for other in CLOSED.iter().skip(index + 1) {
                assert!(!range.prefix.within(other.prefix) && !other.prefix.within(range.prefix));
            }
        }
    }
}
