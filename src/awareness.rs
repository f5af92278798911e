//! What Claude Code is told about the sandbox it runs in: generated from what was granted, so that it cannot disagree with it.

use std::fmt::Write;

use crate::draft::Network;
use crate::host::Host;
use crate::host::nix::daemon::DIRECTORY;
use crate::invariants::plan::{Mount, What};
use crate::trace::Trace;

/// Where Claude Code reads instructions of the machine's administrator, which the agent cannot change.
pub const PLACE: &str = "/etc/claude-code/CLAUDE.md";

/// Where Claude Code reads settings that hold whatever the user's own say.
pub const SETTINGS_PLACE: &str = "/etc/claude-code/managed-settings.d/50-claudebox.json";

/// No warning before each start that permissions are skipped: the sandbox is the permission layer.
pub const SETTINGS: &str = "{\"skipDangerousModePermissionPrompt\":true}\n";

/// The text. The host's own instructions, if there are any, come first.
#[must_use]
pub fn text(host: &Host, mounts: &[Mount], network: Network, trace: &Trace) -> Vec<u8> {
    let mut out = host.managed_memory.clone();
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(own_text(host, mounts, network, trace).as_bytes());
    out
}

fn own_text(host: &Host, mounts: &[Mount], network: Network, trace: &Trace) -> String {
    let mut out = String::from("# You run inside claudebox\n\n");
    out.push_str("This machine is a sandbox (bubblewrap) around you and every command you run. What is listed here is true of this session.\n\n");
    out.push_str("## Files\n\n");
    let _ = writeln!(out, "- The project `{}` is where you work.", host.project);
    for mount in mounts {
        let reason = trace
            .get(mount.decision)
            .map(|decision| decision.reason.as_str())
            .unwrap_or_default();
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
        Network::Internet => "- The internet can be reached; the local network and the host cannot.\n",
        Network::Host => "- The network is the host's own.\n",
    });
    out.push_str("\n## Git\n\n");
    out.push_str("- Commits work. There are no keys for signing and none for `git push` over ssh.\n\n");
    out.push_str("## When something is missing\n\n");
    out.push_str(
        "Do not work around the sandbox. Tell the user what is missing and why you need it. They can look at `claudebox --explain` and \
         open a path or a variable in their policy, `~/.config/claudebox/policy.rhai`, outside this sandbox.\n",
    );
    out
}
