//! The words of a policy's test: `given::` describes a host, `expect::` says what must come of it. One table, which the
//! engine and the book read.

mod network;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::host::tree::Kind;
use crate::invariants::plan::What;
use crate::path::{EnvName, HostPath, printable};
use crate::trace::{Decision, DecisionId, Site};
use crate::view::{Seen, View};

use super::State;
use super::host::HOME;
use network::{credentials, network, reached};

/// One word with one list of parameters.
pub struct Word {
    /// The module: `given` or `expect`.
    pub module: &'static str,
    /// The name in the module.
    pub name: &'static str,
    /// The parameters, all of them text.
    pub parameters: &'static [&'static str],
    /// One line for the book.
    pub doc: &'static str,
    /// What it does.
    pub act: fn(&mut State, &[OsString]) -> Result<(), Failure>,
}

impl Word {
    /// `module::name(parameter, ...)`.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("{}::{}({})", self.module, self.name, self.parameters.join(", "))
    }
}

/// Why a test failed: the message, and the decision that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was otherwise than expected.
    pub message: String,
    /// Where it was decided.
    pub decided: Option<Site>,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, decided: None }
    }
}

type Done = Result<(), Failure>;

macro_rules! words {
    ($($module:literal $name:literal ($($parameter:literal),*) : $doc:literal => $act:expr;)*) => {
        /// Every word.
        pub const WORDS: &[Word] = &[$(Word {
            module: $module, name: $name, parameters: &[$($parameter),*], doc: $doc, act: $act,
        }),*];
    };
}

words! {
    "given" "variable" ("name"): "the host has a variable; its value looks like nothing in particular"
        => |s, a| variable(s, a, "value".into());
    "given" "variable" ("name", "value"): "the host has a variable with this value"
        => |s, a| variable(s, a, arg(a, 1));
    "given" "directory" ("path"): "a directory of the host; the project is `~/p`"
        => |s, a| file(s, a, Kind::Directory, b"");
    "given" "file" ("path"): "a file of the host"
        => |s, a| file(s, a, Kind::File, b"content\n");
    "given" "file" ("path", "content"): "a file of the host with this content"
        => |s, a| { let content = arg(a, 1); file(s, a, Kind::File, content.as_bytes()) };
    "given" "link" ("path", "target"): "a symbolic link of the host"
        => |s, a| { let target = arg(a, 1); file(s, a, Kind::Link(target.into()), b"") };
    "given" "socket" ("path"): "a socket of the host"
        => |s, a| file(s, a, Kind::Socket, b"");
    "given" "project" ("path"): "the project's root, if it is not `~/p`"
        => |s, a| { s.given.project = Some(host_path(&arg(a, 0))?); Ok(()) };
    "given" "working_directory" ("path"): "the directory of the start, if it is not the project's root"
        => |s, a| { s.given.directory = Some(host_path(&arg(a, 0))?); Ok(()) };
    "given" "worktree" ("main"): "the project is a worktree of the git repository in `main`"
        => |s, a| { let main = host_path(&arg(a, 0))?; s.given.worktree(&main); Ok(()) };
    "given" "nix" (): "a host whose tools come from the Nix store: `bash` in `/nix/store/tools/bin`, `env` in `/nix/store/more-tools/bin`"
        => |s, _| { s.given.nix = true; Ok(()) };
    "given" "nix_daemon" (): "a Nix daemon that may be shown"
        => |s, _| { s.given.nix_daemon = true; Ok(()) };
    "given" "broker" (): "the broker is installed"
        => |s, _| { s.given.broker = true; Ok(()) };
    "given" "nix_registry" ("json"): "Nix's registry for inside, of a claudebox built by its flake"
        => |s, a| { s.given.nix_registry = Some(shown(&arg(a, 0))); Ok(()) };
    "given" "no_locale" (): "the locale that the variables name is not installed"
        => |s, _| { s.given.no_locale = true; Ok(()) };
    "given" "certificates" ("path"): "the file of trusted certificates"
        => |s, a| { s.given.ca_bundle = Some(host_path(&arg(a, 0))?); Ok(()) };
    "given" "extra_certificates" ("path"): "the file that `NODE_EXTRA_CA_CERTS` names"
        => |s, a| { s.given.ca_extra = Some(host_path(&arg(a, 0))?); Ok(()) };
    "expect" "accepted" (): "no invariant refuses what the policy asks for"
        => |s, _| accepted(s);
    "expect" "refused" ("code"): "an invariant, or the policy itself, refuses with this code"
        => |s, a| refused(s, &shown(&arg(a, 0)));
    "expect" "passes" ("name"): "the variable of the host enters with its value"
        => |s, a| passes(s, &arg(a, 0));
    "expect" "hidden" ("name"): "no variable of that name enters"
        => |s, a| hidden(s, &arg(a, 0));
    "expect" "variable" ("name", "value"): "the variable has this value inside"
        => |s, a| valued(s, &arg(a, 0), &arg(a, 1));
    "expect" "readable" ("path"): "it can be read inside, and not written"
        => |s, a| sees(s, &arg(a, 0), "readable");
    "expect" "writable" ("path"): "it can be read and written inside"
        => |s, a| sees(s, &arg(a, 0), "writable");
    "expect" "absent" ("path"): "there is nothing inside"
        => |s, a| sees(s, &arg(a, 0), "absent");
    "expect" "masked" ("path"): "an empty file or directory hides what is there on the host"
        => |s, a| sees(s, &arg(a, 0), "masked");
    "expect" "text" ("path", "content"): "the policy puts a file with this content there"
        => |s, a| text(s, &arg(a, 0), &arg(a, 1));
    "expect" "link" ("path", "target"): "the policy puts a link there"
        => |s, a| link(s, &arg(a, 0), &arg(a, 1));
    "expect" "network" ("mode"): "the network is `none`, `allowlist`, `internet` or `host`"
        => |s, a| network(s, &shown(&arg(a, 0)));
    "expect" "credentials" ("keeper"): "Claude Code's login is held by the `broker`, or enters: `pass`"
        => |s, a| credentials(s, &shown(&arg(a, 0)));
    "expect" "reached" ("name"): "in the network `allowlist` the host of this name can be reached"
        => |s, a| reached(s, &shown(&arg(a, 0)), true);
    "expect" "unreached" ("name"): "in the network `allowlist` the host of this name cannot be reached"
        => |s, a| reached(s, &shown(&arg(a, 0)), false);
    "expect" "reason" ("subject", "text"): "the last decision about a variable, a path inside or a network has this reason"
        => |s, a| reason(s, &arg(a, 0), &shown(&arg(a, 1)));
}

fn arg(arguments: &[OsString], index: usize) -> OsString {
    arguments.get(index).cloned().unwrap_or_default()
}

fn shown(text: &OsString) -> String {
    printable(text)
}

fn absolute(path: &OsString) -> std::path::PathBuf {
    match Path::new(path).strip_prefix("~") {
        Ok(rest) if rest.as_os_str().is_empty() => HOME.into(),
        Ok(rest) => Path::new(HOME).join(rest),
        Err(_) => path.into(),
    }
}

fn host_path(path: &OsString) -> Result<HostPath, Failure> {
    HostPath::new(absolute(path)).map_err(|why| Failure::from(format!("the path `{}` {why}", printable(path))))
}

fn variable(state: &mut State, arguments: &[OsString], value: OsString) -> Done {
    let name = arg(arguments, 0);
    let name = EnvName::new(name.clone()).map_err(|why| format!("the name `{}` {why}", printable(&name)))?;
    state.given.variables.insert(name, value);
    Ok(())
}

fn file(state: &mut State, arguments: &[OsString], kind: Kind, content: &[u8]) -> Done {
    let path = host_path(&arg(arguments, 0))?;
    let owner = if path.within_str(HOME) { 1000 } else { 0 };
    state
        .given
        .files
        .push((path.as_path().to_path_buf(), kind, owner, content.to_vec()));
    Ok(())
}

fn accepted(state: &mut State) -> Done {
    let decided = &state.outcome().1;
    match &decided.verdict.outcome {
        Ok(_) => Ok(()),
        Err(refusal) => Err(refused_by(&refusal.diagnostics)),
    }
}

fn refused_by(diagnostics: &[Diagnostic]) -> Failure {
    let all: Vec<String> = diagnostics
        .iter()
        .map(|error| format!("{}: {}", error.code, error.message))
        .collect();
    Failure {
        message: format!("it is refused: {}", all.join("; ")),
        decided: diagnostics
            .iter()
            .flat_map(|error| &error.places)
            .map(|(site, _)| site.clone())
            .next(),
    }
}

fn refused(state: &mut State, code: &str) -> Done {
    match &state.outcome().1.verdict.outcome {
        Ok(_) => Err("it is accepted".to_string().into()),
        Err(refusal) if refusal.diagnostics.iter().any(|error| error.code == code) => Ok(()),
        Err(refusal) => Err(refused_by(&refusal.diagnostics)),
    }
}

/// The last decision about a subject.
fn decision<'run>(state: &'run State, subject: &str) -> Option<&'run Decision> {
    let decided = &state.decided.as_ref()?.1;
    decided
        .trace
        .iter()
        .map(|(_, decision)| decision)
        .filter(|decision| decision.subject == subject)
        .last()
}

fn blame(state: &State, subject: &str, message: String) -> Failure {
    Failure {
        message,
        decided: decision(state, subject).map(|decision| decision.site.clone()),
    }
}

fn entered(state: &mut State, name: &OsString) -> Result<Option<(OsString, DecisionId)>, Failure> {
    accepted(state)?;
    let name = EnvName::new(name.clone()).map_err(|why| format!("the name `{}` {why}", printable(name)))?;
    let parts = state.outcome().1.verdict.parts();
    let variable = parts.and_then(|parts| parts.variables.get(&name));
    Ok(variable.map(|variable| (variable.value.clone(), variable.decision)))
}

fn passes(state: &mut State, name: &OsString) -> Done {
    let host = EnvName::new(name.clone())
        .ok()
        .and_then(|name| state.given.variables.get(&name).cloned());
    let Some(host) = host else {
        return Err(format!(
            "the host has no variable `{0}`: write `given::variable(\"{0}\")`",
            printable(name)
        )
        .into());
    };
    match entered(state, name)? {
        Some((value, _)) if value == host => Ok(()),
        Some(_) => Err(blame(
            state,
            &shown(name),
            format!("`{}` has another value than on the host", printable(name)),
        )),
        None => Err(blame(
            state,
            &shown(name),
            format!("`{}` stays outside", printable(name)),
        )),
    }
}

fn hidden(state: &mut State, name: &OsString) -> Done {
    match entered(state, name)? {
        None => Ok(()),
        Some(_) => Err(blame(state, &shown(name), format!("`{}` enters", printable(name)))),
    }
}

fn valued(state: &mut State, name: &OsString, value: &OsString) -> Done {
    match entered(state, name)? {
        Some((seen, _)) if seen == *value => Ok(()),
        Some((seen, _)) => Err(blame(
            state,
            &shown(name),
            format!("`{}` is `{}`", printable(name), printable(&seen)),
        )),
        None => Err(blame(
            state,
            &shown(name),
            format!("`{}` stays outside", printable(name)),
        )),
    }
}

/// What a test calls what is seen.
fn appearance(seen: &Seen) -> &'static str {
    if seen.masked() {
        "masked"
    } else if !seen.kind.visible() {
        "absent"
    } else if seen.writable == Some(true) {
        "writable"
    } else {
        "readable"
    }
}

fn sees(state: &mut State, path: &OsString, expected: &str) -> Done {
    accepted(state)?;
    let full = absolute(path);
    let (host, decided) = state.outcome();
    let Some(parts) = decided.verdict.parts() else {
        return Ok(());
    };
    let view = View::new(host, parts);
    let seen = view.see(&full);
    let appearance = appearance(&seen);
    if appearance == expected {
        return Ok(());
    }
    let decided_at = seen
        .mount
        .and_then(|mount| decided.trace.get(mount.decision))
        .map(|decision| decision.site.clone());
    Err(Failure {
        message: format!("`{}` is {appearance} inside, not {expected}", printable(path)),
        decided: decided_at,
    })
}

/// The mount at the very place, and where it was decided.
fn mounted(state: &mut State, path: &OsString) -> Result<Option<(What, Option<Site>)>, Failure> {
    accepted(state)?;
    let full = absolute(path);
    let decided = &state.outcome().1;
    let mut mounts = decided.verdict.parts().into_iter().flat_map(|parts| &parts.mounts);
    let mount = mounts.find(|mount| mount.at.as_path() == full);
    Ok(mount.map(|mount| {
        let site = decided.trace.get(mount.decision).map(|decision| decision.site.clone());
        (mount.what.clone(), site)
    }))
}

fn text(state: &mut State, path: &OsString, content: &OsString) -> Done {
    match mounted(state, path)? {
        Some((What::Text(seen), _)) if seen == content.as_bytes() => Ok(()),
        Some((What::Text(seen), decided)) => Err(Failure {
            message: format!("the content is `{}`", printable(std::ffi::OsStr::from_bytes(&seen))),
            decided,
        }),
        Some((_, decided)) => Err(Failure {
            message: format!("`{}` is no file of the policy's own", printable(path)),
            decided,
        }),
        None => Err(format!("nothing is mounted at `{}`", printable(path)).into()),
    }
}

fn link(state: &mut State, path: &OsString, target: &OsString) -> Done {
    match mounted(state, path)? {
        Some((What::Link(seen), _)) if seen == *target => Ok(()),
        Some((What::Link(seen), decided)) => Err(Failure {
            message: format!("the link leads to `{}`", printable(&seen)),
            decided,
        }),
        Some((_, decided)) => Err(Failure {
            message: format!("`{}` is no link of the policy's", printable(path)),
            decided,
        }),
        None => Err(format!("nothing is mounted at `{}`", printable(path)).into()),
    }
}

fn reason(state: &mut State, subject: &OsString, text: &str) -> Done {
    accepted(state)?;
    let subject = printable(absolute(subject).as_os_str());
    match decision(state, &subject) {
        Some(decision) if decision.reason == text => Ok(()),
        Some(decision) => Err(Failure {
            message: format!("the reason is `{}`", decision.reason),
            decided: Some(decision.site.clone()),
        }),
        None => Err(format!("nothing was decided about `{subject}`").into()),
    }
}
