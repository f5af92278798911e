//! What is seen of files: the secrets, what is in the home, what can be written, what the host's programs would obey.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Evidence, Judged, ask, count};
use crate::invariants::plan::What;
use crate::path::printable;
use crate::trace::Effect;
use crate::verify::message::{Bytes, Look};
use crate::view::Kind;

/// Where bubblewrap and the kernel mount by themselves.
const KERNEL: [&str; 2] = ["/dev", "/proc"];

impl Evidence<'_> {
    /// Each secret place: nothing is there, or something that is not the host's.
    pub(super) fn secrets(&self) -> Judged {
        let secrets = ask::secrets(self.case);
        let mut leaks = Vec::new();
        for secret in &secrets {
            let there = self.tree.node(secret.canonical.as_path()).ok().flatten();
            for place in secret.places(&self.view) {
                let Some(look) = self.look(&place) else {
                    leaks.push(format!("`{}` was not looked at", printable(place.as_os_str())));
                    continue;
                };
                let same = there.as_ref().is_some_and(|node| node.identity == look.identity);
                let leak = if same {
                    Some(format!("`{}` is seen: {}", printable(place.as_os_str()), secret.why))
                } else {
                    self.differs(&place, &self.view.see(&place))
                };
                if let Some(leak) = leak.filter(|leak| !leaks.contains(leak)) {
                    leaks.push(leak);
                }
            }
        }
        // Also where nobody looks for it.
        for (point, look) in self.other_mounts() {
            let shown = secrets.iter().find(|secret| {
                let node = self.tree.node(secret.canonical.as_path()).ok().flatten();
                node.is_some_and(|node| node.identity == look.identity)
            });
            if let Some(secret) = shown {
                let leak = format!("`{}` is seen: {}", printable(point.as_path().as_os_str()), secret.why);
                if !leaks.contains(&leak) {
                    leaks.push(leak);
                }
            }
        }
        let exist = secrets.iter().filter(|secret| secret.exists).count();
        Judged::of(
            leaks,
            format!(
                "{} looked for, of which this host has {exist}: none is seen",
                count(secrets.len(), "place", "places")
            ),
        )
    }

    /// What is made of memory holds nothing but mounts.
    pub(super) fn directories(&self) -> Judged {
        let mut leaks = Vec::new();
        let file = &self.planted.files.file;
        if self.look(file).is_none_or(|look| look.kind != Kind::Absent.word()) {
            leaks.push(format!("the canary in the host's /tmp is seen: `{}`", file.display()));
        }
        let mut names = 0;
        for (directory, listing) in self.questions.directories.iter().zip(&self.answers.listings) {
            let directory = directory.as_path();
            let shown = printable(directory.as_os_str());
            let expected = self.view.names_in(directory);
            let Some(listing) = listing else {
                // One that another mount covers.
                if self.view.see(directory).readable != Some(false) {
                    leaks.push(format!("`{shown}` cannot be listed"));
                }
                continue;
            };
            for name in listing {
                names += 1;
                let name = OsStr::from_bytes(&name.0);
                if !expected.contains(name) {
                    leaks.push(format!(
                        "`{}` is seen, and nobody decided that",
                        printable(directory.join(name).as_os_str())
                    ));
                }
            }
        }
        let listed = count(
            self.answers.listings.len(),
            "directory in memory holds",
            "directories in memory hold",
        );
        Judged::of(
            leaks,
            format!("{listed} {names} names, each of a mount; the canary in the host's /tmp is not there"),
        )
    }

    /// Each mount is what was decided, and there is no other.
    pub(super) fn mounts(&self) -> Judged {
        let mut leaks = Vec::new();
        for mount in self.case.plan.mounts() {
            let seen = self.view.see(mount.at.as_path());
            leaks.extend(self.differs(mount.at.as_path(), &seen));
        }
        if self.answers.mounts.is_empty() {
            leaks.push("the mounts cannot be listed".into());
        }
        for (point, look) in self.other_mounts() {
            let point = point.as_path();
            // What the host has mounted below a mount comes with it.
            let seen = self.view.see(point);
            let of_host = match (seen.mount.map(|mount| &mount.what), &seen.source) {
                (Some(What::Bind { .. }), Some(source)) => self.is_mount_of_host(source.as_path()),
                _ => false,
            };
            if !of_host {
                leaks.push(format!(
                    "something is mounted on `{}`, and nobody decided that",
                    printable(point.as_os_str())
                ));
            } else if look.writable && seen.writable == Some(false) {
                leaks.push(format!("`{}` can be written", printable(point.as_os_str())));
            }
        }
        let written = self
            .case
            .plan
            .mounts()
            .iter()
            .filter(|mount| matches!(mount.what, What::Bind { writable: true, .. }));
        Judged::of(
            leaks,
            format!(
                "{} as decided, {} of them of this host with write access; no other",
                count(self.case.plan.mounts().len(), "mount", "mounts"),
                written.count()
            ),
        )
    }

    /// What git and other programs of the host obey cannot be written, replaced or moved.
    pub(super) fn kept(&self) -> Judged {
        let kept = ask::kept(&self.case);
        if kept.is_empty() {
            return Judged::untested("nothing here that git or an editor of this host would obey");
        }
        let mut leaks = Vec::new();
        for (mount, effect) in &kept {
            let path = mount.at.as_path();
            if !self.answers.mounts.iter().any(|(point, _)| point.as_path() == path) {
                leaks.push(format!("`{}` can be replaced: nothing is mounted there", mount.at));
            }
            let writable = self.look(path).is_none_or(|look| look.writable);
            if *effect == Effect::Protect && writable {
                leaks.push(format!("`{}` can be written", mount.at));
            }
        }
        let closed = kept.iter().filter(|(_, effect)| *effect == Effect::Protect).count();
        let pinned = kept.len() - closed;
        Judged::of(
            leaks,
            format!(
                "{} read-only, and {} above them held in place",
                count(closed, "path", "paths"),
                count(pinned, "directory", "directories")
            ),
        )
    }

    /// Mounts inside that nobody decided on, and that are not those of the kernel's own file systems.
    fn other_mounts(&self) -> impl Iterator<Item = &(Bytes, Look)> {
        self.answers.mounts.iter().filter(|(point, _)| {
            let point = point.as_path();
            !ask::is_mount(&self.case, point) && !KERNEL.iter().any(|kernel| point.starts_with(kernel))
        })
    }

    fn is_mount_of_host(&self, path: &Path) -> bool {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)
            .is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }
}
