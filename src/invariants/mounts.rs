//! What is mounted: `secret-exposed`, `own-controls`, `no-sockets`, `empty-root`, `mount-point`, `unique-destination`.
//! Sources are compared after every symlink was followed, by component, as inside, equal or above.

use crate::diagnostic::Diagnostic;
use crate::draft::{self, Request};
use crate::host::ENTER;
use crate::host::nix;
use crate::host::tree::{Kind, Resolved};
use crate::path::{HostPath, SandboxPath};
use crate::trace::DecisionId;

use super::hidden::{Class, Hidden};
use super::plan::{Mount, What};
use super::{Checker, Fate};

/// Places inside that the launcher builds itself: a policy's mount on them would break the sandbox or lift a defence.
const BUILT: [(&str, &str); 5] = [
    ("/", "the root is an empty file system in memory"),
    ("/proc", "the kernel's view of the sandbox's own processes"),
    ("/dev", "a minimal set of devices"),
    ("/run/claudebox", "the launcher's own files"),
    ("/etc/claude-code/CLAUDE.md", "what is true of this launch"),
];

impl Checker<'_> {
    /// Grants the policy's mounts one by one.
    pub(super) fn policy_mounts(&mut self) {
        for mount in std::mem::take(&mut self.draft.mounts) {
            self.policy_mount(mount);
        }
    }

    fn policy_mount(&mut self, mount: draft::Mount) {
        let draft::Mount {
            request,
            at,
            decision,
            required,
        } = mount;
        if let (true, Request::ReadOnly(source) | Request::ReadWrite(source)) = (self.unfit, &request)
            && *source == self.host.project
        {
            self.fates.insert(decision, Fate::Refused("project-root"));
            return;
        }
        if let Some((built, why)) = BUILT.iter().find(|(built, _)| claims(&at, built)) {
            let error = Diagnostic::new(
                "empty-root",
                format!("`{at}` cannot be mounted: `{built}` is built by the launcher: {why}"),
            )
            .hint("choose another place");
            return self.violation(error, decision);
        }
        match request {
            Request::ReadOnly(source) => self.bind(source, at, false, decision, required),
            Request::ReadWrite(source) => self.bind(source, at, true, decision, required),
            Request::Tmpfs => self.grant(at, What::Tmpfs(0o755), decision),
            Request::Link(target) => self.grant(at, What::Link(target), decision),
            Request::Text(content) => self.grant(at, What::Text(content), decision),
            Request::Mask => self.masks.push((at, decision)),
        }
    }

    fn bind(&mut self, source: HostPath, at: SandboxPath, writable: bool, decision: DecisionId, required: bool) {
        // INVARIANT(mount-source): what could not be followed to its end might be anything, a secret too.
        let resolved = match self.host.tree.resolve(&source) {
            Ok(resolved) => resolved,
            Err(error) => {
                let error = Diagnostic::new("mount-source", error.to_string())
                    .hint("a source that cannot be checked is not mounted");
                return self.violation(error, decision);
            }
        };
        let Some(node) = &resolved.node else {
            if required {
                let error =
                    Diagnostic::new("mount-source", format!("`{source}` does not exist")).hint("check the path");
                return self.violation(error, decision);
            }
            self.fates.insert(decision, Fate::Idle(absent(&source, &resolved)));
            return;
        };
        if resolved.path.within_str(nix::daemon::DIRECTORY) {
            return self.nix_mount(&resolved.path, at, writable, decision);
        }
        if let Some(error) = self.source_error(&source, &resolved, &node.kind, writable) {
            return self.violation(error, decision);
        }
        if let Some(closed) = self.closed_above(&resolved.path) {
            let error = Diagnostic::new(
                "mount-source",
                format!("`{}` cannot be mounted: `{closed}` may not be entered", resolved.path),
            )
            .hint("bubblewrap goes there without the privileges of root; give the directory another mode");
            return self.violation(error, decision);
        }
        self.grant(
            at,
            What::Bind {
                source: resolved.path,
                writable,
            },
            decision,
        );
    }

    /// A directory above a source that bubblewrap, which has no privileges, may not enter. An ordinary user could not even look
    /// at such a source; root can.
    fn closed_above(&self, source: &HostPath) -> Option<HostPath> {
        if self.host.uid != 0 {
            return None;
        }
        source.ancestors().skip(1).find(|directory| {
            let node = self.host.tree.node(directory.as_path());
            matches!(node, Ok(Some(node)) if !self.host.permits(&node, ENTER))
        })
    }

    /// Why this source may not be shown at all.
    fn source_error(&self, asked: &HostPath, resolved: &Resolved, kind: &Kind, writable: bool) -> Option<Diagnostic> {
        let source = &resolved.path;
        let named = named(asked, resolved);
        if let Some((path, hidden)) = self.hidden.around(source) {
            return Some(self.hidden_error(&named, source, &path, hidden));
        }
        match kind {
            Kind::Socket => {
                return Some(
                    Diagnostic::new("no-sockets", format!("{named} is a socket"))
                        .hint("a daemon that answers on it would act outside the sandbox; leave it out"),
                );
            }
            Kind::Special => {
                return Some(
                    Diagnostic::new("no-sockets", format!("{named} is a device or a pipe"))
                        .hint("only files and directories can be mounted"),
                );
            }
            Kind::Directory | Kind::File | Kind::Link(_) => {}
        }
        // INVARIANT(empty-root): nothing large and mixed is shown whole.
        if let Some(whole) = self.never_whole.iter().find(|whole| *whole == source) {
            return Some(
                Diagnostic::new(
                    "empty-root",
                    format!("{named} is never mounted whole: it holds `{whole}` and all that lies in it"),
                )
                .hint("mount the directories below it that are needed, one by one"),
            );
        }
        if let Some(kernel) = ["/proc", "/dev"].into_iter().find(|kernel| source.within_str(kernel)) {
            return Some(
                Diagnostic::new(
                    "empty-root",
                    format!("{named} lies in `{kernel}`, which the sandbox has of its own"),
                )
                .hint("leave it out"),
            );
        }
        if writable {
            return self.writable_error(&named, source);
        }
        None
    }

    /// The source is, or lies in, what no mount may show.
    fn hidden_error(&self, named: &str, source: &HostPath, path: &HostPath, hidden: &Hidden) -> Diagnostic {
        let Hidden { class, why, decision } = hidden;
        match class {
            // INVARIANT(secret-exposed): equal to or inside a secret.
            Class::Secret => {
                let what = if source == path {
                    "is a secret".into()
                } else {
                    format!("lies in the secret `{path}`")
                };
                let error = Diagnostic::new(class.code(), format!("{named} {what}: {why}"));
                match decision.and_then(|id| self.trace.get(id)) {
                    Some(decision) => error.hint(format!("it is called a secret at {}", decision.site)),
                    None => error.hint("no policy can show it; copy what the project needs into the project"),
                }
            }
            // INVARIANT(own-controls): what decides about sandboxes is out of their reach.
            Class::Own => Diagnostic::new(class.code(), format!("{named} cannot be shown: {why}"))
                .hint("claudebox mounts what a sandbox needs of it by itself"),
            // INVARIANT(no-sockets): a read-only bind mount does not stop connect().
            Class::Socket => Diagnostic::new(class.code(), format!("{named} leads to the socket `{path}`: {why}"))
                .hint("a daemon that answers on it would act outside the sandbox; leave it out"),
        }
    }

    /// INVARIANT(own-controls): what runs outside the sandbox, or is run inside it as Claude Code, cannot be changed from inside.
    fn writable_error(&self, named: &str, source: &HostPath) -> Option<Diagnostic> {
        let (path, what) = self
            .host
            .guarded_programs()
            .into_iter()
            .find(|(path, _)| path.within(source))?;
        Some(
            Diagnostic::new(
                "own-controls",
                format!("{named} would be writable, and {what} lies in it: `{path}`"),
            )
            .hint("install it outside every project"),
        )
    }

    /// Adds a mount, unless its place is taken.
    pub(super) fn grant(&mut self, at: SandboxPath, what: What, decision: DecisionId) {
        // INVARIANT(unique-destination): the order of a script never decides which of two mounts is seen.
        if let Some(earlier) = self.mounts.iter().find(|mount| mount.at == at) {
            let first = self.trace.get(earlier.decision).map(|decision| decision.site.clone());
            let mut error = Diagnostic::new("unique-destination", format!("`{at}` is mounted twice"));
            if let Some(second) = self.trace.get(decision) {
                error = error.at(second.site.clone(), "the second time");
            }
            if let Some(first) = first {
                error = error.at(first, "the first time");
            }
            self.fates.insert(decision, Fate::Refused("unique-destination"));
            self.violations.push(error.hint("keep one of the two"));
            return;
        }
        self.mounts.push(Mount { at, what, decision });
    }

    /// Parents before children, in the order of the requests among equals: a mount never hides one below it.
    pub(super) fn order_mounts(&mut self) {
        self.mounts.sort_by_key(|mount| mount.at.depth());
    }

    /// INVARIANT(mount-point): bubblewrap never makes a mount point on the host. Where a mount lies below a bind mount, its
    /// place must be there already, with the right kind, and no link may lead it elsewhere.
    pub(super) fn mount_points(&mut self) {
        let mounts = std::mem::take(&mut self.mounts);
        let mut kept: Vec<Mount> = Vec::with_capacity(mounts.len());
        for mount in mounts {
            match self.mount_point_error(&kept, &mount) {
                None => kept.push(mount),
                Some(error) => self.violation(error, mount.decision),
            }
        }
        self.mounts = kept;
    }

    pub(super) fn mount_point_error(&self, above: &[Mount], mount: &Mount) -> Option<Diagnostic> {
        let cover = cover(above, &mount.at)?;
        let hint = "mount it at a place outside that mount, or make the place on the host first";
        let error = |why: String| {
            Some(Diagnostic::new("mount-point", format!("`{}` cannot be a mount point: {why}", mount.at)).hint(hint))
        };
        match &cover.what {
            What::Tmpfs(_) => None,
            What::Proc
            | What::Dev
            | What::Link(_)
            | What::Text(_)
            | What::Certificates(_)
            | What::MaskFile
            | What::MaskDirectory => error(format!("`{}` is no directory that can hold it", cover.at)),
            What::Bind { source, .. } => {
                let place = mount.at.below(&cover.at).map(|rest| source.join(rest))?.ok()?;
                if self.prepared.contains(&place) {
                    return None;
                }
                if let What::Link(_) = mount.what {
                    return error(format!("a link there would be written to the host, at `{place}`"));
                }
                match self.host.tree.resolve(&place) {
                    Err(unreadable) => error(unreadable.to_string()),
                    Ok(found) if found.path != place => {
                        error(format!("a symbolic link of the host leads it to `{}`", found.path))
                    }
                    Ok(Resolved { node: None, .. }) => error(format!("it would be made on the host, at `{place}`")),
                    Ok(Resolved { node: Some(node), .. }) => {
                        let directory = node.kind == Kind::Directory;
                        if directory == self.wants_directory(&mount.what) {
                            None
                        } else {
                            error(format!(
                                "`{place}` is {}a directory on the host",
                                if directory { "" } else { "not " }
                            ))
                        }
                    }
                }
            }
        }
    }

    fn wants_directory(&self, what: &What) -> bool {
        match what {
            What::Bind { source, .. } => {
                matches!(self.host.tree.node(source.as_path()), Ok(Some(node)) if node.kind == Kind::Directory)
            }
            What::Tmpfs(_) | What::Proc | What::Dev | What::MaskDirectory => true,
            What::Link(_) | What::Text(_) | What::Certificates(_) | What::MaskFile => false,
        }
    }

    /// The bind mounts: their places and their sources.
    pub(super) fn binds(&self) -> Vec<(SandboxPath, HostPath)> {
        let bind = |mount: &Mount| match &mount.what {
            What::Bind { source, .. } => Some((mount.at.clone(), source.clone())),
            _ => None,
        };
        self.mounts.iter().filter_map(bind).collect()
    }

    /// The mount that shows what lies at a place, other than one at the very place.
    pub(super) fn cover(&self, at: &SandboxPath) -> Option<&Mount> {
        cover(&self.mounts, at)
    }
}

/// The mount that shows what lies at `at`, other than one at the very place: the deepest above it.
fn cover<'mounts>(mounts: &'mounts [Mount], at: &SandboxPath) -> Option<&'mounts Mount> {
    mounts
        .iter()
        .filter(|mount| mount.at != *at && at.within(&mount.at))
        .max_by_key(|mount| mount.at.depth())
}

/// Whether a mount at `at` would lay itself on, or over, a place that the launcher builds.
fn claims(at: &SandboxPath, built: &str) -> bool {
    let Ok(built) = SandboxPath::new(built) else {
        return true;
    };
    // Inside `/proc` and the like nothing is mounted either; below the root everything is.
    *at == built || (built.depth() > 0 && at.within(&built))
}

fn named(asked: &HostPath, resolved: &Resolved) -> String {
    if *asked == resolved.path {
        format!("`{asked}`")
    } else {
        format!("`{asked}`, which leads to `{}`,", resolved.path)
    }
}

fn absent(source: &HostPath, resolved: &Resolved) -> String {
    if *source == resolved.path {
        "it does not exist on this host".into()
    } else {
        format!("it leads to `{}`, which does not exist", resolved.path)
    }
}
