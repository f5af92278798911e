//! What is said of one path inside: plain values.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::invariants::plan::{Mount, What};
use crate::path::HostPath;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Absent,
    /// The way there ends early: why.
    Unreachable(String),
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A Unix socket. It cannot be opened; a process that listens on it can be reached.
    Socket,
    /// A device, a pipe, or anything else.
    Special,
    /// Something of `/proc` or `/dev` that only the running kernel knows.
    Kernel,
}

impl Kind {
    /// The word for JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unreachable(_) => "unreachable",
            Self::Directory => "directory",
            Self::File => "file",
            Self::Socket => "socket",
            Self::Special => "special",
            Self::Kernel => "kernel",
        }
    }

    /// Whether there is anything at all.
    #[must_use]
    pub fn visible(&self) -> bool {
        !matches!(self, Self::Absent | Self::Unreachable(_))
    }
}

/// One symbolic link that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'run> {
    /// Its place inside.
    pub at: PathBuf,
    /// Where it points, as written in it.
    pub target: OsString,
    /// The mount that shows it.
    pub mount: Option<&'run Mount>,
}

/// What is seen at a path inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<'run> {
    /// The path without links, up to where the look ended.
    pub path: PathBuf,
    /// What is there.
    pub kind: Kind,
    /// Whether it can be opened for reading, a directory listed. `None`: only the kernel knows.
    pub readable: Option<bool>,
    /// Whether it can be opened for writing, in a directory something be made. `None`: only the kernel knows.
    pub writable: Option<bool>,
    /// The mount that decides what is there.
    pub mount: Option<&'run Mount>,
    /// The file of the host behind it: for an absent path, the one that would be.
    pub source: Option<HostPath>,
    /// Whether it is a directory that is there only because mounts lie below it.
    pub implied: bool,
    /// The links that were followed.
    pub through: Vec<Link<'run>>,
}

impl Seen<'_> {
    /// Whether something of the host is hidden here behind an empty file or directory.
    #[must_use]
    pub fn masked(&self) -> bool {
        self.mount
            .is_some_and(|mount| matches!(mount.what, What::MaskFile | What::MaskDirectory))
    }
}
