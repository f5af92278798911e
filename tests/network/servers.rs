//! Servers that tell where they stand: each answers with its name, over TCP and UDP, and some answer questions for names.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// Answers every connection and every packet with a name.
pub fn named(address: IpAddr, tcp: u16, udp: u16, name: &'static str) {
    stream(address, tcp, name);
    packets(address, udp, name);
}

/// Answers every connection with a name.
pub fn stream(address: IpAddr, port: u16, name: &'static str) {
    let listener = TcpListener::bind(SocketAddr::new(address, port))
        .unwrap_or_else(|error| panic!("a server on {address}:{port}: {error}"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = writeln!(stream, "{name}");
            });
        }
    });
}

/// Answers every packet with a name.
pub fn packets(address: IpAddr, port: u16, name: &'static str) {
    let socket = UdpSocket::bind(SocketAddr::new(address, port))
        .unwrap_or_else(|error| panic!("a server on {address}:{port}: {error}"));
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(format!("{name}\n").as_bytes(), from);
        }
    });
}

/// The names that the lab's name servers know.
const NAMES: [(&str, [u8; 4]); 5] = [
    ("www.example.test", [203, 0, 113, 10]),
    // The vendor's own name leads to a stub of the lab.
    ("api.anthropic.com", [203, 0, 113, 11]),
    ("nas.lan", [192, 168, 77, 2]),
    // A name of the internet that leads to the local network: what rebinding attacks use.
    ("rebind.example.test", [192, 168, 77, 2]),
    ("metadata.example.test", [169, 254, 169, 254]),
];

/// A name server, over both protocols (RFC 1035).
pub fn names(address: IpAddr) {
    names_by(address, |asked| {
        let known = NAMES.iter().find(|(known, _)| *known == asked);
        known.map(|(_, address)| vec![*address])
    });
}

/// One whose addresses for a name come from a function; `None` where there is no such name.
pub fn names_by(address: IpAddr, known: impl Fn(&str) -> Option<Vec<[u8; 4]>> + Send + Sync + 'static) {
    let known = std::sync::Arc::new(known);
    let place = SocketAddr::new(address, 53);
    let socket = UdpSocket::bind(place).unwrap_or_else(|error| panic!("a name server on {address}: {error}"));
    let by_packet = std::sync::Arc::clone(&known);
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer(&buffer[..length], &*by_packet), from);
        }
    });
    let listener = TcpListener::bind(place).unwrap_or_else(|error| panic!("a name server on {address}: {error}"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let known = std::sync::Arc::clone(&known);
            std::thread::spawn(move || {
                let mut length = [0; 2];
                let mut read = || -> std::io::Result<Vec<u8>> {
                    stream.read_exact(&mut length)?;
                    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut question)?;
                    Ok(question)
                };
                if let Ok(question) = read() {
                    let answer = answer(&question, &*known);
                    let length = u16::try_from(answer.len()).expect("a short answer");
                    let _ = stream.write_all(&[&length.to_be_bytes()[..], &answer].concat());
                }
            });
        }
    });
}

/// The answer to one question for an address.
fn answer(question: &[u8], known: &dyn Fn(&str) -> Option<Vec<[u8; 4]>>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while let Some(length) = question.get(at).copied().filter(|length| *length != 0) {
        let label = &question[at + 1..at + 1 + usize::from(length)];
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += 1 + usize::from(length);
    }
    let end = at + 5;
    let name = labels.join(".");
    let wants_four = question[at + 1..at + 3] == [0, 1];
    let known = known(&name);
    // The question's own number and flags; an answer, recursion available, or no such name.
    let code = if known.is_some() { 0x80 } else { 0x83 };
    let addresses = known.filter(|_| wants_four).unwrap_or_default();
    let count = u8::try_from(addresses.len()).expect("a few addresses");
    let mut out = [&question[..2], &[question[2] | 0x80, code, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    out.extend_from_slice(&question[12..end]);
    for address in addresses {
        out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        out.extend_from_slice(&address);
    }
    out
}
