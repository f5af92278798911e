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

    /// Sends bytes and reads one answer.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
        self.0.write_all(bytes.as_ref())?;
        self.0.flush()?;
        response(&mut self.0)
    }

    /// Sends bytes and reads everything that comes until the other side closes.
    pub fn ask_all(mut self, bytes: impl AsRef<[u8]>) -> Vec<Response> {
        // A broker that refuses may close before everything is sent.
        let _ = self.0.write_all(bytes.as_ref()).and_then(|()| self.0.flush());
        let mut responses = Vec::new();
        while let Ok(response) = response(&mut self.0) {
            let last = response.head.to_lowercase().contains("connection: close");
            responses.push(response);
            if last {
                break;
            }
        }
        responses
    }
}

/// Reads one answer.
pub fn response(stream: &mut impl Read) -> io::Result<Response> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let lower = head.to_lowercase();
    let value = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    let mut body = Vec::new();
    if value("transfer-encoding:") == Some("chunked") {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                line.push(byte[0]);
            }
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let mut part = vec![0; size + 2];
            stream.read_exact(&mut part)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&part[..size]);
        }
    } else {
        let length = value("content-length:").map_or(0, |value| value.parse().expect("a length"));
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    }
    Ok(Response {
        status: head[9..12].parse().expect("a status"),
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
