//! Where the command starts and what it is; what of the floor lies at odd places.

use std::path::Path;

use super::*;

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
    let text = refusal(
        &format!("fn mounts(host) {{\n    base::mounts(host);\n    {line}\n}}\n"),
        &host::described(tree),
    );
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
            state(".claude-auth", Effect::ReadWrite),
            state(".claude/CLAUDE.md", Effect::ReadOnly),
            state(".claude/sessions", Effect::Tmpfs),
        ]
    );
    let plan = decided.verdict.outcome.as_ref().unwrap();
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
