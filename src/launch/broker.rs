//! Starts the broker beside the sandbox and hands it what it needs: its configuration and the sockets that listen inside, in
//! one message. The real credential is in that message alone: in no environment, on no command line, in no file.
#![expect(clippy::disallowed_methods, reason = "starts the broker")]

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};

use crate::diagnostic::Diagnostic;
use crate::draft::Network;
use crate::host::tree::plain;
use crate::invariants::plan::{Broker, Plan};
use crate::net::broker::wire::{
    Answer, Call, Called, Configuration, LENGTH_MAX, Listener, Order, Placeholders, VERSION,
};
use crate::net::broker::{ACCESS, BROKERED, KEY, NAME_SERVER, REFRESH};
use crate::path::{HostPath, printable};
use crate::sys::handover;

use super::network::{log_file, said};

/// How long the broker may take until it serves. It takes milliseconds; a machine under heavy load may take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way out of every refusal here.
const WAY_OUT: &str = "`--net none` needs no broker";

/// A broker that runs, and is not yet told anything.
#[derive(Debug)]
pub struct Running {
    child: Child,
    socket: OwnedFd,
    log: File,
}

impl Running {
    /// Starts it in the namespaces of the host, from where it reaches the internet.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &HostPath) -> Result<Self, Diagnostic> {
        let start = || -> io::Result<Self> {
            let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
            let log = log_file()?;
            // INVARIANT(no-inherited-fds): everything else that is open is closed by exec.
            let child = Command::new(program.as_path())
                .env_clear()
                // It must not keep the project's file system busy.
                .current_dir("/")
                .stdin(Stdio::from(theirs))
                .stdout(Stdio::null())
                .stderr(log.try_clone()?)
                .spawn()?;
            Ok(Self { child, socket, log })
        };
        start().map_err(|error| failed(&format!("start `{program}`"), &error))
    }

    /// The socket, whose end everywhere is the broker's end.
    #[must_use]
    pub fn lifeline(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Makes the listening sockets in the namespace in which this process is now, and tells the broker everything.
    ///
    /// # Errors
    /// A port is taken, or the broker is gone.
    pub fn tell(&self, plan: &Plan, broker: &Broker) -> Result<(), Diagnostic> {
        let sockets = sockets(plan.network()).map_err(|error| failed("make the broker's listening sockets", &error))?;
        let configuration = configuration(plan, broker, sockets.iter().map(|(kind, _)| *kind).collect());
        let descriptors: Vec<BorrowedFd> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
        self.order(&Order::Serve(Box::new(configuration)), &descriptors)
            .map_err(|error| failed("tell the broker what it needs", &error))
    }

    fn order(&self, order: &Order, descriptors: &[BorrowedFd]) -> io::Result<()> {
        let text = serde_json::to_vec(order)?;
        if text.len() > LENGTH_MAX {
            return Err(io::Error::other("the list of hosts is too long"));
        }
        // A broker that is gone is found out by the wait, which knows what it said.
        match handover::send(&self.socket, &text, descriptors) {
            Ok(()) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends it: nothing will be started that could want it.
    pub fn end(mut self) {
        let _ = self.child.kill();
    }

    /// Waits until it serves, and returns the session's certificate.
    ///
    /// # Errors
    /// It does not: what it said.
    pub fn certificate(&mut self) -> Result<Vec<u8>, Diagnostic> {
        let answer = self.answer(PATIENCE);
        if let Some(Answer::Ready { ca }) = answer {
            return Ok(ca.into_bytes());
        }
        let why = self.why(answer);
        Err(Diagnostic::new("broker", format!("the broker does not serve; {why}")).hint(WAY_OUT))
    }

    /// What it said of its failure.
    fn why(&mut self, answer: Option<Answer>) -> String {
        if let Some(Answer::Error(why)) = answer {
            return format!("it said: {}", printable(why.as_ref()));
        }
        let said = said(&mut self.log);
        if said.is_empty() {
            "it did not say why".to_string()
        } else {
            format!("it said: {said}")
        }
    }

    fn answer(&self, patience: Duration) -> Option<Answer> {
        let timeout = Timespec::try_from(patience).ok();
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        loop {
            match poll(&mut polled, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(1) => break,
                _ => return None,
            }
        }
        let mut text = vec![0; LENGTH_MAX];
        let (_, length) = recv(&self.socket, &mut text[..], RecvFlags::empty()).ok()?;
        serde_json::from_slice(text.get(..length)?).ok()
    }
}

/// Makes one call over a connection of the sandbox's, by a second process of the broker's program: the launcher itself speaks no
/// TLS. These certificates (PEM) are trusted, and no others.
///
/// # Errors
/// The call could not be made at all: why.
pub fn call(program: &HostPath, call: Call, certificates: &[u8], connection: &OwnedFd) -> Result<Called, String> {
    let certificates = super::memory_file(certificates).map_err(|error| plain(&error))?;
    let mut caller = Running::start(program).map_err(|error| error.message)?;
    let patience = Duration::from_millis(call.patience) + PATIENCE;
    caller
        .order(&Order::Call(call), &[connection.as_fd(), certificates.as_fd()])
        .map_err(|error| plain(&error))?;
    let called = match caller.answer(patience) {
        Some(Answer::Called(called)) => Ok(called),
        other => Err(caller.why(other)),
    };
    caller.end();
    called
}

/// What listens inside. With a way of its own to the internet only the brokered names lead to the broker, each at its own
/// address, so that nothing else of the loopback is taken.
fn sockets(network: Network) -> io::Result<Vec<(Listener, OwnedFd)>> {
    let tcp = |address: Ipv4Addr, port: u16| TcpListener::bind(SocketAddrV4::new(address, port)).map(OwnedFd::from);
    let mut sockets = Vec::new();
    if network == Network::Allowlist {
        sockets.push((Listener::Https, tcp(Ipv4Addr::UNSPECIFIED, 443)?));
        sockets.push((Listener::Http, tcp(Ipv4Addr::UNSPECIFIED, 80)?));
        sockets.push((
            Listener::Dns,
            UdpSocket::bind(SocketAddrV4::new(NAME_SERVER, 53))?.into(),
        ));
    } else {
        for (_, address) in BROKERED {
            sockets.push((Listener::Https, tcp(address, 443)?));
        }
    }
    Ok(sockets)
}

fn configuration(plan: &Plan, broker: &Broker, listeners: Vec<Listener>) -> Configuration {
    let [roots, extra_roots] = broker
        .roots
        .clone()
        .map(|path| path.map(|path| path.as_path().to_path_buf()));
    Configuration {
        version: VERSION,
        listeners,
        credential: plan.credentials().held.clone(),
        placeholders: Placeholders {
            key: KEY.into(),
            access: ACCESS.into(),
            refresh: REFRESH.into(),
        },
        login: broker.login,
        brokered: if broker.brokered {
            BROKERED.map(|(name, address)| (name.to_string(), address)).to_vec()
        } else {
            Vec::new()
        },
        allow: plan
            .names()
            .map(|names| names.iter().map(|(name, _)| name.to_string()).collect()),
        roots,
        extra_roots,
        log: broker.log.as_ref().map(|path| path.as_path().to_path_buf()),
    }
}

fn failed(what: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::new("broker", format!("cannot {what}: {}", plain(error))).hint(WAY_OUT)
}
