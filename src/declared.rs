//! What a project says about its own sandbox, in `.claudebox.toml` and `.claudebox/tools.txt`: the tools that it needs, and
//! limits. It lies where the agent can write, so it is no layer of the policy: it can name tools and tighten, nothing else.
//! Pure: what a name stands for on this host is told by [`crate::host::declared`].

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use crate::diagnostic::Diagnostic;
use crate::draft::Network;
use crate::script::text;
use crate::toml_text::TomlText;
use crate::trace::Site;

pub mod apply;

/// The file at the project's root.
pub const FILE: &str = ".claudebox.toml";
/// The list of tools beside it, one name a line.
pub const LIST: &str = ".claudebox/tools.txt";
/// The layer that its places name.
pub const LAYER: &str = "project";

/// The longest of these files, in bytes and in lines.
pub const SIZE_MAX: u64 = 16 * 1024;
const LINES_MAX: usize = 500;
/// The most tools, and the most masks and read-only paths.
const ITEMS_MAX: usize = 100;
/// The longest name of a tool.
const NAME_MAX: usize = 64;

const CODE: &str = "project-file";
const KEYS: [&str; 4] = ["tools", "network", "mask", "readonly"];

/// Something that a project's file says, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// What.
    pub what: T,
    /// Where.
    pub site: Site,
}

/// What is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// A path, from the project's root.
    Path(String),
    /// Files whose names match, anywhere in the project (`*` and `?`).
    Name(String),
}

/// Everything that a project's files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Commands or, on a Nix host, attributes of nixpkgs.
    pub tools: Vec<Said<String>>,
    /// The widest network.
    pub network: Option<Said<Network>>,
    /// What is hidden.
    pub masks: Vec<Said<Mask>>,
    /// What cannot be changed, from the project's root.
    pub readonly: Vec<Said<String>>,
}

impl Declared {
    /// Reads `.claudebox.toml`.
    ///
    /// # Errors
    /// The first thing in it that is not known or not allowed.
    pub fn read_file(&mut self, text: &str) -> Result<(), Diagnostic> {
        let document = TomlText::new(CODE, LAYER, FILE, text);
        bounded(text, &|line, column| place(FILE, line, column))?;
        let table = document.parse()?;
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "tools" => {
                    for (name, span) in document.texts(value, "`tools`")? {
                        self.tool(name, document.site(span))?;
                    }
                }
                "network" => self.network = Some(network(&document, value)?),
                "mask" => {
                    for (entry, span) in document.texts(value, "`mask`")? {
                        let what = mask(&document, entry, span.clone())?;
                        push(&mut self.masks, what, document.site(span))?;
                    }
                }
                "readonly" => {
                    for (path, span) in document.texts(value, "`readonly`")? {
                        let path = relative(&document, path, span.clone())?;
                        push(&mut self.readonly, path, document.site(span))?;
                    }
                }
                other => {
                    let error = document.unknown_key(other, key.span(), &KEYS);
                    return Err(more(error));
                }
            }
        }
        Ok(())
    }

    /// Reads `.claudebox/tools.txt`: one name a line; `#` starts a comment.
    ///
    /// # Errors
    /// The first line that is no name.
    pub fn read_list(&mut self, text: &str) -> Result<(), Diagnostic> {
        let site = |line, column| place(LIST, line, column);
        bounded(text, &site)?;
        text::refuse_hidden(CODE, text, &site)?;
        for (index, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or_default();
            let before = name.chars().take_while(|c| c.is_whitespace()).count();
            if !name.trim().is_empty() {
                self.tool(name.trim().to_string(), site(index + 1, before + 1))?;
            }
        }
        Ok(())
    }

    /// Whether the files say anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn tool(&mut self, name: String, site: Site) -> Result<(), Diagnostic> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
        let first = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !first || name.len() > NAME_MAX || !name.chars().all(plain) || name.contains("..") {
            let shown = crate::path::printable(std::ffi::OsStr::new(&name));
            let error = Diagnostic::new(CODE, format!("`{shown}` is no name of a tool")).at(site, "");
            return Err(error.hint("a name has ASCII letters, digits, `_`, `-`, `+` and `.`, and is no path"));
        }
        if self.tools.iter().any(|known| known.what == name) {
            return Ok(());
        }
        push(&mut self.tools, name, site)
    }
}

fn push<T>(all: &mut Vec<Said<T>>, what: T, site: Site) -> Result<(), Diagnostic> {
    if all.len() == ITEMS_MAX {
        let error = Diagnostic::new(CODE, format!("there are more than {ITEMS_MAX} entries")).at(site, "");
        return Err(error.hint("what the project needs on every host belongs in your own policy"));
    }
    all.push(Said { what, site });
    Ok(())
}

/// Why a key that a policy would have is none here.
fn more(error: Diagnostic) -> Diagnostic {
    match &error.hint {
        Some(hint) if !hint.starts_with("did") => {
            let hint = format!("{hint}; what widens the sandbox belongs in your own policy");
            Diagnostic {
                hint: Some(hint),
                ..error
            }
        }
        _ => error,
    }
}

/// Short enough to be read by a person before it is approved.
fn bounded(text: &str, site: &dyn Fn(usize, usize) -> Site) -> Result<(), Diagnostic> {
    if text.lines().count() > LINES_MAX {
        let error = Diagnostic::new(CODE, format!("the file has more than {LINES_MAX} lines"));
        return Err(error
            .at(site(LINES_MAX + 1, 1), "")
            .hint("a person has to read it before it counts"));
    }
    Ok(())
}

fn network(document: &TomlText, value: &Spanned<DeValue<'_>>) -> Result<Said<Network>, Diagnostic> {
    let what = match document.text(value, "`network`")?.as_str() {
        "none" => Network::None,
        "allowlist" => Network::Allowlist,
        "internet" => Network::Internet,
        _ => {
            let error = document.error("a project's network is `none`, `allowlist` or `internet`", value.span());
            return Err(error.hint("a project can only narrow what the policy gives"));
        }
    };
    Ok(Said {
        what,
        site: document.site(value.span()),
    })
}

/// With a slash a path, without one a name, as in `.gitignore`.
fn mask(document: &TomlText, entry: String, span: Range<usize>) -> Result<Mask, Diagnostic> {
    if entry.contains('/') {
        if entry.contains(['*', '?']) {
            let error = document.error("a pattern with `*` or `?` is one of names, and has no `/`", span);
            return Err(error.hint("write `*.key` for all files of that name, or a path without a pattern"));
        }
        return relative(document, entry, span).map(Mask::Path);
    }
    if entry.is_empty() || entry.chars().all(|c| c == '*') || entry == "." || entry == ".." {
        let error = document.error("the pattern would mask everything, or nothing", span);
        return Err(error.hint("write the name of a file, such as `*.key`"));
    }
    Ok(Mask::Name(entry))
}

/// A path from the project's root that stays in it.
fn relative(document: &TomlText, path: String, span: Range<usize>) -> Result<String, Diagnostic> {
    use std::path::Component;
    let mut steps = Path::new(&path).components().peekable();
    let stays = steps.peek().is_some() && steps.all(|step| matches!(step, Component::Normal(_)));
    if !stays || path.contains(['*', '?']) {
        let shown = crate::path::printable(std::ffi::OsStr::new(&path));
        let error = document.error(format!("`{shown}` is no path in the project"), span);
        return Err(error.hint("write it from the project's root, without `..`, `*` and `?`"));
    }
    Ok(path.trim_end_matches('/').to_string())
}

/// A place in one of the files.
#[must_use]
pub fn place(file: &str, line: usize, column: usize) -> Site {
    Site::Script {
        layer: Arc::from(LAYER),
        file: file.into(),
        line,
        column,
    }
}

#[cfg(test)]
mod tests;
