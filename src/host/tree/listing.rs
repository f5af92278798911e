//! All names in a directory, read once.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The names in one directory.
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

    pub(super) fn entries(&self) -> &[(OsString, bool)] {
        &self.entries
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
