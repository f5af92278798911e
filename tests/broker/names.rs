//! Names: which exist inside, which address they have there, and that a connection is for one name alone.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use claudebox::net::broker::{API, PLATFORM};
use claudebox::net::name::Name;

use super::client::Client;
use super::world::{PATIENCE, World, world};

/// A question for a name, as a program asks it.
pub fn question(name: &[&[u8]], kind: u16, class: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name {
        packet.push(u8::try_from(label.len()).expect("a short label"));
        packet.extend_from_slice(label);
    }
    packet.push(0);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&class.to_be_bytes());
    packet
}

/// A socket inside that asks the name server there.
pub fn asker(world: &World) -> UdpSocket {
    world.inside(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket of ours");
        socket.connect("127.0.0.1:53").expect("the name server inside");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
        socket
    })
}

/// Asks, and gives the answer's bytes.
pub fn ask(socket: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    let mut answer = vec![0; 4096];
    socket.send(packet).expect("the name server inside");
    let length = socket.recv(&mut answer).expect("an answer");
    answer.truncate(length);
    answer
}

/// The address of a name inside, if it has one.
pub fn address(world: &World, name: &str) -> Option<Ipv4Addr> {
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    let packet = question(&labels, 1, 1);
    let answer = ask(&asker(world), &packet);
    let end = packet.len() + 12;
    let octets: [u8; 4] = answer.get(end..end + 4)?.try_into().ok()?;
    Some(octets.into())
}

#[test]
fn a_name_exists_inside_if_it_is_brokered_or_allowed() {
    world(|world| {
        let mut configuration = world.configuration();
        configuration.allow = Some(vec!["crates.io".into(), "*.github.com".into()]);
        let _broker = world.broker(&configuration);
        let table = [
            (API, Some([127, 64, 0, 1])),
            (PLATFORM, Some([127, 64, 0, 2])),
            ("crates.io", Some([127, 64, 1, 2])),
            ("Crates.IO", Some([127, 64, 1, 2])),
            ("api.github.com", Some([127, 64, 1, 3])),
            ("a.b.github.com", Some([127, 64, 1, 4])),
            ("api.github.com", Some([127, 64, 1, 3])),
            ("github.com", None),
            ("evilgithub.com", None),
            ("github.com.evil.test", None),
            ("static.crates.io", None),
            ("crates.io.lan", None),
            ("evil.test", None),
            ("localhost", None),
            ("127.0.0.1", None),
            ("0x7f.1", None),
            ("com", None),
        ];
        for (name, expected) in table {
            assert_eq!(address(world, name), expected.map(Ipv4Addr::from), "{name}");
        }
        assert_eq!(
            world.told(),
            [
                "Dns github.com: the name is not allowed",
                "Dns evilgithub.com: the name is not allowed",
                "Dns github.com.evil.test: the name is not allowed",
                "Dns static.crates.io: the name is not allowed",
                "Dns crates.io.lan: the name is not allowed",
                "Dns evil.test: the name is not allowed",
                "Dns localhost: the name is not allowed",
                "Dns com: the name is not allowed",
            ]
        );
    });
}

#[test]
fn with_an_empty_list_and_without_one_no_other_name_exists() {
    for allow in [None, Some(Vec::new())] {
        world(|world| {
            let mut configuration = world.configuration();
            configuration.allow = allow;
            let _broker = world.broker(&configuration);
            assert_eq!(address(world, "crates.io"), None);
            assert_eq!(address(world, API), Some(Ipv4Addr::new(127, 64, 0, 1)));
        });
    }
}

#[test]
fn names_without_end_do_not_make_it_grow_without_end() {
    world(|world| {
        let mut configuration = world.configuration();
        configuration.allow = Some(vec!["*.example.test".into()]);
        let _broker = world.broker(&configuration);
        let socket = asker(world);
        let asked = |number: usize| {
            let label = number.to_string();
            let packet = question(&[label.as_bytes(), b"example", b"test"], 1, 1);
            let answer = ask(&socket, &packet);
            // How it went, and the last part of the address.
            (answer[3], answer.last().copied())
        };
        // Those that are brokered count too.
        let most = 16_384 - 2;
        assert_eq!(asked(0), (0x80, Some(2)));
        for number in 1..most {
            assert_eq!(asked(number).0, 0x80, "{number}");
        }
        assert_eq!(asked(most).0, 0x85);
        assert_eq!(asked(0), (0x80, Some(2)));
        assert_eq!(address(world, API), Some(Ipv4Addr::new(127, 64, 0, 1)));
        assert_eq!(
            world.told(),
            [format!("Dns {most}.example.test: too many names were asked for")]
        );
    });
}

#[test]
fn each_question_has_its_answer() {
    world(|world| {
        let _broker = world.broker(&world.configuration());
        let socket = asker(world);
        let api: [&[u8]; 3] = [b"api", b"anthropic", b"com"];
        let good = question(&api, 1, 1);
        // The answer's flags and counts (RFC 1035, 4.1.1), and what follows the question.
        let check = |what: &str, packet: &[u8], flags: [u8; 2], questions: u8, rest: &[u8]| {
            let question = if questions == 1 {
                &packet[12..good.len()]
            } else {
                &[][..]
            };
            let answers = u8::from(!rest.is_empty());
            let expected = [
                &packet[..2],
                &flags,
                &[0, questions, 0, answers, 0, 0, 0, 0],
                question,
                rest,
            ]
            .concat();
            assert_eq!(ask(&socket, packet), expected, "{what}");
        };
        let address = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 64, 0, 1];
        check("an address", &good, [0x85, 0x80], 1, &address);
        check("an address of IPv6", &question(&api, 28, 1), [0x85, 0x80], 1, &[]);
        check("the services' own keys", &question(&api, 65, 1), [0x85, 0x80], 1, &[]);
        check("everything", &question(&api, 255, 1), [0x85, 0x80], 1, &[]);
        check("another class", &question(&api, 1, 3), [0x85, 0x85], 1, &[]);
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut packet = good.clone();
            change(&mut packet);
            packet
        };
        let change = |at: usize, byte: u8| with(&|packet| packet[at] = byte);
        check("no recursion", &change(2, 0), [0x84, 0x80], 1, &address);
        check("another operation", &change(2, 0x29), [0xad, 0x84], 0, &[]);
        check("no question", &change(5, 0), [0x85, 0x81], 0, &[]);
        check("two questions", &change(5, 2), [0x85, 0x81], 0, &[]);
        check("a part that refers elsewhere", &change(12, 0xc0), [0x85, 0x81], 0, &[]);
        check("a part that is too long", &change(12, 64), [0x85, 0x81], 0, &[]);
        check("a part that leaves the packet", &change(12, 63), [0x85, 0x81], 0, &[]);
        check("a dot in a part", &change(13, b'.'), [0x85, 0x81], 0, &[]);
        check("a zero in a part", &change(13, 0), [0x85, 0x81], 0, &[]);
        check("a space in a part", &change(13, b' '), [0x85, 0x81], 0, &[]);
        check("a byte above ASCII", &change(13, 0xe4), [0x85, 0x81], 0, &[]);
        check("a header alone", &good[..12], [0x85, 0x81], 0, &[]);
        for cut in 12..good.len() {
            check("cut short", &good[..cut], [0x85, 0x81], 0, &[]);
        }
        let extended = [&good[..], &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
        check("an extension behind it", &extended, [0x85, 0x80], 1, &address);
        // What is no question gets no answer: the next one is for the next question.
        for silent in [&good[..11], &[], &change(2, 0x81)[..]] {
            socket.send(silent).expect("the name server inside");
            check("after silence", &good, [0x85, 0x80], 1, &address);
        }
    });
}

#[test]
fn a_brokered_connection_is_for_the_name_of_its_address_alone() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        // (address inside, name in the handshake, whether a request is served)
        let table = [
            ([127, 64, 0, 1], API, true),
            ([127, 64, 0, 2], PLATFORM, true),
            ([127, 64, 0, 1], PLATFORM, false),
            ([127, 64, 0, 2], API, false),
        ];
        for (address, name, served) in table {
            let asked = world.inside(|| {
                let mut client = Client::tls((address.into(), 443), name, &broker.ca)?;
                client.ask(format!("GET /nothing HTTP/1.1\r\nHost: {name}\r\n\r\n"))
            });
            assert_eq!(
                asked.map(|response| response.status).ok(),
                served.then_some(403),
                "{name}"
            );
        }
        // The certificate vouches for no other name, and nothing else signs for it.
        for name in ["anthropic.com", "evil.test", "x.api.anthropic.com"] {
            let tried = world.inside(|| Client::tls(([127, 64, 0, 1].into(), 443), name, &broker.ca));
            assert_eq!(
                tried.expect_err(name).to_string(),
                format!(
                    "invalid peer certificate: certificate not valid for name \"{name}\"; certificate is only valid for \
                     DnsName(\"{API}\") or DnsName(\"{PLATFORM}\")"
                )
            );
        }
        let told = |name| format!("Connection {name}: the name in the handshake is another than the connection's");
        assert_eq!(
            world.told(),
            [
                format!("Request GET {API}/nothing: this call is not one that Claude Code needs"),
                format!("Request GET {PLATFORM}/nothing: this call is not one that Claude Code needs"),
                told(API),
                told(PLATFORM),
            ]
        );
        assert_eq!(world.api.received(), Vec::<String>::new());
    });
}

#[test]
fn an_address_without_a_name_and_a_plain_connection_lead_nowhere() {
    world(|world| {
        let _broker = world.broker(&world.configuration());
        for place in ["127.0.0.1:443", "127.64.0.3:443", "127.64.1.2:80", "127.64.0.1:80"] {
            let read = world.inside(|| {
                let mut stream = TcpStream::connect(place).expect("a listener on all addresses");
                stream.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
                std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: api.anthropic.com\r\n\r\n").ok();
                let mut byte = [0];
                std::io::Read::read(&mut stream, &mut byte).unwrap_or(0)
            });
            assert_eq!(read, 0, "{place}");
        }
        assert_eq!(
            world.told(),
            [
                "Connection 127.0.0.1:443: no name has this address",
                "Connection 127.64.0.3:443: no name has this address",
                "Connection 127.64.1.2:80: no name has this address",
                "Connection api.anthropic.com:80: only encrypted connections are brokered",
            ]
        );
    });
}

#[test]
fn random_texts_are_names_only_if_they_can_be() {
    crate::random::many(3000, |random| {
        const PARTS: [&str; 16] = [
            "a", "Z", "0", "9", "-", "_", ".", "..", "x1", "0x", "*", "@", "%2e", " ", "\u{e9}", "[::1]",
        ];
        let text: String = (0..random.below(12)).map(|_| *random.of(&PARTS)).collect();
        let Ok(name) = text.parse::<Name>() else { return };
        let name = name.as_str();
        // What is read as a name is one in the form in which it is compared, and is no address for anybody.
        assert_eq!(name.parse::<Name>().map(|again| again.to_string()), Ok(name.to_owned()));
        assert!(
            name.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')),
            "{text:?}"
        );
        assert!(
            !name.split('.').any(|label| label.is_empty() || label.starts_with('-')),
            "{text:?}"
        );
        assert!(name.parse::<std::net::IpAddr>().is_err(), "{text:?}");
        let last = name.rsplit('.').next().expect("a last part");
        assert!(last.parse::<u64>().is_err() && !last.starts_with("0x"), "{text:?}");
    });
}
