//! What is protected for which policy: the mounts in their order, and what became of the decisions.

mod guards;

use std::path::Path;
use std::rc::Rc;

use crate::host::tree::{Kind, Tree};
use crate::host::{self, Host, git};
use crate::invariants::plan::What;
use crate::request::{Program, Request};
use crate::script::layer::Source;
use crate::trace::{Effect, Site};
use crate::{Decided, decide_with};

const P: &str = "/home/u/p";

fn git_dir(tree: &mut Tree, at: &str) {
    for directory in ["objects", "refs"] {
        tree.describe(Path::new(&format!("{at}/{directory}")), Kind::Directory, 1000, b"");
    }
    tree.describe(
        Path::new(&format!("{at}/hooks/pre-commit.sample")),
        Kind::File,
        1000,
        b"#!/bin/sh\n",
    );
    tree.describe(
        Path::new(&format!("{at}/HEAD")),
        Kind::File,
        1000,
        b"ref: refs/heads/main\n",
    );
    tree.describe(
        Path::new(&format!("{at}/config")),
        Kind::File,
        1000,
        b"[core]\n\tbare = false\n",
    );
}

/// A repository with files that other programs of the host obey.
fn tree() -> Tree {
    let mut tree = Tree::described();
    for directory in ["/usr/bin", "/home/u/.claudebox", "/home/u/other"] {
        tree.describe(Path::new(directory), Kind::Directory, 1000, b"");
    }
    for file in ["/usr/bin/bwrap", "/usr/bin/claudebox"] {
        tree.describe(Path::new(file), Kind::File, 0, b"");
    }
    git_dir(&mut tree, "/home/u/p/.git");
    git_dir(&mut tree, "/home/u/other/.git");
    for file in [".envrc", ".claude/settings.json", ".vscode/tasks.json"] {
        tree.describe(Path::new(&format!("{P}/{file}")), Kind::File, 1000, b"");
    }
    for link in [".exrc", ".npmrc"] {
        tree.describe(
            Path::new(&format!("{P}/{link}")),
            Kind::Link(".envrc".into()),
            1000,
            b"",
        );
    }
    tree
}

fn host(tree: Tree) -> Rc<Host> {
    let mut host = Rc::into_inner(host::described(tree)).unwrap();
    host.repository = git::discover(&host.tree, &host.directory, &host.home, host.uid).unwrap();
    Rc::new(host)
}

fn decided(mounts: &str, host: &Rc<Host>) -> Decided {
    let policy = format!(
        "fn variable(host, name) {{ env::hide(\"not on the list\") }}\nfn network(host) {{ net::none(\"none\"); }}\n\
         fn mounts(host) {{\n    {mounts}\n}}\n"
    );
    let source = Source {
        layer: "user".into(),
        file: "p.rhai".into(),
        text: policy.into(),
    };
    let request = Request {
        program: Program::Command,
        arguments: vec!["true".into()],
        network: None,
        policy: None,
        no_user_policy: false,
        mounts: Vec::new(),
        profile: None,
    };
    decide_with(&[source], host, &request)
}

/// The mounts from the project on, as `rw PATH`, `ro PATH` or `make PATH`, and the fates and notes.
fn protected(mounts: &str, host: &Rc<Host>) -> (Vec<String>, Vec<String>) {
    let decided = decided(mounts, host);
    let plan = match &decided.verdict.outcome {
        Ok(plan) => plan,
        Err(refusal) => return (vec![refusal.to_string()], Vec::new()),
    };
    let shown = plan.mounts().iter().filter_map(|mount| match &mount.what {
        What::Bind { source, writable } if source.within_str("/home/u/p") || source.within_str("/home/u/other") => {
            let made = plan.reserved().iter().any(|reserved| reserved.path == *source);
            let word = if made {
                "make"
            } else if *writable {
                "rw"
            } else {
                "ro"
            };
            let at = mount.at.to_string();
            Some(format!("{word} {}", at.strip_prefix("/home/u/").unwrap_or(&at)))
        }
        _ => None,
    });
    let fates = decided.verdict.fates.iter().map(|(id, fate)| {
        let decision = decided.trace.get(*id).unwrap();
        format!("{} {}: {fate:?}", decision.effect.word(), decision.subject)
    });
    let notes = decided.trace.iter().filter_map(|(_, decision)| match decision {
        decision if decision.effect == Effect::Note && matches!(decision.site, Site::Host(_)) => {
            Some(format!("note {} {}", decision.subject, decision.reason))
        }
        _ => None,
    });
    let links = decided.verdict.outcome.iter().flat_map(super::super::plan::Plan::links);
    let links = links.map(|link| format!("link {} {}", link.at, link.path));
    (shown.collect(), fates.chain(notes).chain(links).collect())
}

const PROJECT: &str = "mount::rw(host.project, \"the project\");";
const GIT: [&str; 5] = [
    "rw p",
    "rw p/.git",
    "ro p/.git/config",
    "make p/.git/commondir",
    "ro p/.git/hooks",
];

#[test]
fn a_repository_is_protected_without_a_word_of_the_policy() {
    let (mounts, rest) = protected(PROJECT, &host(tree()));
    assert_eq!(mounts, GIT);
    assert_eq!(rest, [] as [&str; 0]);
}

#[test]
fn a_project_that_cannot_be_written_needs_nothing() {
    let (mounts, rest) = protected("mount::ro(host.project, \"to look at\");", &host(tree()));
    assert_eq!((mounts, rest), (vec!["ro p".to_string()], Vec::new()));
}

#[test]
fn a_project_elsewhere_is_protected_there() {
    let policy = format!("{PROJECT} mount::rw(host.project, \"/work\", \"twice\");");
    let (mounts, _) = protected(&policy, &host(tree()));
    let expected = [
        "rw /work",
        "rw /work/.git",
        "rw p",
        "ro /work/.git/config",
        "make /work/.git/commondir",
        "ro /work/.git/hooks",
        "rw p/.git",
        "ro p/.git/config",
        "make p/.git/commondir",
        "ro p/.git/hooks",
    ];
    assert_eq!(mounts, expected);
}

#[test]
fn one_path_is_opened_by_name_and_the_others_stay() {
    let policy = format!(
        "{PROJECT} mount::open(\"~/p/.git/config\", \"mine\"); mount::open(\"~/p/.git/hooks/x\", \"mine\"); \
         mount::open(\"~/p/README\", \"mine\");"
    );
    let (mounts, rest) = protected(&policy, &host(tree()));
    assert_eq!(
        mounts,
        ["rw p", "rw p/.git", "make p/.git/commondir", "ro p/.git/hooks"]
    );
    assert_eq!(
        rest,
        [
            "open-path /home/u/p/.git/hooks/x: Idle(\"`/home/u/p/.git/hooks` is protected as a whole: open that\")",
            "open-path /home/u/p/README: Idle(\"nothing protects it\")",
        ]
    );
}

#[test]
fn a_mount_with_write_access_does_not_open_it() {
    let policy = format!("{PROJECT} mount::rw(host.project + \"/.git/config\", \"mine\");");
    let (mounts, rest) = protected(&policy, &host(tree()));
    assert_eq!(
        mounts,
        [
            "rw p",
            "rw p/.git",
            "ro p/.git/config",
            "make p/.git/commondir",
            "ro p/.git/hooks"
        ]
    );
    assert_eq!(
        rest,
        [
            "read-write /home/u/p/.git/config: Clamped { code: \"git-exec-surface\", why: \"programs of the host obey it: only \
          `mount::open` lets it be written\" }"
        ]
    );
}

#[test]
fn the_policy_closes_a_git_directory_wholly() {
    let policy = format!("{PROJECT} mount::protect(host.project + \"/.git\", \"strict\");");
    let (mounts, rest) = protected(&policy, &host(tree()));
    assert_eq!(
        (mounts, rest),
        (vec!["rw p".to_string(), "ro p/.git".to_string()], Vec::new())
    );
    let policy = format!("{PROJECT} mount::ro(host.project + \"/.git\", \"strict\");");
    let (mounts, rest) = protected(&policy, &host(tree()));
    assert_eq!(
        (mounts, rest),
        (vec!["rw p".to_string(), "ro p/.git".to_string()], Vec::new())
    );
}

#[test]
fn what_the_policy_protects_is_read_only_with_the_way_to_it() {
    let names = [".envrc", ".claude/settings.json", ".vscode", ".mcp.json", ".exrc"];
    let calls: Vec<String> = names
        .iter()
        .map(|name| format!("mount::protect(\"~/p/{name}\", \"why\");"))
        .collect();
    let (mounts, rest) = protected(&format!("{PROJECT} {}", calls.concat()), &host(tree()));
    let expected = [
        "rw p",
        "ro p/.envrc",
        "rw p/.claude",
        "ro p/.vscode",
        "rw p/.git",
        "ro p/.claude/settings.json",
    ];
    assert_eq!(mounts, [expected.as_slice(), GIT.get(2..).unwrap()].concat());
    assert_eq!(
        rest,
        [
            "protect /home/u/p/.mcp.json: Idle(\"it does not exist in this project: it is reported if it appears\")",
            "link /home/u/p/.exrc /home/u/p/.exrc",
        ]
    );
}

#[test]
fn the_policy_of_the_user_opens_what_the_bundled_one_protects() {
    let policy = format!(
        "{PROJECT} mount::protect(\"~/p/.envrc\", \"why\"); mount::open(\"~/p/.envrc\", \"the agent edits it\");"
    );
    let (mounts, _) = protected(&policy, &host(tree()));
    assert_eq!(mounts, GIT);
}

#[test]
fn another_repository_that_can_be_written_is_protected_too() {
    let policy = format!("{PROJECT} mount::rw(\"~/other/.git\", \"to commit there\");");
    let (mounts, _) = protected(&policy, &host(tree()));
    let own = ["rw p", "rw other/.git", "rw p/.git"];
    let kept = [
        "ro other/.git/config",
        "make other/.git/commondir",
        "ro other/.git/hooks",
    ];
    assert_eq!(mounts, [own.as_slice(), GIT.get(2..).unwrap(), &kept].concat());
}

#[test]
fn a_repository_with_a_hook_elsewhere_is_refused_whole() {
    let mut tree = tree();
    tree.describe(
        Path::new("/home/u/p/.git/index"),
        Kind::Link("/home/u/.ssh".into()),
        1000,
        b"",
    );
    let host = Rc::into_inner(host::described(tree)).unwrap();
    let refused = git::discover(&host.tree, &host.directory, &host.home, host.uid).unwrap_err();
    assert_eq!(refused.to_string(), "`/home/u/p/.git/index` is a symbolic link");
    // Without the repository known, the folder is looked at, and refused all the same.
    let (text, _) = protected(PROJECT, &Rc::new(host));
    assert_eq!(
        text,
        ["error[git-exec-surface]: `/home/u/p/.git/index` is a symbolic link\n\
          hint: git would read or write where it leads: replace it by what it leads to\n"]
    );
}

#[test]
fn a_git_directory_that_only_the_project_claims_is_named_by_the_policy_or_refused() {
    let mut tree = tree();
    tree.forget(Path::new("/home/u/p/.git"));
    tree.describe(
        Path::new("/home/u/p/.git"),
        Kind::File,
        1000,
        b"gitdir: /home/u/other/.git\n",
    );
    let host = host(tree);
    let (text, _) = protected(PROJECT, &host);
    assert_eq!(
        text,
        [
            "error[git-pointers]: `/home/u/p/.git` claims the git directory `/home/u/other/.git`, which does not name it in return\n\
          hint: if you made it with `git init --separate-git-dir`, name it in your policy: mount::rw(\"/home/u/other/.git\", \"why\")\n"
        ]
    );
    let (mounts, _) = protected(&format!("{PROJECT} mount::rw(\"~/other/.git\", \"mine\");"), &host);
    assert_eq!(
        mounts,
        [
            "rw p",
            "rw other/.git",
            "ro p/.git",
            "ro other/.git/config",
            "make other/.git/commondir",
            "ro other/.git/hooks"
        ]
    );
}

#[test]
fn what_another_session_reserved_is_reserved_here_too() {
    let mut without = tree();
    without.forget(Path::new("/home/u/p/.git/hooks"));
    let mut with = tree();
    with.forget(Path::new("/home/u/p/.git/hooks/pre-commit.sample"));
    for host in [host(without), host(with)] {
        let (mounts, _) = protected(PROJECT, &host);
        assert_eq!(
            mounts,
            [
                "rw p",
                "rw p/.git",
                "ro p/.git/config",
                "make p/.git/commondir",
                "make p/.git/hooks"
            ]
        );
    }
}
