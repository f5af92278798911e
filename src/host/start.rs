//! Where the program was started: the directories without which there is no launch.

use std::path::Path;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::path::{HostPath, printable};

use super::tree::{self, Tree};

/// The canonical path of what must exist.
pub(super) fn existing(tree: &Tree, path: Option<&Path>, what: &'static str) -> Result<HostPath, Refusal> {
    let refused = |why: String| {
        Refusal::one(
            Diagnostic::new("host", format!("the {what} cannot be used: {why}"))
                .hint("start from a directory that exists and that you can read"),
        )
    };
    let path = path.ok_or_else(|| refused("it is not known, or it does not exist".into()))?;
    let path = HostPath::new(path).map_err(|why| refused(format!("`{}` {why}", printable(path.as_os_str()))))?;
    let resolved = tree.resolve(&path).map_err(|error| refused(error.to_string()))?;
    if resolved.node.is_none() {
        return Err(refused(format!("`{path}` does not exist")));
    }
    Ok(resolved.path)
}

/// The same for a directory that need not exist: its canonical path all the same.
pub(super) fn existing_or(
    tree: &Tree,
    path: Option<&Path>,
    home: &HostPath,
    default: &str,
) -> Result<HostPath, Refusal> {
    match path.and_then(|path| HostPath::new(path).ok()) {
        Some(path) => tree
            .resolve(&path)
            .map(|resolved| resolved.path)
            .map_err(|error| Refusal::one(Diagnostic::new("host", error.to_string()))),
        None => joined(home, default),
    }
}

pub(super) fn joined(base: &HostPath, name: &str) -> Result<HostPath, Refusal> {
    base.join(name)
        .map_err(|why| Refusal::one(Diagnostic::new("internal", format!("`{name}` {why}"))))
}

/// The caller can list the working directory: without that, Claude Code would see an empty project.
pub(super) fn readable(directory: &HostPath) -> Result<(), Refusal> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(
        CWD,
        directory.as_path(),
        Access::READ_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .map_err(|error| {
        Refusal::one(
            Diagnostic::new(
                "host",
                format!(
                    "the working directory `{directory}` cannot be read: {}",
                    tree::plain(&error.into())
                ),
            )
            .hint("change to a directory that you can read"),
        )
    })
}
