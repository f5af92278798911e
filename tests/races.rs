//! Races: a session on the same project exchanges directories with links to secrets while others start. What was checked is what is
//! mounted, or nothing starts.

use std::io::{BufRead, BufReader};

use crate::support::{Test, User, as_both};

/// How often names are exchanged while sandboxes start.
const SWAPS: u64 = 10_000;
/// How many sandboxes start meanwhile at least.
const STARTS: u32 = 60;
/// And at most, until one went through and one was caught.
const STARTS_MAX: u32 = 2_000;

/// A mount whose source is exchanged itself, and one above whose source a directory is.
const POLICY: &str = "fn mounts(host) {
    base::mounts(host);
    mount::ro(host.project + \"/shared\", \"/srv/shared\", \"data\");
    mount::ro(host.project + \"/above/keys\", \"/srv/above\", \"data\");
}
";

fn swaps(test: &Test) -> u64 {
    let count = std::fs::read(test.at("swaps")).expect("the racer's counter");
    u64::from_ne_bytes(count.try_into().expect("eight bytes"))
}

as_both! {
    /// Another session, which may write the project and nothing else, makes no sandbox show a secret.
    fn ten_thousand_exchanges_show_no_secret(user: User) {
        let test = Test::new()
            .who(user)
            .file("shared/id", "data\n")
            .file("above/keys/id", "data\n")
            .file("~/.ssh/id", "SECRET\n")
            .file("~/.ssh/keys/id", "SECRET\n")
            .policy(POLICY)
            .attack();
        let racer = ["./attack", "swap", "swaps", "shared", "[HOME]/.ssh", "above", "[HOME]/.ssh"];
        let session = ["--yes", "--quiet", "--net", "none", "--no-user-policy", "--exec", "--"];
        let racer: Vec<&str> = session.into_iter().chain(racer).collect();
        let mut racer = test.clone().args_of(&racer).spawn();
        let mut line = String::new();
        BufReader::new(racer.stdout()).read_line(&mut line).expect("the first line");
        assert_eq!(line, "swapping\n");

        for source in ["shared", "above/keys"] {
            let directory = source.split('/').next().unwrap_or_default();
            let naive = format!("[ ! -L {directory} ] && bwrap --ro-bind / / --ro-bind {source} /srv cat /srv/id");
            let shown = (0..1000).any(|_| test.control(&["sh", "-c", &naive]).stdout == "SECRET\n");
            assert!(shown, "the control never showed the secret behind {source}");
        }

        let before = swaps(&test);
        let test = test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "cat", "/srv/shared/id", "/srv/above/id"]);
        let (mut started, mut caught, mut all) = (0, 0, 0);
        // One start in sixteen goes through: how many it takes to see one is chance.
        while all < STARTS || swaps(&test) < before + SWAPS || (all < STARTS_MAX && (started == 0 || caught == 0)) {
            all += 1;
            let run = test.start();
            match (run.stdout.as_str(), run.exit) {
                ("data\ndata\n", 0) => started += 1,
                // Refused by the plan, by the comparison, or by bubblewrap.
                ("", 1 | 125) => {
                    let late = |at: &str| run.stderr.starts_with(&format!("error[mounts-verified]: `/srv/{at}` is not what was checked"));
                    caught += u32::from(late("shared") || late("above"));
                }
                _ => panic!("after {} exchanges: {run:?}", swaps(&test) - before),
            }
        }
        drop(racer);
        assert!(started > 0 && caught > 0, "of {all}, {started} went through, {caught} were caught late");
    }
}
