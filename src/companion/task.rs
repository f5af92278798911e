//! What one companion has to do: made from the plan and the host's facts, before anything starts.

use std::collections::HashMap;

use crate::host::Host;
use crate::invariants::plan::{Mount, Plan, Reserved, What};
use crate::leftover;
use crate::path::{HostPath, SandboxPath};

/// The task of one companion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Where reservations are noted.
    pub(super) records: HostPath,
    /// What is made for the time of the session: parents before children.
    pub(super) reserved: Vec<Reserved>,
    /// What must be seen inside.
    pub(super) checks: Vec<Check>,
    /// What must stay there: parents before children.
    pub(super) kept: Vec<Kept>,
    /// Where to look for what the session leaves.
    pub(super) places: leftover::Places,
}

/// One place inside, and what must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) at: SandboxPath,
    pub(super) want: Want,
}

/// A mount over a file or directory of the host, which a program of the host may replace by another one at any moment: the
/// kernel takes the mount away with the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// What must be there, whichever file of the host that is by now.
    pub(super) check: Check,
    /// The place on the host.
    pub(super) place: HostPath,
}

/// What must be at a place inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// This file of the host.
    Bind {
        /// The path that was checked.
        source: HostPath,
        /// Device and inode as they were checked; `None` where the file may be replaced by its own program at any time, or
        /// did not exist yet.
        identity: Option<(u64, u64)>,
        /// Whether it can be written.
        writable: bool,
    },
    /// An empty file that cannot be written.
    EmptyFile,
    /// An empty directory that cannot be written.
    EmptyDirectory,
    /// A link of the host, with itself mounted on it.
    Link,
}

impl Task {
    /// The task that belongs to a plan.
    #[must_use]
    pub fn of(plan: &Plan, host: &Host) -> Self {
        let checks = plan.mounts().iter().filter_map(|mount| {
            let want = match &mount.what {
                What::Bind { source, writable } => Want::Bind {
                    source: source.clone(),
                    identity: identity(host, source),
                    writable: *writable,
                },
                What::MaskFile => Want::EmptyFile,
                What::MaskDirectory => Want::EmptyDirectory,
                What::Tmpfs(_) | What::Proc | What::Dev | What::Link(_) | What::Text(_) => return None,
            };
            let at = mount.at.clone();
            Some(Check { at, want })
        });
        Self {
            records: host.reservation_records(),
            reserved: plan.reserved().to_vec(),
            checks: checks.collect(),
            kept: kept(plan, &host.places.state),
            places: leftover::Places::of(host),
        }
    }
}

/// The mounts that protect or hide a file of the host at its own place. What lies in our own state is replaced by nobody but
/// us, and a mount that shows another file lays no claim to the one below it.
fn kept(plan: &Plan, state: &HostPath) -> Vec<Kept> {
    let mounts = plan.mounts();
    let by_place: HashMap<&SandboxPath, &Mount> = mounts.iter().map(|mount| (&mount.at, mount)).collect();
    let place = |at: &SandboxPath| {
        let above = at.ancestors().skip(1).find_map(|above| by_place.get(&above).copied())?;
        let What::Bind { source, .. } = &above.what else {
            return None;
        };
        source.join(at.below(&above.at)?).ok()
    };
    let kept = mounts.iter().filter_map(|mount| {
        let place = place(&mount.at).filter(|place| !place.within(state))?;
        let want = match &mount.what {
            What::Bind { source, writable } if *source == place => Want::Bind {
                source: source.clone(),
                identity: None,
                writable: *writable,
            },
            What::MaskFile => Want::EmptyFile,
            What::MaskDirectory => Want::EmptyDirectory,
            _ => return None,
        };
        let at = mount.at.clone();
        Some(Kept {
            check: Check { at, want },
            place,
        })
    });
    // Links last: the directories that hold them are pinned by then.
    let links = plan.links().iter().map(|link| Kept {
        check: Check {
            at: link.at.clone(),
            want: Want::Link,
        },
        place: link.path.clone(),
    });
    kept.chain(links).collect()
}

/// What the check saw. The login and its kin are replaced by rename when they are refreshed, at any moment.
fn identity(host: &Host, source: &HostPath) -> Option<(u64, u64)> {
    let node = host.tree.node(source.as_path()).ok()??;
    let replaced = source.within(&host.places.state) && node.kind != crate::host::tree::Kind::Directory;
    (!replaced).then_some(node.identity)
}
