//! What a sandbox would hold and reach: programs, the Nix daemon, the network.

use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::host::nix::daemon::Access;
use crate::path::HostPath;

use super::{Item, Mark, item, resolves, with_fix};

pub(super) fn programs(host: &Host, items: &mut Vec<Item>) {
    let subject = "programs";
    let places: Vec<HostPath> = match host.platform.tools() {
        [] => ["/usr/bin", "/bin"]
            .iter()
            .filter_map(|place| HostPath::new(place).ok())
            .collect(),
        tools => tools.to_vec(),
    };
    let wanted: &[&str] = match host.platform.word() {
        "nix" => &["bash", "cat", "git", "curl", "jq", "rg", "fd", "nix", ",", "env"],
        _ => &["bash", "git", "env", "cat"],
    };
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| {
            !places
                .iter()
                .any(|place| place.join(name).is_ok_and(|path| resolves(host, &path)))
        })
        .collect();
    items.push(if missing.is_empty() {
        item(
            Mark::Good,
            subject,
            format!(
                "from {}",
                if host.platform.word() == "nix" {
                    "the Nix store"
                } else {
                    "/usr"
                }
            ),
        )
    } else {
        let fix = if host.platform.word() == "nix" {
            "build claudebox from its flake, which pins them".to_string()
        } else {
            format!("install them: apt install {}", missing.join(" "))
        };
        with_fix(
            Mark::Note,
            subject,
            format!("missing in the sandbox: {}", missing.join(", ")),
            fix,
        )
    });
}

pub(super) fn nix(host: &Host, items: &mut Vec<Item>) {
    let subject = "nix daemon";
    let daemon = &host.nix_daemon;
    let version = daemon
        .version
        .as_ref()
        .map_or_else(String::new, |version| format!("version {version}, "));
    match &daemon.access {
        Access::Absent if host.platform.word() == "nix" => {
            items.push(item(
                Mark::Note,
                subject,
                "none: programs of the store work, new ones cannot be built",
            ));
        }
        // Where nothing asks for it, it is nobody's business.
        Access::Absent | Access::Unasked => {}
        Access::Open => items.push(item(
            Mark::Good,
            subject,
            format!("{version}does not trust you and builds in a sandbox"),
        )),
        Access::Guarded(_) => items.push(item(
            Mark::Good,
            subject,
            format!("{version}may trust you, so a guard that trusts nobody stands in between"),
        )),
        Access::Withheld(why) => {
            items.push(with_fix(
                Mark::Note,
                subject,
                format!("stays outside: {why}"),
                "in /etc/nix/nix.conf: `sandbox = true`; start the daemon; claudebox from its flake brings a Nix of its own",
            ));
        }
    }
    if daemon.usable() {
        for risk in [
            "it downloads by the host's own network, whatever network the sandbox has",
            "it shows its own environment to builds that ask, and deletes what nothing holds on to",
        ] {
            let fix = "`--net none` and `--net allowlist` keep it outside, and so does a mask in your policy";
            items.push(with_fix(Mark::Note, subject, risk, fix));
        }
    }
    for warning in &daemon.warnings {
        let fix = "see the book's page on Nix";
        items.push(with_fix(Mark::Note, subject, format!("it {warning}"), fix));
    }
}

pub(super) fn network(host: &Host, items: &mut Vec<Item>) {
    let subject = "network";
    let missing: Vec<&Diagnostic> = [host.network.slirp.as_ref().err(), host.network.tun.as_ref().err()]
        .into_iter()
        .flatten()
        .collect();
    if missing.is_empty() {
        items.push(item(Mark::Good, subject, "slirp4netns and /dev/net/tun are there"));
    }
    for missing in missing {
        let fix = missing.hint.clone().unwrap_or_default();
        items.push(with_fix(
            Mark::Note,
            subject,
            format!("no isolated internet: {}", missing.message),
            fix,
        ));
    }
}
