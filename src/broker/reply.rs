//! Bodies, and the answers that the broker gives by itself, in the form that Claude Code shows to its user.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Response, StatusCode};
use serde_json::json;

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

/// An error, as the service words its own, with ours as its text. It is final: trying again would change nothing.
pub fn refused(status: StatusCode, why: &str) -> Response<Body> {
    let kind = match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => "invalid_request_error",
        _ => "api_error",
    };
    let message = format!("claudebox: {why}");
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
