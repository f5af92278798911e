//! Logins: refreshed once, stored whole, never seen inside.

mod file;
mod given;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use claudebox::net::broker::wire::{Configuration, Credential};
use claudebox::net::broker::{ACCESS, API, PLATFORM, REFRESH};
use serde_json::{Value, json};

use super::client::Client;
use super::requests::shown;
use super::world::{PATIENCE, World, client, inside, world};
use crate::network::lab::shell;
use crate::support::User;

/// Milliseconds since 1970 that are long past, and far away.
const PAST: u64 = 1_000_000_000_000;
const FUTURE: u64 = 4_000_000_000_000;

/// A login's file with other things in it.
fn file(access: &str, expires: u64) -> String {
    json!({
        "claudeAiOauth": {
            "accessToken": access, "refreshToken": "REAL-R1", "expiresAt": expires,
            "scopes": ["user:inference", "user:profile"], "subscriptionType": "max",
        },
        "mcpOAuth": {"x": 1},
    })
    .to_string()
}

/// A configuration with a login in this file, which is written.
fn configuration(world: &World, text: Option<&str>) -> Configuration {
    if let Some(text) = text {
        std::fs::write(world.path("login.json"), text).expect("our own file");
    }
    User::Ordinary.own(world.directory.path());
    Configuration {
        credential: Some(Credential::Oauth(world.path("login.json"))),
        ..world.configuration()
    }
}

/// The file now, without the moment at which the token ends if that is a new one.
fn stored(path: &Path) -> Value {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).expect("the login")).expect("JSON");
    let expires = &mut value["claudeAiOauth"]["expiresAt"];
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let soon = u64::try_from(now.as_millis()).expect("a time")..FUTURE;
    if expires.as_u64().is_some_and(|at| soon.contains(&at)) {
        *expires = json!("in a while");
    }
    value
}

/// What the vendor answers to a refresh.
const RENEWED: &str = r#"{"token_type":"Bearer","access_token":"REAL-A2","refresh_token":"REAL-R2","expires_in":28800,"scope":"user:inference user:profile"}"#;

/// What it was asked.
const QUESTION: &str = r#"{"client_id":"9d1c250a-e61b-44d9-88ed-5944d1962f5e","grant_type":"refresh_token","refresh_token":"REAL-R1","scope":"user:inference user:profile"}"#;

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Asks for a message with the placeholder, and tells what came of it.
fn message(client: &mut Client) -> String {
    let asked = client.ask(format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {ACCESS}\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    shown(&asked.expect("an answer"))
}

/// Asks for tokens.
fn tokens(client: &mut Client, body: &str) -> String {
    let asked = client.ask(format!(
        "POST /v1/oauth/token HTTP/1.1\r\nHost: {PLATFORM}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    shown(&asked.expect("an answer"))
}

/// The tokens that arrived at the service.
fn bearers(world: &World) -> Vec<String> {
    let received = world.api.received();
    let token = |request: &String| {
        let line = request.lines().find(|line| line.starts_with("authorization: "));
        line.unwrap_or("none").to_owned()
    };
    received.iter().map(token).collect()
}

/// The bodies that arrived where tokens are given out.
fn questions(world: &World) -> Vec<String> {
    let received = world.platform.received();
    let body = |request: &String| request.split_once("\r\n\r\n").expect("a head").1.to_owned();
    received.iter().map(body).collect()
}

#[test]
fn a_token_that_is_good_goes_with_the_request_and_nothing_is_refreshed() {
    world(|world| {
        let text = file("REAL-A1", FUTURE);
        let broker = world.broker(&configuration(world, Some(&text)));
        let mut client = world.client(&broker, API);
        assert_eq!(message(&mut client), "200 ok");
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A1"]);
        // Another process stored another one.
        std::fs::write(world.path("login.json"), file("REAL-A9", FUTURE)).expect("our own file");
        assert_eq!(message(&mut client), "200 ok");
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A9"]);
        assert_eq!(questions(world), Vec::<String>::new());
    });
}

#[test]
fn an_expired_token_is_refreshed_before_the_first_call_and_stored_whole() {
    world(|world| {
        world.platform.answer_bytes(&http("200 OK", RENEWED));
        let broker = world.broker(&configuration(world, Some(&file("REAL-A1", PAST))));
        assert_eq!(message(&mut world.client(&broker, API)), "200 ok");
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A2"]);
        assert_eq!(
            world.platform.received(),
            [format!(
                "POST /v1/oauth/token HTTP/1.1\r\ncontent-length: {}\r\naccept: application/json\r\n\
                 content-type: application/json\r\nuser-agent: claudebox/{}\r\nhost: {PLATFORM}\r\n\r\n{QUESTION}",
                QUESTION.len(),
                env!("CARGO_PKG_VERSION")
            )]
        );
        let path = world.path("login.json");
        let mut expected: Value = serde_json::from_str(&file("REAL-A2", PAST)).expect("JSON");
        expected["claudeAiOauth"]["refreshToken"] = json!("REAL-R2");
        expected["claudeAiOauth"]["expiresAt"] = json!("in a while");
        assert_eq!(stored(&path), expected);
        let metadata = std::fs::metadata(&path).expect("the login");
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.uid()),
            (0o600, User::Ordinary.numbers().0)
        );
        // Nothing is left beside it but the lock.
        let mut names: Vec<_> = std::fs::read_dir(world.directory.path())
            .expect("our own directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, ["denied.jsonl", "login.json", "login.json.lock", "roots.pem"]);
    });
}

#[test]
fn five_brokers_at_once_refresh_once() {
    world(|world| {
        let count = Arc::new(AtomicUsize::new(0));
        let (release, wait) = mpsc::channel::<()>();
        let (arrived, at_service) = mpsc::channel::<()>();
        let (counted, wait) = (Arc::clone(&count), Mutex::new(wait));
        world.platform.answer(move |_, out| {
            counted.fetch_add(1, Ordering::SeqCst);
            arrived.send(()).expect("the test");
            wait.lock().expect("no panic").recv().expect("the test");
            out.write_all(http("200 OK", RENEWED).as_bytes())
        });
        let configuration = configuration(world, Some(&file("REAL-A1", PAST)));
        let insides: Vec<_> = (0..5).map(|_| inside()).collect();
        let brokers: Vec<_> = insides
            .iter()
            .map(|inside| world.broker_in(inside, &configuration))
            .collect();
        std::thread::scope(|scope| {
            let asked: Vec<_> = insides
                .iter()
                .zip(&brokers)
                .map(|(inside, broker)| scope.spawn(|| message(&mut client(inside, broker, API))))
                .collect();
            at_service.recv_timeout(PATIENCE).expect("a refresh");
            release.send(()).expect("the service");
            for asked in asked {
                assert_eq!(asked.join().expect("no panic"), "200 ok");
            }
        });
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A2"; 5]);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_revoked_token_is_told_of_and_the_next_one_is_taken() {
    world(|world| {
        let revoked =
            r#"{"type":"error","error":{"type":"authentication_error","message":"OAuth token has been revoked"}}"#;
        world.api.answer(move |request, out| {
            let old = String::from_utf8_lossy(request).contains("Bearer REAL-A1");
            let (status, body) = if old {
                ("401 Unauthorized", revoked)
            } else {
                ("200 OK", "ok")
            };
            out.write_all(http(status, body).as_bytes())
        });
        world.platform.answer_bytes(&http("200 OK", RENEWED));
        let broker = world.broker(&configuration(world, Some(&file("REAL-A1", FUTURE))));
        let mut api = world.client(&broker, API);
        assert_eq!(message(&mut api), "401 OAuth token has been revoked");
        let refresh = json!({"grant_type": "refresh_token", "refresh_token": REFRESH}).to_string();
        assert_eq!(
            tokens(&mut world.client(&broker, PLATFORM), &refresh),
            format!(
                "200 {}",
                json!({"token_type": "Bearer", "scope": "user:inference user:profile", "access_token": ACCESS,
                    "refresh_token": REFRESH, "expires_in": 31_536_000})
            )
        );
        assert_eq!(message(&mut api), "200 ok");
        assert_eq!(
            bearers(world),
            ["authorization: Bearer REAL-A1", "authorization: Bearer REAL-A2"]
        );
        assert_eq!(questions(world), [QUESTION]);
        // Upstream that refuses every token, whatever it is, is not a reason to ask for one each time.
        world.api.answer_bytes(&http("401 Unauthorized", revoked));
        for _ in 0..3 {
            assert_eq!(message(&mut api), "401 OAuth token has been revoked");
        }
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A2"; 3]);
        assert_eq!(questions(world), Vec::<String>::new());
    });
}

#[test]
fn a_refused_refresh_is_told_of_and_not_repeated_at_once() {
    world(|world| {
        world
            .platform
            .answer_bytes(&http("400 Bad Request", r#"{"error":"invalid_grant"}"#));
        let text = file("REAL-A1", PAST);
        let broker = world.broker(&configuration(world, Some(&text)));
        let mut client = world.client(&broker, API);
        for _ in 0..9 {
            assert_eq!(
                message(&mut client),
                "401 claudebox: the login cannot be renewed: 400 invalid_grant; the user has to log in again with `claudebox --login`"
            );
        }
        assert_eq!(questions(world), [QUESTION]);
        assert_eq!(bearers(world), Vec::<String>::new());
        assert_eq!(
            std::fs::read_to_string(world.path("login.json")).expect("the login"),
            text
        );
        // Another login is another matter.
        world.platform.answer_bytes(&http("200 OK", RENEWED));
        let text = text.replace("REAL-R1", "REAL-R5");
        std::fs::write(world.path("login.json"), text).expect("our own file");
        assert_eq!(message(&mut client), "200 ok");
    });
}

#[test]
fn a_token_that_ends_soon_is_used_where_no_other_can_be_had() {
    world(|world| {
        world.platform.answer_bytes(&http("503 Service Unavailable", "{}"));
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let soon = u64::try_from(now.as_millis()).expect("a time") + 120_000;
        let broker = world.broker(&configuration(world, Some(&file("REAL-A1", soon))));
        assert_eq!(message(&mut world.client(&broker, API)), "200 ok");
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A1"]);
        assert_eq!(questions(world), [QUESTION]);
    });
}

#[test]
fn a_revoked_token_is_told_of_by_upstream_while_no_other_can_be_had() {
    let revoked = |renewal: &str, then: &str| {
        world(|world| {
            world
                .api
                .answer_bytes(&http("401 Unauthorized", r#"{"error":{"message":"revoked"}}"#));
            world.platform.answer_bytes(renewal);
            let broker = world.broker(&configuration(world, Some(&file("REAL-A1", FUTURE))));
            let mut client = world.client(&broker, API);
            assert_eq!(message(&mut client), "401 revoked");
            for _ in 0..3 {
                assert_eq!(message(&mut client), then);
            }
            assert_eq!(questions(world), [QUESTION]);
        });
    };
    revoked(&http("503 Service Unavailable", "{}"), "401 revoked");
    revoked(
        &http("403 Forbidden", "nonsense"),
        "401 claudebox: the login cannot be renewed: 403; the user has to log in again with `claudebox --login`",
    );
    // And where it has ended.
    world(|world| {
        world.platform.answer_bytes(&http("529 Overloaded", "{}"));
        let broker = world.broker(&configuration(world, Some(&file("REAL-A1", PAST))));
        assert_eq!(
            message(&mut world.client(&broker, API)),
            "401 claudebox: the login cannot be renewed: 529"
        );
    });
}

#[test]
fn what_the_service_gives_out_once_is_stored_though_nobody_waits_for_it() {
    // The client gives up, or the whole session ends, while the new token is on its way.
    for session_ends in [false, true] {
        world(|world| {
            let (release, wait) = mpsc::channel::<()>();
            let (arrived, at_service) = mpsc::channel::<()>();
            let wait = Mutex::new(wait);
            world.platform.answer(move |_, out| {
                arrived.send(()).expect("the test");
                wait.lock().expect("no panic").recv().expect("the test");
                out.write_all(http("200 OK", RENEWED).as_bytes())
            });
            let mut broker = world.broker(&configuration(world, Some(&file("REAL-A1", PAST))));
            let mut client = world.client(&broker, API);
            let request = format!("GET /v1/models HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {ACCESS}\r\n\r\n");
            client.write(request.as_bytes()).expect("the broker");
            at_service.recv_timeout(PATIENCE).expect("a refresh");
            drop(client);
            if session_ends {
                broker.close();
            }
            release.send(()).expect("the service");
            if session_ends {
                assert_eq!(broker.ended(), Some(0));
            }
            let start = std::time::Instant::now();
            while stored(&world.path("login.json"))["claudeAiOauth"]["refreshToken"] != "REAL-R2" {
                assert!(start.elapsed() < PATIENCE, "the token is lost");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
    }
}
