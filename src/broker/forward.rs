//! One connection to a brokered name: its encryption ends here, and each request on it is judged, made anew and sent on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use claudebox::net::broker::denial::Way;
use claudebox::net::name::Name;
use hyper::body::Incoming;
use hyper::header::{ALT_SVC, HOST, HeaderValue, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::reply::{self, Body};
use crate::rules::{self, Service, Verdict};
use crate::session::Session;
use crate::token_exchange;
use crate::upstream::Failed;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// How long the head of a request may take, and how long a connection may wait for the next one.
pub const HEAD: Duration = Duration::from_secs(300);

/// The longest head of a request, in bytes.
pub const HEAD_MAX: usize = 256 * 1024;

/// Serves a connection until it ends.
pub async fn serve(session: Arc<Session>, service: Service, name: Name, stream: TcpStream) {
    let Ok(Ok(tls)) = timeout(HANDSHAKE, session.acceptor.accept(stream)).await else {
        return;
    };
    let told = tls.get_ref().1.server_name().map(str::to_string);
    if told.as_deref().map(str::parse::<Name>) != Some(Ok(name.clone())) {
        let why = "the name in the handshake is another than the connection's";
        session.denied.tell(Way::Connection, name.as_str(), why);
        return;
    }
    let answered = service_fn(move |request| {
        let (session, name) = (Arc::clone(&session), name.clone());
        async move { Ok::<_, Infallible>(answer(&session, service, &name, request).await) }
    });
    // A connection that breaks off is the other side's matter.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(tls), answered)
        .await;
}

async fn answer(session: &Session, service: Service, name: &Name, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let verdict = match rules::judge(service, name, &head, &session.credential.accepts) {
        Ok(verdict) => verdict,
        Err(why) => {
            let subject = format!("{} {name}{}", head.method, head.uri.path());
            session.denied.tell(Way::Request, &subject, why);
            return reply::refused(StatusCode::FORBIDDEN, why);
        }
    };
    match verdict {
        Verdict::Quiet => reply::document(StatusCode::OK, &json!({})),
        Verdict::Absent => reply::refused(StatusCode::NOT_FOUND, "this is not offered in a sandbox"),
        Verdict::Tokens => token_exchange::answer(session, name, body).await,
        Verdict::Plain => sent_on(session, name, made(&head, name, reply::streamed(body))).await,
        Verdict::Credential => {
            let credential = match session.credential.header().await {
                Ok(credential) => credential,
                Err(why) => return reply::refused(StatusCode::UNAUTHORIZED, &why.to_string()),
            };
            let mut request = made(&head, name, reply::streamed(body));
            if let Some((header, value)) = credential.clone() {
                request.headers_mut().insert(header, value);
            }
            let response = sent_on(session, name, request).await;
            if let (Some((_, value)), StatusCode::UNAUTHORIZED) = (credential, response.status()) {
                session.credential.doubt(&value).await;
            }
            response
        }
    }
}

async fn sent_on(session: &Session, name: &Name, request: Request<Body>) -> Response<Body> {
    match session.upstream.send(name, request).await {
        // Another protocol was not asked for.
        Ok(response) if response.status().is_informational() => reply::refused(
            StatusCode::BAD_GATEWAY,
            &format!("`{name}` does not answer as HTTP has it"),
        ),
        Ok(response) => {
            let mut response = reply::passed_back(response);
            // What would have Claude Code keep something, or go past the broker.
            for header in [SET_COOKIE, ALT_SVC] {
                response.headers_mut().remove(header);
            }
            response
        }
        Err(Failed::Broken(why)) if why.is_user() => {
            reply::refused(StatusCode::BAD_REQUEST, "the request's body is not what its head says")
        }
        Err(why) => reply::refused(StatusCode::BAD_GATEWAY, &format!("`{name}` cannot be reached: {why}")),
    }
}

/// The request that is sent on, from what was understood of the one that came: nothing that was read otherwise here than
/// upstream would read it can hide in it.
fn made(head: &Parts, name: &Name, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    let target = head.uri.path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
    *request.headers_mut() = rules::sent_on(&head.headers);
    if let Ok(host) = HeaderValue::from_str(name.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    request
}
