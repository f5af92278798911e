//! Starts Claude Code in a bubblewrap sandbox that secrets never enter.
//!
//! The one flow, and the only direction in which modules use each other:
//!
//! ```text
//! cli -> host (facts) -> script (policy) -> draft + trace -> invariants -> plan -> bwrap -> launch
//!                                              |                            |
//!                                              +----------> audit <---------+      (the same values, printed)
//! ```

pub mod approval;
pub mod cli;
pub mod request;

pub mod host;
pub mod path;

pub mod script;

pub mod declared;
pub mod draft;
pub mod net;
pub mod trace;

pub mod floor;
pub mod invariants;
pub mod leak;
pub mod state;

pub mod audit;
pub mod awareness;
pub mod check;
pub mod explain;
pub mod policy_diff;
pub mod policy_test;
pub mod view;

pub mod bwrap;
pub mod companion;
pub mod dry_run;
pub mod gc;
pub mod init;
pub mod launch;
pub mod leftover;
pub mod memory;
pub mod prepare;
pub mod prompt;
pub mod seccomp;
pub mod sys;
pub mod verify;

pub mod diagnostic;
pub mod output;
pub mod style;
pub mod toml_text;

use std::rc::Rc;

use cli::Cli;
use diagnostic::{Refusal, Sources};
use explain::{Launch, Look};
use host::Host;
use host::policies::Policies;
use host::terminal::Terminal;
use invariants::Verdict;
use launch::Beside;
use request::Request;
use script::layer::Source;
use style::Style;
use trace::{Effect, Trace};

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
    if let Some(document) = cli.document() {
        output::result_bytes(&document);
        return Ok(0);
    }
    if cli.gc {
        return Ok(gc::run(cli)?);
    }
    let request = cli.request();
    let mut host = Host::gather()?;
    if cli.login {
        host.without_project();
    }
    if cli.policy_diff {
        return Ok(policy_diff::main(cli, &host)?);
    }
    if cli.policy_test {
        return policy_test::main(cli, &host);
    }
    let policies = host.policies(&request)?;
    if host.wants_nix(&policies.layers) {
        host.meet_nix(&cli.session(), launch::nix::ask);
    }
    let host = Rc::new(host);
    let decided = decide(&policies, &host, &request);
    let case = Launch {
        host: &host,
        request: &request,
        layers: &policies.layers,
        decided: &decided,
    };
    if let Some(exit) = inspect(cli, &case)? {
        return Ok(exit);
    }
    let plan = decided.verdict.outcome.as_ref().map_err(Clone::clone)?;
    if cli.dry_run {
        let invocation = bwrap::invocation(plan);
        output::result_bytes(&if cli.json {
            explain::json::dry_run::invocation(host.bwrap_name(), plan, &invocation).into_bytes()
        } else {
            dry_run::script(&host, plan, &invocation)
        });
        return Ok(0);
    }
    let bwrap = host.bwrap.as_ref().map_err(|missing| Refusal::one(missing.clone()))?;
    approval::settle(&host, cli.approve)?;
    let unbuilt = |error| Refusal {
        sources: decided.sources.clone(),
        ..Refusal::one(error)
    };
    if launch::tools::provide(&host).map_err(unbuilt)? {
        return run(cli);
    }
    let network = launch::network::needs(plan, &host).map_err(Refusal::one)?;
    if !cli.quiet && !cli.verify {
        let style = Style::of(cli.color, &host.terminal);
        output::error(&audit::text(plan, &decided.verdict, &decided.trace, style));
        let left = leftover::report::text(&host.tree, &leftover::Places::of(&host));
        output::error(&style.paint(style::Tone::Warn, &left));
    }
    if !cli.yes && !cli.verify {
        prompt::confirm(&host)?;
    }
    launch::possible(bwrap, host.namespaces).map_err(Refusal::one)?;
    let held = prepare::all(plan, host.uid, &host.places.state).map_err(Refusal::one)?;
    if let Some(guard) = plan.guard() {
        prepare::guard::directory(guard, host.uid).map_err(Refusal::one)?;
    }
    let task = companion::Task::of(plan, &host);
    let invocation = bwrap::invocation_without(plan, task.later());
    let beside = Beside {
        network,
        guard: plan.guard(),
        task,
    };
    if cli.verify {
        let ready = verify::Ready {
            bwrap,
            beside,
            invocation,
            held,
        };
        let case = verify::Case {
            host: &host,
            decided: &decided,
            plan,
        };
        return Ok(verify::run(cli, case, ready)?);
    }
    Err(Refusal::one(launch::exec(bwrap, beside, &invocation, &held)).into())
}

/// Tells why nothing was started, where the command line wants to be told, and returns the exit code.
#[must_use]
pub fn refused(cli: &Cli, refusal: &Refusal) -> u8 {
    let terminal = Terminal::look();
    // Where a page was asked for, standard output says nothing.
    match (cli.explain.is_some() && cli.html.is_none(), cli.dry_run, cli.json) {
        (true, _, true) => output::result(&explain::json::refused(refusal)),
        (true, _, false) => output::result(&explain::refused(refusal, Style::of_output(cli.color, &terminal))),
        (false, true, true) => output::result(&explain::json::dry_run::refused(refusal)),
        (false, false, true) if cli.verify => output::result(&explain::json::verify::refused(refusal)),
        _ => output::error(&refusal.render(Style::of(cli.color, &terminal))),
    }
    if cli.inspects() { 1 } else { refusal.exit }
}

/// The modes that print what was decided and start nothing: 0 where all is well, 1 where a launch would be refused.
fn inspect(cli: &Cli, case: &Launch) -> Result<Option<u8>, Refusal> {
    let style = Style::of_output(cli.color, &case.host.terminal);
    let quiet = cli.quiet;
    let exit = u8::from(case.decided.verdict.outcome.is_err());
    if let Some(file) = &cli.html {
        prepare::new_file(file, explain::html::page(case).as_bytes()).map_err(Refusal::one)?;
        return Ok(Some(exit));
    }
    if let Some(subjects) = cli.subjects() {
        output::result(&if cli.json {
            explain::json(case, &subjects)
        } else {
            explain::text(case, &subjects, Look { style, quiet })
        });
        return Ok(Some(exit));
    }
    if cli.report {
        let left = leftover::report::text(&case.host.tree, &leftover::Places::of(case.host));
        output::result(if left.is_empty() {
            "nothing is left of earlier sessions\n"
        } else {
            &left
        });
        return Ok(Some(u8::from(!left.is_empty())));
    }
    if cli.check {
        let trial = case.host.bwrap.as_ref().ok().map(launch::trial);
        let items = check::items(case.host, case.decided, trial.as_ref());
        output::result(&if cli.json {
            check::json(&items)
        } else {
            check::text(&items, style)
        });
        return Ok(Some(u8::from(check::stops(&items))));
    }
    Ok(None)
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

/// Asks the policy and checks its answers. Starts nothing and changes nothing. What a policy does wrong is part of the verdict.
#[must_use]
pub fn decide(policies: &Policies, host: &Rc<Host>, request: &Request) -> Decided {
    let mut decided = decide_with(&policies.layers, host, request);
    if let Some((name, site)) = &policies.profile {
        let subject = format!("profile {name}");
        decided
            .trace
            .record(Effect::Note, subject, "the posture of this launch", site.clone());
    }
    decided.sources.extend(policies.texts.iter().cloned());
    decided
}

/// The same with the policy's layers at hand, the lowest first.
#[must_use]
pub fn decide_with(layers: &[Source], host: &Rc<Host>, request: &Request) -> Decided {
    let evaluation = script::evaluate(layers, host);
    let (mut trace, mut sources) = (evaluation.trace, evaluation.sources);
    sources.extend(host.declared.texts.iter().cloned());
    let asked = evaluation
        .outcome
        .map_err(|diagnostic| vec![diagnostic])
        .and_then(|mut draft| {
            if !host.declared.errors.is_empty() {
                return Err(host.declared.errors.clone());
            }
            declared::apply::apply(host, &mut draft, &mut trace);
            request.apply(&mut draft, &mut trace, host)?;
            Ok(draft)
        });
    let verdict = match asked {
        Ok(draft) => invariants::check(draft, &mut trace, host, request, &sources),
        Err(diagnostics) => Verdict::failed(diagnostics, &sources),
    };
    Decided {
        trace,
        verdict,
        sources,
    }
}
