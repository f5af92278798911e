//! One policy script: its name, its compiled text, and the hooks it defines. Loading runs nothing that decides.

use std::rc::Rc;
use std::sync::Arc;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};

use crate::diagnostic::Diagnostic;

use super::engine;
use super::error;
use super::hook::Hook;
use super::recorder::{Budget, Shared};
use super::text;

/// A policy's text before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The layer: `bundled`, `user`, …
    pub layer: Arc<str>,
    /// The file, as messages show it.
    pub file: Arc<str>,
    /// The text, without a byte order mark.
    pub text: Arc<str>,
}

/// A loaded policy script, on top of the layers below it.
pub struct Layer {
    /// What it was loaded from.
    pub source: Source,
    /// The layer that `base::` reaches.
    pub below: Option<Rc<Layer>>,
    engine: Engine,
    /// What all layers of the run may spend together.
    pub budget: Rc<Budget>,
    ast: AST,
    hooks: Vec<Hook>,
}

impl Layer {
    /// Compiles a script and looks at what it defines.
    ///
    /// # Errors
    /// The text is hostile, has a syntax error, or defines a hook with the wrong parameters.
    pub fn load(
        source: Source,
        below: Option<Rc<Self>>,
        recorder: &Shared,
        budget: &Rc<Budget>,
    ) -> Result<Self, Diagnostic> {
        text::refuse_hidden("policy-text", &source.text, &|line, column| {
            text::site(&source, Some((line, column)))
        })?;
        refuse_far_places(&source)?;
        let engine = engine::build(&source, below.as_ref(), recorder, budget);
        let mut ast = engine
            .compile(without_shebang(&source.text))
            .map_err(|error| error::syntax(&error, &source))?;
        ast.set_source(source.file.to_string());
        let hooks = hooks_of(&ast, &source)?;
        let layer = Self {
            source,
            below,
            budget: Rc::clone(budget),
            engine,
            ast,
            hooks,
        };
        layer.run_outside(recorder)?;
        Ok(layer)
    }

    /// Runs what stands outside the functions, once, while no hook is asked: there, a verb decides nothing and says so.
    /// The engine runs it again before every hook, for the sake of its constants; by then it is known to be harmless.
    fn run_outside(&self, recorder: &Shared) -> Result<(), Diagnostic> {
        let answer = self.engine.run_ast(&self.ast);
        if let Some(refusal) = recorder.borrow_mut().refusal.take() {
            return Err(refusal);
        }
        answer.map_err(|error| error::diagnose(&error, self, None))
    }

    /// The script's own functions: name, parameters.
    pub fn functions(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.ast
            .iter_functions()
            .map(|function| (function.name, function.params))
    }

    /// Whether this script itself defines the hook.
    #[must_use]
    pub fn defines(&self, hook: Hook) -> bool {
        self.hooks.contains(&hook)
    }

    /// The highest layer from this one downwards that defines the hook.
    #[must_use]
    pub fn answering(&self, hook: Hook) -> Option<&Self> {
        let mut layer = Some(self);
        while let Some(candidate) = layer {
            if candidate.defines(hook) {
                return Some(candidate);
            }
            layer = candidate.below.as_deref();
        }
        None
    }

    /// Calls the hook of this script.
    ///
    /// # Errors
    /// Whatever the script ran into. The recorder's first refusal is to be looked at whatever this returns.
    pub fn call(&self, hook: Hook, arguments: Vec<Dynamic>) -> Result<Dynamic, Box<EvalAltResult>> {
        let options = CallFnOptions::new();
        self.engine
            .call_fn_with_options(options, &mut Scope::new(), &self.ast, hook.name(), arguments)
    }
}

/// Positions of the engine are 16 bits wide: further on, decisions would have false places.
fn refuse_far_places(source: &Source) -> Result<(), Diagnostic> {
    let max = engine::LINES_MAX;
    if source.text.len() <= max {
        return Ok(());
    }
    let far = match source.text.lines().position(|line| line.len() > max) {
        Some(index) => Some((index + 1, "has a line that is too long")),
        None if source.text.lines().count() > max => Some((max + 1, "has too many lines")),
        None => None,
    };
    match far {
        None => Ok(()),
        Some((line, what)) => Err(Diagnostic::new("bounded-policy", format!("the policy {what}"))
            .at(text::site(source, Some((line, 1))), "")
            .hint(format!("{max} lines, and as many bytes in a line, have a number"))),
    }
}

/// A first line `#!...` is for a person's editor; the engine knows no such line. The line breaks stay, so the lines count right.
fn without_shebang(text: &str) -> &str {
    if text.starts_with("#!") {
        text.find('\n').and_then(|end| text.get(end..)).unwrap_or("")
    } else {
        text
    }
}

fn hooks_of(ast: &AST, source: &Source) -> Result<Vec<Hook>, Diagnostic> {
    let mut hooks = Vec::new();
    for function in ast.iter_functions() {
        let Some(hook) = Hook::named(function.name) else {
            continue;
        };
        if function.params.len() != hook.parameters().len() {
            let signature = format!("fn {}({})", hook.name(), hook.parameters().join(", "));
            let given = format!("fn {}({})", hook.name(), function.params.join(", "));
            return Err(
                Diagnostic::new("policy-hook", format!("the hook is `{signature}`, not `{given}`"))
                    .at(error::site_of_function(source, hook.name()), "")
                    .hint(format!("write `{signature}`")),
            );
        }
        hooks.push(hook);
    }
    refuse_near_hooks(ast, source)?;
    Ok(hooks)
}

/// A function whose name is nearly a hook's, and which nothing in the script speaks of, was meant to be that hook: without
/// an error, its author would take it for in force.
fn refuse_near_hooks(ast: &AST, source: &Source) -> Result<(), Diagnostic> {
    for function in ast.iter_functions() {
        let name = function.name;
        let hooks = Hook::ALL.into_iter().map(|hook| hook.name().to_string());
        if Hook::named(name).is_some() {
            continue;
        }
        if let Some(near) = text::nearest(name, hooks)
            && text::mentions(&source.text, name) <= 1
        {
            return Err(
                Diagnostic::new("policy-hook", format!("`{name}` is no hook, and nothing calls it"))
                    .at(error::site_of_function(source, name), "")
                    .hint(format!("did you mean `{near}`?")),
            );
        }
    }
    Ok(())
}
