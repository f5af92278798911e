//! Explain against the kernel: for random hosts, policies and subjects, what `--explain=SUBJECT --json` says is exactly what a
//! probe in the real sandbox sees. Zero disagreements.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::user::{is_root, programs};
use crate::support::{PATH, User};

/// How many hosts are made for each user; `CLAUDEBOX_TEST_HOSTS` names another number, `CLAUDEBOX_TEST_SEED` another start.
const HOSTS: u64 = 40;

#[test]
fn what_explain_says_is_what_the_kernel_shows_to_root() {
    check(User::Root, 0x5eed_0000);
}

#[test]
fn what_explain_says_is_what_the_kernel_shows_to_an_ordinary_user() {
    check(User::Ordinary, 0x5eed_8000);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn check(user: User, first: u64) {
    let first = number("CLAUDEBOX_TEST_SEED").unwrap_or(first);
    let count = number("CLAUDEBOX_TEST_HOSTS").unwrap_or(HOSTS);
    let mut started = 0;
    let mut compared = 0;
    let mut kinds: HashSet<String> = HashSet::new();
    for seed in first..first + count {
        let host = Host::new(user, seed);
        let result = host.compare(&mut kinds);
        started += u64::from(result.is_some());
        compared += result.unwrap_or_default();
    }
    // A check that compared nothing would hold of anything.
    assert!(started * 2 >= count, "only {started} of {count} sandboxes started");
    assert!(compared >= started * 20, "only {compared} paths were compared");
    if count >= HOSTS {
        for kind in [
            "absent",
            "directory",
            "file",
            "special",
            "unreachable",
            "masked",
            "link",
            "elsewhere",
            "hidden",
        ] {
            assert!(kinds.contains(kind), "no {kind} was met");
        }
    }
    if count > HOSTS {
        writeln!(
            std::io::stderr(),
            "{started} of {count} sandboxes, {compared} paths: no disagreement"
        )
        .expect("stderr");
    }
}

/// xorshift64*: the same hosts on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

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

struct Host {
    user: User,
    seed: u64,
    base: tempfile::TempDir,
    /// Everything that was made.
    entries: Vec<PathBuf>,
    policy: String,
    subjects: Vec<OsString>,
    /// Sockets that are listened on while the host exists.
    sockets: Vec<std::os::unix::net::UnixListener>,
}

impl Host {
    fn new(user: User, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.below(2);
        }
        let place = if is_root() && random.one_in(2) { "/opt" } else { "/tmp" };
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
            policy: String::new(),
            subjects: Vec::new(),
            sockets: Vec::new(),
        };
        let roots = [host.project(), host.home().join("stuff"), host.base.path().join("data")];
        for root in &roots {
            std::fs::create_dir_all(root).expect("our own directory");
            host.entries.push(root.clone());
        }
        for root in &roots {
            host.grow(root, &mut random);
        }
        user.own(host.base.path());
        host.permissions(&roots, &mut random);
        host.write_policy(&mut random);
        host.choose_subjects(&mut random);
        host
    }

    fn home(&self) -> PathBuf {
        self.base.path().join("home")
    }

    fn project(&self) -> PathBuf {
        self.home().join("project")
    }

    /// Fills a directory with whatever may lie in one.
    fn grow(&mut self, root: &Path, random: &mut Random) {
        let mut directories = vec![root.to_path_buf()];
        for _ in 0..12 {
            let directory = random.pick(&directories).clone();
            let path = directory.join(OsStr::from_bytes(random.pick::<&[u8]>(&NAMES)));
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
                _ if random.one_in(2) => {
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
        let other = random.pick(&self.entries).clone();
        let name = OsStr::from_bytes(random.pick::<&[u8]>(&NAMES)).to_os_string();
        match random.below(12) {
            0 | 1 => other.into_os_string(),
            2 | 3 => name,
            4 => Path::new("..").join(name).into_os_string(),
            5 => link.file_name().expect("a link's name").to_os_string(),
            6 => other.join("..").join(name).into_os_string(),
            7 => (*random.pick(&[
                "/etc/passwd",
                "/dev/null",
                "/proc/self/status",
                "/usr/bin/env",
                "/tmp",
                "/nowhere",
            ]))
            .into(),
            8 => (*random.pick(&["..", ".", "./", "../..", "a/", "a/.", "/"])).into(),
            9 => self.project().join(name).into_os_string(),
            10 => self.home().join("stuff").join(name).into_os_string(),
            _ => self.base.path().join("data").join(name).into_os_string(),
        }
    }

    /// Modes and owners of all kinds, for a part of what was made. Roots stay usable.
    fn permissions(&self, roots: &[PathBuf], random: &mut Random) {
        for path in self.entries.iter().filter(|path| !roots.contains(path)) {
            if random.one_in(3) && !path.is_symlink() {
                let mode = *random.pick(&[
                    0o755, 0o700, 0o644, 0o600, 0o000, 0o444, 0o555, 0o311, 0o222, 0o070, 0o007, 0o750, 0o705,
                ]);
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("our own file");
            }
            if is_root() && random.one_in(6) {
                let ids = [None, Some(0), Some(12345), Some(54321)];
                lchown(path, *random.pick(&ids), *random.pick(&ids)).expect("root may change owners");
            }
        }
    }

    /// A place inside for a mount.
    fn place(&self, random: &mut Random) -> String {
        let text = |path: PathBuf| path.to_str().map_or_else(|| "/mnt/other".into(), str::to_owned);
        let name = *random.pick(&["x", "y", "with space", "new\nline"]);
        match random.below(7) {
            0 => format!("/mnt/{name}"),
            1 => format!("/srv/deep/{name}/end"),
            2 => format!("/tmp/t/{name}"),
            3 => text(self.home().join("own").join(name)),
            4 => text(random.pick(&self.entries).clone()),
            5 => text(self.project().join(name)),
            _ => format!("/mnt/x/{name}"),
        }
    }

    fn write_policy(&mut self, random: &mut Random) {
        let mut lines = String::new();
        for _ in 0..random.below(6) {
            let source = random.pick(&self.entries).clone();
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

    fn choose_subjects(&mut self, random: &mut Random) {
        let mut subjects: Vec<OsString> = Vec::new();
        for entry in &self.entries {
            subjects.push(entry.clone().into_os_string());
            if random.one_in(3) {
                subjects.push(
                    entry
                        .join(OsStr::from_bytes(random.pick::<&[u8]>(&NAMES)))
                        .into_os_string(),
                );
            }
            if random.one_in(4) {
                subjects.push(
                    entry
                        .join("..")
                        .join(OsStr::from_bytes(random.pick::<&[u8]>(&NAMES)))
                        .into_os_string(),
                );
            }
            if random.one_in(8) {
                subjects.push(entry.join("").into_os_string());
            }
        }
        for _ in 0..8 {
            let place = PathBuf::from(self.place(random));
            subjects.push(
                place
                    .join(OsStr::from_bytes(random.pick::<&[u8]>(&NAMES)))
                    .into_os_string(),
            );
            subjects.extend(place.ancestors().map(|path| path.as_os_str().to_os_string()));
        }
        let fixed = [
            "/",
            "/etc",
            "/etc/passwd",
            "/etc/shadow",
            "/usr",
            "/usr/bin/env",
            "/bin/sh",
            "/bin/../etc/hosts",
            "/tmp",
            "/tmp/x",
            "/run",
            "/run/user",
            "/dev",
            "/dev/null",
            "/dev/zero",
            "/dev/full",
            "/dev/random",
            "/dev/urandom",
            "/dev/sda",
            "/dev/shm",
            "/dev/pts",
            "/dev/ptmx",
            "/dev/pts/ptmx",
            "/dev/fd",
            "/proc",
            "/proc/self",
            "/home",
            "/root",
            "/var",
            "/sys",
            "/mnt",
            "/srv",
            "/nonexistent/a",
        ];
        subjects.extend(fixed.iter().map(OsString::from));
        let home = self.home();
        for name in [
            "",
            ".ssh",
            ".claude",
            ".claude/CLAUDE.md",
            ".claude/sessions",
            ".claudebox",
            ".gitconfig",
            ".claude-auth",
            "new",
        ] {
            subjects.push(home.join(name).into_os_string());
        }
        subjects.sort();
        subjects.dedup();
        self.subjects = subjects;
    }

    fn run(&self, words: &[OsString]) -> Output {
        let policy = self.base.path().join("policy.rhai");
        let text = format!("fn mounts(host) {{\n    base::mounts(host);\n{}}}\n", self.policy);
        if std::fs::read_to_string(&policy).ok().as_deref() != Some(&text) {
            std::fs::write(&policy, text).expect("our own file");
            if is_root() {
                lchown(&policy, Some(0), Some(0)).expect("root may change owners");
            }
        }
        let mut command = Command::new(programs().join("claudebox"));
        command
            .args(["--net", "none", "--policy"])
            .arg(policy)
            .args(words)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", PATH)
            .env("TERM", "dumb")
            .current_dir(self.project());
        self.user.start(&mut command);
        command.output().expect("the program starts")
    }

    /// Compares all subjects; how many, or `None` where no policy of this host was granted.
    fn compare(mut self, kinds: &mut HashSet<String>) -> Option<u64> {
        loop {
            let mut words: Vec<OsString> = self
                .subjects
                .iter()
                .map(|subject| {
                    let mut word = OsString::from("--explain=");
                    word.push(subject);
                    word
                })
                .collect();
            words.extend(["--json".into(), "--exec".into(), "true".into()]);
            let explained = self.run(&words);
            let document: Value = serde_json::from_slice(&explained.stdout)
                .unwrap_or_else(|error| panic!("{error}: {explained:?}\n{}", self.describe()));
            if document["verdict"]["starts"] == true {
                return Some(self.compare_with(&document, kinds));
            }
            // Refused, as many random policies are: with one mount less.
            let end = self.policy.trim_end().rfind('\n').map_or(0, |end| end + 1);
            if self.policy.is_empty() {
                let text = document["verdict"]["diagnostics"].to_string();
                // Without any mount of the policy only the host itself can be at fault: a name that nothing can be laid over.
                assert!(
                    text.contains("mount-point") || text.contains("secret") || text.contains("project-root"),
                    "{text}"
                );
                return None;
            }
            self.policy.truncate(end);
        }
    }

    fn compare_with(&self, document: &Value, kinds: &mut HashSet<String>) -> u64 {
        let answers = document["answers"].as_array().expect("answers");
        // What is said of a path, and the path: for each subject, and for each place where its file is said to be seen too.
        let mut said: Vec<(OsString, &Value)> = Vec::new();
        for (subject, answer) in self.subjects.iter().zip(answers) {
            said.push((subject.clone(), &answer["inside"]));
            for place in answer["elsewhere"].as_array().expect("places") {
                said.push((bytes(&place["at"]), &place["seen"]));
                kinds.insert("elsewhere".into());
            }
        }
        let probe = self.project().join("zz-probe");
        std::fs::copy(built_probe(), &probe).expect("our own directory");
        let mut words: Vec<OsString> = ["--yes", "--quiet", "--exec", "--"]
            .iter()
            .map(OsString::from)
            .collect();
        words.push(probe.clone().into_os_string());
        words.push("--walk".into());
        words.extend(said.iter().map(|(path, _)| path.clone()));
        let seen = self.run(&words);
        std::fs::remove_file(&probe).expect("our own file");
        let text = String::from_utf8_lossy(&seen.stdout).into_owned();
        let Some((walked, told)) = text.split_once("--\n") else {
            panic!("the sandbox did not start: {seen:?}\n{}", self.describe());
        };
        let walked: HashSet<&str> = walked.lines().collect();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), said.len(), "{seen:?}\n{}", self.describe());
        let mut compared = 0;
        for ((path, says), line) in said.iter().zip(lines) {
            compared += u64::from(self.agree(path, says, line, kinds));
        }
        for (subject, answer) in self.subjects.iter().zip(answers) {
            self.hidden_is_hidden(subject, answer, &walked, kinds);
        }
        compared
    }

    /// Whether it could be compared; fails where explain and the kernel disagree.
    fn agree(&self, path: &OsStr, says: &Value, line: &str, kinds: &mut HashSet<String>) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, readable, writable, device, inode] = words[..] else {
            panic!("the probe said {line}");
        };
        let said = says["kind"].as_str().expect("a kind");
        kinds.insert(said.to_string());
        if says["masked"] == true {
            kinds.insert("masked".into());
        }
        if says["through"].as_array().is_some_and(|links| !links.is_empty()) {
            kinds.insert("link".into());
        }
        if said == "kernel" {
            return false;
        }
        let fails = |what: &str| -> ! {
            panic!(
                "{what}\nthe path {path:?}\nthe kernel shows: {line}\nexplain says: {says:#}\n{}",
                self.describe()
            )
        };
        if said != kind {
            fails("another kind of file");
        }
        if says["readable"].as_bool().is_some_and(|said| said != (readable == "1")) {
            fails("another answer for reading");
        }
        if says["writable"].as_bool().is_some_and(|said| said != (writable == "1")) {
            fails("another answer for writing");
        }
        // The very file of the host that explain names is behind it: by device and inode number.
        if says["source"] != Value::Null && says["visible"] == true && says["masked"] == false {
            let source = PathBuf::from(bytes(&says["source"]));
            let status = std::fs::symlink_metadata(&source).expect("the source");
            if (status.dev().to_string(), status.ino().to_string()) != (device.to_string(), inode.to_string()) {
                fails("another file is behind it");
            }
        }
        true
    }

    /// A file of the host that is said to be nowhere inside is nowhere inside.
    fn hidden_is_hidden(&self, subject: &OsStr, answer: &Value, walked: &HashSet<&str>, kinds: &mut HashSet<String>) {
        let shown = |seen: &Value| {
            seen["visible"] == true
                && seen["masked"] == false
                && seen["source"] == answer["host"]["path"]
                && seen["source"] != Value::Null
        };
        let elsewhere = answer["elsewhere"].as_array().expect("places");
        if answer["host"]["exists"] != true
            || shown(&answer["inside"])
            || elsewhere.iter().any(|place| shown(&place["seen"]))
        {
            return;
        }
        let path = PathBuf::from(bytes(&answer["host"]["path"]));
        if path.starts_with("/proc") || path.starts_with("/dev") || path.starts_with("/sys") {
            return;
        }
        let Ok(status) = std::fs::symlink_metadata(&path) else {
            return;
        };
        kinds.insert("hidden".into());
        let number = format!("{} {}", status.dev(), status.ino());
        assert!(
            !walked.contains(number.as_str()),
            "{subject:?} is said to be nowhere inside, and its file {path:?} was met there\n{answer:#}\n{}",
            self.describe()
        );
    }

    /// What is needed to see a disagreement again.
    fn describe(&self) -> String {
        let mut out = format!("seed {:#x} as {:?}; policy:\n{}\n", self.seed, self.user, self.policy);
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

fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\t', "\\t");
    format!("\"{text}\"")
}

/// The bytes that a document's text stands for.
fn bytes(text: &Value) -> OsString {
    if let Some(plain) = text.as_str() {
        return plain.into();
    }
    let digits = text["bytes"].as_str().expect("bytes");
    let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16).expect("a digit")).expect("a digit");
    let pairs = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| digit(&pair[0]) * 16 + digit(&pair[1]));
    OsString::from_vec(pairs.collect())
}

/// The probe, built once.
fn built_probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/probe.c");
        let probe = programs().join("probe");
        let built = Command::new("cc")
            .args(["-static", "-O1", "-o"])
            .arg(&probe)
            .arg(source)
            .output();
        let built = built.expect("cc, from the package gcc");
        assert!(
            built.status.success(),
            "cc failed: {}",
            String::from_utf8_lossy(&built.stderr)
        );
        std::fs::set_permissions(&probe, PermissionsExt::from_mode(0o755)).expect("our own file");
        probe
    })
}
