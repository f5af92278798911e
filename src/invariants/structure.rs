//! What every sandbox has whatever the policy says: the empty root, its own /proc, /dev, /tmp and home, the state of the
//! project, Claude Code itself, and the isolation. Each with a decision, sited at its rule.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::diagnostic::Diagnostic;
use crate::host::claude::{Claude, Install};
use crate::path::{EnvName, HostPath, SandboxPath};
use crate::request::{Program, Request};
use crate::state::{self, State};
use crate::trace::{DecisionId, Effect};

use indexmap::IndexMap;

use super::Checker;
use super::plan::{Mount, Preparation, Variable, What};

/// The place of the launcher's first process inside, which restores the signals and runs the command.
pub const INIT: &str = "/run/claudebox/init";

/// The place of the file inside whose lock says that the instance is in use.
pub const LOCK: &str = "/run/claudebox/lock";

/// The hostname inside.
pub const HOSTNAME: &str = "claudebox";

/// What is fixed for every sandbox: the subject, the reason.
const ISOLATION: [(&str, &str); 8] = [
    (
        "user namespace",
        "no privilege of the caller's reaches inside; all capabilities are dropped",
    ),
    (
        "process namespace",
        "no process of the host is seen, and none inside outlives the sandbox",
    ),
    ("ipc namespace", "no shared memory with the host"),
    ("uts namespace", "the host's name is not shown"),
    ("cgroup namespace", "the host's control groups are not shown"),
    (
        "seccomp filter",
        "no input into the terminal; the kernel's keyring and the machine's hypervisor are shut",
    ),
    ("session keyring", "a fresh one: keys of the login session stay outside"),
    ("descriptors", "nothing above standard error is inherited"),
];

impl Checker<'_> {
    /// INVARIANT(namespaces): decided here for every sandbox; `bwrap` turns each into its option.
    pub(super) fn isolation(&mut self) -> Vec<DecisionId> {
        ISOLATION
            .iter()
            .map(|(subject, reason)| self.host_rule(Effect::Isolation, *subject, reason, "namespaces"))
            .collect()
    }

    /// INVARIANT(empty-root): the root is memory, and only what is mounted afterwards is there.
    pub(super) fn base_mounts(&mut self) {
        let home = self.host.home.same_inside();
        let runtime = self.host.runtime_directory();
        self.built(
            "/",
            What::Tmpfs(0o755),
            "nothing of the host is there unless it is mounted",
        );
        self.built("/proc", What::Proc, "the sandbox's own processes");
        self.built("/dev", What::Dev, "a minimal set of devices");
        self.built("/tmp", What::Tmpfs(0o1777), "temporary files, gone with the sandbox");
        self.built_at(home, What::Tmpfs(0o700), "an empty home at its own path");
        self.built_at(
            runtime,
            What::Tmpfs(0o700),
            "an empty directory for run-time files, without the host's sockets",
        );
        let init = What::Bind {
            source: self.host.executable.clone(),
            writable: false,
        };
        self.built(INIT, init, "restores the signals and starts the command");
    }

    fn built(&mut self, at: &'static str, what: What, reason: &str) {
        if let Ok(at) = SandboxPath::new(at) {
            self.built_at(at, what, reason);
        }
    }

    fn built_at(&mut self, at: SandboxPath, what: What, reason: &str) {
        let effect = match &what {
            What::Bind { writable: false, .. } | What::Proc => Effect::ReadOnly,
            What::Bind { writable: true, .. } => Effect::ReadWrite,
            What::Tmpfs(_) | What::Dev => Effect::Tmpfs,
            What::Link(_) => Effect::Link,
            What::Text(_) => Effect::Text,
            What::MaskDirectory | What::MaskFile => Effect::Mask,
        };
        let decision = self.host_rule(effect, at.to_string(), reason, "structure");
        // A policy's own tmpfs on /tmp or the home would be the same thing: the launcher's stands, and explain says so.
        self.grant(at, what, decision);
    }

    /// The project's own state and the shared login.
    pub(super) fn state_mounts(&mut self) -> State {
        let mut state = state::plan(self.host);
        for problem in std::mem::take(&mut state.problems) {
            self.refuse(problem);
        }
        for (subject, reason) in std::mem::take(&mut state.notes) {
            self.host_rule(Effect::Note, subject, &reason, "state");
        }
        self.prepared
            .extend(state.preparations.iter().map(Preparation::path).cloned());
        for mount in &state.mounts {
            let effect = match &mount.what {
                What::Bind { writable: true, .. } => Effect::ReadWrite,
                What::Tmpfs(_) => Effect::Tmpfs,
                _ => Effect::ReadOnly,
            };
            let decision = self.host_rule(effect, mount.at.to_string(), mount.reason, "state");
            self.mounts.push(Mount {
                at: mount.at.clone(),
                what: mount.what.clone(),
                decision,
            });
        }
        state
    }

    /// What runs inside, and the mounts that it needs.
    pub(super) fn command(
        &mut self,
        request: &Request,
        variables: &IndexMap<EnvName, Variable>,
    ) -> (Vec<OsString>, DecisionId) {
        let mut command: Vec<OsString> = vec![INIT.into()];
        let reason = match request.program {
            Program::Claude => {
                match self.host.claude.as_ref() {
                    Ok(claude) => {
                        let claude = claude.clone();
                        command.extend(self.claude(&claude));
                        command.push("--dangerously-skip-permissions".into());
                    }
                    Err(missing) => {
                        let error = Diagnostic::new("claude-not-found", missing.to_string()).hint(missing.hint());
                        self.refuse_with(error, crate::EXIT_NOT_FOUND);
                    }
                }
                command.extend(request.arguments.iter().cloned());
                "Claude Code; the sandbox is the permission layer"
            }
            Program::Shell => {
                let shell = EnvName::new("SHELL")
                    .ok()
                    .and_then(|name| variables.get(&name))
                    .map(|shell| shell.value.clone());
                command.push(shell.unwrap_or_else(|| "/bin/sh".into()));
                command.extend(request.arguments.iter().cloned());
                "a shell in the sandbox"
            }
            Program::Command => {
                if request.arguments.is_empty() {
                    self.refuse_with(
                        Diagnostic::new("usage", "`--exec` needs a command")
                            .hint("write `claudebox --exec -- COMMAND ARGS...`"),
                        crate::EXIT_USAGE,
                    );
                }
                command.extend(request.arguments.iter().cloned());
                "the command line asked for this command"
            }
        };
        let shown: Vec<String> = command
            .iter()
            .skip(1)
            .take(2)
            .map(|word| crate::path::printable(word))
            .collect();
        let decision = self.host_rule(Effect::Command, shown.join(" "), reason, "command");
        (command, decision)
    }

    /// INVARIANT(own-controls): Claude Code's own installation is read-only inside, and lies outside every writable mount.
    fn claude(&mut self, claude: &Claude) -> Vec<OsString> {
        match &claude.install {
            Install::Binary => {
                // Always the same path: Claude Code looks for itself there, and says that its installation is broken elsewhere.
                let Ok(at) = self.host.home.same_inside().join(".local/bin/claude") else {
                    return Vec::new();
                };
                let what = What::Bind {
                    source: claude.executable.clone(),
                    writable: false,
                };
                self.built_at(at.clone(), what, "Claude Code itself");
                vec![at.as_os_str().to_os_string()]
            }
            Install::Script {
                package,
                interpreter,
                options,
            } => {
                self.show_at_own_place(package, "Claude Code's package");
                self.show_at_own_place(interpreter, "the interpreter of Claude Code");
                let mut words = vec![interpreter.as_os_str().to_os_string()];
                words.extend(options.iter().cloned());
                words.push(claude.executable.as_os_str().to_os_string());
                words
            }
            Install::Store => vec![claude.executable.as_os_str().to_os_string()],
        }
    }

    /// Shows a path read-only at its own place, unless a mount shows it already.
    fn show_at_own_place(&mut self, path: &HostPath, reason: &str) {
        let at = path.same_inside();
        let shown = self.mounts.iter().any(|mount| match &mount.what {
            What::Bind { source, .. } => {
                path.within(source) && source.as_os_str().as_bytes() == mount.at.as_os_str().as_bytes()
            }
            _ => false,
        });
        if !shown {
            self.built_at(
                at,
                What::Bind {
                    source: path.clone(),
                    writable: false,
                },
                reason,
            );
        }
    }
}
