//! The rules as the kernel takes them: one batch for the nf_tables of a network namespace, all or nothing
//! (linux/netfilter/nf_tables.h). Every expression is the one that nft(8) makes of the same line; a test compares.
//!
//! Why an encoder of our own: of the crates that speak nf_tables one is under the GPL, one needs two libraries in C, one starts
//! `nft`, and the rest are at their very first version. What is needed here is one chain and three kinds of rules.

use super::address::{Endpoint, Prefix};
use super::rules::{Answer, CHAIN, Packet, Rule, Rules, TABLE};
use super::wire::{Writer, flag};

/// Kinds of messages: the subsystem (`NFNL_SUBSYS_NFTABLES`) in the high byte, and the two that frame a batch.
mod kind {
    const NF_TABLES: u16 = 10 << 8;
    pub const BATCH_BEGIN: u16 = 0x10;
    pub const BATCH_END: u16 = 0x11;
    pub const NEW_TABLE: u16 = NF_TABLES;
    pub const NEW_CHAIN: u16 = NF_TABLES | 3;
    pub const NEW_RULE: u16 = NF_TABLES | 6;
}

/// The subsystem that a batch is for.
const SUBSYSTEM: u16 = 10;
/// IPv4 and IPv6 in one table (`NFPROTO_INET`).
const INET: u8 = 1;
/// The way out of local programs (`NF_INET_LOCAL_OUT`).
const HOOK_OUTPUT: u32 = 3;
/// `NF_DROP` and `NF_ACCEPT`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// The first 16-byte register, and the one that holds a verdict.
const REGISTER: u32 = 1;
const VERDICT: u32 = 0;
/// The interface of the loopback in every network namespace.
const LOOPBACK: u32 = 1;

/// What the `meta` expression loads (`enum nft_meta_keys`).
mod meta {
    pub const OUTGOING_INTERFACE: u32 = 5;
    pub const FAMILY: u32 = 15;
    pub const TRANSPORT: u32 = 16;
}

/// Which header the `payload` expression loads from, and where in it (RFC 791; TCP and UDP have the port at one place).
mod header {
    pub const NETWORK: u32 = 1;
    pub const TRANSPORT: u32 = 2;
    pub const IPV4_DESTINATION: u32 = 16;
    pub const DESTINATION_PORT: u32 = 2;
}

/// `NFPROTO_IPV4` and `NFPROTO_IPV6`.
const FOUR: u8 = 2;
const SIX: u8 = 10;

/// A batch, and how many confirmations it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The messages.
    pub bytes: Vec<u8>,
    /// How many of them the kernel confirms.
    pub confirmations: usize,
}

/// The batch that makes the table, its chain and all rules, in an empty network namespace.
#[must_use]
pub fn batch(rules: &Rules) -> Batch {
    const NEW: u16 = flag::REQUEST | flag::ACKNOWLEDGE | flag::CREATE;
    let mut writer = Writer::default();
    let mut sequence = 0;
    frame(&mut writer, kind::BATCH_BEGIN);
    let mut add = |kind, flags, write: &dyn Fn(&mut Writer)| {
        sequence += 1;
        writer.message(kind, flags, sequence, |message| {
            // `struct nfgenmsg`: family, version, and nothing.
            message.bytes(&[INET, 0, 0, 0]);
            write(message);
        });
    };
    add(kind::NEW_TABLE, NEW | flag::EXCLUSIVE, &|table| {
        table.text(1, TABLE);
    });
    add(kind::NEW_CHAIN, NEW | flag::EXCLUSIVE, &|chain| {
        chain
            .text(1, TABLE)
            .text(3, CHAIN)
            .nested(4, |hook| {
                hook.big(1, HOOK_OUTPUT).big(2, 0);
            })
            // INVARIANT(network): what meets no rule does not go out.
            .big(5, DROP)
            .text(7, "filter");
    });
    for rule in rules.iter() {
        add(kind::NEW_RULE, NEW | flag::APPEND, &|message| {
            message
                .text(1, TABLE)
                .text(2, CHAIN)
                .nested(4, |expressions| write_rule(expressions, rule));
        });
    }
    frame(&mut writer, kind::BATCH_END);
    Batch {
        bytes: writer.into_bytes(),
        confirmations: rules.len() + 2,
    }
}

/// The begin or the end of a batch; its `struct nfgenmsg` names the subsystem, in the network's order.
fn frame(writer: &mut Writer, kind: u16) {
    writer.message(kind, flag::REQUEST, 0, |message| {
        message.bytes(&[0, 0]).bytes(&SUBSYSTEM.to_be_bytes());
    });
}

fn write_rule(out: &mut Writer, rule: &Rule) {
    match rule.packet {
        Packet::Own => meta(out, meta::OUTGOING_INTERFACE, &LOOPBACK.to_ne_bytes()),
        Packet::To(end) => to_port(out, end),
        Packet::Into(range) => into_range(out, range),
        Packet::Four => meta(out, meta::FAMILY, &[FOUR]),
        Packet::Six => meta(out, meta::FAMILY, &[SIX]),
    }
    match rule.answer {
        Answer::Accept => expression(out, "immediate", |e| {
            e.big(1, VERDICT).nested(2, |data| {
                data.nested(2, |verdict| {
                    verdict.big(1, ACCEPT);
                });
            });
        }),
        Answer::Reject => expression(out, "reject", |e| {
            // `NFT_REJECT_ICMPX_UNREACH` with `NFT_REJECT_ICMPX_ADMIN_PROHIBITED`: the right message for each family.
            e.big(1, 2).attribute(2, &[3]);
        }),
    }
}

fn to_port(out: &mut Writer, end: Endpoint) {
    into_range(out, Prefix::one(end.address));
    meta(out, meta::TRANSPORT, &[end.transport.number()]);
    payload(out, header::TRANSPORT, header::DESTINATION_PORT, 2);
    equals(out, &end.port.to_be_bytes());
}

fn into_range(out: &mut Writer, range: Prefix) {
    meta(out, meta::FAMILY, &[FOUR]);
    payload(out, header::NETWORK, header::IPV4_DESTINATION, 4);
    if range.length() < 32 {
        expression(out, "bitwise", |e| {
            e.big(1, REGISTER).big(2, REGISTER).big(3, 4);
            e.nested(4, |data| {
                data.attribute(1, &range.mask().octets());
            });
            e.nested(5, |data| {
                data.attribute(1, &[0; 4]);
            });
        });
    }
    equals(out, &range.address().octets());
}

/// Loads a property of the packet and compares it.
fn meta(out: &mut Writer, key: u32, value: &[u8]) {
    expression(out, "meta", |e| {
        e.big(1, REGISTER).big(2, key);
    });
    equals(out, value);
}

fn payload(out: &mut Writer, base: u32, offset: u32, length: u32) {
    expression(out, "payload", |e| {
        e.big(1, REGISTER).big(2, base).big(3, offset).big(4, length);
    });
}

fn equals(out: &mut Writer, value: &[u8]) {
    expression(out, "cmp", |e| {
        // `NFT_CMP_EQ` is 0.
        e.big(1, REGISTER).big(2, 0).nested(3, |data| {
            data.attribute(1, value);
        });
    });
}

/// An expression: its name, and its own attributes (`NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`).
fn expression(out: &mut Writer, name: &str, write: impl FnOnce(&mut Writer)) {
    out.nested(1, |element| {
        element.text(1, name).nested(2, write);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::rules::tests::sample;
    use crate::net::wire::{self, attributes};

    /// The expressions of each rule, as names: what nft(8) shows with `--debug=netlink`.
    fn names(body: &[u8]) -> Vec<String> {
        attributes(&body[4..])
            .filter(|(kind, _)| *kind == 4)
            .flat_map(|(_, list)| attributes(list))
            .map(|(_, element)| {
                let (_, name) = attributes(element).next().unwrap();
                String::from_utf8(name[..name.len() - 1].to_vec()).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_batch_has_a_frame_a_table_a_chain_and_the_rules() {
        let (rules, _) = sample();
        let batch = batch(&rules);
        let messages: Vec<(u16, Vec<u8>)> = wire::answers(&batch.bytes)
            .map(|message| match message {
                wire::Answer::Content { kind, body, .. } => (kind, body.to_vec()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(messages.len(), rules.len() + 4);
        assert_eq!(batch.confirmations, rules.len() + 2);
        let kinds: Vec<u16> = messages.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds[..4], [0x10, 0xa00, 0xa03, 0xa06]);
        assert_eq!(kinds[kinds.len() - 1], 0x11);
        assert_eq!(messages[0].1, [0, 0, 0, 10]);
        let range = ["meta", "cmp", "payload", "bitwise", "cmp", "reject"];
        let port = [
            "meta",
            "cmp",
            "payload",
            "cmp",
            "meta",
            "cmp",
            "payload",
            "cmp",
            "immediate",
        ];
        assert_eq!(names(&messages[3].1), ["meta", "cmp", "immediate"]);
        assert_eq!(names(&messages[4].1), port);
        assert_eq!(names(&messages[6].1), port);
        assert_eq!(names(&messages[7].1), range);
        assert_eq!(names(&messages[11].1), ["meta", "cmp", "payload", "cmp", "reject"]);
    }
}
