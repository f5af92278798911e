//! Attaches the networks `internet` and `allowlist` to this process, before it becomes bubblewrap. The order is the isolation:
//!
//! 1. what belongs to the host is opened while this process is still in the host's network: published ports, and the companions
//!    that stay there;
//! 2. this process moves into a user and a network namespace of its own, which has nothing but a loopback;
//! 3. the rules are put in place, all or none;
//! 4. only then is slirp4netns told to attach its interface, and it says when it is done.
//!
//! In the network `allowlist` there is no interface: the loopback leads to the broker, which stayed outside.
//!
//! Nothing has run inside up to here, and whatever fails on the way ends the launch.
#![expect(clippy::disallowed_methods, reason = "starts the network's companions")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::host::tree::plain;
use crate::invariants::plan::{Broker, Plan};
use crate::net::helper::{NAME, Role};
use crate::net::{Internet, Port, nftables, route};
use crate::path::{HostPath, printable};
use crate::sys::netlink::{Service, Socket};
use crate::sys::{handover, namespace};

use super::broker::Running;

/// How long slirp4netns may take to attach. It takes milliseconds; a machine under heavy load may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of what slirp4netns says is kept, in bytes. It goes on as long as the session does.
const LOG_MAX: u64 = 16 * 1024;

/// The way out of every refusal here.
const WAY_OUT: &str = "`--net none` needs none of this; `--net host` does not either, and is not isolated";

/// What is needed to attach the network.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'launch> {
    plan: &'launch Plan,
    /// The way out of the network `internet`.
    internet: Option<(&'launch HostPath, &'launch Internet)>,
    uid: u32,
    gid: u32,
}

/// What bubblewrap is given of the network.
#[derive(Debug)]
pub struct Attached {
    /// Must stay open as long as the network is wanted.
    pub lifeline: OwnedFd,
    /// The certificate of the broker; empty where there is none.
    pub certificate: Vec<u8>,
}

/// What a plan needs for its network: nothing, unless it is one of the sandbox's own with a way out.
///
/// INVARIANT(network): asked before the user is, so that a launch that cannot be isolated is refused at once.
///
/// # Errors
/// Something that must be there is missing: what, and how to get it.
pub fn needs<'launch>(plan: &'launch Plan, host: &'launch Host) -> Result<Option<Needs<'launch>>, Diagnostic> {
    let internet = match (plan.internet(), plan.names()) {
        (Some(internet), _) => {
            let slirp = host.network.slirp.as_ref().map_err(Clone::clone)?;
            host.network.tun.clone()?;
            Some((slirp, internet))
        }
        (None, Some(_)) => None,
        (None, None) => return Ok(None),
    };
    Ok(Some(Needs {
        plan,
        internet,
        uid: host.uid,
        gid: host.gid,
    }))
}

/// Attaches it.
///
/// # Errors
/// The step that failed. This process may be in other namespaces then, and must end.
pub fn attach(needs: &Needs) -> Result<Attached, Diagnostic> {
    let Some(broker) = needs.plan.broker() else {
        let lifeline = way_out(needs, None)?;
        let missing = || failed("attach the network", &io::Error::other("there is no way out"));
        return Ok(Attached {
            lifeline: lifeline.ok_or_else(missing)?,
            certificate: Vec::new(),
        });
    };
    // Outside, where it stays; it starts while the rest is made.
    let mut running = Running::start(&broker.program)?;
    // INVARIANT(brokered-credential): whoever cannot be served starts nothing.
    let attached = way_out(needs, Some((&running, broker))).and_then(|lifeline| {
        let certificate = running.certificate()?;
        let lifeline = lifeline.map_or_else(|| running.lifeline().try_clone_to_owned(), Ok);
        let lifeline = lifeline.map_err(|error| failed("keep the broker's descriptor", &error))?;
        Ok(Attached { lifeline, certificate })
    });
    if attached.is_err() {
        running.end();
    }
    attached
}

/// Moves this process into a network of its own and makes the ways that lead out of it. What comes back holds slirp4netns, where
/// that is one of them.
fn way_out(needs: &Needs, broker: Option<(&Running, &Broker)>) -> Result<Option<OwnedFd>, Diagnostic> {
    let running = broker.map(|(running, _)| running);
    let way_out = needs
        .internet
        .map(|(slirp, internet)| outside(slirp, internet, running))
        .transpose()?;

    namespace::enter(needs.uid, needs.gid).map_err(|wrong| namespaces(&wrong))?;
    loopback_up().map_err(|error| failed("switch the loopback on", &error))?;
    if let Some((running, broker)) = broker {
        running.tell(needs.plan, broker)?;
    }
    match (way_out, needs.internet) {
        (Some(way_out), Some((_, internet))) => inside(way_out, internet).map(Some),
        _ => Ok(None),
    }
}

/// What of the network `internet` belongs to the host's own.
struct Outside {
    slirp: Slirp,
    published: Vec<(TcpListener, u16)>,
    forwarder: Option<OwnedFd>,
}

/// Opens what belongs to the host while this process is still there. bubblewrap can hold one lifeline alone, slirp4netns's: the
/// broker's is held by slirp4netns, with which it ends.
fn outside(slirp: &HostPath, internet: &Internet, broker: Option<&Running>) -> Result<Outside, Diagnostic> {
    let published = listeners(&internet.published, true)?;
    let slirp = Slirp::wait_outside(slirp, broker).map_err(|error| failed("start the network's companion", &error))?;
    let forwarder = (!internet.host_ports.is_empty()).then(forwarder).transpose()?;
    Ok(Outside {
        slirp,
        published,
        forwarder,
    })
}

/// Makes the network `internet` in the namespace of this process.
fn inside(outside: Outside, internet: &Internet) -> Result<OwnedFd, Diagnostic> {
    let Outside {
        mut slirp,
        published,
        forwarder: outside,
    } = outside;
    settings();
    // INVARIANT(network): the rules are there before any interface is.
    filter(internet).map_err(|error| rules(&error))?;

    // A forwarder that was started outside connects there, so it is given what listens in here; and the other way round.
    if let Some(outside) = outside {
        hand_over(&outside, &listeners(&internet.host_ports, false)?)?;
    }
    if !published.is_empty() {
        hand_over(&forwarder()?, &published)?;
    }
    slirp.attach()
}

fn loopback_up() -> io::Result<()> {
    Socket::open(Service::Route)?.change(&route::loopback_up(), 1)
}

/// Settings of the namespace, for the interface that comes. Both are comfort and not defence: where one cannot be made, the rules
/// hold all the same, and ping(8) does not work.
fn settings() {
    // The caller's group, which is 0 here, may use ping without privileges (icmp(7)).
    let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0");
    // No address of IPv6 on the interface: programs then do not try what the rules refuse.
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

fn filter(internet: &Internet) -> io::Result<()> {
    let batch = nftables::batch(&internet.rules);
    Socket::open(Service::Netfilter)?.change(&batch.bytes, batch.confirmations)
}

/// slirp4netns, before and after it is told to attach.
struct Slirp {
    /// The first byte says go; its end is slirp4netns's end.
    lifeline: OwnedFd,
    /// Says when it is attached.
    ready: OwnedFd,
    /// What it says beside that.
    log: File,
}

impl Slirp {
    /// Starts the companion that waits in the host's namespaces.
    fn wait_outside(slirp: &HostPath, broker: Option<&Running>) -> io::Result<Self> {
        let (go, lifeline) = pipe_with(PipeFlags::CLOEXEC)?;
        let (ready, say_ready) = pipe_with(PipeFlags::CLOEXEC)?;
        let log = log_file()?;
        let words = [
            slirp.as_os_str().to_os_string(),
            say_ready.as_raw_fd().to_string().into(),
            std::process::id().to_string().into(),
        ];
        let mut keep = vec![say_ready.as_fd()];
        keep.extend(broker.map(Running::lifeline));
        companion(Role::Slirp, &words, go.into(), log.try_clone()?.into(), &keep)?;
        Ok(Self { lifeline, ready, log })
    }

    /// Lets it attach, and waits until it has.
    fn attach(&mut self) -> Result<OwnedFd, Diagnostic> {
        let lifeline = self
            .lifeline
            .try_clone()
            .map_err(|error| failed("keep the network's descriptor", &error))?;
        // A companion that is gone is found out by the wait.
        let _ = rustix::io::write(&lifeline, b"g");
        if self.is_ready() {
            return Ok(lifeline);
        }
        let said = said(&mut self.log);
        let why = if said.is_empty() {
            "it did not say why".to_string()
        } else {
            format!("it said: {said}")
        };
        Err(Diagnostic::new("network", format!("slirp4netns could not attach the network; {why}")).hint(WAY_OUT))
    }

    fn is_ready(&self) -> bool {
        let timeout = Timespec::try_from(PATIENCE).ok();
        let mut polled = [PollFd::new(&self.ready, PollFlags::IN)];
        let answered = loop {
            match poll(&mut polled, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other,
            }
        };
        let mut byte = [0; 1];
        matches!(answered, Ok(1)) && matches!(rustix::io::read(&self.ready, &mut byte), Ok(1)) && byte == *b"1"
    }
}

/// What a companion said, in one line.
pub(super) fn said(log: &mut File) -> String {
    let mut text = Vec::new();
    let read = log.rewind().and_then(|()| log.read_to_end(&mut text));
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let text = String::from_utf8_lossy(text.get(..end).unwrap_or_default());
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match read {
        Ok(_) => printable(std::ffi::OsStr::new(&lines.join("; "))),
        Err(error) => plain(&error),
    }
}

/// A file in memory that cannot grow: what a companion says later in the session is lost and takes no room.
pub(super) fn log_file() -> io::Result<File> {
    let file = memfd_create("claudebox-network", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, LOG_MAX)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}

/// A companion that carries connections, in the namespaces in which this process is now. It is fed through the socket.
fn forwarder() -> Result<OwnedFd, Diagnostic> {
    let start = || -> io::Result<OwnedFd> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        companion(Role::Forward, &[], theirs.into(), Stdio::null(), &[])?;
        Ok(ours)
    };
    start().map_err(|error| failed("start the companion that carries ports over", &error))
}

/// Gives listening sockets to a forwarder.
fn hand_over(forwarder: &OwnedFd, listeners: &[(TcpListener, u16)]) -> Result<(), Diagnostic> {
    for (listener, port) in listeners {
        handover::send(forwarder, &port.to_be_bytes(), &[listener.as_fd()])
            .map_err(|error| failed("hand a port over to its companion", &error.into()))?;
    }
    Ok(())
}

/// Sockets that listen on the loopback of the namespace in which this process is now. IPv6 is taken where it can be had.
fn listeners(ports: &[Port], on_host: bool) -> Result<Vec<(TcpListener, u16)>, Diagnostic> {
    let mut listeners = Vec::new();
    for port in ports {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number)).map_err(|error| {
            let whose = if on_host { "this host" } else { "the sandbox" };
            let message = format!("the port {} of {whose} cannot be taken: {}", port.number, plain(&error));
            Diagnostic::new("network", message)
                .hint("another session or another program holds it; end that one, or leave the port out of the policy's `network`")
        })?;
        listeners.push((four, port.number));
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port.number)).map(|six| (six, port.number)));
    }
    Ok(listeners)
}

/// Starts this binary as a companion. It inherits nothing but its standard streams and what it is to `keep`.
fn companion(role: Role, words: &[OsString], stdin: Stdio, stderr: Stdio, keep: &[BorrowedFd]) -> io::Result<()> {
    for descriptor in keep {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    let started = Command::new("/proc/self/exe")
        .arg0(NAME)
        .arg(role.word())
        .arg(std::process::id().to_string())
        .args(words)
        .env_clear()
        // It must not keep the project's file system busy.
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn();
    for descriptor in keep {
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    started.map(drop)
}

fn failed(what: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::new("network", format!("cannot {what}: {}", plain(error))).hint(WAY_OUT)
}

fn namespaces(wrong: &namespace::Failed) -> Diagnostic {
    failed(wrong.step, &wrong.error).hint(format!(
        "this system may forbid it: look at the settings `user.max_user_namespaces`, `user.max_net_namespaces`, \
         `kernel.unprivileged_userns_clone` and `kernel.apparmor_restrict_unprivileged_userns`; {WAY_OUT}"
    ))
}

fn rules(error: &io::Error) -> Diagnostic {
    failed("put the network's rules in place", error).hint(format!(
        "the kernel needs nf_tables for `inet` with `reject` (CONFIG_NF_TABLES_INET, CONFIG_NFT_REJECT_INET; modprobe \
         nf_tables); {WAY_OUT}"
    ))
}
