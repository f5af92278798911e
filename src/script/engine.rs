//! The hardened script engine of one layer: what a policy script can do at all, and how much of it.
//! Every limit and every switch is here, each with its reason.

use std::rc::Rc;
use std::sync::Arc;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicStringPackage,
    LogicPackage, MoreStringPackage, Package,
};
use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, Module, NativeCallContext, OptimizationLevel, Position,
    def_package,
};

use crate::diagnostic::Diagnostic;
use crate::trace::{Effect, Site};

use super::facts;
use super::hook::Hook;
use super::layer::{Layer, Source};
use super::recorder::{Budget, Hits, NOTE_MAX, Shared};
use super::verbs::{self, Ruling, VERBS, Verb};

/// The longest policy, in bytes.
pub const SOURCE_MAX: u64 = 256 * 1024;
/// The most lines of a policy, and the most characters of one of its lines: what a position of the engine can tell.
pub const LINES_MAX: usize = 65_534;
/// The longest string a script can make, in bytes.
pub const STRING_MAX: usize = 64 * 1024;
/// The most items of an array or a map.
pub const ITEMS_MAX: usize = 10_000;
/// The deepest nesting of calls.
pub const CALLS_MAX: usize = 32;
/// The deepest nesting of expressions.
pub const DEPTH_MAX: usize = 64;
/// The most variables in scope.
pub const VARIABLES_MAX: usize = 256;
/// The most functions of one script.
pub const FUNCTIONS_MAX: usize = 256;

// Not the whole core package: it has `sleep`, which no limit sees, and `exit`, which turns half a hook into success.
def_package! {
    /// What a policy needs of the script language.
    PolicyPackage(module) : ArithmeticPackage, LogicPackage, BasicStringPackage, MoreStringPackage, BasicArrayPackage,
        BasicMapPackage, BasicIteratorPackage, BasicFnPackage {
        module.set_custom_type::<Ruling>("Verdict");
    }
}

/// Makes the engine of a layer. `below` is the layer that `base::` reaches.
#[must_use]
pub fn build(source: &Source, below: Option<&Rc<Layer>>, recorder: &Shared, budget: &Rc<Budget>) -> Engine {
    let mut engine = hardened(budget);

    facts::register(&mut engine);
    register_verbs(&mut engine, source, recorder);
    register_base(&mut engine, source, below, recorder);
    if let Some(hits) = recorder.borrow().hits.clone() {
        register_coverage(&mut engine, hits);
    }

    let (notes, noting) = (Rc::clone(recorder), Rc::clone(budget));
    let noted = source.clone();
    engine.on_debug(move |text, _, position| {
        let site = site_of(&noted, position);
        let mut recorder = notes.borrow_mut();
        let text: String = text.chars().take(NOTE_MAX).collect();
        let text = crate::path::printable(std::ffi::OsStr::new(&text));
        if let Err(refusal) = recorder.decide(Effect::Note, text, "debug", site) {
            recorder.refusal.get_or_insert(refusal);
            noting.stop();
        }
    });
    // The engine would print to nowhere. Its callback knows no place, so the place is that of the first such word.
    let (printed, printing, source) = (Rc::clone(recorder), Rc::clone(budget), source.clone());
    engine.on_print(move |_| {
        let refusal = Diagnostic::new("policy-unknown", "a policy prints nothing")
            .at(super::text::site_of_word(&source, "print"), "")
            .hint("write `debug(...)`: `claudebox --explain` shows it with its line");
        printed.borrow_mut().refusal.get_or_insert(refusal);
        printing.stop();
    });
    engine
}

/// An engine with every limit and every switch, and no word of ours yet.
#[must_use]
pub fn hardened(budget: &Rc<Budget>) -> Engine {
    // INVARIANT(bounded-policy): limits on every dimension a script can grow in.
    let mut engine = Engine::new_raw();
    PolicyPackage::new().register_into_engine(&mut engine);
    engine.set_max_string_size(STRING_MAX);
    engine.set_max_array_size(ITEMS_MAX);
    engine.set_max_map_size(ITEMS_MAX);
    engine.set_max_call_levels(CALLS_MAX);
    engine.set_max_expr_depths(DEPTH_MAX, DEPTH_MAX);
    engine.set_max_variables(VARIABLES_MAX);
    engine.set_max_functions(FUNCTIONS_MAX);
    engine.set_max_modules(0);
    // A script that catches errors could go on after its budget is spent or a request was refused.
    for keyword in ["eval", "import", "export", "try"] {
        engine.disable_symbol(keyword);
    }
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    // The optimizer would run verbs while the script is compiled, without a place and without a recorder.
    engine.set_optimization_level(OptimizationLevel::None);
    let counter = Rc::clone(budget);
    engine.on_progress(move |_| if counter.spend() { None } else { Some(Dynamic::UNIT) });
    engine
}

/// A policy whose coverage is measured calls `coverage::hit(n)` before each statement; see [`crate::policy_test::coverage`].
fn register_coverage(engine: &mut Engine, hits: Hits) {
    let mut module = Module::new();
    FuncRegistration::new("hit").set_into_module(&mut module, move |probe: i64| {
        hits.borrow_mut().insert(usize::try_from(probe).unwrap_or_default());
    });
    engine.register_static_module("coverage", module.into());
}

/// The place of a call in the script that an engine was made for.
pub(crate) fn site_of(source: &Source, position: Position) -> Site {
    Site::Script {
        layer: Arc::clone(&source.layer),
        file: Arc::clone(&source.file),
        line: position.line().unwrap_or_default(),
        column: position.position().unwrap_or_default(),
    }
}

/// Verbs live in modules of their own: a script can define a function `pass`, but none named `env::pass`.
fn register_verbs(engine: &mut Engine, source: &Source, recorder: &Shared) {
    let mut modules: Vec<(&str, Module)> = Vec::new();
    for verb in VERBS {
        let index = modules
            .iter()
            .position(|(name, _)| *name == verb.module)
            .unwrap_or_else(|| {
                modules.push((verb.module, Module::new()));
                modules.len() - 1
            });
        if let Some((_, module)) = modules.get_mut(index) {
            register_verb(module, verb, source, recorder);
        }
    }
    for (name, module) in modules {
        engine.register_static_module(name, module.into());
    }
}

fn register_verb(module: &mut Module, verb: &'static Verb, source: &Source, recorder: &Shared) {
    let (source, recorder) = (source.clone(), Rc::clone(recorder));
    let run = move |context: &NativeCallContext, values: &[Dynamic]| -> Result<Dynamic, Box<EvalAltResult>> {
        let site = site_of(&source, context.call_position());
        let mut recorder = recorder.borrow_mut();
        let answer = verbs::call(verb, &mut recorder, values, site);
        answer.map_err(|refusal| {
            recorder.refusal.get_or_insert(refusal);
            EvalAltResult::ErrorTerminated(Dynamic::UNIT, context.call_position()).into()
        })
    };
    match verb.parameters.len() {
        1 => FuncRegistration::new(verb.name)
            .set_into_module(module, move |c: NativeCallContext, a: Dynamic| run(&c, &[a])),
        2 => FuncRegistration::new(verb.name)
            .set_into_module(module, move |c: NativeCallContext, a: Dynamic, b: Dynamic| {
                run(&c, &[a, b])
            }),
        _ => FuncRegistration::new(verb.name).set_into_module(
            module,
            move |c: NativeCallContext, a: Dynamic, b: Dynamic, d: Dynamic| run(&c, &[a, b, d]),
        ),
    };
}

/// `base::HOOK(host)` calls the hook of the layers below, on their own engine: merged scripts would report false lines,
/// and scripts as modules would resolve a helper of the same name to the wrong layer.
fn register_base(engine: &mut Engine, source: &Source, below: Option<&Rc<Layer>>, recorder: &Shared) {
    let mut module = Module::new();
    for hook in Hook::ALL {
        let (below, source, recorder) = (below.cloned(), source.clone(), Rc::clone(recorder));
        let run = move |context: &NativeCallContext, values: Vec<Dynamic>| -> Result<Dynamic, Box<EvalAltResult>> {
            let site = site_of(&source, context.call_position());
            let answer = call_below(hook, below.as_deref(), &values, site, &recorder).and_then(|below| {
                // An error from another engine keeps its line but not its file: it is told here, where the file is known.
                let answer = below.call(hook, values);
                answer.map_err(|error| super::error::diagnose(&error, below, Some(hook)))
            });
            match answer {
                Ok(answer) if hook == Hook::Variable => Ok(answer),
                // A closure that leaves its layer would be looked up among the functions of another one.
                Ok(_) => Ok(Dynamic::UNIT),
                Err(refusal) => {
                    recorder.borrow_mut().refusal.get_or_insert(refusal);
                    Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, context.call_position()).into())
                }
            }
        };
        if hook.parameters().len() == 1 {
            FuncRegistration::new(hook.name())
                .set_into_module(&mut module, move |c: NativeCallContext, host: Dynamic| {
                    run(&c, vec![host])
                });
        } else {
            FuncRegistration::new(hook.name()).set_into_module(
                &mut module,
                move |c: NativeCallContext, host: Dynamic, name: Dynamic| run(&c, vec![host, name]),
            );
        }
    }
    engine.register_static_module("base", module.into());
}

/// The layer that answers `base::HOOK(...)`, if the call is one that a hook may make.
fn call_below<'layer>(
    hook: Hook,
    below: Option<&'layer Layer>,
    values: &[Dynamic],
    site: Site,
    recorder: &Shared,
) -> Result<&'layer Layer, Diagnostic> {
    let name = hook.name();
    let wrong = |message: String| {
        Diagnostic::new("policy-hook", message)
            .at(site.clone(), "")
            .hint(format!(
                "in the hook `{name}`, write `base::{name}({})`",
                hook.parameters().join(", ")
            ))
    };
    match recorder.borrow().hook {
        Some(running) if running == hook => {}
        Some(running) => {
            return Err(wrong(format!(
                "`base::{name}` does not belong in the hook `{}`",
                running.name()
            )));
        }
        None => return Err(wrong(format!("`base::{name}` answers nothing outside a hook"))),
    }
    if !values.first().is_some_and(Dynamic::is::<facts::Facts>) {
        return Err(wrong(format!(
            "`base::{name}` takes the `host` that the hook was given"
        )));
    }
    if values.get(1).is_some_and(|name| !name.is_string()) {
        return Err(wrong(format!("`base::{name}` takes the `name` of a variable as text")));
    }
    below.and_then(|layer| layer.answering(hook)).ok_or_else(|| {
        Diagnostic::new("policy-hook", format!("no layer below answers the hook `{name}`"))
            .at(site.clone(), "")
            .hint("leave the call out")
    })
}
