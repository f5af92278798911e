//! What a program is by its first bytes and its name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The npm package's stand-in for the binary is this short, and says so.
const PLACEHOLDER_MAX: u64 = 4096;
const PLACEHOLDER: &[u8] = b"native binary not installed";

const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// What the kernel would make of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A program for this machine.
    Elf,
    /// A program for the named other machine.
    Foreign(String),
    /// A script with a first line that names its interpreter.
    Script(Shebang),
    /// What npm leaves where the package's postinstall script did not run.
    Placeholder,
    /// Anything else.
    Unknown,
}

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shebang {
    /// The interpreter: a path, or a name to be looked up in `PATH` where `env` was asked for it.
    pub interpreter: OsString,
    /// What the interpreter is given before the script.
    pub options: Vec<OsString>,
}

/// What a file is that starts with `head` and is `length` bytes long.
pub fn form(head: &[u8], length: u64) -> Form {
    if head.starts_with(b"\x7fELF") {
        // `e_machine`, in the byte order of the two machines that Claude Code is built for.
        match (
            head.get(18..20).map(|bytes| bytes.try_into().map(u16::from_le_bytes)),
            native(),
        ) {
            (Some(Ok(machine)), Some(native)) if machine != native => Form::Foreign(machine_name(machine)),
            (Some(Ok(_)), _) => Form::Elf,
            _ => Form::Unknown,
        }
    } else if let Some(rest) = head.strip_prefix(b"#!") {
        shebang(rest).map_or(Form::Unknown, Form::Script)
    } else if length < PLACEHOLDER_MAX && contains(head, PLACEHOLDER) {
        Form::Placeholder
    } else {
        Form::Unknown
    }
}

/// The machine that we run on, if it is one that Claude Code is built for.
pub fn native() -> Option<u16> {
    match std::env::consts::ARCH {
        "x86_64" => Some(EM_X86_64),
        "aarch64" => Some(EM_AARCH64),
        _ => None,
    }
}

fn machine_name(machine: u16) -> String {
    match machine {
        EM_X86_64 => "x86_64".into(),
        EM_AARCH64 => "aarch64".into(),
        3 => "x86".into(),
        40 => "arm".into(),
        243 => "riscv64".into(),
        other => format!("ELF machine {other}"),
    }
}

/// Reads the line as the kernel does: the interpreter, then all the rest as one argument; and `env` as itself does.
fn shebang(rest: &[u8]) -> Option<Shebang> {
    let line = rest.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let (interpreter, argument) = first_word(line);
    if interpreter.is_empty() {
        return None;
    }
    if !interpreter.ends_with(b"/env") {
        return Some(Shebang {
            interpreter: owned(interpreter),
            options: (!argument.is_empty()).then(|| owned(argument)).into_iter().collect(),
        });
    }
    let split = [&b"-S"[..], b"--split-string="]
        .into_iter()
        .find_map(|option| argument.strip_prefix(option));
    let mut words = match split {
        Some(words) => words
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .map(owned)
            .collect(),
        None => vec![owned(argument)],
    }
    .into_iter();
    let interpreter = words.next().filter(|word| !word.is_empty())?;
    Some(Shebang {
        interpreter,
        options: words.collect(),
    })
}

fn first_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim_ascii())
}

fn owned(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_os_string()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A program that stands at many names and starts what the name means, by its own configuration: the sandbox has neither.
pub fn shim(name: &OsStr) -> Option<&'static str> {
    ["mise", "rtx", "volta-shim", "asdf", "proto-shim", "claudebox"]
        .into_iter()
        .find(|shim| name == *shim)
}

/// The version in the name of a Nix store entry: it starts at the first dash that a digit follows, after the hash.
pub fn version_of_store_name(name: &str) -> Option<&str> {
    let (_hash, name) = name.split_once('-')?;
    name.match_indices('-')
        .filter_map(|(at, _)| name.get(at.checked_add(1)?..))
        .find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a text can be a version. It comes from a file or a name and is shown, so it must be short and plain.
pub fn is_version(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_read_as_the_kernel_and_env_do() {
        let script = |interpreter: &str, options: &[&str]| {
            Some(Shebang {
                interpreter: interpreter.into(),
                options: options.iter().map(OsString::from).collect(),
            })
        };
        for (line, expected) in [
            ("/usr/bin/env node\n// x", script("node", &[])),
            (
                " /usr/bin/env -S node --no-warnings  --x\r\n",
                script("node", &["--no-warnings", "--x"]),
            ),
            ("/usr/bin/env --split-string=node -a", script("node", &["-a"])),
            ("/usr/bin/env -Snode", script("node", &[])),
            // Without `-S` it is one argument: a program of this very name.
            ("/usr/bin/env node --x\n", script("node --x", &[])),
            ("/opt/node/bin/node\n", script("/opt/node/bin/node", &[])),
            ("/bin/bash -e -u\n", script("/bin/bash", &["-e -u"])),
            ("/usr/bin/env\n", None),
            ("/usr/bin/env -S \n", None),
            ("\nnode", None),
            ("", None),
        ] {
            assert_eq!(shebang(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn store_names_tell_versions() {
        for (name, expected) in [
            ("0abc-claude-code-2.1.197", Some("2.1.197")),
            ("0abc-claude-code-bin-2.1.1-x", Some("2.1.1-x")),
            ("0abc-claude", None),
            ("claude", None),
        ] {
            assert_eq!(version_of_store_name(name), expected, "{name}");
        }
    }

    #[test]
    fn a_version_is_short_and_plain() {
        for (text, expected) in [
            ("2.1.197", true),
            ("2.0.0-beta.1+x", true),
            ("", false),
            ("latest", false),
            ("2\u{1b}[31m", false),
        ] {
            assert_eq!(is_version(text), expected, "{text:?}");
        }
        assert!(!is_version(&"1".repeat(65)));
    }

    #[test]
    fn a_cut_elf_header_is_nothing() {
        assert_eq!(form(b"\x7fELF", 4), Form::Unknown);
    }
}
