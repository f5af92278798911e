//! What is masked, where the mask lies, and what becomes of a request for one that hides nothing.

use std::path::Path;

use super::*;
use crate::host::tree::Tree;

/// A hook `mounts` that shows the project and has one more line, and a hook `secrets` with one.
fn policy(mounts: &str, secrets: &str) -> String {
    format!("fn secrets(host) {{ {secrets} }}\nfn mounts(host) {{\n    base::mounts(host);\n    {mounts}\n}}\n")
}

/// The masks of a plan, `/` after a directory; and what became of the requests that did nothing.
fn masks(policy: &str, tree: Tree) -> (Vec<String>, Vec<String>) {
    let decided = decided(policy, &host::described(tree), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let masks = plan.mounts().iter().filter_map(|mount| match mount.what {
        What::MaskFile => Some(mount.at.to_string()),
        What::MaskDirectory => Some(format!("{}/", mount.at)),
        _ => None,
    });
    let fates = decided.verdict.fates.iter().map(|(id, fate)| {
        let subject = &decided.trace.get(*id).unwrap().subject;
        match fate {
            Fate::Idle(why) => format!("{subject}: {why}"),
            Fate::Overridden(by) => format!("{subject}: as {}", decided.trace.get(*by).unwrap().reason),
            other => format!("{subject}: {other:?}"),
        }
    });
    (masks.collect(), fates.collect())
}

fn with(files: &[&str]) -> Tree {
    let mut tree = tree();
    for file in files {
        let (file, kind) = match file.strip_suffix('/') {
            Some(directory) => (directory, Kind::Directory),
            None => (*file, Kind::File),
        };
        tree.describe(&Path::new("/home/u/p").join(file), kind, 1000, b"x");
    }
    tree
}

#[test]
fn names_of_the_policy_and_of_the_floor() {
    let tree = with(&[
        "a.private",
        "deep/b.private",
        "vault/key",
        "plain.txt",
        ".env",
        "python/.env/",
        "python/.env/.env",
    ]);
    let secrets = "secret::file(\"*.private\", \"ours\"); secret::file(\"vault\", \"all of it\"); secret::file(\"*.none\", \"idle\");";
    let (masks, fates) = masks(&policy("", secrets), tree);
    let project = |names: &[&str]| names.iter().map(|name| format!("/home/u/p/{name}")).collect::<Vec<_>>();
    assert_eq!(
        masks,
        project(&[".env", "a.private", "vault/", "deep/b.private", "python/.env/.env"])
    );
    assert_eq!(fates, ["*.none: no file of the project has such a name"]);
}

#[test]
fn one_mask_on_a_place_is_enough() {
    let mounts = "mount::mask(host.project + \"/vault\", \"first\"); mount::mask(host.project + \"/vault\", \"second\"); \
                  mount::mask(host.project + \"/vault/key\", \"third\"); mount::mask(\"/opt/none\", \"fourth\"); \
                  mount::mask(\"/tmp/none\", \"fifth\"); mount::text(\"/opt/text\", \"words\", \"x\"); mount::mask(\"/opt/text/below\", \"sixth\");";
    let (masks, fates) = masks(&policy(mounts, ""), with(&["vault/key"]));
    assert_eq!(masks, ["/home/u/p/vault/"]);
    assert_eq!(
        fates,
        [
            "/opt/none: nothing is there to be masked",
            "/tmp/none: nothing is there to be masked",
            "/opt/text/below: nothing is there to be masked",
            "/home/u/p/vault: as first",
            "/home/u/p/vault/key: `/home/u/p/vault` is masked already",
        ]
    );
}

#[test]
fn a_mask_takes_the_place_of_a_mount_and_is_not_uncovered() {
    let both = "mount::ro(\"/srv/data\", \"x\"); mount::mask(\"/srv/data\", \"y\");";
    let (seen, _) = masks(&policy(both, ""), tree());
    assert_eq!(seen, ["/srv/data/"]);
    for (mount, mask) in [
        ("mount::tmpfs(\"/srv/memory\", \"x\");", "/srv/memory"),
        ("mount::text(\"/srv/text\", \"words\", \"x\");", "/srv/text"),
        ("mount::link(\"/usr\", \"/srv/link\", \"x\");", "/srv/link"),
        ("mount::ro(\"/srv/data\", \"x\");", "/srv/data/file"),
    ] {
        let (seen, _) = masks(&policy(&format!("{mount} mount::mask(\"{mask}\", \"y\");"), ""), tree());
        let directory = if mask == "/srv/memory" { "/" } else { "" };
        assert_eq!(seen, [format!("{mask}{directory}")], "{mount}");
    }
    let line =
        "mount::ro(\"/srv/data\", \"x\"); mount::tmpfs(\"/srv/data/b\", \"x\"); mount::mask(\"/srv/data\", \"y\");";
    let mut tree = tree();
    tree.describe(Path::new("/srv/data/b"), Kind::Directory, 0, b"");
    let text = mounts_on(line, tree);
    assert_eq!(
        text,
        format!(
            "error[unique-destination]: `/srv/data/b` would uncover the mask on `/srv/data`\n{}hint: a mask hides all that lies below it\n",
            excerpt(line, 41, 5)
        )
    );
}

#[test]
fn a_mask_on_a_link_to_another_mount() {
    let link = |target: &str| {
        let mut tree = with(&["conf/prod"]);
        tree.describe(Path::new("/home/u/p/.env"), Kind::Link(target.into()), 1000, b"");
        tree
    };
    // The link leads to the very source of another mount, or into one.
    let (seen, _) = masks(
        &policy("mount::ro(\"/srv/data/file\", \"x\");", ""),
        link("/srv/data/file"),
    );
    assert_eq!(seen, ["/srv/data/file"]);
    let (seen, _) = masks(&policy("mount::ro(\"/srv/data\", \"x\");", ""), link("/srv/data/file"));
    assert_eq!(seen, ["/srv/data/file"]);
    // The same, where the mount shows it at another place.
    let (seen, _) = masks(
        &policy("mount::ro(\"/srv/data/file\", \"/opt/here\", \"x\");", ""),
        link("/srv/data/file"),
    );
    assert_eq!(seen, ["/opt/here"]);
    // What it leads to lies behind another mount, and so is not shown.
    let (seen, fates) = masks(
        &policy("mount::tmpfs(host.project + \"/conf\", \"x\");", ""),
        link("conf/prod"),
    );
    assert_eq!(seen, Vec::<String>::new());
    assert_eq!(
        fates,
        ["/home/u/p/.env: it is a link to `/home/u/p/conf/prod`, and nothing of that is shown"]
    );
}

#[test]
fn a_mask_in_a_closed_directory_lies_on_that_directory() {
    let closed = |files: &[&str], shut: &[&str]| {
        let mut tree = with(files);
        for directory in shut {
            tree.alter(Path::new(directory), |node| (node.uid, node.mode) = (1000, 0o600));
        }
        tree
    };
    let mask = |policy: &str, tree: Tree| masks(policy, tree).0;
    let project = "/home/u/p";
    // The uppermost of several, and none above what is mounted.
    let tree = closed(&["a/b/c/.env"], &["/home/u/p/a/b", "/home/u/p/a/b/c", "/home/u"]);
    assert_eq!(mask("", tree), [format!("{project}/a/b/")]);
    // By way of a link.
    let mut tree = closed(&["a/prod"], &["/home/u/p/a"]);
    tree.describe(Path::new("/home/u/p/.env"), Kind::Link("a/prod".into()), 1000, b"");
    assert_eq!(mask("", tree), [format!("{project}/a/")]);
    // The source of the mount itself, which is shown at another place.
    let tree = closed(&[], &["/srv/data"]);
    let line = "mount::ro(\"/srv/data\", \"/opt/d\", \"x\"); mount::mask(\"/opt/d/file\", \"y\");";
    assert_eq!(mask(&policy(line, ""), tree), ["/opt/d/"]);
    // One that may be entered needs none.
    let tree = closed(&["a/.env"], &[]);
    assert_eq!(mask("", tree), [format!("{project}/a/.env")]);
}
