//! Connects as Claude Code would, and hands the connection out: what is said over it needs more than the launcher has, and
//! nothing of the sandbox but this.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the sandbox from inside: that is its task"
)]

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::host::tree::plain;
use crate::sys::handover;
use crate::verify::message::{Bytes, Connected, send};

/// How long a connection may take. One to this side of the sandbox's loopback is there at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects.
pub(super) fn connect(to: &UnixStream, name: &str, port: u16, certificates: &Bytes) -> io::Result<()> {
    let address = (name, port).to_socket_addrs().map(|mut addresses| addresses.next());
    let connection = match &address {
        Ok(Some(address)) => TcpStream::connect_timeout(address, PATIENCE),
        Ok(None) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => Err(io::Error::other(plain(error))),
    };
    let handed: Vec<_> = connection.iter().map(AsFd::as_fd).collect();
    handover::send(to, b"c", &handed)?;
    let connected = Connected {
        address: address.ok().flatten(),
        failed: connection.as_ref().err().map(plain),
        certificates: Bytes(std::fs::read(certificates.as_path()).unwrap_or_default()),
    };
    send(to, &connected)
}
