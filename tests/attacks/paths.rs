//! Paths that are other than they look: links that steer a mount, other roads to a file, a working directory that somebody else chose.

use super::{Attack, NAIVE, boxed, of_the_host};
use crate::support::{Test, User, as_both};

as_both! {
    /// Links of the project at the places that a launcher mounts or masks: none leads a mount out, and nothing is made where it leads.
    fn links_of_the_project_lead_nowhere(user: User) {
        let furnished = || {
            Test::new()
                .who(user)
                .file("~/.ssh/id", "a secret\n")
                .directory("~/elsewhere")
                .link("keys", "../.ssh")
                .link(".env", "../.ssh/id")
                .link(".claude", "../elsewhere")
                .link(".vscode", "../elsewhere/absent")
                .link(".mcp.json", "../elsewhere/stub")
                .link("notes.txt", "real.txt")
                .file("real.txt", "honest\n")
        };
        Attack {
            naive: NAIVE,
            script: "cat keys/id .env 2> /dev/null; (: > .mcp.json) 2> /dev/null && ls ../elsewhere; true",
            works: "a secret\na secret\nstub\n",
            stopped: "",
            honest: ("cat notes.txt; echo more >> notes.txt; wc -l < real.txt", "honest\n2\n"),
        }
        .check(furnished);
        // What claudebox itself reads in the project is read through no link.
        let test = furnished().link(".claudebox", "../.ssh");
        let run = boxed(&test, "true").start();
        assert!(run.exit == 125 && run.stderr.starts_with("error[project-file]: `.claudebox/tools.txt` cannot be used: "), "{run:?}");
    }

    /// What is denied by name has other names. Here nothing is denied by name: what is not mounted has none.
    fn no_other_road_leads_to_a_secret(user: User) {
        let furnished = || Test::new().who(user).file("~/.ssh/id", "a secret\n").file("open.txt", "a file\n");
        let roads = "s=.ssh/id; cat ~/$s; /proc/self/root/usr/bin/cat ~/$s; cat /proc/self/root$HOME/$s; cat /proc/1/root$HOME/$s; \
                     cat /proc/self/cwd/../$s; cp /usr/bin/cat own; ./own ~/$s; rm own; for l in /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.*; do \
                     [ -e $l ] && $l /usr/bin/cat ~/$s && break; done; head -1 ../$s; (cd ..; cat $s); ln -s ../$s link; cat link; rm link; \
                     exec 5< ~/..; cat /proc/self/fd/5/home/$s";
        let script = format!("{{ {roads}; }} 2> /dev/null; true");
        Attack {
            // As a list of forbidden commands would do it: the usual program is not there.
            naive: &[NAIVE, &["--ro-bind", "/dev/null", "/usr/bin/tac"]].concat(),
            script: &script,
            works: &"a secret\n".repeat(11),
            stopped: "",
            honest: ("cat /proc/self/root$PWD/open.txt; cp /usr/bin/cat own && ./own open.txt; rm own", "a file\na file\n"),
        }
        .check(furnished);
    }

    /// Where the project lies is decided by the person who starts it: nothing that an agent can write moves or widens it.
    fn an_agent_does_not_choose_the_project(user: User) {
        let furnished = || Test::new().who(user).file("~/other/data", "of another project\n");
        let script = "mkdir -p sub/.git ../sub 2> /dev/null; printf 'root = \"../..\"\\nmounts = [\"..\"]\\n' > .claudebox.toml; \
                      echo 'gitdir: ../../other' > sub/.git/x; ln -s ../../other sub/other; cat ../other/data sub/other/data 2> /dev/null; \
                      (echo x > ../other/new) 2> /dev/null; rm -r .claudebox.toml sub";
        Attack {
            naive: NAIVE,
            script: &format!("{script}; rm -f ../other/new; rmdir ../sub"),
            works: "of another project\nof another project\n",
            stopped: "",
            honest: ("pwd -P | grep -c project$; touch here; rm here", "1\n"),
        }
        .check(furnished);
        // What the file of a project says beyond tools and limits is refused, and a session that starts below stays below.
        let test = furnished().file(".claudebox.toml", "root = \"..\"\n");
        let before = of_the_host(&test);
        let run = boxed(&test, "true").start();
        assert!(run.exit == 125 && run.stderr.starts_with("error[project-file]: "), "{run:?}");
        assert_eq!(of_the_host(&test), before);
        let test = furnished().directory("below").file("secret", "of the rest\n").current("[PROJECT]/below");
        boxed(&test, "cat ../secret 2> /dev/null; pwd").stdout("[PROJECT]/below\n").run();
    }
}
