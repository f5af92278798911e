//! Finds the installed Claude Code and what of it has to be mounted, by looking at files only: nothing is run.
//!
//! What is found here is started with the user's login, so a place that another user could have filled does not count:
//! relative `PATH` entries are skipped, and a program is refused that someone else owns, can write, or can put another
//! file or link in the place of. A candidate that cannot be used does not end the search, unless the user named it.

mod program;
mod refusal;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::host::tree::{Kind, Node, Resolved, Tree};
use crate::path::HostPath;

pub use refusal::{NotFound, Refused, Unusable};

use program::{Form, Shebang};

/// The environment variable that names Claude Code where the search would not find it, or would find another one.
pub const SETTING: &str = "CLAUDEBOX_CLAUDE";

/// The name of the npm package. Those that hold its native binaries append `-linux-x64` and the like.
const PACKAGE: &str = "@anthropic-ai/claude-code";

/// Where Nix keeps all that it installs.
const STORE: &str = "/nix/store";

/// How much of a program tells what it is.
const HEAD: usize = 4096;

/// A package's manifest is a few KiB.
const MANIFEST_MAX: u64 = 256 * 1024;

/// Where installers put Claude Code, for a caller whose `PATH` does not say so. Below the home directory.
const HOME_PLACES: [&str; 8] = [
    ".local/bin/claude",
    // Before the script beside it, which only starts this one.
    ".claude/local/node_modules/.bin/claude",
    ".claude/local/claude",
    ".npm-global/bin/claude",
    ".bun/bin/claude",
    // pnpm's own `claude` is a shell script.
    ".local/share/pnpm/global/5/node_modules/@anthropic-ai/claude-code/bin/claude.exe",
    ".nix-profile/bin/claude",
    ".local/share/claudebox/claude/node_modules/.bin/claude",
];

/// The same for all users.
const SYSTEM_PLACES: [&str; 3] = [
    "/usr/local/bin/claude",
    "/usr/bin/claude",
    "/run/current-system/sw/bin/claude",
];

/// What the search depends on besides the file system.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The caller's `PATH`.
    pub path: &'a OsStr,
    /// The value of [`SETTING`], if it is set.
    pub setting: Option<&'a OsStr>,
    /// The caller's home directory.
    pub home: &'a HostPath,
    /// The caller's user id.
    pub uid: u32,
}

/// The installed Claude Code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claude {
    /// The file that is executed: its canonical path.
    pub executable: HostPath,
    /// The name it was found by: often a symlink to the executable.
    pub found_at: HostPath,
    /// What it needs besides the executable.
    pub install: Install,
    /// The version, where the installation tells it.
    pub version: Option<String>,
    /// Candidates that come before it in the search but cannot be used.
    pub passed_over: Vec<Refused>,
}

/// What has to be in the sandbox for Claude Code to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Install {
    /// A native program: this one file, which may be mounted at any place, and the system's C library.
    Binary,
    /// A script for node.
    Script {
        /// The directory of the npm package: it has to keep its own path.
        package: HostPath,
        /// The node program: its canonical path.
        interpreter: HostPath,
        /// What node is given before the script, from the script's first line.
        options: Vec<OsString>,
    },
    /// A program or wrapper script of the Nix store. It names all that it needs by store paths, so it needs the whole
    /// store and nothing else, and has to keep its own path.
    Store,
}

/// Finds Claude Code: [`SETTING`] alone where it is set, else the first usable `claude` of the absolute `PATH` entries
/// and then of the places where installers put it.
///
/// # Errors
/// When the setting names nothing usable, when candidates exist but none is usable, and when there are none.
pub fn find(tree: &Tree, search: &Search<'_>) -> Result<Claude, NotFound> {
    if let Some(value) = search.setting {
        // Never a fallback: who names one program must not get another.
        return HostPath::new(value)
            .map_err(Unusable::Malformed)
            .and_then(|found_at| examine(tree, search, &found_at))
            .map_err(|why| NotFound::Setting {
                value: value.to_os_string(),
                why,
            });
    }
    let mut passed_over: Vec<Refused> = Vec::new();
    let mut seen: Vec<HostPath> = Vec::new();
    for found_at in candidates(search) {
        if seen.contains(&found_at) {
            continue;
        }
        match examine(tree, search, &found_at) {
            Ok(claude) => return Ok(Claude { passed_over, ..claude }),
            // As a shell does: what is not there, cannot be reached or is a directory is no candidate.
            Err(Unusable::Absent | Unusable::NotAFile | Unusable::OutOfReach(_)) => {}
            Err(why) => passed_over.push(Refused {
                found_at: found_at.clone(),
                why,
            }),
        }
        seen.push(found_at);
    }
    let mut refused = passed_over.into_iter();
    Err(match refused.next() {
        None => NotFound::Nowhere,
        Some(first) => NotFound::Unusable {
            first,
            others: refused.collect(),
        },
    })
}

fn candidates<'a>(search: &Search<'a>) -> impl Iterator<Item = HostPath> + use<'a> {
    let home = search.home;
    in_path(search.path, OsStr::new("claude"))
        .chain(HOME_PLACES.iter().filter_map(|place| home.join(place).ok()))
        .chain(SYSTEM_PLACES.iter().filter_map(|place| HostPath::new(place).ok()))
}

/// Each file that `name` could mean. A relative or empty entry means the working directory, which belongs to the
/// project: it is skipped, and so is one with `..`.
fn in_path<'a>(path: &'a OsStr, name: &'a OsStr) -> impl Iterator<Item = HostPath> + use<'a> {
    std::env::split_paths(path).filter_map(move |entry| HostPath::new(entry).ok()?.join(name).ok())
}

fn examine(tree: &Tree, search: &Search<'_>, found_at: &HostPath) -> Result<Claude, Unusable> {
    let program = open(tree, found_at, search.uid)?;
    let in_store = program.in_store();
    let install = match &program.form {
        Form::Elf if in_store => Install::Store,
        Form::Elf => Install::Binary,
        Form::Script(shebang) if in_store => {
            // A wrapper made by Nix: a first line that leaves the store would need what the sandbox may not have.
            if !Path::new(&shebang.interpreter).starts_with(STORE) {
                return Err(Unusable::Script(shebang.interpreter.clone()));
            }
            Install::Store
        }
        Form::Script(shebang) => script(tree, search, &program.path, shebang)?,
        Form::Foreign(machine) => return Err(Unusable::Foreign(machine.clone())),
        Form::Placeholder => return Err(Unusable::Placeholder(installer(tree, &program.path))),
        Form::Unknown => return Err(Unusable::Unknown),
    };
    Ok(Claude {
        version: version(tree, &program.path),
        executable: program.path,
        found_at: found_at.clone(),
        install,
        passed_over: Vec::new(),
    })
}

/// A file that may be executed, as far as owners and permissions go.
struct Program {
    path: HostPath,
    form: Form,
}

impl Program {
    fn in_store(&self) -> bool {
        self.path.as_path().starts_with(STORE)
    }
}

fn open(tree: &Tree, found_at: &HostPath, uid: u32) -> Result<Program, Unusable> {
    let resolved = tree.resolve(found_at).map_err(Unusable::OutOfReach)?;
    let node = match &resolved.node {
        None => return Err(Unusable::Absent),
        Some(node) if node.kind != Kind::File => return Err(Unusable::NotAFile),
        Some(node) if node.mode & 0o111 == 0 => return Err(Unusable::NotExecutable),
        Some(node) => node,
    };
    trust(tree, &resolved, node, uid)?;
    if let Some(name) = resolved.path.name().and_then(program::shim) {
        return Err(Unusable::Shim(name));
    }
    let head = tree
        .read_start(resolved.path.as_path(), HEAD)
        .map_err(Unusable::Unreadable)?;
    Ok(Program {
        form: program::form(&head, node.length),
        path: resolved.path,
    })
}

/// Refuses what another user decides on: the file, each link on the way to it, and each directory that holds one of them.
fn trust(tree: &Tree, resolved: &Resolved, node: &Node, uid: u32) -> Result<(), Unusable> {
    owned(&resolved.path, node, uid)?;
    if node.mode & 0o022 != 0 {
        return Err(Unusable::Writable(resolved.path.clone()));
    }
    for path in resolved.through.iter().chain([&resolved.path]) {
        for (above, place) in path.ancestors().enumerate() {
            let Some(node) = tree.node(place.as_path()).map_err(Unusable::OutOfReach)? else {
                continue;
            };
            owned(&place, &node, uid)?;
            // The sticky bit keeps others from replacing what is not theirs. A directory's group passes: it is the
            // caller's own under a umask of 002, or one that an administrator chose (`staff` of `/usr/local`).
            if above > 0 && node.mode & 0o1002 == 0o002 {
                return Err(Unusable::Writable(place));
            }
        }
    }
    Ok(())
}

fn owned(path: &HostPath, node: &Node, uid: u32) -> Result<(), Unusable> {
    if node.uid == 0 || node.uid == uid {
        Ok(())
    } else {
        Err(Unusable::Owner {
            path: path.clone(),
            uid: node.uid,
        })
    }
}

fn script(tree: &Tree, search: &Search<'_>, path: &HostPath, shebang: &Shebang) -> Result<Install, Unusable> {
    let name = Path::new(&shebang.interpreter).file_name();
    if !name.is_some_and(|name| name == "node" || name == "nodejs") {
        return Err(Unusable::Script(shebang.interpreter.clone()));
    }
    // Only the package itself may be mounted whole: a stray `package.json` could be that of the home directory.
    let package = path
        .ancestors()
        .skip(1)
        .find(|directory| manifest(tree, directory).is_some_and(|manifest| manifest.name == PACKAGE))
        .ok_or(Unusable::Unpackaged)?;
    let interpreter = interpreter(tree, search, &shebang.interpreter)
        .ok_or_else(|| Unusable::Interpreter(shebang.interpreter.clone()))?;
    Ok(Install::Script {
        package,
        interpreter,
        options: shebang.options.clone(),
    })
}

/// The real node: version managers put scripts and programs of their own in its place, which need more than one file.
fn interpreter(tree: &Tree, search: &Search<'_>, name: &OsStr) -> Option<HostPath> {
    let usable = |found_at: HostPath| match open(tree, &found_at, search.uid) {
        Ok(Program { path, form: Form::Elf }) => Some(path),
        _ => None,
    };
    if Path::new(name).components().count() == 1 {
        in_path(search.path, name).find_map(usable)
    } else {
        HostPath::new(name).ok().and_then(usable)
    }
}

/// The postinstall script of the package that holds the placeholder.
fn installer(tree: &Tree, placeholder: &HostPath) -> Option<HostPath> {
    let script = placeholder.parent()?.parent()?.join("install.cjs").ok()?;
    let node = tree.node(script.as_path()).ok()??;
    (node.kind == Kind::File).then_some(script)
}

struct Manifest {
    name: String,
    version: String,
}

/// What `package.json` of a directory says; `None` where there is none that can be read, for it decides nothing alone.
fn manifest(tree: &Tree, directory: &HostPath) -> Option<Manifest> {
    let file = directory.join("package.json").ok()?;
    let content = tree.read(file.as_path(), MANIFEST_MAX).ok()?;
    let document: serde_json::Value = serde_json::from_slice(&content).ok()?;
    let text = |key| document.get(key)?.as_str().map(String::from);
    Some(Manifest {
        name: text("name")?,
        version: text("version")?,
    })
}

fn version(tree: &Tree, executable: &HostPath) -> Option<String> {
    let from_name = |name: Option<&OsStr>| name.and_then(OsStr::to_str).map(String::from);
    let directory = executable.parent()?;
    let told = if let Ok(inside) = executable.as_path().strip_prefix(STORE) {
        // `HASH-NAME-VERSION/bin/claude`
        let package = from_name(inside.iter().next())?;
        program::version_of_store_name(&package).map(String::from)
    } else if directory.name() == Some(OsStr::new("versions")) {
        // The native installer: `versions/VERSION`
        from_name(executable.name())
    } else {
        // `PACKAGE/cli.js`, `PACKAGE/bin/claude.exe`
        [Some(directory.clone()), directory.parent()]
            .into_iter()
            .flatten()
            .filter_map(|directory| manifest(tree, &directory))
            .find(|manifest| manifest.name.starts_with(PACKAGE))
            .map(|manifest| manifest.version)
    };
    told.filter(|version| program::is_version(version))
}
