//! What a session leaves that no mount can keep it from leaving, and that programs of the host would run or obey: found by
//! looking before and after, and told with what it would do and how to undo it. Runs nothing, git least of all.

mod index;
mod look;
pub mod report;

use std::collections::BTreeMap;

use crate::host::Host;
use crate::path::HostPath;

pub use look::look;

/// What one thing that was found would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A repository whose configuration or hooks run something.
    Repository,
    /// A configuration of the project's own repository that runs something.
    Configuration,
    /// A link in a git directory.
    Link,
    /// An index entry that would be written into the git directory.
    Index,
    /// An operation of git's that was left in the middle.
    Operation,
    /// Entries whose changes git does not show.
    Hidden,
    /// Objects that git shows in place of others.
    Replaced,
    /// A file that a program of the host obeys unasked.
    Unasked,
    /// Instructions that a Claude Code on the host would follow.
    Instructions,
    /// A description of what a build server runs.
    Server,
}

/// Every kind: its word in the report's file, what it does, and how to undo it.
const KINDS: &[(Kind, &str, &str, &str)] = &[
    (
        Kind::Repository,
        "repository",
        "is a repository whose settings or hooks run a program as soon as git looks into it; `git status` above it may be enough",
        "look at its `.git`, and remove that before git runs there",
    ),
    (
        Kind::Configuration,
        "configuration",
        "got settings that name programs for git to run",
        "look at it, and remove what you did not write",
    ),
    (
        Kind::Link,
        "link",
        "is a link: git would write where it leads",
        "remove it before the next git command",
    ),
    (
        Kind::Index,
        "index",
        "holds entries that `git checkout -- .` or `git restore .` would write into the git directory, as hooks for one",
        "remove it and run `git reset`, which makes it anew from the last commit",
    ),
    (
        Kind::Operation,
        "operation",
        "is an operation left in the middle: to continue it may run commands from it",
        "end it with `git rebase --abort` or `git cherry-pick --abort`, which run nothing, and not with `--continue`",
    ),
    (
        Kind::Hidden,
        "hidden",
        "has entries whose changes `git status` and `git diff` do not show",
        "`git update-index --really-refresh`, and `git ls-files -v` to list them",
    ),
    (
        Kind::Replaced,
        "replaced",
        "makes git show other content than was committed",
        "`git replace --list` shows them, `git replace -d NAME` removes one",
    ),
    (
        Kind::Unasked,
        "unasked",
        "is new or another, and programs of this host obey it unasked: a shell that enters, an editor or a Claude Code that opens the project",
        "read it before you open the project or commit; remove it if you did not ask for it",
    ),
    (
        Kind::Instructions,
        "instructions",
        "is new or another: a Claude Code on this host follows it",
        "read it before you start one outside the sandbox",
    ),
    (
        Kind::Server,
        "server",
        "is new or another: a build server runs it, with its own secrets, once it is pushed",
        "read it before you push",
    ),
];

/// What was found: the path, the kind, and a mark that changes with the content.
pub type Found = BTreeMap<(HostPath, Kind), String>;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The project's directory.
    pub project: HostPath,
    /// Git directories that are known: the project's own.
    pub git_dirs: Vec<HostPath>,
    /// The file of the report.
    pub report: HostPath,
}

impl Places {
    /// The places of a launch.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let mut git_dirs: Vec<HostPath> = Vec::new();
        if let Some(repository) = &host.repository {
            for directory in [&repository.common_dir, &repository.git_dir] {
                if !git_dirs.contains(directory) {
                    git_dirs.push(directory.clone());
                }
            }
        } else if let Ok(git) = host.project.join(".git") {
            // Whoever looks again finds a repository here, if the session has made one.
            git_dirs.push(git);
        }
        let state = &host.places.state;
        let reports = state.join("reports").unwrap_or_else(|_| state.clone());
        let name = crate::state::instance_name(&host.project);
        Self {
            project: host.project.clone(),
            git_dirs,
            report: reports.join(name).unwrap_or(reports),
        }
    }
}
