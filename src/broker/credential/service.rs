//! What the broker itself asks the vendor's services for: tokens, and after a login what it is good for. As Claude Code does it
//! (2.1.330).

use std::time::Duration;

use claudebox::net::broker::{API, PLATFORM};
use claudebox::net::name::Name;
use http_body_util::{BodyExt, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::bearer;
use super::file::Tokens;
use crate::http::{self, Body, ENCRYPTED};
use crate::upstream::Upstream;

/// Claude Code's own number at its service, where a login does not name another.
const CLIENT_ID: &str = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";

/// Where tokens are given out, and where a login tells whose it is.
const TOKENS: &str = "/v1/oauth/token";
const PROFILE: &str = "/api/oauth/profile";

/// How long an answer may take: tokens are worth waiting for, and Claude Code waits 30 s for its login.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_PLAN: Duration = Duration::from_secs(10);

/// The longest answer, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// The kinds of an organization, and what Claude Code calls a subscription of one.
const SUBSCRIPTIONS: [(&str, &str); 4] = [
    ("claude_max", "max"),
    ("claude_pro", "pro"),
    ("claude_enterprise", "enterprise"),
    ("claude_team", "team"),
];

/// The services.
pub struct Service {
    upstream: Upstream,
    api: Name,
    platform: Name,
}

/// An answer.
pub struct Answered {
    /// Its status.
    pub status: StatusCode,
    /// Its content; null where it is no JSON.
    pub value: Value,
}

impl Service {
    /// Those behind an upstream.
    pub fn new(upstream: Upstream) -> anyhow::Result<Self> {
        let name = |text: &str| text.parse().map_err(|why| anyhow::anyhow!("the name `{text}` {why}"));
        Ok(Self {
            upstream,
            api: name(API)?,
            platform: name(PLATFORM)?,
        })
    }

    /// Asks for the next pair of tokens.
    pub async fn refresh(&self, before: &Tokens) -> Result<Answered, String> {
        let mut question = json!({
            "grant_type": "refresh_token",
            "refresh_token": before.refresh,
            "client_id": before.client.as_deref().unwrap_or(CLIENT_ID),
        });
        if let (Some(question), false) = (question.as_object_mut(), before.scopes.is_empty()) {
            question.insert("scope".into(), json!(before.scopes.join(" ")));
        }
        self.tokens(&question).await
    }

    /// Asks for tokens.
    pub async fn tokens(&self, question: &Value) -> Result<Answered, String> {
        let text = question.to_string();
        let length = text.len();
        let mut request = Request::new(http::full(text));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(TOKENS);
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
        self.ask(&self.platform, PLATFORM, request).await
    }

    /// What a new login is good for, as its file says it. Without an answer the login is one all the same.
    pub async fn plan(&self, access: &str) -> Map<String, Value> {
        let mut plan = Map::new();
        let Ok(credential) = bearer(access) else { return plan };
        let mut request = Request::new(http::full(""));
        *request.uri_mut() = Uri::from_static(PROFILE);
        request.headers_mut().insert(AUTHORIZATION, credential);
        let asked = timeout(PATIENCE_PLAN, self.ask(&self.api, API, request)).await;
        if let Ok(Ok(answered)) = asked
            && answered.status.is_success()
        {
            let text = |name: &str| answered.value.get("organization")?.get(name)?.as_str();
            let kind = text("organization_type");
            let known = SUBSCRIPTIONS
                .iter()
                .find(|(organization, _)| Some(*organization) == kind);
            if let Some((_, subscription)) = known {
                plan.insert("subscriptionType".into(), json!(subscription));
            }
            if let Some(tier) = text("rate_limit_tier") {
                plan.insert("rateLimitTier".into(), json!(tier));
            }
        }
        plan
    }

    async fn ask(&self, name: &Name, host: &'static str, mut request: Request<Body>) -> Result<Answered, String> {
        let json = HeaderValue::from_static("application/json");
        let agent = HeaderValue::from_static(concat!("claudebox/", env!("CARGO_PKG_VERSION")));
        for (header, value) in [
            (ACCEPT, json.clone()),
            (CONTENT_TYPE, json),
            (USER_AGENT, agent),
            (HOST, HeaderValue::from_static(host)),
        ] {
            request.headers_mut().insert(header, value);
        }
        let answered = async {
            let response = self
                .upstream
                .send(name, ENCRYPTED, request)
                .await
                .map_err(|why| why.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(|_| "the answer broke off")?.to_bytes();
            Ok(Answered {
                status,
                value: serde_json::from_slice(&body).unwrap_or_default(),
            })
        };
        timeout(PATIENCE, answered)
            .await
            .unwrap_or_else(|_| Err("there was no answer in time".into()))
    }
}
