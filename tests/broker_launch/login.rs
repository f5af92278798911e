//! Logging in: a session of its own, whose tokens are kept outside; any other session refuses it.

use super::world::world;
use crate::claude_code::{LOGIN, tokens};
use crate::support::api::{self, PLAIN};
use crate::support::terminal::Terminal;
use crate::support::{User, as_both};

as_both! {
    /// The code is pasted in the session to log in; what it is exchanged for lies outside, and the next session works with it.
    fn a_login_is_kept_outside(user: User) {
        world(|world| {
            let test = world.home(user).args(["--login", "--yes", "--quiet"]);
            let before = test.snapshot();
            let terminal = Terminal::open(&test);
            terminal.line_with_code(&test.script("login", &test.shell_line()));
            terminal.wait_for("Paste code here");
            // The page of the service shows the code with the state after it, which is part of the address that was printed.
            let screen = terminal.screen().replace('\n', "");
            let (address, _) = screen.split_once("Paste code").expect("the question for it");
            let state = address.split("authorize?z-").nth(1).map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>());
            let state = state.unwrap_or_else(|| panic!("no state in {screen}"));
            terminal.text(&format!("the-code#{state}"));
            // Enter right after a pasted text is taken for a part of it: where the machine was too busy, it is pressed again.
            let successful = || terminal.screen().contains("Login successful");
            for pause in [2, 15, 15, 15] {
                let start = std::time::Instant::now();
                while !successful() && start.elapsed() < std::time::Duration::from_secs(pause) {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
                if !successful() {
                    terminal.key("Enter");
                }
            }
            terminal.wait_for("Login successful");
            assert_eq!(terminal.exit_code(), 0);
            assert_eq!(tokens(&test, LOGIN), (api::access_token(1), api::refresh_token(1)));
            let kept: Vec<_> = test.snapshot().into_keys().filter(|path| !before.contains_key(path)).collect();
            let kept: Vec<String> = kept.iter().map(|path| test.blank(&path.display().to_string())).collect();
            let login = "[HOME]/.claudebox/auth/.credentials.json";
            assert_eq!(kept, ["[HOME]/.claudebox", "[HOME]/.claudebox/auth", login, &format!("{login}.lock")]);

            let next = world.home(user).file(LOGIN, &std::fs::read_to_string(test.at(LOGIN)).expect("the login")).mode(LOGIN, 0o600);
            world.api.be_strict();
            next.args(["--yes", "--quiet", "-p", "hello"]).stdout(&format!("{PLAIN}\n")).run();
        });
    }

    /// An ordinary session cannot change the account: the code of somebody else is not exchanged.
    fn an_ordinary_session_refuses_a_code(user: User) {
        world(|world| {
            let body = r#"{"grant_type":"authorization_code","code":"theirs","redirect_uri":"https://platform.claude.com/oauth/code/callback","client_id":"x","code_verifier":"y","state":"z"}"#;
            let ask = format!("curl -s --cacert $NODE_EXTRA_CA_CERTS -H 'content-type: application/json' -d '{body}' -w '%{{http_code}}' -o /dev/null https://platform.claude.com/v1/oauth/token");
            let test = world.home(user).args(["--yes", "--quiet", "--exec", "--", "sh", "-c", &ask]);
            test.stdout("403").run();
            assert_eq!(world.api.requests().len(), 0);
        });
    }
}
