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
