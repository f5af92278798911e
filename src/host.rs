//! The facts about the host, gathered once: the only reader of the environment, the file system and ids.
//! Everything after it is a function of the values it holds. Decides nothing.

pub mod claude;
pub mod declared;
pub mod git;
mod locale;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod nix;
pub mod own;
pub mod policies;
pub mod program;
mod sockets;
pub mod suites;
pub mod terminal;
pub mod tree;
pub mod volume;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Refusal};
use crate::net::resolver::Resolver;
use crate::path::{EnvName, HostPath, SandboxPath, printable};
use crate::sys;

use claude::{Claude, NotFound, Search};
use mounts::Mounts;
use namespaces::Namespaces;
use network::Network;
use nix::Platform;
use nix::daemon::Daemon;
use terminal::Terminal;
use tree::Tree;
use volume::Volume;

/// The user id inside when the caller is root: Claude Code refuses to skip permissions as uid 0.
const ORDINARY_ID: u32 = 1000;

/// Where the state lies, below the home.
const STATE: &str = ".claudebox";

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
        let variables = environment(std::env::vars_os());
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

    /// Git directories of the project that lie outside it.
    #[must_use]
    pub fn outside_git_dirs(&self) -> Vec<HostPath> {
        let mut outside: Vec<HostPath> = Vec::new();
        let confirmed = self
            .repository
            .iter()
            .filter(|repository| repository.unconfirmed().is_none());
        for directory in confirmed.flat_map(|repository| [&repository.common_dir, &repository.git_dir]) {
            if !directory.within(&self.project) && !outside.iter().any(|known| directory.within(known)) {
                outside.push(directory.clone());
            }
        }
        outside
    }

    /// What of the project's repository the host's git would run or obey: in its work tree and in its git directory.
    ///
    /// # Errors
    /// When a part of it cannot be protected: see [`git::surface`].
    pub fn project_surface(&self) -> Result<git::Surface, git::Forged> {
        match &self.repository {
            Some(repository) => git::surface(&self.tree, repository, &self.git_config),
            None => self.folder_surface(&self.project),
        }
    }

    /// The same of another directory that the sandbox may write to.
    ///
    /// # Errors
    /// As [`Self::project_surface`], or when the repository around it contradicts itself.
    pub fn other_surface(&self, directory: &HostPath) -> Result<git::Surface, git::Forged> {
        let around = git::discover(&self.tree, directory, &self.home, self.uid)?;
        let shown = |part: &HostPath| part.within(directory);
        match around.filter(|found| shown(&found.work_tree) || shown(&found.git_dir) || shown(&found.common_dir)) {
            Some(repository) => git::surface(&self.tree, &repository, &self.git_config),
            None => self.folder_surface(directory),
        }
    }

    fn folder_surface(&self, directory: &HostPath) -> Result<git::Surface, git::Forged> {
        git::surface_of_folder(&self.tree, directory, &self.home, self.uid, &self.git_config)
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

/// Where distributions keep the trusted certificates, in the order of the search.
const CA_PLACES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Variables that move a program's secrets away from where the floor knows them.
const MOVERS: [&str; 17] = [
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_CONFIG_DIR",
    "CLOUDSDK_CONFIG",
    "DOCKER_CONFIG",
    "GH_CONFIG_DIR",
    "GNUPGHOME",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NETRC",
    "NPM_CONFIG_USERCONFIG",
    "PASSWORD_STORE_DIR",
    "PGPASSFILE",
    "PIP_CONFIG_FILE",
    "SOPS_AGE_KEY_FILE",
    "VAULT_TOKEN_FILE",
    "HISTFILE",
];

/// The paths that such variables name. A list (`KUBECONFIG`) counts item by item. The home itself, or what lies above it,
/// is not taken: a variable must not be able to declare everything a secret.
fn moved_secrets(variables: &IndexMap<EnvName, OsString>, home: &HostPath) -> Vec<(HostPath, &'static str)> {
    let mut moved = Vec::new();
    for mover in MOVERS {
        let Some(value) = EnvName::new(mover).ok().and_then(|name| variables.get(&name)) else {
            continue;
        };
        for item in value.as_bytes().split(|byte| *byte == b':') {
            match HostPath::new(OsStr::from_bytes(item)) {
                Ok(path) if !home.within(&path) => moved.push((path, mover)),
                _ => {}
            }
        }
    }
    moved
}

/// The environment, each name once. An entry without a proper name cannot pass and is left out.
fn environment(entries: impl Iterator<Item = (OsString, OsString)>) -> IndexMap<EnvName, OsString> {
    let mut variables = IndexMap::new();
    for (name, value) in entries {
        if let Ok(name) = EnvName::new(name) {
            variables.entry(name).or_insert(value);
        }
    }
    variables.sort_keys();
    variables
}

/// The first of the named files that exists, canonical.
fn certificates(tree: &Tree, named: &[Option<&OsString>], places: &[&str]) -> Option<HostPath> {
    let named = named.iter().flatten().map(|path| path.as_os_str());
    named.chain(places.iter().map(OsStr::new)).find_map(|path| {
        let resolved = tree.resolve(&HostPath::new(path).ok()?).ok()?;
        matches!(
            resolved.node,
            Some(tree::Node {
                kind: tree::Kind::File,
                ..
            })
        )
        .then_some(resolved.path)
    })
}

/// The name of the user: of the user database, else what `USER` says, if it is a plain name.
fn user_name(tree: &Tree, uid: u32, variable: Option<&OsStr>) -> OsString {
    let passwd = tree
        .read(std::path::Path::new("/etc/passwd"), MEMORY_MAX)
        .unwrap_or_default();
    let by_id = passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (std::str::from_utf8(id).ok()?.parse() == Ok(uid)).then(|| OsStr::from_bytes(name).to_os_string())
    });
    let plain = |name: &OsStr| {
        !name.is_empty()
            && name
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    by_id
        .or_else(|| variable.map(OsStr::to_os_string))
        .filter(|name| plain(name))
        .unwrap_or_else(|| "user".into())
}

fn existing(tree: &Tree, path: Option<&std::path::Path>, what: &'static str) -> Result<HostPath, Refusal> {
    let refused = |why: String| {
        Refusal::one(
            Diagnostic::new("host", format!("the {what} cannot be used: {why}"))
                .hint("start from a directory that exists and that you can read"),
        )
    };
    let path = path.ok_or_else(|| refused("it is not known, or it does not exist".into()))?;
    let path = HostPath::new(path).map_err(|why| refused(format!("`{}` {why}", printable(path.as_os_str()))))?;
    let resolved = tree.resolve(&path).map_err(|error| refused(error.to_string()))?;
    if resolved.node.is_none() {
        return Err(refused(format!("`{path}` does not exist")));
    }
    Ok(resolved.path)
}

/// The same for a directory that need not exist: its canonical path all the same.
fn existing_or(
    tree: &Tree,
    path: Option<&std::path::Path>,
    home: &HostPath,
    default: &str,
) -> Result<HostPath, Refusal> {
    match path.and_then(|path| HostPath::new(path).ok()) {
        Some(path) => tree
            .resolve(&path)
            .map(|resolved| resolved.path)
            .map_err(|error| Refusal::one(Diagnostic::new("host", error.to_string()))),
        None => joined(home, default),
    }
}

fn joined(base: &HostPath, name: &str) -> Result<HostPath, Refusal> {
    base.join(name)
        .map_err(|why| Refusal::one(Diagnostic::new("internal", format!("`{name}` {why}"))))
}

/// The caller can list the working directory: without that, Claude Code would see an empty project.
fn readable(directory: &HostPath) -> Result<(), Refusal> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(
        CWD,
        directory.as_path(),
        Access::READ_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .map_err(|error| {
        Refusal::one(
            Diagnostic::new(
                "host",
                format!(
                    "the working directory `{directory}` cannot be read: {}",
                    tree::plain(&error.into())
                ),
            )
            .hint("change to a directory that you can read"),
        )
    })
}

/// A host that tests describe: an ordinary user on a distribution with `/usr`, in the project `/home/u/p`.
#[must_use]
pub fn described(tree: Tree) -> Rc<Host> {
    let path = |text: &str| HostPath::new(text).unwrap_or_else(|_| HostPath::root());
    Rc::new(Host {
        home: path("/home/u"),
        user: "u".into(),
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
        directory: path("/home/u/p"),
        project: path("/home/u/p"),
        repository: None,
        git_config: Vec::new(),
        git_settings: Vec::new(),
        variables: IndexMap::new(),
        tree,
        mounts: Mounts::default(),
        platform: Platform::Usr,
        nix_daemon: Daemon::only(nix::daemon::Access::Absent),
        time_zone: "UTC".into(),
        locale_works: true,
        ca_bundle: None,
        ca_extra: None,
        nix_registry: None,
        gitconfig: Vec::new(),
        claude: Err(NotFound::Nowhere),
        declared: declared::Found::default(),
        bwrap: Ok(path("/usr/bin/bwrap")),
        network: Network {
            own: Ok(Vec::new()),
            resolver: Resolver::parse(b"nameserver 192.168.1.1\nsearch lan\n"),
            slirp: Ok(path("/usr/bin/slirp4netns")),
            tun: Ok(()),
        },
        sockets: Vec::new(),
        namespaces: Namespaces::Free,
        moved_secrets: Vec::new(),
        places: Places {
            config: path("/home/u/.config/claudebox"),
            state: path("/home/u/.claudebox"),
        },
        executable: path("/usr/bin/claudebox"),
        terminal: Terminal::default(),
        managed_memory: Vec::new(),
        volume: Volume {
            point: path("/"),
            kind: 0xef53,
            id: 1,
            device: 1,
        },
        now: 1_764_000_000,
    })
}
