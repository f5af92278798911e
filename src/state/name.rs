//! The name of the instance that belongs to a project: what people read, and a hash that no two roots share by chance.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use crate::path::HostPath;

/// How many characters of a project's name its instance carries, for people who look into the directory.
const NAME_MAX: usize = 40;
/// How many hexadecimal digits of the root's SHA-256 name an instance: 64 bits, so that no two roots meet by chance.
pub(super) const HASH_DIGITS: usize = 16;

/// The whole hash of a path, as a name for what belongs to it.
#[must_use]
pub fn digest(path: &HostPath) -> String {
    digest_of(path.as_os_str().as_bytes())
}

/// The SHA-256 of bytes, in hexadecimal digits.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the instance that belongs to a canonical project root.
#[must_use]
pub fn instance_name(root: &HostPath) -> String {
    let hash = digest(root);
    let readable: String = root
        .name()
        .unwrap_or(OsStr::new("root"))
        .as_bytes()
        .iter()
        .take(NAME_MAX)
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"._-".contains(byte) {
                char::from(*byte)
            } else {
                '_'
            }
        })
        .collect();
    let digits: String = hash.chars().take(HASH_DIGITS).collect();
    format!("{readable}-{digits}")
}

/// Whether a name is one that [`instance_name`] gives.
#[must_use]
pub fn is_instance_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes
        .rsplit(|byte| *byte == b'-')
        .next()
        .is_some_and(|hash| hash.len() == HASH_DIGITS && hash.len() + 1 < bytes.len() && hash.iter().all(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_claude_code_mixes_up_are_apart() {
        let name = |path: &str| instance_name(&HostPath::new(path).unwrap());
        assert_eq!(name("/x/a-b"), "a-b-d908db1f1c897c96");
        assert_eq!(name("/x/a/b"), "b-08fab95f8e1bcae8");
        assert_eq!(name("/x/Ä b"), "___b-515dc33f6ee745ac");
    }
}
