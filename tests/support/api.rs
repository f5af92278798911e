//! A stand-in for the Messages API on loopback, so that the real Claude Code can be tested without a network and without a real key.
//! It keeps every request in memory and never decides whether a test passed.
//!
//! What it answers is chosen by the text of the user's turn:
//!
//! | the turn holds | the answer |
//! |---|---|
//! | a tool's result | `ECHO ` and that result |
//! | `RUN:command:END` | the Bash tool is asked to run the command |
//! | `SEARCH:words:END` | the WebSearch tool is asked for them |
//! | `SLOW:n` | one word a second for n seconds, then the plain answer |
//! | `FAIL400` (401, 403, 500, 529) | that HTTP error, not to be tried again |
//! | anything else | [`PLAIN`] |
//!
//! Tokens rotate as a strict server's do: each refresh token works once, and using an old one again is refused and remembered.
//! `CONNECT` is answered too, for Claude Code renews its login only over TLS and only at the real name: see [`super::tls`].

mod model;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// The answer to a turn that asks for nothing else.
pub const PLAIN: &str = "the stub greets you";

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Request {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A login's tokens: the number of the pair that is in force, and what was asked of the token endpoint.
#[derive(Debug, Default)]
struct Tokens {
    current: u64,
    refused: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    requests: Mutex<Vec<Request>>,
    tokens: Mutex<Tokens>,
    messages: AtomicU64,
    /// Whether a message needs the access token that is in force.
    strict: AtomicBool,
    stopping: AtomicBool,
    /// Where `CONNECT` leads: a process that takes TLS off and comes back to this server.
    tls: Mutex<Option<SocketAddr>>,
}

/// The running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Api {
    address: SocketAddr,
    state: Arc<State>,
}

impl Api {
    /// Starts on a free port of the loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the port that was bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&shared);
                // A client that hangs up in mid-answer is part of what is tested (Ctrl+C), so an error ends the connection and nothing more.
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { address, state }
    }

    /// The address to give as `ANTHROPIC_BASE_URL`, or as an HTTP proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address itself.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells where `CONNECT` leads.
    pub fn set_tls(&self, address: SocketAddr) {
        *self.state.tls.lock().expect("the stub's lock") = Some(address);
    }

    /// From now on a message is refused without the access token that is in force.
    pub fn be_strict(&self) {
        self.state.strict.store(true, Ordering::SeqCst);
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().expect("the stub's lock").clone()
    }

    /// The requests that asked the model for an answer to `turn` (side requests for titles and the like left out: they have no tools).
    pub fn turns(&self) -> Vec<Request> {
        let is_turn = |request: &Request| {
            request.path.starts_with("/v1/messages")
                && !request.path.contains("count_tokens")
                && request.body["tools"].as_array().is_some_and(|tools| !tools.is_empty())
        };
        self.requests().into_iter().filter(is_turn).collect()
    }

    /// How often a login was renewed, and the used-up refresh tokens that were presented again.
    pub fn renewals(&self) -> (u64, Vec<String>) {
        let tokens = self.state.tokens.lock().expect("the stub's lock");
        (tokens.current, tokens.refused.clone())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        // `accept` has to be woken once to see the flag.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(state: &State, stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        if request.method == "CONNECT" {
            return tunnel(state, reader, writer);
        }
        state.requests.lock().expect("the stub's lock").push(request.clone());
        answer(state, &request, &mut writer)?;
        writer.flush()?;
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (
        words.next().unwrap_or_default().to_owned(),
        words.next().unwrap_or_default().to_owned(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Value::Null,
    };
    let length = request
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    // A body that is not JSON stays null: nothing here needs it.
    request.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(request))
}

/// Passes bytes both ways between the client of a `CONNECT` and the process that takes TLS off.
fn tunnel(state: &State, mut reader: BufReader<TcpStream>, mut writer: TcpStream) -> io::Result<()> {
    let Some(target) = *state.tls.lock().expect("the stub's lock") else {
        return writer.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    };
    let mut upstream = TcpStream::connect(target)?;
    let mut downstream = upstream.try_clone()?;
    writer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    std::thread::spawn(move || {
        let _ = io::copy(&mut reader, &mut upstream);
        let _ = upstream.shutdown(Shutdown::Write);
    });
    io::copy(&mut downstream, &mut writer)?;
    writer.shutdown(Shutdown::Write)
}

fn answer(state: &State, request: &Request, writer: &mut impl Write) -> io::Result<()> {
    let path = request.path.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("HEAD", _) => writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("GET", "/api/hello" | "/v1/oauth/hello") => reply(writer, 200, &json!({"message": "hello"})),
        ("POST", "/v1/messages/count_tokens") => reply(writer, 200, &json!({"input_tokens": 10})),
        ("POST", "/v1/oauth/token") => renew(state, request, writer),
        ("POST", "/v1/messages") if state.refuses(request) => reply(
            writer,
            401,
            &failure("authentication_error", "the token is not in force"),
        ),
        ("POST", "/v1/messages") => model::message(state, request, writer),
        ("POST", _) => reply(writer, 200, &json!({})),
        _ => reply(writer, 404, &failure("not_found_error", "there is nothing here")),
    }
}

impl State {
    /// Whether a request lacks the access token that is in force, where that is looked at.
    fn refuses(&self, request: &Request) -> bool {
        let current = self.tokens.lock().expect("the stub's lock").current;
        self.strict.load(Ordering::SeqCst)
            && request.header("authorization") != Some(&format!("Bearer {}", access_token(current)))
    }
}

fn reply(writer: &mut impl Write, status: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    // `x-should-retry` keeps a client from trying a wanted error again for minutes.
    write!(
        writer,
        "HTTP/1.1 {status} Stub\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-should-retry: false\r\n\r\n{body}",
        body.len()
    )
}

fn failure(kind: &str, text: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": text}})
}

/// Hands out the next pair of tokens for the one refresh token that is in force.
fn renew(state: &State, request: &Request, writer: &mut impl Write) -> io::Result<()> {
    // A code, whatever it is, is a login of its own.
    let code = request.body["grant_type"] == "authorization_code";
    let given = request.body["refresh_token"].as_str().unwrap_or_default();
    let number = {
        let mut tokens = state.tokens.lock().expect("the stub's lock");
        if !code && given != refresh_token(tokens.current) {
            tokens.refused.push(given.to_owned());
            None
        } else {
            tokens.current += 1;
            Some(tokens.current)
        }
    };
    // Clients that start at one moment must really meet here.
    std::thread::sleep(Duration::from_secs(1));
    match number {
        None => reply(
            writer,
            400,
            &json!({"error": "invalid_grant", "error_description": "used up"}),
        ),
        Some(number) => reply(
            writer,
            200,
            &json!({
                "token_type": "Bearer",
                "access_token": access_token(number),
                "refresh_token": refresh_token(number),
                "expires_in": 28_800,
                "scope": "user:inference user:profile",
                "account": {"uuid": "00000000-0000-0000-0000-000000000001", "email_address": "someone@example.invalid"},
                "organization": {"uuid": "00000000-0000-0000-0000-000000000002", "name": "someone"},
            }),
        ),
    }
}

/// The access token of the pair `number`; pair 0 is what a test writes into `.credentials.json`.
pub fn access_token(number: u64) -> String {
    format!("dummy-access-{number}")
}

/// The refresh token of the pair `number`.
pub fn refresh_token(number: u64) -> String {
    format!("dummy-refresh-{number}")
}
