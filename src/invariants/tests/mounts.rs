//! Sources that are refused, mount points that would be made on the host, and places that the launcher builds.

use std::path::Path;

use super::*;
use crate::host::claude::{Claude, Install};
use crate::host::tree::Tree;
use crate::path::HostPath;
use crate::request::Program;
use crate::request::Request;

/// The first words of a refusal.
fn first(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[test]
fn places_that_the_launcher_builds_are_its_own() {
    let built = [
        ("/", "/"),
        ("/proc", "/proc"),
        ("/proc/sys", "/proc"),
        ("/dev", "/dev"),
        ("/dev/shm", "/dev"),
        ("/run/claudebox", "/run/claudebox"),
        ("/run/claudebox/init", "/run/claudebox"),
        ("/etc/claude-code/CLAUDE.md", "/etc/claude-code/CLAUDE.md"),
    ];
    for (place, owner) in built {
        let text = mounts_on(&format!("mount::tmpfs(\"{place}\", \"x\");"), tree());
        let wanted = format!("error[empty-root]: `{place}` cannot be mounted: `{owner}` is built by the launcher: ");
        assert!(text.starts_with(&wanted), "{text}");
    }
    for place in ["/process", "/run/claudebox-more", "/run", "/opt"] {
        assert_eq!(
            mounts_on(&format!("mount::tmpfs(\"{place}\", \"x\");"), tree()),
            "granted",
            "{place}"
        );
    }
}

#[test]
fn the_kernels_directories_are_no_sources() {
    let mut tree = tree();
    tree.describe(Path::new("/proc/cpuinfo"), Kind::File, 0, b"");
    tree.describe(Path::new("/dev/files/x"), Kind::File, 0, b"");
    for (source, kernel) in [("/proc/cpuinfo", "/proc"), ("/dev/files", "/dev")] {
        let asked = format!("mount::ro(\"{source}\", \"/opt/x\", \"x\");");
        let policy = format!("fn mounts(host) {{ base::mounts(host); {asked} }}\n");
        let decided = decided(&policy, &host::described(clone_of(&tree)), &request());
        let error = decided.verdict.outcome.unwrap_err().diagnostics.remove(0);
        assert_eq!(
            (error.code, error.message),
            (
                "empty-root",
                format!("`{source}` lies in `{kernel}`, which the sandbox has of its own")
            )
        );
    }
}

/// A tree with the same paths: a described one is made anew for each host.
fn clone_of(tree: &Tree) -> Tree {
    let mut copy = Tree::described();
    for path in tree.described_paths() {
        if let Ok(Some(node)) = tree.node(&path) {
            copy.describe(&path, node.kind.clone(), node.uid, b"");
            copy.alter(&path, |copied| *copied = node.clone());
        }
    }
    copy
}

#[test]
fn what_root_may_see_and_bubblewrap_may_not_is_refused() {
    let host = |uid: u32| {
        let mut tree = tree();
        tree.alter(Path::new("/srv/data"), |node| (node.uid, node.mode) = (33, 0o700));
        let mut host = Rc::into_inner(host::described(tree)).unwrap();
        (host.uid, host.gid) = (uid, uid);
        Rc::new(host)
    };
    let policy = "fn mounts(host) { base::mounts(host); mount::ro(\"/srv/data/file\", \"x\"); }\n";
    let codes = |host: &Rc<Host>| match decided(policy, host, &request()).verdict.outcome {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal
            .diagnostics
            .iter()
            .map(|error| (error.code, error.message.clone()))
            .collect(),
    };
    let wanted = "`/srv/data/file` cannot be mounted: `/srv/data` may not be entered".to_string();
    assert!(
        codes(&host(0)).contains(&("mount-source", wanted.clone())),
        "{:?}",
        codes(&host(0))
    );
    // An ordinary user could not have looked at it; that is another module's to say.
    assert!(!codes(&host(1000)).contains(&("mount-source", wanted)));
    // The directory's own mode is nobody's concern where the source is that directory.
    let policy = "fn mounts(host) { base::mounts(host); mount::ro(\"/srv/data\", \"x\"); }\n";
    let decided = decided(policy, &host(0), &request());
    let told = decided
        .verdict
        .outcome
        .err()
        .map(|refusal| refusal.to_string())
        .unwrap_or_default();
    assert!(!told.contains("may not be entered"), "{told}");
}

#[test]
fn an_unfit_project_is_told_once() {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    host.project = HostPath::new("/usr/lib").unwrap();
    host.directory = host.project.clone();
    let host = Rc::new(host);
    let policy = "fn mounts(host) { base::mounts(host); mount::ro(\"~/.ssh\", \"x\"); mount::tmpfs(\"/proc\", \"x\"); mount::ro(\"/srv/data\", \"x\"); }\n";
    let decided = decided(policy, &host, &request());
    let fates: Vec<(String, &Fate)> = decided
        .verdict
        .fates
        .iter()
        .map(|(id, fate)| (decided.trace.get(*id).unwrap().subject.clone(), fate))
        .collect();
    let refused = |code| Fate::Refused(code);
    assert!(
        fates.contains(&("/usr/lib".to_string(), &refused("project-root"))),
        "{fates:?}"
    );
    assert!(!fates.iter().any(|(subject, _)| subject == "/srv/data"), "{fates:?}");
    let codes: Vec<&str> = decided
        .verdict
        .outcome
        .as_ref()
        .unwrap_err()
        .diagnostics
        .iter()
        .map(|error| error.code)
        .collect();
    assert_eq!(codes, ["project-root", "secret-exposed", "empty-root"]);
}

#[test]
fn kinds_of_mount_points() {
    let with = |path: &str, kind: Kind| {
        let mut tree = tree();
        tree.describe(&Path::new("/srv/data").join(path), kind, 0, b"");
        tree
    };
    let shown = |second: &str| format!("mount::ro(\"/srv/data\", \"x\"); {second}");
    let told = |place: &str, why: &str| format!("error[mount-point]: `{place}` cannot be a mount point: {why}");
    let directory = "/srv/data/d";
    let of = |second: &str| mounts_on(&shown(second), with("d", Kind::Directory));
    // A directory takes directories, a file takes files, and neither takes a link.
    assert_eq!(of("mount::tmpfs(\"/srv/data/d\", \"x\");"), "granted");
    assert_eq!(of("mount::ro(\"/usr/lib\", \"/srv/data/d\", \"x\");"), "granted");
    assert_eq!(of("mount::text(\"/srv/data/file\", \"words\", \"x\");"), "granted");
    assert_eq!(
        of("mount::ro(\"/usr/bin/bwrap\", \"/srv/data/file\", \"x\");"),
        "granted"
    );
    let text = of("mount::text(\"/srv/data/d\", \"words\", \"x\");");
    assert_eq!(
        first(&text),
        told(directory, "`/srv/data/d` is a directory on the host")
    );
    let text = of("mount::ro(\"/usr/bin/bwrap\", \"/srv/data/d\", \"x\");");
    assert_eq!(
        first(&text),
        told(directory, "`/srv/data/d` is a directory on the host")
    );
    let text = of("mount::ro(\"/usr/lib\", \"/srv/data/file\", \"x\");");
    assert_eq!(
        first(&text),
        told("/srv/data/file", "`/srv/data/file` is not a directory on the host")
    );
    let text = of("mount::link(\"/usr\", \"/srv/data/d\", \"x\");");
    assert_eq!(
        first(&text),
        told(directory, "a link there would be written to the host, at `/srv/data/d`")
    );
    // A file that was made up holds nothing; what lies in memory takes everything.
    let text = mounts_on(
        "mount::text(\"/opt/text\", \"words\", \"x\"); mount::tmpfs(\"/opt/text/below\", \"x\");",
        tree(),
    );
    assert_eq!(
        first(&text),
        told("/opt/text/below", "`/opt/text` is no directory that can hold it")
    );
    assert_eq!(
        mounts_on(
            "mount::tmpfs(\"/opt\", \"x\"); mount::link(\"/usr\", \"/opt/l\", \"x\");",
            tree()
        ),
        "granted"
    );
}

#[test]
fn sources_that_are_not_there() {
    let mut tree = tree();
    tree.describe(Path::new("/srv/gone"), Kind::Link("/srv/none".into()), 0, b"");
    let policy = "fn mounts(host) { base::mounts(host); mount::ro(\"/srv/none\", \"x\"); mount::ro(\"/srv/gone\", \"/opt/g\", \"y\"); }\n";
    let decided = decided(policy, &host::described(tree), &request());
    let fates: Vec<&Fate> = decided.verdict.fates.values().collect();
    let idle = |why: &str| Fate::Idle(why.into());
    assert_eq!(
        fates,
        [
            &idle("it does not exist on this host"),
            &idle("it leads to `/srv/none`, which does not exist")
        ]
    );
}

#[test]
fn a_script_of_claude_code_is_shown_where_it_lies() {
    let path = |text: &str| HostPath::new(text).unwrap();
    let shown = |line: &str| {
        let mut tree = tree();
        for file in ["/opt/lib/claude/cli.js", "/opt/node/bin/node"] {
            tree.describe(Path::new(file), Kind::File, 0, b"");
        }
        let mut host = Rc::into_inner(host::described(tree)).unwrap();
        host.claude = Ok(Claude {
            executable: path("/opt/lib/claude/cli.js"),
            found_at: path("/usr/bin/claude"),
            install: Install::Script {
                package: path("/opt/lib/claude"),
                interpreter: path("/opt/node/bin/node"),
                options: vec!["--no-warnings".into()],
            },
            version: None,
            passed_over: Vec::new(),
        });
        let policy = format!("fn mounts(host) {{ base::mounts(host); {line} }}\n");
        let request = Request {
            program: Program::Claude,
            arguments: vec!["-p".into()],
            ..Request::default()
        };
        let decided = decided(&policy, &Rc::new(host), &request);
        let plan = decided.verdict.outcome.unwrap();
        assert_eq!(
            plan.command(),
            [
                "/run/claudebox/init",
                "/opt/node/bin/node",
                "--no-warnings",
                "/opt/lib/claude/cli.js",
                "--dangerously-skip-permissions",
                "-p"
            ]
        );
        let mounts = plan
            .mounts()
            .iter()
            .filter(|mount| mount.at.to_string().starts_with("/opt"));
        mounts
            .map(|mount| match &mount.what {
                What::Bind { source, writable } => format!("{} {source} {writable}", mount.at),
                other => format!("{} {other:?}", mount.at),
            })
            .collect::<Vec<_>>()
    };
    let both = [
        "/opt/lib/claude /opt/lib/claude false",
        "/opt/node/bin/node /opt/node/bin/node false",
    ];
    assert_eq!(shown(""), both);
    // A mount of the policy's that shows it at its own place is enough; one at another place is not.
    assert_eq!(
        shown("mount::ro(\"/opt/lib\", \"x\");"),
        ["/opt/lib /opt/lib false", both[1]]
    );
    assert_eq!(shown("mount::ro(\"/opt/lib\", \"/srv/lib\", \"x\");"), both);
}
