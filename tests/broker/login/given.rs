//! Who is given a token: this session's placeholder in the one way to renew it, and a session that is there to log in.

use super::*;

#[test]
fn tokens_are_given_out_in_no_other_way() {
    world(|world| {
        let broker = world.broker(&configuration(world, Some(&file("REAL-A1", FUTURE))));
        let code = r#"{"grant_type":"authorization_code","code":"ATTACKER","client_id":"x"}"#;
        let foreign = "403 claudebox: a credential that is not this session's placeholder was sent";
        let other = "403 claudebox: tokens are not given out in this way";
        let none = "400 claudebox: this is no question for tokens";
        let login = "403 claudebox: this session is not there to log in: the user does, with `claudebox --login`";
        let long = format!("{{\"grant_type\":\"{}\"}}", "a".repeat(70_000));
        let access = format!(r#"{{"grant_type":"refresh_token","refresh_token":"{ACCESS}"}}"#);
        let twice =
            format!(r#"{{"grant_type":"refresh_token","refresh_token":"{REFRESH}","refresh_token":"ATTACKER"}}"#);
        let kinds = format!(
            r#"{{"grant_type":"refresh_token","grant_type":"authorization_code","refresh_token":"{REFRESH}"}}"#
        );
        let table = [
            (r#"{"grant_type":"refresh_token","refresh_token":"ATTACKER"}"#, foreign),
            (
                r#"{"grant_type":"refresh_token","refresh_token":["ATTACKER"]}"#,
                foreign,
            ),
            (r#"{"grant_type":"refresh_token"}"#, foreign),
            (access.as_str(), foreign),
            (twice.as_str(), foreign),
            (kinds.as_str(), login),
            (code, login),
            (r#"{"grant_type":"password","username":"x","password":"y"}"#, other),
            (r#"{"grant_type":"client_credentials"}"#, other),
            (
                r#"{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange"}"#,
                other,
            ),
            (r#"{"grant_type":null}"#, other),
            ("{}", other),
            ("[]", none),
            ("", none),
            ("grant_type=refresh_token&refresh_token=ATTACKER", none),
            (
                long.as_str(),
                "413 claudebox: this is too long for a question for tokens",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(
                tokens(&mut world.client(&broker, PLATFORM), body),
                expected,
                "{body:.80}"
            );
        }
        assert_eq!(questions(world), Vec::<String>::new());
        let mut client = world.client(&broker, PLATFORM);
        for (method, path) in [
            ("GET", "/v1/oauth/token"),
            ("POST", "/v1/oauth/revoke"),
            ("POST", "/v1/oauth/token/"),
        ] {
            let asked = client.ask(format!("{method} {path} HTTP/1.1\r\nHost: {PLATFORM}\r\n\r\n"));
            let shown = shown(&asked.expect("an answer"));
            assert_eq!(
                shown, "403 claudebox: this call is not one that Claude Code needs",
                "{method} {path}"
            );
        }
    });
    world(|world| {
        let broker = world.broker(&world.configuration());
        let body = format!(r#"{{"grant_type":"refresh_token","refresh_token":"{REFRESH}"}}"#);
        let asked = tokens(&mut world.client(&broker, PLATFORM), &body);
        assert_eq!(asked, "403 claudebox: this session has no login");
    });
}

#[test]
fn a_login_leaves_its_tokens_outside() {
    world(|world| {
        let refused = Arc::new(AtomicBool::new(true));
        let first = Arc::clone(&refused);
        world.platform.answer(move |_, out| {
            let answer = r#"{"token_type":"Bearer","access_token":"REAL-A2","refresh_token":"REAL-R2","id_token":"REAL-I","refresh_token_expires_in":86400,"expires_in":28800,"scope":"user:inference user:profile","account":{"uuid":"u"}}"#;
            let text = if first.swap(false, Ordering::SeqCst) {
                http("400 Bad Request", r#"{"error":"invalid_grant"}"#)
            } else {
                http("200 OK", answer)
            };
            out.write_all(text.as_bytes())
        });
        let profile = r#"{"account":{"email":"x"},"organization":{"organization_type":"claude_max","rate_limit_tier":"default_claude_max_20x"}}"#;
        world.api.answer_bytes(&http("200 OK", profile));
        let configuration = Configuration {
            login: true,
            ..configuration(world, None)
        };
        let broker = world.broker(&configuration);
        let mut client = world.client(&broker, PLATFORM);
        let code = r#"{"client_id":"c","code":"CODE","code_verifier":"V","grant_type":"authorization_code","redirect_uri":"R","state":"S","x":"ATTACKER"}"#;
        assert_eq!(tokens(&mut client, code), "400 {\"error\":\"invalid_grant\"}");
        assert_eq!(
            tokens(&mut client, code),
            format!(
                "200 {}",
                json!({"token_type": "Bearer", "access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 31_536_000,
                    "scope": "user:inference user:profile", "account": {"uuid": "u"}})
            )
        );
        assert_eq!(
            questions(world),
            [
                code.replace(",\"x\":\"ATTACKER\"", ""),
                code.replace(",\"x\":\"ATTACKER\"", "")
            ]
        );
        let mut now = stored(&world.path("login.json"));
        let ends = now["claudeAiOauth"]["refreshTokenExpiresAt"].take();
        assert!(ends.as_u64() > Some(PAST), "{ends}");
        assert_eq!(
            now,
            json!({"claudeAiOauth": {"accessToken": "REAL-A2", "refreshToken": "REAL-R2", "expiresAt": "in a while",
                "refreshTokenExpiresAt": null, "scopes": ["user:inference", "user:profile"], "clientId": "c",
                "subscriptionType": "max", "rateLimitTier": "default_claude_max_20x"}})
        );
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A2"]);
        assert_eq!(
            std::fs::metadata(world.path("login.json")).expect("the login").mode() & 0o7777,
            0o600
        );
        world.api.answer_bytes(&http("200 OK", "ok"));
        assert_eq!(message(&mut world.client(&broker, API)), "200 ok");
        assert_eq!(bearers(world), ["authorization: Bearer REAL-A2"]);
    });
}
