//! `--verify`: the very next launch, with a probe in Claude Code's place. What the probe finds is compared with the plan,
//! defence by defence. The launch is the real one: the same plan, the same invocation of bubblewrap, the same companions.
//!
//! Canaries ([`canary`]) are planted first. All of them end with this process, and the one file among them is removed by a
//! process that waits for that.
//!
//! 1. [`crate::launch::verify::again`]: claudebox starts itself once more, with canaries in its environment and its name;
//! 2. the pipeline decides as for every launch, so the canaries are judged by the policy like all else;
//! 3. [`Planted::plant`]: the other canaries;
//! 4. [`crate::launch::verify::start`]: a copy of this process launches, with a socket as its standard output;
//! 5. [`ask`] asks the probe, and [`judge`] compares its answers with the plan;
//! 6. where Claude Code's credential stays outside, [`credential`] hunts it inside and makes one call through the broker.

pub mod canary;
pub mod probe;

mod ask;
mod credential;
mod judge;
mod message;
mod needles;
mod outside;
mod report;

pub use outside::Planted;
pub use report::{Outcome, Row};

use crate::Decided;
use crate::bwrap::Invocation;
use crate::cli::Cli;
use crate::diagnostic::{Diagnostic, Refusal};
use crate::explain::json;
use crate::host::Host;
use crate::host::tree::plain;
use crate::invariants::plan::Plan;
use crate::launch::verify::Watched;
use crate::launch::{self, Beside};
use crate::output;
use crate::path::{EnvName, HostPath};
use crate::prepare::Held;
use crate::style::Style;

use judge::Evidence;

/// The namespaces that are compared, by their names in `/proc/self/ns`.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// A namespace of a process, by the number that is its alone while it lives.
fn namespace(process: &str, name: &str) -> Option<u64> {
    let status = rustix::fs::stat(format!("/proc/{process}/ns/{name}")).ok()?;
    Some(status.st_ino)
}

/// A launch that is ready to start.
#[derive(Debug)]
pub struct Ready<'run> {
    /// Bubblewrap.
    pub bwrap: &'run HostPath,
    /// What runs beside the sandbox.
    pub beside: Beside<'run>,
    /// Bubblewrap's invocation.
    pub invocation: Invocation,
    /// What the launch holds.
    pub held: Held,
}

/// What was decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'run> {
    /// The host.
    pub host: &'run Host,
    /// The decisions.
    pub decided: &'run Decided,
    /// The plan.
    pub plan: &'run Plan,
}

/// Launches with the probe, and prints what it found. The exit code: 0 where no defence leaks, and none is broken.
///
/// # Errors
/// The canaries cannot be planted, or the sandbox does not start.
pub fn run(cli: &Cli, case: Case, mut ready: Ready) -> Result<u8, Refusal> {
    let token = EnvName::new(canary::VARIABLE)
        .ok()
        .and_then(|name| case.host.variables.get(&name)?.to_str())
        .and_then(canary::token_of)
        .ok_or_else(|| failed("the canaries are missing".into()))?;
    ready.invocation.command = probe::command().into();
    let planted = Planted::plant(token).map_err(|error| failed(format!("cannot plant canaries: {}", plain(&error))))?;
    let asked = ask::questions(case, &planted);
    let watched = launch::verify::start(ready).map_err(Refusal::one)?;
    let told = converse(case, &watched, &asked);
    let ended = watched.wait();
    let told = told.map_err(|_| failed("the sandbox did not start, or its probe did not answer".into()))?;
    let outlived = ended.is_err() || watched.is_outlived();
    let rows = judge::rows(&Evidence::new(case, &planted, asked, told, outlived));
    output::result(&if cli.json {
        json::verify::table(&rows)
    } else {
        report::text(&rows, Style::of_output(cli.color, &case.host.terminal))
    });
    let wrong = |row: &Row| matches!(row.outcome, Outcome::Leaks | Outcome::Broken);
    Ok(u8::from(rows.iter().any(wrong)))
}

/// What came of the conversation with the probe.
struct Told {
    answers: message::Answers,
    /// The command lines of the sandbox's processes, as they are seen from outside.
    command_lines: Vec<Vec<u8>>,
    credential: credential::Told,
}

/// Waits for the probe, looks at the sandbox's processes from outside, asks, and waits for the answers.
fn converse(case: Case, watched: &Watched, questions: &message::Questions) -> std::io::Result<Told> {
    let socket = watched.socket();
    message::receive::<message::Hello>(socket)?;
    let command_lines = outside::command_lines(watched.pid());
    message::send(socket, questions)?;
    let answers = message::receive(socket)?;
    let credential = credential::ask(case, socket)?;
    message::send(socket, &message::Request::Nothing)?;
    Ok(Told {
        answers,
        command_lines,
        credential,
    })
}

fn failed(why: String) -> Refusal {
    Refusal::one(
        Diagnostic::new("verify", why)
            .hint("nothing was tested; what stopped it may be above, and `claudebox --check` names what is missing"),
    )
}
