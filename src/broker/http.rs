//! What both kinds of connections have of HTTP: how requests are taken, bodies, the answers that the broker gives by itself (in
//! the form that Claude Code shows to its user), and the headers that belong to one connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use claudebox::net::name::Name;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

/// The ports of HTTP, plain and encrypted.
pub const PLAIN: u16 = 80;
pub const ENCRYPTED: u16 = 443;

/// How long the head of a request may take, and how long a connection may wait for the next one.
const HEAD: Duration = Duration::from_secs(300);

/// How much of a request's head is read before it counts as too long, in bytes. One that is at hand at once can have twice as
/// much.
const HEAD_MAX: usize = 256 * 1024;

/// Takes requests over a connection, one after the other, until it ends.
pub async fn serve<F: Future<Output = Response<Body>>>(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>) -> F,
) {
    let answer = service_fn(|request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    // A connection that breaks off is the other side's matter.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(connection), answer)
        .await;
}

/// A request for `name`, from what was understood of the one that came: nothing that was read otherwise here than upstream would
/// read it can hide in it.
pub fn made(head: &Parts, name: &Name, headers: HeaderMap, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    let target = head.uri.path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
    *request.headers_mut() = headers;
    if let Ok(host) = HeaderValue::from_str(name.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    request
}

/// A body, whoever made it.
pub type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// One that is at hand.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}

/// One that is passed through as it comes, without the headers that can follow it.
pub fn streamed(body: Incoming) -> Body {
    Data(body).boxed_unsync()
}

/// Passes data, and ends where trailers begin.
struct Data(Incoming);

impl hyper::body::Body for Data {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match Pin::new(&mut self.0).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => Poll::Ready(None),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A JSON document.
pub fn document(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// What the broker's own words begin with.
const OWN: &str = "claudebox: ";

/// The broker's own words in an answer that [`refused`] made; `None` in one of the service's.
pub fn own_words(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = answer.pointer("/error/message")?.as_str()?;
    message.strip_prefix(OWN).map(str::to_string)
}

/// An error, as the service words its own, with ours as its text. It is final: trying again would change nothing.
pub fn refused(status: StatusCode, why: &str) -> Response<Body> {
    let kind = match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => "invalid_request_error",
        _ => "api_error",
    };
    let message = format!("{OWN}{why}");
    let mut response = document(
        status,
        &json!({"type": "error", "error": {"type": kind, "message": message}}),
    );
    let no = HeaderValue::from_static("false");
    response.headers_mut().insert("x-should-retry", no);
    response
}

/// Headers that belong to the connection that they came over (RFC 9110, 7.6.1).
const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes away what belongs to the connection, and what `connection` says belongs to it.
pub fn strip(headers: &mut HeaderMap) {
    let values = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let listed: Vec<HeaderName> = values
        .flat_map(|value| value.split(','))
        .filter_map(|word| word.trim().parse().ok())
        // What frames a message is not for a header to take away.
        .filter(|name| name != CONTENT_LENGTH)
        .collect();
    for name in listed.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

/// An answer of upstream for inside: as it came, its body too.
pub fn passed_back(response: Response<Incoming>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    strip(&mut head.headers);
    head.version = hyper::Version::HTTP_11;
    Response::from_parts(head, streamed(body))
}
