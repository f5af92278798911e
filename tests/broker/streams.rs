//! Bodies: passed through as they come, at the reader's pace, and given up when the reader does.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use claudebox::net::broker::{API, KEY};

use super::client::{Client, head};
use super::world::{Broker, PATIENCE, world};

/// A request with the placeholder and without a body.
fn get() -> String {
    format!("GET /v1/models HTTP/1.1\r\nHost: {API}\r\nX-Api-Key: {KEY}\r\n\r\n")
}

/// The head of an answer without an end.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn a_long_body_arrives_whole() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        let length = 20 << 20;
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: {API}\r\nX-Api-Key: {KEY}\r\nContent-Length: {length}\r\n\r\n"
        );
        let body: Vec<u8> = (0..length)
            .map(|at: usize| b'a' + u8::try_from(at / 1000 % 26).expect("a letter"))
            .collect();
        client.write(head.as_bytes()).expect("the broker");
        assert_eq!(client.ask(&body).expect("an answer").body, "ok");
        let received = world.api.received();
        let (_, arrived) = received[0].split_once("\r\n\r\n").expect("a head");
        assert!(
            arrived.as_bytes() == body,
            "{} bytes of {length} arrived",
            arrived.len()
        );
        assert!(resident(&broker) < 16 << 20, "{} bytes", resident(&broker));
    });
}

#[test]
fn a_reader_that_stalls_holds_the_writer_back() {
    world(|world| {
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        world.api.answer(move |_, out| {
            out.write_all(ENDLESS)?;
            let part = [b'x'; 64 * 1024];
            loop {
                write!(out, "{:x}\r\n", part.len())?;
                out.write_all(&part)?;
                out.write_all(b"\r\n")?;
                counter.fetch_add(part.len() as u64, Ordering::SeqCst);
            }
        });
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        client.write(get().as_bytes()).expect("the broker");
        head(&mut client.0).expect("an answer");
        // Until nothing more is written for a while.
        let mut before = 0;
        let start = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = written.load(Ordering::SeqCst);
            if now == before && now > 0 {
                break;
            }
            before = now;
            assert!(
                start.elapsed() < PATIENCE,
                "{now} bytes were written for a reader that reads none"
            );
        }
        assert!(resident(&broker) < 16 << 20, "{} bytes", resident(&broker));
        // It goes on where the reader does.
        let mut part = vec![0; 64 << 20];
        client.0.read_exact(&mut part).expect("the stream");
        assert!(written.load(Ordering::SeqCst) > before);
        assert!(resident(&broker) < 16 << 20, "{} bytes", resident(&broker));
    });
}

#[test]
fn each_event_arrives_before_the_next_one_is_sent() {
    world(|world| {
        let (next, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        world.api.answer(move |_, out| {
            out.write_all(ENDLESS)?;
            for number in 0..50 {
                wait.lock().expect("no panic").recv().expect("the test");
                let event = format!("data: {number}\n\n");
                write!(out, "{:x}\r\n{event}\r\n", event.len())?;
                out.flush()?;
            }
            out.write_all(b"0\r\n\r\n")
        });
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        client.write(get().as_bytes()).expect("the broker");
        next.send(()).expect("the service");
        head(&mut client.0).expect("an answer");
        for number in 0..50 {
            let event = format!("data: {number}\n\n");
            let expected = format!("{:X}\r\n{event}\r\n", event.len());
            let mut bytes = vec![0; expected.len()];
            client.0.read_exact(&mut bytes).expect("an event");
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
            let _ = next.send(());
        }
        let mut end = [0; 5];
        client.0.read_exact(&mut end).expect("the end");
        assert_eq!(&end, b"0\r\n\r\n");
    });
}

#[test]
fn a_reader_that_gives_up_is_noticed_upstream() {
    world(|world| {
        let aborted = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&aborted);
        world.api.answer(move |_, out| {
            out.write_all(ENDLESS)?;
            loop {
                let sent = out.write_all(b"9\r\ndata: 0\n\n\r\n").and_then(|()| out.flush());
                if let Err(error) = sent {
                    noticed.store(true, Ordering::SeqCst);
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let broker = world.broker(&world.configuration());
        let mut client: Client = world.client(&broker, API);
        client.write(get().as_bytes()).expect("the broker");
        head(&mut client.0).expect("an answer");
        client.0.read_exact(&mut [0; 3]).expect("an event");
        drop(client);
        let start = Instant::now();
        while !aborted.load(Ordering::SeqCst) {
            assert!(start.elapsed() < PATIENCE, "upstream goes on for nobody");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The broker serves on.
        world.api.answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(world.client(&broker, API).ask(get()).expect("an answer").body, "ok");
    });
}

#[test]
fn an_answer_comes_as_upstream_gave_it() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        for status in [
            "400 Bad Request",
            "401 Unauthorized",
            "413 Payload Too Large",
            "429 Too Many Requests",
            "500 X",
            "529 Overloaded",
        ] {
            let body = format!("{{\"type\":\"error\",\"error\":{{\"message\":\"upstream's own words: {status}\"}}}}");
            let ends = format!("content-length: {}\r\n", body.len());
            let kept = "date: d\r\ncontent-type: application/json\r\nretry-after: 3\r\nanthropic-ratelimit-requests-limit: 1\r\nrequest-id: r\r\n";
            let taken = "set-cookie: a=b\r\nalt-svc: h3=\":443\"\r\nkeep-alive: timeout=5\r\nconnection: x-own, keep-alive\r\nx-own: 1\r\n\
                         proxy-authenticate: Basic\r\nupgrade: h2c\r\n";
            world
                .api
                .answer_bytes(&format!("HTTP/1.1 {status}\r\n{kept}{taken}{ends}\r\n{body}"));
            let response = client.ask(get()).expect("an answer");
            let (line, headers) = response.head.split_once("\r\n").expect("a head");
            assert_eq!(line.get(9..12), status.get(..3), "{line}");
            assert_eq!((headers, response.body), (format!("{kept}{ends}\r\n").as_str(), body));
        }
    });
}

#[test]
fn upstream_cannot_change_the_protocol() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        world
            .api
            .answer_bytes("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw");
        let response = world.client(&broker, API).ask(get()).expect("an answer");
        assert_eq!(
            super::requests::shown(&response),
            "502 claudebox: `api.anthropic.com` does not answer as HTTP has it"
        );
        world.api.answer_bytes("raw\r\n\r\n");
        let response = world.client(&broker, API).ask(get()).expect("an answer");
        assert_eq!(response.status, 502);
    });
}

#[test]
fn a_connection_that_upstream_closed_while_it_was_idle_costs_no_request() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        // Said, and not kept.
        world.api.answer(|_, out| {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
            out.flush()?;
            Err(std::io::ErrorKind::Other.into())
        });
        for _ in 0..20 {
            assert_eq!(client.ask(get()).expect("an answer").status, 200);
        }
        assert_eq!(world.api.received().len(), 20);
    });
}

/// The memory that a broker has in use, in bytes.
pub fn resident(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.child.id())).expect("a running broker");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its memory");
    line.trim()
        .trim_end_matches(" kB")
        .trim()
        .parse::<u64>()
        .expect("a number")
        * 1024
}
