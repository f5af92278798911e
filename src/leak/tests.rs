//! Measured on a realistic environment (no false alarm) and on one token of each kind (all found). The tokens are made
//! up and put together here, so that no secret scanner takes this file for a leak.

use super::samples::{ALNUM, BASE32, BASE36, BASE64, BASE64URL, HARMLESS, HEX, MARKED};
use super::*;

fn why(name: &str, value: &str) -> Option<Suspicion> {
    suspect(&EnvName::new(name).unwrap(), OsStr::new(value))
}

#[test]
fn an_ordinary_environment_raises_no_alarm() {
    assert!(HARMLESS.len() >= 80);
    let alarms: Vec<_> = HARMLESS
        .iter()
        .filter_map(|(name, value)| Some((name, why(name, value)?)))
        .collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
}

/// `length` letters and digits, always the same ones for the same seed (xorshift; Marsaglia 2003).
fn noise(alphabet: &[u8], length: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        alphabet[(state >> 33) as usize % alphabet.len()] as char
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn every_kind_of_secret_is_found_by_its_value() {
    assert!(MARKED.len() >= 40);
    for (index, (what, mark, alphabet, length)) in MARKED.iter().enumerate() {
        let mut value = format!("{mark}{}", noise(alphabet, *length, index as u64 + 7));
        if *what == "a URL with a token" {
            value.push_str("@git.example/repo.git");
        }
        // A name that says nothing.
        assert_eq!(why("FOO", &value), Some(Suspicion::Value(what)), "{value}");
    }
}

#[test]
fn tokens_are_found_inside_longer_values() {
    let token = ["gh", "p_"].concat() + noise(ALNUM, 36, 1).as_str();
    for value in [
        format!("--header=x --auth={token} --verbose"),
        format!("https://github.com/a/b?x={token}"),
        format!("a:b,c:{token};d"),
        format!("{{\"t\":\"{token}\"}}"),
        format!("user:{token}"),
        format!("\n{token}\n"),
    ] {
        assert_eq!(why("FOO", &value), Some(Suspicion::Value("a GitHub token")), "{value}");
    }
    let signed = ["ey", "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"].concat();
    for value in [format!("{signed}.{signed}.c2lnbmF0dXJl"), format!("{signed}.{signed}.")] {
        assert_eq!(
            why("FOO", &value),
            Some(Suspicion::Value("a JSON Web Token")),
            "{value}"
        );
    }
}

#[test]
fn passwords_in_urls_are_found() {
    // `~` stands for `@`, see the module doc of `samples`.
    for value in [
        "https://user:pw~host/path",
        "http://user:pw~proxy.corp:3128",
        "redis://:hunter2~localhost:6379/0",
        "postgres://postgres:postgres~localhost:5432/app",
        "mongodb+srv://u:p%40ss~cluster0.example.net/?w=majority",
        "postgres://u:a/b#c~host/db",
        "amqp://u:p~[::1]:5672/",
        "first https://host/ then https://u:p~host/",
    ] {
        let value = value.replace('~', "@");
        assert_eq!(
            why("FOO", &value),
            Some(Suspicion::Value("a URL with a password")),
            "{value}"
        );
    }
    assert_eq!(
        why("https_proxy", &"user:pw~proxy:3128".replace('~', "@")),
        Some(Suspicion::Value("a proxy with a password"))
    );
    for value in [
        "https://user~host/",
        "https://user:~host/",
        "https://host:8080/~scope/name",
        "https://host/a:b~c",
        "https://[::1]:80/~x",
        "ssh://x-access-token~github.com/a",
        "://",
        "https://",
    ] {
        assert_eq!(why("FOO", &value.replace('~', "@")), None, "{value}");
    }
}

/// What Claude Code itself takes for secrets, and the usual ones of other tools: by name, whatever the value is.
#[test]
fn names_that_speak_of_secrets_are_found() {
    for name in "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_CUSTOM_HEADERS ANTHROPIC_FOUNDRY_API_KEY \
        ANTHROPIC_AWS_API_KEY CLAUDE_CODE_OAUTH_TOKEN CLAUDE_CODE_OAUTH_REFRESH_TOKEN CLAUDE_CODE_SESSION_ACCESS_TOKEN \
        CLAUDE_CODE_HFI_BEARER_TOKEN CLAUDE_TRUSTED_DEVICE_TOKEN CLAUDE_BRIDGE_OAUTH_TOKEN CLAUDE_CODE_CLIENT_KEY \
        CLAUDE_CODE_CLIENT_KEY_PASSPHRASE AGENT_PROXY_AUTH_TOKEN AWS_BEARER_TOKEN_BEDROCK AWS_ACCESS_KEY_ID \
        AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_AUTH_ACCESS_TOKEN \
        AZURE_CLIENT_SECRET AZURE_PASSWORD AZURE_FEDERATED_TOKEN_FILE GH_TOKEN GITHUB_TOKEN GH_ENTERPRISE_TOKEN \
        MCP_CLIENT_SECRET MCP_XAA_IDP_CLIENT_SECRET OTEL_EXPORTER_OTLP_HEADERS ACTIONS_RUNTIME_TOKEN SSH_SIGNING_KEY \
        DATABASE_URL SENTRY_DSN PGPASSWORD MYSQL_PWD DB_PASS REDISCLI_AUTH COMPOSER_AUTH AZURE_DEVOPS_EXT_PAT \
        npm_config__auth npm_config_//registry.npmjs.org/:_authToken KEYCLOAK_ADMIN_PASSWORD GPG_KEY_PASSPHRASE \
        SLACK_WEBHOOK_URL AZURE_STORAGE_CONNECTION_STRING DIRENV_DIFF __MISE_DIFF KEYKEYBOARD"
        .split_whitespace()
    {
        assert!(matches!(why(name, "some value"), Some(Suspicion::Name(_))), "{name}");
    }
}

#[test]
fn nothing_and_switches_are_no_secrets() {
    for value in ["", " ", "1", "0", "true", "False", "off"] {
        assert_eq!(why("MY_API_KEY", value), None, "{value:?}");
    }
    assert_eq!(why("MY_API_KEY", "2"), Some(Suspicion::Name("*KEY*")));
    // An identifier's name excuses only a guess.
    let token = ["gh", "p_"].concat() + noise(ALNUM, 36, 1).as_str();
    assert_eq!(why("COMMIT_SHA", &token), Some(Suspicion::Value("a GitHub token")));
    assert_eq!(
        why("GPG_KEY", concat!("-----BEG", "IN PGP PRIVATE K", "EY BLOCK-----")),
        Some(Suspicion::Value("a private key"))
    );
}

/// The guess at random tokens misses a few: how few is what the comment in `random` promises.
#[test]
fn random_tokens_are_guessed_right() {
    let found = |alphabet: &[u8], length: usize| {
        let hits = (0..2000_u64)
            .filter(|seed| why("FOO", &noise(alphabet, length, seed + 1)).is_some())
            .count();
        hits as f64 / 2000.0
    };
    for (alphabet, length, least) in [
        (ALNUM, 24, 0.94),
        (ALNUM, 32, 0.98),
        (BASE64, 40, 0.98),
        (BASE64, 44, 0.96),
        (BASE64URL, 43, 0.99),
        (BASE36, 32, 0.96),
        (BASE32, 32, 0.96),
        (HEX, 32, 0.99),
        (HEX, 64, 0.99),
    ] {
        let share = found(alphabet, length);
        assert!(
            share >= least,
            "{length} of {}: {share}",
            std::str::from_utf8(alphabet).unwrap()
        );
    }
}

#[test]
fn entropy_is_shannons() {
    let near = |value: &[u8], expected: f64| (random::entropy(value) - expected).abs() < 1e-9;
    assert!(near(b"aaaa", 0.0) && near(b"abab", 1.0) && near(b"abcd", 2.0) && near(b"aab", 0.918_295_834_054_489_6));
}

#[test]
fn suspicions_complete_a_sentence() {
    assert_eq!(Suspicion::Name("*TOKEN*").to_string(), "its name matches `*TOKEN*`");
    assert_eq!(
        Suspicion::Value("a GitHub token").to_string(),
        "its value looks like a GitHub token"
    );
}

#[test]
fn shown_values_are_escaped_shortened_and_redacted() {
    let shown = |name: &str, value: &[u8], width| shown(&EnvName::new(name).unwrap(), OsStr::from_bytes(value), width);
    assert_eq!(shown("FOO", b"plain", 5), "plain");
    assert_eq!(shown("FOO", b"plainer", 5), "plai…");
    assert_eq!(shown("FOO", b"ab", 1), "…");
    assert_eq!(shown("FOO", b"ab", 0), "");
    assert_eq!(shown("FOO", b"", 0), "");
    assert_eq!(shown("FOO", b"\x1b[2J\xff", 40), "\\u{1b}[2J\\xff");
    assert_eq!(shown("FOO", "日本語".as_bytes(), 5), "日本…");
    assert_eq!(shown("FOO", "日本語".as_bytes(), 6), "日本語");
    assert_eq!(shown("MY_TOKEN", b"x", 40), "‹redacted, 1 byte›");
    assert_eq!(shown("MY_TOKEN", &[b'x'; 108], 40), "‹redacted, 108 bytes›");
    assert_eq!(shown("MY_TOKEN", &[b'x'; 108], 9), "‹redacte…");
}

/// Nothing of a suspected value comes out, whatever the width is.
#[test]
fn redacted_values_show_nothing_of_themselves() {
    for (index, (_, mark, alphabet, length)) in MARKED.iter().enumerate() {
        let value = format!("{mark}{}", noise(alphabet, *length, index as u64 + 7));
        if why("FOO", &value).is_some() {
            let line = shown(&EnvName::new("FOO").unwrap(), OsStr::new(&value), 80);
            assert_eq!(line, format!("‹redacted, {} bytes›", value.len()));
        }
    }
}

/// Values come from anywhere: nothing may panic, and nothing may take long.
#[test]
fn odd_values_are_survived() {
    for value in [
        &b"\xff\xfe"[..],
        b"://",
        b"=",
        b"eyJ",
        b"....",
        b"$$$",
        b":",
        b"@",
        b"://@:@",
        b"Bearer ",
        b"sk-ant-",
    ] {
        let long = value.repeat(20_000);
        for value in [value, &long] {
            let _ = suspect(&EnvName::new("FOO").unwrap(), OsStr::from_bytes(value));
        }
    }
}
