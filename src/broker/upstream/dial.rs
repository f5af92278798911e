//! From a name to a connection. What a name server answers is checked, and the checked address is dialled: a second question,
//! which could be answered otherwise, is never asked.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use claudebox::net::name::Name;
use claudebox::net::ranges::is_public;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long one address may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the host's resolver may take.
const RESOLVE: Duration = Duration::from_secs(20);

/// Why a name cannot be reached. Completes the sentence "... cannot be reached: ...".
#[derive(Debug)]
pub enum NotReached {
    /// It could not be resolved.
    Resolve(io::Error),
    /// It leads to this host or to a local network: an answer that an attacker gives to come behind the wall.
    NotPublic(Vec<IpAddr>),
    /// Nobody answers there.
    Connect(io::Error),
}

impl fmt::Display for NotReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "its address cannot be found ({error})"),
            Self::NotPublic(addresses) => {
                f.write_str("its address is none of the internet:")?;
                addresses.iter().try_for_each(|address| write!(f, " {address}"))
            }
            Self::Connect(error) => write!(f, "no connection ({error})"),
        }
    }
}

/// Connects with a name on the internet.
///
/// INVARIANT(network): addresses of this host and of local networks are dropped before one is dialled.
pub async fn dial(name: &Name, port: u16) -> Result<TcpStream, NotReached> {
    // The dot keeps the resolver from completing the name with the host's search domains.
    let question = format!("{name}.");
    let resolved = timeout(RESOLVE, lookup_host((question.as_str(), port))).await;
    let all: Vec<SocketAddr> = resolved
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(NotReached::Resolve)?
        .collect();
    let (public, others): (Vec<SocketAddr>, Vec<SocketAddr>) = all.iter().partition(|address| is_public(address.ip()));
    let mut last = NotReached::NotPublic(others.iter().map(SocketAddr::ip).collect());
    for address in public {
        let connected = timeout(CONNECT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // Single events of a stream are small, and are not to wait for more.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = NotReached::Connect(error),
        }
    }
    Err(last)
}
