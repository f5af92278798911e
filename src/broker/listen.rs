//! The sockets inside the sandbox's network, and what is made of a connection: its local address tells which name was meant.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use claudebox::net::broker::denial::Way;
use claudebox::net::broker::wire::Listener;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::addresses::Meant;
use crate::session::Session;
use crate::{dns, egress, forward};

/// The most connections at one time; further ones wait to be accepted. Each can need another one to the outside, and a process
/// has 1024 descriptors where nobody says otherwise.
const CONNECTIONS_MAX: usize = 400;

/// How long to wait where a connection cannot be accepted for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts to serve all sockets.
///
/// # Errors
/// One of them is not what the configuration says.
pub fn all(session: &Arc<Session>, kinds: &[Listener], sockets: Vec<OwnedFd>) -> anyhow::Result<()> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    for (kind, socket) in kinds.iter().zip(sockets) {
        rustix::io::ioctl_fionbio(&socket, true).context("a socket cannot be used")?;
        match kind {
            Listener::Https | Listener::Http => {
                let listener = TcpListener::from_std(socket.into()).context("a socket cannot be used")?;
                tokio::spawn(accept(Arc::clone(session), *kind, listener, Arc::clone(&connections)));
            }
            Listener::Dns => {
                let socket = UdpSocket::from_std(socket.into()).context("a socket cannot be used")?;
                tokio::spawn(dns::serve(Arc::clone(session), socket));
            }
        }
    }
    Ok(())
}

async fn accept(session: Arc<Session>, kind: Listener, listener: TcpListener, connections: Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let session = Arc::clone(&session);
        tokio::spawn(async move {
            serve(session, kind, stream).await;
            drop(place);
        });
    }
}

async fn serve(session: Arc<Session>, kind: Listener, stream: TcpStream) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let meant = match local.ip() {
        IpAddr::V4(address) => session.addresses.meant(address),
        IpAddr::V6(_) => None,
    };
    let deny = |subject: &str, why| {
        session
            .denied
            .tell(Way::Connection, &format!("{subject}:{}", local.port()), why)
    };
    match (kind, meant) {
        (Listener::Https, Some(Meant::Brokered(service, name))) => forward::serve(session, service, name, stream).await,
        (Listener::Https, Some(Meant::Allowed(name))) => egress::encrypted(&session, &name, stream).await,
        (Listener::Http, Some(Meant::Allowed(name))) => egress::plain(session, name, stream).await,
        (Listener::Http | Listener::Dns, Some(Meant::Brokered(_, name) | Meant::Allowed(name))) => {
            deny(name.as_str(), "only encrypted connections are brokered");
        }
        (_, None) => deny(&local.ip().to_string(), "no name has this address"),
    }
}
