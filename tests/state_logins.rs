//! Histories and logins with the real Claude Code: what is shared between projects, and what is not.

use std::fs;

use crate::claude_code::{LOGIN, POLICY, bare, login, tokens, with_key, with_login};
use crate::support::api::{self, Api, PLAIN};
use crate::support::tls::Tls;
use crate::support::{Test, User, as_both};

const QUIET: [&str; 4] = ["--yes", "--quiet", "--net", "host"];

/// One conversation in a project of this home; says what the model was told.
fn told(home: &Test, api: &Api, project: &str, words: &[&str]) -> String {
    let before = api.turns().len();
    home.beside(project)
        .args_of(QUIET.iter().chain(words))
        .stdout(&format!("{PLAIN}\n"))
        .run();
    api.turns()
        .iter()
        .skip(before)
        .map(|turn| turn.body.to_string())
        .collect()
}

/// The names of the conversations in the only instance.
fn conversations(home: &Test) -> Vec<String> {
    let instance = fs::read_dir(home.at("~/.claudebox/instances"))
        .expect("the instances")
        .next()
        .expect("one")
        .expect("an entry")
        .path();
    let mut names = Vec::new();
    crate::support::user::each(&instance.join("claude/projects"), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            names.push(path.file_stem().expect("a name").to_string_lossy().into_owned());
        }
    });
    names
}

as_both! {
    /// A conversation of the main work tree is resumed in another work tree, by its name: they share one state. `--continue` goes on
    /// with the last one of the directory itself, as it does without a sandbox.
    fn a_worktree_resumes_a_conversation_of_the_main_tree(user: User) {
        let api = Api::start();
        let home = with_key(user, &api).policy(POLICY);
        let make = "git init -q ~/main && cd ~/main && git -c user.name=a -c user.email=b commit -q --allow-empty -m one && git worktree add -q ~/tree";
        assert_eq!(home.control(&["sh", "-c", make]).exit, 0);
        told(&home, &api, "~/main", &["-p", "words of the main tree"]);
        let [name] = conversations(&home).try_into().expect("one conversation");
        // A work tree begins with no conversation of its own, and takes up no other one unasked.
        assert!(!told(&home, &api, "~/tree", &["--continue", "-p", "go on"]).contains("words of the main tree"));
        assert!(told(&home, &api, "~/tree", &["--resume", &name, "-p", "words of the other tree"]).contains("words of the main tree"));
        // It stays the main tree's, which goes on with it.
        let main = told(&home, &api, "~/main", &["--continue", "-p", "go on"]);
        assert!(main.contains("words of the main tree") && main.contains("words of the other tree"), "{main}");
        assert_eq!(fs::read_dir(home.at("~/.claudebox/instances")).expect("the instances").count(), 1);
    }

    /// A project that was moved finds its history again by the commands that `--explain` shows.
    fn a_moved_project_adopts_its_history(user: User) {
        let api = Api::start();
        let home = with_key(user, &api).policy(POLICY).directory("~/there");
        told(&home, &api, "~/my project", &["-p", "words before the move"]);
        fs::rename(home.at("~/my project"), home.at("~/there/my project")).expect("the project");
        let moved = home.beside("~/there/my project");
        let run = moved.clone().args(["--net", "host", "--explain", "--json"]).start();
        let trace: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        let note = trace["decisions"].as_array().expect("decisions").iter().find(|one| one["effect"] == "note" && one["site"]["rule"] == "state");
        let note = note.expect("a word about the move");
        assert_eq!(note["subject"], "[HOME]/my project");
        let commands = note["reason"].as_str().and_then(|reason| reason.split_once("runs in it: ")).expect("commands").1;
        let adopted = home.control(&["sh", "-c", commands]);
        assert_eq!((adopted.stderr.as_str(), adopted.exit), ("", 0), "{commands}");
        assert!(told(&home, &api, "~/there/my project", &["--continue", "-p", "go on"]).contains("words before the move"));
        let run = moved.args(["--gc", "--yes"]).start();
        assert_eq!(run.stdout, "nothing to remove; 1 of projects that are there\n");
    }

    /// A login that is made inside of one project is there in the next, and in one that runs already.
    fn a_login_made_inside_is_there_for_all(user: User) {
        let api = Api::start();
        let tls = Tls::start(&api);
        let home = with_login(user, &api, &tls);
        let certificate = |path: &str| home.clone().file(&format!("{path}/certificate.pem"), &tls.certificate());
        let (one, two) = (certificate("~/one").beside("~/one"), certificate("~/two").beside("~/two"));
        // What /login does at its end, in the words of a shell: a new file, then a rename.
        let wait = "echo up; while [ ! -e ~/.claude-auth/.credentials.json ]; do sleep 0.05; done; cat ~/.claude-auth/.credentials.json";
        let mut running = two.clone().args_of(QUIET.iter().chain(&["--exec", "--", "sh", "-c", wait])).spawn();
        let mut out = std::io::BufReader::new(running.stdout());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).expect("the first line");
        let make = format!("umask 077; printf %s '{}' > ~/.claude-auth/new && mv ~/.claude-auth/new ~/.claude-auth/.credentials.json", login());
        one.args_of(QUIET.iter().chain(&["--exec", "--", "sh", "-c", &make])).run();
        let mut seen = String::new();
        std::io::Read::read_to_string(&mut out, &mut seen).expect("the rest");
        assert_eq!(seen, login());
        drop(running);
        two.var("NODE_EXTRA_CA_CERTS", "[HOME]/two/certificate.pem").args_of(QUIET.iter().chain(&["-p", "hello"])).stdout(&format!("{PLAIN}\n")).run();
        assert_eq!(tokens(&home, LOGIN), (api::access_token(1), api::refresh_token(1)));
        assert_eq!(api.renewals(), (1, Vec::new()));
    }

    /// A login at its old place is taken over, private from then on, also while a sandbox runs that has none; one that was put there
    /// later takes the place of the older one, and one that is older stays where it is and is told of.
    fn a_login_at_its_old_place_is_taken_over(user: User) {
        const OLD: &str = "~/.claudebox/.credentials.json";
        let test = Test::new().who(user).directory("~/.claudebox").mode("~/.claudebox", 0o700);
        let wait = "echo up; while [ ! -e ~/.claude-auth/.credentials.json ]; do sleep 0.05; done; cat ~/.claude-auth/.credentials.json";
        let mut running = test.beside("~/other").args(["--yes", "--quiet", "--net", "host", "--exec", "--", "sh", "-c", wait]).spawn();
        let mut out = std::io::BufReader::new(running.stdout());
        std::io::BufRead::read_line(&mut out, &mut String::new()).expect("the first line");

        let look = "cat ~/.claude/.credentials.json ~/.claude-auth/.credentials.json; echo more >> ~/.claude/.credentials.json";
        let look = test.clone().args(["--yes", "--quiet", "--net", "host", "--exec", "--", "sh", "-c", look]);
        let look = look.file(OLD, "one\n").mode(OLD, 0o644).stdout("one\none\n");
        look.compare(&look.start());
        let mut seen = String::new();
        std::io::Read::read_to_string(&mut out, &mut seen).expect("the rest");
        assert!(seen.starts_with("one\n"), "{seen}");
        assert!(!look.at(OLD).exists());
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(look.at(LOGIN)).expect("the login").permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(look.at(LOGIN)).expect("the login"), "one\nmore\n");

        let touch = |path: &str, time: &str| assert_eq!(test.control(&["touch", "-d", time, &test.at(path).display().to_string()]).exit, 0);
        let look = look.file(OLD, "two\n").stdout("two\ntwo\n");
        touch(LOGIN, "2026-01-01");
        touch(OLD, "2026-01-02");
        look.compare(&look.start());
        let look = look.file(OLD, "three\n").stdout("two\nmore\ntwo\nmore\n");
        touch(LOGIN, "2026-01-03");
        touch(OLD, "2026-01-02");
        look.compare(&look.start());
        assert_eq!(fs::read_to_string(look.at(OLD)).expect("the older login"), "three\n");
        let told = look.args(["--net", "host", "--explain", "--exec", "true"]).start();
        assert!(told.stdout.contains("not used: the login in `auth` is newer"), "{}", told.stdout);
    }

    /// An empty file is no login: nobody is greeted as logged in by it, and nothing is said of it.
    fn an_empty_file_is_no_login(user: User) {
        let api = Api::start();
        let test = with_key(user, &api).policy(POLICY).file(LOGIN, "");
        let (stdout, stderr, exit) = bare(&test, &["-p", "hello"]);
        test.args(["--yes", "--quiet", "--net", "host", "-p", "hello"]).stdout(&stdout).stderr(&stderr).exit(exit).run();
    }
}
