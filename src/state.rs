//! Where the state of a project lies on the host, and what of it the sandbox gets: a pure function of the host's facts.
//! Makes nothing itself; what has to be made is part of the plan.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use crate::host::Host;
use crate::host::tree::Kind;
use crate::invariants::plan::{Preparation, What};
use crate::path::{EnvName, HostPath, SandboxPath};

/// How many characters of a project's name its instance carries, for people who look into the directory.
const NAME_MAX: usize = 40;
/// How many hexadecimal digits of the root's SHA-256 name an instance: 64 bits, so that no two roots meet by chance.
const HASH_DIGITS: usize = 16;
/// How many characters of an API key Claude Code remembers as approved.
const KEY_TAIL: usize = 20;

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
}

/// The whole hash of a path, as a name for what belongs to it.
#[must_use]
pub fn digest(path: &HostPath) -> String {
    let digest = Sha256::digest(path.as_os_str().as_bytes());
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

/// Plans the state of this launch.
#[must_use]
pub fn plan(host: &Host) -> State {
    let mut planner = Planner {
        host,
        state: State::default(),
    };
    // The names are constants without `..`: `?` never leaves early here.
    let _ = planner.all();
    planner.state
}

struct Planner<'host> {
    host: &'host Host,
    state: State,
}

impl Planner<'_> {
    fn all(&mut self) -> Option<()> {
        let base = self.host.places.state.clone();
        let auth = base.join("auth").ok()?;
        let instances = base.join("instances").ok()?;
        let instance = instances.join(instance_name(self.host.instance_root())).ok()?;
        let claude = instance.join("claude").ok()?;
        for directory in [&base, &auth, &instances, &instance, &claude] {
            self.directory(directory);
        }
        let home = self.host.home.same_inside();
        let inside = home.join(".claude").ok()?;
        self.bind(inside.clone(), claude.clone(), true, "this project's own state");
        self.bind(
            home.join(".claude-auth").ok()?,
            auth.clone(),
            true,
            "the login that all projects share",
        );
        self.login(&base, &auth, &claude, &inside)?;
        self.seed(&auth, &claude)?;
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
        self.directory(&claude.join("sessions").ok()?);
        // Claude Code names these files by its process id, which is the same in every sandbox.
        self.mount(
            inside.join("sessions").ok()?,
            What::Tmpfs(0o700),
            "the list of live sessions, of this one alone",
        );
        Some(())
    }

    /// Versions of Claude Code before 2.1.197 know the login only as a file of the state: it is bound there too. A link would be
    /// replaced by Claude Code with a file of its own at the first refresh, and every other project would be logged out.
    fn login(&mut self, base: &HostPath, auth: &HostPath, claude: &HostPath, inside: &SandboxPath) -> Option<()> {
        let name = ".credentials.json";
        let file = auth.join(name).ok()?;
        let old = base.join(name).ok()?;
        let moves = self.is_file(&old) && !self.is_file(&file);
        if moves {
            self.state.preparations.push(Preparation::Move {
                from: old,
                to: file.clone(),
            });
        }
        if moves || self.is_file(&file) {
            self.mount_point(&claude.join(name).ok()?);
            self.bind(
                inside.join(name).ok()?,
                file,
                true,
                "the login, where older versions look for it",
            );
        }
        Some(())
    }

    /// A new instance of a user who is logged in meets no question that was answered before.
    fn seed(&mut self, auth: &HostPath, claude: &HostPath) -> Option<()> {
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
        let logged_in = self.is_file(&auth.join(".credentials.json").ok()?)
            || self.is_file(&self.host.places.state.join(".credentials.json").ok()?);
        if key.is_none() && !token && !logged_in {
            return Some(());
        }
        let mut fields = vec!["\"hasCompletedOnboarding\":true".to_string()];
        if let Some(key) = &key {
            let tail: Vec<char> = key.chars().rev().take(KEY_TAIL).collect();
            let tail: String = tail.into_iter().rev().collect();
            let quoted = serde_json::Value::String(tail).to_string();
            fields.push(format!(
                "\"customApiKeyResponses\":{{\"approved\":[{quoted}],\"rejected\":[]}}"
            ));
        }
        let content = format!("{{{}}}\n", fields.join(",")).into_bytes();
        self.state.preparations.push(Preparation::File {
            path: file,
            content,
            secret: key.is_some(),
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

    fn is_file(&self, path: &HostPath) -> bool {
        matches!(self.host.tree.node(path.as_path()), Ok(Some(node)) if node.kind == Kind::File)
    }

    fn directory(&mut self, path: &HostPath) {
        if !matches!(self.host.tree.node(path.as_path()), Ok(Some(_))) {
            self.state.preparations.push(Preparation::Directory(path.clone()));
        }
    }

    /// An empty file to mount over, made by us with our modes instead of by bubblewrap with its own.
    fn mount_point(&mut self, path: &HostPath) {
        if !matches!(self.host.tree.node(path.as_path()), Ok(Some(_))) {
            self.state.preparations.push(Preparation::File {
                path: path.clone(),
                content: Vec::new(),
                secret: false,
            });
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
