//! The policy: asks each hook of the highest layer that has it, and returns what was asked for with every decision.
//! Grants nothing and reads nothing: the host's facts are handed in.

pub mod engine;
pub mod error;
pub mod facts;
pub mod hook;
pub mod layer;
pub mod recorder;
#[cfg(test)]
mod tests;
pub mod text;
pub mod verbs;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::rc::Rc;
use std::sync::Arc;

use rhai::Dynamic;

use crate::diagnostic::{Diagnostic, Sources};
use crate::draft::{Draft, Verdict};
use crate::host::Host;
use crate::path::EnvName;
use crate::trace::{Effect, Site, Trace};

use facts::Facts;
use hook::Hook;
use layer::{Layer, Source};
use recorder::{Budget, Recorder, Shared};
use verbs::Ruling;

/// The result of asking a policy. The trace is there even when the policy failed half way.
#[derive(Debug)]
pub struct Evaluation {
    /// All decisions up to the end or the failure.
    pub trace: Trace,
    /// What the policy asked for, or why it failed.
    pub outcome: Result<Draft, Diagnostic>,
    /// The scripts' texts, for messages.
    pub sources: Sources,
}

/// Asks the policy that `layers` make up, the lowest first, about `host`.
#[must_use]
pub fn evaluate(layers: &[Source], host: &Rc<Host>) -> Evaluation {
    let _deep = crate::sys::DeepStack::raise();
    let recorder: Shared = Rc::new(RefCell::new(Recorder {
        draft: Draft::default(),
        trace: Trace::default(),
        home: host.home.clone(),
        kept: std::iter::once(host.project.clone())
            .chain(host.outside_git_dirs())
            .collect(),
        hook: None,
        recorded: 0,
        refusal: None,
    }));
    let sources = layers
        .iter()
        .map(|source| (Arc::clone(&source.file), Arc::clone(&source.text)))
        .collect();
    let outcome = load(layers, &recorder).and_then(|top| ask_all(&top, host, &recorder));
    let mut recorder = recorder.borrow_mut();
    let trace = std::mem::take(&mut recorder.trace);
    let draft = std::mem::take(&mut recorder.draft);
    // The first refusal stands, whatever came back: a script may have lost the error on its way.
    let outcome = match recorder.refusal.take() {
        Some(refusal) => Err(refusal),
        None => outcome.map(|()| draft),
    };
    Evaluation {
        trace,
        outcome,
        sources,
    }
}

fn load(layers: &[Source], recorder: &Shared) -> Result<Rc<Layer>, Diagnostic> {
    let budget = Rc::new(Budget::new());
    let mut top = None;
    for source in layers {
        top = Some(Rc::new(Layer::load(source.clone(), top.take(), recorder, &budget)?));
    }
    top.ok_or_else(|| Diagnostic::new("internal", "no policy was given"))
}

fn ask_all(top: &Layer, host: &Rc<Host>, recorder: &Shared) -> Result<(), Diagnostic> {
    for hook in Hook::ALL {
        let Some(layer) = top.answering(hook) else {
            continue;
        };
        {
            let mut recorder = recorder.borrow_mut();
            recorder.hook = Some(hook);
            recorder.trace.answer(hook.name(), Arc::clone(&layer.source.layer));
        }
        match hook {
            Hook::Variable => ask_variables(layer, host, recorder)?,
            _ => {
                // What these hooks return says nothing: they decide by verbs.
                let _ = ask(layer, hook, vec![facts(host)], recorder)?;
            }
        }
    }
    Ok(())
}

fn facts(host: &Rc<Host>) -> Dynamic {
    Dynamic::from(Facts(Rc::clone(host)))
}

fn ask(layer: &Layer, hook: Hook, arguments: Vec<Dynamic>, recorder: &Shared) -> Result<Dynamic, Diagnostic> {
    let answer = layer.call(hook, arguments);
    if let Some(refusal) = recorder.borrow_mut().refusal.take() {
        return Err(refusal);
    }
    let answer = answer.map_err(|error| error::diagnose(&error, layer, Some(hook)))?;
    // INVARIANT(bounded-policy): a comparison in `sort` swallows every error, that of a spent budget too.
    if let Some(spent) = layer.budget.spent() {
        return Err(error::spent(spent, Some(hook)).at(error::site_of_function(&layer.source, hook.name()), ""));
    }
    Ok(answer)
}

fn ask_variables(layer: &Layer, host: &Rc<Host>, recorder: &Shared) -> Result<(), Diagnostic> {
    for name in host.variables.keys() {
        let ruling = match name.to_str() {
            Some(text) => ask_variable(layer, host, text, recorder)?,
            // A script's text is UTF-8: a name that is not cannot be asked about, so it stays outside.
            None => Ruling {
                verdict: Verdict::Hide,
                reason: "its name is not UTF-8".into(),
                site: Site::Host("clean-environment"),
            },
        };
        let effect = match ruling.verdict {
            Verdict::Pass => Effect::Pass,
            Verdict::PassSecret => Effect::PassSecret,
            Verdict::Hide => Effect::Hide,
        };
        record_ruling(name, effect, ruling, recorder)?;
    }
    Ok(())
}

fn ask_variable(layer: &Layer, host: &Rc<Host>, name: &str, recorder: &Shared) -> Result<Ruling, Diagnostic> {
    let answer = ask(
        layer,
        Hook::Variable,
        vec![facts(host), name.to_string().into()],
        recorder,
    )?;
    let kind = verbs::kind_of(&answer);
    answer.try_cast::<Ruling>().ok_or_else(|| {
        Diagnostic::new(
            "policy-hook",
            format!("the hook `variable` gave {kind} instead of a verdict on `{}`", crate::path::printable(OsStr::new(name))),
        )
        .at(error::site_of_function(&layer.source, Hook::Variable.name()), "")
        .hint("end every path with `env::pass(why)`, `env::pass_secret(why)`, `env::hide(why)` or `base::variable(host, name)`")
    })
}

fn record_ruling(name: &EnvName, effect: Effect, ruling: Ruling, recorder: &Shared) -> Result<(), Diagnostic> {
    let mut recorder = recorder.borrow_mut();
    let decision = recorder.decide(effect, name.to_string(), &ruling.reason, ruling.site)?;
    recorder
        .draft
        .variables
        .insert(name.clone(), (ruling.verdict, decision));
    Ok(())
}
