//! Takes TLS off in front of the stub of the Messages API. Claude Code renews a login only at its vendor's name and only over TLS, so a test
//! gives it the stub as its HTTP proxy and a certificate of the test's own to trust.
//!
//! Node does the TLS: it is there anyway, for npm brings it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::api::Api;

/// The server in Node: hands the plain bytes to the stub, and prints the port it got.
const SERVER: &str = r"
const [certificate, key, port, address, own] = process.argv.slice(1);
const {readFileSync} = require('fs'), net = require('net'), tls = require('tls');
const server = tls.createServer({cert: readFileSync(certificate), key: readFileSync(key)}, client => {
  const stub = net.connect(Number(port), '127.0.0.1');
  for (const end of [client, stub]) end.on('error', () => { client.destroy(); stub.destroy(); });
  client.pipe(stub).pipe(client);
});
server.listen(Number(own), address, () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
";

/// The running TLS server; it stops when dropped, and by itself when the test dies (its stdin ends then).
#[derive(Debug)]
pub struct Tls {
    server: Child,
    directory: tempfile::TempDir,
}

impl Tls {
    /// Makes a certificate for the vendor's names, starts the server and leads the stub's `CONNECT` to it.
    pub fn start(api: &Api) -> Self {
        let (tls, address) = Self::at(api, (Ipv4Addr::LOCALHOST, 0).into());
        api.set_tls(address);
        tls
    }

    /// The same at an address of the network that this thread is in. Returns where it really is.
    pub fn at(api: &Api, address: SocketAddr) -> (Self, SocketAddr) {
        let directory = tempfile::Builder::new()
            .prefix("claudebox-tls-")
            .tempdir()
            .expect("a directory for the certificate");
        let (certificate, key) = (
            directory.path().join("certificate.pem"),
            directory.path().join("key.pem"),
        );
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ])
            .args([
                "-subj",
                "/CN=claudebox test",
                "-addext",
                "subjectAltName=DNS:platform.claude.com,DNS:api.anthropic.com",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl, from the package of that name");
        assert!(
            made.status.success(),
            "openssl failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let (server, address) = front(&certificate, &key, api, address);
        (Self { server, directory }, address)
    }

    /// The certificate to trust, as PEM.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.path()).expect("the certificate just made")
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Takes TLS off in front of the stub, with this certificate. Returns the server, which ends when its stdin does, and where it is.
pub fn front(certificate: &Path, key: &Path, api: &Api, address: SocketAddr) -> (Child, SocketAddr) {
    let mut server = Command::new("node")
        .args(["-e", SERVER])
        .arg(certificate)
        .arg(key)
        .arg(api.address().port().to_string())
        .args([address.ip().to_string(), address.port().to_string()])
        .env_clear()
        .env("PATH", super::PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node, which comes with npm");
    let mut port = String::new();
    let output = server.stdout.take().expect("the server's output");
    BufReader::new(output).read_line(&mut port).expect("the server's port");
    let port = port.trim().parse::<u16>().expect("the server's port");
    (server, SocketAddr::new(address.ip(), port))
}
