//! Where the command starts and what it is; what of the floor lies at odd places.

use std::path::Path;

use super::*;
use crate::request::Program;
use crate::request::Request;
use crate::trace::Site;

/// The refusal of a policy that alone decides on the mounts.
fn alone(line: &str) -> String {
    refusal(&format!("fn mounts(host) {{ {line} }}\n"), &host::described(tree()))
}

#[test]
fn the_working_directory_is_shown_at_its_own_place() {
    let missing = "error[project-root]: no mount shows the working directory `/home/u/p`\n\
                   hint: the policy's `mounts` hook must show `host.project`, or call `base::mounts(host)`\n";
    assert_eq!(alone("mount::rw(host.project, \"x\");"), "granted");
    // Nothing shows it; another directory has its place; it is shown elsewhere.
    for line in [
        "",
        "mount::ro(\"/srv/data\", host.project, \"x\");",
        "mount::ro(host.project, \"/opt/p\", \"x\");",
        "mount::tmpfs(host.project, \"x\");",
    ] {
        assert_eq!(alone(line), missing, "{line}");
    }
    // A session that begins below the project.
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    host.directory = host.project.join("below").unwrap();
    let host = Rc::new(host);
    assert_eq!(refusal("", &host), "granted");
}

#[test]
fn what_cannot_be_run_has_an_exit_code_of_its_own() {
    let exit = |request: &Request, policy: &str| {
        let refusal = decided(policy, &host::described(tree()), request)
            .verdict
            .outcome
            .unwrap_err();
        (
            refusal.exit,
            refusal.diagnostics.iter().map(|error| error.code).collect::<Vec<_>>(),
        )
    };
    let claude = Request::default();
    assert_eq!(exit(&claude, ""), (crate::EXIT_NOT_FOUND, vec!["claude-not-found"]));
    let nothing = Request {
        program: Program::Command,
        ..Request::default()
    };
    assert_eq!(exit(&nothing, ""), (crate::EXIT_USAGE, vec!["usage"]));
    // Where something else is wrong too, that comes first.
    let secret = "fn mounts(host) { base::mounts(host); mount::ro(\"~/.ssh\", \"x\"); }";
    assert_eq!(
        exit(&claude, secret),
        (crate::EXIT_REFUSED, vec!["secret-exposed", "claude-not-found"])
    );
}

#[test]
fn the_home_of_root_is_a_secret() {
    let mut tree = tree();
    tree.describe(Path::new("/root/notes"), Kind::File, 0, b"x");
    let line = "mount::ro(\"/root/notes\", \"x\");";
    let text = mounts_on(line, tree);
    assert_eq!(
        text,
        format!(
            "error[secret-exposed]: `/root/notes` lies in the secret `/root`: it holds the administrator's home\n{}hint: no policy can show it; \
             copy what the project needs into the project\n",
            excerpt(line, 12, 2)
        )
    );
}

#[test]
fn projects_at_odd_places() {
    let decide = |home: &str, project: &str| {
        let mut tree = tree();
        for directory in [home, project] {
            tree.describe(Path::new(directory), Kind::Directory, 1000, b"");
        }
        let mut host = Rc::into_inner(host::described(tree)).unwrap();
        let path = |text: &str| crate::path::HostPath::new(text).unwrap();
        (host.home, host.project, host.directory) = (path(home), path(project), path(project));
        match decided("", &Rc::new(host), &request()).verdict.outcome {
            Ok(_) => "granted".to_string(),
            Err(refusal) => refusal.diagnostics.first().unwrap().message.clone(),
        }
    };
    let refused = |root: &str, why: &str| format!("`{root}` cannot be the project: {why}");
    assert_eq!(decide("/home/u", "/srv/data"), "granted");
    assert_eq!(
        decide("/home/u", "/srv"),
        refused("/srv", "`/srv` holds more than a project")
    );
    assert_eq!(
        decide("/home/u", "/var/lib/x"),
        refused("/var/lib/x", "`/var/lib` belongs to the system")
    );
    // A service's home lies where the system's directories are: what is in it is that user's.
    assert_eq!(decide("/var/lib/jenkins", "/var/lib/jenkins/p"), "granted");
    assert_eq!(
        decide("/var/lib/jenkins", "/etc/p"),
        refused("/etc/p", "`/etc` belongs to the system")
    );
}

#[test]
fn what_the_launcher_decides_says_what_it_does() {
    use crate::trace::Effect;
    let decided = decided("", &host::described(tree()), &request());
    let of_the_state = decided
        .trace
        .iter()
        .filter(|(_, decision)| matches!(decision.site, Site::Host("state")));
    let of_the_state: Vec<_> = of_the_state
        .map(|(_, decision)| (decision.subject.clone(), decision.effect))
        .collect();
    let state = |name: &str, effect: Effect| (format!("/home/u/{name}"), effect);
    assert_eq!(
        of_the_state,
        [
            ("/run/claudebox/lock".to_string(), Effect::ReadOnly),
            state(".claude", Effect::ReadWrite),
            state(".claude-auth", Effect::Tmpfs),
            state(".claude/CLAUDE.md", Effect::ReadOnly),
            state(".claude/sessions", Effect::Tmpfs),
        ]
    );
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let made = plan.preparations().iter().map(|made| made.path().to_string());
    let instance = "/home/u/.claudebox/instances/p-60ad706fe5335804";
    assert_eq!(
        made.collect::<Vec<_>>(),
        [
            "/home/u/.claudebox".to_string(),
            "/home/u/.claudebox/auth".into(),
            "/home/u/.claudebox/instances".into(),
            instance.into(),
            format!("{instance}/lock"),
            format!("{instance}/record.json"),
            format!("{instance}/claude"),
            "/home/u/.claudebox/CLAUDE.md".into(),
            format!("{instance}/claude/CLAUDE.md"),
            format!("{instance}/claude/sessions"),
        ]
    );
    let isolation: Vec<&str> = plan
        .isolation()
        .iter()
        .map(|id| decided.trace.get(*id).unwrap().subject.as_str())
        .collect();
    assert_eq!(
        isolation,
        [
            "user namespace",
            "process namespace",
            "ipc namespace",
            "uts namespace",
            "cgroup namespace",
            "seccomp filter",
            "session keyring",
            "descriptors"
        ]
    );
}

/// A line as wide as half the internet is a way to it; a slightly narrower one is a network that this host is connected to.
#[test]
fn links_that_are_closed_as_a_whole() {
    use crate::net::address::Prefix;
    use crate::net::route::Own;
    let closed = |length: u8| {
        let mut host = Rc::into_inner(host::described(tree())).unwrap();
        let address = std::net::Ipv4Addr::new(44, 1, 2, 3);
        host.network.own = Ok(vec![Own {
            address,
            link: Prefix::new(address, length),
        }])
        .into();
        let decided = decided("fn network(host) { net::internet(\"x\"); }", &Rc::new(host), &request());
        let subjects = decided
            .trace
            .iter()
            .filter(|(_, decision)| decision.effect == crate::trace::Effect::Close);
        let own = subjects
            .map(|(_, decision)| decision.subject.clone())
            .filter(|subject| subject.starts_with("44."));
        own.collect::<Vec<_>>()
    };
    assert_eq!(closed(6), ["44.1.2.3"]);
    assert_eq!(closed(7), ["44.1.2.3"]);
    assert_eq!(closed(8), ["44.0.0.0/8"]);
}

#[test]
fn a_caller_who_is_root_is_nobody_of_weight_inside() {
    let mut tree = tree();
    tree.alter(Path::new("/home/u/.claudebox"), |node| node.uid = 0);
    let mut host = Rc::into_inner(host::described(tree)).unwrap();
    (host.uid, host.gid) = (0, 0);
    let decided = decided("", &Rc::new(host), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    assert_eq!((plan.root(), plan.ids()), (true, (1000, 1000)));
    let options: Vec<String> = bwrap::invocation(plan)
        .options
        .iter()
        .filter_map(|word| match word {
            Word::Plain(word) => word.to_str().map(str::to_string),
            _ => None,
        })
        .collect();
    let at = |words: &[&str]| options.windows(words.len()).position(|window| window == words);
    assert!(at(&["--uid", "1000", "--gid", "1000"]).is_some(), "{options:?}");
    // The kernel's settings, which the host's root may write, are read-only; an ordinary caller may write none.
    assert!(
        at(&["--ro-bind", "/proc/sys", "/proc/sys", "--remount-ro", "/"]).is_some(),
        "{options:?}"
    );
}

#[test]
fn tokens_in_the_repositorys_settings_are_noted() {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    let text =
        b"[http \"https://example.org/\"]\n\textraheader = AUTHORIZATION: basic eDp4\n\textraheader = X-Trace: on\n";
    let entries = crate::host::git::config::parse(text).unwrap();
    host.git_settings = vec![(crate::path::HostPath::new("/home/u/p/.git/config").unwrap(), entries)];
    let decided = decided("", &Rc::new(host), &request());
    let notes = decided
        .trace
        .iter()
        .filter(|(_, decision)| decision.effect == crate::trace::Effect::Note);
    let notes: Vec<String> = notes
        .map(|(_, decision)| format!("{}: {}", decision.subject, decision.reason))
        .collect();
    assert_eq!(
        notes,
        [
            "`http.https://example.org/.extraheader` in /home/u/p/.git/config: it looks like a login, which Claude Code can read: give git a credential helper instead"
        ]
    );
}
