//! The arguments of one call: each is of the kind that its parameter takes, or the message names the parameter.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use rhai::Dynamic;

use crate::diagnostic::Diagnostic;
use crate::path::{HostPath, SandboxPath, printable};
use crate::script::facts::OsText;
use crate::script::recorder::{REASON_MAX, Recorder};
use crate::trace::Site;

use super::{Ruling, Takes, Verb};

/// The arguments of one call and what is needed to say what is wrong with them.
pub struct Arguments<'call> {
    pub(super) verb: &'static Verb,
    pub(super) values: &'call [Dynamic],
    pub(super) site: &'call Site,
}

impl Arguments<'_> {
    pub(super) fn wrong(&self, message: String) -> Diagnostic {
        Diagnostic::new("policy-argument", message)
            .at(self.site.clone(), "")
            .hint(format!("`{}`: {}", self.verb.signature(), self.verb.doc))
    }

    /// Every argument is of the kind its parameter takes.
    pub(super) fn check(&self) -> Result<(), Diagnostic> {
        for (index, (parameter, value)) in self.verb.parameters.iter().zip(self.values).enumerate() {
            if parameter.takes == Takes::Port {
                self.port(index)?;
                continue;
            }
            let fit = OsText::looked_at(value, |text| match parameter.takes {
                Takes::Reason => self.reason_fits(text.as_bytes()),
                _ => Ok(()),
            });
            let Some(fit) = fit else {
                return Err(self.wrong(format!(
                    "`{}` takes text as `{}`, not {}",
                    self.verb.path(),
                    parameter.name,
                    kind_of(value)
                )));
            };
            fit?;
        }
        Ok(())
    }

    fn reason_fits(&self, reason: &[u8]) -> Result<(), Diagnostic> {
        if reason.iter().all(u8::is_ascii_whitespace) {
            return Err(self.wrong(format!("`{}` needs a reason, and this one is empty", self.verb.path())));
        }
        if reason.len() > REASON_MAX {
            return Err(self.wrong(format!("the reason is longer than {REASON_MAX} bytes")));
        }
        Ok(())
    }

    /// The argument as bytes.
    pub(super) fn text(&self, index: usize) -> Result<OsString, Diagnostic> {
        let text = self.values.get(index).and_then(OsText::of).unwrap_or_default();
        if text.as_bytes().contains(&0) {
            return Err(self.wrong("a NUL byte cannot be part of a path, a value or a file here".into()));
        }
        Ok(text)
    }

    pub(super) fn utf8(&self, index: usize) -> Result<String, Diagnostic> {
        let text = self.text(index)?;
        match text.into_string() {
            Ok(text) if text.is_empty() => Err(self.wrong("an empty pattern matches nothing".into())),
            Ok(text) => Ok(text),
            Err(text) => Err(self.wrong(format!("`{}` is not UTF-8", printable(&text)))),
        }
    }

    pub(super) fn reason(&self) -> String {
        self.values
            .last()
            .and_then(|reason| OsText::looked_at(reason, printable))
            .unwrap_or_default()
    }

    fn expanded(&self, recorder: &Recorder, index: usize) -> Result<std::path::PathBuf, Diagnostic> {
        let text = self.text(index)?;
        if text == "~" {
            return Ok(recorder.home.as_path().to_path_buf());
        }
        Ok(match std::path::Path::new(&text).strip_prefix("~") {
            Ok(rest) => recorder.home.as_path().join(rest),
            Err(_) => text.into(),
        })
    }

    pub(super) fn host_path(&self, recorder: &Recorder, index: usize) -> Result<HostPath, Diagnostic> {
        let path = self.expanded(recorder, index)?;
        HostPath::new(&path).map_err(|why| self.malformed(&path, why))
    }

    pub(super) fn sandbox_path(&self, recorder: &Recorder, index: usize) -> Result<SandboxPath, Diagnostic> {
        let path = self.expanded(recorder, index)?;
        SandboxPath::new(&path).map_err(|why| self.malformed(&path, why))
    }

    fn malformed(&self, path: &std::path::Path, why: crate::path::Malformed) -> Diagnostic {
        self.wrong(format!("the path `{}` {why}", printable(path.as_os_str())))
    }
}

/// The word for a value's type, in a user's terms.
#[must_use]
pub fn kind_of(value: &Dynamic) -> &'static str {
    match value {
        value if value.is_int() => "a number",
        value if OsText::of(value).is_some() => "text",
        value if value.is_bool() => "a truth value",
        value if value.is_array() => "an array",
        value if value.is_map() => "a map",
        value if value.is_unit() => "nothing",
        value if value.is_fnptr() => "a function",
        value if value.is_string() || value.is::<OsText>() => "text",
        value if value.is::<Ruling>() => "a verdict",
        _ => "another kind of value",
    }
}
