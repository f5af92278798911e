//! Addresses, ranges of them, and ends of a connection, in forms that cannot be wrong.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A range of IPv4 addresses: those that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: Ipv4Addr,
    length: u8,
}

impl Prefix {
    /// The range of `length` bits around an address. More than 32 bits count as 32.
    #[must_use]
    pub const fn new(address: Ipv4Addr, length: u8) -> Self {
        let length = if length > 32 { 32 } else { length };
        Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask(length)),
            length,
        }
    }

    /// One address.
    #[must_use]
    pub const fn one(address: Ipv4Addr) -> Self {
        Self::new(address, 32)
    }

    /// The first address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// How many bits are shared.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The shared bits as a mask.
    #[must_use]
    pub const fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.length))
    }

    /// Whether the address lies in the range.
    #[must_use]
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.length) == self.address.to_bits()
    }

    /// Whether the whole range lies in another one.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.length >= other.length && other.contains(self.address)
    }
}

const fn mask(length: u8) -> u32 {
    // A shift by all 32 bits would be no shift.
    if length == 0 { 0 } else { u32::MAX << (32 - length) }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 32 {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

/// The protocols that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Single packets.
    Udp,
}

impl Transport {
    /// Its number in the IP header (IANA).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Where a connection ends: an address, a port, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: Ipv4Addr,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub transport: Transport,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)?;
        match self.transport {
            Transport::Tcp => Ok(()),
            Transport::Udp => f.write_str("/udp"),
        }
    }
}

/// Why a text is no [`Endpoint`]. Completes the sentence "the address `...` ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEndpoint {
    /// There is no port.
    NoPort,
    /// The port is no number from 1 to 65535.
    Port,
    /// What stands after the `/` is neither `tcp` nor `udp`.
    Transport,
    /// It is a name.
    Name,
    /// It is an address of IPv6.
    Six,
}

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "has no port: write `ADDRESS:PORT`",
            Self::Port => "has no port from 1 to 65535",
            Self::Transport => "ends with a protocol that is neither `/tcp` nor `/udp`",
            Self::Name => "is a name, and what it stands for can change: write the address in numbers",
            Self::Six => "is one of IPv6, and the sandbox's network has IPv4 alone",
        })
    }
}

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let (place, transport) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), Transport::Tcp),
            Some((place, "udp")) => (place, Transport::Udp),
            Some(_) => return Err(NoEndpoint::Transport),
        };
        if place.parse::<IpAddr>().is_ok() {
            return Err(NoEndpoint::NoPort);
        }
        let (host, port) = place.rsplit_once(':').ok_or(NoEndpoint::NoPort)?;
        let port = port_number(port).ok_or(NoEndpoint::Port)?;
        let address = match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(IpAddr::V4(address)) => address,
            Ok(IpAddr::V6(_)) => return Err(NoEndpoint::Six),
            Err(_) => return Err(NoEndpoint::Name),
        };
        Ok(Self {
            address,
            port,
            transport,
        })
    }
}

/// A port as a person writes it: digits alone, from 1 on.
#[must_use]
pub fn port_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_addresses_that_share_its_bits() {
        let private = Prefix::new(Ipv4Addr::new(172, 16, 9, 9), 12);
        assert_eq!(private.to_string(), "172.16.0.0/12");
        assert_eq!(private.mask(), Ipv4Addr::new(255, 240, 0, 0));
        assert!(private.contains(Ipv4Addr::new(172, 31, 255, 255)));
        assert!(!private.contains(Ipv4Addr::new(172, 32, 0, 0)));
        let all = Prefix::new(Ipv4Addr::BROADCAST, 0);
        assert_eq!(all.to_string(), "0.0.0.0/0");
        assert!(all.contains(Ipv4Addr::BROADCAST));
        let one = Prefix::one(Ipv4Addr::new(172, 16, 0, 1));
        assert_eq!(one.to_string(), "172.16.0.1");
        assert!(one.within(private) && private.within(all) && !private.within(one));
        assert_eq!(Prefix::new(Ipv4Addr::LOCALHOST, 40), Prefix::one(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn an_end_of_a_connection_is_an_address_and_a_port() {
        let parse = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(parse("192.168.1.20:5432"), Ok("192.168.1.20:5432".into()));
        assert_eq!(parse("192.168.1.20:5432/tcp"), Ok("192.168.1.20:5432".into()));
        assert_eq!(parse("10.0.0.1:53/udp"), Ok("10.0.0.1:53/udp".into()));
        let table = [
            ("", NoEndpoint::NoPort),
            ("192.168.1.20", NoEndpoint::NoPort),
            ("fd00::1", NoEndpoint::NoPort),
            ("192.168.1.20:", NoEndpoint::Port),
            ("192.168.1.20:0", NoEndpoint::Port),
            ("192.168.1.20:+1", NoEndpoint::Port),
            ("192.168.1.20:65536", NoEndpoint::Port),
            ("192.168.1.20:http", NoEndpoint::Port),
            ("192.168.1.0/24:443", NoEndpoint::Transport),
            ("10.0.0.1:53/sctp", NoEndpoint::Transport),
            ("[fd00::1]:80", NoEndpoint::Six),
            ("nas.lan:80", NoEndpoint::Name),
            ("192.168.1:80", NoEndpoint::Name),
            ("0300.0250.1.1:80", NoEndpoint::Name),
            ("192.168.1.20 :80", NoEndpoint::Name),
            (":80", NoEndpoint::Name),
        ];
        for (text, why) in table {
            assert_eq!(parse(text), Err(why), "{text:?}");
        }
    }
}
