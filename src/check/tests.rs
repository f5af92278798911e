//! The whole list on a good host, and what changes on each bad one.

use super::sandbox::FORBIDDERS;
use super::*;
use crate::host;
use crate::host::claude::{Install, NotFound};
use crate::host::nix::daemon::{Access, Daemon};
use crate::host::tree::{Kind, Tree};
use crate::path::EnvName;
use crate::request::{Program, Request};
use crate::script::layer::Source;
use std::rc::Rc;

fn report(change: impl Fn(&mut Host), trial: Option<&Trial>) -> (String, bool) {
    let mut tree = Tree::described();
    for program in ["bash", "git", "env", "cat", "bwrap", "slirp4netns"] {
        tree.describe(&Path::new("/usr/bin").join(program), Kind::File, 0, b"");
    }
    tree.describe(Path::new("/dev/net/tun"), Kind::Special, 0, b"");
    tree.describe(Path::new("/home/u/p"), Kind::Directory, 1000, b"");
    tree.describe(Path::new("/proc/sys/dev/tty/legacy_tiocsti"), Kind::File, 0, b"1\n");
    tree.describe(Path::new("/proc/sys/kernel/osrelease"), Kind::File, 0, b"6.18.1\n");
    tree.describe(Path::new("/proc/sys/kernel/seccomp/actions_avail"), Kind::File, 0, b"");
    tree.describe(
        Path::new("/proc/self/ns/cgroup"),
        Kind::Link("cgroup:[1]".into()),
        0,
        b"",
    );
    let mut host = Rc::into_inner(host::described(tree)).unwrap();
    host.variables
        .insert(EnvName::new("ANTHROPIC_API_KEY").unwrap(), "k".into());
    host.claude = Ok(claude());
    change(&mut host);
    let host = Rc::new(host);
    let policy = "fn mounts(host) { mount::rw(host.project, \"the project\"); }";
    let source = Source {
        layer: "user".into(),
        file: "p.rhai".into(),
        text: policy.into(),
    };
    let request = Request {
        program: Program::Claude,
        arguments: Vec::new(),
        ..Request::default()
    };
    let items = items(&host, &crate::decide_with(&[source], &host, &request), trial);
    (text(&items, Style::plain()), stops(&items))
}

fn claude() -> crate::host::claude::Claude {
    let path = HostPath::new("/opt/claude").unwrap();
    crate::host::claude::Claude {
        executable: path.clone(),
        found_at: path,
        install: Install::Binary,
        version: Some("2.1.197".into()),
        passed_over: Vec::new(),
    }
}

fn good() -> Trial {
    Trial {
        version: Some("0.13.1".into()),
        sandbox: Ok(()),
    }
}

const GOOD: &str = "ok    bubblewrap   /usr/bin/bwrap, version 0.13.1, owned by root\n\
     ok    namespaces   a sandbox starts: user, process, ipc, uts, cgroup, network\n\
     ok    programs     from /usr\n\
     ok    state        ~/.claudebox is made at the first start\n\
     ok    Claude Code  /opt/claude, version 2.1.197, one program\n\
     ok    login        by `ANTHROPIC_API_KEY`\n\
     ok    policy       loads, and is granted: p.rhai\n\
     ok    terminal     the kernel allows input injection; claudebox's filter shuts it\n\
     ok    network      slirp4netns and /dev/net/tun are there\n\
     ok    kernel       Linux 6.18.1\n";

#[test]
fn a_good_host() {
    assert_eq!(report(|_| {}, Some(&good())), (GOOD.to_string(), false));
}

#[test]
fn each_bad_host_names_what_is_missing_and_what_mends_it() {
    let (text, stops) = report(|host| host.claude = Err(NotFound::Nowhere), Some(&good()));
    assert_eq!(
        (
            text.lines()
                .filter(|line| !line.starts_with("ok"))
                .map(str::to_string)
                .collect::<Vec<_>>(),
            stops
        ),
        (
            vec![
                format!("bad   Claude Code  {}", NotFound::Nowhere),
                format!("                   fix: {}", NotFound::Nowhere.hint())
            ],
            true
        )
    );
    let denied = Trial {
        version: Some("0.8.0".into()),
        sandbox: Err("setting up uid map: Permission denied".into()),
    };
    let restrict = |host: &mut Host| {
        host.tree.describe(
            Path::new("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            Kind::File,
            0,
            b"1\n",
        );
    };
    let (text, stops) = report(restrict, Some(&denied));
    assert_eq!(
        (text.lines().take(4).map(str::to_string).collect::<Vec<_>>(), stops),
        (
            vec![
                "note  bubblewrap   /usr/bin/bwrap, version 0.8.0, owned by root".to_string(),
                "                   fix: 0.12 or newer closes CVE-2026-87766; until then claudebox refuses every destination behind a link itself".to_string(),
                "bad   namespaces   no sandbox starts: setting up uid map: Permission denied".to_string(),
                format!("                   fix: {}", FORBIDDERS[0].2),
            ],
            true
        )
    );
}

/// Every other bad host: the lines that are not well, whole, and whether a launch is stopped.
#[test]
fn what_else_can_be_wrong() {
    type Change = fn(&mut Host);
    let bad = |change: Change, trial: &Trial| {
        let (text, stops) = report(change, Some(trial));
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ")).collect();
        (format!("{}\n", lines.join("\n")), stops)
    };
    let cases: [(Change, &str, bool); 8] = [
        (
            |host| host.tree.forget(Path::new("/usr/bin/git")),
            "note  programs     missing in the sandbox: git\n                   fix: install them: apt install git\n",
            false,
        ),
        (
            |host| {
                host.tree
                    .describe(Path::new("/home/u/.claudebox"), Kind::Directory, 1000, b"")
            },
            "note  state        ~/.claudebox has mode 0755: others can look into it\n                   fix: chmod 700 ~/.claudebox\n",
            false,
        ),
        (
            |host| {
                host.tree
                    .describe(Path::new("/home/u/.claudebox"), Kind::Directory, 1000, b"");
                host.tree
                    .alter(Path::new("/home/u/.claudebox"), |node| node.mode = 0o777);
            },
            "bad   state        ~/.claudebox has mode 0777: others can look into it\n                   fix: chmod 700 ~/.claudebox\n",
            true,
        ),
        (
            |host| host.tree.describe(Path::new("/home/u/.claudebox"), Kind::File, 0, b""),
            "bad   state        ~/.claudebox is no directory of yours (owner 0)\n                   fix: move it away: mv ~/.claudebox ~/.claudebox.old\n",
            true,
        ),
        (
            |host| host.variables.clear(),
            "note  login        none yet\n                   fix: type /login inside, once for all projects, or set `ANTHROPIC_API_KEY`\n",
            false,
        ),
        (
            |host| {
                host.tree
                    .describe(Path::new("/proc/sys/kernel/osrelease"), Kind::File, 0, b"5.4.0\n")
            },
            "bad   kernel       Linux 5.4.0 lacks close_range\n                   fix: Linux 5.11 or newer, with seccomp and namespaces, is needed\n",
            true,
        ),
        (
            |host| host.project = HostPath::new("/usr/lib").unwrap(),
            "bad   policy       [project-root] `/usr/lib` cannot be the project: `/usr` belongs to the system\n                   \
             fix: change to a directory of its own for the project and start again\n",
            true,
        ),
        (
            |host| host.nix_daemon = Daemon::only(Access::Withheld("it builds with `sandbox = false`".into())),
            "note  nix daemon   stays outside: it builds with `sandbox = false`\n                   \
             fix: in /etc/nix/nix.conf: `sandbox = true`; start the daemon; claudebox from its flake brings a Nix of its own\n",
            false,
        ),
    ];
    for (change, expected, stops) in cases {
        assert_eq!(bad(change, &good()), (expected.to_string(), stops));
    }
}
