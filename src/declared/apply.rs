//! Lays what a project says over what the policy asked for: it becomes mounts of the draft, so every invariant judges it.

use std::os::unix::ffi::OsStrExt;

use crate::draft::{self, Draft, Network, Secret, Setting};
use crate::host::Host;
use crate::host::declared::Found;
use crate::path::{EnvName, HostPath, SandboxPath};
use crate::trace::{Effect, Trace};

use super::{Mask, Said};

/// Where links to the tools are, inside.
pub const TOOLS: &str = "/run/claudebox-tools";

/// Lays it over the draft. Does nothing where the project says nothing.
pub fn apply(host: &Host, draft: &mut Draft, trace: &mut Trace) {
    let found = &host.declared;
    if let Some((file, false)) = found.texts.first().map(|(file, _)| (file, found.approved())) {
        let site = super::place(file, 1, 1);
        let reason = "you have not approved it in this form: a launch asks first";
        trace.record(Effect::Note, format!("{file} is new"), reason, site);
    }
    tools(found, draft, trace);
    if let Some(said) = &found.declared.network {
        network(said, draft, trace);
    }
    for said in &found.declared.masks {
        mask(host, said, draft, trace);
    }
    for said in &found.declared.readonly {
        readonly(host, said, draft, trace);
    }
}

/// Each tool is shown at its own place, and a link to it lies in a directory at the end of PATH: a project's tool never
/// takes the place of one of the system's.
fn tools(found: &Found, draft: &mut Draft, trace: &mut Trace) {
    if let (Some(first), Some(said)) = (found.unbuilt.first(), found.declared.tools.first()) {
        let reason = "the project's tools are built before the launch";
        trace.record(
            Effect::Note,
            format!("{first} is not built yet"),
            reason,
            said.site.clone(),
        );
    }
    let mut directories: Vec<SandboxPath> = Vec::new();
    let mut last = None;
    for tool in &found.tools {
        last = Some(tool.site.clone());
        if let Some(bin) = &tool.directory {
            directories.push(bin.same_inside());
            let reason = "the project's file asks for this tool";
            trace.record(Effect::Note, bin.to_string(), reason, tool.site.clone());
            continue;
        }
        let at = tool.path.same_inside();
        if !shown(&tool.path, draft) {
            let reason = "the project's file asks for this tool";
            let decision = trace.record(Effect::ReadOnly, at.to_string(), reason, tool.site.clone());
            draft.mounts.push(draft::Mount {
                request: draft::Request::ReadOnly(tool.path.clone()),
                at,
                decision,
                required: true,
            });
        }
        let Ok(place) = SandboxPath::new(TOOLS).and_then(|tools| tools.join(&tool.name)) else {
            continue;
        };
        let decision = trace.record(Effect::Link, place.to_string(), "the tool on PATH", tool.site.clone());
        draft.mounts.push(draft::Mount {
            request: draft::Request::Link(tool.path.as_os_str().to_os_string()),
            at: place,
            decision,
            required: false,
        });
        if let Ok(tools) = SandboxPath::new(TOOLS)
            && !directories.contains(&tools)
        {
            directories.push(tools);
        }
    }
    let (Some(site), Ok(name)) = (last, EnvName::new("PATH")) else {
        return;
    };
    let before = draft.settings.iter().rev().find(|setting| setting.name == name);
    let mut value = before.map(|setting| setting.value.clone()).unwrap_or_default();
    for directory in directories {
        if !value.is_empty() {
            value.push(":");
        }
        value.push(directory.as_os_str());
    }
    let decision = trace.record(Effect::Set, "PATH", "with the project's tools at its end", site);
    draft.settings.push(Setting { name, value, decision });
}

/// Whether a mount of the policy shows this path at its own place.
fn shown(path: &HostPath, draft: &Draft) -> bool {
    draft.mounts.iter().any(|mount| match &mount.request {
        draft::Request::ReadOnly(source) | draft::Request::ReadWrite(source) => {
            path.within(source) && source.as_os_str().as_bytes() == mount.at.as_os_str().as_bytes()
        }
        _ => false,
    })
}

/// The narrower of both networks counts. Without a decision of the policy there is none, which is the narrowest.
fn network(said: &Said<Network>, draft: &mut Draft, trace: &mut Trace) {
    let narrower = draft
        .network
        .is_some_and(|(policy, _)| said.what.width() < policy.width());
    if narrower {
        let reason = "the project's file narrows it";
        let decision = trace.record(Effect::Network, said.what.word(), reason, said.site.clone());
        if let Some((_, earlier)) = draft.network {
            draft.taken_back.push((earlier, decision));
        }
        draft.network = Some((said.what, decision));
    }
}

fn mask(host: &Host, said: &Said<Mask>, draft: &mut Draft, trace: &mut Trace) {
    let reason = "the project's file hides it";
    match &said.what {
        Mask::Name(pattern) => {
            let decision = trace.record(Effect::SecretFile, pattern.clone(), reason, said.site.clone());
            draft.secrets.push((Secret::File(pattern.clone()), decision));
        }
        Mask::Path(path) => {
            let Ok(at) = host.project.same_inside().join(path) else {
                return;
            };
            let decision = trace.record(Effect::Mask, at.to_string(), reason, said.site.clone());
            draft.mounts.push(draft::Mount {
                request: draft::Request::Mask,
                at,
                decision,
                required: false,
            });
        }
    }
}

/// What a mount of the policy shows at that very place stays what it is, and can no longer be written.
fn readonly(host: &Host, said: &Said<String>, draft: &mut Draft, trace: &mut Trace) {
    let Ok(path) = host.project.join(&said.what) else {
        return;
    };
    let at = path.same_inside();
    let decision = trace.record(
        Effect::ReadOnly,
        at.to_string(),
        "the project's file asks that it is not changed",
        said.site.clone(),
    );
    let there = draft
        .mounts
        .iter_mut()
        .find(|mount| mount.at == at && mount.request != draft::Request::Mask);
    match there {
        Some(mount) => match &mount.request {
            draft::Request::ReadWrite(source) => {
                let source = source.clone();
                draft.taken_back.push((mount.decision, decision));
                mount.request = draft::Request::ReadOnly(source);
                mount.decision = decision;
            }
            _ => draft.taken_back.push((decision, mount.decision)),
        },
        None => draft.mounts.push(draft::Mount {
            request: draft::Request::ReadOnly(path),
            at,
            decision,
            required: false,
        }),
    }
}
