//! `nix-trust`: what a mount of the daemon's directory becomes.

use super::*;
use crate::host::nix::daemon::{Access, Daemon, Guard, SOCKET};
use crate::invariants::plan::NixWay;
use crate::path::HostPath;

/// A host with a daemon to which this is the way.
fn host(access: Access) -> Rc<Host> {
    let mut tree = tree();
    tree.describe(Path::new(SOCKET), Kind::Socket, 0, b"");
    let mut host = Rc::into_inner(host::described(tree)).unwrap();
    host.nix_daemon = Daemon {
        access,
        version: Some("2.26.3".into()),
        warnings: vec!["has a hole".into()],
    };
    host.broker = Ok(HostPath::new("/usr/bin/claudebox-broker").unwrap());
    host.sockets = vec![HostPath::new(SOCKET).unwrap()];
    Rc::new(host)
}

fn guard() -> Guard {
    Guard {
        program: HostPath::new("/nix/store/1-nix/bin/nix").unwrap(),
        directory: HostPath::new("/run/user/1000/claudebox/nix-7").unwrap(),
    }
}

/// A policy that mounts this of the daemon's, in a network.
fn policy(mount: &str, network: &str) -> String {
    format!(
        "fn network(host) {{ net::{network}(\"x\"); }}\nfn mounts(host) {{\n    base::mounts(host);\n    {mount}\n}}\n"
    )
}

const SHOWN: &str = "mount::ro(\"/nix/var/nix/daemon-socket\", \"x\");";

/// The mounts of a plan that belong to Nix, and the way.
fn granted(access: Access, mount: &str, network: &str) -> (Vec<String>, Option<NixWay>) {
    let decided = decided(&policy(mount, network), &host(access), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let mounts = plan
        .mounts()
        .iter()
        .filter(|mount| mount.at.to_string().contains("nix"));
    let mounts = mounts.map(|mount| format!("{:?} at {}", mount.what, mount.at));
    (mounts.collect(), plan.nix().map(|nix| nix.way.clone()))
}

fn bind(source: &str) -> String {
    format!("Bind {{ source: {source:?}, writable: false }} at /nix/var/nix/daemon-socket")
}

#[test]
fn the_daemon_or_its_guard_is_shown() {
    assert_eq!(
        granted(Access::Open, SHOWN, "host"),
        (vec![bind("/nix/var/nix/daemon-socket")], Some(NixWay::Open))
    );
    assert_eq!(
        granted(Access::Guarded(guard()), SHOWN, "host"),
        (
            vec![bind("/run/user/1000/claudebox/nix-7")],
            Some(NixWay::Guarded(guard()))
        )
    );
    // Nothing is started for a socket that no mount shows.
    assert_eq!(granted(Access::Guarded(guard()), "", "host"), (vec![], None));
    let mask = format!("{SHOWN} mount::mask(\"/nix/var/nix/daemon-socket\", \"x\");");
    let (mounts, way) = granted(Access::Guarded(guard()), &mask, "host");
    assert_eq!(
        (mounts, way),
        (vec!["MaskDirectory at /nix/var/nix/daemon-socket".into()], None)
    );
}

/// The daemon has this host's network: where the sandbox is to have none, or named hosts alone, it has no daemon either.
#[test]
fn the_daemon_reaches_no_further_than_the_sandbox() {
    let table = [
        ("none", "the Nix daemon has a network, and this sandbox is to have none"),
        (
            "allowlist",
            "the Nix daemon fetches from any host, and this sandbox is to reach named hosts alone",
        ),
    ];
    for (network, why) in table {
        for access in [Access::Open, Access::Guarded(guard())] {
            assert_eq!(granted(access.clone(), SHOWN, network), (vec![], None));
            let decided = decided(&policy(SHOWN, network), &host(access), &request());
            let clamped = Fate::Clamped {
                code: "nix-trust",
                why: why.into(),
            };
            assert!(decided.verdict.fates.values().any(|fate| *fate == clamped));
        }
    }
}

#[test]
fn nix_trust() {
    let refused = |access: Access, mount: &str| {
        let refusal = decided(&policy(mount, "host"), &host(access), &request())
            .verdict
            .outcome
            .unwrap_err();
        let lines = refusal
            .diagnostics
            .iter()
            .map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        refused(Access::Withheld("it builds with `sandbox = false`".into()), SHOWN),
        ["nix-trust: `/nix/var/nix/daemon-socket` cannot be shown: it builds with `sandbox = false`"]
    );
    assert_eq!(
        refused(Access::Unasked, SHOWN),
        ["nix-trust: `/nix/var/nix/daemon-socket` cannot be shown: it was not asked"]
    );
    for access in [Access::Open, Access::Guarded(guard())] {
        // A caller who is root could put another socket there, for the whole host.
        assert_eq!(
            refused(access.clone(), "mount::rw(\"/nix/var/nix/daemon-socket\", \"x\");"),
            [
                "nix-trust: `/nix/var/nix/daemon-socket` would be writable, and with it the way of this host's programs to the \
                 Nix daemon"
            ]
        );
        // The socket by itself would pass the guard by.
        assert_eq!(
            refused(
                access.clone(),
                "mount::ro(\"/nix/var/nix/daemon-socket/socket\", \"/x\", \"x\");"
            ),
            ["nix-trust: `/nix/var/nix/daemon-socket/socket` is mounted as a whole directory or not at all"]
        );
        assert_eq!(
            refused(access, "mount::ro(\"/nix/var/nix\", \"/x\", \"x\");"),
            ["empty-root: `/nix/var/nix` is never mounted whole: it holds `/nix/var/nix` and all that lies in it"]
        );
    }
}

/// What is told of the daemon: its way with its weaknesses, its absence on a host of Nix, and nothing anywhere else.
#[test]
fn what_became_of_the_daemon_is_told() {
    let told = |access: Access, tools: bool, mount: &str| {
        let mut host = Rc::into_inner(host(access)).unwrap();
        if tools {
            host.platform = crate::host::nix::Platform::Nix(vec![HostPath::new("/nix/store/1-tools/bin").unwrap()]);
        }
        let decided = decided(&policy(mount, "host"), &Rc::new(host), &request());
        let plan = decided.verdict.outcome.as_ref().unwrap();
        let nix = plan.nix().map(|nix| {
            let reason = decided.trace.get(nix.decision).unwrap().reason.clone();
            (nix.way.clone(), nix.warnings.len(), reason)
        });
        (nix, plan.guard().cloned())
    };
    let untrusted = "it does not trust you, and builds in a sandbox of its own".to_string();
    assert_eq!(
        told(Access::Open, false, SHOWN),
        (Some((NixWay::Open, 1, untrusted)), None)
    );
    assert_eq!(told(Access::Open, true, ""), (None, None));
    let guarded = "it may trust you, so a guard that trusts nobody stands in between".to_string();
    assert_eq!(
        told(Access::Guarded(guard()), false, SHOWN),
        (Some((NixWay::Guarded(guard()), 1, guarded)), Some(guard()))
    );
    assert_eq!(told(Access::Guarded(guard()), true, ""), (None, None));
    let withheld = || Access::Withheld("it builds with `sandbox = false`".into());
    let why = "it builds with `sandbox = false`".to_string();
    assert_eq!(told(withheld(), true, ""), (Some((NixWay::Outside, 0, why)), None));
    assert_eq!(told(withheld(), false, ""), (None, None));
}
