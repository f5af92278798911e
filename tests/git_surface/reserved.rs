//! Names in git directories that are taken for the time of a session: shared by sessions, told beforehand, and given back however they end.

use super::{boxed, host, repository, reservations};
use crate::support::{User, as_both};

as_both! {
    /// Sessions that are killed at random moments, several at a time, leave the repository as it was, byte for byte: the launcher alone,
    /// or the sandbox's first process with it.
    fn a_killed_session_leaves_the_repository_as_it_was(user: User) {
        let test = repository(user);
        host(&test, "rm -r .git/hooks && git config extensions.worktreeConfig true && git init -q nested");
        let ours = || {
            let mut ours = test.snapshot();
            ours.retain(|path, _| path.starts_with(test.project()) || path.starts_with(test.at("~/.claudebox/reserved")));
            ours.retain(|path, _| *path != test.at("~/.claudebox/reserved"));
            ours
        };
        let before = ours();
        // The start takes some ten milliseconds, and a machine that does much else takes longer.
        let script = "for worker in 1 2 3 4 5; do (RANDOM=$worker$$; for i in $(seq 40); do \
                      \"$0\" -y -q --net none --exec sleep 600 2>&3 & pid=$!; printf -v moment 0.%03d $((RANDOM % 80)); sleep $moment; \
                      [ $((RANDOM % 2)) = 0 ] || { read -r first < /proc/$pid/task/$pid/children && kill -9 $first; }; \
                      kill -9 $pid; wait $pid; echo $?; done 3>&2 2> /dev/null) & done; wait";
        let run = test.shell(script);
        assert_eq!(run.stdout.lines().filter(|line| *line == "137").count(), 200, "{run:?}");
        let ended = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            ours() == before
        });
        assert!(ended, "left: {:?}", reservations(&test.home()));
    }

    /// A dry run tells what is made for the time of a session, in both of its forms.
    fn a_dry_run_tells_what_is_reserved(user: User) {
        let test = repository(user).file("envrc", "x\n").link(".envrc", "envrc");
        host(&test, "rm -r .git/hooks && git init -q nested && rm -r nested/.git/hooks");
        let plain = test.clone().args(["--net", "none", "--dry-run", "--exec", "true"]).start();
        let lines: Vec<&str> = plain.stdout.lines().filter(|line| line.contains(".git/") && !line.starts_with(' ')).collect();
        assert_eq!(lines, [
            "printf '%b' './\\n' > [PROJECT]/.git/commondir",
            "mkdir [PROJECT]/.git/hooks",
            "printf '%b' './\\n' > [PROJECT]/nested/.git/commondir",
            "mkdir [PROJECT]/nested/.git/hooks",
            "rmdir [PROJECT]/nested/.git/hooks",
            "rm -f [PROJECT]/nested/.git/commondir",
            "rmdir [PROJECT]/.git/hooks",
            "rm -f [PROJECT]/.git/commondir",
        ]);
        assert!(plain.stdout.contains("# a launch also keeps the link `[PROJECT]/.envrc` in its place; this script does not\n"), "{}", plain.stdout);
        let json = test.args(["--net", "none", "--dry-run", "--json", "--exec", "true"]).start();
        let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(document["reservations"], serde_json::json!([
            { "kind": "file", "path": "[PROJECT]/.git/commondir", "content": "./\n" },
            { "kind": "directory", "path": "[PROJECT]/.git/hooks" },
            { "kind": "file", "path": "[PROJECT]/nested/.git/commondir", "content": "./\n" },
            { "kind": "directory", "path": "[PROJECT]/nested/.git/hooks" },
        ]));
        assert_eq!(document["links"], serde_json::json!([{ "at": "[PROJECT]/.envrc", "path": "[PROJECT]/.envrc" }]));
    }

    /// What one session reserved stays as long as another one needs it.
    fn two_sessions_share_what_is_reserved(user: User) {
        let test = repository(user);
        host(&test, "rm -r .git/hooks");
        let first = boxed(test.clone(), "echo up; sleep 600");
        let mut running = first.spawn();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(running.stdout()), &mut line).expect("the first line");
        let script = "touch go; while [ -e go ]; do sleep 0.05; done; (echo x > .git/commondir) 2>&1; (touch .git/hooks/x) 2>&1; ls -d .git/hooks .git/commondir";
        let second = boxed(test.clone(), script);
        let thread = {
            let second = second.clone();
            std::thread::spawn(move || second.start())
        };
        while !second.at("go").exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        drop(running);
        // The companion of the first has let go of its records, if it will: nothing else shows when. Too short a wait shows less, and fails nothing.
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::remove_file(second.at("go")).expect("the session's own file");
        let run = thread.join().expect("the second session");
        let text = "sh: 1: cannot create .git/commondir: Read-only file system\ntouch: cannot touch '.git/hooks/x': Read-only file system\n.git/commondir\n.git/hooks\n";
        assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.exit), (text, "", 0));
        // The last of the two companions to end clears up, and the first one may be it.
        let cleared = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            !second.at(".git/hooks").exists() && !second.at(".git/commondir").exists()
        });
        assert!(cleared, "left: {:?}", reservations(&test.home()));
    }
}
