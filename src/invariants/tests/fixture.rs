//! The host, the policy and the words that the tests of invariants are written with.

use std::path::Path;
use std::rc::Rc;

use crate::host::tree::{Kind, Tree};
use crate::host::{self, Host};
use crate::request::{Program, Request};
use crate::script::layer::Source;
use crate::{Decided, decide_with};

/// A request to run `true`.
pub(super) fn request() -> Request {
    Request {
        program: Program::Command,
        arguments: vec!["true".into()],
        ..Request::default()
    }
}

/// A host with a home, a project and a distribution's `/usr`.
pub(super) fn tree() -> Tree {
    let mut tree = Tree::described();
    for directory in [
        "/usr/bin",
        "/usr/lib",
        "/etc",
        "/home/u/p",
        "/home/u/.claudebox",
        "/home/u/.config/claudebox",
        "/srv/data",
    ] {
        tree.describe(Path::new(directory), Kind::Directory, 0, b"");
    }
    tree.alter(Path::new("/home/u/.claudebox"), |node| node.uid = 1000);
    tree.describe(Path::new("/home/u/.ssh/id"), Kind::File, 1000, b"key");
    tree.describe(Path::new("/home/u/.config/gcloud/db"), Kind::File, 1000, b"key");
    tree.describe(Path::new("/home/u/keys"), Kind::Link(".ssh".into()), 1000, b"");
    tree.describe(Path::new("/home/u/all"), Kind::Link("/home/u".into()), 1000, b"");
    tree.describe(Path::new("/run/docker.sock"), Kind::Socket, 0, b"");
    tree.describe(Path::new("/srv/data/x.sock"), Kind::Socket, 0, b"");
    tree.describe(Path::new("/srv/data/pipe"), Kind::Special, 0, b"");
    tree.describe(Path::new("/srv/data/file"), Kind::File, 0, b"data");
    tree.describe(Path::new("/srv/data/link"), Kind::Link("/srv".into()), 0, b"");
    tree.describe(Path::new("/usr/bin/bwrap"), Kind::File, 0, b"");
    tree.describe(Path::new("/usr/bin/claudebox"), Kind::File, 0, b"");
    tree
}

/// Asks a user policy, on top of one that mounts the project alone.
pub(super) fn decided(policy: &str, host: &Rc<Host>, request: &Request) -> Decided {
    let source = |layer: &str, file: &str, text: &str| Source {
        layer: layer.into(),
        file: file.into(),
        text: text.into(),
    };
    let base = "fn variable(host, name) { env::hide(\"not on the list\") }\n\
                fn mounts(host) { mount::rw(host.project, \"the project\"); }\n\
                fn network(host) { net::none(\"none\"); }\n";
    decide_with(
        &[source("bundled", "base.rhai", base), source("user", "p.rhai", policy)],
        host,
        request,
    )
}

/// The text of the refusal, or `granted`.
pub(super) fn refusal(policy: &str, host: &Rc<Host>) -> String {
    match decided(policy, host, &request()).verdict.outcome {
        Ok(_) => "granted".into(),
        Err(refusal) => refusal.to_string(),
    }
}

/// The refusal of one line in the hook `mounts`.
pub(super) fn mounts(line: &str) -> String {
    mounts_on(line, tree())
}

/// The same on a host with this tree.
pub(super) fn mounts_on(line: &str, tree: Tree) -> String {
    refusal(
        &format!("fn mounts(host) {{\n    base::mounts(host);\n    {line}\n}}\n"),
        &host::described(tree),
    )
}

/// The excerpt of an error at the third line of the policy, in the fifth column from the name of the verb on.
pub(super) fn excerpt(line: &str, column: usize, carets: usize) -> String {
    format!(
        "  ——▶ p.rhai:3:{column}\n  |\n3 |     {line}\n  | {}{}\n",
        " ".repeat(column - 1),
        "^".repeat(carets)
    )
}
