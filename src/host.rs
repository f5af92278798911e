//! The facts about the host, gathered once: the only reader of the environment, the file system and ids.
//! Everything after it is a function of the values it holds. Decides nothing.

pub mod claude;
pub mod declared;
mod described;
mod environment;
pub mod git;
mod kernel;
mod locale;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod nix;
pub mod own;
pub mod policies;
pub mod program;
mod sockets;
mod start;
pub mod suites;
mod surface;
pub mod terminal;
pub mod tree;
pub mod volume;

use std::ffi::{OsStr, OsString};

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::path::{EnvName, HostPath, SandboxPath, printable};
use crate::sys;

use claude::{Claude, NotFound, Search};
pub use described::described;
use environment::{CA_PLACES, certificates, moved_secrets, user_name};
use mounts::Mounts;
use namespaces::Namespaces;
use network::Network;
use nix::Platform;
use nix::daemon::Daemon;
use start::{existing, existing_or, joined, readable};
use terminal::Terminal;
use tree::Tree;
use volume::Volume;

/// The user id inside when the caller is root: Claude Code refuses to skip permissions as uid 0.
const ORDINARY_ID: u32 = 1000;

/// Where the state lies, below the home.
const STATE: &str = ".claudebox";

/// The project of a session that works on nothing, inside alone.
const LOGIN_PROJECT: &str = "/login";

/// Permission to read: the bit of the last class.
pub const READ: u32 = 4;
/// Permission to write.
pub const WRITE: u32 = 2;
/// Permission to enter a directory.
pub const ENTER: u32 = 1;

/// Longest memory of the machine's administrator that is handed on, in bytes.
const MEMORY_MAX: u64 = 1024 * 1024;

/// claudebox's own directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Policies and profiles: `$XDG_CONFIG_HOME/claudebox`.
    pub config: HostPath,
    /// State: `~/.claudebox`.
    pub state: HostPath,
}

/// Everything that is known about the host.
#[derive(Debug)]
pub struct Host {
    /// The user's home directory, canonical.
    pub home: HostPath,
    /// The user's name.
    pub user: OsString,
    /// The caller's user id.
    pub uid: u32,
    /// The caller's group id.
    pub gid: u32,
    /// The caller's further groups, which the sandbox keeps.
    pub groups: Vec<u32>,
    /// The working directory, canonical.
    pub directory: HostPath,
    /// The project's root: the work tree of the repository around the working directory, or that directory itself.
    pub project: HostPath,
    /// The repository, where the project is one.
    pub repository: Option<git::Repository>,
    /// The configuration files that git obeys in every repository of the user's.
    pub git_config: Vec<HostPath>,
    /// The repository's settings, by the file that holds them.
    pub git_settings: Vec<(HostPath, Vec<git::config::Entry>)>,
    /// The environment. Where a name occurs twice the first counts, as for getenv(3).
    pub variables: IndexMap<EnvName, OsString>,
    /// The file system.
    pub tree: Tree,
    /// What is mounted where.
    pub mounts: Mounts,
    /// Where tools come from.
    pub platform: Platform,
    /// The Nix daemon.
    pub nix_daemon: Daemon,
    /// The time zone's name.
    pub time_zone: String,
    /// Whether the locales that the variables name are installed.
    pub locale_works: bool,
    /// The trusted certificates, canonical.
    pub ca_bundle: Option<HostPath>,
    /// The file of `NODE_EXTRA_CA_CERTS`, canonical.
    pub ca_extra: Option<HostPath>,
    /// Nix's registry for inside, as JSON, where claudebox was built with one.
    pub nix_registry: Option<String>,
    /// The git configuration for inside.
    pub gitconfig: Vec<u8>,
    /// Claude Code.
    pub claude: Result<Claude, NotFound>,
    /// What the project says about its own sandbox.
    pub declared: declared::Found,
    /// Bubblewrap.
    pub bwrap: Result<HostPath, Diagnostic>,
    /// The broker.
    pub broker: Result<HostPath, Diagnostic>,
    /// The host's network.
    pub network: Network,
    /// Unix sockets that are bound right now.
    pub sockets: Vec<HostPath>,
    /// Where variables say that secrets lie, and which variable says so.
    pub moved_secrets: Vec<(HostPath, &'static str)>,
    /// claudebox's own directories.
    pub places: Places,
    /// This program.
    pub executable: HostPath,
    /// Whether user namespaces can be made.
    pub namespaces: Namespaces,
    /// The standard streams.
    pub terminal: Terminal,
    /// What the machine's administrator tells Claude Code, if anything.
    pub managed_memory: Vec<u8>,
    /// The file system that holds the root of [`Self::instance_root`].
    pub volume: Volume,
    /// The time, in seconds since 1970.
    pub now: u64,
}

impl Host {
    /// Gathers the facts.
    ///
    /// # Errors
    /// A fact that nothing can do without is missing: the home, the working directory, a repository that lies about itself.
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the environment")]
    pub fn gather() -> Result<Self, Refusal> {
        let tree = Tree::real();
        let mounts = Mounts::look().map_err(|why| Refusal::one(Diagnostic::new("host", why)))?;
        let variables = environment::variables(std::env::vars_os());
        let terminal = Terminal::look();
        if let Some(number) = terminal.directory {
            return Err(Refusal::one(
                Diagnostic::new(
                    "no-inherited-fds",
                    format!("descriptor {number} is a directory, and all that lies in it could be opened"),
                )
                .hint("start claudebox without that redirection"),
            ));
        }
        let (uid, gid) = sys::ids();
        let home = existing(&tree, dirs::home_dir().as_deref(), "home directory")?;
        tree.survey(home.as_path());
        let directory = existing(&tree, std::env::current_dir().ok().as_deref(), "working directory")?;
        let executable = existing(&tree, std::env::current_exe().ok().as_deref(), "claudebox program")?;
        readable(&directory)?;
        let repository = git::discover(&tree, &directory, &home, uid)
            .map_err(|forged| Refusal::one(Diagnostic::new("git-pointers", forged.to_string()).hint(forged.hint)))?;
        let project = repository
            .as_ref()
            .map_or_else(|| directory.clone(), |repository| repository.work_tree.clone());
        let config = existing_or(&tree, dirs::config_dir().as_deref(), &home, ".config")?;
        let value = |name: &str| EnvName::new(name).ok().and_then(|name| variables.get(&name));
        let user = user_name(&tree, uid, value("USER").map(OsString::as_os_str));
        let search = Search {
            path: value("PATH").map_or(OsStr::new(""), OsString::as_os_str),
            setting: value(claude::SETTING).map(OsString::as_os_str),
            home: &home,
            uid,
        };
        let programs = program::Search {
            tree: &tree,
            path: search.path,
            uid,
            project: &project,
        };
        let identity = git::identity::identity(&tree, &home, &config);
        let mut safe = vec![&project];
        safe.extend(
            repository
                .iter()
                .filter(|repository| !repository.common_dir.within(&project))
                .map(|repository| &repository.common_dir),
        );
        let ca_places: Vec<&str> = CA_PLACES.into_iter().chain(nix::ca_bundle()).collect();
        let mut git_config = git::identity::files(&home, &config);
        git_config.extend(HostPath::new("/etc/gitconfig"));
        let root = repository.as_ref().map_or(&project, git::canonical_root);
        let volume = Volume::holding(root).map_err(|why| Refusal::one(Diagnostic::new("host", why)))?;
        let managed_memory = tree
            .read(std::path::Path::new(crate::awareness::PLACE), MEMORY_MAX)
            .unwrap_or_default();
        let platform = Platform::look(&tree);
        let state = joined(&home, STATE)?;
        let declared = declared::look(&declared::Place {
            tree: &tree,
            project: &project,
            state: &state,
            uid,
            path: value("PATH").map_or(OsStr::new(""), OsString::as_os_str),
            platform: &platform,
        });
        Ok(Self {
            platform,
            declared,
            nix_daemon: Daemon::look(&tree),
            time_zone: locale::time_zone(&tree, value("TZ").and_then(|zone| zone.to_str())),
            locale_works: locale::works(&tree, &variables),
            ca_bundle: certificates(&tree, &[value("NIX_SSL_CERT_FILE"), value("SSL_CERT_FILE")], &ca_places),
            ca_extra: certificates(&tree, &[value("NODE_EXTRA_CA_CERTS")], &[]),
            nix_registry: nix::registry().map(Into::into),
            gitconfig: git::identity::gitconfig(&identity, &safe),
            claude: claude::find(&tree, &search),
            bwrap: programs.find(&program::BUBBLEWRAP),
            broker: programs.find_beside(&program::BROKER, &executable),
            network: Network::look(&programs),
            sockets: sockets::bound(),
            namespaces: Namespaces::look(&tree, uid),
            git_settings: repository
                .iter()
                .flat_map(|repository| git::settings(&tree, repository))
                .collect(),
            moved_secrets: moved_secrets(&variables, &home),
            places: Places {
                config: joined(&config, "claudebox")?,
                state,
            },
            managed_memory,
            git_config,
            volume,
            now: own::now(),
            home,
            user,
            uid,
            gid,
            groups: sys::groups(),
            directory,
            project,
            repository,
            variables,
            executable,
            terminal,
            mounts,
            tree,
        })
    }

    /// The same host for a session that works on nothing: its project is an empty directory of the sandbox's own, at a place
    /// where nobody but root could have put something on the host.
    pub fn without_project(&mut self) {
        if let Ok(place) = HostPath::new(LOGIN_PROJECT) {
            self.directory = place.clone();
            self.project = place;
        }
        self.repository = None;
        self.git_settings = Vec::new();
        self.declared = declared::Found::default();
    }

    /// A path as messages show it: the home as `~`.
    #[must_use]
    pub fn tilde(&self, path: &HostPath) -> String {
        match path.below(&self.home) {
            Some(rest) if !rest.as_os_str().is_empty() => format!("~/{}", printable(rest.as_os_str())),
            _ => path.to_string(),
        }
    }

    /// Whether the sandbox's user may do all of it to a file. It is the caller under another number and without capabilities, so
    /// root has only what its own files grant it.
    #[must_use]
    pub fn permits(&self, node: &tree::Node, bits: u32) -> bool {
        let class = if node.uid == self.uid {
            6
        } else if node.gid == self.gid || self.groups.contains(&node.gid) {
            3
        } else {
            0
        };
        (node.mode >> class) & bits == bits
    }

    /// The user id inside: the caller's, or an ordinary one for root.
    #[must_use]
    pub fn inside_uid(&self) -> u32 {
        if self.uid == 0 { ORDINARY_ID } else { self.uid }
    }

    /// The group id inside.
    #[must_use]
    pub fn inside_gid(&self) -> u32 {
        if self.uid == 0 { ORDINARY_ID } else { self.gid }
    }

    /// `$XDG_RUNTIME_DIR` inside.
    #[must_use]
    pub fn runtime_directory(&self) -> SandboxPath {
        SandboxPath::new(format!("/run/user/{}", self.inside_uid())).unwrap_or_else(|_| SandboxPath::root())
    }

    /// The root that the instance of this project is named by: the same for all worktrees of one repository.
    #[must_use]
    pub fn instance_root(&self) -> &HostPath {
        self.repository.as_ref().map_or(&self.project, git::canonical_root)
    }

    /// The directories from the project's root down to the working directory.
    #[must_use]
    pub fn way(&self) -> Vec<HostPath> {
        let mut way: Vec<HostPath> = self
            .directory
            .ancestors()
            .take_while(|directory| directory.within(&self.project))
            .collect();
        if way.is_empty() {
            way.push(self.project.clone());
        }
        way.reverse();
        way
    }

    /// Where the companion notes that it made a path for the time of a session.
    ///
    /// # Errors
    /// Never for a path of the state; the type of a joined path says otherwise.
    pub fn reservation_record(&self, path: &HostPath) -> Result<HostPath, crate::path::Malformed> {
        self.reservation_records().join(crate::state::digest(path))
    }

    /// The directory of all such notes.
    #[must_use]
    pub fn reservation_records(&self) -> HostPath {
        let state = &self.places.state;
        state.join("reserved").unwrap_or_else(|_| state.clone())
    }

    /// claudebox's own directories, and what each is.
    #[must_use]
    pub fn own_paths(&self) -> [(HostPath, &'static str); 2] {
        [
            (self.places.config.clone(), "claudebox's own configuration"),
            (self.places.state.clone(), "claudebox's own state"),
        ]
    }

    /// Programs of the launch that nothing inside may write, and what each is.
    #[must_use]
    pub fn guarded_programs(&self) -> Vec<(HostPath, &'static str)> {
        let mut programs = vec![(self.executable.clone(), "claudebox itself")];
        programs.extend(self.bwrap.iter().map(|bwrap| (bwrap.clone(), "bubblewrap")));
        programs.extend(self.broker.iter().map(|broker| (broker.clone(), "claudebox's broker")));
        programs.extend(self.network.slirp.iter().map(|slirp| (slirp.clone(), "slirp4netns")));
        programs.extend(
            self.claude
                .iter()
                .map(|claude| (claude.executable.clone(), "Claude Code")),
        );
        programs
    }

    /// Bubblewrap's path, or its name where it is not installed.
    #[must_use]
    pub fn bwrap_name(&self) -> &OsStr {
        self.bwrap.as_ref().map_or(OsStr::new("bwrap"), HostPath::as_os_str)
    }
}
