//! Where the state of a project lies on the host, and what of it the sandbox gets: a pure function of the host's facts.
//! Makes nothing itself; what has to be made is part of the plan.

mod fit;
pub mod moved;
pub mod record;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::host::tree::{Kind, Node};
use crate::invariants::plan::{Preparation, What};
use crate::invariants::structure::LOCK;
use crate::net::broker;
use crate::path::{EnvName, HostPath, SandboxPath};

pub use fit::unfit;

use fit::displaced;
use record::Record;

/// How many characters of a project's name its instance carries, for people who look into the directory.
const NAME_MAX: usize = 40;
/// How many hexadecimal digits of the root's SHA-256 name an instance: 64 bits, so that no two roots meet by chance.
const HASH_DIGITS: usize = 16;
/// How many characters of an API key Claude Code remembers as approved.
const KEY_TAIL: usize = 20;

/// From how long ago on the last use is written anew, in seconds: a launch that writes nothing cannot leave anything half
/// written, and nobody needs to know the minute.
const USED_EVERY: u64 = 3600;

/// The first content of the user's own memory, made once and never overwritten.
const MEMORY: &str = include_str!("../policy/CLAUDE.md");

/// One mount of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMount {
    /// The place inside.
    pub at: SandboxPath,
    /// What is there.
    pub what: What,
    /// Why.
    pub reason: &'static str,
}

/// The state's mounts, and what has to be made on the host for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// In the order in which they are mounted.
    pub mounts: Vec<StateMount>,
    /// In the order in which they are made.
    pub preparations: Vec<Preparation>,
    /// What is wrong with the state that is there already.
    pub problems: Vec<Diagnostic>,
    /// What is worth knowing: about what, and why.
    pub notes: Vec<(String, String)>,
}

/// The whole hash of a path, as a name for what belongs to it.
#[must_use]
pub fn digest(path: &HostPath) -> String {
    digest_of(path.as_os_str().as_bytes())
}

/// The SHA-256 of bytes, in hexadecimal digits.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the instance that belongs to a canonical project root.
#[must_use]
pub fn instance_name(root: &HostPath) -> String {
    let hash = digest(root);
    let readable: String = root
        .name()
        .unwrap_or(OsStr::new("root"))
        .as_bytes()
        .iter()
        .take(NAME_MAX)
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"._-".contains(byte) {
                char::from(*byte)
            } else {
                '_'
            }
        })
        .collect();
    let digits: String = hash.chars().take(HASH_DIGITS).collect();
    format!("{readable}-{digits}")
}

/// Whether a name is one that [`instance_name`] gives.
#[must_use]
pub fn is_instance_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes
        .rsplit(|byte| *byte == b'-')
        .next()
        .is_some_and(|hash| hash.len() == HASH_DIGITS && hash.len() + 1 < bytes.len() && hash.iter().all(digit))
}

/// How Claude Code's login is there inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// As it is, with write access, since Claude Code refreshes it.
    Inside,
    /// The broker has it. Inside, in the place of a login's file, is one with this content, if any.
    Outside(Option<Vec<u8>>),
    /// The session is there to make one: nothing of it is kept but what the broker stores.
    New,
}

/// Plans the state of this launch.
#[must_use]
pub fn plan(host: &Host, login: &Login) -> State {
    let mut planner = Planner {
        host,
        login,
        state: State::default(),
    };
    if *login == Login::New {
        let _ = planner.nothing_kept();
        return planner.state;
    }
    // The names are constants without `..`: `?` never leaves early here.
    let _ = planner.all();
    planner.state
}

/// The end of an API key, by which Claude Code remembers it.
fn tail(key: &str) -> String {
    let tail: Vec<char> = key.chars().rev().take(KEY_TAIL).collect();
    tail.into_iter().rev().collect()
}

/// The file that holds the shared login, if there is one: at its place, or at the old one from where a launch moves it.
#[must_use]
pub fn login_file(host: &Host) -> Option<HostPath> {
    let state = &host.places.state;
    let places = [state.join("auth/.credentials.json"), state.join(".credentials.json")];
    let found = places.into_iter().filter_map(|path| {
        let path = path.ok()?;
        let node = host.tree.node(path.as_path()).ok()??;
        (node.kind == Kind::File && node.length > 0).then_some((node.modified, path))
    });
    // The first of two equals: the old one counts only where it is newer.
    found.rev().max_by_key(|(modified, _)| *modified).map(|(_, path)| path)
}

struct Planner<'host> {
    host: &'host Host,
    login: &'host Login,
    state: State,
}

impl Planner<'_> {
    fn all(&mut self) -> Option<()> {
        let base = self.host.places.state.clone();
        let auth = base.join("auth").ok()?;
        let instances = base.join("instances").ok()?;
        let instance = instances.join(instance_name(self.host.instance_root())).ok()?;
        let claude = instance.join("claude").ok()?;
        for directory in [&base, &auth, &instances, &instance] {
            self.directory(directory);
        }
        // The lock before all else in the instance, the record next: what is left of a launch that is killed from here on
        // is known for what it is.
        let lock = instance.join("lock").ok()?;
        self.lock(&lock)?;
        self.record(instance.join(record::NAME).ok()?);
        self.directory(&claude);
        let home = self.host.home.same_inside();
        let inside = home.join(".claude").ok()?;
        self.bind(inside.clone(), claude.clone(), true, "this project's own state");
        let logins = home.join(".claude-auth").ok()?;
        match self.login {
            Login::Inside => self.bind(logins.clone(), auth.clone(), true, "the login that all projects share"),
            _ => self.mount(logins.clone(), What::Tmpfs(0o700), "no login: the broker has it"),
        }
        self.login(&base, &auth, &claude, [&logins, &inside])?;
        self.seed(&claude)?;
        self.shared(
            &base,
            &claude,
            &inside,
            "CLAUDE.md",
            "the user's own memory, for all projects",
        )?;
        self.shared(
            &base,
            &claude,
            &inside,
            "settings.json",
            "the user's own settings, for all projects",
        )?;
        let sessions = claude.join("sessions").ok()?;
        match self.node(&sessions) {
            Some(node) if node.kind != Kind::Directory => self.state.problems.push(displaced(&sessions)),
            Some(_) => {}
            None => self.state.preparations.push(Preparation::Directory(sessions)),
        }
        // Claude Code names these files by its process id, which is the same in every sandbox.
        self.mount(
            inside.join("sessions").ok()?,
            What::Tmpfs(0o700),
            "the list of live sessions, of this one alone",
        );
        self.state.notes.extend(moved::notes(self.host, &instances, &claude));
        Some(())
    }

    /// A session that leaves nothing on the host but the login itself, which the broker stores.
    fn nothing_kept(&mut self) -> Option<()> {
        let base = self.host.places.state.clone();
        for directory in [&base, &base.join("auth").ok()?] {
            self.directory(directory);
        }
        let home = self.host.home.same_inside();
        self.mount(
            SandboxPath::new(LOCK).ok()?,
            What::Text(Vec::new()),
            "no state is in use",
        );
        for name in [".claude", ".claude-auth"] {
            self.mount(
                home.join(name).ok()?,
                What::Tmpfs(0o700),
                "the state of this session alone, gone with it",
            );
        }
        Some(())
    }

    /// Versions of Claude Code before 2.1.197 know the login only as a file of the state: it is bound there too. A link would be
    /// replaced by Claude Code with a file of its own at the first refresh, and every other project would be logged out.
    fn login(
        &mut self,
        base: &HostPath,
        auth: &HostPath,
        claude: &HostPath,
        [logins, inside]: [&SandboxPath; 2],
    ) -> Option<()> {
        let name = ".credentials.json";
        let file = auth.join(name).ok()?;
        let old = base.join(name).ok()?;
        let there = |path: &HostPath| self.login_at(path);
        let (newer, replace) = match (there(&old), there(&file)) {
            // A login that someone put there, or that Claude Code outside made there, since the last one was written.
            (Some(old), Some(file)) => (old.modified > file.modified, true),
            (Some(_), None) => (true, self.node(&file).is_some()),
            (None, _) => (false, false),
        };
        if newer {
            self.state.preparations.push(Preparation::Move {
                from: old,
                to: file.clone(),
                replace,
            });
        } else if let Some(node) = self.node(&old) {
            let why = match node.kind {
                Kind::Link(_) => "not used: it is a symbolic link; put the file itself there, or use /login inside",
                Kind::File if node.length > 0 => "not used: the login in `auth` is newer",
                _ => "not used: there is no login in it",
            };
            self.state.notes.push((old.to_string(), why.into()));
        }
        let old_place = "the login, where older versions look for it";
        match self.login {
            Login::Inside if newer || self.is_file(&file) => {
                self.mount_point(&claude.join(name).ok()?);
                self.bind(inside.join(name).ok()?, file, true, old_place);
            }
            // INVARIANT(brokered-credential): of the login's file only what stands for it, and without write access: it never
            // changes.
            Login::Outside(Some(content)) => {
                self.mount_point(&claude.join(name).ok()?);
                for (at, reason) in [
                    (logins, "stands for the login, which the broker has"),
                    (inside, old_place),
                ] {
                    self.mount(at.join(name).ok()?, What::Text(content.clone()), reason);
                }
            }
            _ => {}
        }
        Some(())
    }

    /// A new instance of a user who is logged in meets no question that was answered before.
    fn seed(&mut self, claude: &HostPath) -> Option<()> {
        let file = claude.join(".claude.json").ok()?;
        if self.is_file(&file) {
            return Some(());
        }
        let key = EnvName::new("ANTHROPIC_API_KEY")
            .ok()
            .and_then(|name| self.host.variables.get(&name)?.to_str().map(String::from));
        let token = ["ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
            .into_iter()
            .any(|name| EnvName::new(name).is_ok_and(|name| self.host.variables.contains_key(&name)));
        let logged_in = login_file(self.host).is_some();
        if key.is_none() && !token && !logged_in {
            return Some(());
        }
        let mut fields = vec!["\"hasCompletedOnboarding\":true".to_string()];
        // What stands for a key is always approved: a session with the broker can follow one without.
        let mut approved = vec![tail(broker::KEY)];
        // INVARIANT(brokered-credential): with the broker nothing of the real key is written, not even its end.
        let shown = key.filter(|_| *self.login == Login::Inside);
        approved.extend(shown.as_deref().map(tail));
        let secret = shown.is_some();
        let approved = serde_json::Value::from(approved).to_string();
        fields.push(format!(
            "\"customApiKeyResponses\":{{\"approved\":{approved},\"rejected\":[]}}"
        ));
        let content = format!("{{{}}}\n", fields.join(",")).into_bytes();
        self.state.preparations.push(Preparation::File {
            path: file,
            content,
            secret,
        });
        Some(())
    }

    /// A file that the user keeps for all projects: readable inside, and not to be changed from inside, since one project's
    /// agent would write what all the others obey.
    fn shared(
        &mut self,
        base: &HostPath,
        claude: &HostPath,
        inside: &SandboxPath,
        name: &str,
        reason: &'static str,
    ) -> Option<()> {
        let source = base.join(name).ok()?;
        if !self.is_file(&source) {
            if name != "CLAUDE.md" {
                return Some(());
            }
            self.state.preparations.push(Preparation::File {
                path: source.clone(),
                content: MEMORY.as_bytes().to_vec(),
                secret: false,
            });
        }
        self.mount_point(&claude.join(name).ok()?);
        self.bind(inside.join(name).ok()?, source, false, reason);
        Some(())
    }

    /// The instance is in use as long as the lock is held: first by the launcher, then by bubblewrap's process in the
    /// sandbox, with which it ends however that ends. Inside, the file is read-only, so that nobody there can take it back.
    fn lock(&mut self, path: &HostPath) -> Option<()> {
        self.state.preparations.push(Preparation::Lock(path.clone()));
        let reason = "says that this project's state is in use, for as long as the sandbox lives";
        self.bind(SandboxPath::new(LOCK).ok()?, path.clone(), false, reason);
        Some(())
    }

    fn record(&mut self, path: HostPath) {
        let known = self
            .host
            .tree
            .read(path.as_path(), record::LENGTH_MAX)
            .ok()
            .and_then(|text| Record::parse(&text).ok());
        let here = (self.host.instance_root(), &self.host.volume);
        if let Some(known) = &known
            && (&known.root, &known.volume) == here
            && self.host.now.saturating_sub(known.used) < USED_EVERY
        {
            return;
        }
        let content = Record {
            root: self.host.instance_root().clone(),
            volume: self.host.volume.clone(),
            made: known.map_or(self.host.now, |known| known.made),
            used: self.host.now,
        };
        self.state.preparations.push(Preparation::Replace {
            path,
            content: content.text(),
            says: "whose state this is, and when it was used last",
        });
    }

    /// What is at a path. In a directory that was not there when it was looked for nothing is, even if another launch makes it
    /// at this moment: what is said of a directory and of what lies in it must be of one moment.
    fn node(&self, path: &HostPath) -> Option<Node> {
        if self.is_new(path) {
            return None;
        }
        self.host.tree.node(path.as_path()).ok().flatten()
    }

    /// Whether a directory above a path has to be made.
    fn is_new(&self, path: &HostPath) -> bool {
        let mut made = self
            .state
            .preparations
            .iter()
            .filter_map(|preparation| match preparation {
                Preparation::Directory(directory) => Some(directory),
                _ => None,
            });
        made.any(|directory| path.within(directory))
    }

    fn is_file(&self, path: &HostPath) -> bool {
        self.node(path).is_some_and(|node| node.kind == Kind::File)
    }

    /// A file with a login in it: an empty one is only a mount point.
    fn login_at(&self, path: &HostPath) -> Option<Node> {
        self.node(path)
            .filter(|node| node.kind == Kind::File && node.length > 0)
    }

    fn directory(&mut self, path: &HostPath) {
        let node = if self.is_new(path) {
            Ok(None)
        } else {
            self.host.tree.node(path.as_path())
        };
        match node {
            Ok(None) => self.state.preparations.push(Preparation::Directory(path.clone())),
            Ok(Some(node)) => {
                let problem = unfit(path, &node.kind, node.uid, node.mode, self.host.uid);
                self.state.problems.extend(problem);
                self.state.preparations.push(Preparation::Existing(path.clone()));
            }
            Err(error) => self.state.problems.push(
                Diagnostic::new("state", error.to_string())
                    .hint("claudebox keeps its state in `~/.claudebox`; check its owner and its mode"),
            ),
        }
    }

    /// An empty file to mount over, made by us with our modes instead of by bubblewrap with its own.
    fn mount_point(&mut self, path: &HostPath) {
        match self.node(path) {
            None => self.state.preparations.push(Preparation::File {
                path: path.clone(),
                content: Vec::new(),
                secret: false,
            }),
            Some(node) if node.kind != Kind::File => self.state.problems.push(displaced(path)),
            Some(_) => {}
        }
    }

    fn bind(&mut self, at: SandboxPath, source: HostPath, writable: bool, reason: &'static str) {
        self.mount(at, What::Bind { source, writable }, reason);
    }

    fn mount(&mut self, at: SandboxPath, what: What, reason: &'static str) {
        self.state.mounts.push(StateMount { at, what, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_claude_code_mixes_up_are_apart() {
        let name = |path: &str| instance_name(&HostPath::new(path).unwrap());
        assert_eq!(name("/x/a-b"), "a-b-d908db1f1c897c96");
        assert_eq!(name("/x/a/b"), "b-08fab95f8e1bcae8");
        assert_eq!(name("/x/Ä b"), "___b-515dc33f6ee745ac");
    }
}
