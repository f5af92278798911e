//! Hosts made at random: trees of everything that may lie in one, secrets, repositories, mounts, a policy and options for them.

mod subjects;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::random::Random;
use crate::support::User;
use crate::support::user::is_root;

/// Secrets of the floor, below the home.
const SECRETS: [&str; 7] = [
    ".ssh/id_rsa",
    ".aws/credentials",
    ".gnupg/private-keys-v1.d/k",
    ".config/gcloud/credentials.db",
    ".kube/config",
    ".netrc",
    ".bash_history",
];

/// How long a path may become, in bytes: the kernel's 4096, less what bubblewrap lays before it, and a name.
const LONGEST: usize = 4000;

const NAMES: [&[u8]; 14] = [
    b"a",
    b"b",
    b"sub",
    b"with space",
    b"new\nline",
    "\u{e9}\u{4e2d}".as_bytes(),
    b"\xff\xfe",
    b"-rf",
    b"quo'te\"",
    b"dollar$x",
    b".env",
    b".hidden",
    b"tab\there",
    b"back\\slash",
];

pub struct Host {
    pub user: User,
    seed: u64,
    pub base: tempfile::TempDir,
    /// Everything that was made.
    entries: Vec<PathBuf>,
    /// Secrets of the floor, and what is around them: what a policy or a link must not bring in.
    bait: Vec<PathBuf>,
    /// Device and inode number of each secret file.
    pub secrets: Vec<(u64, u64)>,
    /// What is mounted, the last last.
    mounts: Vec<PathBuf>,
    /// What is mounted at a second place too.
    pub bound: Option<PathBuf>,
    pub policy: String,
    /// Options of the command line.
    pub options: Vec<OsString>,
    pub subjects: Vec<OsString>,
    /// What there is of rare things.
    pub kinds: Vec<&'static str>,
    /// Sockets that are listened on while the host exists.
    sockets: Vec<std::os::unix::net::UnixListener>,
}

impl Host {
    pub fn new(user: User, seed: u64) -> Self {
        let mut random = Random::new(seed);
        for _ in 0..4 {
            random.below(2);
        }
        let place = if is_root() && random.once_in(2) { "/opt" } else { "/tmp" };
        let base = tempfile::Builder::new()
            .prefix("cb ex-")
            .tempdir_in(place)
            .expect("a directory");
        std::fs::set_permissions(base.path(), PermissionsExt::from_mode(0o755)).expect("our own directory");
        let mut host = Self {
            user,
            seed,
            base,
            entries: Vec::new(),
            bait: Vec::new(),
            secrets: Vec::new(),
            mounts: Vec::new(),
            bound: None,
            policy: String::new(),
            options: Vec::new(),
            subjects: Vec::new(),
            kinds: Vec::new(),
            sockets: Vec::new(),
        };
        let roots = [host.project(), host.home().join("stuff"), host.base.path().join("data")];
        for root in &roots {
            std::fs::create_dir_all(root).expect("our own directory");
            host.entries.push(root.clone());
        }
        host.plant(&mut random);
        for root in &roots {
            host.grow(root, &mut random);
        }
        host.deepen(&roots, &mut random);
        host.make_repository(&mut random);
        user.own(host.base.path());
        host.mount(&roots, &mut random);
        host.permissions(&roots, &mut random);
        host.write_policy(&mut random);
        host.choose_options(&mut random);
        host.choose_subjects(&mut random);
        host
    }

    pub fn home(&self) -> PathBuf {
        self.base.path().join("home")
    }

    pub fn project(&self) -> PathBuf {
        self.home().join("project")
    }

    /// Secrets, where people have them.
    fn plant(&mut self, random: &mut Random) {
        self.bait.push(self.home());
        for secret in SECRETS {
            if random.once_in(3) {
                continue;
            }
            let path = self.home().join(secret);
            let directory = path.parent().expect("a file's directory").to_path_buf();
            std::fs::create_dir_all(&directory).expect("our own directory");
            std::fs::write(&path, "SECRET").expect("our own file");
            let status = std::fs::symlink_metadata(&path).expect("our own file");
            self.secrets.push((status.dev(), status.ino()));
            if directory != self.home() {
                self.bait.push(directory);
            }
            self.bait.push(path);
            self.kinds.push("secret");
        }
    }

    /// A path as long as a path can be, or a tree of many levels.
    fn deepen(&mut self, roots: &[PathBuf], random: &mut Random) {
        let long = match random.below(4) {
            0 => true,
            1 => false,
            _ => return,
        };
        let mut path = random.of(roots).clone();
        for level in 0..60 {
            let name = "n".repeat(if long { 150 + random.below(100) } else { 1 + level % 7 });
            if path.as_os_str().len() + name.len() > LONGEST {
                break;
            }
            path.push(name);
            if path.symlink_metadata().is_ok() {
                return;
            }
            std::fs::create_dir(&path).expect("our own directory");
            if random.once_in(8) {
                self.entries.push(path.clone());
            }
        }
        let file = path.join("f");
        std::fs::write(&file, "x").expect("our own file");
        self.entries.extend([path, file]);
        self.kinds.push(if long { "long" } else { "deep" });
    }

    /// What makes git take the project for a repository.
    fn make_repository(&mut self, random: &mut Random) {
        let git = self.project().join(".git");
        if !random.once_in(3) {
            return;
        }
        for directory in ["objects", "refs", "hooks", "info"] {
            if directory.len() > 5 || random.once_in(2) || directory == "refs" {
                std::fs::create_dir_all(git.join(directory)).expect("our own directory");
            }
        }
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("our own file");
        std::fs::write(git.join("config"), "[core]\n\tbare = false\n").expect("our own file");
        self.entries.extend(
            [
                "hooks",
                "info",
                "config",
                "config.worktree",
                "commondir",
                "objects",
                "HEAD",
            ]
            .map(|name| git.join(name)),
        );
        self.entries.push(git);
        self.kinds.push("repository");
    }

    /// Something mounted on the host below what a sandbox may show. The caller has files of its own.
    fn mount(&mut self, roots: &[PathBuf], random: &mut Random) {
        if random.once_in(3) {
            self.bind(roots, random);
        }
        if !random.once_in(3) {
            return;
        }
        let at = random.of(roots).join("mounted here");
        std::fs::create_dir(&at).expect("our own directory");
        let said = |words: &[&OsStr]| {
            let done = Command::new("mount")
                .args(words)
                .status()
                .expect("mount, from util-linux");
            assert!(done.success(), "{words:?}");
        };
        said(&["-t".as_ref(), "tmpfs".as_ref(), "tmpfs".as_ref(), at.as_os_str()]);
        std::fs::set_permissions(&at, PermissionsExt::from_mode(0o755)).expect("our own directory");
        self.mounts.push(at.clone());
        std::fs::create_dir(at.join("sub")).expect("our own directory");
        std::fs::write(at.join("sub/file"), "x").expect("our own file");
        self.user.own(&at);
        if random.once_in(2) {
            said(&["-o".as_ref(), "remount,ro".as_ref(), at.as_os_str()]);
        }
        self.entries.extend([at.join("sub/file"), at.join("sub"), at]);
        self.kinds.push("mounted");
    }

    /// A secret, or what is around it, at another place too.
    fn bind(&mut self, roots: &[PathBuf], random: &mut Random) {
        let source = random.of(&self.bait).clone();
        let at = random.of(roots).join("bound here");
        if source.is_dir() {
            std::fs::create_dir(&at).expect("our own directory");
        } else {
            std::fs::write(&at, "").expect("our own file");
        }
        let done = Command::new("mount").arg("--bind").arg(&source).arg(&at).status();
        assert!(done.expect("mount, from util-linux").success());
        self.mounts.push(at.clone());
        self.entries.push(at);
        self.bound = Some(source);
        self.kinds.push("bound");
    }

    /// Fills a directory with whatever may lie in one.
    fn grow(&mut self, root: &Path, random: &mut Random) {
        let mut directories = vec![root.to_path_buf()];
        for _ in 0..12 {
            let directory = random.of(&directories).clone();
            let path = directory.join(OsStr::from_bytes(random.of::<&[u8]>(&NAMES)));
            if path.symlink_metadata().is_ok() {
                continue;
            }
            match random.below(10) {
                0..=2 => {
                    std::fs::create_dir(&path).expect("our own directory");
                    directories.push(path.clone());
                }
                3..=5 => std::fs::write(&path, path.as_os_str().as_bytes()).expect("our own file"),
                6..=8 => symlink(self.target(&path, random), &path).expect("our own link"),
                _ if random.once_in(2) => {
                    // The name of a socket is short in the kernel: made where we stand, under a short name, and moved.
                    let short = PathBuf::from(format!("/tmp/cb-{:x}-{}", self.seed, self.entries.len()));
                    let _ = std::fs::remove_file(&short);
                    let listener = std::os::unix::net::UnixListener::bind(&short).expect("a socket");
                    std::fs::rename(&short, &path)
                        .or_else(|_| std::fs::remove_file(&short))
                        .expect("our own socket");
                    self.sockets.push(listener);
                    if path.symlink_metadata().is_err() {
                        continue;
                    }
                }
                _ => {
                    let made = Command::new("mkfifo")
                        .arg("--")
                        .arg(&path)
                        .status()
                        .expect("mkfifo, from coreutils");
                    assert!(made.success());
                }
            }
            self.entries.push(path);
        }
    }

    /// Where a link points: near, far, nowhere, or to itself.
    fn target(&self, link: &Path, random: &mut Random) -> OsString {
        let other = if random.once_in(4) {
            random.of(&self.bait)
        } else {
            random.of(&self.entries)
        }
        .clone();
        let name = OsStr::from_bytes(random.of::<&[u8]>(&NAMES)).to_os_string();
        match random.below(12) {
            0 | 1 => other.into_os_string(),
            2 | 3 => name,
            4 => Path::new("..").join(name).into_os_string(),
            5 => link.file_name().expect("a link's name").to_os_string(),
            6 => other.join("..").join(name).into_os_string(),
            7 => (*random.of(&[
                "/etc/passwd",
                "/dev/null",
                "/proc/self/status",
                "/usr/bin/env",
                "/tmp",
                "/nowhere",
            ]))
            .into(),
            8 => (*random.of(&["..", ".", "./", "../..", "a/", "a/.", "/"])).into(),
            9 => self.project().join(name).into_os_string(),
            10 => self.home().join("stuff").join(name).into_os_string(),
            _ => self.base.path().join("data").join(name).into_os_string(),
        }
    }

    /// Modes and owners of all kinds, for a part of what was made. Roots stay usable.
    fn permissions(&self, roots: &[PathBuf], random: &mut Random) {
        let mounted = |path: &&PathBuf| self.mounts.iter().any(|mount| path.starts_with(mount));
        for path in self
            .entries
            .iter()
            .filter(|path| !roots.contains(path) && !mounted(path))
        {
            if random.once_in(3) && path.exists() && !path.is_symlink() {
                let mode = *random.of(&[
                    0o755, 0o700, 0o644, 0o600, 0o000, 0o444, 0o555, 0o311, 0o222, 0o070, 0o007, 0o750, 0o705,
                ]);
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("our own file");
            }
            if is_root() && random.once_in(6) && path.symlink_metadata().is_ok() {
                let ids = [None, Some(0), Some(12345), Some(54321)];
                lchown(path, *random.of(&ids), *random.of(&ids)).expect("root may change owners");
            }
        }
    }

    /// A place inside for a mount.
    fn place(&self, random: &mut Random) -> String {
        let text = |path: PathBuf| path.to_str().map_or_else(|| "/mnt/other".into(), str::to_owned);
        let name = *random.of(&["x", "y", "with space", "new\nline"]);
        match random.below(7) {
            0 => format!("/mnt/{name}"),
            1 => format!("/srv/deep/{name}/end"),
            2 => format!("/tmp/t/{name}"),
            3 => text(self.home().join("own").join(name)),
            4 => text(random.of(&self.entries).clone()),
            5 => text(self.project().join(name)),
            _ => format!("/mnt/x/{name}"),
        }
    }

    fn write_policy(&mut self, random: &mut Random) {
        let mut lines = String::new();
        for _ in 0..random.below(6) {
            let source = if random.once_in(6) {
                random.of(&self.bait)
            } else {
                random.of(&self.entries)
            };
            let Some(source) = source.to_str() else { continue };
            let source = quoted(source);
            let at = quoted(&self.place(random));
            let _ = match random.below(10) {
                0 | 1 => writeln!(lines, "    mount::ro({source}, \"w\");"),
                2 => writeln!(lines, "    mount::rw({source}, \"w\");"),
                3 | 4 => writeln!(lines, "    mount::ro({source}, {at}, \"w\");"),
                5 => writeln!(lines, "    mount::rw({source}, {at}, \"w\");"),
                6 => writeln!(lines, "    mount::tmpfs({at}, \"w\");"),
                7 => writeln!(lines, "    mount::link({source}, {at}, \"w\");"),
                8 => writeln!(lines, "    mount::text({at}, \"t\", \"w\");"),
                _ => writeln!(lines, "    mount::mask({source}, \"w\");"),
            };
        }
        self.policy = lines;
    }

    fn choose_options(&mut self, random: &mut Random) {
        for _ in 0..random.below(3) {
            let source = if random.once_in(5) {
                random.of(&self.bait)
            } else {
                random.of(&self.entries)
            }
            .clone();
            let mut text = OsString::new();
            for part in source.as_os_str().as_bytes().split_inclusive(|byte| *byte == b'\\') {
                text.push(OsStr::from_bytes(part));
                if part.ends_with(b"\\") {
                    text.push("\\");
                }
            }
            if random.once_in(2) {
                text.push(":");
                text.push(self.place(random).replace('\\', "\\\\"));
            }
            self.options.push(random.of(&["--mount-ro", "--mount-rw"]).into());
            self.options.push(text);
        }
        if random.once_in(6) {
            self.options.push("--profile".into());
            self.options.push(random.of(&["strict", "offline", "default"]).into());
        }
    }

    /// What is needed to see a disagreement again.
    pub fn describe(&self) -> String {
        let mut out = format!(
            "seed {:#x} as {:?}; options {:?}; policy:\n{}\n",
            self.seed, self.user, self.options, self.policy
        );
        for path in &self.entries {
            let Ok(status) = path.symlink_metadata() else { continue };
            let target = std::fs::read_link(path)
                .map(|target| format!(" -> {target:?}"))
                .unwrap_or_default();
            let _ = writeln!(
                out,
                "{:o} {} {} {path:?}{target}",
                status.mode(),
                status.uid(),
                status.gid()
            );
        }
        out
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for mount in self.mounts.iter().rev() {
            let _ = Command::new("umount").arg("-l").arg(mount).status();
        }
    }
}

fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\t', "\\t");
    format!("\"{text}\"")
}
