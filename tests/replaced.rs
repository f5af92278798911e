//! What the host replaces while a sandbox runs: the mount over a file goes with the file, and the companion lays it again.
//! Each row is tried in a naive sandbox with the same mounts first.

use std::io::{BufRead, BufReader};

use crate::git_surface::{EVIL, NAIVE, boxed, host, repository};
use crate::support::test::Running;
use crate::support::{Test, User, as_both};

/// What becomes of a mount where nobody lays it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naive {
    Holds,
    Lost,
}

/// One thing that the host does.
struct Row {
    name: &'static str,
    /// What was there before the session.
    before: &'static str,
    /// What the host does while it runs.
    does: &'static str,
    /// Succeeds inside where the file is open.
    open: &'static str,
    naive: Naive,
}

const fn row(name: &'static str, before: &'static str, does: &'static str, open: &'static str, naive: Naive) -> Row {
    Row {
        name,
        before,
        does,
        open,
        naive,
    }
}

const CONFIG: &str = ": >> .git/config";
const SECRET: &str = "grep -q SECRET .env";
const TASKS: &str = ": >> .vscode/tasks.json";
const EDITOR: &str = "mkdir .vscode && echo old > .vscode/tasks.json";
const NESTED: &str = "git init -q nested";

/// The table of what the host does.
const ROWS: &[Row] = &[
    row(
        "git, which reads and commits",
        "",
        "git status -s; git commit -q --allow-empty -m x; git gc -q",
        CONFIG,
        Naive::Holds,
    ),
    row("a way and back", "", "mv .git g; mv g .git", CONFIG, Naive::Holds),
    row(
        "a directory, a way and back",
        "",
        "mv .git/hooks h; mv h .git/hooks",
        ": > .git/hooks/x",
        Naive::Holds,
    ),
    row("an edit in place", "", "echo SECRET=2 >> .env", SECRET, Naive::Holds),
    row(
        "a file in a directory that is closed as a whole",
        EDITOR,
        "echo new > t; mv t .vscode/tasks.json",
        TASKS,
        Naive::Holds,
    ),
    row("git config", "", "git config user.x y", CONFIG, Naive::Lost),
    row(
        "git push -u",
        "git init -q --bare ../r.git; git remote add origin ../r.git",
        "git push -q -u origin main",
        CONFIG,
        Naive::Lost,
    ),
    row(
        "git branch -d",
        "git branch -q topic; git config branch.topic.description x",
        "git branch -q -d topic",
        CONFIG,
        Naive::Lost,
    ),
    row(
        "other hooks",
        "",
        "rm -r .git/hooks; git init -q .",
        ": > .git/hooks/x",
        Naive::Lost,
    ),
    row(
        "a reservation that is removed",
        "echo ./ > .git/commondir",
        "rm -f .git/commondir",
        ": > .git/commondir",
        Naive::Lost,
    ),
    row("an editor", "", "cp .env t; mv t .env", SECRET, Naive::Lost),
    row("sed -i", "", "sed -i s/1/2/ .env", SECRET, Naive::Lost),
    row(
        "a file that is removed and made again",
        "",
        "rm .env; echo SECRET=3 > .env",
        SECRET,
        Naive::Lost,
    ),
    row(
        "git stash -u",
        EDITOR,
        "git stash -q -u; git stash pop -q",
        TASKS,
        Naive::Lost,
    ),
    row(
        "another directory",
        EDITOR,
        "rm -r .vscode; mkdir .vscode; echo new > .vscode/tasks.json",
        TASKS,
        Naive::Lost,
    ),
    row(
        "git checkout",
        "git checkout -q -b other; echo old > .npmrc; git add .npmrc; git commit -q -m npm",
        "git checkout -q main; git checkout -q other",
        ": >> .npmrc",
        Naive::Lost,
    ),
    row(
        "a nested repository that is made again",
        NESTED,
        "rm -rf nested; git init -q nested",
        ": >> nested/.git/config",
        Naive::Lost,
    ),
];

/// Tries in a loop whether a file is open, and says once it is not, or that it stays so.
fn probe(open: &str, times: u32) -> String {
    format!(
        "echo up; while [ ! -e go ]; do sleep 0.01; done; \
         for i in $(seq {times}); do ({open}) 2> /dev/null || {{ echo closed; exit; }}; sleep 0.02; done; echo open"
    )
}

/// A sandbox that has said that it is up.
fn up(mut running: Running) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut out = BufReader::new(running.stdout());
    let mut line = String::new();
    out.read_line(&mut line).expect("the first line");
    assert_eq!(line, "up\n");
    (running, out)
}

/// What the sandbox says at its end, after the host has done something.
pub fn end(test: &Test, does: &str, running: Running) -> String {
    let (_running, mut out) = up(running);
    host(test, does);
    std::fs::write(test.at("go"), "").expect("the test's own file");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut out, &mut said).expect("the rest");
    said
}

fn prepared(user: User, Row { before, .. }: &Row) -> Test {
    let test = repository(user).file(".env", "SECRET=1\n");
    if !before.is_empty() {
        host(&test, before);
    }
    test
}

/// A sandbox that protects each of these and looks after none of them.
fn naive(test: &Test, script: &str) -> Running {
    let end = NAIVE.len() - 2;
    let mut line: Vec<String> = NAIVE[..end].iter().map(|word| (*word).to_owned()).collect();
    line.push("--die-with-parent".to_owned());
    for name in [
        ".git",
        ".git/config",
        ".git/hooks",
        ".git/commondir",
        ".env",
        ".vscode",
        ".npmrc",
        "nested",
        "nested/.git",
        "nested/.git/config",
    ] {
        let path = test.at(name);
        if path.exists() {
            let pin = name.ends_with(".git") || name == "nested";
            let source = if name == ".env" {
                "/etc/hostname".into()
            } else {
                path.clone()
            };
            let option = if pin { "--bind" } else { "--ro-bind" };
            line.extend([
                option.to_owned(),
                source.display().to_string(),
                path.display().to_string(),
            ]);
        }
    }
    let words: Vec<&str> = line.iter().map(String::as_str).chain(["sh", "-c", script]).collect();
    test.spawn_control(&words)
}

/// Waits for the report to be as it should: it is written when the session has ended.
fn reported(test: &Test, is: impl Fn(&str) -> bool) {
    let report = || test.clone().args(["--report"]).start().stdout;
    for _ in 0..1200 {
        if is(&report()) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{}", report());
}

as_both! {
    /// The table: what a naive sandbox keeps is kept, and what it loses is protected again.
    fn what_the_host_replaces_is_protected_again(user: User) {
        let mut wrong = Vec::new();
        for row in ROWS {
            let test = prepared(user, row);
            let running = naive(&test, &probe(row.open, 5));
            let said = end(&test, row.does, running);
            let expected = if row.naive == Naive::Holds { "closed\n" } else { "open\n" };
            if said != expected {
                wrong.push(format!("{}: the control said {said:?}", row.name));
            }
            let test = prepared(user, row);
            let _ = std::fs::remove_file(test.at(".git/commondir"));
            let running = boxed(test.clone(), &probe(row.open, 3000)).spawn();
            let said = end(&test, row.does, running);
            if said != "closed\n" {
                wrong.push(format!("{}: said {said:?}", row.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// An agent that does nothing but wait for its moment, while git on the host writes its configuration again and again. A naive
    /// sandbox loses it for good at the first time. Here it is closed again, and what the agent may have brought in is named.
    fn an_agent_that_waits_for_its_moment(user: User) {
        let attack = format!(
            "echo up; while [ ! -e go ]; do printf '{EVIL}' >> .git/config && sleep 0.02; done 2> /dev/null; \
             for i in $(seq TIMES); do (: >> .git/config) 2> /dev/null || {{ echo closed; exit; }}; sleep 0.02; done; echo open"
        );
        let replace = "for i in $(seq 50); do git -c core.fsmonitor=false config user.x $i || true; done";
        let control = repository(user);
        let running = naive(&control, &attack.replace("TIMES", "5"));
        assert_eq!(end(&control, replace, running), "open\n");
        let brought = |test: &Test| std::fs::read_to_string(test.at(".git/config")).expect("the configuration").contains("fsmonitor");
        assert!(brought(&control), "the control brought nothing in");

        let test = repository(user);
        let running = boxed(test.clone(), &attack.replace("TIMES", "3000")).spawn();
        assert_eq!(end(&test, replace, running), "closed\n");
        let named = "`[PROJECT]/.git/config` got settings that name programs for git to run";
        reported(&test, |report| report.contains(named) == brought(&test));
    }

    /// A link cannot be protected: whoever follows it passes every mount over it. The session ends.
    fn a_link_in_a_masks_place_ends_the_session(user: User) {
        let link = "rm .env; echo SECRET=2 > secret; ln -s secret .env";
        let prepared = || repository(user).file(".env", "SECRET=1\n");
        let control = prepared();
        let running = naive(&control, &probe(SECRET, 5));
        assert_eq!(end(&control, link, running), "open\n");

        let text = "error[mounts-verified]: `[PROJECT]/.env` was replaced on the host and is not mounted; the session was ended\n\
                    hint: go on with `claudebox --continue`; replace protected files between sessions\n";
        let test = boxed(prepared(), "touch up; sleep 600").stderr(text).exit(137);
        let running = {
            let test = test.clone();
            std::thread::spawn(move || test.start())
        };
        while !test.at("up").exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        host(&test, link);
        test.compare(&running.join().expect("the session"));
    }
}

/// Where the kernel gives no events, because the user has used up what there is of them, the mounts are looked at all the time.
/// The limit is set in a user namespace, where bubblewrap still is root's for root alone.
#[test]
fn without_events_it_is_looked_at() {
    let none = [
        "unshare",
        "-Ur",
        "sh",
        "-c",
        "echo 0 > /proc/sys/user/max_inotify_instances; exec \"$0\" \"$@\"",
    ];
    let test = repository(User::Root).file(".env", "SECRET=1\n");
    let running = boxed(test.clone(), &probe(SECRET, 3000)).before(&none).spawn();
    assert_eq!(end(&test, "sed -i s/1/2/ .env", running), "closed\n");
}
