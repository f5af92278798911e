//! What a change of a policy widens and what it narrows, seen over a set of described hosts: the usual ones, each with every
//! variable and every path that one of the two scripts speaks of.

pub mod powers;

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::Cli;
use crate::diagnostic::{Diagnostic, Refusal};
use crate::host::Host;
use crate::host::policies::{BUNDLED, bundled};
use crate::output;
use crate::path::{EnvName, HostPath};
use crate::policy_test::coverage::literals;
use crate::policy_test::host::{Described, HOME};
use crate::script::layer::Source;
use crate::style::{Style, Tone};
use crate::trace::Site;

use powers::{Powers, change};

/// Variables that every described host has: one of each kind that policies judge.
const VARIABLES: [(&str, &str); 8] = [
    ("ANTHROPIC_API_KEY", "sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaa"),
    ("AWS_SECRET_ACCESS_KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("GITHUB_TOKEN", "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("LANG", "C.UTF-8"),
    ("SOMETHING_ELSE", "value"),
    ("SSH_AUTH_SOCK", "/run/user/1000/agent"),
    ("TERM", "xterm"),
    ("XDG_DATA_DIRS", "/usr/share"),
];

/// Paths that every described host has.
const FILES: [&str; 6] = [
    "~/.ssh/id_ed25519",
    "~/.aws/credentials",
    "~/.bashrc",
    "~/documents/letter.txt",
    "~/p/.env",
    "~/p/main.c",
];

/// What changed, with the host on which it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What the sandbox can do, or see, now.
    pub wider: BTreeMap<String, Seen>,
    /// What it can no longer do, or see.
    pub narrower: BTreeMap<String, Seen>,
    /// What is otherwise, and neither.
    pub other: BTreeMap<String, Seen>,
    /// How many hosts were described.
    pub hosts: usize,
}

/// Where a change is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The hosts.
    pub hosts: BTreeSet<&'static str>,
    /// The line that decides.
    pub site: Option<Site>,
}

/// `--policy-diff OLD NEW`: prints what the change does. Exit code 1 where it widens anything.
///
/// # Errors
/// There are not two files, or one cannot be read.
pub fn main(cli: &Cli, host: &Host) -> Result<u8, Refusal> {
    let [old, new] = cli.arguments.as_slice() else {
        return Err(Refusal {
            exit: crate::EXIT_USAGE,
            ..Refusal::one(
                Diagnostic::new("usage", "`--policy-diff` compares two files")
                    .hint("write `claudebox --policy-diff OLD NEW`"),
            )
        });
    };
    let (old, new) = (host.compared(old)?, host.compared(new)?);
    let difference = compare(&old, &new);
    output::result(&difference.text(Style::of_output(cli.color, &host.terminal)));
    Ok(u8::from(!difference.wider.is_empty()))
}

/// Compares two policies, each as a user's own over the bundled one.
#[must_use]
pub fn compare(old: &Source, new: &Source) -> Difference {
    let hosts = hosts(&[&old.text, &new.text]);
    let mut difference = Difference {
        hosts: hosts.len(),
        ..Difference::default()
    };
    for (name, described) in &hosts {
        let host = described.host();
        let (before, after) = (Powers::of(&layers(old), &host), Powers::of(&layers(new), &host));
        for (text, width, site) in change(&before, &after) {
            let group = match width {
                std::cmp::Ordering::Greater => &mut difference.wider,
                std::cmp::Ordering::Less => &mut difference.narrower,
                std::cmp::Ordering::Equal => &mut difference.other,
            };
            let seen = group.entry(text).or_default();
            seen.hosts.insert(name);
            seen.site = seen.site.take().or(site);
        }
    }
    difference
}

fn layers(policy: &Source) -> Vec<Source> {
    if *policy.text == *BUNDLED {
        vec![bundled()]
    } else {
        vec![bundled(), policy.clone()]
    }
}

/// The described hosts, with all that these scripts speak of.
fn hosts(texts: &[&str]) -> Vec<(&'static str, Described)> {
    let mut common = Described {
        broker: true,
        ..Described::default()
    };
    for (name, value) in VARIABLES {
        if let Ok(name) = EnvName::new(name) {
            common.variables.insert(name, value.into());
        }
    }
    let mut paths: BTreeSet<String> = FILES.iter().map(|path| path.replacen('~', HOME, 1)).collect();
    let bundled = literals(BUNDLED).map(|text| (text, false));
    for (text, files) in texts
        .iter()
        .flat_map(|text| literals(text))
        .map(|text| (text, true))
        .chain(bundled)
    {
        if let Some(name) = variable(text) {
            common.variables.entry(name).or_insert_with(|| "value".into());
        } else if files && let Some(path) = path(text) {
            paths.insert(path);
        }
    }
    common.describe_paths(&paths);
    let nix = Described {
        nix: true,
        nix_daemon: true,
        nix_registry: Some("{}".into()),
        ca_bundle: HostPath::new("/etc/ssl/certs/ca-bundle.crt").ok(),
        ..common.clone()
    };
    let mut worktree = common.clone();
    if let Ok(main) = HostPath::new("/home/u/main") {
        worktree.worktree(&main);
    }
    let bare = Described {
        no_locale: true,
        ..Described::default()
    };
    vec![("usr", common), ("nix", nix), ("worktree", worktree), ("bare", bare)]
}

/// A text that could be a variable's name, or the start of one.
fn variable(text: &str) -> Option<EnvName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = text.len() > 1 && text.chars().all(plain) && text.contains(|c: char| c.is_ascii_uppercase());
    (name && !text.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| EnvName::new(text).ok())
        .flatten()
}

/// A text that could be a path of the host's.
fn path(text: &str) -> Option<String> {
    let full = match text.strip_prefix("~/") {
        Some(rest) => format!("{HOME}/{rest}"),
        None => text.to_string(),
    };
    let path = HostPath::new(&full).ok()?;
    let own = path.depth() == 0 || path.within_str("/proc") || path.within_str("/dev") || HOME.starts_with(&full);
    (!own).then(|| full.trim_end_matches('/').to_string())
}

impl Difference {
    /// The difference for a person.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        let groups = [
            ("widens", Tone::Bad, &self.wider),
            ("narrows", Tone::Good, &self.narrower),
            ("changes", Tone::Heading, &self.other),
        ];
        for (heading, tone, lines) in groups {
            if lines.is_empty() {
                continue;
            }
            out.push_str(&format!("{}\n", style.paint(tone, heading)));
            for (text, seen) in lines {
                let hosts: Vec<&str> = seen.hosts.iter().copied().collect();
                let on = if hosts.len() == self.hosts {
                    String::new()
                } else {
                    format!(" (on {})", hosts.join(", "))
                };
                // A rule of the host is no line that anybody could change.
                let line = seen.site.as_ref().filter(|site| matches!(site, Site::Script { .. }));
                let site = line.map(|site| format!("  {site}")).unwrap_or_default();
                out.push_str(&format!("  {text}{on}{site}\n"));
            }
        }
        if out.is_empty() {
            out = format!("nothing changes on the {} described hosts\n", self.hosts);
        }
        out
    }
}

#[cfg(test)]
mod tests;
