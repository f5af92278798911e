//! `--verify` where the broker holds the login: one call comes through, nothing of the login is inside, and both rows can fail.

use serde_json::Value;

use super::life::instead_of_the_broker;
use super::world::{KEY, World, world};
use crate::claude_code::LOGIN;
use crate::network::lab::lab;
use crate::support::schema::document;
use crate::support::test::Run;
use crate::support::user::programs;
use crate::support::{Test, User, api, as_both};
use crate::verify::numbers_blank;
use crate::verify::sabotage::with_sabotage_here;

fn with_key(world: &World, user: User) -> Test {
    verified(world.home(user).var("ANTHROPIC_API_KEY", KEY), "internet")
}

fn verified(test: Test, network: &str) -> Test {
    test.args(["--verify", "--net", network, "--json", "--exec", "true"])
}

/// The rows from the 18th on, and each other that is not well; the exit code with them.
fn told(run: &Run) -> (Vec<String>, i32) {
    let document = document(&run.stdout);
    let rows = document["rows"].as_array().expect("rows").iter();
    let rows = rows.filter(|row| row["number"].as_u64() >= Some(18) || row["outcome"] == "leak");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let lines = rows.flat_map(|row| {
        let first = format!(
            "{} {}: {}",
            text(&row["outcome"]),
            text(&row["defence"]),
            text(&row["finding"])
        );
        let details = row["details"].as_array().expect("details").iter().map(text);
        std::iter::once(first).chain(details.collect::<Vec<_>>())
    });
    (lines.map(|line| numbers_blank(&line)).collect(), run.exit)
}

#[track_caller]
fn tells(test: &Test, rows: &[&str], exit: i32) {
    let run = test.start();
    let (lines, code) = told(&run);
    assert_eq!(
        (lines.iter().map(String::as_str).collect::<Vec<_>>(), code),
        (rows.to_vec(), exit),
        "{}",
        run.stderr
    );
}

const CLEAN: &str = "ok credentials: `ANTHROPIC_API_KEY` is not inside: N processes and N files read";
const WORKS: &str =
    "ok broker: a call of `/api/hello` with what stands inside for the login came through: the service answered N";
const ANOTHER: &str = "fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"~/notes\", \"notes\");\n}\n";

/// A broker that does as the real one, but for what it is told to do.
fn changed_broker(world: &World, change: &str) -> String {
    let real = world.path("real-broker");
    std::fs::copy(programs().join("with-broker/claudebox-broker"), &real).expect("a copy of the program");
    format!(
        "#!/usr/bin/python3
import json, os, socket
stdin = socket.socket(fileno=0)
if b'patience' in stdin.recv(1000000, socket.MSG_PEEK):
    os.execve('{0}', ['{0}'], {{}})
order, sockets, _, _ = socket.recv_fds(stdin, 1000000, 16)
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
child = os.fork()
if child == 0:
    os.dup2(theirs.fileno(), 0)
    os.execve('{0}', ['{0}'], {{}})
socket.send_fds(ours, [order], sockets)
for each in sockets: os.close(each)
theirs.close()
answer = json.loads(ours.recv(1000000))
{change}
stdin.send(json.dumps(answer).encode())
stdin.recv(1)
",
        real.display()
    )
}

as_both! {
    /// The call reaches the service with the real key, and the key is seen nowhere inside.
    fn the_broker_works(user: User) {
        for network in ["internet", "allowlist"] {
            world(|world| {
                tells(&verified(with_key(world, user), network), &[CLEAN, WORKS], 0);
                let calls = world.api.requests();
                let calls: Vec<_> = calls.iter().map(|call| (call.path.as_str(), call.header("x-api-key"))).collect();
                assert_eq!(calls, [("/api/hello", Some(KEY))]);
            });
        }
    }

    /// Also where the host trusts more certificates than fit into one message: many set `NODE_EXTRA_CA_CERTS` to all that it has.
    fn the_broker_works_beside_many_certificates(user: User) {
        world(|world| {
            let authority = std::fs::read_to_string(world.authority()).expect("the authority's certificate");
            let many = world.path("many.pem");
            std::fs::write(&many, format!("{}{authority}", "# a certificate of another authority\n".repeat(8_000))).expect("a file of ours");
            let test = with_key(world, user).var("NODE_EXTRA_CA_CERTS", many.display().to_string());
            tells(&test, &[CLEAN, WORKS], 0);
        });
    }

    /// With a login its file is looked for; one that has expired is renewed, and the new tokens are hunted too.
    fn a_login_is_hunted_too(user: User) {
        world(|world| {
            world.api.be_strict();
            let test = world.home(user).file(LOGIN, &crate::claude_code::login()).mode(LOGIN, 0o600);
            let clean = CLEAN.replace("`ANTHROPIC_API_KEY`", "~/.claudebox/auth/.credentials.json");
            tells(&verified(test.clone(), "internet"), &[&clean, WORKS], 0);
            let test = test.file("saved", &format!("x{}x", api::access_token(1)));
            tells(&verified(test, "internet"), &["leak credentials: Claude Code's own login is inside, in `[PROJECT]/saved`", WORKS], 1);
        });
    }

    /// Nobody is logged in: the way is tried all the same.
    fn nobody_is_logged_in(user: User) {
        world(|world| {
            tells(&verified(world.home(user), "internet"), &["ok credentials: nobody is logged in: there is nothing to be inside", WORKS], 0);
        });
    }

    /// Without a way to the service the broker is seen to answer, and that is no failure.
    fn the_service_cannot_be_reached(user: User) {
        lab().on_machine(|| {
            let test = Test::new().who(user).with_broker().var("ANTHROPIC_API_KEY", KEY);
            let said = "untested broker: the broker took a call of `/api/hello` with what stands inside for the login, and could not pass it on: \
                        `api.anthropic.com` cannot be reached: no connection (Connection refused (os error N))";
            tells(&verified(test, "internet"), &[CLEAN, said], 0);
        });
    }

    /// In the network `none` there is no broker to try; the key stays outside all the same.
    fn without_a_network_there_is_no_broker(user: User) {
        let test = Test::new().who(user).with_broker().var("ANTHROPIC_API_KEY", KEY);
        tells(&verified(test.clone(), "none"), &[CLEAN], 0);
        let test = test.file("notes", &format!("the key is {KEY}\n"));
        tells(&verified(test, "none"), &["leak credentials: Claude Code's own login is inside, in `[PROJECT]/notes`"], 1);
    }

    /// What is more than anybody waits for is not read to its end, and the row does not say that all is well.
    fn a_hunt_with_too_much_to_read_says_so(user: User) {
        let mut test = Test::new().who(user).with_broker().var("ANTHROPIC_API_KEY", KEY);
        for number in 0..33 {
            // Files without blocks: they are as long as the hunt reads of one.
            let name = format!("large/{number:02}");
            test = test.file(&name, "");
            let file = std::fs::OpenOptions::new().write(true).open(test.at(&name));
            file.expect("a file of ours").set_len(8 << 20).expect("a length");
        }
        let said = "untested credentials: `ANTHROPIC_API_KEY` was not found, and there is more inside than is looked through: N processes and N files read";
        tells(&verified(test, "none"), &[said], 0);
    }

    /// A copy of the key that a policy shows is found; so is its end, which an earlier session can have left.
    fn a_copy_of_the_key_is_found(user: User) {
        world(|world| {
            let test = with_key(world, user).policy(ANOTHER).file("~/notes/old/accounts.txt", &format!("{}\n\nkey={KEY}\n", "x".repeat(500_000)));
            tells(&test, &["leak credentials: Claude Code's own login is inside, in `[HOME]/notes/old/accounts.txt`", WORKS], 1);
            let (_, end) = KEY.split_at(KEY.len() - 20);
            let test = test.file("~/notes/old/accounts.txt", "").file("~/notes/approved", &format!("[\"{end}\"]"));
            tells(&test, &[CLEAN, "the end of it, which opens nothing, is in `[HOME]/notes/approved`", WORKS], 0);
        });
    }

    /// A key in an environment is found there, and in the memory of who set it.
    fn a_key_in_an_environment_is_found(user: User) {
        world(|world| {
            let run = with_sabotage_here(&with_key(world, user), "key");
            let (lines, code) = told(&run);
            let expected = [
                "leak environment: `SMUGGLED` is inside, and nobody decided that",
                "leak credentials: Claude Code's own login is inside, in the environment of process N",
                "Claude Code's own login is inside, in the memory of process N",
                WORKS,
            ];
            assert_eq!((lines.iter().map(String::as_str).collect::<Vec<_>>(), code), (expected.to_vec(), 1), "{}", run.stderr);
        });
    }

    /// A broker that dies is told, and so is one that nobody inside trusts.
    fn a_broker_that_does_not_work_is_told(user: User) {
        let table = [
            ("os.kill(child, 9); os.waitpid(child, 0)", "nobody listens at port N of `api.anthropic.com` inside: connection refused"),
            ("answer['ready']['ca'] = ''", "what Claude Code trusts does not vouch for the broker: invalid peer certificate: UnknownIssuer"),
        ];
        for (change, said) in table {
            world(|world| {
                instead_of_the_broker(&changed_broker(world, change));
                tells(&with_key(world, user), &[CLEAN, &format!("broken broker: {said}")], 1);
            });
        }
    }

    /// A name that leads elsewhere is told, and nothing is sent there.
    fn a_name_that_leads_past_the_broker_is_told(user: User) {
        world(|world| {
            let run = with_sabotage_here(&with_key(world, user), "hosts");
            let (lines, code) = told(&run);
            let expected = [CLEAN, "broken broker: `api.anthropic.com` leads to N.N.N.N inside, and not to the broker"];
            assert_eq!((lines.iter().map(String::as_str).collect::<Vec<_>>(), code), (expected.to_vec(), 1), "{}", run.stderr);
            assert_eq!(world.api.requests().len(), 0);
        });
    }

    /// What the plan gives away is told with its line, and not hunted.
    fn a_key_that_passes_is_open(user: User) {
        world(|world| {
            let policy = "fn credentials(host) {\n    credential::pass(\"the old way\");\n}\n";
            let row = "open credentials: `ANTHROPIC_API_KEY` is inside (~/.config/claudebox/policy.rhai:N)";
            tells(&with_key(world, user).policy(policy), &[row], 0);
            let row = "open credentials: nobody is logged in; a login that is made inside stays inside (~/.config/claudebox/policy.rhai:N)";
            tells(&verified(world.home(user).policy(policy), "internet"), &[row], 0);
        });
    }
}
