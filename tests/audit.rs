//! What a person is shown before the sandbox starts, against what is then really inside.

use std::collections::BTreeSet;

use crate::support::{Test, User, as_both};

/// A user with a key, one harmless variable that passes, and two that do not.
fn home(user: User) -> Test {
    Test::new()
        .who(user)
        .var("USER", "someone")
        .var("TZ", "Europe/Vienna")
        .var("ANTHROPIC_API_KEY", "sk-ant-dummy-0123456789")
        .var("EDITOR", "vim")
        .var("GITHUB_TOKEN", "ghp_dummy")
        .var("FAVOURITE_COLOUR", "blue")
}

/// The part of the audit between two lines, without them.
fn part<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let after = text.lines().skip_while(|line| !line.contains(from)).skip(1);
    after.take_while(|line| !line.starts_with(to)).collect()
}

as_both! {
    /// One line a variable: its name, its value where that is no secret, where it comes from, and why it is there.
    fn every_variable_has_its_line(user: User) {
        let test = home(user).args(["--yes", "--net", "host", "--exec", "--", "true"]);
        let run = test.start();
        let (seen, _) = run.stderr.split_once("mounted from this host:\n").expect("the audit's second part");
        // A long value is cut after nineteen letters, and those of this test's home are others each time.
        let home = test.home().display().to_string();
        let seen = seen.replace(home.get(..19).expect("a long path"), "/tmp/claudebox-HOME");
        let (name, uid) = match user {
            User::Root => ("root", "1000".to_owned()),
            User::Ordinary => ("cbtest", test.control(&["id", "-u"]).stdout.trim().to_owned()),
        };
        let runtime = format!("/run/user/{uid}");
        assert_eq!(seen, VARIABLES.replace("[RUNTIME]", &format!("{runtime:<20}")).replace("[NAME]", &format!("{name:<20}")));
    }

    /// The audit neither forgets anything that is inside nor lists what is not.
    fn the_audit_is_what_the_kernel_shows(user: User) {
        let payload = "cat /proc/$$/environ | tr '\\0' '\\n' | cut -d= -f1; echo; cat /proc/self/mountinfo";
        let run = home(user).args(["--yes", "--net", "none", "--exec", "--", "sh", "-c", payload]).start();
        assert_eq!(run.exit, 0, "{run:?}");
        let (names, mounts) = run.stdout.split_once("\n\n").expect("two parts");

        // What is the sandbox's own lies in memory; everything else is the host's.
        let own = ["tmpfs", "proc", "devpts", "devtmpfs", "mqueue"];
        let from_host = |line: &str| {
            let (mount, kind) = line.split_once(" - ")?;
            let kind = kind.split(' ').next()?;
            (!own.contains(&kind)).then(|| mount.split(' ').nth(4).map(str::to_owned))?
        };
        let told = part(&run.stderr, "mounted from this host:", "network")
            .iter()
            .flat_map(|line| line.split_whitespace().filter(|word| word.starts_with(['/', '['])))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>();
        assert_eq!(told, mounts.lines().filter_map(from_host).collect::<BTreeSet<_>>(), "mounts");

        let first = |line: &&str| line.split_whitespace().next().unwrap_or_default().to_owned();
        let told = part(&run.stderr, "variables enter the sandbox:", "mounted").iter().map(first).collect::<BTreeSet<_>>();
        assert_eq!(told, names.lines().map(str::to_owned).collect::<BTreeSet<_>>(), "variables");
    }

    /// What a policy opens is told, and what it opens that nothing protects is not.
    fn an_opening_is_told_where_it_opened_something(user: User) {
        let policy = "fn mounts(host) {\n    base::mounts(host);\n    mount::open(host.project + \"/.envrc\", \"I look at it\");\n    \
                      mount::open(host.project + \"/README\", \"nothing protects it\");\n}\n";
        let test = home(user).policy(policy).file(".envrc", "").file("README", "");
        let run = test.args(["--yes", "--net", "none", "--exec", "--", "true"]).start();
        assert_eq!(run.exit, 0, "{run:?}");
        let opened: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("  open ")).collect();
        assert_eq!(opened, ["  open   [PROJECT]/.envrc  I look at it"]);
    }

    /// With `--quiet` nothing is told.
    fn quiet_is_quiet(user: User) {
        home(user).args(["--yes", "--quiet", "--net", "none", "--exec", "--", "true"]).run();
    }
}

// text: from the program
const VARIABLES: &str = "\
19 variables enter the sandbox:
  HOME                             /tmp/claudebox-HOME…  fixed   the home directory keeps its path
  USER                             [NAME]  fixed   the user's name
  LOGNAME                          [NAME]  fixed   the user's name
  PWD                              /tmp/claudebox-HOME…  fixed   the working directory
  XDG_RUNTIME_DIR                  [RUNTIME]  fixed   an empty directory of the sandbox's own
  CLAUDE_CONFIG_DIR                /tmp/claudebox-HOME…  fixed   this project's own state
  CLAUDE_SECURESTORAGE_CONFIG_DIR  /tmp/claudebox-HOME…  fixed   the login that all projects share
  CLAUDE_CODE_SANDBOXED            1                     fixed   no trust prompt: the sandbox is the permission layer
  PATH                             /tmp/claudebox-HOME…  policy  programs of the sandbox
  SHELL                            /bin/bash             policy  the shell of commands
  TZ                               Europe/Vienna         policy  the time zone; without it each start reads the whole database of zones
  LANG                             C.UTF-8               policy  a locale that is always there
  DISABLE_AUTOUPDATER              1                     policy  Claude Code is read only inside, and cannot update itself
  CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL  1                     policy  no download at the first start of each project
  SSL_CERT_FILE                    /etc/ssl/certs/ca-c…  policy  the trusted certificates
  NIX_SSL_CERT_FILE                /etc/ssl/certs/ca-c…  policy  the trusted certificates, for Nix
  ANTHROPIC_API_KEY                ‹redacted, 23 bytes›  host    the login of Claude Code itself (secret)
  EDITOR                           vim                   host    the editor that commands call
  TERM                             xterm-256color        host    what the terminal can do
";
