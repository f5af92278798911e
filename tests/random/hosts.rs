//! Random policies on random hosts: whatever the scripts decide, what would start shows no secret of the floor, and lets no
//! reserved variable in.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use claudebox::decide_with;
use claudebox::floor;
use claudebox::host::Host;
use claudebox::host::policies::bundled;
use claudebox::host::tree::Kind;
use claudebox::invariants::plan::{Parts, What};
use claudebox::path::{EnvName, HostPath};
use claudebox::policy_test::host::Described;
use claudebox::request::{Access, MountOption, Program, Request};
use claudebox::script::layer::Source;
use claudebox::view::View;

use super::{Random, many};

/// Directories to build paths from, secret and plain.
const DIRECTORIES: &[&str] = &[
    "/home/u",
    "/home/u/.ssh",
    "/home/u/.aws",
    "/home/u/.gnupg",
    "/home/u/.config",
    "/home/u/.config/gcloud",
    "/home/u/.kube",
    "/home/u/.mozilla",
    "/home/u/documents",
    "/home/u/documents/deep",
    "/home/u/p",
    "/home/u/p/sub",
    "/home/u/.claudebox",
    "/home/u/.config/claudebox",
    "/usr",
    "/usr/share",
    "/etc",
    "/etc/ssh",
    "/srv",
    "/srv/data",
    "/var/lib/x",
    "/opt/a",
    "/run/user/1000",
    "/",
    "/home",
    "/tmp",
    "/proc",
    "/dev",
];
const NAMES: &[&str] = &[
    "id_rsa",
    "credentials",
    "token",
    "a",
    "b",
    ".env",
    "link",
    "sub",
    ".netrc",
    "shadow",
    "db.sqlite",
    ".bash_history",
];
const VARIABLES: &[&str] = &[
    "TERM",
    "A",
    "LD_PRELOAD",
    "NODE_OPTIONS",
    "GIT_DIR",
    "SSH_AUTH_SOCK",
    "DBUS_SESSION_BUS_ADDRESS",
    "BASH_ENV",
    "DISPLAY",
    "GITHUB_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "PATH",
    "HOME",
    "TMUX",
];

fn path(random: &mut Random) -> String {
    let directory = random.of(DIRECTORIES);
    match random.below(3) {
        0 => (*directory).to_string(),
        _ => format!("{}/{}", directory.trim_end_matches('/'), random.of(NAMES)),
    }
}

/// What a host has.
pub fn described(random: &mut Random) -> Described {
    let mut given = Described::default();
    for secret in [
        "/home/u/.ssh/id_rsa",
        "/home/u/.aws/credentials",
        "/home/u/.config/gcloud/db",
        "/home/u/.gnupg/k",
    ] {
        if !random.once_in(3) {
            given.files.push((secret.into(), Kind::File, 1000, b"secret".to_vec()));
        }
    }
    for _ in 0..random.below(14) {
        let at = PathBuf::from(path(random));
        // What the description itself stands on stays a directory.
        if ["/", "/home", "/home/u", "/usr", "/etc", "/home/u/p", "/proc", "/dev"]
            .iter()
            .any(|fixed| at == Path::new(fixed))
        {
            continue;
        }
        let kind = match random.below(6) {
            0 => Kind::Directory,
            1 => Kind::Socket,
            2 | 3 => Kind::Link(path(random).into()),
            _ => Kind::File,
        };
        given.files.push((at, kind, 1000, b"x".to_vec()));
    }
    for name in VARIABLES {
        if random.once_in(2) {
            given
                .variables
                .insert(EnvName::new(*name).expect("a name"), "value".into());
        }
    }
    given.nix = random.once_in(4);
    given
}

/// One statement of each kind, with random paths.
fn statement(random: &mut Random) -> String {
    let (one, other) = (path(random), path(random));
    match random.below(11) {
        0 | 1 => format!("mount::ro(\"{one}\", \"x\");"),
        2 | 3 => format!("mount::rw(\"{one}\", \"x\");"),
        4 => format!("mount::ro(\"{one}\", \"{other}\", \"x\");"),
        5 => format!("mount::rw(\"{one}\", \"{other}\", \"x\");"),
        6 => format!("mount::link(\"{one}\", \"{other}\", \"x\");"),
        7 => format!("mount::tmpfs(\"{one}\", \"x\");"),
        8 => format!("mount::mask(\"{one}\", \"x\");"),
        9 => format!("mount::text(\"{one}\", \"content\", \"x\");"),
        _ => format!("mount::open(\"{one}\", \"x\");"),
    }
}

/// A user's policy.
pub fn policy(random: &mut Random) -> String {
    let mut text = String::new();
    let base = if random.once_in(6) {
        "mount::rw(host.project, \"p\");"
    } else {
        "base::mounts(host);"
    };
    let statements: Vec<String> = (0..random.below(6)).map(|_| statement(random)).collect();
    text.push_str(&format!("fn mounts(host) {{ {base} {} }}\n", statements.join(" ")));
    if random.once_in(2) {
        let verdict = random.of(&["env::pass(\"x\")", "env::pass_secret(\"x\")", "env::hide(\"x\")"]);
        text.push_str(&format!("fn variable(host, name) {{ {verdict} }}\n"));
    }
    if random.once_in(3) {
        let name = random.of(VARIABLES);
        text.push_str(&format!(
            "fn environment(host) {{ base::environment(host); env::set(\"{name}\", \"v\", \"x\"); }}\n"
        ));
    }
    if random.once_in(3) {
        text.push_str(&format!(
            "fn secrets(host) {{ secret::path(\"{}\", \"x\"); secret::pass_file(\"{}\", \"x\"); }}\n",
            path(random),
            path(random)
        ));
    }
    text
}

fn request(random: &mut Random) -> Request {
    let mut request = Request {
        program: Program::Command,
        arguments: vec!["true".into()],
        ..Request::default()
    };
    for _ in 0..random.below(2) {
        let access = if random.once_in(2) { Access::Read } else { Access::Write };
        let text = if random.once_in(2) {
            path(random)
        } else {
            format!("{}:{}", path(random), path(random))
        };
        request.mounts.push(MountOption {
            access,
            text: text.into(),
        });
    }
    request
}

/// The canonical files of the host that are secrets of the floor.
fn secrets(host: &Host) -> Vec<HostPath> {
    let roots: Vec<HostPath> = floor::secrets(&host.home)
        .into_iter()
        .flat_map(|(path, _)| {
            [
                Some(path.clone()),
                host.tree.resolve(&path).ok().map(|found| found.path),
            ]
        })
        .flatten()
        .collect();
    let all = host
        .tree
        .described_paths()
        .into_iter()
        .filter_map(|path| HostPath::new(path).ok());
    all.filter(|path| roots.iter().any(|root| path.within(root))).collect()
}

#[test]
fn no_secret_of_the_floor_is_seen() {
    let (granted, refused) = (
        std::sync::atomic::AtomicU64::new(0),
        std::sync::atomic::AtomicU64::new(0),
    );
    let counts = std::sync::Arc::new((granted, refused));
    let seen = std::sync::Arc::clone(&counts);
    many(1500, move |random| {
        let host: Rc<Host> = described(random).host();
        let user = policy(random);
        let layers = [
            bundled(),
            Source {
                layer: "user".into(),
                file: "user.rhai".into(),
                text: user.as_str().into(),
            },
        ];
        let decided = decide_with(&layers, &host, &request(random));
        let Ok(plan) = &decided.verdict.outcome else {
            seen.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return;
        };
        seen.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let parts = plan.parts();
        shows_no_secret(&host, parts, &user);
        for name in parts.variables.keys() {
            assert_eq!(floor::reserved(name), None, "{name} enters\n{user}");
        }
    });
    // A property that no case reaches would prove nothing.
    let (granted, refused) = (
        counts.0.load(std::sync::atomic::Ordering::Relaxed),
        counts.1.load(std::sync::atomic::Ordering::Relaxed),
    );
    assert!(
        granted * 10 > refused && refused * 10 > granted,
        "{granted} granted, {refused} refused"
    );
}

/// No place that can be thought of shows a secret of the floor.
#[track_caller]
pub fn shows_no_secret(host: &Host, parts: &Parts, told: &str) {
    let view = View::new(host, parts);
    let secrets = secrets(host);
    // Where a mount would show a secret: at its own place below each mount's source, and through every path of the host.
    let mut places: Vec<PathBuf> = host.tree.described_paths();
    for mount in &parts.mounts {
        places.push(mount.at.as_path().to_path_buf());
        if let What::Bind { source, .. } = &mount.what {
            for path in host.tree.described_paths() {
                if let Ok(rest) = path.strip_prefix(source.as_path()) {
                    places.push(mount.at.as_path().join(rest));
                }
            }
        }
    }
    for place in places {
        let found = view.see(&place);
        if !found.kind.visible() || found.masked() {
            continue;
        }
        let file = matches!(found.kind, claudebox::view::Kind::File | claudebox::view::Kind::Socket);
        // The launcher shows its own program: no secret, even where a link calls its directory one.
        if let Some(source) = found.source.filter(|source| file && *source != host.executable) {
            assert!(
                !secrets.contains(&source),
                "`{}` shows the secret `{source}`\n{told}",
                place.display()
            );
        }
    }
}
