//! Connections to allowed names. An encrypted one is carried over unread, if the name in its handshake is the one that the
//! connection is for; a plain one is taken request by request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use claudebox::net::broker::denial::Way;
use claudebox::net::name::Name;
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::{Request, Response, StatusCode};
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{self, Body, ENCRYPTED, PLAIN};
use crate::rules::is_host;
use crate::session::Session;
use crate::upstream::dial;

/// The longest first message of a handshake, in bytes, and how long it may take.
const HELLO_MAX: usize = 32 * 1024;
const HELLO: Duration = Duration::from_secs(20);

/// How much is on its way in each direction, in bytes.
const BUFFER: usize = 32 * 1024;

/// Carries an encrypted connection.
pub async fn encrypted(session: &Session, name: &Name, mut inside: TcpStream) {
    let deny = |why: &str| {
        session
            .denied
            .tell(Way::Connection, &format!("{name}:{ENCRYPTED}"), why)
    };
    let (hello, told) = match timeout(HELLO, hello(&mut inside)).await {
        Ok(Ok(read)) => read,
        // Nobody spoke.
        Ok(Err(_)) | Err(_) => return,
    };
    if told.as_deref().map(str::parse::<Name>) != Some(Ok(name.clone())) {
        return deny("the name in the handshake is another than the connection's");
    }
    let mut outside = match dial(name, ENCRYPTED).await {
        Ok(stream) => stream,
        Err(why) => return deny(&why.to_string()),
    };
    if outside.write_all(&hello).await.is_ok() {
        let _ = copy_bidirectional_with_sizes(&mut inside, &mut outside, BUFFER, BUFFER).await;
    }
}

/// Reads the first message of a handshake: its bytes, and the name in it. `None` where there is none, or it is no handshake.
async fn hello(stream: &mut TcpStream) -> io::Result<(Vec<u8>, Option<String>)> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::new();
    while bytes.len() < HELLO_MAX {
        let before = bytes.len();
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut new = bytes.get(before..).unwrap_or_default();
        while !new.is_empty() {
            if acceptor.read_tls(&mut new)? == 0 {
                break;
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(str::to_string);
                    return Ok((bytes, name));
                }
                Err(_) => return Ok((bytes, None)),
            }
        }
    }
    Ok((bytes, None))
}

/// Serves a plain connection.
pub async fn plain(session: Arc<Session>, name: Name, inside: TcpStream) {
    http::serve(inside, |request| answer(&session, &name, request)).await;
}

async fn answer(session: &Session, name: &Name, request: Request<Incoming>) -> Response<Body> {
    let refuse = |status, why: &str| {
        session.denied.tell(Way::Connection, &format!("{name}:{PLAIN}"), why);
        http::refused(status, why)
    };
    let (head, body) = request.into_parts();
    if head.uri.authority().is_some() {
        return refuse(StatusCode::FORBIDDEN, "a request names its target by path alone");
    }
    if !is_host(&head.headers, name, PLAIN) {
        return refuse(
            StatusCode::FORBIDDEN,
            "the header `host` is not the name that the connection is for",
        );
    }
    if head.headers.contains_key(UPGRADE) {
        return refuse(StatusCode::FORBIDDEN, "another protocol cannot be asked for");
    }
    let mut headers = head.headers.clone();
    http::strip(&mut headers);
    let made = http::made(&head, name, headers, http::streamed(body));
    match session.upstream.send(name, PLAIN, made).await {
        Ok(response) => http::passed_back(response),
        Err(why) => refuse(StatusCode::BAD_GATEWAY, &format!("`{name}` cannot be reached: {why}")),
    }
}
