//! The name server inside: an allowed name gets a loopback address of its own, anything else does not exist. It asks nobody, so a
//! question tells nobody anything.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use claudebox::net::broker::denial::Way;
use claudebox::net::name::Name;
use tokio::net::UdpSocket;

use crate::addresses::NoAddress;
use crate::session::Session;

/// The length of a message's header (RFC 1035, 4.1.1).
const HEADER: usize = 12;

/// The longest question that is read: what fits into a packet without extensions (RFC 1035, 4.2.1), and room for those.
const LENGTH_MAX: usize = 1232;

/// How long an answer may be remembered, in seconds. It stays true while the session lasts.
const LIFETIME: u32 = 60;

/// How long to wait where nothing can be read.
const PAUSE: Duration = Duration::from_millis(100);

/// Kinds of questions (RFC 1035, 3.2.2; RFC 3596).
const A: u16 = 1;
const AAAA: u16 = 28;
/// The internet (RFC 1035, 3.2.4).
const IN: u16 = 1;

/// What became of a question (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Good = 0,
    Malformed = 1,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// Answers questions for ever.
pub async fn serve(session: Arc<Session>, socket: UdpSocket) {
    let mut packet = [0; LENGTH_MAX];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let packet = packet.get(..length).unwrap_or_default();
        let answer = answer(packet, |name, kind| {
            let address = session.addresses.of(name);
            let why = match address {
                Ok(_) => return address,
                Err(NoAddress::NotAllowed) => "the name is not allowed",
                Err(NoAddress::TooMany) => "too many names were asked for",
            };
            // Programs ask for much else that nobody needs to hear of.
            if matches!(kind, A | AAAA) {
                session.denied.tell(Way::Dns, name.as_str(), why);
            }
            address
        });
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to one packet; `None` to what is no question, which could be an answer sent to make two servers talk for ever.
fn answer(packet: &[u8], of: impl FnOnce(&Name, u16) -> Result<Ipv4Addr, NoAddress>) -> Option<Vec<u8>> {
    let header: &[u8; HEADER] = packet.first_chunk()?;
    let [first, second, flags, _, questions @ ..] = header;
    if flags & 0x80 != 0 {
        return None;
    }
    let reply = |code: Code, question: &[u8], address: Option<Ipv4Addr>| {
        let count = u8::from(!question.is_empty());
        // An answer, by the one who knows; recursion as it was desired, and available.
        let flags = [0x84 | (flags & 0x79), 0x80 | code as u8];
        let answers = u8::from(address.is_some());
        let mut bytes = vec![*first, *second, flags[0], flags[1], 0, count, 0, answers, 0, 0, 0, 0];
        bytes.extend_from_slice(question);
        if let Some(address) = address {
            // The name is the one at the question's place.
            bytes.extend_from_slice(&[0xc0, HEADER as u8, 0, A as u8, 0, IN as u8]);
            bytes.extend_from_slice(&LIFETIME.to_be_bytes());
            bytes.extend_from_slice(&[0, 4]);
            bytes.extend_from_slice(&address.octets());
        }
        Some(bytes)
    };
    if flags & 0x78 != 0 {
        return reply(Code::NotImplemented, &[], None);
    }
    let asked = (questions.first_chunk() == Some(&[0, 1]))
        .then(|| asked(packet))
        .flatten();
    let Some((name, kind, class, question)) = asked else {
        return reply(Code::Malformed, &[], None);
    };
    if class != IN {
        return reply(Code::Refused, question, None);
    }
    let address = match name.parse::<Name>() {
        Ok(name) => of(&name, kind),
        Err(_) => Err(NoAddress::NotAllowed),
    };
    match address {
        Ok(address) => reply(Code::Good, question, (kind == A).then_some(address)),
        Err(NoAddress::NotAllowed) => reply(Code::NoSuchName, question, None),
        Err(NoAddress::TooMany) => reply(Code::Refused, question, None),
    }
}

/// The name, the kind and the class of the first question, and its bytes.
fn asked(packet: &[u8]) -> Option<(String, u16, u16, &[u8])> {
    let mut name = String::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // Also what refers to another place of the packet: no question needs it.
        if length > 63 {
            return None;
        }
        let label = packet.get(at..at + length)?;
        // A dot inside a label would be another name in text.
        if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(*byte)));
        at += length;
    }
    let number = |at: usize| Some(u16::from_be_bytes(*packet.get(at..at + 2)?.first_chunk()?));
    Some((name, number(at)?, number(at + 2)?, packet.get(HEADER..at + 4)?))
}
