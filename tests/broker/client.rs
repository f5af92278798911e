//! A client that sends bytes as they are and reads what comes back.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::upstream::Tls;
use super::world::PATIENCE;

/// An encrypted connection.
#[derive(Debug)]
pub struct Client(pub Tls);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    /// Connects, asks for `name`, and trusts `ca`.
    pub fn tls(place: (Ipv4Addr, u16), name: &str, ca: &str) -> io::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots
                .add(certificate.map_err(io::Error::other)?)
                .map_err(io::Error::other)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(place)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Reads one answer.
    pub fn response(&mut self, without_body: bool) -> io::Result<Response> {
        let mut received = Received(&mut self.0);
        let head = head(&mut received)?;
        let body = if without_body {
            Vec::new()
        } else {
            body(&mut received, &head)?
        };
        Ok(Response::new(head, &body))
    }

    /// Sends bytes and reads one answer.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
        self.write(bytes.as_ref())?;
        self.response(false)
    }
}

/// What comes in, also where what went out could not all be sent: the stream's own reading would try that again first, and fail
/// where the other side answered in the middle and closed.
struct Received<'stream>(&'stream mut Tls);

impl Read for Received<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Tls { conn, sock } = &mut *self.0;
        loop {
            match conn.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if conn.read_tls(sock)? == 0 {
                return Ok(0);
            }
            conn.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Response {
    /// The connection was closed instead.
    pub fn closed() -> Self {
        Self {
            status: 0,
            head: String::new(),
            body: String::new(),
        }
    }

    fn new(head: String, body: &[u8]) -> Self {
        Self {
            status: head
                .get(9..12)
                .and_then(|status| status.parse().ok())
                .expect("a status"),
            head,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

/// Reads the head of an answer.
pub fn head(stream: &mut impl Read) -> io::Result<String> {
    line_until(stream, b"\r\n\r\n")
}

/// Reads bytes up to an ending, one at a time: what comes after it is not ours.
fn line_until(stream: &mut impl Read, ending: &[u8]) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(ending) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Reads the body that a head announces.
fn body(stream: &mut impl Read, head: &str) -> io::Result<Vec<u8>> {
    let lower = head.to_lowercase();
    let value = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    if value("transfer-encoding:") != Some("chunked") {
        let length = value("content-length:").map_or(0, |value| value.parse().expect("a length"));
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        return Ok(body);
    }
    let mut body = Vec::new();
    loop {
        let size = line_until(stream, b"\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let mut part = vec![0; size + 2];
        stream.read_exact(&mut part)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&part[..size]);
    }
}
