//! A home as it is at one moment, to be compared with what it is later.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::super::user::each;
use super::Test;

/// Every file below a directory with its kind, mode and content.
pub type Snapshot = BTreeMap<PathBuf, (u32, Vec<u8>)>;

impl Test {
    /// Everything in the home as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        each(&self.base.path().join("home"), &mut |path| {
            // What a session that ends removes meanwhile is not there.
            let Ok(status) = std::fs::symlink_metadata(path) else {
                return;
            };
            let content = if status.is_symlink() {
                std::fs::read_link(path)
                    .expect("a link that was just listed")
                    .into_os_string()
                    .into_encoded_bytes()
            } else if status.is_file() {
                match std::fs::read(path) {
                    Ok(content) => content,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
                    Err(error) => panic!("{}: {error}", path.display()),
                }
            } else {
                Vec::new()
            };
            snapshot.insert(path.to_owned(), (status.mode(), content));
        });
        snapshot
    }
}
