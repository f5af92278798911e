//! The tree of what is seen: the mounts, the directories above them, and the doors behind which the host's secrets lie.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path};

use crate::floor;
use crate::invariants::plan::{Mount, Parts, What};
use crate::path::{HostPath, printable};
use crate::trace::Effect;
use crate::view::View;

use super::super::Launch;
use super::decision;
use super::page::{Facts, Item};

/// One path of the tree.
pub(super) struct Node {
    /// The row.
    pub item: Item,
    /// The last component.
    pub name: String,
    /// What lies below.
    pub children: BTreeMap<OsString, Node>,
}

/// The tree from `/` down.
pub(super) fn tree(launch: &Launch, parts: &Parts) -> Node {
    let view = View::new(launch.host, parts);
    let mut root = implied(Path::new("/"));
    for mount in &parts.mounts {
        place(&mut root, mount.at.as_path()).item = shown(launch, &view, mount);
    }
    for (path, why) in hidden(launch) {
        // A secret that a mount would show is masked there, and the mask is in the tree already.
        let exists = matches!(launch.host.tree.node(path.as_path()), Ok(Some(_)));
        if !exists || !view.places_of(&path).is_empty() {
            continue;
        }
        let node = place(&mut root, path.as_path());
        if node.item.class == "implied" {
            let mut facts = Facts::new(path.to_string(), "is a secret of the host, and not here");
            facts.add("reason", &why);
            node.item = locked(facts, "locked");
        }
    }
    root
}

/// The secrets of the floor, and those that the policy names.
fn hidden(launch: &Launch) -> Vec<(HostPath, String)> {
    let floor = floor::secrets(&launch.host.home);
    let mut hidden: Vec<(HostPath, String)> = floor
        .into_iter()
        .map(|(path, why)| (path, format!("it holds {why}")))
        .collect();
    for (_, decision) in launch.decided.trace.iter() {
        if decision.effect == Effect::SecretPath
            && let Ok(path) = HostPath::new(&decision.subject)
        {
            hidden.push((path, format!("{} ({})", decision.reason, super::place(&decision.site))));
        }
    }
    hidden
}

/// The node of a path, with those above it, which are there because something lies below them.
fn place<'tree>(root: &'tree mut Node, path: &Path) -> &'tree mut Node {
    let mut node = root;
    let mut here = std::path::PathBuf::from("/");
    for component in path.components() {
        if let Component::Normal(name) = component {
            here.push(name);
            let above = here.as_path();
            node = node
                .children
                .entry(name.to_os_string())
                .or_insert_with(|| implied(above));
        }
    }
    node
}

fn implied(path: &Path) -> Node {
    let name = path.file_name().map_or("/".into(), printable);
    let facts = Facts::new(
        printable(path.as_os_str()),
        "is a directory that holds what is mounted below it",
    );
    Node {
        item: Item {
            class: "implied",
            tag: String::new(),
            facts,
        },
        name,
        children: BTreeMap::new(),
    }
}

fn locked(facts: Facts, tag: &str) -> Item {
    Item {
        class: "locked",
        tag: tag.into(),
        facts,
    }
}

fn shown(launch: &Launch, view: &View, mount: &Mount) -> Item {
    let at = mount.at.to_string();
    let seen = view.see(mount.at.as_path());
    let may_write = seen.writable == Some(true);
    let (class, tag, says) = match &mount.what {
        What::Bind { writable: true, .. } => ("rw", "host, writable", "comes from the host and can be written"),
        What::Bind { writable: false, .. } => ("ro", "host", "comes from the host, read-only"),
        What::Tmpfs(_) if may_write => ("memory", "memory", "is memory: empty at the start, gone at the end"),
        What::Tmpfs(_) => ("memory", "memory", "is memory, read-only"),
        What::Text(_) | What::Certificates(_) => ("text", "generated", "is a file that was written for this launch"),
        What::Link(_) => ("link", "link", "is a symbolic link"),
        What::Proc => (
            "kernel",
            "kernel",
            "is the kernel's view of the sandbox's own processes",
        ),
        What::Dev => ("kernel", "kernel", "is a minimal set of devices"),
        What::MaskFile => ("locked", "masked", "is masked: an empty file hides it"),
        What::MaskDirectory => ("locked", "masked", "is masked: an empty directory hides it"),
    };
    let mut facts = Facts::new(at, says);
    match &mount.what {
        What::Bind { source, .. } if source.same_inside() != mount.at => facts.add("on the host", &source.to_string()),
        What::Link(target) => facts.add("leads to", &printable(target)),
        _ => {}
    }
    decision(launch, mount.decision, &mut facts);
    Item {
        class,
        tag: tag.into(),
        facts,
    }
}
