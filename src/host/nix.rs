//! The Nix side of a host: where its tools come from, what `nixpkgs` means inside, and its daemon.

pub mod daemon;

use crate::path::{EnvName, HostPath};
use crate::script::layer::Source;

use super::Host;
use super::tree::{Kind, Tree};

use daemon::{Access, Answer, Daemon};

/// Tool directories fixed when the program was built, separated by `:`. The environment of a launch cannot change them.
const PINNED_TOOLS: Option<&str> = option_env!("CLAUDEBOX_TOOLS");

/// The nixpkgs that a project's tools are attributes of: its path in the store, fixed when the program was built.
const PINNED_NIXPKGS: Option<&str> = option_env!("CLAUDEBOX_NIXPKGS");

/// A Nix fixed when the program was built: it asks the daemon, and stands guard before it.
const PINNED_NIX: Option<&str> = option_env!("CLAUDEBOX_NIX");

/// Trusted certificates fixed when the program was built, for a host that has none.
const PINNED_CA_BUNDLE: Option<&str> = option_env!("CLAUDEBOX_CA_BUNDLE");

/// Nix's registry for inside, as JSON, fixed when the program was built: `nixpkgs` is the one that claudebox was built with.
const PINNED_REGISTRY: Option<&str> = option_env!("CLAUDEBOX_REGISTRY");

/// Where a Nix may be, in a build without a fixed one. `PATH` is not asked: what is found decides about the daemon.
const NIX_PLACES: [&str; 3] = [
    "/run/current-system/sw/bin/nix",
    "/nix/var/nix/profiles/default/bin/nix",
    "/usr/bin/nix",
];

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

    /// The tool of that name in the store: its place in the first directory that has it.
    #[must_use]
    pub fn tool(&self, tree: &Tree, name: &str) -> Option<HostPath> {
        let places = self.tools().iter().filter_map(|directory| directory.join(name).ok());
        places
            .into_iter()
            .find(|place| tree.resolve(place).is_ok_and(|found| found.node.is_some()))
    }

    /// Looks at the host. A build with pinned tools uses them; without, NixOS is known by its current system, and its tools
    /// are those of that system.
    #[must_use]
    pub fn look(tree: &Tree) -> Self {
        if let Some(pinned) = given(PINNED_TOOLS) {
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

impl Host {
    /// Whether a policy can want the daemon: there is one, and either tools come from the store, or a layer above the bundled
    /// one speaks of Nix. Elsewhere the daemon is not asked, which would cost each launch some fifty milliseconds.
    #[must_use]
    pub fn wants_nix(&self, layers: &[Source]) -> bool {
        self.nix_daemon.access == Access::Unasked
            && (!self.platform.tools().is_empty() || layers.iter().skip(1).any(|layer| layer.text.contains("nix")))
    }

    /// Takes in what the daemon says of itself. `session` names the guard's directory, if there must be one.
    pub fn meet_nix(&mut self, session: &str, ask: impl FnOnce(&HostPath) -> Answer) {
        let runtime = EnvName::new("XDG_RUNTIME_DIR")
            .ok()
            .and_then(|name| self.variables.get(&name))
            .and_then(|path| HostPath::new(path).ok());
        let usual = HostPath::new(format!("/run/user/{}", self.uid)).ok();
        self.nix_daemon = match program(&self.tree) {
            Err(why) => Daemon::only(Access::Withheld(why)),
            Ok(program) => {
                let guard = daemon::guard_directory(
                    &self.tree,
                    &[runtime, usual],
                    self.uid,
                    &self.project,
                    &self.places.state,
                    session,
                );
                Daemon::judge(&self.tree, &program, guard, &ask(&program))
            }
        };
    }
}

fn given(pinned: Option<&'static str>) -> Option<&'static str> {
    pinned.filter(|pinned| !pinned.is_empty())
}

/// What `nixpkgs` and other names mean to the Nix inside, where that was fixed.
#[must_use]
pub fn registry() -> Option<&'static str> {
    given(PINNED_REGISTRY)
}

/// The certificates that claudebox was built with.
#[must_use]
pub fn ca_bundle() -> Option<&'static str> {
    given(PINNED_CA_BUNDLE)
}

/// The nixpkgs that claudebox was built with.
#[must_use]
pub fn nixpkgs() -> Option<&'static str> {
    given(PINNED_NIXPKGS)
}

/// The Nix that asks the daemon, and builds a project's tools: canonical, and root's alone to write.
///
/// # Errors
/// There is none, or none that can be trusted.
pub fn program(tree: &Tree) -> Result<HostPath, String> {
    let places = given(PINNED_NIX).map_or_else(|| NIX_PLACES.to_vec(), |pinned| vec![pinned]);
    for place in places {
        let Some(resolved) = HostPath::new(place).ok().and_then(|place| tree.resolve(&place).ok()) else {
            continue;
        };
        let Some(node) = &resolved.node else {
            continue;
        };
        // Whoever can change a pinned path of the store can change claudebox itself, which lies beside it.
        let pinned = given(PINNED_NIX).is_some() && resolved.path.within_str("/nix/store");
        if node.kind == Kind::File && (pinned || (node.uid == 0 && node.mode & 0o022 == 0)) {
            return Ok(resolved.path);
        }
    }
    Err("there is no Nix here that could ask it whether it trusts you".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A machine on which somebody once installed Nix is still one with `/usr`.
    #[test]
    fn a_store_alone_makes_no_nix_host() {
        let mut tree = Tree::described();
        tree.describe(Path::new("/nix/store"), Kind::Directory, 0, b"");
        tree.describe(Path::new(daemon::SOCKET), Kind::Socket, 0, b"");
        assert_eq!(Platform::look(&tree), Platform::Usr);
        tree.describe(Path::new("/nix/store/1-system-path/bin/bash"), Kind::File, 0, b"");
        tree.describe(
            Path::new("/run/current-system/sw"),
            Kind::Link("/nix/store/1-system-path".into()),
            0,
            b"",
        );
        let path = |text: &str| HostPath::new(text).unwrap();
        let nix = Platform::look(&tree);
        assert_eq!(nix, Platform::Nix(vec![path("/nix/store/1-system-path/bin")]));
        assert_eq!(nix.tool(&tree, "bash"), Some(path("/nix/store/1-system-path/bin/bash")));
        assert_eq!(nix.tool(&tree, "env"), None);
    }

    /// NixOS: `/etc/resolv.conf` leads through `/etc/static` into the store and out of it again, the certificates into the store.
    #[test]
    fn the_links_of_nixos_are_followed() {
        let mut tree = Tree::described();
        for (link, target) in [
            ("/etc/static", "/nix/store/1-etc/etc"),
            ("/etc/resolv.conf", "/etc/static/resolv.conf"),
            (
                "/nix/store/1-etc/etc/resolv.conf",
                "/run/systemd/resolve/stub-resolv.conf",
            ),
            (
                "/etc/ssl/certs/ca-certificates.crt",
                "/etc/static/ssl/certs/ca-certificates.crt",
            ),
            (
                "/nix/store/1-etc/etc/ssl/certs/ca-certificates.crt",
                "/nix/store/2-cacert/ca-bundle.crt",
            ),
        ] {
            tree.describe(Path::new(link), Kind::Link(target.into()), 0, b"");
        }
        for file in [
            "/run/systemd/resolve/stub-resolv.conf",
            "/nix/store/2-cacert/ca-bundle.crt",
        ] {
            tree.describe(Path::new(file), Kind::File, 0, b"x");
        }
        tree.describe(Path::new("/home/u/p"), Kind::Directory, 1000, b"");
        let mut host = std::rc::Rc::into_inner(super::super::described(tree)).unwrap();
        host.platform = Platform::Nix(vec![HostPath::new("/nix/store/3-tools/bin").unwrap()]);
        host.ca_bundle = super::super::certificates(&host.tree, &[], &["/etc/ssl/certs/ca-certificates.crt"]);
        let host = std::rc::Rc::new(host);
        let policy = "fn variable(host, name) { env::hide(\"x\") }\nfn network(host) { net::none(\"x\"); }\n\
                      fn mounts(host) { mount::rw(host.project, \"x\"); mount::ro(\"/etc/resolv.conf\", \"x\"); \
                      mount::ro(host.ca_bundle, \"/etc/ssl/certs/ca-certificates.crt\", \"x\"); }\n";
        let layer = Source {
            layer: "bundled".into(),
            file: "policy.rhai".into(),
            text: policy.into(),
        };
        let cli = crate::cli::Cli::parse_words(["--exec", "true"].map(Into::into)).unwrap();
        let decided = crate::decide_with(&[layer], &host, &cli.request());
        let plan = decided.verdict.outcome.as_ref().unwrap();
        let source = |at: &str| {
            plan.mounts().iter().find_map(|mount| match &mount.what {
                crate::invariants::plan::What::Bind { source, .. } if mount.at.to_string() == at => {
                    Some(source.to_string())
                }
                _ => None,
            })
        };
        assert_eq!(
            source("/etc/resolv.conf").as_deref(),
            Some("/run/systemd/resolve/stub-resolv.conf")
        );
        assert_eq!(
            source("/etc/ssl/certs/ca-certificates.crt").as_deref(),
            Some("/nix/store/2-cacert/ca-bundle.crt")
        );
    }

    /// It decides about root's daemon, so nobody but root may have put it there.
    #[test]
    fn only_roots_nix_asks_the_daemon() {
        let mut tree = Tree::described();
        let none = Err("there is no Nix here that could ask it whether it trusts you".to_string());
        assert_eq!(program(&tree), none);
        tree.describe(Path::new("/usr/bin/nix"), Kind::File, 1000, b"");
        assert_eq!(program(&tree), none);
        tree.describe(Path::new("/usr/bin/nix"), Kind::File, 0, b"");
        assert_eq!(program(&tree), Ok(HostPath::new("/usr/bin/nix").unwrap()));
        tree.alter(Path::new("/usr/bin/nix"), |node| node.mode = 0o775);
        assert_eq!(program(&tree), none);
    }
}
