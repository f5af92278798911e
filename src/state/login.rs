//! Claude Code's login in the state: inside as it is, or outside with something that stands for it.

use super::{Planner, What};
use crate::host::Host;
use crate::host::tree::Kind;
use crate::invariants::plan::Preparation;
use crate::invariants::structure::LOCK;
use crate::net::broker;
use crate::path::{EnvName, HostPath, SandboxPath};

/// How many characters of an API key Claude Code remembers as approved.
const KEY_TAIL: usize = 20;

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

/// The end of an API key, by which Claude Code remembers it.
fn tail(key: &str) -> String {
    let tail: Vec<char> = key.chars().rev().take(KEY_TAIL).collect();
    tail.into_iter().rev().collect()
}

/// The longest file of a login that is read, in bytes.
pub const LOGIN_MAX: u64 = 256 * 1024;

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

impl Planner<'_> {
    /// A session that leaves nothing on the host but the login itself, which the broker stores.
    pub(super) fn nothing_kept(&mut self) -> Option<()> {
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
    pub(super) fn login(
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
    pub(super) fn seed(&mut self, claude: &HostPath) -> Option<()> {
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
}
