//! The two sides of a broker, and the broker between them, spoken to as the launcher speaks to it.

use std::collections::HashMap;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use claudebox::net::broker::wire::{Answer, Configuration, Credential, Listener, Placeholders, VERSION};
use claudebox::net::broker::{ACCESS, BROKERED, KEY, REFRESH};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};

use super::client::Client;
use super::upstream::{Authority, Upstream};
use crate::network::lab::{Namespace, with_name_servers};
use crate::network::servers;
use crate::support::User;
use crate::support::user::programs;

/// The real key, which must be seen nowhere inside.
pub const REAL_KEY: &str = "sk-ant-api03-REAL-KEY";

/// After this long a broker is taken for hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the vendor's services stand outside.
const API_OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const PLATFORM_OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 11);
/// Where the name server stands outside.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);

/// Both sides.
#[derive(Debug)]
pub struct World {
    inside: Namespace,
    /// The certificate authority that the outside trusts.
    pub authority: Authority,
    /// Claude Code's service.
    pub api: Upstream,
    /// Where its tokens come from.
    pub platform: Upstream,
    /// What the name server answers.
    pub names: Names,
    /// A directory of the user's.
    pub directory: tempfile::TempDir,
}

/// Addresses by name; each question takes the next list of addresses, and the last one stays.
pub type Names = Arc<Mutex<HashMap<String, Vec<Vec<[u8; 4]>>>>>;

/// Makes both sides and runs a test outside.
pub fn world(test: impl FnOnce(&World) + Send) {
    crate::support::user::need_root();
    let outside = Namespace::new();
    outside.ip(&format!(
        "link set lo up\naddr add {API_OUTSIDE} dev lo\naddr add {PLATFORM_OUTSIDE} dev lo\naddr add {NAME_SERVER} dev lo\n\
         addr add 203.0.113.20 dev lo\naddr add 192.168.77.1 dev lo\n"
    ));
    outside.run(|| {
        let _resolv_conf = with_name_servers(&format!("nameserver {NAME_SERVER}\noptions timeout:2\nsearch lan\n"));
        let names: Names = Arc::default();
        for ((name, _), address) in BROKERED.into_iter().zip([API_OUTSIDE, PLATFORM_OUTSIDE]) {
            names
                .lock()
                .expect("no panic")
                .insert(name.into(), vec![vec![address.octets()]]);
        }
        let known = Arc::clone(&names);
        servers::names_by(NAME_SERVER.into(), move |name| {
            let mut known = known.lock().expect("no panic");
            let answers = known.get_mut(name)?;
            if answers.len() > 1 {
                Some(answers.remove(0))
            } else {
                answers.first().cloned()
            }
        });
        let authority = Authority::new("the outside");
        let directory = tempfile::tempdir().expect("a directory in /tmp");
        std::fs::write(directory.path().join("roots.pem"), authority.pem()).expect("our own file");
        User::Ordinary.own(directory.path());
        test(&World {
            inside: inside(),
            api: Upstream::start((API_OUTSIDE, 443), Some(&authority)),
            platform: Upstream::start((PLATFORM_OUTSIDE, 443), Some(&authority)),
            authority,
            names,
            directory,
        });
    });
}

impl World {
    /// A file in the user's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A configuration with a key, nothing allowed beside.
    pub fn configuration(&self) -> Configuration {
        Configuration {
            version: VERSION,
            listeners: vec![Listener::Https, Listener::Http, Listener::Dns],
            credential: Some(Credential::Key(REAL_KEY.into())),
            placeholders: Placeholders {
                key: KEY.into(),
                access: ACCESS.into(),
                refresh: REFRESH.into(),
            },
            login: false,
            brokered: BROKERED
                .iter()
                .map(|(name, address)| ((*name).into(), *address))
                .collect(),
            allow: None,
            roots: Some(self.path("roots.pem")),
            extra_roots: None,
            log: Some(self.path("denied.jsonl")),
        }
    }

    /// A broker that serves.
    #[track_caller]
    pub fn broker(&self, configuration: &Configuration) -> Broker {
        self.broker_in(&self.inside, configuration)
    }

    /// A broker that serves another inside.
    #[track_caller]
    pub fn broker_in(&self, inside: &Namespace, configuration: &Configuration) -> Broker {
        let mut broker = self.spawn();
        broker.send(configuration, sockets(inside, configuration));
        match broker.answer() {
            Some(Answer::Ready { ca }) => broker.ca = ca,
            answer => panic!("{answer:?}: {}", broker.stderr()),
        }
        broker
    }

    /// A broker that was told nothing yet.
    pub fn spawn(&self) -> Broker {
        self.spawn_with(|_| {})
    }

    /// The same, started in another way.
    pub fn spawn_with(&self, change: impl FnOnce(&mut Command)) -> Broker {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("sockets");
        let stderr = tempfile::tempfile().expect("a file in /tmp");
        let mut command = Command::new(programs().join("with-broker/claudebox-broker"));
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(stderr.try_clone().expect("a file of ours"));
        User::Ordinary.start(&mut command);
        change(&mut command);
        Broker {
            child: command.spawn().expect("the broker"),
            launcher: Some(ours),
            stderr,
            ca: String::new(),
        }
    }

    /// The listening sockets of the inside.
    pub fn sockets(&self, configuration: &Configuration) -> Vec<OwnedFd> {
        sockets(&self.inside, configuration)
    }

    /// Runs something inside.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.inside.run(act)
    }

    /// A client inside that trusts the session's certificate.
    pub fn client(&self, broker: &Broker, name: &str) -> Client {
        client(&self.inside, broker, name)
    }

    /// What the broker told of refusals, without the times.
    pub fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("denied.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| {
                let line: claudebox::net::broker::denial::Denial =
                    serde_json::from_str(line).expect("a line of the log");
                format!("{:?} {}: {}", line.via, line.denied, line.why)
            })
            .collect()
    }
}

/// The listening sockets of an inside.
fn sockets(inside: &Namespace, configuration: &Configuration) -> Vec<OwnedFd> {
    inside.run(|| {
        let socket = |listener: &Listener| match listener {
            Listener::Https => bound(|| TcpListener::bind("0.0.0.0:443")),
            Listener::Http => bound(|| TcpListener::bind("0.0.0.0:80")),
            Listener::Dns => bound(|| UdpSocket::bind("127.0.0.1:53")),
        };
        configuration.listeners.iter().map(socket).collect()
    })
}

/// A socket on a port of our own. What another thread is just starting holds all that is open here until it runs.
fn bound<T: Into<OwnedFd>>(bind: impl Fn() -> std::io::Result<T>) -> OwnedFd {
    let start = Instant::now();
    loop {
        match bind() {
            Ok(socket) => return socket.into(),
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An inside: a network namespace with a loopback and nothing else.
pub fn inside() -> Namespace {
    let inside = Namespace::new();
    inside.ip("link set lo up\n");
    inside
}

/// A client in an inside that trusts the session's certificate.
pub fn client(inside: &Namespace, broker: &Broker, name: &str) -> Client {
    let known = BROKERED.into_iter().find(|(known, _)| *known == name);
    let (_, address) = known.expect("a brokered name");
    inside.run(|| Client::tls((address, 443), name, &broker.ca).expect("the broker's certificate"))
}

/// A running broker. It is ended when dropped.
#[derive(Debug)]
pub struct Broker {
    pub child: Child,
    launcher: Option<OwnedFd>,
    stderr: std::fs::File,
    /// The session's certificate.
    pub ca: String,
}

impl Broker {
    /// Sends what the launcher sends.
    pub fn send(&self, configuration: &Configuration, sockets: Vec<OwnedFd>) {
        self.send_bytes(&serde_json::to_vec(configuration).expect("JSON"), &sockets);
    }

    /// The same with any bytes.
    pub fn send_bytes(&self, bytes: &[u8], sockets: &[OwnedFd]) {
        let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&sockets)));
        let launcher = self.launcher.as_ref().expect("not yet closed");
        sendmsg(launcher, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
            .expect("a message to the broker");
    }

    /// Waits for the answer; `None` where the broker ended instead.
    pub fn answer(&mut self) -> Option<Answer> {
        let launcher = self.launcher.as_ref().expect("not yet closed");
        rustix::net::sockopt::set_socket_timeout(launcher, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE))
            .expect("a socket of ours");
        let mut text = vec![0; 64 * 1024];
        let (length, _) = recv(launcher, &mut text[..], RecvFlags::empty()).expect("an answer in time");
        (length > 0).then(|| serde_json::from_slice(&text[..length]).expect("an answer as agreed"))
    }

    /// What it wrote.
    pub fn stderr(&mut self) -> String {
        use std::io::{Read, Seek};
        let mut text = String::new();
        self.stderr.rewind().expect("a file of ours");
        self.stderr.read_to_string(&mut text).expect("text");
        text
    }

    /// Closes the launcher's end.
    pub fn close(&mut self) {
        self.launcher = None;
    }

    /// Waits for its end, and gives the exit code; `None` where a signal ended it.
    pub fn ended(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the broker goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
