//! Connections to allowed names. An encrypted one is carried over unread, if the name in its handshake is the one that the
//! connection is for; a plain one is taken request by request.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use claudebox::net::broker::denial::Way;
use claudebox::net::name::Name;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::forward::{HEAD, HEAD_MAX};
use crate::reply::{self, Body};
use crate::rules::is_host;
use crate::session::Session;
use crate::upstream::dial;

/// The ports that are served.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// The longest first message of a handshake, in bytes, and how long it may take.
const HELLO_MAX: usize = 32 * 1024;
const HELLO: Duration = Duration::from_secs(20);

/// How much is on its way in each direction, in bytes.
const BUFFER: usize = 32 * 1024;

/// Carries an encrypted connection.
pub async fn encrypted(session: &Session, name: &Name, mut inside: TcpStream) {
    let deny = |why: &str| session.denied.tell(Way::Connection, &format!("{name}:{HTTPS}"), why);
    let (hello, told) = match timeout(HELLO, hello(&mut inside)).await {
        Ok(Ok(read)) => read,
        // Nobody spoke.
        Ok(Err(_)) | Err(_) => return,
    };
    if told.as_deref().map(str::parse::<Name>) != Some(Ok(name.clone())) {
        return deny("the name in the handshake is another than the connection's");
    }
    let mut outside = match dial(name, HTTPS).await {
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
    let outside = Arc::new(Mutex::new(None));
    let answered = service_fn(move |request| {
        let (session, name, outside) = (Arc::clone(&session), name.clone(), Arc::clone(&outside));
        async move { Ok::<_, Infallible>(answer(&session, &name, &mut *outside.lock().await, request).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(inside), answered)
        .await;
}

async fn answer(
    session: &Session,
    name: &Name,
    outside: &mut Option<SendRequest<Body>>,
    request: Request<Incoming>,
) -> Response<Body> {
    let refuse = |status, why: &str| {
        session.denied.tell(Way::Connection, &format!("{name}:{HTTP}"), why);
        reply::refused(status, why)
    };
    let (head, body) = request.into_parts();
    if head.uri.authority().is_some() {
        return refuse(StatusCode::FORBIDDEN, "a request names its target by path alone");
    }
    if !is_host(&head.headers, name, HTTP) {
        return refuse(
            StatusCode::FORBIDDEN,
            "the header `host` is not the name that the connection is for",
        );
    }
    if head.headers.contains_key(UPGRADE) {
        return refuse(StatusCode::FORBIDDEN, "another protocol cannot be asked for");
    }
    let mut made = Request::new(reply::streamed(body));
    *made.method_mut() = head.method;
    *made.uri_mut() = head.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    *made.headers_mut() = head.headers;
    reply::strip(made.headers_mut());
    if let Ok(host) = HeaderValue::from_str(name.as_str()) {
        made.headers_mut().insert(HOST, host);
    }
    match send(name, outside, made).await {
        Ok(response) => reply::passed_back(response),
        Err(why) => refuse(StatusCode::BAD_GATEWAY, &format!("`{name}` cannot be reached: {why}")),
    }
}

/// Sends a request over the connection that this one has, or a new one.
async fn send(
    name: &Name,
    outside: &mut Option<SendRequest<Body>>,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, String> {
    loop {
        let kept = outside.take();
        let reused = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => {
                let stream = dial(name, HTTP).await.map_err(|why| why.to_string())?;
                let made = handshake(TokioIo::new(stream)).await;
                let (connection, driver) = made.map_err(|error| error.to_string())?;
                tokio::spawn(driver);
                connection
            }
        };
        if connection.ready().await.is_err() && reused {
            continue;
        }
        match connection.try_send_request(request).await {
            Ok(response) => {
                *outside = Some(connection);
                return Ok(response);
            }
            Err(mut error) => match error.take_message() {
                Some(unsent) if reused => request = unsent,
                _ => return Err(error.into_error().to_string()),
            },
        }
    }
}
