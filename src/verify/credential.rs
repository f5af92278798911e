//! What `--verify` does about Claude Code's own credential where it stays outside: one call through the broker, with what stands
//! for it inside; then a hunt for the real one. The call comes first: what it leaves inside is hunted too.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Case;
use super::message::{Bytes, Connected, Found, Request, receive, send};
use super::needles::Needles;
use crate::draft::Keeper;
use crate::invariants::plan::{Broker, Secrets, What};
use crate::launch::broker;
use crate::net::broker::wire::{Call, Called, Credential, VERSION};
use crate::net::broker::{ACCESS, API, KEY, stand_in};
use crate::state::LOGIN_MAX;

/// The port of HTTPS.
pub(super) const PORT: u16 = 443;

/// What Claude Code itself asks to see whether its service is there. It costs nothing. Asked with the placeholder, the broker has
/// to take that for the credential, and to have the real one at hand, before it asks the service.
pub(super) const HELLO: &str = "/api/hello";

/// How long the service may take, in milliseconds.
const PATIENCE: u64 = 8000;

/// How long the hunt may take: longer than the probe lets it.
const HUNT: Duration = Duration::from_secs(60);

/// What came of it. Nothing, where the credential is inside.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The call, where there is a broker to speak for Claude Code.
    pub call: Option<Tried>,
    /// The hunt, where there is something to hunt.
    pub found: Option<Found>,
    /// What was hunted.
    pub secrets: Secrets,
}

/// One call.
#[derive(Debug)]
pub(super) struct Tried {
    /// The connection that was made inside.
    pub connected: Connected,
    /// What came of the call; `None` where there was no connection.
    pub called: Option<Result<Called, String>>,
}

/// Calls and hunts.
pub(super) fn ask(case: Case, socket: &UnixStream) -> io::Result<Told> {
    let credentials = case.plan.credentials();
    if credentials.keeper != Keeper::Broker {
        return Ok(Told::default());
    }
    let brokered = case.plan.broker().filter(|broker| broker.brokered);
    let call = brokered.map(|broker| call(case, broker, socket)).transpose()?;
    let mut secrets = credentials.secrets.clone();
    if let Some(Credential::Oauth(path)) = &credentials.held {
        // By the call a login can have been renewed.
        let login = case.host.tree.read(path, LOGIN_MAX).unwrap_or_default();
        stand_in::tokens(&login)
            .into_iter()
            .for_each(|token| secrets.add(token));
    }
    let hunt = |needles| {
        socket.set_read_timeout(Some(HUNT))?;
        send(socket, &Request::Hunt(needles))?;
        receive(socket)
    };
    Ok(Told {
        call,
        found: Needles::of(&secrets).map(hunt).transpose()?,
        secrets,
    })
}

fn call(case: Case, broker: &Broker, socket: &UnixStream) -> io::Result<Tried> {
    let certificates = case.plan.mounts().iter();
    let certificates = certificates
        .filter(|mount| matches!(mount.what, What::Certificates(_)))
        .map(|mount| Bytes::from(mount.at.as_os_str()))
        .next()
        .unwrap_or_default();
    let request = Request::Connect {
        name: API.into(),
        port: PORT,
        certificates,
    };
    send(socket, &request)?;
    let (_, connection) = crate::sys::handover::receive(socket, &mut [0; 1])?;
    let connected: Connected = receive(socket)?;
    let header = case.plan.credentials().held.as_ref().map(|held| match held {
        Credential::Key(_) => ("x-api-key".into(), KEY.into()),
        Credential::Token(_) | Credential::Oauth(_) => ("authorization".into(), format!("Bearer {ACCESS}")),
    });
    let call = Call {
        version: VERSION,
        name: API.into(),
        path: HELLO.into(),
        header,
        patience: PATIENCE,
    };
    Ok(Tried {
        called: connection
            .map(|connection| broker::call(&broker.program, call, &connected.certificates.0, &connection)),
        connected,
    })
}
