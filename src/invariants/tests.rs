//! One test an invariant: a policy that breaks it, and the whole text of the refusal.

mod broker;
mod fixture;
mod masks;
mod mounts;
mod names;
mod network;
mod nix;
mod passed;
mod places;
mod variables;
mod whole;

use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;

use crate::bwrap::{self, Word};
use crate::host::tree::Kind;
use crate::host::{self, Host};
use crate::path::EnvName;

use super::Fate;
use super::plan::What;

use fixture::{decided, excerpt, mounts, mounts_on, refusal, request, tree};

#[test]
fn secret_exposed() {
    for (path, named) in [
        ("~/.ssh", "`/home/u/.ssh` is a secret"),
        ("~/.ssh/id", "`/home/u/.ssh/id` lies in the secret `/home/u/.ssh`"),
        ("~/keys", "`/home/u/keys`, which leads to `/home/u/.ssh`, is a secret"),
        (
            "~/keys/id",
            "`/home/u/keys/id`, which leads to `/home/u/.ssh/id`, lies in the secret `/home/u/.ssh`",
        ),
    ] {
        for verb in ["ro", "rw"] {
            let line = format!("mount::{verb}(\"{path}\", \"keys\");");
            assert_eq!(
                mounts(&line),
                format!(
                    "error[secret-exposed]: {named}: it holds SSH keys\n{}hint: no policy can show it; copy what the project needs into the project\n",
                    excerpt(&line, 12, 2)
                )
            );
        }
    }
}

#[test]
fn secrets_below_a_mount_are_masked() {
    let host = host::described(tree());
    let decided = decided(
        "fn mounts(host) { base::mounts(host); mount::ro(\"~/.config\", \"settings\"); }",
        &host,
        &request(),
    );
    let plan = decided.verdict.outcome.unwrap();
    let masks: Vec<String> = plan
        .mounts()
        .iter()
        .filter(|mount| mount.what == What::MaskDirectory)
        .map(|mount| mount.at.to_string())
        .collect();
    assert_eq!(masks, ["/home/u/.config/claudebox", "/home/u/.config/gcloud"]);
}

#[test]
fn a_mask_on_a_link_lies_on_what_the_link_leads_to() {
    let mut tree = tree();
    let project = Path::new("/home/u/p");
    tree.describe(&project.join("conf/prod"), Kind::File, 1000, b"key");
    tree.describe(&project.join("venv/bin"), Kind::Directory, 1000, b"");
    for (name, target) in [
        (".env", "conf/prod"),
        ("a/.env", "../venv"),
        ("b/.env", "/home/u/.ssh/id"),
        ("c/.env", "nowhere"),
        ("d/.env", ".env"),
    ] {
        tree.describe(&project.join(name), Kind::Link(target.into()), 1000, b"");
    }
    let decided = decided("", &host::described(tree), &request());
    let parts = decided.verdict.parts().unwrap();
    let masks: Vec<String> = parts
        .mounts
        .iter()
        .filter(|mount| mount.what == What::MaskFile)
        .map(|mount| mount.at.to_string())
        .collect();
    assert_eq!(masks, ["/home/u/p/conf/prod"]);
    let idle: Vec<String> = decided
        .verdict
        .fates
        .values()
        .filter_map(|fate| match fate {
            Fate::Idle(why) => Some(why.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        idle,
        [
            "it is a link to `/home/u/.ssh/id`, and nothing of that is shown",
            "it is a link to `/home/u/p/c/nowhere`, and nothing of that is shown",
            "cannot look at `/home/u/p/d/.env`: too many levels of symbolic links"
        ]
    );
}

#[test]
fn secrets_of_the_policy_count_like_the_floors() {
    let policy = "fn secrets(host) {\n    secret::path(\"/srv/data\", \"customers\");\n}\nfn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"/srv/data/file\", \"x\");\n}\n";
    assert_eq!(
        refusal(policy, &host::described(tree())),
        "error[secret-exposed]: `/srv/data/file` lies in the secret `/srv/data`: customers\n  ——▶ p.rhai:6:12\n  |\n\
         6 |     mount::ro(\"/srv/data/file\", \"x\");\n  |            ^^\nhint: it is called a secret at p.rhai:2\n"
    );
}

#[test]
fn empty_root() {
    for (path, named) in [
        (
            "~",
            "`/home/u` is never mounted whole: it holds `/home/u` and all that lies in it",
        ),
        (
            "~/all",
            "`/home/u/all`, which leads to `/home/u`, is never mounted whole: it holds `/home/u` and all that lies in it",
        ),
        (
            "/etc",
            "`/etc` is never mounted whole: it holds `/etc` and all that lies in it",
        ),
        (
            "/home",
            "`/home` is never mounted whole: it holds `/home` and all that lies in it",
        ),
    ] {
        let line = format!("mount::ro(\"{path}\", \"all\");");
        assert_eq!(
            mounts(&line),
            format!(
                "error[empty-root]: {named}\n{}hint: mount the directories below it that are needed, one by one\n",
                excerpt(&line, 12, 2)
            )
        );
    }
    let line = "mount::tmpfs(\"/proc\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[empty-root]: `/proc` cannot be mounted: `/proc` is built by the launcher: the kernel's view of the sandbox's own \
             processes\n{}hint: choose another place\n",
            excerpt(line, 12, 5)
        )
    );
}

#[test]
fn no_sockets() {
    let hint = "hint: a daemon that answers on it would act outside the sandbox; leave it out\n";
    let line = "mount::ro(\"/srv/data/x.sock\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[no-sockets]: `/srv/data/x.sock` is a socket\n{}{hint}",
            excerpt(line, 12, 2)
        )
    );
    let line = "mount::ro(\"/srv/data/pipe\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[no-sockets]: `/srv/data/pipe` is a device or a pipe\n{}hint: only files and directories can be mounted\n",
            excerpt(line, 12, 2)
        )
    );
    let line = "mount::ro(\"/run/docker.sock\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[no-sockets]: `/run/docker.sock` leads to the socket `/run/docker.sock`: it belongs to the Docker daemon\n{}{hint}",
            excerpt(line, 12, 2)
        )
    );
}

#[test]
fn own_controls() {
    for (path, what) in [
        (
            "~/.claudebox",
            "`/home/u/.claudebox` cannot be shown: it is claudebox's own state",
        ),
        (
            "~/.config/claudebox",
            "`/home/u/.config/claudebox` cannot be shown: it is claudebox's own configuration",
        ),
    ] {
        let line = format!("mount::ro(\"{path}\", \"x\");");
        assert_eq!(
            mounts(&line),
            format!(
                "error[own-controls]: {what}\n{}hint: claudebox mounts what a sandbox needs of it by itself\n",
                excerpt(&line, 12, 2)
            )
        );
    }
    let line = "mount::rw(\"/usr\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[own-controls]: `/usr` would be writable, and claudebox itself lies in it: `/usr/bin/claudebox`\n{}hint: install it outside every project\n",
            excerpt(line, 12, 2)
        )
    );
}

#[test]
fn unique_destination() {
    let line = "mount::ro(\"/srv/data\", \"a\"); mount::tmpfs(\"/srv/data\", \"b\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[unique-destination]: `/srv/data` is mounted twice\n  ——▶ p.rhai:3:41\n  |\n3 |     {line}\n  | {}^^^^^ the second time\n{}hint: keep one of the two\n",
            " ".repeat(40),
            excerpt(line, 12, 2).replace("^^\n", "^^ the first time\n")
        )
    );
}

#[test]
fn mount_point() {
    let hint = "hint: mount it at a place outside that mount, or make the place on the host first\n";
    let line = "mount::ro(\"/srv/data/file\", \"/home/u/p/none\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[mount-point]: `/home/u/p/none` cannot be a mount point: it would be made on the host, at `/home/u/p/none`\n{}{hint}",
            excerpt(line, 12, 2)
        )
    );
    let line = "mount::ro(\"/srv/data\", \"x\"); mount::tmpfs(\"/srv/data/link\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[mount-point]: `/srv/data/link` cannot be a mount point: a symbolic link of the host leads it to `/srv`\n{}{hint}",
            excerpt(line, 41, 5)
        )
    );
    let line = "mount::ro(\"/srv/data\", \"x\"); mount::tmpfs(\"/srv/data/file\", \"x\");";
    assert_eq!(
        mounts(line),
        format!(
            "error[mount-point]: `/srv/data/file` cannot be a mount point: `/srv/data/file` is not a directory on the host\n{}{hint}",
            excerpt(line, 41, 5)
        )
    );
}

#[test]
fn reserved_variable() {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    host.variables
        .insert(EnvName::new("LD_PRELOAD").unwrap(), "/tmp/x.so".into());
    let text = refusal("fn variable(host, name) {\n    env::pass(\"all\")\n}\n", &Rc::new(host));
    assert_eq!(
        text,
        "error[reserved-variable]: `LD_PRELOAD` may never enter: it steers the dynamic loader\n  ——▶ p.rhai:2:10\n  |\n\
         2 |     env::pass(\"all\")\n  |          ^^^^\nhint: answer `env::hide(why)` for `LD_PRELOAD`\n"
    );
    let text = refusal(
        "fn environment(host) {\n    env::set(\"HOME\", \"/x\", \"why\");\n}\n",
        &host::described(tree()),
    );
    assert_eq!(
        text,
        "error[reserved-variable]: `HOME` is set by the launcher\n  ——▶ p.rhai:2:10\n  |\n2 |     env::set(\"HOME\", \"/x\", \"why\");\n  \
         |          ^^^\nhint: leave it out: it follows the sandbox's layout\n"
    );
}

#[test]
fn secret_variable() {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    host.variables
        .insert(EnvName::new("NPM_TOKEN").unwrap(), "n-123456".into());
    let host = Rc::new(host);
    let passes = |policy: &str| {
        let decided = decided(policy, &host, &request());
        let plan = decided.verdict.outcome.unwrap();
        let clamped: Vec<String> = decided
            .verdict
            .fates
            .values()
            .filter_map(|fate| match fate {
                Fate::Clamped { code, why } => Some(format!("{code}: {why}")),
                _ => None,
            })
            .collect();
        (
            plan.variables()
                .get(&EnvName::new("NPM_TOKEN").unwrap())
                .map(|variable| (variable.value.clone(), variable.secret)),
            clamped,
        )
    };
    assert_eq!(
        passes("fn variable(host, name) { env::pass(\"x\") }"),
        (
            None,
            vec!["secret-variable: its name matches `*TOKEN*`; only `env::pass_secret` lets it pass".to_string()]
        )
    );
    assert_eq!(
        passes("fn variable(host, name) { env::pass_secret(\"x\") }"),
        (Some((OsString::from("n-123456"), true)), Vec::new())
    );
}

#[test]
fn project_root() {
    for (root, why) in [
        ("/", "it is the whole file system"),
        ("/home/u", "it is your home directory, with all your secrets"),
        ("/home", "your home directory lies in it"),
        ("/usr/lib", "`/usr` belongs to the system"),
        ("/home/u/.ssh", "it lies in `/home/u/.ssh`: it holds SSH keys"),
        (
            "/home/u/.claudebox",
            "it lies in `/home/u/.claudebox`: it is claudebox's own state",
        ),
    ] {
        let mut host = Rc::into_inner(host::described(tree())).unwrap();
        host.project = crate::path::HostPath::new(root).unwrap();
        host.directory = host.project.clone();
        let first = match decided("", &Rc::new(host), &request()).verdict.outcome {
            Ok(_) => panic!("{root} was granted"),
            Err(refusal) => refusal.diagnostics.first().unwrap().clone(),
        };
        assert_eq!(
            (first.code, first.message),
            ("project-root", format!("`{root}` cannot be the project: {why}"))
        );
    }
}

#[test]
fn the_command_is_complete() {
    let decided = decided("", &host::described(tree()), &request());
    let invocation = bwrap::invocation(decided.verdict.outcome.as_ref().unwrap());
    let mut line = String::new();
    for word in &invocation.options {
        match word {
            Word::Plain(word) if word.to_str().unwrap().starts_with("--") => {
                line.push_str(&format!("\n{}", word.to_str().unwrap()))
            }
            Word::Plain(word) | Word::Secret { value: word, .. } => {
                line.push_str(&format!(" {}", word.to_str().unwrap()))
            }
            Word::File(index) => line.push_str(&format!(" FILE{index}")),
            Word::Lifeline => line.push_str(" LIFELINE"),
        }
    }
    let instance = "/home/u/.claudebox/instances/p-60ad706fe5335804/claude";
    assert_eq!(
        line.trim_start(),
        format!(
            "--unshare-user\n--uid 1000\n--gid 1000\n--unshare-pid\n--unshare-ipc\n--unshare-uts\n--hostname claudebox\n--unshare-cgroup\n\
             --unshare-net\n--die-with-parent\n--cap-drop ALL\n--clearenv\n--setenv HOME /home/u\n--setenv USER u\n--setenv LOGNAME u\n--setenv PWD /home/u/p\n\
             --setenv XDG_RUNTIME_DIR /run/user/1000\n--setenv CLAUDE_CONFIG_DIR /home/u/.claude\n\
             --setenv CLAUDE_SECURESTORAGE_CONFIG_DIR /home/u/.claude-auth\n--setenv CLAUDE_CODE_SANDBOXED 1\n--perms 0755\n--tmpfs /\n\
             --proc /proc\n--dev /dev\n--perms 1777\n--tmpfs /tmp\n--perms 0700\n--tmpfs /home/u\n--perms 0700\n--tmpfs /run/user/1000\n\
             --ro-bind /usr/bin/claudebox /run/claudebox/init\n--bind /home/u/p /home/u/p\n--ro-bind /home/u/.claudebox/instances/p-60ad706fe5335804/lock /run/claudebox/lock\n--bind {instance} /home/u/.claude\n\
             --perms 0700\n--tmpfs /home/u/.claude-auth\n--ro-bind /home/u/.claudebox/CLAUDE.md /home/u/.claude/CLAUDE.md\n\
             --perms 0700\n--tmpfs /home/u/.claude/sessions\n--perms 0444\n--ro-bind-data FILE0 /etc/claude-code/CLAUDE.md\n--perms 0444\n\
             --ro-bind-data FILE1 /etc/claude-code/managed-settings.d/50-claudebox.json\n--remount-ro /\n--lock-file /run/claudebox/lock\n--seccomp FILE2\n--chdir /home/u/p"
        )
    );
    assert_eq!(invocation.command, ["/run/claudebox/init", "true"]);
}
