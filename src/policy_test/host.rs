//! A host that a policy's test describes: an ordinary user `u` in the project `~/p`, and what the test adds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::IndexMap;

use crate::host::nix::Platform;
use crate::host::nix::daemon::{Access, Daemon, SOCKET};
use crate::host::tree::{Kind, Tree};
use crate::host::{self, Host};
use crate::path::{EnvName, HostPath};

/// The home of a described host.
pub const HOME: &str = "/home/u";
/// The project of a described host.
pub const PROJECT: &str = "/home/u/p";
/// Where a described host with Nix has its tools.
pub const NIX_TOOLS: [&str; 2] = ["/nix/store/tools/bin", "/nix/store/more-tools/bin"];

/// A description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The variables and their values.
    pub variables: IndexMap<EnvName, OsString>,
    /// The files: path, kind, owner, content.
    pub files: Vec<(PathBuf, Kind, u32, Vec<u8>)>,
    /// The project, if it is not the usual one.
    pub project: Option<HostPath>,
    /// The working directory, if it is not the project.
    pub directory: Option<HostPath>,
    /// Whether tools come from the Nix store.
    pub nix: bool,
    /// The Nix daemon.
    pub nix_daemon: bool,
    /// Nix's registry for inside.
    pub nix_registry: Option<String>,
    /// Whether the broker is installed.
    pub broker: bool,
    /// Whether the locale of the variables is missing.
    pub no_locale: bool,
    /// The trusted certificates.
    pub ca_bundle: Option<HostPath>,
    /// Further certificates.
    pub ca_extra: Option<HostPath>,
}

impl Described {
    /// The host. What every host has is there: system directories, the home, the project, the programs of a launch.
    #[must_use]
    pub fn host(&self) -> Rc<Host> {
        let mut tree = Tree::described();
        let project = self.project.as_ref().map_or(Path::new(PROJECT), HostPath::as_path);
        for directory in ["/usr/bin", "/usr/lib", "/etc", "/home/u/.config/claudebox"] {
            tree.describe(Path::new(directory), Kind::Directory, 0, b"");
        }
        tree.describe(Path::new(HOME), Kind::Directory, 1000, b"");
        tree.describe(project, Kind::Directory, 1000, b"");
        for program in ["/usr/bin/bwrap", "/usr/bin/claudebox", "/usr/bin/claudebox-broker"] {
            tree.describe(Path::new(program), Kind::File, 0, b"");
        }
        if self.nix {
            for tool in NIX_TOOLS.into_iter().zip(["bash", "env"]) {
                tree.describe(&Path::new(tool.0).join(tool.1), Kind::File, 0, b"");
            }
        }
        if self.nix_daemon {
            tree.describe(Path::new(SOCKET), Kind::Socket, 0, b"");
        }
        for path in self.ca_bundle.iter().chain(&self.ca_extra) {
            tree.describe(path.as_path(), Kind::File, 0, b"certificates");
        }
        for (path, kind, uid, content) in &self.files {
            tree.describe(path, kind.clone(), *uid, content);
        }
        let described = host::described(tree);
        let Some(mut host) = Rc::into_inner(described) else {
            return host::described(Tree::described());
        };
        host.variables = self.variables.clone();
        let root = self.project.as_ref().unwrap_or(&host.project);
        host.repository = host::git::discover(&host.tree, root, &host.home, host.uid)
            .ok()
            .flatten();
        if let Some(project) = &self.project {
            host.project = project.clone();
            host.directory = project.clone();
        }
        if let Some(directory) = &self.directory {
            host.directory = directory.clone();
        }
        if self.nix {
            host.platform = Platform::Nix(
                NIX_TOOLS
                    .into_iter()
                    .filter_map(|path| HostPath::new(path).ok())
                    .collect(),
            );
        }
        if self.nix_daemon {
            host.nix_daemon = Daemon::only(Access::Open);
        }
        if self.broker {
            host.broker = HostPath::new("/usr/bin/claudebox-broker")
                .map_err(|_| crate::diagnostic::Diagnostic::new("internal", "a path"));
        }
        host.nix_registry.clone_from(&self.nix_registry);
        host.locale_works = !self.no_locale;
        host.ca_bundle.clone_from(&self.ca_bundle);
        host.ca_extra.clone_from(&self.ca_extra);
        Rc::new(host)
    }

    /// The project as a worktree of the repository in `main`: what git makes of `git worktree add`.
    pub fn worktree(&mut self, main: &HostPath) {
        let project = self
            .project
            .as_ref()
            .map_or(Path::new(PROJECT), HostPath::as_path)
            .to_path_buf();
        let git = main.as_path().join(".git");
        let entry = git.join("worktrees/w");
        let pointer = |start: &str, path: &Path| [start.as_bytes(), path.as_os_str().as_bytes(), b"\n"].concat();
        let files = [
            (git.join("HEAD"), b"ref: refs/heads/main\n".to_vec()),
            (git.join("config"), b"[core]\n\tbare = false\n".to_vec()),
            (git.join("hooks/pre-commit.sample"), Vec::new()),
            (entry.join("HEAD"), b"ref: refs/heads/w\n".to_vec()),
            (entry.join("commondir"), b"../..\n".to_vec()),
            (entry.join("gitdir"), pointer("", &project.join(".git"))),
            (project.join(".git"), pointer("gitdir: ", &entry)),
        ];
        for directory in ["objects", "refs"] {
            self.files
                .push((git.join(directory), Kind::Directory, 1000, Vec::new()));
        }
        self.files
            .extend(files.map(|(path, content)| (path, Kind::File, 1000, content)));
    }

    /// Adds paths that scripts speak of: directories, and files where a name has an ending.
    pub fn describe_paths(&mut self, paths: &std::collections::BTreeSet<String>) {
        for path in paths {
            let holds = paths
                .iter()
                .any(|other| other.len() > path.len() && Path::new(other).starts_with(path));
            let ending = Path::new(path).extension().is_some();
            let kind = if ending && !holds { Kind::File } else { Kind::Directory };
            let owner = if path.starts_with(HOME) { 1000 } else { 0 };
            self.files.push((path.into(), kind, owner, Vec::new()));
        }
    }
}
