//! The real Claude Code through the broker.

use serde_json::{Value, json};

use super::world::{KEY, World, world};
use crate::claude_code::{LOGIN, login, tokens, use_the_screen};
use crate::support::api::{self, PLAIN, Request};
use crate::support::{Test, User, as_both};

/// The login inside, as without the broker.
const PASS: &str = "fn credentials(host) { credential::pass(\"the control\"); }\n";

/// One question without a screen, in the network `internet`.
fn asks<'a>(test: &'a Test, words: &'a str) -> Test {
    test.clone()
        .args(["--yes", "--quiet", "--net", "internet", "-p", words])
}

/// A home with an API key.
fn with_key(user: User, world: &World) -> Test {
    world.home(user).var("ANTHROPIC_API_KEY", KEY)
}

/// A login that expires at this time, in milliseconds.
fn login_until(access: &str, expires: u64) -> String {
    let mut login: Value = serde_json::from_str(&login()).expect("a login in JSON");
    login["claudeAiOauth"]["accessToken"] = json!(access);
    login["claudeAiOauth"]["expiresAt"] = json!(expires);
    login.to_string()
}

/// A home that is logged in.
fn with_login(user: User, world: &World, login: &str) -> Test {
    world.home(user).file(LOGIN, login).mode(LOGIN, 0o600)
}

/// A request without what differs from run to run: identifiers, times, sizes, and the connection's own header.
fn plain(request: &Request) -> String {
    let mut headers = request.headers.clone();
    headers.retain(|(name, _)| !["connection", "content-length"].contains(&name.as_str()));
    headers.sort();
    let text = format!(
        "{} {}\n{headers:#?}\n{:#}\n",
        request.method, request.path, request.body
    );
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() || letter == '-' || letter == '_' {
            word.push(letter);
            continue;
        }
        let hexadecimal = |part: &str| part.len() >= 5 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let identifier = word.len() == 36 && word.split('-').count() == 5;
        let hash = hexadecimal(&word) && word.bytes().any(|byte| byte.is_ascii_digit());
        out.push_str(if identifier || hash { "ID" } else { &word });
        word.clear();
        out.push(letter);
    }
    out
}

/// The requests with a path, as they came in.
fn with_path(world: &World, path: &str) -> Vec<String> {
    let requests = world.api.requests();
    requests
        .iter()
        .filter(|request| request.path.starts_with(path))
        .map(plain)
        .collect()
}

/// The methods and paths of all requests, each once.
fn paths(world: &World) -> Vec<String> {
    let mut paths: Vec<String> = world
        .api
        .requests()
        .iter()
        .map(|request| {
            format!(
                "{} {}",
                request.method,
                request.path.split('?').next().unwrap_or_default()
            )
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What Claude Code tells of itself; the broker answers that in the service's place.
fn is_telemetry(path: &str) -> bool {
    ["/api/event_logging", "/api/eval/", "/api/claude_code/metrics"]
        .iter()
        .any(|part| path.contains(part))
}

/// The same run twice, in the same place of the file system: directly and through the broker.
fn compare(make: impl Fn(&World) -> Test + Sync) {
    let run = |policy: &str| {
        let mut out = (Vec::new(), Vec::new());
        world(|world| {
            let test = make(world).policy(policy);
            asks(&test, "hello").stdout(&format!("{PLAIN}\n")).run();
            let base = test.base().display().to_string();
            let name = base.rsplit('/').next().expect("a name").to_owned();
            let messages = with_path(world, "/v1/messages");
            out = (
                messages
                    .iter()
                    .map(|text| without_memory(&text.replace(&name, "BASE")))
                    .collect(),
                paths(world),
            );
        });
        out
    };
    let paths_alike =
        |direct: &[String], brokered: &[String]| direct.iter().filter(|path| !is_telemetry(path)).eq(brokered);
    // What Claude Code asks beside the messages may be cut off by its end, so a difference in that counts if it comes again.
    for attempt in 1.. {
        let (direct, direct_paths) = run(PASS);
        let (brokered, brokered_paths) = run("");
        assert!(!direct.is_empty());
        let last = attempt == 3;
        if last || (direct.len() == brokered.len() && paths_alike(&direct_paths, &brokered_paths)) {
            assert!(
                paths_alike(&direct_paths, &brokered_paths),
                "{direct_paths:#?}\n{brokered_paths:#?}"
            );
            assert_eq!(direct.len(), brokered.len());
            for (direct, brokered) in direct.iter().zip(&brokered) {
                similar(direct, brokered);
            }
            return;
        }
    }
}

/// A request's text without what our own memory says of the launch: it is not the same, and is meant to be.
fn without_memory(text: &str) -> String {
    let (before, rest) = text.split_once("# You run inside claudebox").expect("the memory");
    let (_, after) = rest.split_once("outside this sandbox.").expect("the memory's end");
    format!("{before}MEMORY{after}")
}

/// The same lines; the first that differs is told, for the whole is long.
#[track_caller]
fn similar(direct: &str, brokered: &str) {
    for (number, (one, other)) in direct.lines().zip(brokered.lines()).enumerate() {
        assert_eq!(other, one, "line {number}");
    }
    assert_eq!(direct.lines().count(), brokered.lines().count());
}

as_both! {
    /// What the service receives is, header by header and byte by byte, what it receives without the broker.
    fn a_request_with_a_key_is_that_of_a_direct_run(user: User) {
        compare(|world| with_key(user, world));
    }

    /// The same with a login.
    fn a_request_with_a_login_is_that_of_a_direct_run(user: User) {
        compare(|world| with_login(user, world, &login_until(&api::access_token(0), 4_102_444_800_000)));
    }

    /// Nothing of the real key is anywhere inside; without the broker it is.
    fn nothing_of_the_key_is_inside(user: User) {
        const HUNT: &str = include_str!("hunt.py");
        world(|world| {
            let whole = ("CANARY-of-the-", "real-key-");
            let end = ("Q7xW2pLr", "9ZtB4mNs");
            let hunt = |test: &Test, (one, other): (&str, &str)| {
                let asked = format!("RUN:python3 ~/hunt/hunt.py {one} {other}:END");
                let test = test.clone().file("~/hunt/hunt.py", HUNT);
                let run = test.args(["--yes", "--quiet", "--net", "internet", "--mount-ro", "~/hunt", "-p", &asked]).start();
                assert_eq!((run.stderr.as_str(), run.exit), ("", 0), "{run:?}");
                run.stdout
            };
            let control = with_key(user, world).policy(PASS);
            assert_eq!(hunt(&control, whole), "ECHO environ, memory\n");
            assert_eq!(hunt(&control, end), "ECHO environ, file [HOME]/.claude/.claude.json, file [HOME]/.claude/backups/.claude.json.backup.N, memory\n");
            let test = with_key(user, world);
            assert_eq!(hunt(&test, whole), "ECHO nothing\n");
            assert_eq!(hunt(&test, end), "ECHO nothing\n");
            let sent = world.api.turns().iter().all(|turn| turn.header("x-api-key") == Some(KEY));
            assert!(sent, "the service is sent the real key");
        });
    }

    /// The same with the tokens of a login.
    fn nothing_of_a_login_is_inside(user: User) {
        const HUNT: &str = include_str!("hunt.py");
        world(|world| {
            let asked = "RUN:python3 ~/hunt/hunt.py dummy-acc ess-0; python3 ~/hunt/hunt.py dummy-ref resh-0:END";
            let hunt = |test: &Test| {
                let test = test.clone().file("~/hunt/hunt.py", HUNT);
                test.args(["--yes", "--quiet", "--net", "internet", "--mount-ro", "~/hunt", "-p", asked]).start().stdout
            };
            let login = login_until(&api::access_token(0), 4_102_444_800_000);
            let control = hunt(&with_login(user, world, &login).policy(PASS));
            let file = "file [HOME]/.claude-auth/.credentials.json, file [HOME]/.claude/.credentials.json, memory";
            assert_eq!(control, format!("ECHO {file}\n{file}\n"));
            assert_eq!(hunt(&with_login(user, world, &login)), "ECHO nothing\nnothing\n");
        });
    }

    /// A login that has expired is refreshed outside; inside nothing is noticed.
    fn an_expired_login_is_refreshed_outside(user: User) {
        world(|world| {
            world.api.be_strict();
            let test = with_login(user, world, &login());
            for _ in 0..2 {
                asks(&test, "hello").stdout(&format!("{PLAIN}\n")).run();
                assert_eq!(world.api.renewals(), (1, Vec::new()));
                assert_eq!(tokens(&test, LOGIN), (api::access_token(1), api::refresh_token(1)));
            }
        });
    }

    /// A token that the service no longer takes is refreshed too, and the request repeated.
    fn a_revoked_login_is_refreshed_outside(user: User) {
        world(|world| {
            world.api.be_strict();
            let test = with_login(user, world, &login_until("dummy-access-revoked", 4_102_444_800_000));
            asks(&test, "hello").stdout(&format!("{PLAIN}\n")).run();
            assert_eq!(world.api.renewals(), (1, Vec::new()));
            assert_eq!(tokens(&test, LOGIN), (api::access_token(1), api::refresh_token(1)));
        });
    }

    /// Five sessions that start at one moment refresh the login once between them.
    fn five_sessions_refresh_a_login_once(user: User) {
        const PROJECTS: [&str; 5] = ["~/one", "~/two", "~/three", "~/four", "~/five"];
        world(|world| {
            world.api.be_strict();
            let home = with_login(user, world, &login());
            let home = asks(&home, "hello").stdout(&format!("{PLAIN}\n"));
            let lines: Vec<String> = PROJECTS
                .iter()
                .map(|project| {
                    let test = home.beside(project);
                    format!("(cd {} && {}) > {project}/out 2>&1 &", test.at(project).display(), test.shell_line()).replace("~/", &format!("{}/", test.home().display()))
                })
                .collect();
            let run = home.control(&["bash", "-c", &format!("{}\nwait", lines.join("\n"))]);
            assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
            for project in PROJECTS {
                let said = std::fs::read_to_string(home.at(&format!("{project}/out"))).expect("what it said");
                assert_eq!(said, format!("{PLAIN}\n"), "{project}");
            }
            assert_eq!(world.api.renewals(), (1, Vec::new()));
            assert_eq!(tokens(&home, LOGIN), (api::access_token(1), api::refresh_token(1)));
        });
    }

    /// A token in a variable is held outside too.
    fn a_token_in_a_variable_stays_outside(user: User) {
        world(|world| {
            let test = world.home(user).var("CLAUDE_CODE_OAUTH_TOKEN", KEY);
            asks(&test, "hello").stdout(&format!("{PLAIN}\n")).run();
            let bearer = format!("Bearer {KEY}");
            assert!(world.api.turns().iter().all(|turn| turn.header("authorization") == Some(&bearer)));
            let script = "tr '\\0' '\\n' < /proc/$$/environ | grep -c -e CANARY; echo $CLAUDE_CODE_OAUTH_TOKEN";
            let inside = test.args(["--yes", "--quiet", "--exec", "--", "sh", "-c", script]);
            inside.stdout(&format!("0\n{}\n", claudebox::net::broker::ACCESS)).run();
        });
    }

    /// The service's own words on what is wrong come through, with the exit code.
    fn errors_are_told_in_the_services_own_words(user: User) {
        world(|world| {
            let test = with_key(user, world);
            asks(&test, "FAIL400").stdout("API Error: 400 as the test asked\n").exit(1).run();
        });
    }

    /// The screen of a user who works with a key.
    fn the_screen_works_with_a_key(user: User) {
        world(|world| use_the_screen(&with_key(user, world).args(["--yes", "--quiet"]), &world.api));
    }

    /// The screen of a user who is logged in.
    fn the_screen_works_with_a_login(user: User) {
        world(|world| use_the_screen(&with_login(user, world, &login()).args(["--yes", "--quiet"]), &world.api));
    }

    /// In the network `allowlist` Claude Code works too, and the model is told what the list is.
    fn claude_code_works_where_only_named_hosts_are_reached(user: User) {
        world(|world| {
            let test = with_key(user, world);
            let options = ["--yes", "--quiet", "--net", "allowlist", "--allow-host", "www.example.test", "-p", "hello"];
            test.args(options).stdout(&format!("{PLAIN}\n")).run();
            let heard: String = world.api.turns().iter().map(|turn| turn.body.to_string()).collect();
            assert!(heard.contains("`www.example.test`") && heard.contains("is not on the list"), "{heard}");
        });
    }

    /// Nothing that it sends there, a search of the web among it, is taken for a way to have the service fetch something.
    fn nothing_of_claude_codes_own_is_refused_where_only_named_hosts_are_reached(user: User) {
        world(|world| {
            let test = with_key(user, world);
            let options = ["--yes", "--quiet", "--net", "allowlist", "-p", "SEARCH:words:END"];
            let run = test.clone().args(options).start();
            assert!(run.stdout.starts_with("ECHO Web search results for query: \"words\"\n\nthe stub greets you\n"), "{run:?}");
            let search = json!([{"max_uses": 8, "name": "web_search", "type": "web_search_20250305"}]);
            assert!(world.api.turns().iter().any(|turn| turn.body["tools"] == search));
            assert_eq!(denied(&test), Vec::<String>::new());
        });
    }
}

/// What the broker noted of requests that it refused.
fn denied(test: &Test) -> Vec<String> {
    let log = test
        .snapshot()
        .into_iter()
        .find(|(path, _)| path.ends_with("denied.jsonl"));
    let text = log.map_or_else(String::new, |(_, (_, text))| String::from_utf8(text).expect("text"));
    text.lines()
        .filter(|line| line.contains("\"request\""))
        .map(str::to_owned)
        .collect()
}
