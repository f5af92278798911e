//! `--verify`: its table when all is well, and that each of its rows can fail: something in bubblewrap's place takes one
//! defence away.

pub mod sabotage;

use serde_json::Value;

use crate::network::lab::lab;
use crate::support::schema::document;
use crate::support::{Test, User, as_both};

use sabotage::{in_own_world, with_sabotage};

/// A key of the kind that Claude Code has.
const KEY: &str = "sk-ant-api03-verify-0123456789abcdefghij";

/// A home with secrets, a repository, and a variable that is a secret and passes.
fn home(user: User) -> Test {
    let test = Test::new()
        .who(user)
        .file("~/.ssh/id", "key\n")
        .file("~/.aws/credentials", "key\n")
        .file(".env", "KEY=x\n")
        .directory("data/keys")
        .var("ANTHROPIC_API_KEY", KEY)
        .policy("fn credentials(host) { credential::pass(\"a secret that passes\"); }");
    let made = test.control(&["git", "init", "-q", "."]);
    assert_eq!((made.stderr.as_str(), made.exit), ("", 0));
    test
}

fn verified(test: Test, more: &[&str]) -> Test {
    let mut args = vec!["--verify"];
    args.extend(more);
    args.extend(["--exec", "true"]);
    test.args_of(&args)
}

/// Each number as an `N`, and each long hexadecimal one as an `H`: how many sockets a host has, or which descriptor was free, differs.
pub fn numbers_blank(text: &str) -> String {
    let mut out = String::new();
    let words = text.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    let hash = |word: &str| {
        let digits = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
        let is_hash = digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash {
            word.replace(digits, "H")
        } else {
            word.to_owned()
        }
    };
    for character in words.map(hash).collect::<String>().chars() {
        match character {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            other => out.push(other),
        }
    }
    out
}

// text: from the program
const TABLE: &str = " N  ok        environment      N variables inside, each decided; the canary in the host's environment is not among them
 N  ok        processes        none of this host's is seen; the environment of the sandbox's first is empty
 N  ok        command lines    N command lines of the sandbox read from outside: no option's value is there; N secret value looked for
 N  ok        descriptors      none above standard error; the canary that claudebox inherited is closed
 N  ok        keyring          every call is refused, also that for the canary in the caller's keyring
 N  ok        terminal         TIOCSTI and TIOCLINUX are refused before the kernel looks at the terminal, also with high bits set
 N  ok        shared memory    a namespace of its own; the canary in the host's shared memory is not there
 N  ok        sockets          N places where something of this host may listen, and an abstract one: none answers
 N  ok        secret paths     N places looked for, of which this host has N: none is seen
N  ok        home and /tmp    N directories in memory hold N names, each of a mount; the canary in the host's /tmp is not there
N  ok        write access     N mounts as decided, N of them of this host with write access; no other
N  ok        git and editors  N paths read-only, and N directory above them held in place
N  ok        network          `MODE`: N addresses of this host and its networks refused at once, a canary on its loopback among them
N  ok        Nix daemon       none can be reached at `/nix/var/nix/daemon-socket/socket`
N  ok        capabilities     none, and no program can gain one
N  ok        user             N:N, in namespaces of its own where nobody else exists
N  ok        survivors        a process that tried to outlive the sandbox ended with it
N  open      credentials      `ANTHROPIC_API_KEY` is inside (~/.config/claudebox/policy.rhai:N)
N ok, N open of N defences
";

as_both! {
    /// The whole table, without a network and with the internet.
    fn all_is_well(user: User) {
        lab().on_machine(|| {
            for mode in ["none", "internet"] {
                let run = verified(home(user), &["--net", mode]).start();
                assert_eq!(numbers_blank(&run.stdout), TABLE.replace("MODE", mode));
                assert_eq!((run.stderr.as_str(), run.exit), ("", 0));
            }
        });
    }

    /// With the host's own network nothing is tried in it, and the table says what that leaves open.
    fn what_the_plan_opens_is_told(user: User) {
        let run = verified(home(user), &["--net", "host", "--json"]).start();
        let document = document(&run.stdout);
        let rows = document["rows"].as_array().expect("rows");
        let open: Vec<_> = rows.iter().filter(|row| row["outcome"] == "open").map(|row| (&row["defence"], &row["finding"])).collect();
        let expected = [
            ("sockets", "the plan leaves open: every abstract socket (--net host)"),
            ("network", "it is this host's own, and was not tried out (--net host)"),
            ("credentials", "`ANTHROPIC_API_KEY` is inside (~/.config/claudebox/policy.rhai:1)"),
        ];
        assert_eq!(open.len(), expected.len(), "{document:#}");
        for ((defence, finding), expected) in open.iter().zip(expected) {
            assert_eq!((defence.as_str(), finding.as_str()), (Some(expected.0), Some(expected.1)));
        }
        assert_eq!((&document["leaks"], run.exit), (&Value::from(false), 0));
    }

    /// Each row fails where its defence is missing, and only those that have to do with it.
    fn each_row_can_fail(user: User) {
        let mut wrong = Vec::new();
        for (sabotage, leaks) in sabotage::ALL {
            let mode = if *sabotage == "no-rules" { "internet" } else { "none" };
            let prepared = verified(home(user), &["--net", mode, "--json"]);
            let run = with_sabotage(&prepared, sabotage);
            let document = document(&run.stdout);
            let rows = document["rows"].as_array().expect("rows");
            let failed = rows.iter().filter(|row| row["outcome"] == "leak");
            let failed: Vec<_> = failed
                .map(|row| {
                    let number = row["number"].as_u64().expect("a number");
                    (number, numbers_blank(&prepared.blank(row["finding"].as_str().expect("a text"))))
                })
                .collect();
            let failed: Vec<_> = failed.iter().map(|(number, finding)| (*number, finding.as_str())).collect();
            if failed != *leaks || (&document["leaks"], run.exit) != (&Value::from(true), 1) {
                wrong.push(format!("{sabotage}: {failed:#?}\n{}", run.stderr));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let all: std::collections::BTreeSet<u64> = sabotage::ALL.iter().flat_map(|(_, leaks)| *leaks).map(|(number, _)| *number).collect();
        // The others are those of `broker_launch::verify`.
        assert_eq!(all, (1..=17).collect(), "rows that no sabotage makes fail");
    }

    /// A policy that lets every variable in lets the canary in.
    fn a_careless_policy_is_told_with_its_line(user: User) {
        let policy = "fn variable(host, name) {\n    if name.starts_with(\"CLAUDEBOX\") { return env::pass(\"all of ours\"); }\n    base::variable(host, name)\n}\n";
        let run = verified(home(user).policy(policy), &["--net", "none", "--json"]).start();
        let row = document(&run.stdout)["rows"][0].clone();
        let finding = "`CLAUDEBOX_VERIFY_CANARY`, a canary in the host's environment, passes: ~/.config/claudebox/policy.rhai:2";
        assert_eq!((row["outcome"].as_str(), row["finding"].as_str(), run.exit), (Some("leak"), Some(finding), 1));
    }

    /// A launch that would be refused is not verified, and says why, also to programs.
    fn a_refused_launch_is_no_table(user: User) {
        let policy = "fn mounts(host) {\n    mount::ro(\"~/.ssh\", \"keys\");\n}\n";
        let test = verified(home(user).policy(policy), &["--net", "none"]);
        let run = test.start();
        assert_eq!((run.stdout.as_str(), run.exit), ("", 1));
        assert!(run.stderr.starts_with("error[secret-exposed]: "), "{}", run.stderr);
        let run = verified(test, &["--net", "none", "--json"]).start();
        let document = document(&run.stdout);
        assert_eq!(document["rows"], Value::from(Vec::<Value>::new()));
        assert_eq!(document["verdict"]["diagnostics"][0]["code"], "secret-exposed");
        assert_eq!((run.stderr.as_str(), run.exit), ("", 1));
    }

    /// A sandbox that does not start tests nothing, and says so.
    fn a_sandbox_that_does_not_start_is_no_table(user: User) {
        let test = verified(home(user), &["--net", "none"]);
        let run = in_own_world(&test, "#!/bin/sh\necho 'bwrap: no' >&2\nexit 1\n", &Test::start);
        let expected = "bwrap: no\nerror[verify]: the sandbox did not start, or its probe did not answer\n\
                        hint: nothing was tested; what stopped it may be above, and `claudebox --check` names what is missing\n";
        assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.exit), ("", expected, 1));
    }

    /// Nothing of the canaries is left, also where the run is killed; the project and the home are as they were.
    fn nothing_is_left(user: User) {
        let test = verified(home(user), &["--net", "none"]);
        test.start();
        let before = test.snapshot();
        test.start();
        let after = test.snapshot();
        // The record of the last start is a launch's own.
        let of_user = |snapshot: &crate::support::test::Snapshot| -> Vec<_> {
            let state = test.home().join(".claudebox");
            snapshot.iter().filter(|(path, _)| !path.starts_with(&state)).map(|(path, file)| (path.clone(), file.clone())).collect()
        };
        assert_eq!(of_user(&before), of_user(&after));
        for moment in 0..20 {
            let running = test.spawn();
            let files = format!("/proc/{}/cmdline", running.pid());
            std::thread::sleep(std::time::Duration::from_millis(moment * 7));
            let line = std::fs::read_to_string(files).unwrap_or_default();
            drop(running);
            let Some(token) = line.split_once("canary-").and_then(|(_, rest)| rest.split('-').next()) else { continue };
            let directory = std::path::PathBuf::from(format!("/tmp/claudebox-verify-{token}"));
            let gone = (0..3000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                !directory.exists()
            });
            assert!(gone, "{} is left", directory.display());
        }
    }
}
