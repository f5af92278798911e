//! TOML files that people write, read strictly: what is not known is an error with its line. Pure text.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::script::text;
use crate::trace::Site;

/// One document, with what its errors need.
#[derive(Clone, Debug)]
pub struct TomlText {
    code: &'static str,
    layer: Arc<str>,
    file: Arc<str>,
    text: Arc<str>,
}

impl TomlText {
    /// A document. `code` is that of its errors, `layer` who speaks in it, `file` its name in messages.
    #[must_use]
    pub fn new(code: &'static str, layer: &str, file: &str, text: &str) -> Self {
        Self {
            code,
            layer: layer.into(),
            file: file.into(),
            text: text.into(),
        }
    }

    /// The name and the text, for messages that point into it.
    #[must_use]
    pub fn source(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.file), Arc::clone(&self.text))
    }

    /// Parses the whole document.
    ///
    /// # Errors
    /// A hidden character, or the first syntax error.
    pub fn parse(&self) -> Result<Spanned<DeTable<'_>>, Diagnostic> {
        text::refuse_hidden(self.code, &self.text, &|line, column| self.place(line, column))?;
        DeTable::parse(&self.text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().replace('"', "`");
            Diagnostic::new(self.code, message).at(self.site(error.span().unwrap_or_default()), "")
        })
    }

    /// Where a part of the document is.
    #[must_use]
    pub fn site(&self, span: Range<usize>) -> Site {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        self.place(line, column)
    }

    fn place(&self, line: usize, column: usize) -> Site {
        Site::Script {
            layer: Arc::clone(&self.layer),
            file: Arc::clone(&self.file),
            line,
            column,
        }
    }

    /// The error for a part of the document.
    #[must_use]
    pub fn error(&self, message: impl Into<String>, span: Range<usize>) -> Diagnostic {
        Diagnostic::new(self.code, message).at(self.site(span), "")
    }

    /// The error for a key that nobody knows.
    #[must_use]
    pub fn unknown_key(&self, key: &str, span: Range<usize>, known: &[&str]) -> Diagnostic {
        let key = crate::path::printable(std::ffi::OsStr::new(key));
        let error = self.error(format!("there is no key `{key}`"), span);
        match text::nearest(&key, known.iter().map(ToString::to_string)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => {
                let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
                error.hint(format!("the keys are {}", known.join(", ")))
            }
        }
    }

    /// A value that must be a table.
    ///
    /// # Errors
    /// It is none; `expected` says what belongs there.
    pub fn table<'v, 't>(
        &self,
        value: &'v Spanned<DeValue<'t>>,
        expected: &str,
    ) -> Result<&'v DeTable<'t>, Diagnostic> {
        value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.error(expected, value.span()))
    }

    /// A value that must be text.
    ///
    /// # Errors
    /// It is none.
    pub fn text(&self, value: &Spanned<DeValue<'_>>, what: &str) -> Result<String, Diagnostic> {
        let text = value.get_ref().as_str().map(str::to_string);
        text.ok_or_else(|| {
            let kind = value.get_ref().type_str();
            self.error(format!("{what} takes text, not {}", with_article(kind)), value.span())
        })
    }

    /// A value that must be an array of texts: each with its place.
    ///
    /// # Errors
    /// It is no array, or one of its items is no text.
    pub fn texts(&self, value: &Spanned<DeValue<'_>>, what: &str) -> Result<Vec<(String, Range<usize>)>, Diagnostic> {
        let Some(items) = value.get_ref().as_array() else {
            let kind = with_article(value.get_ref().type_str());
            return Err(self.error(format!("{what} takes an array of texts, not {kind}"), value.span()));
        };
        let text = |item: &Spanned<DeValue<'_>>| Ok((self.text(item, &format!("each item of {what}"))?, item.span()));
        items.iter().map(text).collect()
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}
