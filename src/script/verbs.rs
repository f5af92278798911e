//! The verbs a policy script decides with: one table, which the engine, the error messages and the book all read.
//! A verb checks its arguments, stamps the place, and records; it grants nothing.

mod arguments;
mod network;

use std::os::unix::ffi::OsStrExt;

use rhai::Dynamic;

use crate::diagnostic::Diagnostic;
use crate::draft::{Keeper, Mount, Network, Opening, Request, Secret, Setting, Verdict};
use crate::path::{EnvName, SandboxPath, printable};
use crate::trace::{Effect, Site};

use super::hook::Hook;
use super::recorder::Recorder;
use arguments::Arguments;
pub use arguments::kind_of;
use network::{credential, opening};

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A path: absolute, or `~/...`.
    Path,
    /// Any text.
    Text,
    /// A port: a number from 1 to 65535.
    Port,
    /// Why. Not empty.
    Reason,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in the book.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
}

/// One verb with one list of parameters.
pub struct Verb {
    /// The module: `env`, `mount`, …
    pub module: &'static str,
    /// The name in the module.
    pub name: &'static str,
    /// The parameters.
    pub parameters: &'static [Parameter],
    /// The hook it belongs to.
    pub hook: Hook,
    /// One line for the book.
    pub doc: &'static str,
    act: fn(&mut Recorder, &Arguments, Site) -> Result<Dynamic, Diagnostic>,
}

impl Verb {
    /// `module::name`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}::{}", self.module, self.name)
    }

    /// `module::name(parameter, ...)`.
    #[must_use]
    pub fn signature(&self) -> String {
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
        format!("{}({})", self.path(), names.join(", "))
    }
}

/// A verdict on a variable on its way from a verb to the hook's answer.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Where.
    pub site: Site,
}

const PATH: Parameter = Parameter {
    name: "path",
    takes: Takes::Path,
};
const AT: Parameter = Parameter {
    name: "at",
    takes: Takes::Path,
};
const WHY: Parameter = Parameter {
    name: "why",
    takes: Takes::Reason,
};
const NAME: Parameter = Parameter {
    name: "name",
    takes: Takes::Text,
};
const VALUE: Parameter = Parameter {
    name: "value",
    takes: Takes::Text,
};
const PATTERN: Parameter = Parameter {
    name: "pattern",
    takes: Takes::Text,
};
const GLOB: Parameter = Parameter {
    name: "glob",
    takes: Takes::Text,
};
const TARGET: Parameter = Parameter {
    name: "target",
    takes: Takes::Text,
};
const CONTENT: Parameter = Parameter {
    name: "content",
    takes: Takes::Text,
};

const ADDRESS: Parameter = Parameter {
    name: "address",
    takes: Takes::Text,
};
const PORT: Parameter = Parameter {
    name: "port",
    takes: Takes::Port,
};

macro_rules! verbs {
    ($($module:literal $name:literal ($($parameter:expr),*) in $hook:ident : $doc:literal => $act:expr;)*) => {
        /// Every verb.
        pub const VERBS: &[Verb] = &[$(Verb {
            module: $module, name: $name, parameters: &[$($parameter),*], hook: Hook::$hook, doc: $doc, act: $act,
        }),*];
    };
}

verbs! {
    "env" "pass" (WHY) in Variable: "lets the variable pass, unless it looks like a secret"
        => |_, a, site| rule(Verdict::Pass, a, site);
    "env" "pass_secret" (WHY) in Variable: "lets the variable pass although it looks like a secret; the audit marks it"
        => |_, a, site| rule(Verdict::PassSecret, a, site);
    "env" "hide" (WHY) in Variable: "keeps the variable outside"
        => |_, a, site| rule(Verdict::Hide, a, site);
    "env" "set" (NAME, VALUE, WHY) in Environment: "gives a variable a value; a later value replaces an earlier one"
        => set;
    "secret" "path" (PATH, WHY) in Secrets: "calls a path of the host, and all below it, a secret"
        => |r, a, site| {
            let path = a.host_path(r, 0)?;
            secret(r, a, site, Effect::SecretPath, path.to_string(), Secret::Path(path))
        };
    "secret" "name" (PATTERN, WHY) in Secrets: "calls variables whose names match a secret: they pass by `env::pass_secret` alone"
        => |r, a, site| {
            let pattern = a.utf8(0)?;
            secret(r, a, site, Effect::SecretName, pattern.clone(), Secret::Name(pattern))
        };
    "secret" "file" (GLOB, WHY) in Secrets: "masks files of the project whose names match"
        => |r, a, site| {
            let pattern = a.utf8(0)?;
            secret(r, a, site, Effect::SecretFile, pattern.clone(), Secret::File(pattern))
        };
    "secret" "pass_file" (PATH, WHY) in Secrets: "shows exactly this file of the project although its name is that of a secret; the audit marks it"
        => |r, a, site| { let path = a.host_path(r, 0)?; let id = r.decide(Effect::PassFile, path.to_string(), &a.reason(), site)?; r.draft.passed.push((path, id)); Ok(Dynamic::UNIT) };
    "mount" "ro" (PATH, WHY) in Mounts: "shows a file or directory of the host at its own path, without write access"
        => |r, a, site| { let path = a.host_path(r, 0)?; let at = path.same_inside(); mount(r, a, site, Effect::ReadOnly, Request::ReadOnly(path), at) };
    "mount" "ro" (PATH, AT, WHY) in Mounts: "shows a file or directory of the host at another path, without write access"
        => |r, a, site| { let path = a.host_path(r, 0)?; let at = a.sandbox_path(r, 1)?; mount(r, a, site, Effect::ReadOnly, Request::ReadOnly(path), at) };
    "mount" "rw" (PATH, WHY) in Mounts: "shows a file or directory of the host at its own path, with write access"
        => |r, a, site| { let path = a.host_path(r, 0)?; let at = path.same_inside(); mount(r, a, site, Effect::ReadWrite, Request::ReadWrite(path), at) };
    "mount" "rw" (PATH, AT, WHY) in Mounts: "shows a file or directory of the host at another path, with write access"
        => |r, a, site| { let path = a.host_path(r, 0)?; let at = a.sandbox_path(r, 1)?; mount(r, a, site, Effect::ReadWrite, Request::ReadWrite(path), at) };
    "mount" "tmpfs" (PATH, WHY) in Mounts: "an empty directory in memory, gone with the sandbox"
        => |r, a, site| { let at = a.sandbox_path(r, 0)?; mount(r, a, site, Effect::Tmpfs, Request::Tmpfs, at) };
    "mount" "link" (TARGET, AT, WHY) in Mounts: "a symbolic link inside the sandbox"
        => |r, a, site| { let target = a.text(0)?; let at = a.sandbox_path(r, 1)?; mount(r, a, site, Effect::Link, Request::Link(target), at) };
    "mount" "text" (AT, CONTENT, WHY) in Mounts: "a file with this content, without write access"
        => |r, a, site| { let at = a.sandbox_path(r, 0)?; let content = a.text(1)?; mount(r, a, site, Effect::Text, Request::Text(content.as_bytes().to_vec()), at) };
    "mount" "mask" (PATH, WHY) in Mounts: "hides what a mount would show behind an empty file or directory"
        => |r, a, site| { let at = a.sandbox_path(r, 0)?; mount(r, a, site, Effect::Mask, Request::Mask, at) };
    "mount" "empty_home" (WHY) in Mounts: "takes back every earlier mount that shows something of the home but the project"
        => empty_home;
    "mount" "protect" (PATH, WHY) in Mounts: "keeps what programs of the host obey read-only inside a mount with write access, if it exists"
        => |r, a, site| { let path = a.host_path(r, 0)?; let id = r.decide(Effect::Protect, path.to_string(), &a.reason(), site)?; r.draft.protected.push((path, id)); Ok(Dynamic::UNIT) };
    "mount" "open" (PATH, WHY) in Mounts: "lets exactly this path be written although programs of the host obey it; the audit marks it"
        => |r, a, site| { let path = a.host_path(r, 0)?; let id = r.decide(Effect::OpenPath, path.to_string(), &a.reason(), site)?; r.draft.opened.push((path, id)); Ok(Dynamic::UNIT) };
    "net" "none" (WHY) in Network: "no network but a loopback of the sandbox's own"
        => |r, a, site| network(r, a, site, Network::None);
    "net" "internet" (WHY) in Network: "a network of its own: the internet, neither the local network nor the host"
        => |r, a, site| network(r, a, site, Network::Internet);
    "net" "allowlist" (WHY) in Network: "a network of its own: the hosts that `net::allow_host` names, and nothing else"
        => |r, a, site| network(r, a, site, Network::Allowlist);
    "net" "allow_host" (NAME, WHY) in Network: "in the network `allowlist`: a host by its name, on ports 443 and 80; `*.example.org` stands for all names below that one"
        => |r, a, site| { let names = a.pattern(0)?; opening(r, a, site, Effect::Open, names.to_string(), Opening::Names(names)) };
    "net" "host" (WHY) in Network: "the host's own network, not isolated"
        => |r, a, site| network(r, a, site, Network::Host);
    "net" "allow" (ADDRESS, WHY) in Network: "opens one port of an address of the local network: `192.168.1.20:5432`, or `192.168.1.1:53/udp`"
        => |r, a, site| { let end = a.endpoint(0)?; opening(r, a, site, Effect::Open, end.to_string(), Opening::Address(end)) };
    "net" "allow_host_port" (PORT, WHY) in Network: "shows a TCP port of the host's loopback on the sandbox's loopback"
        => |r, a, site| { let port = a.port(0)?; opening(r, a, site, Effect::Open, format!("localhost:{port}"), Opening::HostPort(port)) };
    "net" "publish" (PORT, WHY) in Network: "shows a TCP port of the sandbox's loopback on the host's loopback"
        => |r, a, site| { let port = a.port(0)?; opening(r, a, site, Effect::Publish, format!("localhost:{port}"), Opening::Publish(port)) };
    "credential" "broker" (WHY) in Credentials: "the broker holds Claude Code's login outside, and inside is a placeholder; where it cannot, what was said before counts"
        => |r, a, site| credential(r, a, site, Keeper::Broker);
    "credential" "pass" (WHY) in Credentials: "Claude Code's own login is inside; the audit marks it"
        => |r, a, site| credential(r, a, site, Keeper::Sandbox);
}

/// Runs one verb: the only entry from a script.
///
/// # Errors
/// The arguments do not fit, the hook is another one, or the request is malformed.
pub fn call(
    verb: &'static Verb,
    recorder: &mut Recorder,
    values: &[Dynamic],
    site: Site,
) -> Result<Dynamic, Diagnostic> {
    match recorder.hook {
        None => {
            return Err(Diagnostic::new(
                "policy-hook",
                format!("`{}` decides nothing outside a hook", verb.path()),
            )
            .at(site, "")
            .hint(format!(
                "call it in `fn {}({})`",
                verb.hook.name(),
                verb.hook.parameters().join(", ")
            )));
        }
        Some(hook) if hook != verb.hook => {
            return Err(Diagnostic::new(
                "policy-hook",
                format!("`{}` does not belong in the hook `{}`", verb.path(), hook.name()),
            )
            .at(site, "")
            .hint(format!(
                "call it in `fn {}({})`",
                verb.hook.name(),
                verb.hook.parameters().join(", ")
            )));
        }
        Some(_) => {}
    }
    let arguments = Arguments {
        verb,
        values,
        site: &site,
    };
    arguments.check()?;
    (verb.act)(recorder, &arguments, site.clone())
}

fn rule(verdict: Verdict, arguments: &Arguments, site: Site) -> Result<Dynamic, Diagnostic> {
    Ok(Dynamic::from(Ruling {
        verdict,
        reason: arguments.reason(),
        site,
    }))
}

fn set(recorder: &mut Recorder, arguments: &Arguments, site: Site) -> Result<Dynamic, Diagnostic> {
    let name = arguments.text(0)?;
    let name = EnvName::new(name.clone())
        .map_err(|why| arguments.wrong(format!("the variable's name `{}` {why}", printable(&name))))?;
    let value = arguments.text(1)?;
    recorder.keep(value.len(), &site)?;
    let decision = recorder.decide(Effect::Set, name.to_string(), &arguments.reason(), site)?;
    recorder.draft.settings.push(Setting { name, value, decision });
    Ok(Dynamic::UNIT)
}

fn secret(
    recorder: &mut Recorder,
    arguments: &Arguments,
    site: Site,
    effect: Effect,
    subject: String,
    secret: Secret,
) -> Result<Dynamic, Diagnostic> {
    let subject = printable(std::ffi::OsStr::new(&subject));
    let decision = recorder.decide(effect, subject, &arguments.reason(), site)?;
    recorder.draft.secrets.push((secret, decision));
    Ok(Dynamic::UNIT)
}

fn mount(
    recorder: &mut Recorder,
    arguments: &Arguments,
    site: Site,
    effect: Effect,
    request: Request,
    at: SandboxPath,
) -> Result<Dynamic, Diagnostic> {
    if let Request::Text(content) = &request {
        recorder.keep(content.len(), &site)?;
    }
    let decision = recorder.decide(effect, at.to_string(), &arguments.reason(), site)?;
    recorder.draft.mounts.push(Mount {
        request,
        at,
        decision,
        required: false,
    });
    Ok(Dynamic::UNIT)
}

/// Never widens: what is kept, the project and its git directories, keeps the access that it was asked with.
fn empty_home(recorder: &mut Recorder, arguments: &Arguments, site: Site) -> Result<Dynamic, Diagnostic> {
    let home = recorder.home.clone();
    let decision = recorder.decide(Effect::Mask, home.to_string(), &arguments.reason(), site)?;
    let Recorder { draft, kept, .. } = recorder;
    let inside = home.same_inside();
    draft.take_back(decision, |mount| match &mount.request {
        Request::ReadOnly(source) | Request::ReadWrite(source) => {
            (source.within(&home) || mount.at.within(&inside)) && !kept.iter().any(|kept| source.within(kept))
        }
        Request::Tmpfs | Request::Link(_) | Request::Text(_) | Request::Mask => false,
    });
    Ok(Dynamic::UNIT)
}

fn network(
    recorder: &mut Recorder,
    arguments: &Arguments,
    site: Site,
    network: Network,
) -> Result<Dynamic, Diagnostic> {
    let decision = recorder.decide(Effect::Network, network.word().to_string(), &arguments.reason(), site)?;
    recorder.draft.network = Some((network, decision));
    Ok(Dynamic::UNIT)
}
