//! Asks the Nix daemon over its socket whether it trusts the sandbox: the first words of its protocol
//! (nix.dev, "Nix daemon protocol"), and nothing after them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::verify::message::Nix;

/// What a client and a daemon say first.
const HELLO: u64 = 0x6e69_7863;
const HELLO_BACK: u64 = 0x6478_696f;
/// The version that we speak, 1.35: the first in which a daemon says whom it trusts.
const VERSION: u64 = 0x0123;
/// Since this version a daemon says its own name first.
const NAMED: u64 = 0x0121;
/// The answer that means trust, and the one that means none.
const TRUSTED: u64 = 1;
const NOT_TRUSTED: u64 = 2;
/// The longest name of a daemon that is read, in bytes.
const NAME_MAX: u64 = 4096;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(800);

/// Asks.
pub(super) fn ask(socket: &Path) -> Nix {
    match UnixStream::connect(socket) {
        Ok(socket) => Nix::Answers(trust(socket).unwrap_or(None)),
        Err(_) => Nix::Unreachable,
    }
}

fn trust(mut daemon: UnixStream) -> io::Result<Option<bool>> {
    daemon.set_read_timeout(Some(PATIENCE))?;
    daemon.set_write_timeout(Some(PATIENCE))?;
    daemon.write_all(&HELLO.to_le_bytes())?;
    if number(&mut daemon)? != HELLO_BACK {
        return Ok(None);
    }
    let version = number(&mut daemon)?.min(VERSION);
    daemon.write_all(&VERSION.to_le_bytes())?;
    // No wish for a processor, and no room kept free.
    daemon.write_all(&[0; 16])?;
    if version >= NAMED {
        let length = number(&mut daemon)?;
        if length > NAME_MAX {
            return Ok(None);
        }
        // Filled up to whole numbers.
        io::copy(&mut (&daemon).take(length.next_multiple_of(8)), &mut io::sink())?;
    }
    if version < VERSION {
        return Ok(None);
    }
    Ok(match number(&mut daemon)? {
        TRUSTED => Some(true),
        NOT_TRUSTED => Some(false),
        _ => None,
    })
}

fn number(daemon: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    daemon.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A daemon that says these numbers, whatever it is told.
    fn said(numbers: &[u64]) -> Option<bool> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for number in numbers {
            theirs.write_all(&number.to_le_bytes()).unwrap();
        }
        drop(theirs.shutdown(std::net::Shutdown::Write));
        trust(ours).unwrap_or(None)
    }

    #[test]
    fn a_daemon_says_whom_it_trusts_or_does_not() {
        let name = u64::from_le_bytes(*b"2.18.1\0\0");
        assert_eq!(said(&[HELLO_BACK, 0x0125, 6, name, TRUSTED]), Some(true));
        assert_eq!(said(&[HELLO_BACK, 0x0123, 6, name, NOT_TRUSTED]), Some(false));
        assert_eq!(said(&[HELLO_BACK, 0x0123, 6, name, 0]), None);
        assert_eq!(said(&[HELLO_BACK, 0x0122, 6, name]), None);
        assert_eq!(said(&[HELLO_BACK, 0x0115]), None);
        assert_eq!(said(&[HELLO_BACK, 0x0125, u64::MAX]), None);
        assert_eq!(said(&[HELLO, 0x0125]), None);
        assert_eq!(said(&[]), None);
    }
}
