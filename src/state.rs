//! Where the state of a project lies on the host, and what of it the sandbox gets: a pure function of the host's facts.
//! Makes nothing itself; what has to be made is part of the plan.

mod fit;
mod login;
pub mod moved;
mod name;
pub mod record;

use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::host::tree::{Kind, Node};
use crate::invariants::plan::{Preparation, What};
use crate::invariants::structure::LOCK;
use crate::path::{HostPath, SandboxPath};

pub use fit::unfit;
pub use login::{LOGIN_MAX, Login, login_file};
pub use name::{digest, digest_of, instance_name, is_instance_name};

use fit::displaced;
use record::Record;

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
