//! What the command line asks of this launch, in the terms of the pipeline. Made by [`crate::cli`]; decides nothing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::draft::{self, Draft, Network, Opening};
use crate::host::Host;
use crate::net::name::Pattern;
use crate::path::{HostPath, SandboxPath, printable};
use crate::trace::{Effect, Site, Trace};

/// What runs in the sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// Claude Code.
    #[default]
    Claude,
    /// Claude Code, to log in and for nothing else.
    Login,
    /// An interactive shell.
    Shell,
    /// A command of the user's.
    Command,
}

/// What a mount option gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `--mount-ro`.
    Read,
    /// `--mount-rw`.
    Write,
}

impl Access {
    fn option(self) -> &'static str {
        match self {
            Self::Read => "--mount-ro",
            Self::Write => "--mount-rw",
        }
    }
}

/// One `--mount-ro` or `--mount-rw`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOption {
    /// What it gives.
    pub access: Access,
    /// `PATH[:DEST]`, as the user wrote it.
    pub text: OsString,
}

/// One launch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What runs.
    pub program: Program,
    /// Its arguments; for a command, the command too.
    pub arguments: Vec<OsString>,
    /// `--net`.
    pub network: Option<Network>,
    /// `--allow-host`.
    pub allow_hosts: Vec<OsString>,
    /// `--policy FILE`: another user policy.
    pub policy: Option<PathBuf>,
    /// `--no-user-policy`.
    pub no_user_policy: bool,
    /// `--profile`.
    pub profile: Option<OsString>,
    /// `--mount-ro` and `--mount-rw`.
    pub mounts: Vec<MountOption>,
}

impl Request {
    /// Lays what the command line says over what the policy asked for. The invariants hold for it like for everything else.
    ///
    /// # Errors
    /// All options that cannot be read.
    pub fn apply(&self, draft: &mut Draft, trace: &mut Trace, host: &Host) -> Result<(), Vec<Diagnostic>> {
        if let Some(network) = self.network {
            let site = Site::Option(format!("--net {}", network.word()));
            let decision = trace.record(Effect::Network, network.word(), "the command line says so", site);
            draft.network = Some((network, decision));
        }
        let mut wrong = Vec::new();
        for name in &self.allow_hosts {
            wrong.extend(allow(name, draft, trace).err());
        }
        for option in &self.mounts {
            match option.resolve(host) {
                Ok((source, at)) => option.apply(source, at, draft, trace),
                Err(error) => wrong.push(error),
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// One `--allow-host`.
fn allow(name: &OsStr, draft: &mut Draft, trace: &mut Trace) -> Result<(), Diagnostic> {
    let site = Site::Option(format!("--allow-host {}", printable(name)));
    match name.to_str().unwrap_or_default().parse::<Pattern>() {
        Ok(names) => {
            let subject = names.to_string();
            let decision = trace.record(Effect::Open, subject, "the command line asks for it", site);
            draft.openings.push((Opening::Names(names), decision));
            Ok(())
        }
        Err(why) => Err(
            Diagnostic::new("allow-host", format!("the name `{}` {why}", printable(name)))
                .at(site, "")
                .hint("write a name such as `crates.io`, or `*.example.org` for all names below that one"),
        ),
    }
}

impl MountOption {
    fn site(&self) -> Site {
        Site::Option(format!("{} {}", self.access.option(), printable(&self.text)))
    }

    /// The path on the host and the place inside.
    fn resolve(&self, host: &Host) -> Result<(HostPath, SandboxPath), Diagnostic> {
        let error = |message: String| {
            Diagnostic::new("mount-option", message)
                .at(self.site(), "")
                .hint("write `PATH` or `PATH:DEST`; a colon that belongs to a path is written `\\:`")
        };
        let parts = split(&self.text);
        let (path, place) = match parts.as_slice() {
            [path] => (path, None),
            [path, place] => (path, Some(place)),
            _ => return Err(error("there is more than one colon".into())),
        };
        if path.is_empty() || place.is_some_and(|place| place.is_empty()) {
            return Err(error("a path is empty".into()));
        }
        let malformed =
            |path: &OsStr, why: crate::path::Malformed| error(format!("the path `{}` {why}", printable(path)));
        let source = host.path_of_line(Path::new(path)).map_err(|why| malformed(path, why))?;
        let at = match place {
            None => source.same_inside(),
            Some(place) => {
                let full = match Path::new(place).strip_prefix("~") {
                    Ok(rest) => host.home.as_path().join(rest),
                    Err(_) => place.into(),
                };
                SandboxPath::new(full).map_err(|why| malformed(place, why))?
            }
        };
        Ok((source, at))
    }

    /// Where the policy mounts something at the very place, the command line's mount takes it: its word is the later one.
    fn apply(&self, source: HostPath, at: SandboxPath, draft: &mut Draft, trace: &mut Trace) {
        let (effect, request) = match self.access {
            Access::Read => (Effect::ReadOnly, draft::Request::ReadOnly(source)),
            Access::Write => (Effect::ReadWrite, draft::Request::ReadWrite(source)),
        };
        let decision = trace.record(effect, at.to_string(), "the command line asks for it", self.site());
        draft.take_back(decision, |mount| {
            mount.at == at && !mount.required && mount.request != draft::Request::Mask
        });
        draft.mounts.push(draft::Mount {
            request,
            at,
            decision,
            required: true,
        });
    }
}

/// The parts between colons. `\:` is a colon that belongs to a part and `\\` a backslash; before anything else a backslash
/// stands for itself, as in most names that have one.
fn split(text: &OsStr) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let byte = match (byte, bytes.peek()) {
            (b'\\', Some(b':' | b'\\')) => bytes.next().unwrap_or(byte),
            (b':', _) => {
                parts.push(Vec::new());
                continue;
            }
            _ => byte,
        };
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_and_backslashes() {
        let table: [(&[u8], &[&[u8]]); 8] = [
            (b"/a", &[b"/a"]),
            (b"/a:/b", &[b"/a", b"/b"]),
            (br"/a\:b:/c", &[b"/a:b", b"/c"]),
            (br"/a\b", &[br"/a\b"]),
            (br"/a\\:/b", &[br"/a\", b"/b"]),
            (b"/a:/b:/c", &[b"/a", b"/b", b"/c"]),
            (b"/\xff:/b", &[b"/\xff", b"/b"]),
            (br"/a\", &[br"/a\"]),
        ];
        for (text, parts) in table {
            let parts: Vec<OsString> = parts.iter().map(|part| OsStr::from_bytes(part).into()).collect();
            assert_eq!(
                split(OsStr::from_bytes(text)),
                parts,
                "{}",
                printable(OsStr::from_bytes(text))
            );
        }
    }
}
