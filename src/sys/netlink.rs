//! Sockets to the kernel's own services (netlink(7)). Everything here is safe; it is beside the raw calls because only this
//! module talks to the kernel.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

use crate::net::wire::{self, Answer};

/// The kernel answers in no time; this only keeps a fault from becoming a hang.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than one answer is ever long (netlink(7) advises 8 KiB or more).
const ANSWER_MAX: usize = 64 * 1024;
/// How often a list is asked for again that changed while it was read.
const TRIES: usize = 8;

/// Which of the kernel's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Interfaces and addresses.
    Route,
    /// Packet filters.
    Netfilter,
}

/// A socket to one of them, in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Opens one.
    ///
    /// # Errors
    /// The kernel's answer; EPROTONOSUPPORT where it was built without the service.
    pub fn open(service: Service) -> io::Result<Self> {
        let protocol: Option<Protocol> = match service {
            // Number 0, which is what no protocol is too.
            Service::Route => None,
            Service::Netfilter => Some(netlink::NETFILTER),
        };
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// Sends messages and waits for their confirmations.
    ///
    /// # Errors
    /// The first message that the kernel did not carry out, or a socket that does not work.
    pub fn change(&self, messages: &[u8], confirmations: usize) -> io::Result<()> {
        self.send(messages)?;
        let mut confirmed = 0;
        let mut buffer = vec![0; ANSWER_MAX];
        while confirmed < confirmations {
            let received = self.receive(&mut buffer)?;
            for answer in wire::answers(received) {
                match answer {
                    Answer::Done => confirmed += 1,
                    Answer::Failed(code) => return Err(io::Error::from_raw_os_error(code)),
                    Answer::End | Answer::Content { .. } => {}
                }
            }
        }
        Ok(())
    }

    /// Asks for a list. Each answer of the wanted kind is handed to `read`.
    ///
    /// # Errors
    /// The kernel's answer; a list that never stands still is an error too.
    pub fn list<T>(&self, question: &[u8], wanted: u16, read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
        for _ in 0..TRIES {
            if let Some(list) = self.list_once(question, wanted, &read)? {
                return Ok(list);
            }
        }
        Err(io::Error::other("the list changes faster than it can be read"))
    }

    /// `None` if the list changed on the way.
    fn list_once<T>(
        &self,
        question: &[u8],
        wanted: u16,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        self.send(question)?;
        let mut buffer = vec![0; ANSWER_MAX];
        let (mut list, mut stood_still) = (Vec::new(), true);
        loop {
            let received = self.receive(&mut buffer)?;
            for answer in wire::answers(received) {
                match answer {
                    Answer::Content {
                        kind,
                        interrupted,
                        body,
                    } => {
                        stood_still &= !interrupted;
                        if kind == wanted {
                            list.extend(read(body));
                        }
                    }
                    Answer::Failed(code) => return Err(io::Error::from_raw_os_error(code)),
                    Answer::End => return Ok(stood_still.then_some(list)),
                    Answer::Done => {}
                }
            }
        }
    }

    fn send(&self, messages: &[u8]) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = sendto(&self.0, messages, SendFlags::empty(), &kernel)?;
        if sent == messages.len() {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::WriteZero))
        }
    }

    fn receive<'buffer>(&self, buffer: &'buffer mut [u8]) -> io::Result<&'buffer [u8]> {
        let received = loop {
            match recv(&self.0, &mut *buffer, RecvFlags::empty()) {
                Ok((received, _)) => break received,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if received == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(buffer.get(..received).unwrap_or_default())
    }
}
