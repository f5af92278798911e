//! Why Claude Code was not found, in words, and the way out.

use std::ffi::OsString;
use std::fmt;

use crate::host::tree::Unreadable;
use crate::path::{HostPath, Malformed, printable};

use super::{PACKAGE, SETTING};

/// There is no Claude Code to start. As with `env(1)`, the exit code for this is 127.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No candidate exists.
    Nowhere,
    /// The one that [`SETTING`] names cannot be used.
    Setting {
        /// The setting's value.
        value: OsString,
        /// What is wrong with it.
        why: Unusable,
    },
    /// There are candidates, but none that can be used.
    Unusable {
        /// The one that the caller's shell would most likely have taken.
        first: Refused,
        /// The others, in the order of the search.
        others: Vec<Refused>,
    },
}

/// A candidate that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The name it was found by.
    pub found_at: HostPath,
    /// What is wrong with it.
    pub why: Unusable,
}

/// What is wrong with a candidate. The text completes "`claude` ...".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The path is not well formed.
    Malformed(Malformed),
    /// Nothing is there.
    Absent,
    /// The path, or a link on the way, could not be looked at.
    OutOfReach(Unreadable),
    /// It is a directory, a socket or the like.
    NotAFile,
    /// It has no permission to be executed.
    NotExecutable,
    /// The file, a link to it, or a directory on the way belongs to another user.
    Owner {
        /// What belongs to the other user.
        path: HostPath,
        /// The other user.
        uid: u32,
    },
    /// Others can write the file, or replace it in a directory on the way.
    Writable(HostPath),
    /// It cannot be read.
    Unreadable(Unreadable),
    /// What npm leaves where the package's postinstall script did not run; with the path of that script, if it is there.
    Placeholder(Option<HostPath>),
    /// It is built for the named other machine.
    Foreign(String),
    /// It is the named version manager, or claudebox itself.
    Shim(&'static str),
    /// It is a script for the named interpreter, which is not node: what it starts cannot be known without running it.
    Script(OsString),
    /// It is a script for node, but no part of the npm package.
    Unpackaged,
    /// It is a script for the named node, which cannot be found or used.
    Interpreter(OsString),
    /// It is neither an ELF program nor a script.
    Unknown,
}

impl NotFound {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Nowhere => format!(
                "install it with {}, or set `{SETTING}` to its absolute path",
                installers()
            ),
            Self::Unusable { first, .. } => first.why.hint(),
            Self::Setting { why, .. } => match why {
                Unusable::Malformed(_) | Unusable::Absent | Unusable::OutOfReach(_) | Unusable::NotAFile => {
                    format!("set `{SETTING}` to the absolute path of the program, or unset it to search `PATH`")
                }
                _ => why.hint(),
            },
        }
    }
}

impl Unusable {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Placeholder(Some(installer)) => format!("run `node {installer}`"),
            Self::NotExecutable => "run `chmod +x` on it if you trust it".into(),
            Self::Writable(path) => format!("if you trust what is there now, run `chmod go-w {path}`"),
            Self::Shim("claudebox") => format!("set `{SETTING}` to the absolute path of Claude Code's own program"),
            Self::Shim(name) => {
                let name = name.trim_end_matches("-shim");
                format!("set `{SETTING}` to the path that `{name} which claude` prints")
            }
            Self::Script(_) | Self::Unpackaged => {
                format!("set `{SETTING}` to the absolute path of the program that the script starts")
            }
            Self::Interpreter(_) => format!(
                "put the directory of a real node into `PATH`, or install Claude Code's native build with {}",
                installers()
            ),
            _ => format!(
                "install it anew with {}, or set `{SETTING}` to the absolute path of another one",
                installers()
            ),
        }
    }
}

/// npm 12 runs no postinstall script that was not allowed; before 11.16 it ignores the option.
fn installers() -> String {
    format!(
        "`npm install -g --prefix ~/.local --allow-scripts={PACKAGE} {PACKAGE}` or `curl -fsSL https://claude.ai/install.sh | bash`"
    )
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("cannot find Claude Code: no `claude` in `PATH` nor where installers put it"),
            Self::Setting { value, why } => write!(
                f,
                "cannot start Claude Code: `{}`, which `{SETTING}` names, {why}",
                printable(value)
            ),
            Self::Unusable { first, .. } => write!(f, "cannot start Claude Code: {first}"),
        }
    }
}

impl std::error::Error for NotFound {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.found_at, self.why)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "{why}"),
            Self::Absent => f.write_str("does not exist"),
            Self::OutOfReach(why) => write!(f, "cannot be reached: {why}"),
            Self::NotAFile => f.write_str("is not a regular file"),
            Self::NotExecutable => f.write_str("is not executable"),
            Self::Owner { path, uid } => write!(
                f,
                "cannot be trusted: `{path}` belongs to user {uid}, neither to you nor to root"
            ),
            Self::Writable(path) => write!(f, "cannot be trusted: other users can write `{path}`"),
            Self::Unreadable(why) => write!(f, "cannot be read: {}", why.why),
            Self::Placeholder(_) => {
                f.write_str("is only the placeholder that npm leaves when the package's postinstall script did not run")
            }
            Self::Foreign(machine) => write!(
                f,
                "is built for `{machine}`, but this machine is `{}`",
                std::env::consts::ARCH
            ),
            Self::Shim("claudebox") => f.write_str("is claudebox itself"),
            Self::Shim(name) => write!(f, "is the version manager `{name}`, not Claude Code itself"),
            Self::Script(interpreter) => write!(
                f,
                "is a script for `{}`: what it starts cannot be known without running it",
                printable(interpreter)
            ),
            Self::Unpackaged => write!(f, "is a node script outside the package `{PACKAGE}`"),
            Self::Interpreter(name) => write!(f, "needs `{}`, and no usable one was found", printable(name)),
            Self::Unknown => f.write_str("is neither an ELF program nor a script"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> HostPath {
        HostPath::new(text).unwrap()
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = |why| NotFound::Unusable {
            first: Refused {
                found_at: path("/o/claude"),
                why,
            },
            others: Vec::new(),
        };
        let cases = [
            (
                NotFound::Nowhere,
                "cannot find Claude Code: no `claude` in `PATH` nor where installers put it",
                "install it with `npm install -g --prefix ~/.local --allow-scripts=@anthropic-ai/claude-code @anthropic-ai/claude-code` or \
                 `curl -fsSL https://claude.ai/install.sh | bash`, or set `CLAUDEBOX_CLAUDE` to its absolute path",
            ),
            (
                NotFound::Setting {
                    value: "x\u{1b}".into(),
                    why: Unusable::Malformed(Malformed("is not absolute")),
                },
                "cannot start Claude Code: `x\\u{1b}`, which `CLAUDEBOX_CLAUDE` names, is not absolute",
                "set `CLAUDEBOX_CLAUDE` to the absolute path of the program, or unset it to search `PATH`",
            ),
            (
                refused(Unusable::Placeholder(Some(path("/p/install.cjs")))),
                "cannot start Claude Code: `/o/claude` is only the placeholder that npm leaves when the package's postinstall \
                 script did not run",
                "run `node /p/install.cjs`",
            ),
            (
                refused(Unusable::Owner {
                    path: path("/o"),
                    uid: 7,
                }),
                "cannot start Claude Code: `/o/claude` cannot be trusted: `/o` belongs to user 7, neither to you nor to root",
                "install it anew with `npm install -g --prefix ~/.local --allow-scripts=@anthropic-ai/claude-code @anthropic-ai/claude-code` or \
                 `curl -fsSL https://claude.ai/install.sh | bash`, or set `CLAUDEBOX_CLAUDE` to the absolute path of another one",
            ),
            (
                refused(Unusable::Writable(path("/o"))),
                "cannot start Claude Code: `/o/claude` cannot be trusted: other users can write `/o`",
                "if you trust what is there now, run `chmod go-w /o`",
            ),
            (
                refused(Unusable::Shim("volta-shim")),
                "cannot start Claude Code: `/o/claude` is the version manager `volta-shim`, not Claude Code itself",
                "set `CLAUDEBOX_CLAUDE` to the path that `volta which claude` prints",
            ),
            (
                refused(Unusable::Script("/bin/sh".into())),
                "cannot start Claude Code: `/o/claude` is a script for `/bin/sh`: what it starts cannot be known without \
                 running it",
                "set `CLAUDEBOX_CLAUDE` to the absolute path of the program that the script starts",
            ),
        ];
        for (error, text, hint) in cases {
            assert_eq!((error.to_string().as_str(), error.hint().as_str()), (text, hint));
        }
    }
}
