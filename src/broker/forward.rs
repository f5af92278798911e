//! One connection to a brokered name: its encryption ends here, and each request on it is judged, made anew and sent on.

use std::sync::Arc;
use std::time::Duration;

use claudebox::net::broker::denial::Way;
use claudebox::net::name::Name;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALT_SVC, CONTENT_ENCODING, HeaderMap, SET_COOKIE};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use crate::http::{self, Body};
use crate::rules::{self, Refusal, Service, Verdict};
use crate::session::Session;
use crate::upstream::Failed;
use crate::{fetching, token_exchange};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// The longest body that is checked, in bytes: the service takes no longer one.
const BODY_MAX: u32 = 32 * 1024 * 1024;
const TOO_LONG: Refusal = "in this network a request's body is checked, and this one is longer than 32 MiB";

const BROKEN: Refusal = "the request's body is not what its head says";

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
    http::serve(tls, |request| answer(&session, service, &name, request)).await;
}

async fn answer(session: &Session, service: Service, name: &Name, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let refuse = |status, why| {
        let subject = format!("{} {name}{}", head.method, head.uri.path());
        session.denied.tell(Way::Request, &subject, why);
        http::refused(status, why)
    };
    let verdict = match rules::judge(service, name, &head, &session.credential.accepts) {
        Ok(verdict) => verdict,
        Err(why) => return refuse(StatusCode::FORBIDDEN, why),
    };
    let made = |body| http::made(&head, name, rules::sent_on(&head.headers), body);
    match verdict {
        Verdict::Quiet => http::document(StatusCode::OK, &json!({})),
        Verdict::Absent => http::refused(StatusCode::NOT_FOUND, "this is not offered in a sandbox"),
        Verdict::Tokens => token_exchange::answer(session, name, body).await,
        Verdict::Plain | Verdict::Credential => {
            // The room is given back when the answer begins.
            let (body, _room) = match checked(session, &head.headers, body).await {
                Ok(body) => body,
                Err((status, why)) => return refuse(status, why),
            };
            if verdict == Verdict::Plain {
                return sent_on(session, name, made(body)).await;
            }
            let credential = match session.credential.header().await {
                Ok(credential) => credential,
                Err(why) => return http::refused(StatusCode::UNAUTHORIZED, &why.to_string()),
            };
            let mut request = made(body);
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

/// A body that may be sent on: as it comes, or, where hosts are reached by name alone, held until all of it was judged.
async fn checked<'s>(
    session: &'s Session,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(Body, Option<SemaphorePermit<'s>>), (StatusCode, Refusal)> {
    let Some(room) = &session.checked else {
        return Ok((http::streamed(body), None));
    };
    let forbidden = |why| (StatusCode::FORBIDDEN, why);
    fetching::head(headers).map_err(forbidden)?;
    if body.is_end_stream() {
        return Ok((http::streamed(body), None));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(forbidden(
            "in this network a request's body is checked, and a compressed one cannot be",
        ));
    }
    let length = body.size_hint().exact().unwrap_or(u64::from(BODY_MAX));
    let length = u32::try_from(length).ok().filter(|length| *length <= BODY_MAX);
    let length = length.ok_or((StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG))?;
    let room = room.acquire_many(length).await.ok();
    // Put together as it comes: kept in parts and then joined, it would take twice the room.
    let mut whole = Vec::with_capacity(length as usize);
    let mut body = Limited::new(body, length as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| (StatusCode::BAD_REQUEST, BROKEN))?;
        whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    fetching::body(&whole).map_err(forbidden)?;
    Ok((http::full(whole), room))
}

async fn sent_on(session: &Session, name: &Name, request: Request<Body>) -> Response<Body> {
    match session.upstream.send(name, http::ENCRYPTED, request).await {
        // Another protocol was not asked for.
        Ok(response) if response.status().is_informational() => http::refused(
            StatusCode::BAD_GATEWAY,
            &format!("`{name}` does not answer as HTTP has it"),
        ),
        Ok(response) => {
            let mut response = http::passed_back(response);
            // What would have Claude Code keep something, or go past the broker.
            for header in [SET_COOKIE, ALT_SVC] {
                response.headers_mut().remove(header);
            }
            response
        }
        Err(Failed::Broken(why)) if why.is_user() => http::refused(StatusCode::BAD_REQUEST, BROKEN),
        Err(why) => http::refused(StatusCode::BAD_GATEWAY, &format!("`{name}` cannot be reached: {why}")),
    }
}
