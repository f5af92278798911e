//! What is where inside: the root, the system's directories, names, certificates, git, the state.

use crate::support::{Test, User, as_both};

/// Runs a shell line in the sandbox, on the host's own network.
fn inside(test: Test, line: &str) -> Test {
    test.args(["--yes", "--quiet", "--net", "host", "--exec", "--", "sh", "-c", line])
}

as_both! {
    /// Nothing of the host is in the root but what was mounted, and nothing can be added to it.
    fn the_root_is_memory(user: User) {
        let test = Test::new().who(user).file("~/notes", "of the host\n").file("../other/secret", "of another project\n");
        assert_eq!(test.control(&["sh", "-c", "ls -A ~ | wc -l; ls / | grep -c root"]).exit, 0, "the control");
        let line = "ls -A /; ls -A ~; touch /new 2>/dev/null; touch /etc/new 2>/dev/null; ls -d /new /etc/new 2>/dev/null; findmnt -no FSTYPE,OPTIONS / | cut -d, -f1; touch ~/new && ls -A ~ | grep -c new";
        // The home itself lies below /tmp in these tests, so that is there, and the project in it.
        inside(test, line)
            .stdout("bin\ndev\netc\nlib\nlib64\nproc\nrun\nsbin\ntmp\nusr\n.claude\n.claude-auth\n.gitconfig\nproject\ntmpfs  ro\n1\n")
            .run();
    }

    /// `/tmp`, `/dev` and `/proc` work, and are the sandbox's own.
    fn temporary_files_devices_and_processes_work(user: User) {
        let test = Test::new().who(user);
        let line = "echo ok > /tmp/t && cat /tmp/t; head -c 3 /dev/zero | wc -c; echo x > /dev/null; test -r /dev/urandom && echo random; \
                    ls /dev; cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l | { read n; test $n -lt 9 && echo few; }";
        inside(test, line)
            .stdout("ok\n3\nrandom\ncore\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\nbwrap\nfew\n")
            .run();
    }

    /// Names are looked up as on the host, and the sandbox has names of its own.
    fn names_resolve(user: User) {
        let test = Test::new().who(user);
        let host = std::fs::read_to_string("/etc/resolv.conf").expect("the host's name servers");
        let name = user.name();
        let (uid, gid) = if name == "root" { (1000, 1000) } else { ids(&test) };
        inside(test, "cat /etc/resolv.conf; getent hosts localhost | awk '{print $1}' | sort | head -1; hostname; id -un; id -u; id -g; grep -c . /etc/passwd")
            .stdout(&format!("{host}::1\nclaudebox\n{name}\n{uid}\n{gid}\n2\n"))
            .run();
    }

    /// The certificates are there under the names that programs know, also a company's own.
    fn certificates_are_there(user: User) {
        let bundle = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("the host's certificates");
        let line = "echo $SSL_CERT_FILE $NIX_SSL_CERT_FILE; cat $NIX_SSL_CERT_FILE; test -n \"$NODE_EXTRA_CA_CERTS\" && cat $NODE_EXTRA_CA_CERTS; true";
        let place = "/etc/ssl/certs/ca-certificates.crt";
        inside(Test::new().who(user), line).stdout(&format!("{place} {place}\n{bundle}")).run();
        inside(Test::new().who(user).file("~/company.pem", "company\n").var("SSL_CERT_FILE", "[HOME]/company.pem"), line)
            .stdout(&format!("{place} {place}\ncompany\n"))
            .run();
        inside(Test::new().who(user).file("~/more.pem", "more\n").var("NODE_EXTRA_CA_CERTS", "[HOME]/more.pem"), line)
            .stdout(&format!("{place} {place}\n{bundle}more\n"))
            .run();
    }

    /// Git knows who commits and trusts the project, and has no way to the host's keys.
    fn git_has_a_configuration_of_its_own(user: User) {
        let test = Test::new()
            .who(user)
            .file("~/.gitconfig", "[user]\n\tname = Ada \\\"L\\\"\n\temail = ada@example.invalid\n[credential]\n\thelper = store\n[core]\n\tsshCommand = ssh -i ~/.ssh/id\n")
            .file("~/.git-credentials", "https://u:p@example.invalid\n");
        let line = "git init -q . && git config user.name; git config user.email; git config --get-all safe.directory; \
                    git config --get-all credential.helper; git config core.sshCommand; git commit -q --allow-empty -m one && git log --format='%an <%ae>'";
        inside(test, line)
            // Git itself leaves out a quotation mark at the end of an author.
            .stdout("Ada \"L\"\nada@example.invalid\n[PROJECT]\n\nAda \"L <ada@example.invalid>\n")
            .run();
    }

    /// The state of a project lies below `~/.claudebox`, and the user's memory is made once and then is theirs.
    fn state_lies_in_the_instance(user: User) {
        let test = Test::new().who(user);
        inside(test.clone(), "echo kept > ~/.claude/probe; cat ~/.claude/CLAUDE.md | head -1; echo x >> ~/.claude/CLAUDE.md")
            .stdout("# Notes for Claude Code in all sandboxed projects\n")
            .stderr("sh: 1: cannot create [HOME]/.claude/CLAUDE.md: Read-only file system\n")
            .exit(2)
            .run();
        std::fs::write(test.at("~/.claudebox/CLAUDE.md"), "mine\n").expect("the user's own memory");
        inside(test, "cat ~/.claude/probe ~/.claude/CLAUDE.md").stdout("kept\nmine\n").run();
    }
}

/// The ordinary user's ids.
fn ids(test: &Test) -> (u32, u32) {
    let run = test.control(&["sh", "-c", "id -u; id -g"]);
    let mut numbers = run.stdout.lines().map(|line| line.parse().expect("a number"));
    (numbers.next().expect("a user id"), numbers.next().expect("a group id"))
}
