//! Tests of policies: functions `test_*` in a script beside the policy describe a host, and say what must come of it. Runs
//! the very pipeline of a launch on described hosts; starts nothing, and reads nothing of this host but the scripts.

pub mod coverage;
pub mod host;
pub mod words;

use std::cell::RefCell;
use std::ffi::OsString;
use std::rc::Rc;

use rhai::{CallFnOptions, Dynamic, Engine, EvalAltResult, FuncRegistration, Module, NativeCallContext, Scope};

use crate::cli::Cli;
use crate::diagnostic::{Diagnostic, Refusal, Sources};
use crate::host::Host;
use crate::request::{Program, Request};
use crate::script::engine::{hardened, site_of};
use crate::script::facts::{self, OsText};
use crate::script::layer::Source;
use crate::script::recorder::{Budget, Hits};
use crate::script::{self, error, text};
use crate::style::{Style, Tone};
use crate::{Decided, decide_with, output};

use coverage::{Lines, Probed};
use host::Described;
use words::{WORDS, Word};

/// A file of tests, and the policy that it tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The tests.
    pub tests: Source,
    /// The layers, the lowest first; the last is what is tested.
    pub layers: Vec<Source>,
}

/// What came of one suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each test and its failure, in the order of their names.
    pub tests: Vec<(String, Option<Diagnostic>)>,
    /// What of the policy ran; `None` where that could not be measured.
    pub lines: Option<Lines>,
    /// The texts, for messages.
    pub sources: Sources,
    /// The policy's file.
    pub policy: String,
    /// The tests' file.
    pub file: String,
}

/// What one test has said so far.
pub struct State {
    /// The host.
    pub given: Described,
    /// The pipeline's answer, once something was expected of it.
    pub decided: Option<(Rc<Host>, Decided)>,
    layers: Vec<Source>,
    probed: Option<Source>,
    hits: Hits,
    failure: Option<Diagnostic>,
}

impl State {
    /// Asks the policy, once a test.
    pub fn outcome(&mut self) -> &(Rc<Host>, Decided) {
        let (given, layers, probed, hits) = (&self.given, &self.layers, &self.probed, &self.hits);
        self.decided.get_or_insert_with(|| {
            let host = given.host();
            let request = Request {
                program: Program::Command,
                arguments: vec!["true".into()],
                ..Request::default()
            };
            if let Some(probed) = probed {
                let mut measured = layers.clone();
                measured.pop();
                measured.push(probed.clone());
                let _ = script::evaluate_covered(&measured, &host, Some(Rc::clone(hits)));
            }
            let decided = decide_with(layers, &host, &request);
            (host, decided)
        })
    }
}

type Shared = Rc<RefCell<State>>;

/// `--policy-test`: runs the named suites, or all beside the user's own policy, and prints what came of it.
///
/// # Errors
/// A file cannot be read, or a tests' script has a mistake.
pub fn main(cli: &Cli, host: &Host) -> anyhow::Result<u8> {
    let style = Style::of_output(cli.color, &host.terminal);
    let suites = host.suites(&cli.arguments)?;
    let mut passed = true;
    for suite in &suites {
        let report = run(suite)?;
        passed &= report.passed();
        output::result(&report.text(style));
    }
    Ok(u8::from(!passed))
}

/// Runs the tests of one suite.
///
/// # Errors
/// The tests' script has a mistake, or no test. A mistake of the policy fails the tests.
pub fn run(suite: &Suite) -> Result<Report, Refusal> {
    let mut sources: Sources = suite
        .layers
        .iter()
        .map(|layer| (layer.file.clone(), layer.text.clone()))
        .collect();
    sources.insert(suite.tests.file.clone(), suite.tests.text.clone());
    run_in(suite, &sources).map_err(|error| Refusal {
        sources,
        ..Refusal::one(error)
    })
}

fn run_in(suite: &Suite, sources: &Sources) -> Result<Report, Diagnostic> {
    let tests = &suite.tests;
    let wrong = |message: String| Diagnostic::new("policy-test", message);
    text::refuse_hidden("policy-text", &tests.text, &|line, column| {
        text::site(tests, Some((line, column)))
    })?;
    let Some(policy) = suite.layers.last() else {
        return Err(wrong("there is no policy to test".into()));
    };
    let probed = coverage::probe(&policy.text);
    let source = measurable(&suite.layers, policy, &probed);
    let hits = Hits::default();
    let shared: Shared = Rc::new(RefCell::new(State {
        given: Described::default(),
        decided: None,
        layers: suite.layers.clone(),
        probed: source.clone(),
        hits: Rc::clone(&hits),
        failure: None,
    }));
    let mut names = Vec::new();
    let mut report = Vec::new();
    let budget = Rc::new(Budget::new());
    let mut ast = engine(tests, &shared, &budget)
        .compile(&*tests.text)
        .map_err(|error| error::syntax(&error, tests))?;
    ast.set_source(tests.file.to_string());
    for function in ast
        .iter_functions()
        .filter(|function| function.name.starts_with("test_"))
    {
        if !function.params.is_empty() {
            let message = format!("the test `{}` takes no parameters", function.name);
            return Err(wrong(message).at(text::site_of_function(tests, function.name), ""));
        }
        names.push(function.name.to_string());
    }
    if names.is_empty() {
        return Err(wrong(format!("`{}` has no test", tests.file)).hint("write `fn test_NAME() { ... }`"));
    }
    names.sort();
    for name in names {
        {
            let mut state = shared.borrow_mut();
            state.given = Described::default();
            state.decided = None;
            state.failure = None;
        }
        let budget = Rc::new(Budget::new());
        let engine = engine(tests, &shared, &budget);
        let answer: Result<Dynamic, _> =
            engine.call_fn_with_options(CallFnOptions::new(), &mut Scope::new(), &ast, &name, ());
        let failure = shared.borrow_mut().failure.take();
        let failure = failure.or_else(|| {
            answer
                .err()
                .map(|error| error::of_test(&error, tests, &name, budget.spent()))
        });
        report.push((name, failure));
    }
    let lines = source.map(|_| probed.lines(&hits.borrow()));
    Ok(Report {
        tests: report,
        lines,
        sources: sources.clone(),
        policy: policy.file.to_string(),
        file: tests.file.to_string(),
    })
}

/// The policy with its probes, where that is a script still.
fn measurable(layers: &[Source], policy: &Source, probed: &Probed) -> Option<Source> {
    let source = Source {
        text: probed.text.as_str().into(),
        ..policy.clone()
    };
    let mut measured = layers.to_vec();
    measured.pop();
    measured.push(source.clone());
    let host = Described::default().host();
    let evaluation = script::evaluate_covered(&measured, &host, Some(Hits::default()));
    let broken = evaluation
        .outcome
        .err()
        .is_some_and(|error| matches!(error.code, "policy-syntax" | "bounded-policy"));
    (!broken).then_some(source)
}

fn engine(tests: &Source, shared: &Shared, budget: &Rc<Budget>) -> Engine {
    let mut engine = hardened(budget);
    facts::register(&mut engine);
    let mut modules: Vec<(&str, Module)> = Vec::new();
    for word in WORDS {
        let index = modules
            .iter()
            .position(|(name, _)| *name == word.module)
            .unwrap_or_else(|| {
                modules.push((word.module, Module::new()));
                modules.len() - 1
            });
        if let Some((_, module)) = modules.get_mut(index) {
            register(module, word, tests, shared);
        }
    }
    for (name, module) in modules {
        engine.register_static_module(name, module.into());
    }
    engine
}

fn register(module: &mut Module, word: &'static Word, tests: &Source, shared: &Shared) {
    let (tests, shared) = (tests.clone(), Rc::clone(shared));
    let run = move |context: &NativeCallContext, values: &[Dynamic]| -> Result<(), Box<EvalAltResult>> {
        let site = site_of(&tests, context.call_position());
        let mut state = shared.borrow_mut();
        said(word, &mut state, values).map_err(|(message, decided)| {
            let mut error = Diagnostic::new("policy-test", message).at(site, "");
            if let Some(decided) = decided {
                error = error.at(decided, "decided here");
            }
            state.failure.get_or_insert(error);
            EvalAltResult::ErrorTerminated(Dynamic::UNIT, context.call_position()).into()
        })
    };
    match word.parameters.len() {
        0 => FuncRegistration::new(word.name).set_into_module(module, move |c: NativeCallContext| run(&c, &[])),
        1 => FuncRegistration::new(word.name)
            .set_into_module(module, move |c: NativeCallContext, a: Dynamic| run(&c, &[a])),
        _ => FuncRegistration::new(word.name)
            .set_into_module(module, move |c: NativeCallContext, a: Dynamic, b: Dynamic| {
                run(&c, &[a, b])
            }),
    };
}

fn said(word: &Word, state: &mut State, values: &[Dynamic]) -> Result<(), (String, Option<crate::trace::Site>)> {
    let mut arguments: Vec<OsString> = Vec::new();
    for (value, parameter) in values.iter().zip(word.parameters) {
        let text =
            OsText::of(value).ok_or_else(|| (format!("`{}` takes text as `{parameter}`", word.signature()), None))?;
        arguments.push(text);
    }
    if word.module == "given" && state.decided.is_some() {
        return Err(("the host is described before the first expectation".into(), None));
    }
    (word.act)(state, &arguments).map_err(|failure| (failure.message, failure.decided))
}

impl Report {
    /// Whether every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.tests.iter().all(|(_, failure)| failure.is_none())
    }

    /// The report for a person.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = format!("{}\n", style.paint(Tone::Heading, &self.file));
        for (name, failure) in &self.tests {
            match failure {
                None => out.push_str(&format!("  {}   {name}\n", style.paint(Tone::Good, "ok"))),
                Some(_) => out.push_str(&format!("  {} {name}\n", style.paint(Tone::Bad, "FAIL"))),
            }
        }
        for (_, failure) in &self.tests {
            if let Some(failure) = failure {
                out.push('\n');
                out.push_str(&failure.render(&self.sources, style));
            }
        }
        out.push_str(&self.coverage());
        out
    }

    fn coverage(&self) -> String {
        let Some(lines) = &self.lines else {
            return format!("{}: which lines ran could not be measured\n", self.policy);
        };
        let ran = lines.all - lines.missed.len();
        let percent = (ran * 100).checked_div(lines.all).unwrap_or(100);
        let mut out = format!("{}: {ran} of {} lines ran ({percent} %)", self.policy, lines.all);
        if !lines.missed.is_empty() {
            out.push_str(&format!("; not all of line {}", ranges(&lines.missed)));
        }
        out.push('\n');
        out
    }
}

/// `1, 3-5`.
fn ranges(lines: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => runs.push((*line, *line)),
        }
    }
    let shown = |(first, last): &(usize, usize)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let runs: Vec<String> = runs.iter().map(shown).collect();
    runs.join(", ")
}

#[cfg(test)]
mod tests;
