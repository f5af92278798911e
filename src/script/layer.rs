//! One policy script: its name, its compiled text, and the hooks it defines. Loading runs nothing that decides.

use std::rc::Rc;
use std::sync::Arc;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};

use crate::diagnostic::Diagnostic;
use crate::trace::Site;

use super::engine;
use super::error;
use super::hook::Hook;
use super::recorder::{Budget, Shared};

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
        refuse_hidden_text(&source)?;
        let engine = engine::build(&source.layer, below.as_ref(), recorder, budget);
        let mut ast = engine
            .compile(without_shebang(&source.text))
            .map_err(|error| error::syntax(&error, &source))?;
        ast.set_source(source.file.to_string());
        let hooks = hooks_of(&ast, &source)?;
        Ok(Self {
            source,
            below,
            engine,
            ast,
            hooks,
        })
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

/// Text that reads otherwise than it runs is refused whole: nobody can check what they cannot see.
fn refuse_hidden_text(source: &Source) -> Result<(), Diagnostic> {
    for (index, line) in source.text.lines().enumerate() {
        for (column, c) in line.chars().enumerate() {
            let what = match c {
                '\0' => "a NUL character",
                c if crate::path::is_invisible(c) => "an invisible or direction-changing character",
                c if c.is_control() && c != '\t' => "a control character",
                _ => continue,
            };
            let site = Site::Script {
                layer: Arc::clone(&source.layer),
                file: Arc::clone(&source.file),
                line: index + 1,
                column: column + 1,
            };
            return Err(Diagnostic::new(
                "policy-text",
                format!("the policy contains {what} (U+{:04X})", u32::from(c)),
            )
            .at(site, "")
            .hint("remove it; in a string, write `\\u` and its number instead"));
        }
    }
    Ok(())
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
    Ok(hooks)
}
