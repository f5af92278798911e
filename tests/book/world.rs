//! A machine like a reader's, on which the book's commands run: a user `you` with a home, a project in it, and secrets.
//!
//! It is the machine of the tests with other things at some of its places, in a mount namespace and a network namespace of their own: so
//! its paths are the ones that the book prints, and nothing that differs between machines is seen.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::process::{Command, Stdio};

use crate::support::{PATH, User, claude, user};

/// What is in the home.
const HOME: [(&str, &str); 8] = [
    (".ssh/id_ed25519", "a private key\n"),
    (".aws/credentials", "[default]\naws_secret_access_key = one\n"),
    (".gitconfig", "[user]\n\tname = You\n\temail = you@example.org\n"),
    ("datasets/iris.csv", "5.1,3.5,1.4,0.2,setosa\n"),
    ("shop/README.md", "# Shop\n"),
    ("shop/Makefile", "test:\n\t@echo all passed\n"),
    ("shop/.gitignore", ".env\n"),
    ("shop/.env", "STRIPE_KEY=sk_live_9a8b7c6d5e4f\n"),
];

/// What the user's environment holds. The keys have the form of such keys, and open nothing.
const ENVIRONMENT: [&str; 9] = [
    "HOME=/home/you",
    "USER=you",
    "TERM=xterm-256color",
    "LANG=C.UTF-8",
    "TZ=Europe/Berlin",
    "EDITOR=vim",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIbK7MDENGabPxRfiCYEXAMPLEKEY",
    "GITHUB_TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "ANTHROPIC_API_KEY=sk-ant-api03-0123456789abcdef",
];

/// Between the outputs of two commands.
const MARK: &str = "\u{1}";

pub struct World {
    base: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        user::need_root();
        let base = tempfile::Builder::new()
            .prefix("claudebox-book-")
            .tempdir_in("/tmp")
            .expect("a directory in /tmp");
        let world = Self { base };
        for directory in ["home/you", "bin"] {
            fs::create_dir_all(world.base.path().join(directory)).expect("our own directory");
        }
        for (path, text) in HOME {
            world.file(&format!("~/{path}"), text);
        }
        let (uid, gid) = User::Ordinary.numbers();
        let users = fs::read_to_string("/etc/passwd").expect("the users");
        let other = |line: &&str| line.split(':').nth(2) != Some(uid.to_string().as_str());
        let users: Vec<&str> = users.lines().filter(other).collect();
        let text = format!("{}\nyou:x:{uid}:{gid}::/home/you:/bin/bash\n", users.join("\n"));
        fs::write(world.base.path().join("passwd"), text).expect("our own file");
        fs::write(world.base.path().join("resolv.conf"), "nameserver 192.0.2.53\n").expect("our own file");
        let bin = world.base.path().join("bin");
        for program in ["claudebox", "claudebox-broker"] {
            let installed = user::programs().join("with-broker").join(program);
            fs::copy(installed, bin.join(program)).expect("a copy of the program");
        }
        fs::write(bin.join("claude"), "").expect("a place for Claude Code");
        for directory in ["", "bin"] {
            let path = world.base.path().join(directory);
            fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("our own directory");
        }
        world.run(&["git init -q -b main . && git add . && git commit -q -m start"], false);
        world
    }

    /// Writes a file of the home.
    pub fn file(&self, path: &str, text: &str) {
        let path = self
            .base
            .path()
            .join("home/you")
            .join(path.strip_prefix("~/").expect("a path of the home"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("our own directory");
        fs::write(path, text).expect("our own file");
    }

    /// What a terminal shows of each command, run one after the other by one shell in the project. With `answer`, the shell has a
    /// terminal, and `y` is typed at it.
    pub fn run(&self, commands: &[&str], answer: bool) -> Vec<String> {
        User::Ordinary.own(&self.base.path().join("home/you"));
        lchown(self.base.path().join("home"), Some(0), Some(0)).expect("our own directory");
        let session: String = commands
            .iter()
            .map(|command| format!("{command}\nprintf '{MARK}'\n"))
            .collect();
        fs::write(self.base.path().join("session"), session).expect("our own file");
        let shell = format!("bash {}/session 2>&1", self.base.path().display());
        let shell = if answer {
            format!("echo y | script -qec '{shell}' /dev/null")
        } else {
            shell
        };
        let (uid, gid) = User::Ordinary.numbers();
        let script = format!(
            "set -e; ip link set lo up; cd '{base}'
             mount --bind home /home; mount --bind passwd /etc/passwd; mount --bind \"$PWD/resolv.conf\" \"$(realpath /etc/resolv.conf)\"
             mount --bind bin /usr/local/bin; mount --bind \"$(realpath '{claude}')\" /usr/local/bin/claude
             cd /home/you/shop; exec setpriv --reuid={uid} --regid={gid} --clear-groups -- env -i PATH={PATH} {environment} bash -c \"$0\"",
            base = self.base.path().display(),
            claude = claude::path().display(),
            environment = ENVIRONMENT.join(" "),
        );
        let output = Command::new("unshare")
            .args(["--mount", "--net", "bash", "-c", &script, &shell])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .output()
            .expect("unshare, from util-linux");
        let mut text = plain(&String::from_utf8_lossy(&output.stdout));
        if answer {
            // The terminal shows what is typed at once, and not where the question is: a person is slower.
            text = text.replacen("y\n", "", 1).replace("[y/N] ", "[y/N] y\n");
        }
        let mut parts: Vec<String> = text.split(MARK).map(str::to_owned).collect();
        let rest = parts.pop().unwrap_or_default();
        let complete = parts.len() == commands.len() && rest.trim().is_empty() && output.stderr.is_empty();
        assert!(
            complete,
            "{commands:?}\n{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        parts
    }
}

/// Without colours, and with the line ends of a file.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}
