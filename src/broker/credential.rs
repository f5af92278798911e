//! The real credential, and the placeholder that stands for it inside.

mod file;
mod login;
mod service;

use std::sync::Arc;

use anyhow::Context;
use claudebox::net::broker::wire::{self, Configuration};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::rules::KEY_HEADER;
use crate::upstream::Upstream;

pub use login::{Login, NoToken};

/// What a request may present: the placeholder, in the header where Claude Code puts it.
#[derive(Clone, Debug, Default)]
pub struct Accepts(Vec<(HeaderName, HeaderValue)>);

impl Accepts {
    /// Whether this is the placeholder.
    pub fn is(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        self.0
            .iter()
            .any(|(known, placeholder)| known == name && placeholder == value)
    }
}

/// The real credential of a session.
pub struct Credential {
    /// What stands for it inside.
    pub accepts: Accepts,
    real: Real,
}

enum Real {
    None,
    Fixed(HeaderName, HeaderValue),
    Login(Arc<Login>),
}

impl Credential {
    /// The one that the launcher names.
    pub fn new(configuration: &Configuration, upstream: &Upstream) -> anyhow::Result<Self> {
        let placeholders = &configuration.placeholders;
        let (accepts, real) = match &configuration.credential {
            None => (Accepts::default(), Real::None),
            Some(wire::Credential::Key(key)) => (
                Accepts(vec![(KEY_HEADER, secret(&placeholders.key)?)]),
                Real::Fixed(KEY_HEADER, secret(key)?),
            ),
            Some(wire::Credential::Token(token)) => (
                Accepts(vec![
                    (AUTHORIZATION, bearer(&placeholders.access)?),
                    (AUTHORIZATION, bearer(&placeholders.key)?),
                ]),
                Real::Fixed(AUTHORIZATION, bearer(token)?),
            ),
            Some(wire::Credential::Oauth(path)) => (
                Accepts(vec![(AUTHORIZATION, bearer(&placeholders.access)?)]),
                Real::Login(Arc::new(Login::new(path.clone(), upstream.clone())?)),
            ),
        };
        Ok(Self { accepts, real })
    }

    /// The header that carries it.
    ///
    /// # Errors
    /// There is a login, and no token of it can be used.
    pub async fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, NoToken> {
        match &self.real {
            Real::None => Ok(None),
            Real::Fixed(name, value) => Ok(Some((name.clone(), value.clone()))),
            Real::Login(login) => {
                let token = login.access().await?;
                Ok(Some((
                    AUTHORIZATION,
                    bearer(&token).map_err(|_| NoToken::unreadable())?,
                )))
            }
        }
    }

    /// Tells that upstream refused a request with this header. A token of a login may have been revoked, and is renewed then.
    pub async fn doubt(&self, value: &HeaderValue) {
        let token = value.to_str().ok().and_then(|text| text.strip_prefix(BEARER));
        if let (Real::Login(login), Some(token)) = (&self.real, token) {
            login.doubt(token).await;
        }
    }

    /// The login, where it is one.
    pub fn login(&self) -> Option<&Arc<Login>> {
        match &self.real {
            Real::Login(login) => Some(login),
            Real::None | Real::Fixed(..) => None,
        }
    }

    /// Waits until no token is on its way: what the service gave out only once is stored before the broker ends.
    pub async fn settled(&self) {
        if let Some(login) = self.login() {
            login.settled().await;
        }
    }
}

/// What stands before a token in its header.
const BEARER: &str = "Bearer ";

/// A value that is shown in no message.
fn secret(text: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .ok()
        .context("the credential has characters that no header can carry")?;
    value.set_sensitive(true);
    Ok(value)
}

fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    secret(&format!("{BEARER}{token}"))
}
