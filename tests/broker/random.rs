//! Random questions and requests, from fixed seeds: whatever comes, the broker goes on, and what arrives upstream is what may.

use claudebox::net::broker::{API, KEY};

use super::client::Client;
use super::names::{ask, asker, question};
use super::world::{REAL_KEY, world};
use crate::random::Random;

#[test]
fn random_questions_never_give_an_address_to_a_name_that_is_not_allowed() {
    world(|world| {
        let mut configuration = world.configuration();
        configuration.allow = Some(vec!["*.example.test".into()]);
        let broker = world.broker(&configuration);
        let socket = asker(world);
        let good = question(&[b"a", b"example", b"test"], 1, 1);
        // One after every random one: its answer shows that the server goes on, and whether there was an answer before it.
        let mut after = question(&[b"api", b"anthropic", b"com"], 1, 1);
        after[..2].copy_from_slice(&[0xff, 0xff]);
        for seed in 1..=2000 {
            let mut random = Random::new(seed);
            let mut packet = good.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(packet.len());
                match random.below(3) {
                    0 => packet[at] = u8::try_from(random.below(256)).expect("a byte"),
                    1 => packet.insert(at, u8::try_from(random.below(256)).expect("a byte")),
                    _ => packet.truncate(at.max(1)),
                }
            }
            if packet.get(..2) == Some(&[0xff, 0xff]) {
                continue;
            }
            socket.send(&packet).expect("the name server inside");
            let mut answer = ask(&socket, &after);
            if answer[..2] != [0xff, 0xff] {
                assert_eq!(answer[..2], packet[..2], "seed {seed}: {packet:x?}");
                let given = answer[7] == 1;
                let asked = String::from_utf8_lossy(&packet[12..]).to_lowercase();
                assert!(
                    !given || asked.contains("\u{7}example\u{4}test"),
                    "seed {seed}: {packet:x?}"
                );
                answer.resize(512, 0);
                let length = socket.recv(&mut answer).expect("the second answer");
                answer.truncate(length);
            }
            assert_eq!(answer[answer.len() - 4..], [127, 64, 0, 1], "seed {seed}");
        }
        drop(broker);
    });
}

/// What requests are made of, right and wrong.
const LINES: [&str; 22] = [
    "Host: api.anthropic.com\r\n",
    "Host: evil.test\r\n",
    "X-Api-Key: [KEY]\r\n",
    "X-Api-Key: ATTACKER\r\n",
    "x-api-key\t: ATTACKER\r\n",
    "X_Api_Key: ATTACKER\r\n",
    "Authorization: Bearer ATTACKER\r\n",
    "Cookie: ATTACKER\r\n",
    "Anthropic-Beta: a\r\n",
    "Connection: x-api-key\r\n",
    "Connection: close\r\n",
    "Content-Length: 2\r\n",
    "Content-Length: 40\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding:\n chunked\r\n",
    "Expect: 100-continue\r\n",
    " folded\r\n",
    "\n",
    "\r",
    "\0",
    ": x\r\n",
];
const STARTS: [&str; 8] = [
    "POST /v1/messages HTTP/1.1\r\n",
    "POST /v1/messages?beta=true HTTP/1.1\r\n",
    "GET /v1/models HTTP/1.1\r\n",
    "POST /v1/files HTTP/1.1\r\n",
    "POST /v1/messages/../files HTTP/1.1\r\n",
    "POST http://evil.test/v1/messages HTTP/1.1\r\n",
    "POST /v1/messages HTTP/1.0\r\n",
    "CONNECT evil.test:443 HTTP/1.1\r\n",
];
const BODIES: [&str; 7] = [
    "\r\n",
    "\r\n{}",
    "\r\n2\r\n{}\r\n0\r\n\r\n",
    "\r\n0\r\n\r\nPOST /v1/files HTTP/1.1\r\nHost: api.anthropic.com\r\nX-Api-Key: ATTACKER\r\n\r\n",
    "\r\n2\r\n{}\r\n0\r\nX-Api-Key: ATTACKER\r\n\r\n",
    "\r\nffffffffffffffff\r\n",
    "",
];

#[test]
fn of_random_requests_only_what_may_arrive_arrives() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let (mut arrived, mut refused) = (0, 0);
        for seed in 1..=400 {
            let mut random = Random::new(seed);
            let mut sent = String::new();
            for _ in 0..=random.below(2) {
                sent.push_str(STARTS[random.below(STARTS.len())]);
                // Half of them begin well, or hardly any would get far.
                if random.once_in(2) {
                    sent.push_str("Host: api.anthropic.com\r\nX-Api-Key: [KEY]\r\n");
                }
                for _ in 0..random.below(5) {
                    sent.push_str(LINES[random.below(LINES.len())]);
                }
                sent.push_str(BODIES[random.below(BODIES.len())]);
            }
            let sent = sent.replace("[KEY]", KEY);
            let mut client: Client = world.client(&broker, API);
            let _ = client.write(sent.as_bytes());
            // Whatever is not complete ends here.
            client.0.conn.send_close_notify();
            let _ = client.write(b"");
            let _ = client.0.sock.shutdown(std::net::Shutdown::Write);
            while let Ok(response) = client.response(false) {
                refused += u32::from(response.status != 200);
            }
            for request in world.api.received() {
                arrived += 1;
                let (head, _) = request.split_once("\r\n\r\n").expect("a head");
                let (start, headers) = head.split_once("\r\n").expect("headers");
                let known = ["POST /v1/messages", "POST /v1/messages?beta=true", "GET /v1/models"];
                let target = start
                    .strip_suffix(" HTTP/1.1")
                    .expect("the version that the broker speaks");
                assert!(known.contains(&target), "seed {seed}: {start}");
                let count = |name: &str| headers.lines().filter(|line| line.starts_with(name)).count();
                assert_eq!(count("host: api.anthropic.com"), 1, "seed {seed}: {headers}");
                assert_eq!(count("host:"), 1, "seed {seed}: {headers}");
                assert!(count("x-api-key:") <= 1, "seed {seed}: {headers}");
                assert_eq!(
                    count("x-api-key:"),
                    count(&format!("x-api-key: {REAL_KEY}")),
                    "seed {seed}"
                );
                assert!(
                    count("content-length:") + count("transfer-encoding: chunked") <= 1,
                    "seed {seed}: {headers}"
                );
                assert!(!headers.contains("ATTACKER"), "seed {seed}: {headers}");
            }
        }
        assert!(
            arrived > 20 && refused > 100,
            "{arrived} arrived, {refused} were refused"
        );
        assert_eq!(world.platform.received(), Vec::<String>::new());
    });
}
