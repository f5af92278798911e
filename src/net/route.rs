//! The two questions for the kernel's network settings (rtnetlink(7)): which addresses are there, and the loopback switched on.

use std::net::Ipv4Addr;

use super::address::Prefix;
use super::wire::{Writer, attributes, flag};

/// Kinds of messages (linux/rtnetlink.h).
const NEW_LINK: u16 = 16;
/// Also the kind of each answer to [`list_addresses`].
pub const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;

/// `AF_INET`.
const FOUR: u8 = 2;
/// The interface of the loopback in every network namespace.
const LOOPBACK: u32 = 1;
/// `IFF_UP`.
const UP: u32 = 1;

/// Attributes of an address (linux/if_addr.h): its range or its peer, and itself.
const RANGE: u16 = 1;
const LOCAL: u16 = 2;

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub address: Ipv4Addr,
    /// What is reached without a router: the range around it, or the other end of a line.
    pub link: Prefix,
}

/// Asks for all addresses of IPv4.
#[must_use]
pub fn list_addresses() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(GET_ADDRESS, flag::REQUEST | flag::DUMP, 1, |message| {
        // `struct ifaddrmsg`: family, then nothing.
        message.bytes(&[FOUR, 0, 0, 0, 0, 0, 0, 0]);
    });
    writer.into_bytes()
}

/// Reads one answer to [`list_addresses`].
#[must_use]
pub fn address(body: &[u8]) -> Option<Own> {
    let (fixed, rest) = body.split_at_checked(8)?;
    let [FOUR, length, ..] = fixed else {
        return None;
    };
    let find = |wanted| {
        attributes(rest)
            .find(|(kind, _)| *kind == wanted)
            .and_then(|(_, content)| <[u8; 4]>::try_from(content).ok())
            .map(Ipv4Addr::from)
    };
    let range = find(RANGE);
    let address = find(LOCAL).or(range)?;
    Some(Own {
        address,
        link: Prefix::new(range.unwrap_or(address), *length),
    })
}

/// Switches the loopback on, and waits for a confirmation.
#[must_use]
pub fn loopback_up() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(NEW_LINK, flag::REQUEST | flag::ACKNOWLEDGE, 1, |message| {
        // `struct ifinfomsg`: family, type, interface, flags, and which of the flags to change.
        message
            .bytes(&[0, 0, 0, 0])
            .bytes(&LOOPBACK.to_ne_bytes())
            .bytes(&UP.to_ne_bytes())
            .bytes(&UP.to_ne_bytes());
    });
    writer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: u8, attributes: &[(u16, [u8; 4])]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&[FOUR, length, 0, 0, 2, 0, 0, 0]);
        for (kind, content) in attributes {
            writer.attribute(*kind, content);
        }
        writer.into_bytes()
    }

    #[test]
    fn an_address_has_a_range_or_a_peer() {
        let text = |body: &[u8]| address(body).map(|own| format!("{} {}", own.address, own.link));
        let lan = answer(24, &[(RANGE, [192, 168, 1, 5]), (LOCAL, [192, 168, 1, 5])]);
        assert_eq!(text(&lan).unwrap(), "192.168.1.5 192.168.1.0/24");
        let line = answer(32, &[(RANGE, [203, 0, 113, 1]), (LOCAL, [203, 0, 113, 9])]);
        assert_eq!(text(&line).unwrap(), "203.0.113.9 203.0.113.1");
        let alone = answer(8, &[(LOCAL, [127, 0, 0, 1])]);
        assert_eq!(text(&alone).unwrap(), "127.0.0.1 127.0.0.0/8");
        assert_eq!(text(&answer(24, &[])), None);
        assert_eq!(text(&[10, 64, 0, 0, 1, 0, 0, 0]), None);
        assert_eq!(text(&[2]), None);
    }
}
