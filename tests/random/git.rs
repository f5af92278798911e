//! Repositories that agents write: pointers, configurations, and what lies where they point. Nothing panics; a directory outside the
//! project is believed only where it names the project in return; and nothing of it brings a secret or another place for writing in.

use std::path::{Path, PathBuf};

use claudebox::decide_with;
use claudebox::host::git::{self, config};
use claudebox::host::policies::bundled;
use claudebox::host::tree::Kind;
use claudebox::invariants::plan::What;
use claudebox::path::HostPath;
use claudebox::policy_test::host::Described;
use claudebox::request::{Program, Request};

use super::hosts::shows_no_secret;
use super::{Random, many};

/// Where a repository, or a part of one, may be.
const PLACES: &[&str] = &[
    "/home/u/p",
    "/home/u/p/.git",
    "/home/u/p/sub",
    "/home/u/p/sub/.git",
    "/home/u/p/.git/modules/sub",
    "/home/u/p/.git/worktrees/w",
    "/home/u/main",
    "/home/u/main/.git",
    "/home/u/main/.git/worktrees/p",
    "/home/u/main/.git/modules/p",
    "/home/u/bare.git",
    "/home/u/bare.git/worktrees/p",
    "/home/u/.ssh",
    "/home/u",
    "/home/u/.git",
    "/home/u/.claudebox",
    "/srv/r",
    "/srv/r/.git",
    "/",
    "/etc",
];

/// Ways to write a place, and to write none.
fn pointer(random: &mut Random) -> String {
    let place = *random.of(PLACES);
    match random.below(9) {
        0 => "..".into(),
        1 => "../..".into(),
        2 => "./".into(),
        3 => format!("../{}", place.trim_start_matches("/home/u/")),
        4 => format!("{place}/"),
        5 => format!("{place}/../{}", random.of(&["p", "main", ".git", "sub", ".ssh"])),
        6 => format!("{place}\0x"),
        _ => place.into(),
    }
}

const CONFIG: &[&str] = &[
    "[core]",
    "[core]\n",
    "[ core ]",
    "[extensions]\n",
    "[include]\n",
    "[includeIf \"gitdir:/\"]\n",
    "[remote \"origin\"]\n",
    "[alias]\n",
    "[filter \"x\"]\n",
    "\tbare = false\n",
    "bare = true\n",
    "\tworktree = ..\n",
    "worktree = ../../../../p\n",
    "worktree = /home/u/p\n",
    "worktree = /home/u/.ssh\n",
    "path = /home/u/.ssh/id_rsa\n",
    "path = ~/.ssh/id_rsa\n",
    "hooksPath = /home/u/h\n",
    "fsmonitor = x\n",
    "fsmonitor\n",
    "worktreeConfig = true\n",
    "objectFormat = sha256\n",
    "refStorage = reftable\n",
    "sshCommand = \"a b\" ; c\n",
    "url = https://x:y@z\n",
    "st = !sh\n",
    "clean = sh\n",
    "\\\n",
    "\\",
    "\"",
    "=",
    "]",
    "[",
    "#",
    ";",
    "\0",
    "\u{feff}",
    "\r\n",
    "\n",
    " ",
    "é",
    "[a.b]\n",
    "[a \"\\\"\"]\n",
    "[\"\"]\n",
    "x",
    "0",
    "-",
];

fn configuration(random: &mut Random) -> String {
    (0..random.below(12)).map(|_| *random.of(CONFIG)).collect()
}

/// A git directory, or nearly one.
fn git_directory(random: &mut Random, at: &str, files: &mut Vec<(PathBuf, Kind, u32, Vec<u8>)>) {
    let mut file =
        |name: &str, content: String| files.push((Path::new(at).join(name), Kind::File, 1000, content.into_bytes()));
    if !random.once_in(8) {
        file("HEAD", "ref: refs/heads/main\n".into());
    }
    if !random.once_in(4) {
        let text = if random.once_in(2) {
            "[core]\n\tbare = false\n".into()
        } else {
            configuration(random)
        };
        file("config", text);
    }
    if random.once_in(3) {
        let text = if random.once_in(2) {
            "../..".into()
        } else {
            pointer(random)
        };
        file("commondir", format!("{text}\n"));
    }
    if random.once_in(3) {
        let text = match random.below(4) {
            0 => pointer(random),
            _ => format!(
                "{}/.git",
                random.of(&["/home/u/p", "/home/u/p/sub", "/home/u/main", ".."])
            ),
        };
        file("gitdir", format!("{text}\n"));
    }
    if random.once_in(6) {
        file("config.worktree", configuration(random));
    }
    for directory in ["objects", "refs"] {
        if !random.once_in(8) {
            files.push((Path::new(at).join(directory), Kind::Directory, 1000, Vec::new()));
        }
    }
}

fn described(random: &mut Random) -> Described {
    let mut given = Described::default();
    given
        .files
        .push(("/home/u/.ssh/id_rsa".into(), Kind::File, 1000, b"secret".to_vec()));
    for _ in 0..1 + random.below(4) {
        let place = *random.of(PLACES);
        if place.starts_with("/home/u/") || place.starts_with("/srv") {
            git_directory(random, place, &mut given.files);
        }
    }
    for at in ["/home/u/p/.git", "/home/u/p/sub/.git", "/home/u/main/.git"] {
        // What lies below it is there already.
        let taken = given.files.iter().any(|(path, ..)| path.starts_with(at));
        if taken || random.once_in(4) {
            continue;
        }
        let text = match random.below(5) {
            0 => pointer(random),
            1 => format!("gitdir:{}", pointer(random)),
            _ => format!("gitdir: {}\n", pointer(random)),
        };
        let kind = if random.once_in(8) {
            Kind::Link(pointer(random).replace('\0', "").into())
        } else {
            Kind::File
        };
        let owner = if random.once_in(10) { 0 } else { 1000 };
        given.files.push((at.into(), kind, owner, text.into_bytes()));
    }
    given
}

/// Whether a git directory names this work tree: by its entry of a linked worktree, or by its configuration.
fn names_in_return(host: &claudebox::host::Host, directory: &HostPath, work_tree: &HostPath) -> bool {
    let read = |name: &str| host.tree.read(&directory.as_path().join(name), 4096).ok();
    let resolved = |text: &str| {
        let path = HostPath::new(directory.as_path().join(text)).ok()?;
        Some(host.tree.resolve(&path).ok()?.path)
    };
    let by_entry = read("gitdir").and_then(|text| {
        let text = String::from_utf8(text).ok()?;
        resolved(text.trim_end_matches('\n'))
    });
    let own = work_tree.join(".git").expect("a path");
    let by_config = read("config")
        .and_then(|text| config::parse(&text).ok())
        .into_iter()
        .flatten()
        .any(|entry| {
            entry.is("core", "worktree")
                && entry
                    .value
                    .as_deref()
                    .is_some_and(|value| std::str::from_utf8(value).ok().and_then(resolved).as_ref() == Some(work_tree))
        });
    by_entry.as_ref() == Some(&own) || by_config
}

#[test]
fn repositories_that_lie_bring_nothing_in() {
    let counts = std::sync::Arc::new(std::sync::Mutex::new([0u64; 4]));
    let seen = std::sync::Arc::clone(&counts);
    many(3000, move |random| {
        let given = described(random);
        let host = given.host();
        let told = format!(
            "{:#?}",
            given
                .files
                .iter()
                .map(|(path, kind, _, text)| (path, kind, String::from_utf8_lossy(text)))
                .collect::<Vec<_>>()
        );
        let repository = match git::discover(&host.tree, &host.project, &host.home, host.uid) {
            Err(forged) => {
                assert!(!forged.why.is_empty() && !forged.hint.is_empty(), "{forged:?}");
                return seen.lock().expect("counts")[0] += 1;
            }
            Ok(None) => return seen.lock().expect("counts")[1] += 1,
            Ok(Some(repository)) => repository,
        };
        for outside in host.outside_git_dirs() {
            let linked = names_in_return(&host, &repository.git_dir, &repository.work_tree);
            assert!(linked, "`{outside}` is believed, and does not name the project\n{told}");
            let wide = ["/", "/home", "/home/u", "/home/u/.ssh", "/home/u/.claudebox", "/etc"];
            assert!(
                !wide.iter().any(|path| outside.as_path() == Path::new(path)),
                "`{outside}`\n{told}"
            );
        }
        let request = Request {
            program: Program::Command,
            arguments: vec!["true".into()],
            ..Request::default()
        };
        let decided = decide_with(&[bundled()], &host, &request);
        let Ok(plan) = &decided.verdict.outcome else {
            return seen.lock().expect("counts")[2] += 1;
        };
        seen.lock().expect("counts")[3] += 1;
        shows_no_secret(&host, plan.parts(), &told);
        let mut expected = host.outside_git_dirs();
        expected.extend([host.project.clone(), host.places.state.clone()]);
        expected.extend(repository.roots());
        for mount in plan.mounts() {
            if let What::Bind { source, writable: true } = &mount.what {
                assert!(
                    expected.iter().any(|root| source.within(root)),
                    "`{source}` can be written\n{told}"
                );
            }
        }
    });
    // Each end was met: a lie, no repository, a refusal, a sandbox.
    let counts = counts.lock().expect("counts");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Texts of configurations, of any bytes.
#[test]
fn configurations() {
    many(20_000, |random| {
        let mut text = configuration(random).into_bytes();
        for _ in 0..random.below(4) {
            let at = random.below(text.len() + 1);
            text.insert(at, u8::try_from(random.below(256)).expect("a byte"));
        }
        let first = config::parse(&text);
        assert_eq!(format!("{first:?}"), format!("{:?}", config::parse(&text)));
        for entry in first.into_iter().flatten() {
            // Asked of every entry before a start.
            let _ = git::runs(&entry);
        }
    });
}
