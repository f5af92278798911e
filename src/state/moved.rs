//! The history of a project that was moved: it lies under the root that is gone. Says so where the project looks new, and
//! how to adopt it. Moves nothing itself: only the user knows that it is the same project.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::host::Host;
use crate::path::HostPath;

use super::name::{HASH_DIGITS, instance_name};
use super::record::{self, Record};

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
    let projects = new.join("claude/projects").ok()?;
    let (from, to) = (projects.join(key(&record.root)?).ok()?, projects.join(key(root)?).ok()?);
    // A start here has made an instance already; it holds no history, or nothing would be said.
    let clear = match host.tree.node(new.as_path()) {
        Ok(None) => String::new(),
        _ => format!("rm -r {} && ", word(&new)?),
    };
    let commands = format!(
        "mv {} {} && mv {} {}",
        word(&old)?,
        word(&new)?,
        word(&from)?,
        word(&to)?
    );
    Some((
        record.root.to_string(),
        format!(
            "a project of this name was there, and its history is kept; if it was moved here, adopt the history while no \
             sandbox runs in it: {clear}{commands}"
        ),
    ))
}

/// A path as a word for the shell; `None` where it cannot be shown as it is, and so not be copied from a message.
fn word(path: &HostPath) -> Option<String> {
    let text = path.to_string();
    if path.as_os_str() != text.as_str() {
        return None;
    }
    Some(
        if text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter))
        {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        },
    )
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use crate::host::tree::{Kind, Tree};
    use crate::host::{self, Host};

    use super::*;

    /// The project `/home/u/p`, and the instance of one that was at `root`.
    fn host(root: &str, more: &[&str]) -> Rc<Host> {
        let root = HostPath::new(root).unwrap();
        let record = Record {
            volume: host::described(Tree::described()).volume.clone(),
            root,
            made: 1,
            used: 2,
        };
        let mut tree = Tree::described();
        let place = format!(
            "/home/u/.claudebox/instances/{}/record.json",
            instance_name(&record.root)
        );
        tree.describe(Path::new(&place), Kind::File, 1000, &record.text());
        for path in more {
            tree.describe(Path::new(path), Kind::Directory, 1000, b"");
        }
        host::described(tree)
    }

    fn said(host: &Host) -> Vec<(String, String)> {
        let instances = HostPath::new("/home/u/.claudebox/instances").unwrap();
        let claude = instances.join("p-60ad706fe5335804/claude").unwrap();
        notes(host, &instances, &claude)
    }

    #[test]
    fn a_project_that_was_moved_is_told_how_to_keep_its_history() {
        let [(subject, reason)] = said(&host("/x y/p", &[])).try_into().unwrap();
        assert_eq!(subject, "/x y/p");
        let new = "/home/u/.claudebox/instances/p-60ad706fe5335804";
        let old = format!(
            "/home/u/.claudebox/instances/{}",
            instance_name(&HostPath::new("/x y/p").unwrap())
        );
        assert_eq!(
            reason,
            format!(
                "a project of this name was there, and its history is kept; if it was moved here, adopt the history while no \
                 sandbox runs in it: mv {old} {new} && mv {new}/claude/projects/-x-y-p {new}/claude/projects/-home-u-p"
            )
        );
        let [(_, reason)] = said(&host("/x y/p", &[new])).try_into().unwrap();
        assert!(
            reason.contains(&format!(": rm -r {new} && mv {old} {new} && ")),
            "{reason}"
        );
    }

    #[test]
    fn nothing_is_said_of_a_project_that_is_there_or_of_another_name_or_to_one_with_a_history() {
        let history = "/home/u/.claudebox/instances/p-60ad706fe5335804/claude/projects/-home-u-p";
        for host in [host("/x/p", &["/x/p"]), host("/x/q", &[]), host("/x/p", &[history])] {
            assert_eq!(said(&host), []);
        }
    }

    #[test]
    fn paths_are_words_of_the_shell_or_not_shown() {
        let word = |path: &str| word(&HostPath::new(path).unwrap());
        assert_eq!(word("/a-b"), Some("/a-b".into()));
        assert_eq!(word("/a b'c$(d)"), Some("'/a b'\\''c$(d)'".into()));
        assert_eq!(word("/a\nb"), None);
    }
}
