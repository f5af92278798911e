//! Turns a plan into bubblewrap's options. Pure: looks at nothing, starts nothing.
//!
//! The order of the options:
//! 1. namespaces, identity, capabilities, and the end with the launcher;
//! 2. the environment: emptied, then each variable;
//! 3. the mounts in the plan's order: parents before children, masks last;
//! 4. what makes the rest read-only: `/proc/sys` for a caller who is root, then the root itself;
//! 5. the filter and the working directory.
//!
//! All of them travel in a file that bubblewrap reads, not on its command line, which every user of the host can see.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use crate::draft::Network;
use crate::invariants::plan::{Mount, Plan, What};
use crate::invariants::structure::{HOSTNAME, LOCK};
use crate::path::{EnvName, SandboxPath};
use crate::seccomp;

/// One word of the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Plain(OsString),
    /// The value of a variable that is not shown.
    Secret {
        /// The variable.
        name: EnvName,
        /// The value.
        value: OsString,
    },
    /// The number of the descriptor through which bubblewrap reads this file.
    File(usize),
    /// The number of the descriptor that ends the network with the sandbox: bubblewrap's process 1 inside holds it open.
    Lifeline,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This.
    Plain(Vec<u8>),
    /// This, and after it the broker's certificate.
    Certificates(Vec<u8>),
}

impl Content {
    /// The part that is known before the broker runs.
    #[must_use]
    pub fn known(&self) -> &[u8] {
        match self {
            Self::Plain(content) | Self::Certificates(content) => content,
        }
    }
}

/// Bubblewrap's invocation, before its files have descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The options, as `--args` takes them.
    pub options: Vec<Word>,
    /// The files that the options name.
    pub files: Vec<Content>,
    /// The command inside and its arguments.
    pub command: Vec<OsString>,
}

/// The invocation for a plan.
#[must_use]
pub fn invocation(plan: &Plan) -> Invocation {
    invocation_without(plan, &HashSet::new())
}

/// The same without the mounts at these places, which the companion makes.
#[must_use]
pub fn invocation_without(plan: &Plan, later: &HashSet<SandboxPath>) -> Invocation {
    let mut invocation = Invocation {
        options: Vec::new(),
        files: Vec::new(),
        command: plan.command().to_vec(),
    };
    invocation.isolation(plan);
    invocation.environment(plan);
    for mount in plan.mounts().iter().filter(|mount| !later.contains(&mount.at)) {
        invocation.mount(mount);
    }
    invocation.closing(plan);
    invocation
}

impl Invocation {
    fn add<const N: usize>(&mut self, words: [&OsStr; N]) {
        self.options
            .extend(words.into_iter().map(|word| Word::Plain(word.to_os_string())));
    }

    fn option(&mut self, words: &[&str]) {
        self.options
            .extend(words.iter().map(|word| Word::Plain(OsString::from(word))));
    }

    fn file(&mut self, content: Content) -> Word {
        self.files.push(content);
        Word::File(self.files.len() - 1)
    }

    /// INVARIANT(namespaces): each is always asked for; the network's follows the plan.
    fn isolation(&mut self, plan: &Plan) {
        let (uid, gid) = plan.ids();
        self.option(&["--unshare-user", "--uid", &uid.to_string(), "--gid", &gid.to_string()]);
        self.option(&[
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--hostname",
            HOSTNAME,
            "--unshare-cgroup",
        ]);
        match plan.network() {
            Network::None => self.option(&["--unshare-net"]),
            // INVARIANT(network): bubblewrap stays in the namespace in which the launcher starts it.
            Network::Internet | Network::Allowlist => {
                self.option(&["--sync-fd"]);
                self.options.push(Word::Lifeline);
            }
            Network::Host => {}
        }
        self.option(&["--die-with-parent", "--cap-drop", "ALL"]);
    }

    /// INVARIANT(clean-environment): emptied here too; the launcher starts bubblewrap itself with an empty one.
    fn environment(&mut self, plan: &Plan) {
        self.option(&["--clearenv"]);
        for (name, variable) in plan.variables() {
            self.add([OsStr::new("--setenv"), name.as_os_str()]);
            self.options.push(if variable.secret {
                Word::Secret {
                    name: name.clone(),
                    value: variable.value.clone(),
                }
            } else {
                Word::Plain(variable.value.clone())
            });
        }
    }

    fn mount(&mut self, mount: &Mount) {
        let at = mount.at.as_os_str();
        match &mount.what {
            What::Bind { source, writable } => {
                let option = if *writable { "--bind" } else { "--ro-bind" };
                self.add([OsStr::new(option), source.as_os_str(), at]);
            }
            What::Tmpfs(mode) => {
                self.option(&["--perms", &format!("{mode:04o}")]);
                self.add([OsStr::new("--tmpfs"), at]);
            }
            What::Proc => self.add([OsStr::new("--proc"), at]),
            What::Dev => self.add([OsStr::new("--dev"), at]),
            What::Link(target) => self.add([OsStr::new("--symlink"), target, at]),
            What::Text(content) => self.text(at, Content::Plain(content.clone())),
            What::Certificates(content) => self.text(at, Content::Certificates(content.clone())),
            What::MaskFile => self.text(at, Content::Plain(Vec::new())),
            What::MaskDirectory => {
                self.option(&["--perms", "0555"]);
                self.add([OsStr::new("--tmpfs"), at, OsStr::new("--remount-ro"), at]);
            }
        }
    }

    fn text(&mut self, at: &OsStr, content: Content) {
        self.option(&["--perms", "0444", "--ro-bind-data"]);
        let file = self.file(content);
        self.options.push(file);
        self.options.push(Word::Plain(at.to_os_string()));
    }

    fn closing(&mut self, plan: &Plan) {
        if plan.root() {
            // A caller who is root owns the host's sysctls even from inside: one write to core_pattern would run code outside.
            self.option(&["--ro-bind", "/proc/sys", "/proc/sys"]);
        }
        self.option(&["--remount-ro", "/", "--lock-file", LOCK]);
        self.option(&["--seccomp"]);
        let filter = self.file(Content::Plain(seccomp::program()));
        self.options.push(filter);
        self.add([OsStr::new("--chdir"), plan.directory().as_os_str()]);
    }
}
