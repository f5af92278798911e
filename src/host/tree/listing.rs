//! The names in a directory.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Kind, Source, Tree, Unreadable, is_absence, unreadable};

/// The names in one directory, all read at once.
#[derive(Debug)]
pub(super) struct Listing {
    /// Each name, and whether it is a directory; sorted.
    entries: Vec<(OsString, bool)>,
    /// The names in lower case, sorted; none where one of them is not ASCII.
    plain: Option<Vec<Vec<u8>>>,
}

impl Listing {
    pub(super) fn of(entries: Vec<(OsString, bool)>) -> Self {
        let names = || entries.iter().map(|(name, _)| name.as_bytes());
        let plain = names().all(<[u8]>::is_ascii).then(|| {
            let mut names: Vec<Vec<u8>> = names().map(<[u8]>::to_ascii_lowercase).collect();
            names.sort_unstable();
            names
        });
        Self { entries, plain }
    }

    /// Whether no file of this name can be found in the directory. Some file systems find `.SSH` by `.ssh`, and fold letters
    /// beyond ASCII by tables of their own: there the kernel has to be asked.
    pub(super) fn lacks(&self, name: &OsStr) -> bool {
        let mut wanted = Cow::Borrowed(name.as_bytes());
        if wanted.iter().any(u8::is_ascii_uppercase) {
            wanted.to_mut().make_ascii_lowercase();
        }
        let found = |names: &Vec<Vec<u8>>| names.binary_search_by(|name| name.as_slice().cmp(&wanted)).is_ok();
        wanted.is_ascii() && self.plain.as_ref().is_some_and(|names| !found(names))
    }
}

impl Tree {
    /// The names in a directory, sorted, each with whether it is a directory itself (a link to one is not); empty where
    /// there is no such directory. One system call for many names: no more is asked of a file than the directory tells.
    ///
    /// # Errors
    /// When the directory exists but cannot be read.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the file system")]
    pub fn entries(&self, path: &Path) -> Result<Vec<(OsString, bool)>, Unreadable> {
        let mut entries = Vec::new();
        match &self.source {
            Source::Described(nodes) => {
                let below = nodes.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded));
                for (candidate, (node, _)) in below.take_while(|(candidate, _)| candidate.starts_with(path)) {
                    if candidate.parent() == Some(path) {
                        let name = candidate.file_name().unwrap_or_default().to_os_string();
                        entries.push((name, node.kind == Kind::Directory));
                    }
                }
            }
            Source::Real { surveyed, .. } => {
                if let Some(listing) = surveyed.borrow().get(path.as_os_str()) {
                    return Ok(listing.entries.clone());
                }
                match std::fs::read_dir(path) {
                    Ok(found) => {
                        for entry in found {
                            let entry = entry.map_err(|error| unreadable(path, &error))?;
                            let file_type = entry.file_type().map_err(|error| unreadable(path, &error))?;
                            entries.push((entry.file_name(), file_type.is_dir()));
                        }
                    }
                    Err(error) if is_absence(&error) => {}
                    Err(error) => return Err(unreadable(path, &error)),
                }
            }
        }
        entries.sort();
        Ok(entries)
    }

    /// Reads all names in a directory that many paths are asked for in: what is not among them needs no look of its own. Does
    /// nothing where it cannot be read.
    pub fn survey(&self, directory: &Path) {
        if let Source::Real { surveyed, .. } = &self.source
            && !surveyed.borrow().contains_key(directory.as_os_str())
            && let Ok(entries) = self.entries(directory)
        {
            let key = directory.as_os_str().to_os_string();
            surveyed.borrow_mut().insert(key, Listing::of(entries));
        }
    }

    /// Whether a directory is known not to hold a name; false says nothing.
    #[must_use]
    pub fn lacks(&self, directory: &Path, name: &OsStr) -> bool {
        match &self.source {
            Source::Described(_) => false,
            Source::Real { surveyed, .. } => {
                let surveyed = surveyed.borrow();
                surveyed
                    .get(directory.as_os_str())
                    .is_some_and(|names| names.lacks(name))
            }
        }
    }

    /// The names in a directory, sorted; empty where there is no such directory.
    ///
    /// # Errors
    /// When the directory exists but cannot be read.
    pub fn list(&self, path: &Path) -> Result<Vec<OsString>, Unreadable> {
        Ok(self.entries(path)?.into_iter().map(|(name, _)| name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lacking_only_where_no_file_system_finds_it() {
        let listing = |names: &[&str]| Listing::of(names.iter().map(|name| (OsString::from(name), false)).collect());
        let lacks = |names: &[&str], name: &str| listing(names).lacks(OsStr::new(name));
        assert!(lacks(&["a", "c"], "b"));
        assert!(lacks(&[], "b"));
        assert!(!lacks(&["a", ".SSH", "z"], ".ssh"));
        assert!(!lacks(&[".ssh"], ".SSH"));
        assert!(
            !lacks(&[".\u{212a}ube"], ".kube"),
            "the sign for Kelvin is a `k` to some"
        );
        assert!(!lacks(&["a"], "\u{212a}"));
    }
}
