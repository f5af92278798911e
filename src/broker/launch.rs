//! The broker's beginning and end: what it gives up before it learns a secret, and the socket that connects it with its launcher.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use anyhow::{Context, bail, ensure};
use claudebox::net::broker::wire::{Answer, LENGTH_MAX, LISTENERS_MAX, Order, VERSION};
use rustix::io::{IoSliceMut, fcntl_dupfd_cloexec};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, recvmsg, send, sockopt,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Gives up what a holder of secrets must not have, before there is a secret.
///
/// INVARIANT(brokered-credential): no other process of the user can read this one's memory, it leaves no core file, gains no
/// privilege, and does not outlive its launcher.
pub fn harden() -> anyhow::Result<()> {
    // Without it, every process of the same user could read the memory, the descriptors and the environment.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("cannot close the memory to others")?;
    rustix::thread::set_no_new_privs(true).context("cannot give up new privileges")?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none).context("cannot forbid core files")?;
    end_with_launcher(true).context("cannot end with the launcher")?;
    // Variables change how names are resolved and where they lead (`LOCALDOMAIN`, `RES_OPTIONS`, `HOSTALIASES`).
    ensure!(
        std::env::vars_os().next().is_none() && std::env::args_os().len() <= 1,
        "`claudebox-broker` is started by claudebox alone, without arguments and with an empty environment"
    );
    Ok(())
}

/// The socket's end tells the same; this also holds where the launcher's end was kept open by mistake.
fn end_with_launcher(on: bool) -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(on.then_some(Signal::KILL))
}

/// While this lives, the launcher's end does not cut the broker off in the middle: a token that the service gives out only once
/// is on its way. The end is noticed by the socket, and waits for it.
#[derive(Debug)]
pub struct Alive(());

impl Alive {
    /// Begins. One at a time, on the main thread, which the signal is bound to.
    pub fn begin() -> Self {
        let _ = end_with_launcher(false);
        Self(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = end_with_launcher(true);
    }
}

/// The launcher, at the other end of standard input.
#[derive(Debug)]
pub struct Launcher(OwnedFd);

impl Launcher {
    /// Takes standard input, which has to be a socket that keeps messages apart.
    pub fn take() -> anyhow::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let kind = sockopt::socket_type(stdin);
        ensure!(
            kind == Ok(rustix::net::SocketType::SEQPACKET),
            "`claudebox-broker` is started by claudebox, and is of no use by hand"
        );
        Ok(Self(fcntl_dupfd_cloexec(stdin, 3).context("cannot keep the socket")?))
    }

    /// The one message: what to do, and the sockets to do it with.
    pub fn receive(&self) -> anyhow::Result<(Order, Vec<OwnedFd>)> {
        let mut text = vec![0; LENGTH_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .context("cannot read the configuration")?;
        let mut sockets = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                sockets.extend(received);
            }
        }
        ensure!(received.bytes > 0, "the launcher ended");
        ensure!(
            !received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC),
            "the configuration is too long"
        );
        text.truncate(received.bytes);
        match read(&text, sockets.len()) {
            Ok(order) => Ok((order, sockets)),
            Err(error) => {
                self.answer(&Answer::Error(format!("{error:#}")))?;
                Err(error)
            }
        }
    }

    /// Tells the launcher how it went.
    pub fn answer(&self, answer: &Answer) -> anyhow::Result<()> {
        let text = serde_json::to_vec(answer).context("cannot write the answer")?;
        send(&self.0, &text, SendFlags::NOSIGNAL).context("the launcher ended")?;
        Ok(())
    }

    /// Waits until the other end is closed everywhere. A second message is no part of the protocol, and ends the session too.
    pub async fn ended(self) -> anyhow::Result<()> {
        rustix::io::ioctl_fionbio(&self.0, true).context("cannot watch the launcher")?;
        // Reading is the same for a socket that keeps messages apart.
        let mut socket = UnixStream::from_std(self.0.into()).context("cannot watch the launcher")?;
        let _ = socket.read(&mut [0; 1]).await;
        Ok(())
    }
}

/// What the message says. The parser's own words stay out: they could quote the credential.
fn read(text: &[u8], sockets: usize) -> anyhow::Result<Order> {
    let Ok(order) = serde_json::from_slice::<Order>(text) else {
        bail!("the configuration cannot be read: are claudebox and claudebox-broker of one version?");
    };
    let (version, wanted) = match &order {
        Order::Serve(configuration) => (configuration.version, configuration.listeners.len()),
        Order::Call(call) => (call.version, 2),
    };
    ensure!(
        version == VERSION,
        "claudebox and claudebox-broker are not of one version: install them together"
    );
    ensure!(wanted == sockets, "{sockets} descriptors came, and {wanted} are wanted");
    Ok(order)
}
