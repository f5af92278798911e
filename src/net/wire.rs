//! The form of netlink messages (netlink(7), linux/netlink.h): a header, then attributes, each aligned to four bytes. Written
//! and read here; nothing is sent. Numbers are in the machine's own order where nothing else is said.

/// Flags of a message (linux/netlink.h).
pub mod flag {
    /// It asks for something.
    pub const REQUEST: u16 = 0x1;
    /// The kernel is to confirm it.
    pub const ACKNOWLEDGE: u16 = 0x4;
    /// Everything there is (`NLM_F_DUMP`).
    pub const DUMP: u16 = 0x300;
    /// It must not exist yet.
    pub const EXCLUSIVE: u16 = 0x200;
    /// It is to be made.
    pub const CREATE: u16 = 0x400;
    /// It comes after those that exist.
    pub const APPEND: u16 = 0x800;
    /// In an answer: what was listed changed on the way.
    pub const INTERRUPTED: u16 = 0x10;
}

/// Kinds of messages that every protocol has (linux/netlink.h).
mod kind {
    /// An error, or with code 0 a confirmation.
    pub const ERROR: u16 = 2;
    /// The end of a list.
    pub const DONE: u16 = 3;
}

/// Marks an attribute that holds attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;

/// The length of a message's header.
const HEADER: usize = 16;

/// A message, or the content of one, in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Bytes as they are, without alignment: the fixed part of a message.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An attribute.
    pub fn attribute(&mut self, kind: u16, content: &[u8]) -> &mut Self {
        // What we write is short; a length that does not fit would be refused by the kernel.
        let length = u16::try_from(content.len() + 4).unwrap_or(u16::MAX);
        self.bytes(&length.to_ne_bytes())
            .bytes(&kind.to_ne_bytes())
            .bytes(content)
            .align()
    }

    /// An attribute that is a text, with the zero at its end that the kernel wants.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut content = text.as_bytes().to_vec();
        content.push(0);
        self.attribute(kind, &content)
    }

    /// An attribute that is a number in the network's order.
    pub fn big(&mut self, kind: u16, number: u32) -> &mut Self {
        self.attribute(kind, &number.to_be_bytes())
    }

    /// An attribute that holds others.
    pub fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inside = Self::default();
        write(&mut inside);
        self.attribute(kind | NESTED, &inside.0)
    }

    /// A whole message.
    pub fn message(&mut self, kind: u16, flags: u16, sequence: u32, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inside = Self::default();
        write(&mut inside);
        let length = u32::try_from(HEADER + inside.0.len()).unwrap_or(u32::MAX);
        self.bytes(&length.to_ne_bytes())
            .bytes(&kind.to_ne_bytes())
            .bytes(&flags.to_ne_bytes())
            .bytes(&sequence.to_ne_bytes())
            // The kernel is port 0.
            .bytes(&0u32.to_ne_bytes())
            .bytes(&inside.0)
            .align()
    }

    fn align(&mut self) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// One message of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'bytes> {
    /// A message was carried out.
    Done,
    /// A message was not: the number of the error.
    Failed(i32),
    /// The list is complete.
    End,
    /// Content of the protocol.
    Content {
        /// Its kind.
        kind: u16,
        /// Whether the list changed while it was read.
        interrupted: bool,
        /// What follows the header.
        body: &'bytes [u8],
    },
}

/// The messages in what the kernel sent; what is cut off is left out.
pub fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?)
            .ok()
            .filter(|length| *length >= HEADER)?;
        let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(match kind {
            kind::ERROR => match u32_at(body, 0)?.cast_signed() {
                0 => Answer::Done,
                // The kernel sends error numbers negated.
                code => Answer::Failed(code.wrapping_neg()),
            },
            kind::DONE => Answer::End,
            kind => Answer::Content {
                kind,
                interrupted: flags & flag::INTERRUPTED != 0,
                body,
            },
        })
    })
}

/// The attributes in a part of a message: kind and content.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & !NESTED;
        let content = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = Writer::default();
        writer.message(20, flag::REQUEST, 7, |message| {
            message
                .bytes(&[2, 24, 0, 0])
                .attribute(1, &[1, 2, 3])
                .nested(2, |inside| {
                    inside.text(3, "out").big(4, 1);
                });
        });
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len() % 4, 0);
        let read: Vec<Answer> = answers(&bytes).collect();
        let [
            Answer::Content {
                kind,
                interrupted,
                body,
            },
        ] = read.as_slice()
        else {
            panic!("{read:?}");
        };
        assert_eq!((*kind, *interrupted, &body[..4]), (20, false, &[2, 24, 0, 0][..]));
        let read: Vec<(u16, &[u8])> = attributes(&body[4..]).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], (1, &[1, 2, 3][..]));
        let inside: Vec<(u16, &[u8])> = attributes(read[1].1).collect();
        assert_eq!(inside, [(3, &b"out\0"[..]), (4, &[0, 0, 0, 1][..])]);
    }

    #[test]
    fn confirmations_and_errors_are_told_apart() {
        let mut writer = Writer::default();
        writer
            .message(2, 0, 1, |message| {
                message.bytes(&0i32.to_ne_bytes());
            })
            .message(2, 0, 2, |message| {
                message.bytes(&(-17i32).to_ne_bytes());
            })
            .message(3, 0, 3, |_| {});
        let bytes = writer.into_bytes();
        assert_eq!(
            answers(&bytes).collect::<Vec<_>>(),
            [Answer::Done, Answer::Failed(17), Answer::End]
        );
    }

    #[test]
    fn what_is_cut_off_or_malformed_ends_the_list() {
        let mut writer = Writer::default();
        writer.message(3, 0, 1, |_| {});
        let bytes = writer.into_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(answers(&bytes[..cut]).count(), 0, "{cut}");
        }
        assert_eq!(answers(&[0; 64]).count(), 0);
        assert_eq!(answers(&[255; 64]).count(), 0);
        assert_eq!(attributes(&[0; 8]).count(), 0);
        assert_eq!(attributes(&[255; 8]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
    }
}
