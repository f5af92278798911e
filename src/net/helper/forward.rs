//! Carries TCP connections from one loopback to the other. The listening sockets belong to one network namespace, this process
//! lives in the other one: what is accepted there is connected to the same port here. It understands nothing of what it carries.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::sys::handover;

/// The most connections at one time; further ones are closed at once. What is inside cannot make this process grow without end.
const CONNECTIONS_MAX: usize = 512;

/// How long to wait where a connection cannot be accepted for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Receives the listening sockets through standard input until its end, then carries connections for ever.
pub fn run() -> u8 {
    let connections = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    while let Ok(Some((listener, port))) = receive() {
        let connections = Arc::clone(&connections);
        threads.push(thread::spawn(move || serve(&listener, port, &connections)));
    }
    for thread in threads {
        let _ = thread.join();
    }
    0
}

/// One listening socket and the port that it stands for; `None` at the end.
fn receive() -> io::Result<Option<(TcpListener, u16)>> {
    let mut port = [0; 2];
    Ok(match handover::receive(io::stdin(), &mut port)? {
        (length, Some(socket)) if length == port.len() => Some((socket.into(), u16::from_be_bytes(port))),
        _ => None,
    })
}

fn serve(listener: &TcpListener, port: u16, connections: &Arc<AtomicUsize>) {
    loop {
        let Ok((from, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        if connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let counter = Arc::clone(connections);
        let spawned = thread::Builder::new().spawn(move || {
            let _ = carry(&from, port);
            counter.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Connects to the port here and copies both ways until both ends are done.
fn carry(from: &TcpStream, port: u16) -> io::Result<()> {
    let to = connect(port)?;
    for end in [from, &to] {
        let _ = end.set_nodelay(true);
    }
    thread::scope(|scope| {
        scope.spawn(|| copy(from, &to));
        copy(&to, from);
    });
    Ok(())
}

/// A server on `localhost` may listen on either address of the loopback.
fn connect(port: u16) -> io::Result<TcpStream> {
    let four = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
    TcpStream::connect(four).or_else(|_| TcpStream::connect(six))
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    if io::copy(&mut from, &mut to).is_ok() {
        // The other direction may go on.
        let _ = to.shutdown(Shutdown::Write);
    } else {
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn both_directions_are_carried_to_their_own_ends() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let place = front.local_addr().unwrap();
        let answering = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            // The question's end has arrived, and the answer's way is still open.
            stream.write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        let carrying = thread::spawn(move || carry(&front.accept().unwrap().0, port).unwrap());
        let mut client = TcpStream::connect(place).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "QUESTION");
        answering.join().unwrap();
        carrying.join().unwrap();
    }

    #[test]
    fn where_nobody_listens_the_connection_ends() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(front.local_addr().unwrap()).unwrap();
        assert!(carry(&front.accept().unwrap().0, free).is_err());
        let mut answer = Vec::new();
        assert_eq!(client.read_to_end(&mut answer).unwrap(), 0);
    }
}
