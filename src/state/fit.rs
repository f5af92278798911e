//! What is wrong with a part of the state that is there already, in words. Pure; who looks at it is elsewhere.

use crate::diagnostic::Diagnostic;
use crate::host::tree::Kind;
use crate::path::HostPath;

/// What is wrong with a directory of the state, if anything: it must be one, the caller's, and nobody else's to write.
#[must_use]
pub fn unfit(path: &HostPath, kind: &Kind, owner: u32, mode: u32, uid: u32) -> Option<Diagnostic> {
    let (wrong, hint) = match kind {
        Kind::Directory if owner != uid => (
            format!("belongs to the user {owner}, not to you"),
            format!("start claudebox as that user, or move it away: mv {path} {path}.old"),
        ),
        Kind::Directory if mode & 0o022 != 0 => (
            format!("can be written by others (mode {mode:04o})"),
            format!("make it yours alone: chmod 700 {path}"),
        ),
        Kind::Directory => return None,
        Kind::Link(_) => (
            "is a symbolic link, and claudebox follows none in its own state".into(),
            "put the directory itself there, or mount it there".into(),
        ),
        Kind::File | Kind::Socket | Kind::Special => {
            ("is no directory".into(), format!("move it away: mv {path} {path}.old"))
        }
    };
    Some(Diagnostic::new("state", format!("`{path}` {wrong}")).hint(hint))
}

/// Something else lies where a mount belongs, in the part of the state that can be written from inside.
pub(super) fn displaced(path: &HostPath) -> Diagnostic {
    Diagnostic::new("state", format!("`{path}` is not what claudebox made there")).hint(format!(
        "it was replaced from inside the sandbox: look at it, and move it away: mv {path} {path}.old"
    ))
}
