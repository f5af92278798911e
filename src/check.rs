//! `--check`: one line an item, and beside what is wrong, what mends it. A pure function of the host's facts, the decision
//! on a launch, and what a trial of bubblewrap showed.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::Decided;
use crate::diagnostic::Diagnostic;
use crate::draft::Keeper;
use crate::host::Host;
use crate::host::claude::Install;
use crate::host::namespaces::{APPARMOR, CLONE, MAXIMUM};
use crate::host::nix::daemon::Access;
use crate::host::tree::{Kind, Node};
use crate::invariants::Fate;
use crate::path::{EnvName, HostPath};
use crate::style::{Style, Tone};
use crate::trace::Effect;

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// All is well.
    Good,
    /// Worth knowing; a launch works.
    Note,
    /// A launch cannot work, or would not be safe.
    Bad,
}

impl Mark {
    /// The word in the list and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// One line of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// How it stands.
    pub mark: Mark,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found.
    pub finding: String,
    /// What mends it.
    pub fix: Option<String>,
}

/// What a trial of bubblewrap showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What `bwrap --version` says.
    pub version: Option<String>,
    /// A sandbox with all its namespaces starts, or what bubblewrap said.
    pub sandbox: Result<(), String>,
}

/// The first version of bubblewrap that does not follow a link at a destination out of the sandbox (CVE-2026-87766).
const BWRAP_WITHOUT_LINK_FLAW: (u32, u32) = (0, 12);

/// All items, in the order of a launch.
#[must_use]
pub fn items(host: &Host, decided: &Decided, trial: Option<&Trial>) -> Vec<Item> {
    let mut items = Vec::new();
    bubblewrap(host, trial, &mut items);
    namespaces(host, trial, &mut items);
    programs(host, &mut items);
    nix(host, &mut items);
    state(host, &mut items);
    claude(host, &mut items);
    login(host, &mut items);
    broker(host, decided, &mut items);
    policy(decided, &mut items);
    terminal(host, &mut items);
    network(host, &mut items);
    kernel(host, &mut items);
    items
}

/// Whether something stops a launch.
#[must_use]
pub fn stops(items: &[Item]) -> bool {
    items.iter().any(|item| item.mark == Mark::Bad)
}

/// The list as text.
#[must_use]
pub fn text(items: &[Item], style: Style) -> String {
    let width = items
        .iter()
        .map(|item| item.subject.chars().count())
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for item in items {
        let tone = match item.mark {
            Mark::Good => Tone::Good,
            Mark::Note => Tone::Warn,
            Mark::Bad => Tone::Bad,
        };
        let mark = style.paint(tone, &format!("{:<4}", item.mark.word()));
        out.push_str(&format!("{mark}  {:<width$}  {}\n", item.subject, item.finding));
        if let Some(fix) = &item.fix {
            let indent = " ".repeat(8 + width);
            out.push_str(&format!("{indent}{} {fix}\n", style.paint(Tone::Hint, "fix:")));
        }
    }
    out
}

/// The list for programs: `claudebox.check/1`.
#[must_use]
pub fn json(items: &[Item]) -> String {
    let list: Vec<serde_json::Value> = items
        .iter()
        .map(|item| {
            serde_json::json!({ "mark": item.mark.word(), "subject": item.subject, "finding": item.finding, "fix": item.fix })
        })
        .collect();
    format!(
        "{:#}\n",
        serde_json::json!({ "schema": "claudebox.check/1", "starts": !stops(items), "items": list })
    )
}

fn item(mark: Mark, subject: &'static str, finding: impl Into<String>) -> Item {
    Item {
        mark,
        subject,
        finding: finding.into(),
        fix: None,
    }
}

fn with_fix(mark: Mark, subject: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Item {
    Item {
        mark,
        subject,
        finding: finding.into(),
        fix: Some(fix.into()),
    }
}

fn bubblewrap(host: &Host, trial: Option<&Trial>, items: &mut Vec<Item>) {
    let subject = "bubblewrap";
    let path = match &host.bwrap {
        Ok(path) => path,
        Err(missing) => {
            let fix = missing.hint.clone().unwrap_or_default();
            return items.push(with_fix(Mark::Bad, subject, missing.message.clone(), fix));
        }
    };
    let owner = match node(host, path) {
        Some(node) if node.uid == 0 => "owned by root".to_string(),
        Some(node) => format!("owned by user {}", node.uid),
        None => "of unknown owner".into(),
    };
    let Some(version) = trial.and_then(|trial| trial.version.as_deref()) else {
        return items.push(with_fix(
            Mark::Bad,
            subject,
            format!("`{path}` does not tell its version"),
            "install it anew",
        ));
    };
    let finding = format!("{path}, version {version}, {owner}");
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or_default());
    let known = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    items.push(if known < BWRAP_WITHOUT_LINK_FLAW {
        let fix =
            "0.12 or newer closes CVE-2026-87766; until then claudebox refuses every destination behind a link itself";
        with_fix(Mark::Note, subject, finding, fix)
    } else {
        item(Mark::Good, subject, finding)
    });
}

/// Switches of the kernel and of distributions that forbid user namespaces: the file, the value that forbids, the fix.
const FORBIDDERS: [(&str, &str, &str); 3] = [
    (
        APPARMOR,
        "1",
        "AppArmor forbids them; `apt install apparmor-profiles` has a profile for bwrap, or as root: \
         sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (CLONE, "0", "as root: sysctl -w kernel.unprivileged_userns_clone=1"),
    (MAXIMUM, "0", "as root: sysctl -w user.max_user_namespaces=10000"),
];

fn namespaces(host: &Host, trial: Option<&Trial>, items: &mut Vec<Item>) {
    let subject = "namespaces";
    let Some(trial) = trial else {
        return items.push(item(Mark::Bad, subject, "cannot be tried without bubblewrap"));
    };
    let Err(said) = &trial.sandbox else {
        return items.push(item(
            Mark::Good,
            subject,
            "a sandbox starts: user, process, ipc, uts, cgroup, network",
        ));
    };
    let cause = FORBIDDERS
        .iter()
        .find(|(file, forbids, _)| value_of(host, file).as_deref() == Some(forbids));
    let fix = cause.map_or(
        "run claudebox on the host itself, not in a container that forbids namespaces",
        |(_, _, fix)| fix,
    );
    items.push(with_fix(Mark::Bad, subject, format!("no sandbox starts: {said}"), fix));
}

fn programs(host: &Host, items: &mut Vec<Item>) {
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

fn nix(host: &Host, items: &mut Vec<Item>) {
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
        let network = "it downloads by the host's own network, whatever network the sandbox has";
        items.push(with_fix(
            Mark::Note,
            subject,
            network,
            "`--net none` keeps it outside, and so does a mask in your policy",
        ));
    }
    for warning in &daemon.warnings {
        let fix = "see the book's page on Nix";
        items.push(with_fix(Mark::Note, subject, format!("it {warning}"), fix));
    }
}

fn state(host: &Host, items: &mut Vec<Item>) {
    let subject = "state";
    let path = &host.places.state;
    let shown = host.tilde(path);
    items.push(match node(host, path) {
        None => item(Mark::Good, subject, format!("{shown} is made at the first start")),
        Some(Node {
            kind: Kind::Directory,
            uid,
            mode,
            ..
        }) if uid == host.uid && mode & 0o077 == 0 => {
            item(Mark::Good, subject, format!("{shown}, mode {mode:04o}, yours"))
        }
        Some(Node {
            kind: Kind::Directory,
            uid,
            mode,
            ..
        }) if uid == host.uid => {
            let mark = if mode & 0o022 == 0 { Mark::Note } else { Mark::Bad };
            with_fix(
                mark,
                subject,
                format!("{shown} has mode {mode:04o}: others can look into it"),
                format!("chmod 700 {shown}"),
            )
        }
        Some(node) => with_fix(
            Mark::Bad,
            subject,
            format!("{shown} is no directory of yours (owner {})", node.uid),
            format!("move it away: mv {shown} {shown}.old"),
        ),
    });
}

fn claude(host: &Host, items: &mut Vec<Item>) {
    let subject = "Claude Code";
    match &host.claude {
        Ok(claude) => {
            let kind = match claude.install {
                Install::Binary => "one program",
                Install::Script { .. } => "a script for node",
                Install::Store => "in the Nix store",
            };
            let version = claude
                .version
                .as_ref()
                .map_or_else(String::new, |version| format!(", version {version}"));
            items.push(item(
                Mark::Good,
                subject,
                format!("{}{version}, {kind}", host.tilde(&claude.found_at)),
            ));
        }
        Err(missing) => items.push(with_fix(Mark::Bad, subject, missing.to_string(), missing.hint())),
    }
}

fn login(host: &Host, items: &mut Vec<Item>) {
    let subject = "login";
    let set = |name: &str| {
        EnvName::new(name).is_ok_and(|name| {
            host.variables
                .get(&name)
                .is_some_and(|value| !value.as_bytes().is_empty())
        })
    };
    let named = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
        .into_iter()
        .find(|name| set(name));
    let file = ["auth/.credentials.json", ".credentials.json"]
        .iter()
        .filter_map(|name| host.places.state.join(name).ok())
        .find(|path| node(host, path).is_some_and(|node| node.kind == Kind::File && node.length > 0));
    items.push(match (named, file) {
        (Some(name), _) => item(Mark::Good, subject, format!("by `{name}`")),
        (None, Some(path)) => item(Mark::Good, subject, format!("by {}", host.tilde(&path))),
        (None, None) => with_fix(
            Mark::Note,
            subject,
            "none yet",
            if host.broker.is_ok() {
                "claudebox --login, once for all projects, or set `ANTHROPIC_API_KEY`"
            } else {
                "type /login inside, once for all projects, or set `ANTHROPIC_API_KEY`"
            },
        ),
    });
}

/// Whether Claude Code's login can stay outside, and whether it does in a launch like this one.
fn broker(host: &Host, decided: &Decided, items: &mut Vec<Item>) {
    let subject = "broker";
    let program = match &host.broker {
        Ok(program) => program,
        Err(missing) => {
            let finding = format!("{}: Claude Code's login enters the sandbox", missing.message);
            let fix = missing.hint.clone().unwrap_or_default();
            return items.push(with_fix(Mark::Note, subject, finding, fix));
        }
    };
    let passes = decided
        .verdict
        .parts()
        .is_some_and(|parts| parts.credentials.keeper == Keeper::Sandbox);
    if !passes {
        return items.push(item(
            Mark::Good,
            subject,
            format!("{program}: Claude Code's login stays outside"),
        ));
    }
    let idle = decided.verdict.fates.iter().find_map(|(id, fate)| match fate {
        Fate::Idle(why) if decided.trace.get(*id)?.effect == Effect::Credential => Some(why.clone()),
        _ => None,
    });
    let why = idle.unwrap_or_else(|| "the policy says so".into());
    let finding = format!("Claude Code's login enters the sandbox: {why}");
    let fix = "see the book's page on the broker; `claudebox --explain` shows the line that decides";
    items.push(with_fix(Mark::Note, subject, finding, fix));
}

fn policy(decided: &Decided, items: &mut Vec<Item>) {
    let subject = "policy";
    // A missing Claude Code and a bad state have lines of their own.
    let wrong: Vec<&Diagnostic> = match &decided.verdict.outcome {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal
            .diagnostics
            .iter()
            .filter(|diagnostic| !["claude-not-found", "state"].contains(&diagnostic.code))
            .collect(),
    };
    if wrong.is_empty() {
        let layers: Vec<&str> = decided.sources.keys().map(AsRef::as_ref).collect();
        items.push(item(
            Mark::Good,
            subject,
            format!("loads, and is granted: {}", layers.join(", ")),
        ));
    }
    for diagnostic in wrong {
        let place = diagnostic
            .places
            .first()
            .map(|(site, _)| format!(" ({site})"))
            .unwrap_or_default();
        let fix = diagnostic
            .hint
            .clone()
            .unwrap_or_else(|| "see claudebox --explain".into());
        let finding = format!("[{}] {}{place}", diagnostic.code, diagnostic.message);
        items.push(with_fix(Mark::Bad, subject, finding, fix));
    }
}

fn terminal(host: &Host, items: &mut Vec<Item>) {
    let finding = match value_of(host, "/proc/sys/dev/tty/legacy_tiocsti").as_deref() {
        Some("1") => "the kernel allows input injection; claudebox's filter shuts it",
        Some(_) => "the kernel forbids input injection, and so does claudebox's filter",
        None => "claudebox's filter shuts input injection",
    };
    items.push(item(Mark::Good, "terminal", finding));
}

fn network(host: &Host, items: &mut Vec<Item>) {
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

/// The first Linux with `CLOSE_RANGE_CLOEXEC`, by which the caller's descriptors are shut.
const KERNEL_MIN: (u32, u32) = (5, 11);

/// What the kernel must know, and the file that is there where it does.
const FEATURES: [(&str, &str); 2] = [
    ("seccomp filters", "/proc/sys/kernel/seccomp/actions_avail"),
    ("namespaces of control groups", "/proc/self/ns/cgroup"),
];

fn kernel(host: &Host, items: &mut Vec<Item>) {
    let subject = "kernel";
    let release = value_of(host, "/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let mut numbers = release
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut missing: Vec<&str> = FEATURES
        .iter()
        .filter(|(_, file)| !matches!(host.tree.node(Path::new(file)), Ok(Some(_))))
        .map(|(what, _)| *what)
        .collect();
    if version < KERNEL_MIN {
        missing.push("close_range");
    }
    items.push(if missing.is_empty() {
        item(Mark::Good, subject, format!("Linux {release}"))
    } else {
        let finding = format!("Linux {release} lacks {}", missing.join(", "));
        with_fix(
            Mark::Bad,
            subject,
            finding,
            "Linux 5.11 or newer, with seccomp and namespaces, is needed",
        )
    });
}

fn node(host: &Host, path: &HostPath) -> Option<Node> {
    host.tree.node(path.as_path()).ok().flatten()
}

fn resolves(host: &Host, path: &HostPath) -> bool {
    host.tree.resolve(path).is_ok_and(|resolved| resolved.node.is_some())
}

/// The content of a switch of the kernel.
fn value_of(host: &Host, file: &str) -> Option<String> {
    let content = host.tree.read(Path::new(file), 64).ok()?;
    Some(String::from_utf8(content).ok()?.trim().to_string())
}

#[cfg(test)]
mod tests;
