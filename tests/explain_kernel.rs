//! Explain against the kernel: for random hosts, policies, options and subjects, what `--explain=SUBJECT --json` says is exactly
//! what a probe in the real sandbox sees. Zero disagreements. And no secret of the floor is seen, whatever was asked for.

mod host;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use rustix::thread::UnshareFlags;

use crate::network::lab::{shell, unshare};
use crate::support::user::{compile, is_root, need_root, programs};
use crate::support::{PATH, User};

use host::Host;

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

/// In a thread with files of its own: what is mounted for a host, nobody else sees.
fn check(user: User, first: u64) {
    need_root();
    let check = move || {
        unshare(UnshareFlags::NEWNS);
        shell("mount --make-rprivate /");
        check_all(user, first);
    };
    if let Err(panic) = std::thread::spawn(check).join() {
        std::panic::resume_unwind(panic);
    }
}

fn check_all(user: User, first: u64) {
    let first = number("CLAUDEBOX_TEST_SEED").unwrap_or(first);
    let count = number("CLAUDEBOX_TEST_HOSTS").unwrap_or(HOSTS);
    let mut started = 0;
    let mut compared = 0;
    let mut kinds: HashSet<String> = HashSet::new();
    for seed in first..first + count {
        let host = Host::new(user, seed);
        let rare = host.kinds.clone();
        let result = host.compare(&mut kinds);
        started += u64::from(result.is_some());
        if result.is_some() {
            kinds.extend(rare.into_iter().map(str::to_owned));
        }
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
            "secret",
            "long",
            "deep",
            "repository",
            "mounted",
            "bound",
            "option",
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

impl Host {
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
            .args(&self.options)
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
        let started = ["--dry-run", "--json", "--exec", "true"].map(OsString::from);
        loop {
            let document = self.document(&started);
            if document["verdict"]["starts"] == true {
                break;
            }
            // Refused, as many random options and policies are: with one less.
            if self.options.len() >= 2 {
                self.options.truncate(self.options.len() - 2);
            } else if self.policy.is_empty() {
                let text = document["verdict"]["diagnostics"].to_string();
                // Without any mount of the policy only the host itself can be at fault: a name that nothing can be laid over.
                assert!(
                    ["mount-point", "secret", "project-root", "git-"]
                        .iter()
                        .any(|code| text.contains(code)),
                    "{text}"
                );
                return None;
            } else {
                let end = self.policy.trim_end().rfind('\n').map_or(0, |end| end + 1);
                self.policy.truncate(end);
            }
        }
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
        let document = self.document(&words);
        Some(self.compare_with(&document, kinds))
    }

    fn document(&self, words: &[OsString]) -> Value {
        let said = self.run(words);
        serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}\n{}", self.describe()))
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
        let shown = |(device, inode): &&(u64, u64)| walked.contains(format!("{device} {inode}").as_str());
        assert!(
            self.secrets.iter().find(shown).is_none(),
            "a secret of the floor is seen inside\n{}",
            self.describe()
        );
        if !self.options.is_empty() {
            kinds.insert("option".into());
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
            // What the session reserved, and removed again, is there no more.
            let reserved = source.starts_with(self.project().join(".git"));
            let status = match std::fs::symlink_metadata(&source) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && reserved => return true,
                status => status.expect("the source"),
            };
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
        // What the host itself shows at a second place is told of each place by itself.
        if self.bound.as_ref().is_some_and(|bound| path.starts_with(bound)) {
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
        let probe = programs().join("probe");
        compile("tests/support/probe.c", &probe);
        std::fs::set_permissions(&probe, PermissionsExt::from_mode(0o755)).expect("our own file");
        probe
    })
}
