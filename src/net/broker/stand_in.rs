//! What stands inside for the file of a login: it tells Claude Code who pays and what is allowed, and no token.

use serde_json::{Map, Value, json};

use super::{ACCESS, REFRESH};

/// Year 2100, in milliseconds since 1970: inside, nothing ever seems to expire. The broker knows when it does.
const NEVER: u64 = 4_102_444_800_000;

/// What is told of the real login: the subscription and its rights. Everything else of the file may be a secret.
const TOLD: [&str; 3] = ["scopes", "subscriptionType", "rateLimitTier"];

/// The file's content for a real one.
#[must_use]
pub fn of(real: &[u8]) -> Vec<u8> {
    let real: Value = serde_json::from_slice(real).unwrap_or_default();
    let mut login = Map::new();
    for (name, value) in [
        ("accessToken", json!(ACCESS)),
        ("refreshToken", json!(REFRESH)),
        ("expiresAt", json!(NEVER)),
    ] {
        login.insert(name.into(), value);
    }
    let old = real.get("claudeAiOauth");
    for name in TOLD {
        if let Some(value) = old.and_then(|old| old.get(name)).filter(|value| is_plain(value)) {
            login.insert(name.into(), value.clone());
        }
    }
    login
        .entry("scopes")
        .or_insert(json!(["user:inference", "user:profile"]));
    format!("{}\n", json!({ "claudeAiOauth": login })).into_bytes()
}

/// The tokens of a real file: what must be seen nowhere inside.
#[must_use]
pub fn tokens(real: &[u8]) -> Vec<String> {
    let real: Value = serde_json::from_slice(real).unwrap_or_default();
    let login = real.get("claudeAiOauth");
    let token = |name: &str| login?.get(name)?.as_str().map(str::to_string);
    ["accessToken", "refreshToken"]
        .into_iter()
        .filter_map(token)
        .filter(|token| !token.is_empty())
        .collect()
}

/// A word, or a list of words: `max`, `user:inference`.
fn is_plain(value: &Value) -> bool {
    let word = |value: &Value| {
        value.as_str().is_some_and(|text| {
            text.len() < 40
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"_:-".contains(&byte) || byte.is_ascii_digit())
        })
    };
    value.is_null() || word(value) || value.as_array().is_some_and(|values| values.iter().all(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_told_and_tokens_are_not() {
        let real = br#"{"claudeAiOauth":{"accessToken":"REAL-A","refreshToken":"REAL-R","expiresAt":1,"scopes":["user:inference"],
            "subscriptionType":"max","rateLimitTier":"REAL SECRET","other":"REAL-O"},"mcpOAuth":{"x":"REAL-M"}}"#;
        assert_eq!(
            String::from_utf8(of(real)).unwrap(),
            format!(
                "{{\"claudeAiOauth\":{{\"accessToken\":\"{ACCESS}\",\"expiresAt\":4102444800000,\"refreshToken\":\"{REFRESH}\",\
                 \"scopes\":[\"user:inference\"],\"subscriptionType\":\"max\"}}}}\n"
            )
        );
        assert_eq!(tokens(real), ["REAL-A", "REAL-R"]);
    }

    #[test]
    fn a_file_that_is_no_login_gives_one_that_works() {
        for real in [
            &b""[..],
            b"{}",
            b"[1]",
            b"\xff",
            br#"{"claudeAiOauth":{"scopes":{"a":1}}}"#,
        ] {
            let text = String::from_utf8(of(real)).unwrap();
            assert!(
                text.contains("\"scopes\":[\"user:inference\",\"user:profile\"]"),
                "{text}"
            );
            assert_eq!(tokens(real), Vec::<String>::new());
        }
    }
}
