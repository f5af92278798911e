//! The launcher itself as the victim: programs in the project that have the names of its own, and a repository whose settings run something
//! as soon as git looks at it.

use super::{boxed, of_the_host};
use crate::git_surface::{host, repository};
use crate::support::{Test, User, as_both};

/// What claudebox, or a shell in its place, might look for in `PATH`.
const PROGRAMS: [&str; 16] = [
    "bash",
    "bwrap",
    "cat",
    "env",
    "getent",
    "git",
    "id",
    "ip",
    "ldd",
    "nft",
    "nix",
    "node",
    "sh",
    "slirp4netns",
    "systemd-run",
    "unshare",
];

/// Every way to call the program that starts nothing of the user's.
const LOOKS: [&[&str]; 5] = [
    &["--check"],
    &["--explain", "--quiet", "--exec", "--", "true"],
    &["--dry-run", "--exec", "--", "true"],
    &["--report"],
    &["--yes", "--quiet", "--net", "none", "--exec", "--", "true"],
];

as_both! {
    /// The project is first in `PATH`, as `direnv` does it, and has a program of each name: none is run on the host.
    fn no_program_of_the_project_is_run(user: User) {
        let furnished = || {
            let program = "#!/bin/sh\n/usr/bin/touch [HOME]/hijacked\nexec /usr/bin/false\n";
            let test = PROGRAMS.iter().fold(Test::new().who(user), |test, name| {
                let path = format!("bin/{name}");
                test.file(&path, program).mode(&path, 0o755)
            });
            test.var("PATH", "[PROJECT]/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        };
        let control = furnished();
        control.control(&["/bin/sh", "-c", "bwrap --ro-bind / / true"]);
        assert!(control.at("~/hijacked").exists(), "the control");

        let test = furnished();
        let before = of_the_host(&test);
        for words in LOOKS {
            test.clone().args_of(words).start();
        }
        boxed(&test, "echo started").stdout("started\n").run();
        assert_eq!(of_the_host(&test), before);
        // Claude Code from there is refused: what the agent can write it could have written.
        let test = test.copy("/usr/bin/true", "bin/claude");
        let run = test.clone().args(["--yes", "--quiet", "--net", "none"]).start();
        assert_ne!((run.exit, run.stderr.as_str()), (0, ""), "{run:?}");
        assert!(run.exit == 125 || run.exit == 127, "{run:?}");
    }

    /// Looking at an untrusted repository runs nothing of it: claudebox reads git's files itself.
    fn no_git_of_the_project_is_run(user: User) {
        let furnished = || {
            let test = repository(user);
            host(&test, "for key in core.fsmonitor core.pager core.sshCommand core.editor diff.external credential.helper alias.status; do \
                         git config $key 'touch [HOME]/hijacked; false'; done; printf '#!/bin/sh\\ntouch [HOME]/hijacked\\n' > .git/hooks/post-checkout; \
                         chmod +x .git/hooks/post-checkout");
            test
        };
        let control = furnished();
        control.control(&["git", "status"]);
        assert!(control.at("~/hijacked").exists(), "the control");

        let test = furnished();
        let before = of_the_host(&test);
        for words in LOOKS {
            test.clone().args_of(words).start();
        }
        assert_eq!(of_the_host(&test), before);
        boxed(&test, "git log --format=%s").stdout("one\n").run();
    }
}
