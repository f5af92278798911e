//! The lab's machine, and on the lab's internet a stand-in of Claude Code's service that has the real names and a certificate
//! of an authority that the machine's user trusts.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicU8, Ordering};

use claudebox::net::broker::{API, PLATFORM};

use crate::network::lab::{lab, shell};
use crate::network::servers;
use crate::support::api::Api;
use crate::support::{Test, User, claude, tls};

/// The real key, which must be seen nowhere inside.
pub const KEY: &str = "sk-ant-api03-CANARY-of-the-real-key-Q7xW2pLr9ZtB4mNs";

/// One user's world.
#[derive(Debug)]
pub struct World {
    /// The stand-in.
    pub api: Api,
    front: Child,
    directory: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.front.kill();
        let _ = self.front.wait();
    }
}

/// Makes one and runs a test on the machine.
pub fn world(test: impl FnOnce(&World) + Send) {
    // Each has an address of its own for the service and its names.
    static NEXT: AtomicU8 = AtomicU8::new(100);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    assert!(number < 250, "more tests than addresses");
    let address = Ipv4Addr::new(203, 0, 113, number);
    lab().internet.ip(&format!("addr add {address}/32 dev lo\n"));
    let directory = tempfile::Builder::new()
        .prefix("claudebox-world-")
        .tempdir_in("/tmp")
        .expect("a directory in /tmp");
    certificates(&directory.path().display().to_string());
    let (api, front) = lab().internet.run(|| {
        servers::names_by(address.into(), move |name| match name {
            API | PLATFORM => Some(vec![address.octets()]),
            "www.example.test" | "mirror.example.test" => Some(vec![[203, 0, 113, 10]]),
            "rebind.example.test" => Some(vec![[192, 168, 77, 2]]),
            _ => None,
        });
        let api = Api::start();
        let leaf = |ending: &str| directory.path().join(format!("leaf.{ending}"));
        let (front, _) = tls::front(&leaf("pem"), &leaf("key"), &api, (address, 443).into());
        (api, front)
    });
    let world = World { api, front, directory };
    lab().on_machine_with(&format!("nameserver {address}\noptions timeout:2\n"), || test(&world));
}

/// An authority, and a certificate of it for the service's names.
fn certificates(directory: &str) {
    shell(&format!(
        "chmod 755 {directory}; cd {directory} && exec 2>/dev/null
         key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
         openssl req -x509 $key -days 2 -subj '/CN=claudebox test authority' -keyout ca.key -out ca.pem &&
         openssl req $key -subj '/CN=leaf' -keyout leaf.key -out leaf.csr &&
         printf 'subjectAltName=DNS:{API},DNS:{PLATFORM}\\nbasicConstraints=CA:FALSE\\n' > leaf.ext &&
         openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.ext -out leaf.pem &&
         chmod 644 ca.pem"
    ));
}

impl World {
    /// A file of this world's own, which every user can read.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A home whose user trusts the authority, with the broker installed and Claude Code.
    pub fn home(&self, user: User) -> Test {
        let claude = claude::path();
        Test::new()
            .who(user)
            .with_broker()
            .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
            .var("NODE_EXTRA_CA_CERTS", self.authority().display().to_string())
    }
}
