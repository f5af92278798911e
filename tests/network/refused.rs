//! What the network needs and does not get: the launch is refused, the text says how to get it, and nothing ran.

use super::lab::{lab, shell};
use super::reach::{boxed, with_probe};
use crate::support::{Test, User, as_both};

/// The end of every hint.
const WAY_OUT: &str = "`--net none` needs none of this; `--net host` does not either, and is not isolated\n";

/// A launch that would leave a mark.
fn marking(test: Test) -> Test {
    boxed(test, "internet", ["sh", "-c", "echo ran > mark"])
}

#[track_caller]
fn refused(test: Test, stderr: &str) {
    refused_alone(&test, stderr);
    // The way out that the hint names is one.
    let out = boxed(test, "none", ["true"]).stderr("").exit(0);
    out.compare(&out.start());
}

/// The same where bubblewrap alone would not start either.
#[track_caller]
fn refused_alone(test: &Test, stderr: &str) {
    let test = marking(test.clone()).stderr(stderr).exit(125);
    test.compare(&test.start());
    assert!(!test.at("mark").exists(), "it was refused and ran all the same");
}

/// Puts a script in the place of slirp4netns, for this thread alone.
fn instead_of_slirp(script: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file in /tmp");
    std::fs::write(file.path(), script).expect("our own file");
    let path = file.path().display();
    shell(&format!("chmod 755 {path} && mount --bind {path} /usr/bin/slirp4netns"));
}

as_both! {
    fn no_slirp4netns(user: User) {
        lab().on_machine(|| {
            // The directory of programs without that one: links to where the real one is mounted too.
            shell(
                "d=$(mktemp -d) && chmod 755 $d && mkdir $d/all $d/some && mount --bind /usr/bin $d/all && \
                 cp -as $d/all/. $d/some/ && rm $d/some/slirp4netns && mount --bind $d/some /usr/bin",
            );
            let text = "error[slirp4netns]: slirp4netns is not installed\n\
                        hint: install it: apt install slirp4netns, dnf install slirp4netns, pacman -S slirp4netns; or choose `--net host`, \
                        which is not isolated, or `--net none`\n";
            refused_alone(&Test::new().who(user), text);
        });
    }

    fn a_slirp4netns_that_another_user_can_write(user: User) {
        lab().on_machine(|| {
            instead_of_slirp("#!/bin/sh\n");
            shell("chmod 777 /usr/bin/slirp4netns");
            let text = "error[slirp4netns]: slirp4netns cannot be used: `/usr/bin/slirp4netns` can be written by others (mode 0777)\n\
                        hint: install it: apt install slirp4netns, dnf install slirp4netns, pacman -S slirp4netns; or choose `--net host`, \
                        which is not isolated, or `--net none`\n";
            refused(Test::new().who(user), text);
        });
    }

    fn no_device(user: User) {
        lab().on_machine(|| {
            shell("rm /dev/net/tun");
            let text = "error[network]: `/dev/net/tun` cannot be opened: no such file or directory\n\
                        hint: slirp4netns connects a sandbox with the internet by it; load the kernel's module: modprobe tun; or choose \
                        `--net host`, which is not isolated, or `--net none`\n";
            refused(Test::new().who(user), text);
        });
    }

    fn no_packet_filters(user: User) {
        lab().on_machine(|| {
            let test = with_probe(user).before(&["[PROJECT]/probe", "without-filters"]);
            let text = format!(
                "error[network]: cannot put the network's rules in place: protocol not supported\n\
                 hint: the kernel needs nf_tables for `inet` with `reject` (CONFIG_NF_TABLES_INET, CONFIG_NFT_REJECT_INET; modprobe \
                 nf_tables); {WAY_OUT}"
            );
            refused(test, &text);
        });
    }

    fn no_namespaces(user: User) {
        lab().on_machine(|| {
            let test = with_probe(user).before(&["[PROJECT]/probe", "without-namespaces"]);
            let text = "error[namespaces]: this system does not let you make a user namespace: operation not permitted\n\
                        hint: `claudebox --check` names what forbids it, and the fix\n";
            refused_alone(&test, text);
        });
    }

    fn a_slirp4netns_that_fails(user: User) {
        lab().on_machine(|| {
            instead_of_slirp("#!/bin/sh\necho 'broken in two' >&2\necho places >&2\nexit 3\n");
            let text = "error[network]: slirp4netns could not attach the network; it said: broken in two; places\n";
            refused(Test::new().who(user), &format!("{text}hint: {WAY_OUT}"));
        });
    }

    /// A helper that only pretends is found out: what it says is not what a real one says.
    fn a_slirp4netns_that_says_nonsense(user: User) {
        lab().on_machine(|| {
            instead_of_slirp("#!/bin/sh\nfor word in \"$@\"; do case $word in --ready-fd=*) echo no >&${word#--ready-fd=};; esac; done\n");
            let text = "error[network]: slirp4netns could not attach the network; it did not say why\n";
            refused(Test::new().who(user), &format!("{text}hint: {WAY_OUT}"));
        });
    }
}

/// The device's mode keeps out ordinary users alone.
#[test]
fn a_device_for_root_alone() {
    lab().on_machine(|| {
        shell("chmod 600 /dev/net/tun");
        let text = "error[network]: `/dev/net/tun` cannot be opened: permission denied\n\
                    hint: slirp4netns connects a sandbox with the internet by it; most systems let every user open it: chmod 0666 \
                    /dev/net/tun; or choose `--net host`, which is not isolated, or `--net none`\n";
        refused(Test::new(), text);
    });
}

/// A helper that never gets ready is not waited for without end.
#[test]
fn a_slirp4netns_that_hangs() {
    lab().on_machine(|| {
        instead_of_slirp("#!/bin/sh\nexec sleep 600\n");
        let text = "error[network]: slirp4netns could not attach the network; it did not say why\n";
        refused(Test::new(), &format!("{text}hint: {WAY_OUT}"));
    });
}
