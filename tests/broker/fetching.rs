//! What the service can itself be told to fetch: refused where hosts are reached by name alone, and nowhere else.

use claudebox::net::broker::{API, KEY};

use super::requests::shown;
use super::streams::resident;
use super::world::{REAL_KEY, World, world};

/// A request with the placeholder, further headers and a body.
fn request(headers: &str, body: &str) -> String {
    format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nHost: {API}\r\nX-Api-Key: {KEY}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same as upstream receives it.
fn arrived(headers: &str, body: &str) -> String {
    format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\n{}content-length: {}\r\nhost: {API}\r\nx-api-key: {REAL_KEY}\r\n\r\n{body}",
        headers.to_lowercase(),
        body.len()
    )
}

/// A broker in whose network this is allowed.
fn broker(world: &World, allow: Option<Vec<String>>) -> super::world::Broker {
    let mut configuration = world.configuration();
    configuration.allow = allow;
    world.broker(&configuration)
}

const ALONE: &str = "in this network named hosts alone are reached, and ";
const BETA: &str = "a feature in `anthropic-beta` would have the service reach others";
const SERVERS: &str = "`mcp_servers` would have the service reach others";
const SOURCE: &str = "a `source` of the type `url` would have the service reach others";
const TOOL: &str = "a tool of the service's own would have it reach others";
const UNREADABLE: &str = "in this network a request's body is checked, and this one cannot be read as JSON";
const COMPRESSED: &str = "in this network a request's body is checked, and a compressed one cannot be";

/// Headers and a body, and why they are refused.
const REFUSED: [(&str, &str, &str); 23] = [
    ("Anthropic-Beta: mcp-client-2025-11-20\r\n", "{}", BETA),
    ("Anthropic-Beta: a-2025-01-01, files-api-2025-04-14,b\r\n", "{}", BETA),
    (
        "Anthropic-Beta: a\r\nAnthropic-Beta: Web-Fetch-2025-09-10\r\n",
        "{}",
        BETA,
    ),
    ("Anthropic-Beta: \tcode-execution-2025-08-25\r\n", "{}", BETA),
    ("", r#"{"mcp_servers":[]}"#, SERVERS),
    ("", r#"{"a":1,"mcp\u005fservers":null}"#, SERVERS),
    (
        "",
        r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://evil.test/"}}]}]}"#,
        SOURCE,
    ),
    (
        "",
        r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"document","source":{"url":"x","type":"url"}}]}]}]}"#,
        SOURCE,
    ),
    ("", r#"{"system":[{"source":{"type":"base64","type":"url"}}]}"#, SOURCE),
    ("", r#"{"system":[{"source":{"type":"url","type":"base64"}}]}"#, SOURCE),
    ("", r#"{"x":{"\u0073ource":{"t\u0079pe":"\u0075rl"}}}"#, SOURCE),
    ("", r#"{"source":[{"type":"url"}]}"#, SOURCE),
    (
        "",
        r#"{"tools":[{"name":"x"},{"type":"web_fetch_20260209","name":"web_fetch"}]}"#,
        TOOL,
    ),
    ("", r#"{"tools":[{"type":"code_execution_20250825"}]}"#, TOOL),
    ("Content-Encoding: gzip\r\n", "\u{1f}", COMPRESSED),
    ("", "{", UNREADABLE),
    ("", "{} {}", UNREADABLE),
    ("", "\u{feff}{}", UNREADABLE),
    ("", "{\0}\0", UNREADABLE),
    ("", r#"{"a":NaN}"#, UNREADABLE),
    ("", r#"{"a":"\ud800"}"#, UNREADABLE),
    ("", r#"{'mcp_servers':[]}"#, UNREADABLE),
    ("", "// x\n{}", UNREADABLE),
];

/// Headers and a body that say the same words and have nobody fetch anything.
const HONEST: [(&str, &str); 9] = [
    (
        "Anthropic-Beta: claude-code-20250219,mcp-servers-2025-12-04,x-files-api-1\r\n",
        "{}",
    ),
    (
        "",
        r#"{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"url"}}]}]}"#,
    ),
    (
        "",
        r#"{"messages":[{"content":"{\"mcp_servers\":[{\"type\":\"url\"}]}"}],"stream":true}"#,
    ),
    (
        "",
        r#"{"messages":[{"content":[{"type":"tool_use","input":{"source":{"type":"url"},"mcp_servers":"\ud800"}}]}]}"#,
    ),
    (
        "",
        r#"{"tools":[{"name":"f","input_schema":{"properties":{"source":{"type":"url"}}}}]}"#,
    ),
    (
        "",
        r#"{"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":8}]}"#,
    ),
    (
        "",
        r#"{"metadata":{"mcp_servers":1,"type":"url"},"messages":[{"content":[{"type":"web_fetch_tool_result"}]}]}"#,
    ),
    (
        "",
        r#"{"source":"url","temperature":0.5,"max_tokens":-1,"thinking":null,"x":[true,[]]}"#,
    ),
    ("", "[1]"),
];

#[test]
fn what_the_service_would_fetch_is_refused_where_hosts_are_named() {
    world(|world| {
        // The control: elsewhere each of them arrives as it was sent.
        let elsewhere = broker(world, None);
        let mut client = world.client(&elsewhere, API);
        for (headers, body, _) in REFUSED {
            let answer = client.ask(request(headers, body)).expect("an answer");
            assert_eq!(shown(&answer), "200 ok", "{headers}{body}");
            assert_eq!(world.api.received().len(), 1);
        }
        assert_eq!(world.told(), Vec::<String>::new());
        drop((client, elsewhere));

        let named = broker(world, Some(Vec::new()));
        let mut told = Vec::new();
        for (headers, body, why) in REFUSED {
            let why = if why.starts_with("in ") {
                why.to_owned()
            } else {
                format!("{ALONE}{why}")
            };
            let answer = world
                .client(&named, API)
                .ask(request(headers, body))
                .expect("an answer");
            assert_eq!(shown(&answer), format!("403 claudebox: {why}"), "{headers}{body}");
            let line = format!("Request POST {API}/v1/messages: {why}");
            if !told.contains(&line) {
                told.push(line);
            }
        }
        assert_eq!(world.api.received(), Vec::<String>::new());
        assert_eq!(world.told(), told);

        let mut client = world.client(&named, API);
        for (headers, body) in HONEST {
            let answer = client.ask(request(headers, body)).expect("an answer");
            assert_eq!(shown(&answer), "200 ok", "{headers}{body}");
            assert_eq!(world.api.received(), [arrived(headers, body)]);
        }
        // Without a length, and without a body.
        let chunked = request("", "{}").replace(
            "Content-Length: 2\r\n\r\n{}",
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        );
        assert_eq!(shown(&client.ask(chunked).expect("an answer")), "200 ok");
        let get = format!("GET /v1/models HTTP/1.1\r\nHost: {API}\r\nX-Api-Key: {KEY}\r\n\r\n");
        assert_eq!(shown(&client.ask(get).expect("an answer")), "200 ok");
        assert_eq!(
            world.api.received(),
            [
                arrived("", "{}")
                    .replace(
                        "content-length: 2\r\nhost: api.anthropic.com\r\n",
                        "host: api.anthropic.com\r\n"
                    )
                    .replace("\r\n\r\n", "\r\ncontent-length: 2\r\n\r\n"),
                format!("GET /v1/models HTTP/1.1\r\nhost: {API}\r\nx-api-key: {REAL_KEY}\r\n\r\n"),
            ]
        );
        assert_eq!(world.told(), told);
    });
}

#[test]
fn a_long_body_is_checked_whole() {
    world(|world| {
        let named = broker(world, Some(Vec::new()));
        let picture = "A".repeat(20 << 20);
        let body = format!(
            r#"{{"messages":[{{"content":[{{"type":"image","source":{{"type":"base64","data":"{picture}"}}}}]}}]}}"#
        );
        let answer = world.client(&named, API).ask(request("", &body)).expect("an answer");
        assert_eq!(shown(&answer), "200 ok");
        assert!(
            world.api.received() == [arrived("", &body)],
            "the body arrived otherwise"
        );
        let hidden = format!(r#"{{"a":"{picture}","mcp_servers":[]}}"#);
        let answer = world.client(&named, API).ask(request("", &hidden)).expect("an answer");
        assert_eq!(shown(&answer), format!("403 claudebox: {ALONE}{SERVERS}"));
        let mut client = world.client(&named, API);
        let head = request("", "").replace("Content-Length: 0", "Content-Length: 33554433");
        let answer = client.ask(head).expect("an answer");
        let why = "in this network a request's body is checked, and this one is longer than 32 MiB";
        assert_eq!(shown(&answer), format!("413 claudebox: {why}"));
        assert_eq!(world.api.received(), Vec::<String>::new());
        assert!(resident(&named) < 48 << 20, "{} bytes", resident(&named));
    });
}
