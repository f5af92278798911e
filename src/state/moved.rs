//! The history of a project that was moved: it lies under the root that is gone. Says so where the project looks new, and
//! how to adopt it. Moves nothing itself: only the user knows that it is the same project.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::host::Host;
use crate::path::HostPath;

use super::record::{self, Record};
use super::{HASH_DIGITS, instance_name};

/// How many characters of a directory's path Claude Code takes as they are; what is longer is cut and hashed by it.
const KEY_MAX: usize = 200;

/// About each instance that may be this project's from before: what, and what to do.
#[must_use]
pub fn notes(host: &Host, instances: &HostPath, claude: &HostPath) -> Vec<(String, String)> {
    // A project with a history of its own needs no other, and its start does not read the whole directory of instances.
    let own = claude
        .join("projects")
        .map(|projects| host.tree.list(projects.as_path()));
    if matches!(own, Ok(Ok(ref names)) if !names.is_empty()) {
        return Vec::new();
    }
    let root = host.instance_root();
    let ours = instance_name(root);
    let Some(stem) = ours.len().checked_sub(HASH_DIGITS).and_then(|end| ours.get(..end)) else {
        return Vec::new();
    };
    let names = host.tree.list(instances.as_path()).unwrap_or_default();
    names
        .iter()
        .filter(|name| name.as_bytes().starts_with(stem.as_bytes()) && name.len() == ours.len() && **name != *ours)
        .filter_map(|name| note(host, instances, name, &ours, root))
        .collect()
}

fn note(host: &Host, instances: &HostPath, name: &OsStr, ours: &str, root: &HostPath) -> Option<(String, String)> {
    let old = instances.join(name).ok()?;
    let text = host
        .tree
        .read(old.join(record::NAME).ok()?.as_path(), record::LENGTH_MAX)
        .ok()?;
    let record = Record::parse(&text).ok()?;
    let gone = matches!(host.tree.resolve(&record.root), Ok(resolved) if resolved.node.is_none());
    if !gone || record.root.name() != root.name() {
        return None;
    }
    let new = instances.join(ours).ok()?;
    let (from, to) = (key(&record.root)?, key(root)?);
    let projects = new.join("claude/projects").ok()?;
    Some((
        record.root.to_string(),
        format!(
            "a project of this name was there, and its history is kept; if it was moved here, adopt the history: \
             rm -r {new}; mv {old} {new}; mv {projects}/{from} {projects}/{to}"
        ),
    ))
}

/// The name under which Claude Code keeps the history of a directory; `None` where it hashes it.
fn key(root: &HostPath) -> Option<String> {
    let text = root.as_os_str().to_str()?;
    let key: String = text
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    (key.len() <= KEY_MAX).then_some(key)
}
