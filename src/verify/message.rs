//! What the host asks the probe, and what the probe answers: one line of JSON each way.

use std::ffi::OsStr;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::needles::Needles;

/// The longest message that is read, in bytes: a command line of the kernel's own limit, several times over.
const MESSAGE_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of the kernel, which need not be text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// As a path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl<T: AsRef<OsStr>> From<T> for Bytes {
    fn from(text: T) -> Self {
        Self(text.as_ref().as_bytes().to_vec())
    }
}

/// What the probe says first: it is there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello;

/// The questions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Questions {
    /// What the canaries of this run have in common.
    pub token: String,
    /// Paths to look at, links followed.
    pub paths: Vec<Bytes>,
    /// Directories to list.
    pub directories: Vec<Bytes>,
    /// Sockets to connect to, by their paths.
    pub sockets: Vec<Bytes>,
    /// An abstract socket to connect to.
    pub abstract_socket: Bytes,
    /// Addresses to connect to.
    pub addresses: Vec<SocketAddr>,
    /// Shared memory of the host to attach, by its number.
    pub memory: Option<i32>,
    /// The Nix daemon's socket, to ask whom it trusts.
    pub nix: Bytes,
}

/// What a path shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The kind of file, in the words of [`crate::view::Kind::word`].
    pub kind: String,
    /// Device and inode number; zeros where there is nothing.
    pub identity: (u64, u64),
    /// It can be opened for reading, a directory listed.
    pub readable: bool,
    /// It can be opened for writing; in a directory something can be made.
    pub writable: bool,
    /// It is an empty file or an empty directory.
    pub empty: bool,
}

/// A process that the probe sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name.
    pub name: String,
    /// How many bytes of its environment can be read.
    pub environment: usize,
    /// The places of the canaries in its environment, its command line and its descriptors.
    pub canaries: Vec<String>,
}

/// What became of a connection, or another try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Try {
    /// It worked.
    Done,
    /// The kernel's answer, by its number (errno(3)).
    Refused(i32),
    /// No answer in time.
    Silence,
}

impl Try {
    /// From a system call.
    #[must_use]
    pub fn of<T>(result: &io::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) => Self::Refused(error.raw_os_error().unwrap_or_default()),
        }
    }
}

/// One attempt and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried.
    pub what: String,
    /// What came of it.
    pub result: Try,
}

/// What the Nix daemon said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nix {
    /// It cannot be reached.
    Unreachable,
    /// It trusts the sandbox, or not; `None` where it does not say.
    Answers(Option<bool>),
}

/// The answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answers {
    /// The probe's own number, as it sees it.
    pub pid: i32,
    /// The probe's environment, `NAME=value` each.
    pub environment: Vec<Bytes>,
    /// The processes that it sees.
    pub processes: Vec<Process>,
    /// Its descriptors above standard error, each with what it is.
    pub descriptors: Vec<(i32, String)>,
    /// Calls on the kernel's keyrings.
    pub keyring: Vec<Attempt>,
    /// Calls that put input into a terminal.
    pub terminal: Vec<Attempt>,
    /// The namespaces, by their names in `/proc/self/ns`.
    pub namespaces: Vec<(String, u64)>,
    /// The canary in the host's shared memory.
    pub memory: Attempt,
    /// What the paths show, in the order of the questions.
    pub looks: Vec<Look>,
    /// What is in the directories, in the order of the questions; `None` where one cannot be listed.
    pub listings: Vec<Option<Vec<Bytes>>>,
    /// Where something is mounted, and what is seen there.
    pub mounts: Vec<(Bytes, Look)>,
    /// The connections to the sockets, in the order of the questions.
    pub sockets: Vec<Try>,
    /// The connection to the abstract socket.
    pub abstract_socket: Try,
    /// The connections to the addresses, in the order of the questions.
    pub addresses: Vec<Try>,
    /// The Nix daemon.
    pub nix: Nix,
    /// /proc/self/status.
    pub status: String,
    /// /proc/self/uid_map.
    pub uid_map: String,
}

/// What is asked after that, one at a time.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// To connect with a name. The answer is one byte, with the connection where there is one, and [`Connected`].
    Connect {
        /// The name, which is to be resolved as every program inside does.
        name: String,
        /// The port.
        port: u16,
        /// The file of the certificates that are trusted inside.
        certificates: Bytes,
    },
    /// To look for these in everything that can be read. The answer is [`Found`].
    Hunt(Needles),
    /// Nothing more.
    Nothing,
}

/// How a connection came about.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connected {
    /// Where the name leads.
    pub address: Option<SocketAddr>,
    /// Why there is no connection.
    pub failed: Option<String>,
    /// What is in the file of the certificates.
    pub certificates: Bytes,
}

/// What a hunt found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Where a needle fits, and what stands there.
    pub hits: Vec<(String, Bytes)>,
    /// How many files were read.
    pub files: usize,
    /// How many processes were read.
    pub processes: usize,
    /// Whether there was more than is read at most.
    pub more: bool,
}

/// Writes one message.
///
/// # Errors
/// The other end is gone, or does not read.
pub fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    to.write_all(&text)
}

/// Reads one message.
///
/// # Errors
/// The other end is gone, or what it said is no message.
pub fn receive<T: DeserializeOwned>(from: impl io::Read) -> io::Result<T> {
    let mut text = Vec::new();
    io::BufReader::new(from.take(MESSAGE_MAX)).read_until(b'\n', &mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
