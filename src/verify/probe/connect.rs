//! Connections, all at once, so that those that nobody answers cost the time of one.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::verify::message::{Bytes, Try};

/// How long an answer may take. What a rule refuses is refused at once.
const PATIENCE: Duration = Duration::from_millis(400);

/// Connections that were begun.
#[derive(Debug, Default)]
pub(super) struct Connections {
    results: Vec<Try>,
    /// Those without an answer, each with its place among the results.
    waiting: Vec<(usize, OwnedFd)>,
}

impl Connections {
    /// Begins one to a socket in the file system; the place of its result.
    pub(super) fn unix(&mut self, path: &Bytes) -> usize {
        self.begin_unix(SocketAddrUnix::new(path.as_path()))
    }

    /// Begins one to an abstract socket.
    pub(super) fn abstract_unix(&mut self, name: &Bytes) -> usize {
        self.begin_unix(SocketAddrUnix::new_abstract_name(&name.0))
    }

    fn begin_unix(&mut self, address: rustix::io::Result<SocketAddrUnix>) -> usize {
        self.begin(AddressFamily::UNIX, |socket| connect(socket, &address?))
    }

    /// Begins one to an address.
    pub(super) fn internet(&mut self, address: &SocketAddr) -> usize {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        self.begin(family, |socket| connect(socket, address))
    }

    fn begin(&mut self, family: AddressFamily, to: impl FnOnce(&OwnedFd) -> rustix::io::Result<()>) -> usize {
        let place = self.results.len();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let begun = socket_with(family, SocketType::STREAM, flags, None).and_then(|socket| match to(&socket) {
            Err(Errno::INPROGRESS) => Ok(Some(socket)),
            done => done.map(|()| None),
        });
        self.results.push(match begun {
            Ok(Some(socket)) => {
                self.waiting.push((place, socket));
                Try::Silence
            }
            Ok(None) => Try::Done,
            Err(error) => Try::of::<()>(&Err(error.into())),
        });
        place
    }

    /// Waits for all answers, for a while.
    pub(super) fn wait(&mut self) {
        let start = Instant::now();
        while !self.waiting.is_empty() {
            let Some(left) = PATIENCE.checked_sub(start.elapsed()) else {
                return;
            };
            let Ok(left) = Timespec::try_from(left) else { return };
            let mut polled: Vec<PollFd> = self
                .waiting
                .iter()
                .map(|(_, socket)| PollFd::new(socket, PollFlags::OUT))
                .collect();
            if poll(&mut polled, Some(&left)).is_err() {
                return;
            }
            let answered: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut answered = answered.into_iter();
            let results = &mut self.results;
            self.waiting.retain(|(place, socket)| {
                let answered = answered.next().unwrap_or(false);
                if answered && let Some(result) = results.get_mut(*place) {
                    *result = Try::of(&ended(socket));
                }
                !answered
            });
        }
    }

    /// The result at a place.
    pub(super) fn result(&self, place: usize) -> Try {
        self.results.get(place).cloned().unwrap_or(Try::Silence)
    }
}

/// How a connection ended that was begun.
fn ended(socket: &OwnedFd) -> io::Result<()> {
    sockopt::socket_error(socket)?.map_err(io::Error::from)
}
