//! Reads git's index (gitformat-index(5), versions 2 to 4) as far as it can harm: names that no index may hold, entries
//! that stand for repositories, and entries whose changes git does not show.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What an index holds of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Names that lead into a git directory or out of the work tree.
    pub(super) bad: Vec<Vec<u8>>,
    /// Names of entries that stand for repositories.
    pub(super) links: Vec<Vec<u8>>,
    /// Names of entries whose changes git does not show.
    pub(super) hidden: Vec<Vec<u8>>,
}

/// Mode of an entry that stands for a repository.
const LINK: u32 = 0o160_000;

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Reads an index with object names of `hash` bytes. `None` where it is no index that git would read.
pub(super) fn parse(bytes: &[u8], hash: usize) -> Option<Index> {
    if bytes.get(..4)? != b"DIRC" {
        return None;
    }
    let version = number(bytes, 4)?;
    let mut index = Index::default();
    let mut at = 12;
    let mut name: Vec<u8> = Vec::new();
    for _ in 0..number(bytes, 8)? {
        let start = at;
        let mode = number(bytes, at + 24)?;
        let flags = short(bytes, at + 40 + hash)?;
        at += 42 + hash;
        let mut extended = 0;
        if version >= 3 && flags & 0x4000 != 0 {
            extended = short(bytes, at)?;
            at += 2;
        }
        if version == 4 {
            let strip = varint(bytes, &mut at)?;
            name.truncate(name.len().checked_sub(strip)?);
        } else {
            name.clear();
        }
        let end = at + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
        name.extend_from_slice(bytes.get(at..end)?);
        at = if version == 4 {
            end + 1
        } else {
            start + (end - start + 8) / 8 * 8
        };
        if name.split(|byte| *byte == b'/').any(is_bad) {
            index.bad.push(name.clone());
        }
        if mode & 0o170_000 == LINK {
            index.links.push(name.clone());
        }
        // Assume-unchanged, and skip-worktree.
        if flags & 0x8000 != 0 || extended & 0x4000 != 0 {
            index.hidden.push(name.clone());
        }
    }
    Some(index)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut byte = *bytes.get(*at)?;
    *at += 1;
    let mut value = usize::from(byte & 127);
    while byte & 128 != 0 {
        byte = *bytes.get(*at)?;
        *at += 1;
        value = value
            .checked_add(1)?
            .checked_mul(128)?
            .checked_add(usize::from(byte & 127))?;
    }
    Some(value)
}

/// Components that name a git directory for some file system, or leave the work tree.
fn is_bad(component: &[u8]) -> bool {
    let lower = OsStr::from_bytes(component).to_ascii_lowercase();
    let name = lower.as_bytes();
    matches!(name, b"" | b"." | b".." | b".git" | b"git~1")
        || name.starts_with(b".git:")
        || name.trim_ascii_end() == b".git"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(out: &mut Vec<u8>, mode: u32, flags: u16, name: &str) {
        let start = out.len();
        out.extend([0; 24]);
        out.extend(mode.to_be_bytes());
        out.extend([0; 32]);
        out.extend((flags | name.len() as u16).to_be_bytes());
        out.extend(name.as_bytes());
        let length = out.len() - start;
        out.resize(start + (length + 8) / 8 * 8, 0);
    }

    #[test]
    fn what_can_harm_is_seen() {
        let mut bytes = b"DIRC\0\0\0\x02\0\0\0\x05".to_vec();
        entry(&mut bytes, 0o100_644, 0, "a.txt");
        entry(&mut bytes, 0o100_755, 0, ".git/hooks/x");
        entry(&mut bytes, 0o100_755, 0, "a/.GIT/config");
        entry(&mut bytes, 0o160_000, 0, "sub");
        entry(&mut bytes, 0o100_644, 0x8000, "quiet");
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(
            parse(&bytes, 20),
            Some(Index {
                bad: names(&[".git/hooks/x", "a/.GIT/config"]),
                links: names(&["sub"]),
                hidden: names(&["quiet"]),
            })
        );
    }

    #[test]
    fn what_is_cut_short_is_no_index() {
        let mut bytes = b"DIRC\0\0\0\x02\0\0\0\x01".to_vec();
        entry(&mut bytes, 0o100_644, 0, "a.txt");
        // After the name's end comes padding, which nobody reads.
        for length in 0..bytes.len() - 4 {
            assert_eq!(parse(bytes.get(..length).unwrap(), 20), None, "{length}");
        }
        assert_eq!(parse(b"DIRC\0\0\0\x02\xff\xff\xff\xff", 20), None);
    }
}
