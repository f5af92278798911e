//! The dry run for programs: bubblewrap's invocation word by word. A secret is named by its variable, never by its value.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::bwrap::{Invocation, Word};
use crate::diagnostic::Refusal;
use crate::host::git::Reservation;
use crate::invariants::plan::{PinnedLink, Plan, Preparation, Reserved};

use super::document::{self as doc, Text};
use super::{print, verdict};

/// The invocation of a plan.
#[must_use]
pub fn invocation(bwrap: &OsStr, plan: &Plan, invocation: &Invocation) -> String {
    let words = invocation.options.iter().map(|word| match word {
        Word::Plain(word) => doc::Word::Plain { text: Text::of(word) },
        Word::Secret { name, .. } => doc::Word::Secret {
            variable: Text::of(name.as_os_str()),
        },
        Word::File(index) => doc::Word::File { index: *index },
        Word::Lifeline => doc::Word::Lifeline,
    });
    print(&doc::DryRun {
        schema: doc::DRY_RUN,
        program: Text::of(bwrap),
        options: words.collect(),
        files: invocation
            .files
            .iter()
            .map(|content| Text::of(OsStr::from_bytes(content)))
            .collect(),
        command: invocation.command.iter().map(|word| Text::of(word)).collect(),
        preparations: plan.preparations().iter().filter_map(preparation).collect(),
        reservations: plan.reserved().iter().filter_map(reservation).collect(),
        links: plan.links().iter().map(link).collect(),
        verdict: verdict(None),
    })
}

/// The document of a launch that is refused: there is no invocation.
#[must_use]
pub fn refused(refusal: &Refusal) -> String {
    print(&doc::DryRun {
        schema: doc::DRY_RUN,
        program: Text::of(OsStr::new("bwrap")),
        options: Vec::new(),
        files: Vec::new(),
        command: Vec::new(),
        preparations: Vec::new(),
        reservations: Vec::new(),
        links: Vec::new(),
        verdict: verdict(Some(refusal)),
    })
}

/// What is there already, because a session left it or it is the user's own, is not made.
fn reservation(reserved: &Reserved) -> Option<doc::Reservation> {
    let path = Text::of(reserved.path.as_os_str());
    reserved.absent.then(|| match reserved.content {
        Reservation::EmptyDirectory => doc::Reservation::Directory { path },
        Reservation::EmptyFile | Reservation::Content(_) => doc::Reservation::File {
            path,
            content: Text::of(OsStr::from_bytes(reserved.content.bytes())),
        },
    })
}

fn link(link: &PinnedLink) -> doc::PinnedLink {
    doc::PinnedLink {
        at: Text::of(link.at.as_os_str()),
        path: Text::of(link.path.as_os_str()),
    }
}

fn preparation(preparation: &Preparation) -> Option<doc::Preparation> {
    Some(match preparation {
        // Nothing is made.
        Preparation::Existing(_) => return None,
        Preparation::Lock(path) => doc::Preparation::Lock {
            path: Text::of(path.as_os_str()),
        },
        Preparation::Replace { path, says, .. } => doc::Preparation::Replace {
            path: Text::of(path.as_os_str()),
            says,
        },
        Preparation::Directory(path) => doc::Preparation::Directory {
            path: Text::of(path.as_os_str()),
        },
        Preparation::File { path, content, secret } => doc::Preparation::File {
            path: Text::of(path.as_os_str()),
            content: (!secret).then(|| Text::of(OsStr::from_bytes(content))),
        },
        Preparation::Move { from, to, replace } => doc::Preparation::Move {
            from: Text::of(from.as_os_str()),
            to: Text::of(to.as_os_str()),
            replace: *replace,
        },
    })
}
