//! Follows a path as git's files write it.

use std::path::{Component, Path};

use super::Forged;
use super::judge::at;
use crate::host::tree::Tree;
use crate::path::HostPath;

/// Where `raw`, relative to the canonical `base`, leads for the kernel: each link is followed before a `..` after it.
/// Also each link that was followed.
pub(super) fn walk(tree: &Tree, base: &HostPath, raw: &Path) -> Result<(HostPath, Vec<HostPath>), Forged> {
    let mut path = base.clone();
    let mut through = Vec::new();
    for component in raw.components() {
        match component {
            Component::RootDir => path = HostPath::root(),
            Component::ParentDir => path = path.parent().unwrap_or(path),
            Component::Normal(name) => {
                let resolved = tree.resolve(&at(&path, name)?)?;
                path = resolved.path;
                through.extend(resolved.through);
            }
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok((path, through))
}
