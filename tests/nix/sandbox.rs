//! A sandbox on a machine with Nix: its programs come from the store alone, and more of them through the daemon.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::support::{User, as_both};

use super::world::{Home, NEW, Said, World, said};

fn ok(stdout: &str) -> Said {
    Said {
        stdout: stdout.to_owned(),
        stderr: String::new(),
        exit: 0,
    }
}

as_both! {
    /// PATH holds store paths only, nothing else of the machine's programs is there, and every promised tool runs.
    fn every_program_comes_from_the_store(user: User) {
        let line = r#"
            for directory in ${PATH//:/ }; do case $directory in /nix/store/*) ;; *) echo "$directory";; esac; done
            for tool in bash cat git curl jq rg fd nix , grep sed awk find diff patch tar gzip xz ps less which make; do
                case $(readlink -f "$(command -v $tool)") in /nix/store/*) ;; *) echo "$tool";; esac
            done
            ls -d /usr/* /lib* /bin/*; readlink /usr/bin/env /bin/sh | sed 's/[a-z0-9]\{32\}//'; sh -c 'echo sh'; env echo env; echo $SHELL | sed 's/.*-//'
            git --version >/dev/null && curl --version >/dev/null && jq -n 1 && fd --version >/dev/null && rg --version >/dev/null && ps >/dev/null && echo run
        "#;
        let expected = "/bin/sh\n/usr/bin\n/nix/store/-coreutils-0/bin/env\n/nix/store/-bash-0/bin/bash\nsh\nenv\n0/bin/bash\n1\nrun\n";
        let said = World::usual().inside(&Home::of(user), line);
        assert_eq!((said.stdout.as_str(), said.exit), (expected, 0), "{}", said.stderr);
    }

    /// `nix shell` gets a package that nobody has built before, from the pinned nixpkgs, and runs it.
    fn a_package_that_nobody_built_is_built_and_run(user: User) {
        let home = Home::of(user);
        let salt = home.path().display().to_string().replace('/', "-");
        // Nothing is downloaded for it: neither a registry nor another nixpkgs.
        let line = format!(
            "nix shell --impure --expr '(builtins.getFlake \"nixpkgs\").legacyPackages.x86_64-linux.writeTextFile {{ \
             name = \"fresh{salt}\"; destination = \"/bin/fresh\"; executable = true; text = \"#!/bin/sh\\necho fresh\\n\"; }}' \
             -c fresh && nix shell nixpkgs#hello -c hello && nix run nixpkgs#cowsay -- hi && nix eval --impure --expr '<nixpkgs/flake.nix>' | sed 's/[a-z0-9]\\{{32\\}}//'"
        );
        let said = World::usual().inside(&home, &line);
        assert_eq!(
            (said.stdout.as_str(), said.exit),
            ("fresh\nHello, world!\n< hi >\n/nix/store/-source/flake.nix\n", 0),
            "{}",
            said.stderr
        );
    }

    /// comma finds the package of a program, asks nothing where there are several, and says where there is none.
    fn comma_brings_a_program(user: User) {
        let line = ", cowsay moo; , greet; , no-such-program; echo $?";
        let said = World::usual().inside(&Home::of(user), line);
        assert_eq!((said.stdout.as_str(), said.exit), ("< moo >\ngreetings from a\n1\n", 0), "{}", said.stderr);
        assert!(said.stderr.contains("No executable no-such-program"), "{}", said.stderr);
    }

    /// What the host builds while the sandbox runs is there at once.
    fn new_paths_of_the_store_are_seen_at_once(user: User) {
        let (world, home) = (World::usual(), Home::of(user));
        let line = "echo ready; read path; cat $path";
        let mut command = world.claudebox(&home, &["--yes", "--quiet", "--net", "none", "--exec", "--", "bash", "-c", line]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("nsenter");
        let mut stdout = BufReader::new(child.stdout.take().expect("taken once"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready\n");
        let note = home.path().display().to_string();
        let path = world.must(&home.path(), &format!("echo {note} > note && nix store add-file note"));
        child.stdin.take().expect("taken once").write_all(path.as_bytes()).expect("the sandbox reads");
        let mut read = String::new();
        stdout.read_line(&mut read).expect("a line");
        assert_eq!(read, format!("{note}\n"));
        assert!(child.wait().expect("our own child").success());
    }

    /// Names, certificates and the Nix inside have files of their own; nothing of the host's settings of Nix is there.
    fn the_hosts_settings_stay_outside(user: User) {
        let secret = "token-of-the-host";
        let settings = format!("access-tokens = github.com={secret}\nextra-nix-path = secret={secret}");
        let world = World::start(NEW, &settings);
        let home = Home::of(user)
            .file(".config/nix/nix.conf", &format!("access-tokens = gitlab.com={secret}\n"))
            .file(".netrc", secret)
            .var("NIX_CONFIG", &format!("access-tokens = example.org={secret}"))
            .var("NIX_PATH", secret)
            .var("NIX_REMOTE", "daemon");
        let line = "nix config show | grep -c token-of; env | grep -c token-of; ls /etc/nix; nix config show access-tokens nix-path store; \
                    cat /etc/resolv.conf >/dev/null && head -1 /etc/hosts; cut -d: -f1 /etc/passwd | tail -1; grep -c BEGIN $NIX_SSL_CERT_FILE >/dev/null && echo certificates";
        let said = world.inside(&home, line);
        let expected = "0\n0\nnix.conf\nregistry-global.json\nregistry.json\n";
        assert!(said.stdout.starts_with(expected) && !said.stdout.contains(secret), "{said:?}");
        assert!(said.stdout.ends_with("nobody\ncertificates\n"), "{said:?}");
        let single = world.inside(&home, "nix config show store; nix config show nix-path; nix config show access-tokens");
        assert_eq!((single.stdout.as_str(), single.exit), ("daemon\nnixpkgs=flake:nixpkgs\n\n", 0), "{}", single.stderr);
    }

    /// Where there is to be no network, or named hosts alone, there is no daemon: it reaches whatever the host does.
    fn without_a_network_there_is_no_daemon(user: User) {
        let (world, home) = (World::usual(), Home::of(user));
        let line = "ls /nix; nix shell nixpkgs#hello -c hello 2>/dev/null || echo refused";
        for network in ["none", "allowlist"] {
            assert_eq!(world.inside_by(&home, &["--net", network], line), ok("store\nrefused\n"));
        }
        // Nor where the profile says so, whatever the network.
        let strict = world.inside_by(&home, &["--profile", "strict", "--net", "host"], "ls -A /nix/var/nix/daemon-socket; echo on");
        assert_eq!((strict.stdout.as_str(), strict.exit), ("on\n", 0), "{}", strict.stderr);
        for (network, why) in [
            ("none", "the Nix daemon has a network, and this sandbox is to have none"),
            ("allowlist", "the Nix daemon fetches from any host, and this sandbox is to reach named hosts alone"),
        ] {
            let audit = said(world.claudebox(&home, &["--yes", "--net", network, "--exec", "--", "true"])).stderr;
            assert!(audit.contains(&format!("  /nix/var/nix/daemon-socket: {why}\n")), "{audit}");
        }
    }

    /// The exit code passes, with the guard beside the sandbox too.
    fn the_exit_code_passes(user: User) {
        assert_eq!(World::usual().inside(&Home::of(user), "exit 7"), Said { exit: 7, ..ok("") });
    }
}
