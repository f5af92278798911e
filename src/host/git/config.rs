//! Reads git's configuration format as git does (git-config(1), "CONFIGURATION FILE"; `config.c` of git 2.47), to the
//! byte: what we overlook there, the host's git would run. Linear in the input, without recursion.

use std::fmt;
use std::sync::Arc;

/// One `key = value`. The names are shared by all entries below one header, so that many keys below a long name cost
/// no more than their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The section, in lower case.
    pub section: Arc<[u8]>,
    /// The subsection: case matters, except in the old form `[section.subsection]`, which is in lower case.
    pub subsection: Option<Arc<[u8]>>,
    /// The key, in lower case.
    pub key: Vec<u8>,
    /// The value; `None` where the key stands alone, which means true.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// The value as git reads a boolean. What git would refuse counts as true.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match &self.value {
            None => true,
            Some(value) => {
                let value = value.to_ascii_lowercase();
                !matches!(value.as_slice(), b"" | b"false" | b"no" | b"off" | b"0")
            }
        }
    }

    /// Whether this is `section.key`, outside of any subsection.
    #[must_use]
    pub fn is(&self, section: &str, key: &str) -> bool {
        self.subsection.is_none() && *self.section == *section.as_bytes() && self.key == key.as_bytes()
    }
}

/// Text that git would refuse as a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, lower case, without a full stop.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for Malformed {}

/// Reads a whole configuration.
///
/// # Errors
/// Where git would refuse the text, or where it holds a NUL byte, after which git's own readers disagree.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(bytes);
    let mut reader = Reader { bytes, at: 0, line: 1 };
    if let Some(nul) = bytes.iter().position(|byte| *byte == 0) {
        let line = bytes
            .iter()
            .take(nul)
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_add(1);
        return Err(Malformed {
            line,
            why: "a NUL byte",
        });
    }
    let mut entries = Vec::new();
    let mut section: Option<Header> = None;
    while let Some(byte) = reader.next() {
        match byte {
            b'\n' | b' ' | b'\t' | b'\r' => {}
            b'#' | b';' => reader.skip_line(),
            b'[' => section = Some(reader.section()?),
            byte if byte.is_ascii_alphabetic() => {
                let (key, value) = reader.variable(byte)?;
                // git takes a key before the first section for one without a section.
                let (section, subsection) = section.clone().unwrap_or_else(|| (Arc::default(), None));
                entries.push(Entry {
                    section,
                    subsection,
                    key,
                    value,
                });
            }
            _ => return Err(reader.malformed("neither a section nor a key")),
        }
    }
    Ok(entries)
}

type Header = (Arc<[u8]>, Option<Arc<[u8]>>);

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    /// The next byte, with `\r\n` read as `\n`.
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at = self.at.saturating_add(1);
        if byte == b'\r' && self.bytes.get(self.at) == Some(&b'\n') {
            return self.next();
        }
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(byte)
    }

    /// The next byte, with the end of the text read as the end of a line.
    fn next_or_newline(&mut self) -> u8 {
        self.next().unwrap_or(b'\n')
    }

    fn malformed(&self, why: &'static str) -> Malformed {
        // The line of the byte before, which is the one that was wrong.
        let ended = self.at.checked_sub(1).and_then(|last| self.bytes.get(last)) == Some(&b'\n');
        Malformed {
            line: self.line.saturating_sub(usize::from(ended)),
            why,
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.next(), None | Some(b'\n')) {}
    }

    /// After `[`.
    fn section(&mut self) -> Result<Header, Malformed> {
        let mut name = Vec::new();
        loop {
            match self.next_or_newline() {
                b']' => break,
                b' ' | b'\t' | b'\r' => {
                    self.subsection(&mut name)?;
                    break;
                }
                byte if is_key(byte) || byte == b'.' => name.push(byte.to_ascii_lowercase()),
                _ => return Err(self.malformed("a section's name that does not end in `]`")),
            }
        }
        if name.is_empty() {
            return Err(self.malformed("a section without a name"));
        }
        // git joins the parts by dots and splits them at the first: `[a.b "c"]` is the section `a`.
        let dot = name.iter().position(|byte| *byte == b'.');
        let subsection = dot.map(|dot| name.split_off(dot).split_off(1).into());
        Ok((name.into(), subsection))
    }

    /// After the blank in `[section "subsection"]`; appends a dot and the subsection.
    fn subsection(&mut self, name: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut byte = self.next_or_newline();
        while matches!(byte, b' ' | b'\t' | b'\r') {
            byte = self.next_or_newline();
        }
        if byte != b'"' {
            return Err(self.malformed("a subsection without quotes"));
        }
        name.push(b'.');
        loop {
            match self.next_or_newline() {
                b'\n' => return Err(self.malformed("a subsection without its closing quote")),
                b'"' => break,
                b'\\' => match self.next_or_newline() {
                    b'\n' => return Err(self.malformed("a subsection without its closing quote")),
                    escaped => name.push(escaped),
                },
                byte => name.push(byte),
            }
        }
        if self.next_or_newline() == b']' {
            Ok(())
        } else {
            Err(self.malformed("a subsection that is not followed by `]`"))
        }
    }

    /// After the first letter of a key.
    fn variable(&mut self, first: u8) -> Result<(Vec<u8>, Option<Vec<u8>>), Malformed> {
        let mut key = vec![first.to_ascii_lowercase()];
        let mut byte = self.next_or_newline();
        while is_key(byte) {
            key.push(byte.to_ascii_lowercase());
            byte = self.next_or_newline();
        }
        while matches!(byte, b' ' | b'\t') {
            byte = self.next_or_newline();
        }
        match byte {
            b'\n' => Ok((key, None)),
            b'=' => Ok((key, Some(self.value()?))),
            _ => Err(self.malformed("a key that is not followed by `=`")),
        }
    }

    /// After `=`.
    fn value(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut value = Vec::new();
        let mut quoted = false;
        // Where the blanks at the end begin; zero where it does not end in blanks.
        let mut trim = 0;
        loop {
            match self.next_or_newline() {
                b'\n' if quoted => return Err(self.malformed("a value without its closing quote")),
                b'\n' => break,
                byte @ (b' ' | b'\t' | b'\r') if !quoted => {
                    if trim == 0 {
                        trim = value.len();
                    }
                    if !value.is_empty() {
                        value.push(byte);
                    }
                }
                b'#' | b';' if !quoted => {
                    self.skip_line();
                    break;
                }
                byte => {
                    trim = 0;
                    match byte {
                        b'\\' => match self.next_or_newline() {
                            b'\n' => {}
                            b't' => value.push(b'\t'),
                            b'b' => value.push(8),
                            b'n' => value.push(b'\n'),
                            escaped @ (b'\\' | b'"') => value.push(escaped),
                            _ => return Err(self.malformed("an unknown escape in a value")),
                        },
                        b'"' => quoted = !quoted,
                        byte => value.push(byte),
                    }
                }
            }
        }
        if trim > 0 {
            value.truncate(trim);
        }
        Ok(value)
    }
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

#[cfg(test)]
mod tests;
