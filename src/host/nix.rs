//! The Nix side of a host: where its tools come from, and whether its daemon may be shown to the sandbox.

use crate::path::HostPath;

use super::tree::{Kind, Tree};

/// The directory that holds the daemon's socket. The directory is mounted, not the socket: it outlives a restart of the daemon.
pub const DAEMON_DIRECTORY: &str = "/nix/var/nix/daemon-socket";

/// Tool directories fixed when the program was built, separated by `:`. The environment of a launch cannot change them.
const PINNED_TOOLS: Option<&str> = option_env!("CLAUDEBOX_TOOLS");

/// The nixpkgs that a project's tools are attributes of: its path in the store, fixed when the program was built.
pub const NIXPKGS: Option<&str> = option_env!("CLAUDEBOX_NIXPKGS");

/// A Nix fixed when the program was built.
const PINNED_NIX: Option<&str> = option_env!("CLAUDEBOX_NIX");

/// The Nix that builds a project's tools: a program of the store, which no user of this host can change.
#[must_use]
pub fn builder(tree: &Tree) -> Option<HostPath> {
    let place = PINNED_NIX.filter(|pinned| !pinned.is_empty());
    let path = HostPath::new(place.unwrap_or("/run/current-system/sw/bin/nix")).ok()?;
    let resolved = tree.resolve(&path).ok()?;
    (resolved.node.is_some() && resolved.path.within_str("/nix/store")).then_some(resolved.path)
}

/// Where the sandbox's programs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// From the Nix store: these directories, in the order of PATH.
    Nix(Vec<HostPath>),
    /// From the distribution's `/usr`.
    Usr,
}

impl Platform {
    /// The word that policies see.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Nix(_) => "nix",
            Self::Usr => "usr",
        }
    }

    /// The directories of the tools; none on a host with `/usr`.
    #[must_use]
    pub fn tools(&self) -> &[HostPath] {
        match self {
            Self::Nix(tools) => tools,
            Self::Usr => &[],
        }
    }

    /// Looks at the host. A build with pinned tools uses them; without, NixOS is known by its current system, and its tools
    /// are those of that system.
    #[must_use]
    pub fn look(tree: &Tree) -> Self {
        if let Some(pinned) = PINNED_TOOLS.filter(|pinned| !pinned.is_empty()) {
            return Self::Nix(pinned.split(':').filter_map(|path| HostPath::new(path).ok()).collect());
        }
        let system = HostPath::new("/run/current-system/sw/bin")
            .ok()
            .and_then(|path| tree.resolve(&path).ok());
        match system {
            Some(resolved) if resolved.node.is_some() && resolved.path.within_str("/nix/store") => {
                Self::Nix(vec![resolved.path])
            }
            _ => Self::Usr,
        }
    }
}

/// Whether the daemon's socket may be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// There is none.
    Absent,
    /// It is there, and what can be read of its configuration says that it does not trust this user and builds sandboxed.
    Untrusted,
    /// It is there, and stays outside: why.
    Withheld(String),
}

impl Daemon {
    /// Whether the policy may show it.
    #[must_use]
    pub fn usable(&self) -> bool {
        *self == Self::Untrusted
    }

    /// Whether a path is the daemon's, and may be shown.
    #[must_use]
    pub fn allows(&self, path: &HostPath) -> bool {
        self.usable() && path.within_str(DAEMON_DIRECTORY)
    }

    /// Looks at the socket and at `/etc/nix/nix.conf`. INVARIANT(nix-trust): a daemon that trusts this user, or builds
    /// without its sandbox, would run anything as root on the host; what cannot be read counts as that.
    #[must_use]
    pub fn look(tree: &Tree, user: &str, uid: u32) -> Self {
        let socket = format!("{DAEMON_DIRECTORY}/socket");
        match tree.node(std::path::Path::new(&socket)) {
            Ok(Some(node)) if node.kind == Kind::Socket => {}
            _ => return Self::Absent,
        }
        if uid == 0 {
            return Self::Withheld("it trusts root, and so it would trust the sandbox".into());
        }
        match Configuration::read(tree) {
            Err(why) => Self::Withheld(why),
            Ok(configuration) => configuration.judge(user),
        }
    }
}

/// What of the daemon's configuration decides.
#[derive(Debug, Default)]
struct Configuration {
    trusted_users: Vec<String>,
    sandbox: Option<String>,
}

/// Longest configuration file that is read, and the deepest nesting of includes.
const CONFIGURATION_MAX: u64 = 1024 * 1024;
const INCLUDES_MAX: usize = 8;

impl Configuration {
    fn read(tree: &Tree) -> Result<Self, String> {
        let mut configuration = Self::default();
        let path = HostPath::new("/etc/nix/nix.conf").map_err(|why| why.to_string())?;
        configuration.include(tree, &path, true, 0)?;
        Ok(configuration)
    }

    fn include(&mut self, tree: &Tree, path: &HostPath, optional: bool, depth: usize) -> Result<(), String> {
        if depth > INCLUDES_MAX {
            return Err("the daemon's configuration includes files too deeply".into());
        }
        let resolved = tree.resolve(path).map_err(|error| error.to_string())?;
        if resolved.node.is_none() && optional {
            return Ok(());
        }
        let content = tree
            .read(resolved.path.as_path(), CONFIGURATION_MAX)
            .map_err(|error| error.to_string())?;
        for line in String::from_utf8_lossy(&content).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            let (Some(name), rest) = (words.next(), words.collect::<Vec<_>>()) else {
                continue;
            };
            let values = || rest.iter().filter(|word| **word != "=").map(ToString::to_string);
            match name {
                "include" | "!include" => {
                    for word in &rest {
                        let base = path.parent().unwrap_or_else(HostPath::root);
                        let included = HostPath::new(base.as_path().join(word)).map_err(|why| why.to_string())?;
                        self.include(tree, &included, name == "!include", depth + 1)?;
                    }
                }
                "trusted-users" => self.trusted_users = values().collect(),
                "extra-trusted-users" => self.trusted_users.extend(values()),
                "sandbox" | "build-use-sandbox" => self.sandbox = values().next(),
                _ => {}
            }
        }
        Ok(())
    }

    fn judge(&self, user: &str) -> Daemon {
        if self
            .trusted_users
            .iter()
            .any(|trusted| trusted == user || trusted == "*")
        {
            return Daemon::Withheld(format!("its configuration trusts `{user}`"));
        }
        if let Some(group) = self.trusted_users.iter().find(|trusted| trusted.starts_with('@')) {
            return Daemon::Withheld(format!(
                "its configuration trusts the group `{group}`, which you may belong to"
            ));
        }
        match self.sandbox.as_deref() {
            None | Some("true") => Daemon::Untrusted,
            Some(other) => Daemon::Withheld(format!("it builds with `sandbox = {other}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn daemon(configuration: &str, user: &str, uid: u32) -> Daemon {
        let mut tree = Tree::described();
        tree.describe(Path::new("/nix/var/nix/daemon-socket/socket"), Kind::Socket, 0, b"");
        tree.describe(Path::new("/etc/nix/nix.conf"), Kind::File, 0, configuration.as_bytes());
        tree.describe(
            Path::new("/etc/nix/more.conf"),
            Kind::File,
            0,
            b"extra-trusted-users = eve\n",
        );
        Daemon::look(&tree, user, uid)
    }

    #[test]
    fn a_daemon_that_trusts_the_user_stays_outside() {
        let withheld = |why: &str| Daemon::Withheld(why.into());
        assert_eq!(daemon("", "u", 1000), Daemon::Untrusted);
        assert_eq!(
            daemon("sandbox = true\ntrusted-users = root\n", "u", 1000),
            Daemon::Untrusted
        );
        assert_eq!(
            daemon("", "root", 0),
            withheld("it trusts root, and so it would trust the sandbox")
        );
        assert_eq!(
            daemon("trusted-users = root u # me\n", "u", 1000),
            withheld("its configuration trusts `u`")
        );
        assert_eq!(
            daemon("trusted-users = *", "u", 1000),
            withheld("its configuration trusts `u`")
        );
        assert_eq!(
            daemon("trusted-users = @wheel", "u", 1000),
            withheld("its configuration trusts the group `@wheel`, which you may belong to")
        );
        assert_eq!(
            daemon("sandbox = relaxed\n", "u", 1000),
            withheld("it builds with `sandbox = relaxed`")
        );
        assert_eq!(
            daemon("include more.conf\n", "eve", 1000),
            withheld("its configuration trusts `eve`")
        );
        assert_eq!(
            daemon("include none.conf\n", "u", 1000),
            withheld("cannot look at `/etc/nix/none.conf`: no such file or directory")
        );
        assert_eq!(daemon("!include none.conf\n", "u", 1000), Daemon::Untrusted);
    }
}
