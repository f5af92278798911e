//! Allowed names: carried over unread to the checked address, for that name alone.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::client::{Client, head};
use super::names::address;
use super::upstream::Upstream;
use super::world::{PATIENCE, World, world};

/// A name that is allowed, and where it stands outside: on the internet, and (to an attacker's liking) not.
const NAME: &str = "allowed.example.test";
const OUTSIDE: [u8; 4] = [203, 0, 113, 20];
const PRIVATE: [u8; 4] = [192, 168, 77, 1];

fn allowed(world: &World, answers: Vec<Vec<[u8; 4]>>) -> super::world::Broker {
    world.names.lock().expect("no panic").insert(NAME.into(), answers);
    let mut configuration = world.configuration();
    configuration.allow = Some(vec!["*.example.test".into()]);
    world.broker(&configuration)
}

/// An encrypted connection from inside by name, which trusts the outside's own certificate.
fn encrypted(world: &World, name: &str) -> std::io::Result<Client> {
    let inside = address(world, NAME).expect("an allowed name");
    let authority = world.authority.pem();
    world.inside(|| Client::tls((inside, 443), name, &authority))
}

/// A plain request from inside; everything that comes back.
fn plain(world: &World, request: &str) -> String {
    let inside = address(world, NAME).expect("an allowed name");
    world.inside(|| {
        let mut stream = TcpStream::connect((inside, 80)).expect("a listener on all addresses");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
        stream.write_all(request.as_bytes()).expect("the broker");
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    })
}

#[test]
fn an_encrypted_connection_is_carried_over_unread() {
    world(|world| {
        let upstream = Upstream::start((OUTSIDE.into(), 443), Some(&world.authority));
        let _broker = allowed(world, vec![vec![OUTSIDE]]);
        let request = "DELETE /anything HTTP/1.1\r\nHost: another.test\r\nAuthorization: Bearer mine\r\n\r\n";
        let mut client = encrypted(world, NAME).expect("the outside's own certificate");
        assert_eq!(client.ask(request).expect("an answer").body, "ok");
        assert_eq!(upstream.received(), [request]);
        assert_eq!(world.told(), Vec::<String>::new());
    });
}

#[test]
fn a_handshake_for_another_name_leads_nowhere() {
    world(|world| {
        let upstream = Upstream::start((OUTSIDE.into(), 443), Some(&world.authority));
        let _broker = allowed(world, vec![vec![OUTSIDE]]);
        for name in [
            "evil.test",
            "example.test",
            "x.allowed.example.test",
            "api.anthropic.com",
        ] {
            assert!(encrypted(world, name).is_err(), "{name}");
        }
        // Without a name, and without a handshake.
        let inside = address(world, NAME).expect("an allowed name");
        assert!(
            world
                .inside(|| Client::tls((inside, 443), "203.0.113.20", &world.authority.pem()))
                .is_err()
        );
        let read = world.inside(|| {
            let mut stream = TcpStream::connect((inside, 443)).expect("a listener on all addresses");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: allowed.example.test\r\n\r\n")
                .expect("the broker");
            stream.read(&mut [0; 1]).unwrap_or(0)
        });
        assert_eq!(read, 0);
        assert_eq!(upstream.received(), Vec::<String>::new());
        assert_eq!(
            world.told(),
            ["Connection allowed.example.test:443: the name in the handshake is another than the connection's"]
        );
    });
}

#[test]
fn a_name_that_leads_to_a_local_network_is_not_dialled() {
    world(|world| {
        let private = Upstream::start((PRIVATE.into(), 443), Some(&world.authority));
        let public = Upstream::start((OUTSIDE.into(), 443), Some(&world.authority));
        let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        // The control: who dials it from outside comes through.
        let control = Client::tls((PRIVATE.into(), 443), NAME, &world.authority.pem());
        assert_eq!(
            control
                .and_then(|mut client| client.ask(request))
                .expect("an answer")
                .body,
            "ok"
        );
        assert_eq!(private.received(), [request]);

        // First an answer as it should be, then others: what rebinding does. A resolver asks twice: also for addresses of IPv6.
        let answers = [
            vec![OUTSIDE],
            vec![PRIVATE],
            vec![PRIVATE, OUTSIDE],
            vec![[127, 0, 0, 1], PRIVATE],
        ];
        let answers = answers
            .into_iter()
            .flat_map(|answer| [answer.clone(), answer])
            .collect();
        let _broker = allowed(world, answers);
        let ask = || {
            encrypted(world, NAME)
                .and_then(|mut client| client.ask(request))
                .map(|response| response.body)
        };
        assert_eq!(ask().ok().as_deref(), Some("ok"));
        assert_eq!(ask().ok(), None);
        assert_eq!(ask().ok().as_deref(), Some("ok"));
        assert_eq!(ask().ok(), None);
        assert_eq!(public.received(), [request; 2]);
        assert_eq!(private.received(), Vec::<String>::new());
        let told = |addresses| format!("Connection {NAME}:443: its address is none of the internet: {addresses}");
        assert_eq!(world.told(), [told("192.168.77.1"), told("127.0.0.1 192.168.77.1")]);
    });
}

#[test]
fn a_brokered_name_that_leads_to_a_local_network_is_not_dialled_either() {
    world(|world| {
        let name = claudebox::net::broker::API;
        world
            .names
            .lock()
            .expect("no panic")
            .insert(name.into(), vec![vec![PRIVATE]]);
        let private = Upstream::start((PRIVATE.into(), 443), Some(&world.authority));
        let broker = world.broker(&world.configuration());
        let response = world
            .client(&broker, name)
            .ask(format!("GET /api/hello HTTP/1.1\r\nHost: {name}\r\n\r\n"));
        assert_eq!(
            super::requests::shown(&response.expect("an answer")),
            "502 claudebox: `api.anthropic.com` cannot be reached: its address is none of the internet: 192.168.77.1"
        );
        assert_eq!(private.received(), Vec::<String>::new());
    });
}

#[test]
fn a_plain_connection_is_taken_request_by_request() {
    world(|world| {
        let upstream = Upstream::start((OUTSIDE.into(), 80), None);
        upstream.answer_bytes("HTTP/1.1 200 OK\r\ndate: d\r\nset-cookie: a=b\r\nconnection: x-own\r\nx-own: 1\r\ncontent-length: 2\r\n\r\nok");
        let _broker = allowed(world, vec![vec![OUTSIDE]]);
        let get = |host: &str, more: &str| {
            plain(
                world,
                &format!("GET /a?b HTTP/1.1\r\n{host}Connection: close\r\n{more}\r\n"),
            )
        };
        let good = format!("Host: {NAME}\r\n");
        let answer =
            "HTTP/1.1 200 OK\r\ndate: d\r\nset-cookie: a=b\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        assert_eq!(get(&good, "Cookie: a=b\r\nX-Own: 1\r\nTE: trailers\r\n"), answer);
        assert_eq!(get(&format!("Host: {NAME}:80\r\n"), ""), answer);
        assert_eq!(
            upstream.received(),
            [
                format!("GET /a?b HTTP/1.1\r\nhost: {NAME}\r\nx-own: 1\r\ncookie: a=b\r\n\r\n"),
                format!("GET /a?b HTTP/1.1\r\nhost: {NAME}\r\n\r\n"),
            ]
        );
        for host in [
            "",
            "Host: evil.test\r\n",
            "Host: allowed.example.test:443\r\n",
            "Host: allowed.example.test\r\nHost: evil.test\r\n",
        ] {
            let refused = get(host, "");
            assert!(refused.starts_with("HTTP/1.1 403 "), "{host}: {refused}");
        }
        let absolute = plain(
            world,
            &format!("GET http://evil.test/ HTTP/1.1\r\n{good}Connection: close\r\n\r\n"),
        );
        assert!(absolute.starts_with("HTTP/1.1 403 "), "{absolute}");
        let upgraded = get(&good, "Upgrade: websocket\r\n");
        assert!(upgraded.starts_with("HTTP/1.1 403 "), "{upgraded}");
        assert_eq!(upstream.received(), Vec::<String>::new());
        // Two requests on one connection take one outside.
        let two = format!("GET /1 HTTP/1.1\r\n{good}\r\nGET /2 HTTP/1.1\r\n{good}Connection: close\r\n\r\n");
        assert_eq!(plain(world, &two).matches("200 OK").count(), 2);
        assert_eq!(
            upstream.received(),
            [1, 2].map(|number| format!("GET /{number} HTTP/1.1\r\nhost: {NAME}\r\n\r\n"))
        );
    });
}

#[test]
fn where_nobody_answers_the_reason_is_told() {
    world(|world| {
        let _broker = allowed(world, vec![vec![OUTSIDE]]);
        assert!(encrypted(world, NAME).is_err());
        let mut refused = plain(
            world,
            &format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"),
        );
        let body = refused.split_off(refused.find("\r\n\r\n").expect("a head") + 4);
        assert!(
            head(&mut refused.as_bytes())
                .expect("a head")
                .starts_with("HTTP/1.1 502 "),
            "{refused}"
        );
        let why = "no connection (Connection refused (os error 111))";
        assert!(
            body.contains(&format!("claudebox: `{NAME}` cannot be reached: {why}")),
            "{body}"
        );
        world.names.lock().expect("no panic").remove(NAME);
        assert!(encrypted(world, NAME).is_err());
        let told = world.told();
        assert_eq!(told[0], format!("Connection {NAME}:443: {why}"));
        assert!(
            told[2].starts_with(&format!("Connection {NAME}:443: its address cannot be found (")),
            "{told:?}"
        );
    });
}
