//! Makes on the host what the plan says must be there before the start: the directories and first files of the state.
//! Every step is whole or not there, so a launch that is killed leaves what the next one goes on with; many at once are as
//! good as one. Directories are opened one by one from the home on, never through a link, and each must be the caller's alone.

pub mod canary;
pub mod guard;
mod whole;

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::umask;

use crate::diagnostic::Diagnostic;
use crate::host::tree::{kind_of, plain};
use crate::invariants::plan::{Plan, Preparation};
use crate::path::HostPath;
use crate::state::unfit;
use crate::sys::{self, Lock};

use whole::{appear, move_file, replace, write_new};

/// How often a launch begins anew because its instance was taken away under its hands: that takes a `--gc` at that very moment.
const ATTEMPTS: usize = 10;

/// What a launch holds until the sandbox has its own.
#[derive(Debug, Default)]
pub struct Held {
    lock: Option<OwnedFd>,
}

impl Held {
    /// Lets bubblewrap inherit the lock: it closes it in each of its processes once it has forked the next, and the first
    /// process inside is the last that has it.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn keep_over_exec(&self) -> io::Result<()> {
        match &self.lock {
            Some(lock) => Ok(fcntl_setfd(lock, FdFlags::empty())?),
            None => Ok(()),
        }
    }
}

/// Makes all of it, in order.
///
/// # Errors
/// The first thing that could not be made. What was made before it stays: each piece is whole, and the next launch goes on.
pub fn all(plan: &Plan, uid: u32, state: &HostPath) -> Result<Held, Diagnostic> {
    let _umask = OwnAlone::set();
    for _ in 0..ATTEMPTS {
        if let Some(held) = once(plan, uid, state)? {
            return Ok(held);
        }
    }
    Err(Diagnostic::new(
        "state",
        format!("the directories in `{state}` are removed as fast as they are made"),
    )
    .hint("is another claudebox, or a script, cleaning up there? try again"))
}

/// While this lives, what is made is the caller's alone and the caller's to use, whatever the umask. To change modes afterwards
/// would follow a link that an agent laid in between.
struct OwnAlone(Mode);

impl OwnAlone {
    fn set() -> Self {
        Self(umask(Mode::RWXG | Mode::RWXO))
    }
}

impl Drop for OwnAlone {
    fn drop(&mut self) {
        umask(self.0);
    }
}

/// One attempt; `None` where something that was there at its beginning was taken away.
fn once(plan: &Plan, uid: u32, state: &HostPath) -> Result<Option<Held>, Diagnostic> {
    let mut held = Held::default();
    let mut maker = Maker::new(uid, state);
    for preparation in plan.preparations() {
        let done = maker.make(preparation);
        match done {
            Ok(lock) => held.lock = lock.or(held.lock),
            Err(Stop::Vanished) => return Ok(None),
            Err(Stop::Failed(error)) => return Err(*error),
        }
    }
    Ok(Some(held))
}

/// Why a step was not done.
enum Stop {
    /// A directory above it, or itself, is not there any more.
    Vanished,
    Failed(Box<Diagnostic>),
}

impl From<Diagnostic> for Stop {
    fn from(error: Diagnostic) -> Self {
        Self::Failed(Box::new(error))
    }
}

fn failed(what: &str, path: &HostPath, error: Errno) -> Stop {
    Diagnostic::new("state", format!("cannot {what} `{path}`: {}", plain(&error.into())))
        .hint("claudebox keeps its state in `~/.claudebox`; check its owner, its mode and the free space")
        .into()
}

struct Maker<'run> {
    uid: u32,
    state: &'run HostPath,
    /// The directory that was opened last: most steps are in it or below it.
    last: Option<(HostPath, Rc<OwnedFd>)>,
}

impl<'run> Maker<'run> {
    fn new(uid: u32, state: &'run HostPath) -> Self {
        let last = None;
        Self { uid, state, last }
    }

    fn make(&mut self, preparation: &Preparation) -> Result<Option<OwnedFd>, Stop> {
        let path = preparation.path();
        let (directory, name) = self.parent(path)?;
        match preparation {
            Preparation::Directory(_) | Preparation::Existing(_) => {
                let open = self.directory(&directory, name, path)?;
                self.last = Some((path.clone(), Rc::new(open)));
            }
            Preparation::Lock(_) => return self.lock(&directory, name, path).map(Some),
            Preparation::File { content, .. } => {
                write_new(&directory, name, content).map_err(|error| vanished("write", path, error))?;
            }
            Preparation::Replace { content, .. } => {
                replace(&directory, name, content).map_err(|error| vanished("write", path, error))?;
            }
            Preparation::Move { from, replace, .. } => {
                let (source, old) = self.parent(from)?;
                move_file(&source, old, &directory, name, *replace).map_err(|error| failed("move", from, error))?;
            }
        }
        Ok(None)
    }

    /// Opens the directory that holds a path of the state.
    fn parent<'path>(&mut self, path: &'path HostPath) -> Result<(Rc<OwnedFd>, &'path OsStr), Stop> {
        let outside = || Stop::from(Diagnostic::new("internal", format!("`{path}` is no part of the state")));
        let (parent, name) = path.parent().zip(path.name()).ok_or_else(outside)?;
        let (mut place, mut open) = match self.last.take() {
            Some(last) if parent.within(&last.0) => last,
            _ => {
                let home = self.state.parent().ok_or_else(outside)?;
                let open = openat(CWD, home.as_path(), DIRECTORY, Mode::empty());
                let open = open.map_err(|error| failed("open", &home, error))?;
                (home, Rc::new(open))
            }
        };
        let below = parent.below(&place).ok_or_else(outside)?.to_path_buf();
        for step in &below {
            place = place.join(step).map_err(|_| outside())?;
            open = Rc::new(self.open(&open, step, &place)?);
        }
        self.last = Some((place, Rc::clone(&open)));
        Ok((open, name))
    }

    /// Opens one directory of the state, which must be fit for it.
    fn open(&self, parent: &OwnedFd, name: &OsStr, path: &HostPath) -> Result<OwnedFd, Stop> {
        match openat(parent, name, DIRECTORY, Mode::empty()) {
            Ok(open) => {
                let status = fstat(&open).map_err(|error| failed("look at", path, error))?;
                self.fit(path, &status)?;
                Ok(open)
            }
            Err(Errno::NOENT) => Err(Stop::Vanished),
            // A link, or a file: what is wrong is said in the words of the plan.
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                let status =
                    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failed("look at", path, error))?;
                self.fit(path, &status)?;
                Err(failed("open", path, error))
            }
            Err(error) => Err(failed("open", path, error)),
        }
    }

    fn fit(&self, path: &HostPath, status: &rustix::fs::Stat) -> Result<(), Stop> {
        match unfit(
            path,
            &kind_of(status.st_mode),
            status.st_uid,
            status.st_mode & 0o7777,
            self.uid,
        ) {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    fn directory(&self, parent: &OwnedFd, name: &OsStr, path: &HostPath) -> Result<OwnedFd, Stop> {
        match mkdirat(parent, name, Mode::RWXU) {
            // Just made; or it was there, or another launch was faster.
            Ok(()) | Err(Errno::EXIST) => self.open(parent, name, path),
            // A file system without write access that has the directory says this first.
            Err(error) => match self.open(parent, name, path) {
                Ok(open) => Ok(open),
                Err(Stop::Vanished) => Err(vanished("make the directory", path, error)),
                Err(stop) => Err(stop),
            },
        }
    }

    /// Takes the instance's lock, and makes sure that it is still the instance's: a `--gc` moves an instance away while it
    /// alone holds the lock, and who waited for that holds the lock of something that is no more.
    fn lock(&mut self, parent: &OwnedFd, name: &OsStr, path: &HostPath) -> Result<OwnedFd, Stop> {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            openat(parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(|error| vanished("open", path, error))?;
        sys::lock_wait(&file, Lock::Shared)
            .map_err(|error| failed("lock", path, Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let ours = fstat(&file).map_err(|error| failed("look at", path, error))?;
        // By its name, from the home on: the directory that is open may have another name by now.
        self.last = None;
        let (parent, name) = self.parent(path)?;
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) => Ok(file),
            _ => Err(Stop::Vanished),
        }
    }
}

/// Remembers something in the state: the file is replaced as a whole, and the directories above it are made.
///
/// # Errors
/// It cannot be written, or a directory could be written by someone else.
pub fn record(path: &HostPath, content: &[u8], uid: u32, state: &HostPath) -> Result<(), Diagnostic> {
    let mut steps: Vec<Preparation> = path
        .ancestors()
        .skip(1)
        .take_while(|directory| directory.within(state))
        .map(Preparation::Directory)
        .collect();
    steps.reverse();
    steps.push(Preparation::Replace {
        path: path.clone(),
        content: content.to_vec(),
        says: "",
    });
    let mut maker = Maker::new(uid, state);
    for step in &steps {
        match maker.make(step) {
            Ok(_) => {}
            Err(Stop::Failed(error)) => return Err(*error),
            Err(Stop::Vanished) => {
                return Err(
                    Diagnostic::new("state", format!("`{path}` was taken away while it was written"))
                        .hint("is another claudebox, or a script, cleaning up there? try again"),
                );
            }
        }
    }
    Ok(())
}

/// Writes a file that the user asked for. It appears whole or not at all, readable for the user alone, and never in the place of
/// another: not even of a link.
///
/// # Errors
/// Something of that name exists, or it cannot be written.
pub fn new_file(path: &Path, content: &[u8]) -> Result<(), Diagnostic> {
    let written = || -> Result<(), Errno> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
        appear(&parent, name, content)
    };
    written().map_err(|error| {
        let shown = crate::path::printable(path.as_os_str());
        let message = format!("cannot write `{shown}`: {}", plain(&error.into()));
        Diagnostic::new("output", message)
            .hint("name a file that does not exist yet, in a directory that you can write to")
    })
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn vanished(what: &str, path: &HostPath, error: Errno) -> Stop {
    if error == Errno::NOENT {
        Stop::Vanished
    } else {
        failed(what, path, error)
    }
}

/// Replaces the report of a session as a whole; an empty one is removed.
///
/// # Errors
/// The kernel's answer. The old report stays then.
pub fn report(path: &HostPath, content: &[u8]) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
        return Ok(());
    };
    if content.is_empty() {
        return match unlinkat(CWD, path.as_path(), AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        };
    }
    match mkdirat(CWD, parent.as_path(), Mode::RWXU) {
        Err(error) if error != Errno::EXIST => return Err(error.into()),
        _ => {}
    }
    let directory = openat(CWD, parent.as_path(), DIRECTORY, Mode::empty())?;
    Ok(replace(&directory, name, content)?)
}
