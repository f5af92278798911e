//! A server that keeps every byte that it received, and answers as a test says.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use claudebox::net::broker::{API, PLATFORM};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A certificate authority of the test's own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server with these names needs.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names).expect("names");
        let leaf = leaf.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key);
        Arc::new(config.expect("a certificate with its key"))
    }
}

/// What a request is answered with: the request's bytes go in, the answer's are written.
pub type Answer = Arc<dyn Fn(&[u8], &mut dyn Write) -> io::Result<()> + Send + Sync>;

/// A running server.
pub struct Upstream {
    received: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Answer>>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.received).finish()
    }
}

impl Upstream {
    /// Starts one. It ends with the suite.
    pub fn start(place: (Ipv4Addr, u16), authority: Option<&Authority>) -> Self {
        let config = authority.map(|authority| authority.server(&[API, PLATFORM, "allowed.example.test"]));
        let listener = TcpListener::bind(place).expect("a port of our own");
        let usual: Answer = Arc::new(|_, out| out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
        let upstream = Self {
            received: Arc::default(),
            answer: Arc::new(Mutex::new(usual)),
        };
        let (received, answer) = (Arc::clone(&upstream.received), Arc::clone(&upstream.answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, received, answer) = (config.clone(), Arc::clone(&received), Arc::clone(&answer));
                std::thread::spawn(move || match config {
                    Some(config) => {
                        let tls = ServerConnection::new(config).expect("a connection");
                        serve(&mut StreamOwned::new(tls, stream), &received, &answer)
                    }
                    None => serve(&mut { stream }, &received, &answer),
                });
            }
        });
        upstream
    }

    /// Answers in another way from now on.
    pub fn answer(&self, answer: impl Fn(&[u8], &mut dyn Write) -> io::Result<()> + Send + Sync + 'static) {
        *self.answer.lock().expect("no panic") = Arc::new(answer);
    }

    /// The same with fixed bytes.
    pub fn answer_bytes(&self, bytes: &str) {
        let bytes = bytes.to_owned();
        self.answer(move |_, out| out.write_all(bytes.as_bytes()));
    }

    /// Everything received since the last call, one text a request.
    pub fn received(&self) -> Vec<String> {
        std::mem::take(&mut *self.received.lock().expect("no panic"))
    }
}

fn serve(stream: &mut (impl Read + Write), received: &Mutex<Vec<String>>, answer: &Mutex<Answer>) -> io::Result<()> {
    let mut rest = Vec::new();
    while let Some(request) = request(stream, &mut rest)? {
        let text = String::from_utf8_lossy(&request).into_owned();
        received.lock().expect("no panic").push(text);
        let answer = Arc::clone(&answer.lock().expect("no panic"));
        answer(&request, stream)?;
        stream.flush()?;
    }
    Ok(())
}

/// Reads one request as its own words frame it.
fn request(stream: &mut impl Read, rest: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut part = vec![0; 64 * 1024];
    loop {
        if let Some(length) = length(rest) {
            let after = rest.split_off(length);
            return Ok(Some(std::mem::replace(rest, after)));
        }
        match stream.read(&mut part) {
            Ok(0) => return Ok(None),
            Ok(count) => rest.extend_from_slice(&part[..count]),
            // The end of a connection without a farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// The length of a request, if it is complete.
fn length(bytes: &[u8]) -> Option<usize> {
    let find = |what: &[u8], from: usize| bytes[from..].windows(what.len()).position(|part| part == what);
    let head = find(b"\r\n\r\n", 0)? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    if value("transfer-encoding:") == Some("chunked") {
        return Some(head + find(b"0\r\n\r\n", head)? + 5);
    }
    let body = value("content-length:").map_or(0, |value| value.parse().expect("a length"));
    (bytes.len() >= head + body).then_some(head + body)
}

/// Keeps a connection's stream type short.
pub type Tls = StreamOwned<rustls::ClientConnection, TcpStream>;
