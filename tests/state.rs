//! The state of projects: each its own history, kept until its project is gone, and removed by `--gc` alone.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::api::{Api, PLAIN};
use crate::support::{Test, User, as_both, claude};

/// Where the instances lie.
const INSTANCES: &str = "~/.claudebox/instances";

/// A home in which the given projects, below it, were each started once and wrote a mark into their state.
fn used(user: User, projects: &[&str]) -> Test {
    let test = Test::new().who(user);
    for project in projects {
        let line = format!("echo '{project}' > ~/.claude/mark");
        test.beside(project)
            .args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", &line])
            .run();
    }
    test
}

/// The marks of the instances that are there.
fn marks(test: &Test) -> Vec<String> {
    let mut marks: Vec<String> = fs::read_dir(test.at(INSTANCES))
        .expect("the instances")
        .filter_map(|entry| fs::read_to_string(entry.expect("an instance").path().join("claude/mark")).ok())
        .map(|mark| mark.trim().to_owned())
        .collect();
    marks.sort();
    marks
}

/// `--gc` with these options: what it printed, with the parts that differ each time blanked, and its exit code.
fn gc(test: &Test, options: &[&str]) -> (String, i32) {
    let run = test.clone().args_of(["--gc"].iter().chain(options)).start();
    let text = format!("{}{}", test.blank(&run.stdout), test.blank(&run.stderr));
    let mut blanked = String::new();
    for word in text.split_inclusive([' ', '\n', '(']) {
        let bare = word.trim_end_matches([' ', '\n', '(', ',', ')', ';', ':']);
        let is_name = bare
            .rsplit_once('-')
            .is_some_and(|(_, hash)| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
        let is_date = bare.len() == 10 && bare.split('-').count() == 3;
        match (is_name, is_date) {
            (true, _) => blanked.push_str(&word.replace(bare, bare.rsplit_once('-').map_or("", |(name, _)| name))),
            (_, true) => blanked.push_str(&word.replace(bare, "DATE")),
            _ => blanked.push_str(word),
        }
    }
    (blanked, run.exit)
}

as_both! {
    /// Projects whose names Claude Code itself mixes up have each their own state, and a project keeps its own.
    fn each_project_has_its_own_state(user: User) {
        let test = used(user, &["~/x/a-b", "~/x/a/b"]);
        for project in ["~/x/a-b", "~/x/a/b"] {
            let run = test.beside(project).args(["--yes", "--quiet", "--net", "none", "--exec", "--", "cat", &format!("{}/.claude/mark", test.home().display())]);
            run.stdout(&format!("{project}\n")).run();
        }
        assert_eq!(marks(&test), ["~/x/a-b", "~/x/a/b"]);
    }

    /// With the real Claude Code: each project goes on with its own conversation, also where the names collide.
    fn a_conversation_goes_on_in_its_own_project(user: User) {
        let api = Api::start();
        let claude = claude::path();
        let home = Test::new()
            .who(user)
            .policy("fn variable(host, name) { if name == \"ANTHROPIC_BASE_URL\" { env::pass(\"the test's own server\") } else { base::variable(host, name) } }")
            .var("CLAUDEBOX_CLAUDE", claude.to_str().expect("a path in ASCII"))
            .var("ANTHROPIC_BASE_URL", api.url())
            .var("ANTHROPIC_API_KEY", "dummy-key-of-the-test-0123456789");
        for (project, words) in [("~/x/a-b", "first words of one"), ("~/x/a/b", "first words of the other")] {
            home.beside(project).args(["--yes", "--quiet", "--net", "host", "-p", words]).stdout(&format!("{PLAIN}\n")).run();
        }
        for (project, own, others) in
            [("~/x/a-b", "first words of one", "first words of the other"), ("~/x/a/b", "first words of the other", "first words of one")]
        {
            let before = api.turns().len();
            home.beside(project).args(["--yes", "--quiet", "--net", "host", "--continue", "-p", "go on"]).stdout(&format!("{PLAIN}\n")).run();
            let said: String = api.turns().iter().skip(before).map(|turn| turn.body.to_string()).collect();
            assert_eq!((said.contains(own), said.contains(others)), (true, false), "{project}");
        }
    }

    /// A worktree shares the state of its repository.
    fn a_worktree_shares_the_state_of_its_repository(user: User) {
        let test = Test::new().who(user);
        let make = "git init -q ~/main && cd ~/main && git -c user.name=a -c user.email=b commit -q --allow-empty -m one && git worktree add -q ~/tree";
        assert_eq!(test.control(&["sh", "-c", make]).exit, 0);
        let mark = ["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", "echo shared > ~/.claude/mark"];
        test.beside("~/main").args(mark).run();
        let look = ["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", "cat ~/.claude/mark"];
        test.beside("~/tree").args(look).stdout("shared\n").run();
    }

    /// What belongs to a project that is gone is listed, and removed when it is said so; the rest stays.
    fn what_belongs_to_no_project_is_removed(user: User) {
        let test = used(user, &["~/gone", "~/here"]);
        fs::remove_dir_all(test.at("~/gone")).expect("the project");
        let (listed, exit) = gc(&test, &["--dry-run"]);
        assert_eq!((marks(&test).len(), exit), (2, 0), "a dry run changes nothing");
        let (removed, exit) = gc(&test, &["--yes"]);
        assert_eq!(exit, 0);
        assert_eq!(removed, format!("{listed}removed 1\n"));
        assert_eq!(marks(&test), ["~/here"]);
        let (again, exit) = gc(&test, &["--yes"]);
        assert_eq!((again.as_str(), exit), ("nothing to remove; 1 of projects that are there\n", 0));
    }

    /// Nothing is removed that nobody agreed to, and without a terminal nobody is asked.
    fn nobody_is_asked_without_a_terminal(user: User) {
        let test = used(user, &["~/gone"]);
        fs::remove_dir_all(test.at("~/gone")).expect("the project");
        let (text, exit) = gc(&test, &[]);
        assert_eq!(exit, 125);
        assert!(text.ends_with("error[confirmation]: there is no terminal to ask on\nhint: look at `claudebox --gc --dry-run`, then use `claudebox --gc --yes`\n"), "{text}");
        assert_eq!(marks(&test), ["~/gone"]);
    }

    /// The state of a running sandbox is not removed, even where its project is gone.
    fn what_is_in_use_is_kept(user: User) {
        let test = Test::new().who(user);
        let running = test
            .beside("~/gone")
            .args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", "echo used > ~/.claude/mark; exec sleep 600"])
            .spawn();
        while !test.at(INSTANCES).is_dir() || marks(&test).is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        fs::remove_dir_all(test.at("~/gone")).expect("the project");
        let (_, exit) = gc(&test, &["--yes"]);
        assert_eq!((marks(&test), exit), (vec!["used".to_owned()], 0));
        drop(running);
        // The lock ends with the sandbox, and that with its launcher.
        for _ in 0..1200 {
            gc(&test, &["--yes"]);
            if marks(&test).is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the lock outlived the sandbox");
    }

    /// A link among the instances, or in one, leads nowhere out.
    fn no_link_is_followed_out(user: User) {
        let test = used(user, &["~/gone"]).file("~/precious/file", "kept\n");
        fs::remove_dir_all(test.at("~/gone")).expect("the project");
        let instance = fs::read_dir(test.at(INSTANCES)).expect("the instances").next().expect("one").expect("an entry").path();
        symlink(test.at("~/precious"), instance.join("claude/out")).expect("a link in the state");
        symlink(test.at("~/precious"), test.at(INSTANCES).join("evil-0123456789abcdef")).expect("a link beside it");
        let (_, exit) = gc(&test, &["--yes"]);
        assert_eq!(exit, 0);
        assert_eq!(fs::read_to_string(test.at("~/precious/file")).expect("the file"), "kept\n");
        assert!(!instance.exists(), "the instance itself is gone");
    }

    /// Many first starts at once make one state, whole and private.
    fn many_first_starts_at_once(user: User) {
        use std::os::unix::fs::PermissionsExt;
        let test = Test::new().who(user);
        let all: Vec<_> = (0..12)
            .map(|number| {
                let line = format!("echo {number} >> ~/.claude/marks");
                test.clone().args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", &line])
            })
            .map(|test| std::thread::spawn(move || test.run()))
            .collect();
        for one in all {
            one.join().expect("a start that went well");
        }
        let instances: Vec<_> = fs::read_dir(test.at(INSTANCES)).expect("the instances").map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(instances.len(), 1);
        let lines = fs::read_to_string(instances[0].join("claude/marks")).expect("the marks");
        assert_eq!(lines.lines().count(), 12);
        for place in [test.at("~/.claudebox"), test.at(INSTANCES), instances[0].clone(), instances[0].join("claude")] {
            let mode = fs::metadata(&place).expect("a directory").permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{}", place.display());
        }
    }

    /// A state that others could have written is not used.
    fn a_state_that_others_can_write_is_refused(user: User) {
        let test = Test::new().who(user).directory("~/.claudebox").mode("~/.claudebox", 0o777);
        test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "true"])
            .stderr("error[state]: `[HOME]/.claudebox` can be written by others (mode 0777)\nhint: make it yours alone: chmod 700 [HOME]/.claudebox\n")
            .exit(125)
            .run();
    }
}
