//! `project-root`: the directory that the agent may write to is a project, and nothing of more weight.

use crate::diagnostic::Diagnostic;
use crate::floor;
use crate::path::HostPath;

use super::Checker;

/// Directories of the system: nothing in them is a project.
const SYSTEM: [&str; 14] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/nix", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/lib",
    "/var/run",
];

impl Checker<'_> {
    /// INVARIANT(project-root): set here, relied on by the mount of the project, which is granted write access.
    pub(super) fn project_root(&mut self) {
        let root = self.host.project.clone();
        if let Some(why) = self.unfit_project(&root) {
            self.unfit = true;
            self.refuse(
                Diagnostic::new("project-root", format!("`{root}` cannot be the project: {why}"))
                    .hint("change to a directory of its own for the project and start again"),
            );
        }
    }

    fn unfit_project(&self, root: &HostPath) -> Option<String> {
        let home = &self.host.home;
        if *root == HostPath::root() {
            return Some("it is the whole file system".into());
        }
        if home == root {
            return Some("it is your home directory, with all your secrets".into());
        }
        if home.within(root) {
            return Some("your home directory lies in it".into());
        }
        for system in SYSTEM {
            if HostPath::new(system).is_ok_and(|system| root.within(&system)) && !home.within_str(system) {
                return Some(format!("`{system}` belongs to the system"));
            }
        }
        if let Some(whole) = floor::never_whole(home).into_iter().find(|path| path == root) {
            return Some(format!("`{whole}` holds more than a project"));
        }
        let (path, hidden) = self.hidden.around(root)?;
        Some(format!("it lies in `{path}`: {}", hidden.why))
    }
}
