//! A login: a token that goes with every request, and one that buys the next pair, once. Whatever many sessions want at the same
//! moment, one of them refreshes and the others take what it stored.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::Value;
use tokio::sync::Mutex;

use super::file::{LoginFile, Stamp, Tokens, now};
use super::service::{Answered, Service};
use crate::launch;
use crate::upstream::Upstream;

/// A token is renewed this long before it ends, in milliseconds.
const BEFORE: u64 = 5 * 60 * 1000;

/// For how long a failure is remembered: Claude Code asks again at once, and again.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Upstream refuses some calls whatever the token, so doubt in one renews it this often at the most.
const DOUBTS_APART: Duration = Duration::from_secs(60);

/// Why there is no token to use, for the reader inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoToken {
    why: String,
    /// Only a new login helps.
    forever: bool,
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl NoToken {
    fn forever(why: &str) -> Self {
        Self {
            why: format!("{why} with `claudebox --login`"),
            forever: true,
        }
    }

    fn for_now(why: String) -> Self {
        Self { why, forever: false }
    }

    /// The stored token is none.
    pub fn unreadable() -> Self {
        Self::forever("the login on the host cannot be used: the user has to log in again")
    }

    fn nobody() -> Self {
        Self::forever("nobody is logged in: the user has to log in")
    }

    fn failed(why: impl fmt::Display) -> Self {
        Self::for_now(format!("the login cannot be renewed: {why}"))
    }

    fn storage(error: &io::Error) -> Self {
        Self::for_now(format!("the login cannot be stored on the host ({error})"))
    }

    /// The service refused, with its own word for it.
    fn refused(status: StatusCode, value: &Value) -> Self {
        let word = value.get("error").and_then(Value::as_str).unwrap_or_default();
        let word: String = word.chars().filter(char::is_ascii_graphic).take(40).collect();
        let space = if word.is_empty() { "" } else { " " };
        let failed = Self::failed(format!("{}{space}{word}", status.as_u16()));
        // The others pass.
        let passes = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if status.is_client_error() && !passes {
            Self::forever(&format!("{}; the user has to log in again", failed.why))
        } else {
            failed
        }
    }
}

/// The login of one session.
pub struct Login {
    file: LoginFile,
    service: Service,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The tokens, and the state of the file that they are from; `None` for those that could not be stored.
    known: Option<(Tokens, Option<Stamp>)>,
    /// A token that upstream refused, and when that last led to a new one.
    doubted: Option<String>,
    renewed: Option<Instant>,
    /// The last failure: with which token, when, and why.
    failed: Option<(String, Instant, NoToken)>,
}

impl Login {
    /// The one in a file.
    pub fn new(path: PathBuf, upstream: Upstream) -> anyhow::Result<Self> {
        Ok(Self {
            file: LoginFile::new(path),
            service: Service::new(upstream)?,
            state: Mutex::default(),
        })
    }

    /// A token for a request, a new one if need be.
    ///
    /// # Errors
    /// There is none, in words for the reader inside.
    pub async fn access(self: &Arc<Self>) -> Result<String, NoToken> {
        {
            let mut state = self.state.lock().await;
            if let Some(token) = self.usable(&mut state)? {
                return Ok(token);
            }
        }
        // Who asked may give up, and the session may end; the new token must be stored all the same.
        let login = Arc::clone(self);
        let renewed = tokio::spawn(async move { login.renew().await });
        renewed.await.unwrap_or_else(|_| Err(NoToken::unreadable()))
    }

    /// Remembers that upstream refused a token.
    pub async fn doubt(&self, token: &str) {
        let mut state = self.state.lock().await;
        if state.renewed.is_none_or(|at| at.elapsed() > DOUBTS_APART) {
            state.doubted = Some(token.to_string());
        }
    }

    /// What the login is good for.
    pub async fn scopes(&self) -> Vec<String> {
        let state = self.state.lock().await;
        state
            .known
            .as_ref()
            .map(|(tokens, _)| tokens.scopes.clone())
            .unwrap_or_default()
    }

    /// Waits until nothing is on its way.
    pub async fn settled(&self) {
        drop(self.state.lock().await);
    }

    /// The token that is known, if it can be used; what is known is what the file says.
    fn usable(&self, state: &mut State) -> Result<Option<String>, NoToken> {
        let stamp = self.file.stamp();
        let is_from = |known: &Option<(Tokens, Option<Stamp>)>| match known {
            Some((_, from)) => from.is_none() || *from == stamp,
            None => false,
        };
        if !is_from(&state.known) {
            let tokens = self.file.tokens().map_err(|error| {
                NoToken::for_now(format!(
                    "the login on the host cannot be read ({error}): {}",
                    self.file.path().display()
                ))
            })?;
            state.known = tokens.map(|tokens| (tokens, stamp));
        }
        let Some((tokens, _)) = &state.known else {
            return Err(NoToken::nobody());
        };
        let fresh = tokens.expires > now().saturating_add(BEFORE) && state.doubted.as_ref() != Some(&tokens.access);
        Ok(fresh.then(|| tokens.access.clone()))
    }

    /// Buys the next pair of tokens, unless somebody else just did.
    ///
    /// INVARIANT(brokered-credential): one refresh at a time in this process by the mutex, and on this host by the lock beside the
    /// file; what was stored in the meantime is looked at under both.
    async fn renew(&self) -> Result<String, NoToken> {
        let mut state = self.state.lock().await;
        let _alive = launch::Alive::begin();
        if let Some(token) = self.usable(&mut state)? {
            return Ok(token);
        }
        let _lock = self.file.lock().await.map_err(|error| NoToken::storage(&error))?;
        if let Some(token) = self.usable(&mut state)? {
            return Ok(token);
        }
        let Some((before, _)) = state.known.clone() else {
            return Err(NoToken::nobody());
        };
        match self.refreshed(&mut state, &before).await {
            Ok(token) => Ok(token),
            // It has not ended yet. Whether it was revoked, upstream says better.
            Err(why) if before.expires > now() && !(why.forever && state.doubted.as_ref() == Some(&before.access)) => {
                Ok(before.access)
            }
            Err(why) => Err(why),
        }
    }

    async fn refreshed(&self, state: &mut State, before: &Tokens) -> Result<String, NoToken> {
        if let Some((with, at, why)) = &state.failed
            && *with == before.refresh
            && at.elapsed() < REMEMBERED
        {
            return Err(why.clone());
        }
        if before.refresh.is_empty() {
            return Err(NoToken::unreadable());
        }
        let room = self.file.room().map_err(|error| NoToken::storage(&error))?;
        let tokens = match self.service.refresh(before).await {
            Ok(Answered { status, value }) if status.is_success() => {
                Tokens::answered(&value, Some(before)).ok_or_else(NoToken::unreadable)
            }
            Ok(Answered { status, value }) => Err(NoToken::refused(status, &value)),
            Err(why) => Err(NoToken::failed(why)),
        };
        let tokens = match tokens {
            Ok(tokens) => tokens,
            Err(why) => {
                state.failed = Some((before.refresh.clone(), Instant::now(), why.clone()));
                return Err(why);
            }
        };
        if state.doubted.take().is_some() {
            state.renewed = Some(Instant::now());
        }
        // Where it cannot be stored in spite of the room, this session at least goes on with it.
        let stored = room.store(&tokens, false).is_ok();
        let stamp = if stored { self.file.stamp() } else { None };
        state.known = Some((tokens.clone(), stamp));
        Ok(tokens.access)
    }

    /// Stores the tokens of a new login.
    ///
    /// # Errors
    /// The answer holds none, or they cannot be stored.
    pub async fn log_in(&self, question: &Value) -> Result<Answered, NoToken> {
        let mut state = self.state.lock().await;
        let _alive = launch::Alive::begin();
        let _lock = self.file.lock().await.map_err(|error| NoToken::storage(&error))?;
        let room = self.file.room().map_err(|error| NoToken::storage(&error))?;
        let answered = self.service.tokens(question).await.map_err(NoToken::failed)?;
        if answered.status.is_success() {
            let mut tokens = Tokens::answered(&answered.value, None).ok_or_else(NoToken::unreadable)?;
            let client = question.get("client_id").and_then(Value::as_str);
            tokens.client = client.map(str::to_string);
            tokens.more.extend(self.service.plan(&tokens.access).await);
            room.store(&tokens, true).map_err(|error| NoToken::storage(&error))?;
            *state = State {
                known: Some((tokens, self.file.stamp())),
                ..State::default()
            };
        }
        Ok(answered)
    }
}
