//! One call as what is inside would make it, over a connection that was made inside. Tells the broker's own answers from the
//! service's, which come by the same way.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context;
use claudebox::net::broker::wire::{Call, Called};
use claudebox::net::name::Name;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{self, Body};
use crate::session;
use crate::upstream::{Failed, Upstream};

/// The longest answer that is looked at, in bytes: the broker's own are shorter.
const ANSWER_MAX: usize = 64 * 1024;

/// The most of the trusted certificates that is read, in bytes. Those of a distribution are a quarter of a mebibyte.
const CERTIFICATES_MAX: u64 = 16 * 1024 * 1024;

/// Makes it.
///
/// # Errors
/// The order cannot be carried out.
pub async fn make(call: &Call, descriptors: Vec<OwnedFd>) -> anyhow::Result<Called> {
    let mut descriptors = descriptors.into_iter();
    let connection = descriptors.next().context("no connection came")?;
    let trusted = descriptors.next().context("no certificates came")?;
    let mut certificates = Vec::new();
    File::from(trusted)
        .take(CERTIFICATES_MAX)
        .read_to_end(&mut certificates)
        .context("the certificates cannot be read")?;
    rustix::io::ioctl_fionbio(&connection, true).context("the connection cannot be used")?;
    let stream = TcpStream::from_std(connection.into()).context("the connection cannot be used")?;
    let name: Name = session::parse(&call.name)?;
    let request = request(call)?;
    session::cryptography();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&certificates).flatten());
    let upstream = Upstream::new(session::trusting(roots));
    let patience = Duration::from_millis(call.patience);
    let mut connection = match timeout(patience, upstream.encrypted(&name, stream)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(Failed::Tls(why))) => return Ok(Called::Untrusted(why)),
        Ok(Err(why)) => return Ok(Called::Untrusted(why.to_string())),
        Err(_) => return Ok(Called::Untrusted("it took too long".into())),
    };
    Ok(match timeout(patience, connection.send_request(request)).await {
        Ok(Ok(response)) => answered(response).await,
        Ok(Err(why)) => Called::Broken(why.to_string()),
        Err(_) => Called::Late,
    })
}

fn request(call: &Call) -> anyhow::Result<Request<Body>> {
    let mut request = Request::get(&call.path)
        .header(HOST, &call.name)
        .header(USER_AGENT, "claudebox --verify")
        .body(http::full(""))?;
    if let Some((name, value)) = &call.header {
        let name: HeaderName = name.parse()?;
        request.headers_mut().insert(name, HeaderValue::from_str(value)?);
    }
    Ok(request)
}

async fn answered(response: Response<Incoming>) -> Called {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    let own = body.ok().and_then(|body| http::own_words(&body.to_bytes()));
    own.map_or(Called::Service(status), |words| Called::Broker(status, words))
}
