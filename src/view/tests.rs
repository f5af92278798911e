//! What is seen, by cases: one described host, one list of mounts. The kernel's own answers are compared in the integration tests.

use std::path::Path;
use std::rc::Rc;

use indexmap::IndexMap;

use super::*;
use crate::draft::{Keeper, Network};
use crate::host;
use crate::host::tree::{Kind as Is, Tree};
use crate::invariants::plan::Credentials;
use crate::trace::{DecisionId, Effect, Site, Trace};

fn host() -> Rc<Host> {
    let mut tree = Tree::described();
    let mut add = |path: &str, kind: Is, uid: u32, mode: u32| {
        tree.describe(Path::new(path), kind, uid, b"x");
        tree.alter(Path::new(path), |node| node.mode = mode);
    };
    add("/data", Is::Directory, 1000, 0o755);
    add("/data/own", Is::File, 1000, 0o600);
    add("/data/others", Is::File, 0, 0o600);
    add("/data/all", Is::File, 0, 0o644);
    add("/data/shut", Is::Directory, 1000, 0o600);
    add("/data/shut/x", Is::File, 1000, 0o644);
    add("/data/listed", Is::Directory, 0, 0o755);
    add("/data/socket", Is::Socket, 1000, 0o755);
    add("/data/pipe", Is::Special, 1000, 0o644);
    for (name, target) in [
        ("near", "own"),
        ("up", "../mnt/ro/own"),
        ("away", "/etc/text"),
        ("out", "/home/secret"),
        ("self", "self"),
        ("slash", "own/"),
        ("kernel", "/proc/self/fd"),
    ] {
        add(&format!("/data/{name}"), Is::Link(target.into()), 1000, 0o777);
    }
    host::described(tree)
}

fn decision() -> DecisionId {
    Trace::default().record(Effect::Note, "", "", Site::Host("test"))
}

fn parts() -> Parts {
    let path = |text: &str| HostPath::new(text).unwrap();
    let bind = |source: &str, writable| What::Bind {
        source: path(source),
        writable,
    };
    let mounts = [
        ("/", What::Tmpfs(0o755)),
        ("/proc", What::Proc),
        ("/dev", What::Dev),
        ("/tmp", What::Tmpfs(0o1777)),
        ("/bin", What::Link("usr/bin".into())),
        ("/mnt/ro", bind("/data", false)),
        ("/mnt/rw", bind("/data", true)),
        ("/etc/text", What::Text(b"t".to_vec())),
        ("/tmp/deep/er", bind("/data/own", false)),
        ("/state", bind("/state-to-be", true)),
        ("/mnt/rw/all", What::MaskFile),
        ("/mnt/rw/listed", What::MaskDirectory),
    ];
    Parts {
        variables: IndexMap::new(),
        mounts: mounts
            .into_iter()
            .map(|(at, what)| Mount {
                at: SandboxPath::new(at).unwrap(),
                what,
                decision: decision(),
            })
            .collect(),
        network: Network::None,
        internet: None,
        names: None,
        credentials: Credentials {
            keeper: Keeper::Broker,
            decision: decision(),
            origin: None,
            held: None,
            secrets: Default::default(),
        },
        broker: None,
        nix: None,
        reserved: Vec::new(),
        links: Vec::new(),
        network_decision: decision(),
        uid: 1000,
        gid: 1000,
        root: false,
        directory: SandboxPath::root(),
        command: Vec::new(),
        command_decision: decision(),
        isolation: Vec::new(),
        preparations: vec![Preparation::Directory(path("/state-to-be"))],
    }
}

/// The kind and the access in one word: `file rw`, `absent --`; `?` where only the kernel knows.
fn told(path: &str) -> String {
    let (host, parts) = (host(), parts());
    let seen = View::new(&host, &parts).see(Path::new(path));
    let sign = |may: Option<bool>, letter| match may {
        Some(true) => letter,
        Some(false) => '-',
        None => '?',
    };
    format!(
        "{} {}{}",
        seen.kind.word(),
        sign(seen.readable, 'r'),
        sign(seen.writable, 'w')
    )
}

#[test]
fn paths_of_every_kind() {
    for (path, expected) in [
        ("/", "directory r-"),
        ("/mnt", "directory r-"),
        ("/mnt/nothing", "absent --"),
        ("/home", "absent --"),
        ("/tmp", "directory rw"),
        ("/tmp/deep", "directory rw"),
        ("/tmp/deep/er", "file r-"),
        ("/tmp/deep/er/below", "absent --"),
        ("/mnt/ro/own", "file r-"),
        ("/mnt/rw/own", "file rw"),
        ("/mnt/rw/others", "file --"),
        ("/mnt/ro/all", "file r-"),
        ("/mnt/rw/all", "file r-"),
        ("/mnt/rw/listed", "directory r-"),
        ("/mnt/rw/listed/x", "absent --"),
        ("/mnt/ro/shut", "directory r-"),
        ("/mnt/rw/shut", "directory r-"),
        ("/mnt/rw/shut/x", "unreachable --"),
        ("/mnt/ro/socket", "socket --"),
        ("/mnt/ro/pipe", "special ??"),
        ("/mnt/ro/own/", "absent --"),
        ("/mnt/ro/.", "directory r-"),
        ("/mnt/ro/../rw/own", "file rw"),
        ("/mnt/ro/own/../own", "absent --"),
        ("/../../mnt", "directory r-"),
        ("/etc", "directory r-"),
        ("/etc/text", "file r-"),
        ("/state", "directory rw"),
        ("/proc", "directory r-"),
        ("/proc/self/status", "kernel ??"),
        ("/dev", "directory rw"),
        ("/dev/null", "special rw"),
        ("/dev/tty", "special ??"),
        ("/dev/ptmx", "special rw"),
        ("/dev/shm", "directory rw"),
        ("/dev/shm/x", "absent --"),
        ("/dev/pts/0", "kernel ??"),
        ("/dev/fd/3", "kernel ??"),
        ("/dev/sda", "absent --"),
    ] {
        assert_eq!(told(path), expected, "{path}");
    }
}

#[test]
fn links_lead_where_they_lead_inside() {
    let (host, parts) = (host(), parts());
    let view = View::new(&host, &parts);
    for (path, end, kind, through) in [
        ("/mnt/ro/near", "/mnt/ro/own", "file", 1),
        ("/mnt/ro/up", "/mnt/mnt", "absent", 1),
        ("/mnt/ro/away", "/etc/text", "file", 1),
        ("/mnt/ro/out", "/home", "absent", 1),
        ("/mnt/ro/self", "/mnt/ro/self", "unreachable", 40),
        ("/mnt/ro/slash", "/mnt/ro/own/", "absent", 1),
        ("/mnt/ro/kernel/0", "/proc/self/fd/0", "kernel", 1),
        ("/bin/sh", "/usr", "absent", 1),
    ] {
        let seen = view.see(Path::new(path));
        assert_eq!(
            (seen.path.to_str().unwrap(), seen.kind.word(), seen.through.len()),
            (end, kind, through),
            "{path}"
        );
    }
}

#[test]
fn a_file_of_the_host_is_found_at_every_place() {
    let (host, parts) = (host(), parts());
    let view = View::new(&host, &parts);
    let places = |path: &str| -> Vec<String> {
        let path = HostPath::new(path).unwrap();
        let told = view.places_of(&path).into_iter().map(|(at, seen)| {
            let shown = seen.source.as_ref() == Some(&path);
            format!("{at}{}", if shown { "" } else { " hidden" })
        });
        told.collect()
    };
    assert_eq!(places("/data/own"), ["/mnt/ro/own", "/mnt/rw/own", "/tmp/deep/er"]);
    assert_eq!(places("/data/all"), ["/mnt/ro/all", "/mnt/rw/all hidden"]);
    assert_eq!(places("/data"), ["/mnt/ro", "/mnt/rw"]);
    assert!(places("/etc/text").is_empty());
    let root = HostPath::root();
    let parts: Vec<String> = view.parts_of(&root).iter().map(|mount| mount.at.to_string()).collect();
    assert_eq!(parts, ["/mnt/ro", "/mnt/rw", "/state", "/tmp/deep/er"]);
}
