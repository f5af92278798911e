//! `--gc`: removes the state of projects that are gone. Says first what and why, and asks; keeps whatever is in doubt.
//! Reads and removes by descriptors below the directory of instances, never by a path that could lead out of it.

mod remove;
mod survey;
mod text;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use crate::cli::Cli;
use crate::diagnostic::{Diagnostic, Refusal};
use crate::host::own::Own;
use crate::host::tree::{kind_of, plain};
use crate::output;
use crate::path::HostPath;
use crate::prompt;
use crate::state::unfit;

use remove::Outcome;
use survey::Survey;

/// How directories are opened: themselves, never what a link in their place points to.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Where instances are moved before they are removed. No instance has such a name: theirs end with a hash.
const TRASH: &str = ".trash";

/// The whole of `--gc`: 0, or 1 where something that was to be removed could not be.
///
/// # Errors
/// The state cannot be looked at, or nobody confirmed.
pub fn run(cli: &Cli) -> Result<u8, Refusal> {
    let own = Own::gather()?;
    if cli.json && !cli.yes && !cli.dry_run {
        return Err(Refusal::one(
            Diagnostic::new("confirmation", "`--gc --json` asks nobody")
                .hint("look at `claudebox --gc --json --dry-run`, then use `--gc --json --yes`"),
        ));
    }
    let Some(instances) = open_instances(&own)? else {
        let nothing = Survey::default();
        output::result(&if cli.json {
            text::json(&nothing, None)
        } else {
            text::survey(&nothing)
        });
        return Ok(0);
    };
    let survey = survey::survey(&instances).map_err(|error| cannot("read", &own.state, error))?;
    if !cli.json {
        output::result(&text::survey(&survey));
    }
    if cli.dry_run {
        if cli.json {
            output::result(&text::json(&survey, None));
        }
        return Ok(0);
    }
    if !survey.remove.is_empty() && !cli.yes {
        prompt::ask(
            own.terminal.input,
            "Remove this for good?",
            "look at `claudebox --gc --dry-run`, then use `claudebox --gc --yes`",
        )?;
    }
    let outcomes = if survey.remove.is_empty() && !survey.unfinished {
        Vec::new()
    } else {
        remove::all(&instances, &survey).map_err(|error| cannot("clean up", &own.state, error))?
    };
    let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_)));
    output::result(&if cli.json {
        text::json(&survey, Some(&outcomes))
    } else {
        text::outcomes(&survey, &outcomes)
    });
    Ok(u8::from(failed))
}

fn cannot(what: &str, path: &HostPath, error: Errno) -> Refusal {
    Refusal::one(
        Diagnostic::new("state", format!("cannot {what} `{path}`: {}", plain(&error.into())))
            .hint("claudebox keeps its state there; check its owner and its mode"),
    )
}

/// Opens the directory of instances; `None` where there is none yet.
fn open_instances(own: &Own) -> Result<Option<OwnedFd>, Refusal> {
    let mut place = own.home.clone();
    let mut open =
        openat(CWD, place.as_path(), DIRECTORY, Mode::empty()).map_err(|error| cannot("open", &place, error))?;
    for name in own.state.name().into_iter().chain([OsStr::new("instances")]) {
        place = place
            .join(name)
            .map_err(|why| Refusal::one(Diagnostic::new("internal", why.to_string())))?;
        let status = match statat(&open, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(cannot("look at", &place, error)),
        };
        check(&place, &status, own)?;
        open = openat(&open, name, DIRECTORY, Mode::empty()).map_err(|error| cannot("open", &place, error))?;
        check(
            &place,
            &fstat(&open).map_err(|error| cannot("look at", &place, error))?,
            own,
        )?;
    }
    Ok(Some(open))
}

fn check(place: &HostPath, status: &rustix::fs::Stat, own: &Own) -> Result<(), Refusal> {
    let kind = kind_of(status.st_mode);
    match unfit(place, &kind, status.st_uid, status.st_mode & 0o7777, own.uid) {
        Some(error) => Err(Refusal::one(error)),
        None => Ok(()),
    }
}
