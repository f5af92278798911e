//! The real Claude Code in the sandbox, against a stub of the Messages API on loopback.

use serde_json::{Value, json};

use crate::support::api::{self, Api, PLAIN};
use crate::support::canaries::{Canaries, WANTED};
use crate::support::terminal::Terminal;
use crate::support::tls::Tls;
use crate::support::{Test, User, as_both, claude};

/// A key that no server knows. Claude Code asks about a key it has not seen by the last twenty characters.
pub const KEY: &str = "dummy-key-of-the-test-0123456789";

/// The stub's address goes in by the user's policy, so that these tests say nothing about what the bundled one thinks of it.
pub const POLICY: &str = r#"
fn variable(host, name) {
    switch name {
        "ANTHROPIC_BASE_URL" => env::pass("the test's own server"),
        _ => base::variable(host, name),
    }
}
"#;

/// A home whose user has an API key, and the stub as the server.
pub fn with_key(user: User, api: &Api) -> Test {
    let claude = claude::path();
    Test::new()
        .who(user)
        .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
        .var("ANTHROPIC_BASE_URL", api.url())
        .var("ANTHROPIC_API_KEY", KEY)
}

/// Claude Code itself without any sandbox, and the shortest answer: shows that the stub is one Claude Code can talk to.
pub fn bare(test: &Test, args: &[&str]) -> (String, String, i32) {
    let claude = claude::path();
    let mut words = vec![claude.to_str().expect("a path in ASCII")];
    words.extend(args);
    let run = test.control(&words);
    (run.stdout, run.stderr, run.exit)
}

as_both! {
    /// The stub speaks well enough for the real client, tools and errors included.
    fn the_stub_serves_the_bare_client(user: User) {
        let api = Api::start();
        let test = with_key(user, &api);
        assert_eq!(bare(&test, &["-p", "hello"]), (format!("{PLAIN}\n"), String::new(), 0));
        let asked = "RUN:echo one; echo two:END";
        assert_eq!(bare(&test, &["--allowedTools", "Bash", "-p", asked]), ("ECHO one\ntwo\n".to_owned(), String::new(), 0));
        let failed = "API Error: 400 as the test asked\n".to_owned();
        assert_eq!(bare(&test, &["-p", "FAIL400"]), (failed, String::new(), 1));
    }
}

/// A login as a file: the first pair of tokens, long expired.
pub fn login() -> String {
    json!({"claudeAiOauth": {
        "accessToken": api::access_token(0),
        "refreshToken": api::refresh_token(0),
        "expiresAt": 1,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }})
    .to_string()
}

/// Where the login lies on the host, shared by all projects.
pub const LOGIN: &str = "~/.claudebox/auth/.credentials.json";

/// Claude Code renews a login only at its vendor's own name, so the stub stands in as a proxy, and its certificate is one to trust.
const LOGIN_POLICY: &str = r#"
fn variable(host, name) {
    switch name {
        "ANTHROPIC_BASE_URL" | "HTTPS_PROXY" | "NO_PROXY" | "NODE_EXTRA_CA_CERTS" => env::pass("the test's own server"),
        _ => base::variable(host, name),
    }
}
"#;

/// A home whose user is logged in, with tokens that have to be renewed first.
pub fn with_login(user: User, api: &Api, tls: &Tls) -> Test {
    let claude = claude::path();
    Test::new()
        .who(user)
        .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
        .var("ANTHROPIC_BASE_URL", api.url())
        .var("HTTPS_PROXY", api.url())
        .var("NO_PROXY", "127.0.0.1")
        .var("NODE_EXTRA_CA_CERTS", "[PROJECT]/certificate.pem")
        .file("certificate.pem", &tls.certificate())
        .policy(LOGIN_POLICY)
}

/// The tokens in a login's file.
pub fn tokens(test: &Test, path: &str) -> (String, String) {
    let text = std::fs::read_to_string(test.at(path)).expect("the login's file");
    let login: Value = serde_json::from_str(&text).expect("a login in JSON");
    let token = |name: &str| login["claudeAiOauth"][name].as_str().unwrap_or_default().to_owned();
    (token("accessToken"), token("refreshToken"))
}

as_both! {
    /// The model runs commands in the sandbox, and none of them finds a secret.
    fn the_model_finds_no_secret(user: User) {
        let api = Api::start();
        let (test, canaries) = Canaries::plant(with_key(user, &api));
        let test = test.policy(&canaries.policy(&["ANTHROPIC_BASE_URL"]));
        canaries.control(&test);
        let asked = format!("RUN:{}:END", canaries.hunt());
        let said = format!("ECHO {}\n", WANTED.join("\n"));
        test.args(["--yes", "--quiet", "--net", "host", "-p", &asked]).stdout(&said).run();
    }

    /// The honest use beside it: the model changes a file and commits, under the user's name.
    fn the_model_commits(user: User) {
        let api = Api::start();
        let test = with_key(user, &api)
            .policy(POLICY)
            .file("~/.gitconfig", "[user]\n\tname = Ada\n\temail = ada@example.invalid\n")
            .file("notes.txt", "first\n");
        let prepare = "git init -q -b main && git add notes.txt && git commit -q -m start && echo ready";
        let prepared = test.control(&["sh", "-c", prepare]);
        assert_eq!((prepared.stdout.as_str(), prepared.stderr.as_str(), prepared.exit), ("ready\n", "", 0));

        let asked = "RUN:echo second >> notes.txt && git commit -q -a -m 'by the model' && git log -1 --format='%an <%ae> %s':END";
        let test = test
            .args(["--yes", "--quiet", "--net", "host", "-p", asked])
            .stdout("ECHO Ada <ada@example.invalid> by the model\n");
        test.compare(&test.start());

        let look = "git log --format='%an <%ae> %s'; git status --porcelain; git fsck; cat notes.txt";
        let seen = test.control(&["sh", "-c", look]);
        let expected = "Ada <ada@example.invalid> by the model\nAda <ada@example.invalid> start\nfirst\nsecond\n";
        assert_eq!((seen.stdout.as_str(), seen.exit), (expected, 0));
    }

    /// The client's own exit code is claudebox's.
    fn exit_codes_come_back(user: User) {
        let api = Api::start();
        let test = with_key(user, &api).policy(POLICY);
        let test = test.args(["--yes", "--quiet", "--net", "host", "-p", "hello"]).stdout(&format!("{PLAIN}\n"));
        test.compare(&test.start());
        let failed = "API Error: 400 as the test asked\n";
        test.args(["--yes", "--quiet", "--net", "host", "-p", "FAIL400"]).stdout(failed).exit(1).run();
    }

    /// The flag that the sandbox makes safe always stands first, and the user's arguments follow as they were given.
    fn arguments_come_through(user: User) {
        let test = Test::new()
            .who(user)
            .copy("[BIN]/attack", "[BASE]/programs/claude")
            .var("CLAUDEBOX_CLAUDE", "[BASE]/programs/claude");
        let said = "<--dangerously-skip-permissions>\n<--resume>\n<>\n<two words>\n<--yes>\n";
        test.args(["--yes", "--quiet", "--net", "none", "--resume", "", "two words", "--yes"]).stdout(said).exit(9).run();
    }

    /// Ctrl+C in a run without a screen reaches the client, which ends in its own way, just as it does without a sandbox.
    fn ctrl_c_ends_a_run(user: User) {
        let api = Api::start();
        let interrupt = |test: &Test, command: &str| {
            let terminal = Terminal::open(test);
            let before = api.turns().len();
            terminal.line_with_code(command);
            terminal.wait("the model's turn", |_| api.turns().len() > before);
            terminal.key("C-c");
            let code = terminal.exit_code();
            let screen = terminal.screen();
            (code, screen.lines().filter(|line| !line.is_empty()).skip(1).map(str::to_owned).collect::<Vec<_>>())
        };
        let claude = claude::path();
        let line = |test: &Test| format!("{} -p SLOW:60", test.environment_line(claude.to_str().expect("a path in ASCII")));
        let control = with_key(user, &api);
        let bare = interrupt(&control, &control.script("bare", &line(&control)));
        let test = with_key(user, &api).policy(POLICY).args(["--yes", "--quiet", "--net", "host", "-p", "SLOW:60"]);
        let boxed = interrupt(&test, &test.script("boxed", &test.shell_line()));
        assert_eq!(boxed, bare);
    }

    /// A login is renewed once and the new tokens arrive on the host, where the next run finds them.
    fn a_login_is_renewed_on_the_host(user: User) {
        let api = Api::start();
        let tls = Tls::start(&api);

        let control = with_login(user, &api, &tls).file("~/.claude/.credentials.json", &login());
        assert_eq!(bare(&control, &["-p", "hello"]), (format!("{PLAIN}\n"), String::new(), 0));
        assert_eq!(tokens(&control, "~/.claude/.credentials.json"), (api::access_token(1), api::refresh_token(1)));

        let api = Api::start();
        let tls = Tls::start(&api);
        let test = with_login(user, &api, &tls).file(LOGIN, &login()).mode(LOGIN, 0o600);
        let test = test.args(["--yes", "--quiet", "--net", "host", "-p", "hello"]).stdout(&format!("{PLAIN}\n"));
        for _ in 0..2 {
            test.compare(&test.start());
            assert_eq!(api.renewals(), (1, Vec::new()));
            assert_eq!(tokens(&test, LOGIN), (api::access_token(1), api::refresh_token(1)));
        }
    }

    /// Four projects that start at one moment renew the login once between them: a refresh token that is used twice logs the user out.
    fn four_projects_renew_a_login_once(user: User) {
        const PROJECTS: [&str; 4] = ["~/one", "~/two", "~/three", "~/four"];
        let start = |tests: &[Test]| {
            std::thread::scope(|scope| {
                let runs = tests.iter().map(|test| scope.spawn(|| test.start())).collect::<Vec<_>>();
                runs.into_iter().map(|run| run.join().expect("a run")).collect::<Vec<_>>()
            })
        };

        // The control shares the file and nothing else, as a launcher would that binds it into each project's own directory.
        let api = Api::start();
        let tls = Tls::start(&api);
        let control = with_login(user, &api, &tls).file("~/shared.json", &login());
        let control = PROJECTS.iter().fold(control, |test, path| test.directory(&format!("{path}/.claude")));
        let script = PROJECTS.map(|path| {
            let home = control.at(path);
            let (home, shared, claude) = (home.display(), control.at("~/shared.json"), claude::path());
            format!(
                "HOME={home} bwrap --dev-bind / / --bind {} {home}/.claude/.credentials.json {} -p hello > /dev/null 2>&1 &",
                shared.display(),
                claude.display()
            )
        });
        control.control(&["sh", "-c", &format!("{}\nwait", script.join("\n"))]);
        assert_ne!(api.renewals(), (1, Vec::new()), "the naive layout renewed once too: the four did not meet");

        let api = Api::start();
        let tls = Tls::start(&api);
        let home = with_login(user, &api, &tls).file(LOGIN, &login()).mode(LOGIN, 0o600);
        let home = home.args(["--yes", "--quiet", "--net", "host", "-p", "hello"]).stdout(&format!("{PLAIN}\n"));
        let home = PROJECTS.iter().fold(home, |test, path| test.file(&format!("{path}/certificate.pem"), &tls.certificate()));
        let tests = PROJECTS.map(|path| home.beside(path).var("NODE_EXTRA_CA_CERTS", format!("{path}/certificate.pem").replace('~', "[HOME]")));
        let runs = start(&tests);
        for run in &runs {
            home.compare(run);
        }
        assert_eq!(api.renewals(), (1, Vec::new()));
        assert_eq!(tokens(&home, LOGIN), (api::access_token(1), api::refresh_token(1)));
    }

    /// Without a login nothing is said about it: the client itself tells the user.
    fn no_login_is_no_error(user: User) {
        let api = Api::start();
        let claude = claude::path();
        let test = Test::new()
            .who(user)
            .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
            .var("ANTHROPIC_BASE_URL", api.url())
            .policy(POLICY);
        let (stdout, stderr, exit) = bare(&test, &["-p", "hello"]);
        test.args(["--yes", "--quiet", "--net", "host", "-p", "hello"]).stdout(&stdout).stderr(&stderr).exit(exit).run();
    }

    /// The screen of a user who works with an API key.
    fn the_screen_works_with_a_key(user: User) {
        let api = Api::start();
        // The control: a first start goes through its questions before anything else.
        let control = with_key(user, &api);
        let claude = claude::path();
        let terminal = Terminal::open(&control);
        terminal.line(&control.script("bare", &control.environment_line(claude.to_str().expect("a path in ASCII"))));
        terminal.wait_for("Welcome to Claude Code");
        drop(terminal);

        let test = with_key(user, &api).policy(POLICY).args(["--yes", "--quiet", "--net", "host"]);
        use_the_screen(&test, &api);
    }

    /// The screen of a user who is logged in.
    fn the_screen_works_with_a_login(user: User) {
        let api = Api::start();
        let tls = Tls::start(&api);
        let test = with_login(user, &api, &tls).file(LOGIN, &login()).mode(LOGIN, 0o600);
        use_the_screen(&test.args(["--yes", "--quiet", "--net", "host"]), &api);
    }
}

/// Types a word and sends it once it stands in the input line: text and Enter at once would be taken for a paste.
fn say(terminal: &Terminal, text: &str) {
    terminal.text(text);
    terminal.wait_for(text);
    terminal.key("Enter");
}

/// The length of the longest ruled line on the screen.
fn rule(screen: &str) -> usize {
    screen
        .split(|letter| letter != '─')
        .map(|run| run.chars().count())
        .max()
        .unwrap_or(0)
}

/// Everything a person does at the screen. That the very first words typed reach the model shows that no prompt stood before it.
fn use_the_screen(test: &Test, api: &Api) {
    let terminal = Terminal::open(test);
    terminal.line_with_code(&test.script("boxed", &test.shell_line()));
    terminal.wait_for("bypass permissions on");
    say(&terminal, "good morning");
    terminal.wait_for(PLAIN);
    assert_eq!(api.turns().len(), 1);

    terminal.wait("the screen at its full width", |screen| rule(screen) == 100);
    terminal.resize(70, 25);
    terminal.wait("the screen laid out anew", |screen| rule(screen) == 70);
    terminal.resize(100, 30);
    terminal.wait("the screen laid out anew", |screen| rule(screen) == 100);

    terminal.key("C-z");
    assert_eq!(terminal.exit_code(), 148);
    terminal.line("clear");
    terminal.wait("an empty screen", |screen| !screen.contains("Stopped"));
    terminal.line_with_code("fg");
    terminal.wait_for("bypass permissions on");

    say(&terminal, "SLOW:60");
    terminal.wait_for("word0");
    terminal.key("C-c");
    terminal.wait_for("Interrupted");
    terminal.wait_for("bypass permissions on");

    say(&terminal, "RUN:echo the answer is $((6*7)):END");
    terminal.wait_for("ECHO the answer is 42");

    say(&terminal, "/exit");
    assert_eq!(terminal.exit_code(), 0);
}

as_both! {
    /// What is true of the launch and what the user wrote both reach the model, and the model can change neither.
    fn both_memories_reach_the_model(user: User) {
        let api = Api::start();
        let test = with_key(user, &api).policy(POLICY).file("~/.claudebox/CLAUDE.md", "The user likes tabs.\n");
        test.clone().args(["--yes", "--quiet", "--net", "host", "-p", "hello"]).stdout(&format!("{PLAIN}\n")).run();
        let heard: String = api.turns().iter().map(|turn| turn.body.to_string()).collect();
        assert!(heard.contains("You run inside claudebox"), "what is true of the launch");
        assert!(heard.contains("The user likes tabs."), "what the user wrote");
        let asked = "RUN:echo x >> /etc/claude-code/CLAUDE.md; echo x >> ~/.claude/CLAUDE.md:END";
        let _ = test.clone().args(["--yes", "--quiet", "--net", "host", "-p", asked]).start();
        assert_eq!(std::fs::read_to_string(test.at("~/.claudebox/CLAUDE.md")).expect("the memory"), "The user likes tabs.\n");
    }
}
