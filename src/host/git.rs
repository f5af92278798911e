//! Finds the repository that a directory belongs to, by reading git's files and never by running git: what a repository
//! says of itself decides what gets mounted, so each pointer must be canonical, owned by the caller and confirmed by a
//! pointer back. What contradicts itself is [`Forged`] and refused.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::host::tree::{Kind, Tree, Unreadable};
use crate::path::{HostPath, printable};

pub mod config;
pub mod identity;
mod judge;
mod named;
mod nested;
mod parts;
mod settings;
mod surface;
#[cfg(test)]
mod tests;
mod walk;

use judge::Judge;
use settings::Settings;

pub use judge::RESERVED_COMMON_DIR;
pub use surface::{Gap, Protection, Reservation, Surface, SurfaceItem, surface, surface_of_folder};

/// A repository whose pointers all agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The directory that holds `.git`; the repository's own directory where it is bare.
    pub work_tree: HostPath,
    /// The git directory of this very work tree: for a linked worktree its entry below `worktrees`.
    pub git_dir: HostPath,
    /// The git directory with the objects, the references and the configuration.
    pub common_dir: HostPath,
    /// How the parts lie to each other.
    pub layout: Layout,
    /// The caller's home directory, which `~` stands for in the configuration.
    home: HostPath,
    /// The caller, who owns all of it.
    uid: u32,
    /// See [`canonical_root`].
    root: HostPath,
}

/// How work tree and git directory lie to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `.git` is a directory in the work tree.
    Plain,
    /// Made by `git worktree add`.
    Worktree {
        /// The main work tree; `None` where the repository is bare or does not tell.
        main: Option<HostPath>,
        /// The name of the entry below `worktrees`.
        name: OsString,
    },
    /// A submodule, whose git directory lies below a `modules` directory.
    Submodule {
        /// The nearest work tree around it.
        superproject: Option<HostPath>,
    },
    /// No work tree of its own.
    Bare,
    /// `.git` is a file that names a directory elsewhere.
    SeparateGitDir {
        /// Whether the git directory lies inside the work tree or names it in `core.worktree`. Where it does neither,
        /// nothing but the project itself says that the directory belongs to it: see [`Repository::unconfirmed`].
        confirmed: bool,
    },
}

impl Repository {
    /// What must be mounted read-write so that git works in the work tree: the work tree itself and what lies outside
    /// of it; parents before children.
    #[must_use]
    pub fn roots(&self) -> Vec<HostPath> {
        let mut roots = vec![self.work_tree.clone()];
        if self.work_tree.within(&self.common_dir) && self.work_tree != self.common_dir {
            roots.insert(0, self.common_dir.clone());
        } else if !self.common_dir.within(&self.work_tree) {
            roots.push(self.common_dir.clone());
        }
        roots
    }

    /// The git directory, where only the project's own `.git` file claims it: an honest `--separate-git-dir` and a
    /// pointer forged to another repository of the same user look the same, so the user's policy has to name it.
    #[must_use]
    pub fn unconfirmed(&self) -> Option<&HostPath> {
        (self.layout == Layout::SeparateGitDir { confirmed: false }).then_some(&self.git_dir)
    }
}

/// What an instance is keyed by, so that all work trees of one repository share it: the main work tree, the bare
/// repository's directory where there is none, and for a submodule its own work tree.
#[must_use]
pub fn canonical_root(repository: &Repository) -> &HostPath {
    &repository.root
}

/// The repository's own settings, by the file that holds them. Their form was judged when the repository was found, so a file
/// that is absent or changed meanwhile has none.
#[must_use]
pub fn settings(tree: &Tree, repository: &Repository) -> Vec<(HostPath, Vec<config::Entry>)> {
    let files = [
        repository.common_dir.join("config"),
        repository.git_dir.join("config.worktree"),
    ];
    files
        .into_iter()
        .filter_map(|file| {
            let file = file.ok()?;
            let text = tree.read(file.as_path(), judge::CONFIG_MAX).ok()?;
            Some((file, config::parse(&text).ok()?))
        })
        .collect()
}

/// A repository that contradicts itself, or a part of it that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forged {
    /// The file or directory that is wrong.
    pub path: PathBuf,
    /// What is wrong: completes a sentence that begins with the path.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl Forged {
    fn new(path: &HostPath, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            path: path.as_path().to_path_buf(),
            why: why.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", printable(self.path.as_os_str()), self.why)
    }
}

impl std::error::Error for Forged {}

impl From<Unreadable> for Forged {
    fn from(unreadable: Unreadable) -> Self {
        Self {
            path: unreadable.path,
            why: format!("cannot be examined: {}", unreadable.why),
            hint: "make it readable for you, or start in another directory".into(),
        }
    }
}

/// Whether an entry of a configuration makes git run a program, or read other files that could.
#[must_use]
pub fn runs(entry: &config::Entry) -> bool {
    let names = || {
        entry
            .value
            .as_ref()
            .is_some_and(|value| named::names_command(entry, value))
    };
    let monitor = entry.is("core", "fsmonitor")
        && entry.value.as_deref().is_none_or(|value| {
            matches!(
                value.to_ascii_lowercase().as_slice(),
                b"" | b"true" | b"false" | b"yes" | b"no" | b"on" | b"off" | b"0" | b"1"
            )
        });
    let includes = matches!(&*entry.section, b"include" | b"includeif") && entry.key == b"path";
    !monitor && (names() || includes || entry.is("core", "hookspath"))
}

/// Finds the repository of `start`, a canonical path: the nearest directory upward that holds `.git` or is a bare
/// repository.
///
/// The search ends below `home`. A repository in `home` itself or above is one of dotfiles: taken for the project of
/// every directory without a nearer one, it would have all of `home` mounted.
///
/// # Errors
/// When the nearest repository contradicts itself, is owned by someone else, or cannot be examined. The search does
/// not go on past it: git would not either.
pub fn discover(tree: &Tree, start: &HostPath, home: &HostPath, uid: u32) -> Result<Option<Repository>, Forged> {
    let judge = Judge::new(tree, home, uid)?;
    for directory in start.ancestors() {
        if judge.at_or_above_home(&directory) {
            return Ok(None);
        }
        let entry = judge::at(&directory, ".git")?;
        match judge.kind(&entry)? {
            Some(Kind::Directory) => {
                if let Some(repository) = plain(&judge, &directory, entry)? {
                    return Ok(Some(repository));
                }
            }
            Some(Kind::File) => return pointed(&judge, directory, &entry).map(Some),
            Some(Kind::Link(_)) => {
                return Err(Forged::new(
                    &entry,
                    "is a symbolic link",
                    "a link cannot be protected from being replaced; a file with `gitdir: PATH` does the same",
                ));
            }
            Some(Kind::Socket | Kind::Special) => {
                return Err(Forged::new(
                    &entry,
                    "is neither a directory nor a regular file",
                    "remove it",
                ));
            }
            None => {}
        }
        // Inside of a git directory the work tree around it is meant, not the directory as a bare repository.
        let inside = directory
            .ancestors()
            .any(|path| path.name().is_some_and(|name| name == ".git"));
        if !inside && judge.looks_like_git_dir(&directory)? {
            return bare(&judge, directory.clone(), directory).map(Some);
        }
    }
    Ok(None)
}

/// `directory/.git` is a directory. `None` where git would not take it for a repository and goes on upward.
fn plain(judge: &Judge<'_>, directory: &HostPath, git_dir: HostPath) -> Result<Option<Repository>, Forged> {
    if !judge.looks_like_git_dir(&git_dir)? {
        judge.no_common_dir(&git_dir)?;
        return Ok(None);
    }
    judge.owned_directory(directory)?;
    let settings = judge.git_dir(&git_dir)?;
    if settings.bare == Some(true) {
        return bare(judge, directory.clone(), git_dir).map(Some);
    }
    judge.leads_back(&git_dir, settings.work_tree.as_ref(), directory)?;
    Ok(Some(Repository {
        root: directory.clone(),
        common_dir: git_dir.clone(),
        ..judge.repository(directory.clone(), git_dir, Layout::Plain)
    }))
}

/// `directory` is a bare repository, or holds one as `.git`.
fn bare(judge: &Judge<'_>, directory: HostPath, git_dir: HostPath) -> Result<Repository, Forged> {
    judge.owned_directory(&directory)?;
    let settings = judge.git_dir(&git_dir)?;
    if settings.bare == Some(false) || settings.work_tree.is_some() {
        return Err(Forged::new(
            &git_dir,
            "is the git directory of a work tree elsewhere",
            "start in the work tree",
        ));
    }
    Ok(Repository {
        root: directory.clone(),
        ..judge.repository(directory, git_dir, Layout::Bare)
    })
}

/// `directory/.git` is a file that names the git directory.
fn pointed(judge: &Judge<'_>, directory: HostPath, entry: &HostPath) -> Result<Repository, Forged> {
    judge.owned_directory(&directory)?;
    let line = judge.line(entry)?;
    let Some(target) = line.strip_prefix(b"gitdir: ".as_slice()) else {
        return Err(Forged::new(
            entry,
            "does not begin with `gitdir: `",
            "git cannot read it either; remove it or restore it with `git worktree repair` or `git submodule update`",
        ));
    };
    let git_dir = judge.follow(entry, &directory, target)?;
    judge.git_dir_place(&git_dir)?;
    match judge.common_dir(&git_dir)? {
        Some(common_dir) => worktree(judge, directory, entry, git_dir, common_dir),
        None => separate(judge, directory, git_dir),
    }
}

fn worktree(
    judge: &Judge<'_>,
    directory: HostPath,
    entry: &HostPath,
    git_dir: HostPath,
    common_dir: HostPath,
) -> Result<Repository, Forged> {
    judge.git_dir_place(&common_dir)?;
    let settings = judge.git_dir(&common_dir)?;
    if git_dir.parent() != Some(judge::at(&common_dir, "worktrees")?) {
        return Err(Forged::new(
            &judge::at(&git_dir, "commondir")?,
            format!("names `{common_dir}`, which does not hold it as one of its worktrees"),
            "no `git worktree add` makes this: look at who wrote it",
        ));
    }
    let back = judge::at(&git_dir, "gitdir")?;
    if judge.kind(&back)?.is_none() {
        return Err(Forged::new(&back, "is missing", judge::REPAIR));
    }
    if judge.follow(&back, &git_dir, &judge.line(&back)?)? != *entry {
        return Err(Forged::new(
            &back,
            format!("does not lead back to `{entry}`"),
            judge::REPAIR,
        ));
    }
    judge.worktree_entry(&git_dir)?;
    // `core.bare` and `core.worktree` of the common configuration are the main work tree's alone.
    let mut own = Settings::default();
    if settings.per_worktree {
        judge.worktree_settings(&git_dir, &mut own)?;
    }
    judge.leads_back(&git_dir, own.work_tree.as_ref(), &directory)?;
    let name = git_dir.name().unwrap_or_default().to_os_string();
    let main = judge.main_work_tree(&common_dir, &settings)?;
    let root = match &main {
        Some(main) => main.clone(),
        None => judge::holder(&common_dir),
    };
    Ok(Repository {
        root,
        common_dir,
        ..judge.repository(directory, git_dir, Layout::Worktree { main, name })
    })
}

/// A git directory without `commondir`: a submodule's, or one made with `--separate-git-dir`.
fn separate(judge: &Judge<'_>, directory: HostPath, git_dir: HostPath) -> Result<Repository, Forged> {
    let settings = judge.git_dir(&git_dir)?;
    judge.leads_back(&git_dir, settings.work_tree.as_ref(), &directory)?;
    let named = settings.work_tree.is_some();
    let module = git_dir
        .ancestors()
        .skip(1)
        .any(|path| path.name().is_some_and(|name| name == "modules"));
    let layout = if named && module {
        Layout::Submodule {
            superproject: judge.work_tree_around(&directory)?,
        }
    } else {
        Layout::SeparateGitDir {
            confirmed: named || git_dir.within(&directory),
        }
    };
    // The worktrees of a repository whose main work tree they cannot find are keyed by its git directory: so is this.
    let root = if !named && git_dir.within(&directory) {
        git_dir.clone()
    } else {
        directory.clone()
    };
    Ok(Repository {
        root,
        ..judge.repository(directory, git_dir, layout)
    })
}
