//! Raw requests to a brokered name, each with its answer and with the very bytes that upstream received: `requests.txt`.
//!
//! The form of the file: `#` begins a section and `==` a case; the lines up to `<-` are sent, each with a return and a feed unless it
//! ends in `\`; each `<-` is one answer (its status, and our text or upstream's); the lines from `->` on are one request as upstream
//! received it. `\r`, `\n`, `\t`, `\0` and `\xff` are bytes, `[KEY]` and its like are credentials, `[300]` is that many times `a`.

use std::fmt::Write;

use claudebox::net::broker::{ACCESS, API, KEY, REFRESH};

use super::client::{Client, Response};
use super::world::{Broker, REAL_KEY, World, world};

const CASES: &str = include_str!("requests.txt");

/// What every connection that is still open is asked at the end: an answer to anything else would come before.
const LAST: &str = "GET /api/artifacts/mcp HTTP/1.1\r\nHost: api.anthropic.com\r\nConnection: close\r\n\r\n";

#[test]
fn each_raw_request_has_its_answer_and_nothing_else_arrives() {
    world(|world| {
        world.api.answer(|request, out| {
            let body = if request.starts_with(b"HEAD ") { "" } else { "ok" };
            write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{body}")
        });
        // The control: who reaches the vendor directly can use another's account, and every call.
        let attack = format!(
            "POST /v1/files HTTP/1.1\r\nHost: {API}\r\nX_Api_Key: ATTACKER\r\nX-Api-Key: ATTACKER\r\nContent-Length: 0\r\n\r\n"
        );
        let direct = Client::tls(([203, 0, 113, 10].into(), 443), API, &world.authority.pem());
        assert_eq!(
            direct
                .and_then(|mut direct| direct.ask(&attack))
                .expect("an answer")
                .body,
            "ok"
        );
        assert_eq!(world.api.received(), [attack]);

        let broker = world.broker(&world.configuration());
        let mut seen = String::new();
        for part in split(CASES) {
            if part.starts_with('#') {
                seen.push_str(&part);
            } else {
                let (sent, _) = part.split_once("\n<-").expect("a case has an answer");
                let (what, sent) = sent.split_once('\n').expect("a case and what it sends");
                let _ = writeln!(seen, "{what}\n{sent}");
                seen.push_str(&case(world, &broker, &bytes(sent)));
            }
        }
        // As a whole: what differs is easier to find in a file.
        let file = world.path("seen.txt");
        std::fs::write(&file, &seen).expect("our own file");
        if seen != CASES {
            let kept = world.directory.path().with_extension("seen");
            std::fs::copy(&file, &kept).expect("our own file");
            panic!(
                "the answers are others: compare tests/broker/requests.txt with {}",
                kept.display()
            );
        }
        let arrived = seen
            .split("\n-> ")
            .skip(1)
            .map(|part| part.split("\n== ").next().unwrap_or_default());
        assert_eq!(arrived.filter(|request| request.contains("ATTACKER")).count(), 0);
    });
}

/// The parts of the file: sections and cases, each with its end of line.
fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("# ") || line.starts_with("== ") || parts.is_empty() {
            parts.push(String::new());
        }
        let part = parts.last_mut().expect("just made");
        part.push_str(line);
        part.push('\n');
    }
    parts
}

/// The bytes of a case's lines.
fn bytes(lines: &str) -> Vec<u8> {
    let mut text = lines
        .replace("[KEY]", KEY)
        .replace("[ACCESS]", ACCESS)
        .replace("[REFRESH]", REFRESH);
    for count in [60_000, 70_000, 900_000] {
        text = text.replace(&format!("[{count}]"), &"a".repeat(count));
    }
    let mut bytes = Vec::new();
    for line in text.split('\n') {
        let (line, end) = match line.strip_suffix('\\') {
            Some(line) => (line, ""),
            None => (line, "\r\n"),
        };
        let mut parts = line.split('\\');
        bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            let (byte, rest) = match part.split_at(1) {
                ("r", rest) => (b'\r', rest),
                ("n", rest) => (b'\n', rest),
                ("t", rest) => (b'\t', rest),
                ("0", rest) => (0, rest),
                (_, rest) => {
                    let (digits, rest) = rest.split_at(2);
                    (u8::from_str_radix(digits, 16).expect("two digits"), rest)
                }
            };
            bytes.push(byte);
            bytes.extend_from_slice(rest.as_bytes());
        }
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes
}

/// Sends one case; what came of it in the form of the file.
fn case(world: &World, broker: &Broker, sent: &[u8]) -> String {
    let mut text = String::new();
    let mut client = world.client(broker, API);
    for answer in client.answers_before(sent, LAST) {
        let _ = writeln!(text, "<- {}", shown(&answer));
    }
    for request in world.api.received() {
        let lines: Vec<String> = request.split("\r\n").map(|line| line.replace('\n', "\\n")).collect();
        let request = lines.join("\n").replace(REAL_KEY, "[REAL]");
        let request = request.replace(&"a".repeat(60_000), "[60000]");
        // As in what is sent: a last line without its end has a `\`.
        let end = if request.ends_with('\n') { "" } else { "\\\n" };
        let _ = write!(text, "-> {request}{end}");
    }
    assert_eq!(world.platform.received(), Vec::<String>::new());
    text
}

/// An answer in one line.
pub fn shown(answer: &Response) -> String {
    let ours: Option<String> = serde_json::from_str::<serde_json::Value>(&answer.body)
        .ok()
        .and_then(|value| value["error"]["message"].as_str().map(str::to_owned));
    let body = ours.unwrap_or_else(|| answer.body.clone());
    match answer.status {
        0 => "closed".to_owned(),
        status => format!("{status} {body}").trim_end().to_owned(),
    }
}

impl Client {
    /// Sends bytes and then a last request; the answers before the one to that. That nothing is answered is an answer too.
    fn answers_before(&mut self, sent: &[u8], last: &str) -> Vec<Response> {
        // A broker that refuses may close before everything is sent.
        let _ = self.write(sent).and_then(|()| self.write(last.as_bytes()));
        let mut answers = Vec::new();
        let mut without_body = sent.starts_with(b"HEAD ");
        while let Ok(answer) = self.response(without_body) {
            without_body = false;
            answers.push(answer);
        }
        let of_last = |answer: &Response| answer.status == 404 && answer.head.contains("connection: close");
        if answers.last().is_some_and(of_last) {
            answers.pop();
        } else if answers.is_empty() {
            answers.push(Response::closed());
        }
        answers
    }
}
