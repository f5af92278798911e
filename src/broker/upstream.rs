//! The way out for requests: names are resolved here, outside the sandbox, and the very address that was checked is dialled.

mod dial;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claudebox::net::name::Name;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{Body, PLAIN};

pub use dial::{NotReached, dial};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// How many idle connections are kept.
const IDLE_MAX: usize = 32;

/// Connections to the outside. A copy shares them.
#[derive(Clone)]
pub struct Upstream {
    tls: TlsConnector,
    idle: Arc<Mutex<Idle>>,
}

/// Those that wait for work, with their name and port, the longest waiting first.
type Idle = Vec<(Name, u16, SendRequest<Body>)>;

/// Why there is no answer. Completes the sentence "... cannot be reached: ...".
#[derive(Debug)]
pub enum Failed {
    /// There is no way to it.
    NotReached(NotReached),
    /// It does not prove to be who it should be, or the handshake failed.
    Tls(String),
    /// The connection broke off.
    Broken(hyper::Error),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached(why) => why.fmt(f),
            Self::Tls(why) => write!(f, "the encrypted connection failed: {why}"),
            Self::Broken(why) => write!(f, "the connection broke off: {why}"),
        }
    }
}

impl Upstream {
    /// With whom to trust.
    pub fn new(trusted: ClientConfig) -> Self {
        Self {
            tls: TlsConnector::from(Arc::new(trusted)),
            idle: Arc::default(),
        }
    }

    /// Sends one request to a name, encrypted but at the port of plain HTTP. The answer's body comes as it is read.
    pub async fn send(&self, name: &Name, port: u16, mut request: Request<Body>) -> Result<Response<Incoming>, Failed> {
        loop {
            let idle = self.idle(name, port);
            let reused = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect(name, port).await?,
            };
            match connection.try_send_request(request).await {
                Ok(response) => {
                    self.keep(name.clone(), port, connection);
                    return Ok(response);
                }
                // An idle connection can be closed at any time. Where nothing of the request was sent, another one takes it.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(Failed::Broken(error.into_error())),
                },
            }
        }
    }

    /// A connection that waits for work.
    fn idle(&self, name: &Name, port: u16) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(.., connection)| connection.is_ready());
        let at = idle.iter().rposition(|(known, at, _)| known == name && *at == port)?;
        Some(idle.remove(at).2)
    }

    async fn connect(&self, name: &Name, port: u16) -> Result<SendRequest<Body>, Failed> {
        let stream = dial(name, port).await.map_err(Failed::NotReached)?;
        if port == PLAIN {
            return driven(stream).await;
        }
        self.encrypted(name, stream).await
    }

    /// Makes an encrypted connection of a plain one, if who is at the other end proves to have the name.
    pub async fn encrypted(&self, name: &Name, stream: TcpStream) -> Result<SendRequest<Body>, Failed> {
        let server = ServerName::try_from(name.to_string()).map_err(|error| Failed::Tls(error.to_string()))?;
        let tls = match tokio::time::timeout(HANDSHAKE, self.tls.connect(server, stream)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return Err(Failed::Tls(error.to_string())),
            Err(_) => return Err(Failed::Tls("it took too long".into())),
        };
        driven(tls).await
    }

    /// Keeps a connection for the next request, once its answer has been read to the end.
    fn keep(&self, name: Name, port: u16, mut connection: SendRequest<Body>) {
        let idle = Arc::clone(&self.idle);
        tokio::spawn(async move {
            if connection.ready().await.is_ok() {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() >= IDLE_MAX {
                    idle.remove(0);
                }
                idle.push((name, port, connection));
            }
        });
    }
}

/// A connection for requests that is read and written by itself. It ends when its sender and the body that it reads are dropped:
/// what is given up inside is given up outside.
async fn driven(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<SendRequest<Body>, Failed> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(Failed::Broken)?;
    tokio::spawn(connection);
    Ok(sender)
}
