//! The scripts that test policies, and the policies that they test: which of them lie where.

use std::ffi::OsString;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::path::{HostPath, printable};
use crate::policy_test::Suite;
use crate::script::engine::SOURCE_MAX;
use crate::script::layer::Source;

use super::Host;
use super::policies::{BUNDLED, bundled};

/// How a file of tests ends; what is before it names the policy.
const ENDING: &str = ".test.rhai";

impl Host {
    /// The suites in these files, or all beside the user's own policy and profiles.
    ///
    /// # Errors
    /// A file cannot be read, has no policy beside it, or there is none at all.
    pub fn suites(&self, files: &[OsString]) -> Result<Vec<Suite>, Refusal> {
        let mut paths = Vec::new();
        for file in files {
            let path = self.path_of_line(Path::new(file));
            paths.push(path.map_err(|why| refused(format!("the file `{}` {why}", printable(file))))?);
        }
        if files.is_empty() {
            for directory in [Ok(self.places.config.clone()), self.places.config.join("profiles")] {
                let Ok(directory) = directory else { continue };
                let names = self
                    .tree
                    .list(directory.as_path())
                    .map_err(|error| refused(error.to_string()))?;
                paths.extend(
                    names
                        .iter()
                        .filter(|name| name.to_str().is_some_and(|name| name.ends_with(ENDING)))
                        .filter_map(|name| directory.join(name).ok()),
                );
            }
            if paths.is_empty() {
                let message = format!("there are no tests in `{}`", self.tilde(&self.places.config));
                return Err(Refusal::one(
                    Diagnostic::new("policy-test", message)
                        .hint("write `policy.test.rhai` beside your policy, or name the files"),
                ));
            }
        }
        paths.iter().map(|path| self.suite(path)).collect()
    }

    /// A policy that is compared with another.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn compared(&self, file: &OsString) -> Result<Source, Refusal> {
        let wrong = |why: String| Refusal::one(Diagnostic::new("policy-file", format!("it cannot be compared: {why}")));
        let path = self
            .path_of_line(Path::new(file))
            .map_err(|why| wrong(format!("`{}` {why}", printable(file))))?;
        self.script("user", &path)
            .map_err(|error| match error.diagnostics.first() {
                Some(first) => wrong(first.message.clone()),
                None => error,
            })
    }

    fn suite(&self, path: &HostPath) -> Result<Suite, Refusal> {
        let shown = self.tilde(path);
        let policy = path
            .name()
            .and_then(|name| name.to_str()?.strip_suffix(ENDING).map(str::to_string));
        let (Some(policy), Some(directory)) = (policy, path.parent()) else {
            return Err(refused(format!(
                "`{shown}` is no file of tests: its name does not end with `{ENDING}`"
            )));
        };
        let beside = directory
            .join(format!("{policy}.rhai"))
            .map_err(|why| refused(format!("`{shown}` {why}")))?;
        let tests = self.script("tests", path)?;
        let policy = self.script("user", &beside)?;
        let mut layers = vec![bundled()];
        if directory.name().is_some_and(|name| name == "profiles") {
            // A profile lies on the policy beside its directory, where there is one.
            let below = directory.parent().and_then(|parent| parent.join("policy.rhai").ok());
            if let Some(below) = below.filter(|below| matches!(self.tree.node(below.as_path()), Ok(Some(_)))) {
                push(&mut layers, self.script("user", &below)?);
            }
            push(
                &mut layers,
                Source {
                    layer: "profile".into(),
                    ..policy
                },
            );
        } else {
            push(&mut layers, policy);
        }
        Ok(Suite { tests, layers })
    }

    fn script(&self, layer: &str, path: &HostPath) -> Result<Source, Refusal> {
        let resolved = self.tree.resolve(path).map_err(|error| refused(error.to_string()))?;
        let bytes = self
            .tree
            .read(resolved.path.as_path(), SOURCE_MAX)
            .map_err(|error| refused(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| refused(format!("`{path}` is not UTF-8 text")))?;
        Ok(Source {
            layer: layer.into(),
            file: self.tilde(path).into(),
            text: text.into(),
        })
    }
}

/// The bundled policy itself is tested as the layer that it is.
fn push(layers: &mut Vec<Source>, source: Source) {
    if *source.text == *BUNDLED {
        layers.pop();
        layers.push(Source {
            layer: "bundled".into(),
            ..source
        });
    } else {
        layers.push(source);
    }
}

fn refused(message: String) -> Refusal {
    let hint = "tests of `NAME.rhai` lie beside it, in `NAME.test.rhai`";
    Refusal::one(Diagnostic::new("policy-test", message).hint(hint))
}
