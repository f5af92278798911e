//! The rules for a request to a brokered name. Pure: what a request says goes in, what becomes of it comes out. What is not
//! listed is refused.

use claudebox::net::broker::{API, PLATFORM};
use claudebox::net::name::Name;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::http::request::Parts;

use crate::credential::Accepts;
use crate::http::ENCRYPTED;

/// A service that is brokered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Claude Code's service.
    Api,
    /// Where its tokens come from.
    Platform,
}

impl Service {
    /// The service behind a name, if it is one.
    pub fn of(name: &Name) -> Option<Self> {
        match name.as_str() {
            API => Some(Self::Api),
            PLATFORM => Some(Self::Platform),
            _ => None,
        }
    }
}

/// What becomes of a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent on without a credential, as it came.
    Plain,
    /// It is sent on with the real credential.
    Credential,
    /// It is answered here, and nothing is sent: numbers on how Claude Code is used.
    Quiet,
    /// It is answered here: there is no such thing.
    Absent,
    /// It asks for tokens.
    Tokens,
}

/// Why a request is refused, for the reader inside.
pub type Refusal = &'static str;

/// The calls that are sent on, as measured with Claude Code 2.1.330. Everything that stores, shares or fetches is missing on
/// purpose: files, batches, keys, organizations.
const CALLS: [(Method, &str); 17] = [
    (Method::POST, "/v1/messages"),
    (Method::POST, "/v1/messages/count_tokens"),
    (Method::GET, "/v1/models"),
    (Method::GET, "/v1/mcp_servers"),
    (Method::GET, "/api/oauth/profile"),
    (Method::GET, "/api/oauth/usage"),
    (Method::GET, "/api/oauth/claude_cli/roles"),
    (Method::GET, "/api/claude_cli/bootstrap"),
    (Method::GET, "/api/claude_code/settings"),
    (Method::GET, "/api/claude_code/policy_limits"),
    (Method::GET, "/api/claude_code_penguin_mode"),
    (Method::GET, "/api/claude_code/organizations/metrics_enabled"),
    (Method::GET, "/api/organization/claude_code_first_token_date"),
    (Method::GET, "/api/directory/server-urls"),
    (Method::GET, "/api/hello"),
    (Method::HEAD, "/api/hello"),
    (Method::HEAD, "/"),
];

/// Where Claude Code reports how it is used. It notices nothing where nobody listens.
const QUIET: [&str; 4] = [
    "/api/event_logging/",
    "/api/eval/",
    "/api/claude_code/metrics",
    "/mcp-registry/",
];

/// What would publish, and what Claude Code asks for again and again where it is forbidden, but not where it does not exist.
const ABSENT: &str = "/api/artifacts/mcp";

/// The headers that are sent on: whole names, and beginnings of names. With a list of what is taken away instead, a name such as
/// `X_Api_Key` would pass, which some servers read as `x-api-key`.
const HEADERS: [&str; 13] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "content-length",
    "content-encoding",
    "user-agent",
    "x-app",
    "x-client-request-id",
    "x-organization-uuid",
    "mcp-protocol-version",
    "idempotency-key",
    "if-none-match",
];
const HEADERS_BEGIN: [&str; 3] = ["anthropic-", "x-stainless-", "x-claude-"];

/// The header of an API key.
pub const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// Judges one request that came over a connection for `name`.
///
/// INVARIANT(brokered-credential): the only place where a request is found fit for the real credential.
pub fn judge(service: Service, name: &Name, head: &Parts, accepts: &Accepts) -> Result<Verdict, Refusal> {
    if head.uri.authority().is_some() || head.uri.scheme().is_some() {
        return Err("a request names its target by path alone");
    }
    if !is_host(&head.headers, name, ENCRYPTED) {
        return Err("the header `host` is not the name that the connection is for");
    }
    if head.headers.contains_key(UPGRADE) {
        return Err("another protocol cannot be asked for");
    }
    let (method, path) = (&head.method, head.uri.path());
    if service == Service::Platform {
        return if (method, path) == (&Method::POST, "/v1/oauth/token") {
            Ok(Verdict::Tokens)
        } else {
            Err(NOT_LISTED)
        };
    }
    if QUIET.iter().any(|start| path.starts_with(start)) {
        return Ok(Verdict::Quiet);
    }
    if path == ABSENT {
        return Ok(Verdict::Absent);
    }
    if !CALLS.iter().any(|(known, at)| known == method && *at == path) {
        return Err(NOT_LISTED);
    }
    credential(&head.headers, accepts)
}

const NOT_LISTED: Refusal = "this call is not one that Claude Code needs";
const FOREIGN: Refusal = "a credential that is not this session's placeholder was sent";

/// Whether there is one `host`, and it is the name, with or without the port of the connection.
pub fn is_host(headers: &HeaderMap, name: &Name, port: u16) -> bool {
    let mut values = headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let text = value.to_str().unwrap_or_default();
    let host = match text.rsplit_once(':') {
        Some((host, said)) if said == port.to_string() => host,
        _ => text,
    };
    host.parse::<Name>().as_ref() == Ok(name)
}

/// No credential, or exactly the placeholder where it belongs. Whoever sends another one wants to use somebody else's account.
fn credential(headers: &HeaderMap, accepts: &Accepts) -> Result<Verdict, Refusal> {
    let names = [KEY_HEADER, AUTHORIZATION];
    let sent: Vec<(&HeaderName, &HeaderValue)> = names
        .iter()
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)))
        .collect();
    match sent.as_slice() {
        [] => Ok(Verdict::Plain),
        [(name, value)] if accepts.is(name, value) => Ok(Verdict::Credential),
        _ => Err(FOREIGN),
    }
}

/// The headers that are sent on. Those that belong to the connection, and those of the credential, are made anew.
pub fn sent_on(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &str| HEADERS.contains(&name) || HEADERS_BEGIN.iter().any(|begin| name.starts_with(begin));
    headers
        .iter()
        .filter(|(name, _)| passes(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
