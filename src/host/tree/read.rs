//! Reads regular files: bounded, and never through a symlink at the end or from something that only looks like a file.

use std::path::Path;

use super::{Kind, Node, Source, Tree, Unreadable, unreadable};

/// As long as most files that the kernel writes while they are read, in bytes.
const KERNEL_FILE: u64 = 2048;

const NOT_REGULAR: &str = "not a regular file";

impl Tree {
    /// The bytes of a regular file, at most `limit` of them. The file is opened without following a symlink at its end.
    ///
    /// # Errors
    /// When there is no such file, it is no regular file, longer than `limit` bytes, or not readable.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
        let content = self.read_at_most(path, limit.saturating_add(1))?;
        if content.len() as u64 > limit {
            return Err(failed(path, format!("longer than {limit} bytes")));
        }
        Ok(content)
    }

    /// The first bytes of a regular file: `count` of them, or all of a shorter one. Opened as by [`Tree::read`].
    ///
    /// # Errors
    /// When there is no such file, it is no regular file, or not readable.
    pub fn read_start(&self, path: &Path, count: usize) -> Result<Vec<u8>, Unreadable> {
        self.read_at_most(path, count as u64)
    }

    fn read_at_most(&self, path: &Path, count: u64) -> Result<Vec<u8>, Unreadable> {
        match &self.source {
            Source::Described(nodes) => match nodes.get(path) {
                Some((Node { kind: Kind::File, .. }, content)) => Ok(content
                    .iter()
                    .take(usize::try_from(count).unwrap_or(usize::MAX))
                    .copied()
                    .collect()),
                Some(_) => Err(failed(path, NOT_REGULAR)),
                None => Err(failed(path, "no such file or directory")),
            },
            Source::Real { .. } => read_real(path, count),
        }
    }
}

fn failed(path: &Path, why: impl Into<String>) -> Unreadable {
    Unreadable {
        path: path.to_path_buf(),
        why: why.into(),
    }
}

fn read_real(path: &Path, count: u64) -> Result<Vec<u8>, Unreadable> {
    use rustix::fs::{Mode, OFlags};
    use std::io::Read;
    // O_NONBLOCK: a FIFO that someone put in the place of a file must not make us wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(path, &error.into()))?;
    let file = std::fs::File::from(descriptor);
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(failed(path, NOT_REGULAR));
    }
    // One byte more, which tells the end of the file without a look for more room; and some for a file of the kernel's, which
    // has no length.
    let length = metadata.len().max(KERNEL_FILE).saturating_add(1).min(count);
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(count)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(path, &error))?;
    Ok(content)
}
