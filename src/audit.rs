//! What the user sees before the start: every variable that enters, its source and its reason, what is mounted, and what
//! is worth a second look. Pure text from the plan and the trace of this very launch.

use crate::draft::{Keeper, Network};
use crate::invariants::plan::{Credentials, NixWay, Origin, Plan, What};
use crate::invariants::{Fate, Verdict};
use crate::leak;
use crate::net::rules::Packet;
use crate::net::{Internet, NAME_SERVER};
use crate::style::{Style, Tone};
use crate::trace::{DecisionId, Effect, Site, Trace};

/// The width of the column of names, enough for `CLAUDE_SECURESTORAGE_CONFIG_DIR`, which every sandbox has: a longer name shifts
/// its own line alone, so that the others fit a terminal of 80 columns.
const NAME_WIDTH: usize = 31;
/// The width of the column of values.
const VALUE_WIDTH: usize = 20;

/// The audit of a launch.
#[must_use]
pub fn text(plan: &Plan, verdict: &Verdict, trace: &Trace, style: Style) -> String {
    let mut out = variables(plan, trace, style);
    out.push_str(&withheld(verdict, trace, style));
    out.push_str(&findings(trace, style));
    out.push_str(&mounts(plan, verdict, trace, style));
    out.push_str(&network(plan, trace, style));
    if let Some(internet) = plan.internet() {
        out.push_str(&openings(internet, trace, style));
    }
    if let Some(names) = plan.names() {
        let names: Vec<String> = names.iter().map(|(name, _)| name.to_string()).collect();
        out.push_str(&wrapped("  open    ", &names));
    }
    out.push_str(&credentials(plan, trace, style));
    out.push_str(&nix(plan, trace, style));
    out
}

fn reason(trace: &Trace, id: DecisionId) -> String {
    trace
        .get(id)
        .map(|decision| decision.reason.clone())
        .unwrap_or_default()
}

fn variables(plan: &Plan, trace: &Trace, style: Style) -> String {
    let count = plan.variables().len();
    let heading = format!(
        "{count} variable{} enter the sandbox:",
        if count == 1 { "" } else { "s" }
    );
    let mut out = format!("{}\n", style.paint(Tone::Heading, &heading));
    for (name, variable) in plan.variables() {
        let value = if variable.secret {
            leak::redacted(&variable.value)
        } else {
            leak::shown(name, &variable.value, VALUE_WIDTH)
        };
        let origin = match variable.origin {
            Origin::Host => "host",
            Origin::Policy => "policy",
            Origin::Launcher => "fixed",
        };
        let line = format!(
            "  {:<NAME_WIDTH$}  {:<VALUE_WIDTH$}  {origin:<6}  {}",
            name.to_string(),
            value,
            reason(trace, variable.decision)
        );
        let line = line.trim_end();
        out.push_str(&if variable.secret {
            style.paint(Tone::Warn, &format!("{line} (secret)"))
        } else {
            line.to_string()
        });
        out.push('\n');
    }
    out
}

/// Variables that the policy would have passed and an invariant held back: they would be missed otherwise.
fn withheld(verdict: &Verdict, trace: &Trace, style: Style) -> String {
    let mut lines = Vec::new();
    for (id, fate) in &verdict.fates {
        if let (Fate::Clamped { why, .. }, Some(decision)) = (fate, trace.get(*id)) {
            lines.push(format!("  {}: {why}", decision.subject));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("{}\n{}\n", style.paint(Tone::Warn, "held back:"), lines.join("\n"))
}

/// What the check found and no mount can mend.
fn findings(trace: &Trace, style: Style) -> String {
    let mut out = String::new();
    for (_, decision) in trace.iter() {
        if let (Effect::Note, Site::Host(_)) = (decision.effect, &decision.site) {
            let text = format!("note: {}: {}", decision.subject, decision.reason);
            out.push_str(&format!("{}\n", style.paint(Tone::Warn, &text)));
        }
    }
    out
}

fn mounts(plan: &Plan, verdict: &Verdict, trace: &Trace, style: Style) -> String {
    let mut out = format!("{}\n", style.paint(Tone::Heading, "mounted from this host:"));
    let mut writable = Vec::new();
    let mut readable = Vec::new();
    let mut masked = Vec::new();
    let mut kept = Vec::new();
    for mount in plan.mounts() {
        let effect = trace.get(mount.decision).map(|decision| decision.effect);
        match &mount.what {
            // A pin shows nothing that its directory's mount does not show already.
            What::Bind { writable: true, .. } if matches!(effect, Some(Effect::Pin | Effect::Protect)) => {}
            What::Bind { .. } if effect == Some(Effect::Protect) => kept.push(mount.at.to_string()),
            What::Bind { writable: true, .. } => {
                writable.push(format!("  write  {}  {}", mount.at, reason(trace, mount.decision)))
            }
            What::Bind { writable: false, .. } => readable.push(mount.at.to_string()),
            What::MaskDirectory | What::MaskFile => {
                masked.push(format!("  masked {}  {}", mount.at, reason(trace, mount.decision)))
            }
            _ => {}
        }
    }
    for line in writable {
        out.push_str(&line);
        out.push('\n');
    }
    out.push_str(&wrapped("  read   ", &readable));
    out.push_str(&wrapped("  kept   ", &kept));
    for line in masked {
        out.push_str(&line);
        out.push('\n');
    }
    for (id, decision) in trace.iter() {
        let line = match decision.effect {
            // An opening that opened nothing is told of by explain.
            Effect::OpenPath if !verdict.fates.contains_key(&id) => {
                format!("  open   {}  {}", decision.subject, decision.reason)
            }
            Effect::PassFile if !verdict.fates.contains_key(&id) => {
                format!("  passed {}  {} (secret)", decision.subject, decision.reason)
            }
            _ => continue,
        };
        out.push_str(&style.paint(Tone::Warn, &line));
        out.push('\n');
    }
    out
}

/// A list in lines of at most 80 columns, where its words allow it.
fn wrapped(lead: &str, words: &[String]) -> String {
    let indent = " ".repeat(lead.chars().count());
    let mut out = String::new();
    let mut line = lead.to_string();
    let mut fresh = true;
    for word in words {
        if !fresh && line.chars().count() + 1 + word.chars().count() > 80 {
            out.push_str(line.trim_end());
            out.push('\n');
            line.clone_from(&indent);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    if !fresh {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn network(plan: &Plan, trace: &Trace, style: Style) -> String {
    let why = reason(trace, plan.network_decision());
    match plan.network() {
        Network::None => format!("network: none ({why})\n"),
        Network::Allowlist => format!("network: named hosts, and nothing else ({why})\n"),
        Network::Internet => format!("network: the internet; neither the local network nor the host ({why})\n"),
        Network::Host => {
            let warning = format!(
                "network: the host's own, NOT isolated: the local network and services of this host can be reached ({why})"
            );
            format!("{}\n", style.paint(Tone::Warn, &warning))
        }
    }
}

/// Everything that makes this network more, or less, than the internet.
fn openings(internet: &Internet, trace: &Trace, style: Style) -> String {
    let mut lines = Vec::new();
    for rule in internet.rules.iter() {
        match rule.packet {
            Packet::To(end) if end.address != NAME_SERVER => {
                lines.push(format!("  open    {end}  {}", reason(trace, rule.decision)));
            }
            _ => {}
        }
    }
    for port in &internet.host_ports {
        let why = reason(trace, port.decision);
        lines.push(format!("  open    localhost:{}, this host's  {why}", port.number));
    }
    for port in &internet.published {
        let why = reason(trace, port.decision);
        lines.push(format!("  publish localhost:{}, the sandbox's  {why}", port.number));
    }
    match internet.name_servers.as_slice() {
        [] => lines.push(style.paint(
            Tone::Warn,
            "  names do not resolve: `/etc/resolv.conf` has no name server with an address of IPv4",
        )),
        [_] => {}
        [first, ..] => lines.push(format!(
            "  names are asked at {first}, the first of this host's name servers, alone"
        )),
    }
    let mut out = lines.join("\n");
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Who holds Claude Code's login, where that is worth a line.
fn credentials(plan: &Plan, trace: &Trace, style: Style) -> String {
    let Credentials {
        keeper,
        decision,
        origin,
        ..
    } = plan.credentials();
    let why = reason(trace, *decision);
    let brokered = plan.broker().is_some_and(|broker| broker.brokered);
    match (keeper, origin) {
        (Keeper::Broker, Some(origin)) if plan.broker().is_some_and(|broker| broker.login) => {
            format!("login: made through the broker, and kept outside in {origin} ({why})\n")
        }
        (Keeper::Broker, Some(origin)) if brokered => {
            format!("login: {origin} stays outside, and the broker uses it ({why})\n")
        }
        (Keeper::Broker, Some(origin)) => format!("login: {origin} stays outside ({why})\n"),
        (Keeper::Broker, None) if brokered => "login: none; `claudebox --login` makes one\n".into(),
        (Keeper::Sandbox, Some(origin)) => {
            let line = format!("login: {origin} is inside ({why})");
            format!("{}\n", style.paint(Tone::Warn, &line))
        }
        (Keeper::Broker | Keeper::Sandbox, None) => String::new(),
    }
}

/// The Nix daemon, and what it can do that the sandbox cannot.
fn nix(plan: &Plan, trace: &Trace, style: Style) -> String {
    let Some(nix) = plan.nix() else {
        return String::new();
    };
    let why = reason(trace, nix.decision);
    if nix.way == NixWay::Outside {
        return format!("nix daemon: stays outside ({why})\n");
    }
    let mut out = format!("nix daemon: builds what the sandbox asks for ({why})\n");
    let network = "downloads for a build by the host's own network, whatever network the sandbox has".to_string();
    for warning in std::iter::once(&network).chain(&nix.warnings) {
        out.push_str(&style.paint(Tone::Warn, &format!("  it {warning}")));
        out.push('\n');
    }
    out
}
