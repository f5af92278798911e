//! Starts Claude Code in a bubblewrap sandbox that secrets never enter.
//!
//! The one flow, and the only direction in which modules use each other:
//!
//! ```text
//! cli -> host (facts) -> script (policy) -> draft + trace -> invariants -> plan -> bwrap -> launch
//!                                              |                            |
//!                                              +----------> audit <---------+      (the same values, printed)
//! ```

pub mod cli;
pub mod request;

pub mod host;
pub mod path;

pub mod script;

pub mod draft;
pub mod trace;

pub mod floor;
pub mod invariants;
pub mod leak;
pub mod state;

pub mod audit;
pub mod awareness;
pub mod check;

pub mod bwrap;
pub mod companion;
pub mod dry_run;
pub mod init;
pub mod launch;
pub mod prepare;
pub mod prompt;
pub mod seccomp;
pub mod sys;

pub mod diagnostic;
pub mod output;
pub mod style;

use std::rc::Rc;

use cli::Cli;
use diagnostic::{Refusal, Sources};
use host::Host;
use invariants::Verdict;
use request::Request;
use script::layer::Source;
use style::Style;
use trace::Trace;

/// claudebox itself could not, or would not, start the sandbox.
pub const EXIT_REFUSED: u8 = 125;
/// The command was found and cannot be run, as env(1).
pub const EXIT_CANNOT_RUN: u8 = 126;
/// The command was not found, as env(1).
pub const EXIT_NOT_FOUND: u8 = 127;
/// The command line is wrong.
pub const EXIT_USAGE: u8 = 2;

/// The whole program: from the command line to the moment in which this process becomes bubblewrap.
///
/// Returns the exit code of what does not launch; a launch that succeeds does not return.
///
/// # Errors
/// A [`Refusal`] with everything that is wrong; nothing was started.
pub fn run(cli: &Cli) -> anyhow::Result<u8> {
    let request = cli.request();
    let mut host = Host::gather()?;
    let layers = host.layers(&request)?;
    if host.wants_nix(&layers) {
        host.meet_nix(&cli.session(), launch::nix::ask);
    }
    let host = Rc::new(host);
    let decided = decide_with(&layers, &host, &request);
    if cli.check {
        let trial = host.bwrap.as_ref().ok().map(launch::trial);
        let items = check::items(&host, &decided, trial.as_ref());
        let style = Style::of(cli.color, &host.terminal);
        output::result(&if cli.json {
            check::json(&items)
        } else {
            check::text(&items, style)
        });
        return Ok(u8::from(check::stops(&items)));
    }
    let plan = decided.verdict.outcome.as_ref().map_err(Clone::clone)?;
    let invocation = bwrap::invocation(plan);
    if cli.dry_run {
        output::result_bytes(&dry_run::script(host.bwrap_name(), plan, &invocation));
        return Ok(0);
    }
    let bwrap = host.bwrap.as_ref().map_err(|missing| Refusal::one(missing.clone()))?;
    if !cli.quiet {
        let style = Style::of(cli.color, &host.terminal);
        output::error(&audit::text(plan, &decided.verdict, &decided.trace, style));
    }
    if !cli.yes {
        prompt::confirm(&host)?;
    }
    launch::possible(bwrap, host.namespaces).map_err(Refusal::one)?;
    prepare::all(plan, host.uid, &host.places.state).map_err(Refusal::one)?;
    Err(Refusal::one(launch::exec(bwrap, plan.guard(), &invocation)).into())
}

/// Everything that was decided about one launch, whether it may start or not. Every mode of the program prints or starts this.
#[derive(Debug)]
pub struct Decided {
    /// All decisions, those of the policy first, then those of the host program.
    pub trace: Trace,
    /// The plan, or everything that is wrong.
    pub verdict: Verdict,
    /// The scripts' texts, for messages.
    pub sources: Sources,
}

/// Asks the policy, its lowest layer first, and checks its answers. Starts nothing and changes nothing.
#[must_use]
pub fn decide_with(layers: &[Source], host: &Rc<Host>, request: &Request) -> Decided {
    let evaluation = script::evaluate(layers, host);
    let (mut trace, sources) = (evaluation.trace, evaluation.sources);
    let verdict = match evaluation.outcome {
        Ok(mut draft) => {
            request.apply(&mut draft, &mut trace);
            invariants::check(draft, &mut trace, host, request, &sources)
        }
        Err(diagnostic) => Verdict::failed(diagnostic, &sources),
    };
    Decided {
        trace,
        verdict,
        sources,
    }
}
