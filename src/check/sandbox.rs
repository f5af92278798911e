//! What the kernel and bubblewrap give: whether a sandbox can be made at all.

use std::path::Path;

use crate::host::Host;
use crate::host::namespaces::{APPARMOR, CLONE, MAXIMUM};

use super::{Item, Mark, Trial, item, node, value_of, with_fix};

/// The first version of bubblewrap that does not follow a link at a destination out of the sandbox (CVE-2026-87766).
const BWRAP_WITHOUT_LINK_FLAW: (u32, u32) = (0, 12);

pub(super) fn bubblewrap(host: &Host, trial: Option<&Trial>, items: &mut Vec<Item>) {
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
pub(super) const FORBIDDERS: [(&str, &str, &str); 3] = [
    (
        APPARMOR,
        "1",
        "AppArmor forbids them; `apt install apparmor-profiles` has a profile for bwrap, or as root: \
         sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (CLONE, "0", "as root: sysctl -w kernel.unprivileged_userns_clone=1"),
    (MAXIMUM, "0", "as root: sysctl -w user.max_user_namespaces=10000"),
];

pub(super) fn namespaces(host: &Host, trial: Option<&Trial>, items: &mut Vec<Item>) {
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

pub(super) fn terminal(host: &Host, items: &mut Vec<Item>) {
    let finding = match value_of(host, "/proc/sys/dev/tty/legacy_tiocsti").as_deref() {
        Some("1") => "the kernel allows input injection; claudebox's filter shuts it",
        Some(_) => "the kernel forbids input injection, and so does claudebox's filter",
        None => "claudebox's filter shuts input injection",
    };
    items.push(item(Mark::Good, "terminal", finding));
}

/// The first Linux with `CLOSE_RANGE_CLOEXEC`, by which the caller's descriptors are shut.
const KERNEL_MIN: (u32, u32) = (5, 11);

/// What the kernel must know, and the file that is there where it does.
const FEATURES: [(&str, &str); 2] = [
    ("seccomp filters", "/proc/sys/kernel/seccomp/actions_avail"),
    ("namespaces of control groups", "/proc/self/ns/cgroup"),
];

pub(super) fn kernel(host: &Host, items: &mut Vec<Item>) {
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
