//! Requests for tokens that come from inside. A refresh is answered with the placeholders again; a login is carried out once, in
//! a session that is there for it, and its tokens stay outside.

use std::sync::Arc;

use claudebox::net::broker::denial::Way;
use claudebox::net::name::Name;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::credential::Login;
use crate::http::{self, Body};
use crate::session::Session;

/// The longest question, in bytes.
const QUESTION_MAX: usize = 64 * 1024;

/// How long the placeholder says that it is good for, in seconds: the broker knows when the real one ends.
const LIFETIME: u64 = 365 * 24 * 60 * 60;

/// What is sent on of a login: an authorization code and what proves that it belongs to this client (RFC 6749 and 7636).
const OF_LOGIN: [&str; 7] = [
    "grant_type",
    "code",
    "redirect_uri",
    "client_id",
    "code_verifier",
    "state",
    "expires_in",
];

/// Answers one.
///
/// INVARIANT(brokered-credential): the only answer with tokens of the service's is the one to a login, and in it they are replaced.
pub async fn answer(session: &Session, name: &Name, body: Incoming) -> Response<Body> {
    let Ok(body) = Limited::new(body, QUESTION_MAX).collect().await else {
        return http::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "this is too long for a question for tokens",
        );
    };
    let Ok(Value::Object(question)) = serde_json::from_slice(&body.to_bytes()) else {
        return http::refused(StatusCode::BAD_REQUEST, "this is no question for tokens");
    };
    let refuse = |why| {
        session
            .denied
            .tell(Way::Request, &format!("POST {name}/v1/oauth/token"), why);
        http::refused(StatusCode::FORBIDDEN, why)
    };
    let Some(login) = session.credential.login() else {
        return refuse("this session has no login");
    };
    let text = |field: &str| question.get(field).and_then(Value::as_str);
    match text("grant_type") {
        Some("refresh_token") if text("refresh_token") == Some(session.placeholders.refresh.as_str()) => {
            refreshed(session, login).await
        }
        Some("refresh_token") => refuse("a credential that is not this session's placeholder was sent"),
        Some("authorization_code") if session.login => logged_in(session, login, &question).await,
        Some("authorization_code") => {
            refuse("this session is not there to log in: the user does, with `claudebox --login`")
        }
        _ => refuse("tokens are not given out in this way"),
    }
}

async fn refreshed(session: &Session, login: &Arc<Login>) -> Response<Body> {
    match login.access().await {
        Ok(_) => {
            let scopes = login.scopes().await.join(" ");
            placeholders(session, json!({"token_type": "Bearer", "scope": scopes}))
        }
        Err(why) => http::refused(StatusCode::BAD_GATEWAY, &why.to_string()),
    }
}

async fn logged_in(session: &Session, login: &Arc<Login>, question: &Map<String, Value>) -> Response<Body> {
    let fields = question.iter().filter(|(field, _)| OF_LOGIN.contains(&field.as_str()));
    let question = Value::Object(fields.map(|(field, value)| (field.clone(), value.clone())).collect());
    // The code is good for one exchange: who asked may give up, but what comes of it must be stored.
    let exchange = Arc::clone(login);
    let answered = tokio::spawn(async move { exchange.log_in(&question).await }).await;
    match answered {
        Ok(Ok(answered)) if answered.status.is_success() => placeholders(session, answered.value),
        Ok(Ok(answered)) => http::document(answered.status, &answered.value),
        Ok(Err(why)) => http::refused(StatusCode::BAD_GATEWAY, &why.to_string()),
        Err(_) => http::refused(StatusCode::BAD_GATEWAY, "the login broke off"),
    }
}

/// An answer with tokens, all of them placeholders.
fn placeholders(session: &Session, mut answer: Value) -> Response<Body> {
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("access_token".into(), json!(session.placeholders.access));
        answer.insert("refresh_token".into(), json!(session.placeholders.refresh));
        answer.insert("expires_in".into(), json!(LIFETIME));
        // One is a credential too, of a kind that Claude Code does not use; the other is the end of the real token.
        for field in ["id_token", "refresh_token_expires_in"] {
            answer.remove(field);
        }
    }
    http::document(StatusCode::OK, &answer)
}
