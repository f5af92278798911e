//! `claudebox-broker`: stands between one sandbox and the network for the time of one session. Claude Code's real credential is
//! here and never inside.
//!
//! The pipeline, and the order of the files:
//!
//! ```text
//! launch -> session -> listen -+-> forward -> rules -> credential -> upstream      (brokered names: decrypted and judged)
//!                              |      |'---> fetching             (in a network of named hosts)
//!                              |      '----> token_exchange --^
//!                              +-> egress --------------------> upstream::dial    (allowed names: carried over)
//!                              '-> dns -> addresses                               (which name an address inside stands for)
//! ```
//!
//! For `--verify` it is started a second time and makes one call as what is inside would (`call`).
//!
//! It starts from an empty environment, reads no option, and says everything that it has to say to its launcher.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own beside the launcher: it reads and stores the login by itself"
)]

mod addresses;
mod authority;
mod call;
mod credential;
mod denied;
mod dns;
mod egress;
mod fetching;
mod forward;
mod http;
mod launch;
mod listen;
mod rules;
mod session;
mod token_exchange;
mod upstream;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use claudebox::net::broker::wire::{Answer, Order};
use launch::Launcher;
use session::Session;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            claudebox::output::error(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The whole program. Returns when the launcher, and the sandbox that it became, have ended.
fn run() -> anyhow::Result<()> {
    launch::harden()?;
    let launcher = Launcher::take()?;
    let (order, sockets) = launcher.receive()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let configuration = match order {
        Order::Serve(configuration) => configuration,
        Order::Call(call) => {
            let called = runtime.block_on(call::make(&call, sockets));
            return launcher.answer(&called.map_or_else(|error| Answer::Error(format!("{error:#}")), Answer::Called));
        }
    };
    runtime.block_on(async {
        let started = Session::new(&configuration).and_then(|(session, ca)| {
            let session = Arc::new(session);
            listen::all(&session, &configuration.listeners, sockets)?;
            Ok((session, ca))
        });
        let session = match started {
            Ok((session, ca)) => {
                launcher.answer(&Answer::Ready { ca })?;
                session
            }
            Err(error) => {
                launcher.answer(&Answer::Error(format!("{error:#}")))?;
                return Err(error);
            }
        };
        launcher.ended().await?;
        session.credential.settled().await;
        Ok(())
    })
}
