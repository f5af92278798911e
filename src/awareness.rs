//! What Claude Code is told about the sandbox it runs in: generated from what was granted, so that it cannot disagree with it.

use std::fmt::Write;

use crate::draft::Network;
use crate::host::Host;
use crate::host::nix::daemon::DIRECTORY;
use crate::invariants::plan::{Mount, What};
use crate::net::Internet;
use crate::net::name::Pattern;
use crate::net::rules::Packet;
use crate::trace::{DecisionId, Effect, Trace};

/// Where Claude Code reads instructions of the machine's administrator, which the agent cannot change.
pub const PLACE: &str = "/etc/claude-code/CLAUDE.md";

/// Where Claude Code reads settings that hold whatever the user's own say.
pub const SETTINGS_PLACE: &str = "/etc/claude-code/managed-settings.d/50-claudebox.json";

/// No warning before each start that permissions are skipped: the sandbox is the permission layer.
pub const SETTINGS: &str = "{\"skipDangerousModePermissionPrompt\":true}\n";

/// What of a sandbox there is to tell.
#[derive(Clone, Copy, Debug)]
pub struct Sandbox<'run> {
    /// The host.
    pub host: &'run Host,
    /// What is mounted.
    pub mounts: &'run [Mount],
    /// The network.
    pub network: Network,
    /// What is open in the network `internet`.
    pub internet: Option<&'run Internet>,
    /// The hosts of the network `allowlist`.
    pub names: Option<&'run [(Pattern, DecisionId)]>,
    /// Whether Claude Code's login stays outside.
    pub brokered: bool,
}

/// The text. The host's own instructions, if there are any, come first.
#[must_use]
pub fn text(sandbox: &Sandbox, trace: &Trace) -> Vec<u8> {
    let mut out = sandbox.host.managed_memory.clone();
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(own_text(sandbox, trace).as_bytes());
    out
}

fn own_text(sandbox: &Sandbox, trace: &Trace) -> String {
    let Sandbox {
        host, mounts, network, ..
    } = *sandbox;
    let mut out = String::from("# You run inside claudebox\n\n");
    out.push_str("This machine is a sandbox (bubblewrap) around you and every command you run. What is listed here is true of this session.\n\n");
    out.push_str("## Files\n\n");
    let _ = writeln!(out, "- The project `{}` is where you work.", host.project);
    for mount in mounts {
        let decision = trace.get(mount.decision);
        let reason = decision.map(|decision| decision.reason.as_str()).unwrap_or_default();
        if decision.is_some_and(|decision| matches!(decision.effect, Effect::Pin | Effect::Protect)) {
            continue;
        }
        match &mount.what {
            What::Bind { writable: true, .. } if host.project.same_inside() != mount.at => {
                let _ = writeln!(out, "- `{}` can be written: {reason}.", mount.at);
            }
            What::MaskFile | What::MaskDirectory => {
                let _ = writeln!(
                    out,
                    "- `{}` is hidden from you on purpose and looks empty: {reason}.",
                    mount.at
                );
            }
            _ => {}
        }
    }
    out.push_str("- Everything else outside the project is read-only, or is gone when the session ends (`/tmp`, the home directory).\n");
    out.push_str("- The user's keys, logins, shell history and other projects are not here. Do not look for them.\n\n");
    out.push_str("## Tools and network\n\n");
    let daemon = mounts.iter().any(|mount| mount.at.as_os_str() == DIRECTORY);
    out.push_str(if host.platform.word() == "nix" && daemon {
        "- Programs come from the Nix store. A missing one: `, COMMAND ARGS`, or `nix shell nixpkgs#NAME -c COMMAND ARGS`. `nixpkgs` is a fixed version.\n"
    } else if host.platform.word() == "nix" {
        "- Programs come from the Nix store. No more can be had: the Nix daemon is not here.\n"
    } else {
        "- Programs are those of the host's `/usr`, read-only. Install more into the project (a virtual environment, `node_modules`), not into the system.\n"
    });
    out.push_str(match network {
        Network::None => "- There is no network. A name that does not resolve is no fault to repair.\n",
        Network::Allowlist => {
            "- Only the hosts below can be reached, by their names, on ports 443 and 80. \"Could not resolve host\" means that a host \
             is not on the list: no fault to repair, and there is no way around it. Tell the user which host you need and why: \
             `claudebox --net allowlist --allow-host NAME` lets it be reached.\n"
        }
        Network::Internet => {
            "- The internet can be reached, by IPv4 alone. The user's other machines, the local network and this machine's own \
             services cannot: \"No route to host\" from a private address is meant so and no fault to repair.\n"
        }
        Network::Host => "- The network is the host's own.\n",
    });
    if let Some(names) = sandbox.names {
        let names: Vec<String> = names.iter().map(|(name, _)| format!("`{name}`")).collect();
        let none = "- No host is on the list.".to_string();
        let list = if names.is_empty() {
            none
        } else {
            format!("- The list: {}.", names.join(", "))
        };
        let _ = writeln!(out, "{list}");
    }
    if let Some(internet) = sandbox.internet {
        openings(&mut out, internet, trace);
    }
    if sandbox.brokered {
        out.push_str(
            "- Your own login is not here: what looks like a key or a token of yours is a placeholder, which works for Claude \
             Code and for nothing else. Do not use it in code that you write or run.\n",
        );
    }
    out.push_str("\n## Git\n\n");
    out.push_str("- Commits work. There are no keys for signing and none for `git push` over ssh.\n");
    out.push_str(&kept(mounts, trace));
    out.push('\n');
    out.push_str("## When something is missing\n\n");
    out.push_str(
        "Do not work around the sandbox. Tell the user what is missing and why you need it. They can look at `claudebox --explain` and \
         open a path or a variable in their policy, `~/.config/claudebox/policy.rhai`, outside this sandbox.\n",
    );
    out
}

/// What is open beside the internet, and how `localhost` is to be understood.
fn openings(out: &mut String, internet: &Internet, trace: &Trace) {
    let why = |decision| {
        trace
            .get(decision)
            .map(|decision| decision.reason.as_str())
            .unwrap_or_default()
    };
    for rule in internet.rules.iter() {
        match rule.packet {
            Packet::To(end) if end.address != crate::net::NAME_SERVER => {
                let _ = writeln!(out, "- `{end}` is open: {}.", why(rule.decision));
            }
            _ => {}
        }
    }
    for port in &internet.host_ports {
        let _ = writeln!(
            out,
            "- `localhost:{}` is the service of this machine on that port, outside the sandbox: {}.",
            port.number,
            why(port.decision)
        );
    }
    for port in &internet.published {
        let _ = writeln!(
            out,
            "- What you start on port {0} of `localhost` can be opened by the user as `localhost:{0}`: {1}.",
            port.number,
            why(port.decision)
        );
    }
    out.push_str(
        "- Any other port of `localhost` is this sandbox's own: the user cannot open a server that you start there.\n",
    );
    if internet.name_servers.is_empty() {
        out.push_str("- Names do not resolve: this machine has no name server with an address of IPv4.\n");
    }
}

/// What is read-only inside the project, and what that looks like to who tries.
fn kept(mounts: &[Mount], trace: &Trace) -> String {
    let kept = mounts.iter().filter(|mount| {
        let decision = trace.get(mount.decision);
        matches!(mount.what, What::Bind { writable: false, .. })
            && decision.is_some_and(|decision| decision.effect == Effect::Protect)
    });
    let names: Vec<String> = kept.map(|mount| format!("`{}`", mount.at)).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "- Configuration, hooks, remotes, upstreams and submodules of git are the user's to change, on the host: `git config`, \
         `git remote add`, `git branch --set-upstream-to`, `git submodule update` and `git sparse-checkout` cannot write here. \
         \"Device or resource busy\" and \"Read-only file system\" there are the sandbox; ask the user instead of trying another way.\n\
         - Read-only here, because programs of the host obey it: {}.\n",
        names.join(", ")
    )
}
