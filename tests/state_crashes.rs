//! The state under pressure: many starts at once, starts that are killed, a full disk, a home without write access, and a
//! directory that someone else could have filled. Nothing is lost, and nothing half made is taken for whole.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use claudebox::state::record::Record;

use crate::support::user::each;
use crate::support::{Test, User, as_both};

const INSTANCES: &str = "~/.claudebox/instances";
const TRUE: [&str; 6] = ["--yes", "--quiet", "--net", "none", "--exec", "true"];

/// The paths of the state, without what differs between two projects: the hash, and the path that a report is named by.
fn paths(test: &Test) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    each(&test.at("~/.claudebox"), &mut |path| {
        let path = test.blank(&path.display().to_string());
        let parts = path.split('/').map(|part| match part.rsplit_once('-') {
            Some((name, hash)) if hash.len() == 16 => format!("{name}-HASH"),
            _ => part.to_owned(),
        });
        paths.insert(parts.collect::<Vec<_>>().join("/"));
    });
    paths
}

/// Everything in the state is the caller's alone.
fn private(test: &Test) {
    each(&test.at("~/.claudebox"), &mut |path| {
        let status = fs::symlink_metadata(path).expect("a file that was just listed");
        let wanted = if status.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(status.mode() & 0o7777, wanted, "{}", path.display());
    });
}

/// The only instance's record.
fn record(test: &Test) -> Record {
    let entries = fs::read_dir(test.at(INSTANCES)).expect("the instances");
    let [instance] = entries
        .map(|entry| entry.expect("an entry").path())
        .collect::<Vec<_>>()
        .try_into()
        .expect("one instance");
    Record::parse(&fs::read(instance.join("record.json")).expect("a record")).expect("a whole record")
}

as_both! {
    /// A hundred first starts at one moment make one state, the same as one start makes, and all of them run.
    fn a_hundred_first_starts_at_once(user: User) {
        let test = Test::new().who(user).directory(".");
        test.user().own(&test.home());
        // They wait at a gate, so that all are at their first step together.
        let script = "for i in $(seq 100); do (while [ ! -e ../gate ]; do sleep 0.01; done; exec \"$0\" -y -q --net none --exec echo ran) & done; \
                      sleep 1; : > ../gate; wait";
        let run = test.shell(script);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.exit), ("ran\n".repeat(100).as_str(), "", 0));
        let alone = Test::new().who(user).args_of(&TRUE);
        alone.compare(&alone.start());
        assert_eq!(paths(&test), paths(&alone));
        private(&test);
        assert_eq!(test.blank(&record(&test).root.to_string()), "[PROJECT]");
    }

    /// Whatever the umask, the state is the caller's alone.
    fn no_umask_opens_the_state(user: User) {
        for umask in ["0000", "0777"] {
            let test = Test::new().who(user).before(&["sh", "-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).args_of(&TRUE);
            test.compare(&test.start());
            private(&test);
        }
    }

    /// Killed at any moment of a first start, the next start finds nothing that it could take for whole and is not.
    fn a_start_killed_at_any_moment(user: User) {
        const MOMENTS: u64 = 100;
        let alone = Test::new().who(user).args_of(&TRUE);
        alone.compare(&alone.start());
        let whole = paths(&alone);
        let test = Test::new().who(user).args_of(&TRUE);
        let mut moments = BTreeSet::new();
        // The moment lies within the time that a whole start has just taken: on a busy machine that is another one.
        let mut whole_start = Duration::from_millis(30);
        for _ in 0..MOMENTS {
            let _ = fs::remove_dir_all(test.at("~/.claudebox"));
            let running = test.spawn();
            let random = RandomState::new().build_hasher().finish();
            std::thread::sleep(Duration::from_nanos(random % u64::try_from(whole_start.as_nanos()).expect("a short time")));
            drop(running);
            let left = if test.at("~/.claudebox").exists() { paths(&test) } else { BTreeSet::new() };
            assert!(left.is_subset(&whole), "{left:?}");
            if left.iter().any(|path| path.ends_with("/record.json")) {
                record(&test);
            }
            moments.insert(left.len());
            // What is half made is nobody's: it is completed here, or removed by `--gc` where the project is gone.
            let start = Instant::now();
            test.compare(&test.start());
            whole_start = start.elapsed();
            assert_eq!(paths(&test), whole);
            private(&test);
        }
        assert!(moments.len() > 2, "every start was killed at the same step: {moments:?}");
    }

    /// Directories of the state that others could have filled, or that lead elsewhere, are refused before anything is asked or made.
    fn a_state_that_is_not_the_callers_alone(user: User) {
        let chain = ["~/.claudebox", "~/.claudebox/auth", INSTANCES];
        for place in chain {
            let shown = place.replace('~', "[HOME]");
            let open = format!("error[state]: `{shown}` can be written by others (mode 0775)\nhint: make it yours alone: chmod 700 {shown}\n");
            Test::new().who(user).directory(place).mode(place, 0o775).refused(&open);
            let linked = format!(
                "error[state]: `{shown}` is a symbolic link, and claudebox follows none in its own state\nhint: put the directory itself there, or mount it there\n"
            );
            Test::new().who(user).directory("~/elsewhere").link(place, "[HOME]/elsewhere").refused(&linked);
            let file = format!("error[state]: `{shown}` is no directory\nhint: move it away: mv {shown} {shown}.old\n");
            Test::new().who(user).file(place, "words").refused(&file);
        }
    }

    /// What an agent puts in the place of a mount is neither followed nor replaced.
    fn what_an_agent_puts_in_the_place_of_a_mount(user: User) {
        let test = Test::new().who(user).file("~/.ssh/id_ed25519", "a key").args_of(&TRUE);
        test.compare(&test.start());
        let instance = fs::read_dir(test.at(INSTANCES)).expect("the instances").next().expect("one").expect("an entry").path();
        for (name, put) in [("sessions", "ln -s ~/.ssh"), ("CLAUDE.md", "ln -s ~/.ssh/id_ed25519"), ("CLAUDE.md", "mkdir")] {
            let place = instance.join("claude").join(name);
            let saved = instance.join("saved");
            fs::rename(&place, &saved).expect("the mount's place");
            assert_eq!(test.shell(&format!("{put} {}", place.display())).exit, 0);
            let shown = test.blank(&place.display().to_string());
            let text = format!(
                "error[state]: `{shown}` is not what claudebox made there\nhint: it was replaced from inside the sandbox: look at it, and move it away: mv {shown} {shown}.old\n"
            );
            let run = test.start();
            assert!(run.stderr.starts_with(&text) && run.exit == 125, "{run:?}");
            let _ = fs::remove_file(&place);
            let _ = fs::remove_dir(&place);
            fs::rename(&saved, &place).expect("the mount's place");
        }
        // A link in the place of the login is no login, and what it leads to does not enter.
        fs::create_dir_all(test.at("~/.claudebox/auth")).expect("the login's directory");
        let test = test.link("~/.claudebox/auth/.credentials.json", "[HOME]/.ssh/id_ed25519");
        let look = "cat ~/.claude/.credentials.json ~/.claude-auth/.credentials.json 2> /dev/null; echo looked";
        test.args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", look]).stdout("looked\n").run();
    }

    /// A record that is broken, or a link, is written anew, and the history beside it is the same as before.
    fn a_broken_record_is_written_anew(user: User) {
        let test = Test::new().who(user).file("~/precious", "kept").args_of(&TRUE);
        test.compare(&test.start());
        let good = record(&test);
        let instance = fs::read_dir(test.at(INSTANCES)).expect("the instances").next().expect("one").expect("an entry").path();
        for spoil in [": >", "echo '{}' >", "ln -sf ~/precious"] {
            assert_eq!(test.shell(&format!("{spoil} {}/record.json", instance.display())).exit, 0);
            test.compare(&test.start());
            assert_eq!((&record(&test).root, &record(&test).volume), (&good.root, &good.volume), "{spoil}");
        }
        assert_eq!(fs::read_to_string(test.at("~/precious")).expect("the file"), "kept");
    }

    /// The lock that says that a state is in use is held by the sandbox's first process, and nobody inside can write to it, open it
    /// for that through that process, or change its mode.
    fn the_lock_is_out_of_reach(user: User) {
        let script = "held=$(for f in /proc/1/fd/*; do case $(readlink $f) in */lock) echo $f;; esac; done); \
                      for f in /run/claudebox/lock $held; do (: >> $f) 2> /dev/null && echo written; chmod 666 $f 2> /dev/null && echo changed; done; \
                      echo $held | wc -w; stat -c %a%s /run/claudebox/lock";
        Test::new().who(user).args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", script]).stdout("1\n6000\n").run();
    }

    /// The subdirectories of a repository are one project; where there is no repository, each directory is a project of its own.
    fn subdirectories_belong_to_their_repository(user: User) {
        let test = Test::new().who(user).directory("sub").directory("~/plain/sub");
        assert_eq!(test.control(&["git", "init", "-q"]).exit, 0);
        let count = || fs::read_dir(test.at(INSTANCES)).expect("the instances").count();
        for (place, expected) in [("[PROJECT]", 1), ("sub", 1), ("~/plain", 2), ("~/plain/sub", 3)] {
            test.beside(place).args_of(&TRUE).run();
            assert_eq!(count(), expected, "{place}");
        }
    }
}

/// A state of another user's, as after `sudo`: only root meets one.
#[test]
fn a_state_of_another_users() {
    let test = Test::new()
        .who(User::Root)
        .directory("~/.claudebox")
        .mode("~/.claudebox", 0o700)
        .args_of(&TRUE);
    User::Ordinary.own(&test.home());
    let uid = fs::metadata(test.home()).expect("the home").uid();
    let run = test.shell("\"$0\" -y -q --net none --exec true");
    let text = format!(
        "error[state]: `[HOME]/.claudebox` belongs to the user {uid}, not to you\n\
         hint: start claudebox as that user, or move it away: mv [HOME]/.claudebox [HOME]/.claudebox.old\n"
    );
    test.stderr(&text).exit(125).compare(&run);
}

/// Starts the program as this user from a shell of root's, in which file systems can be mounted.
fn started_as(user: User, test: &Test) -> String {
    user.own(&test.home());
    let owner = fs::metadata(test.home()).expect("the home");
    let (uid, gid) = (owner.uid(), owner.gid());
    format!(
        "own=uid={uid},gid={gid}; start() {{ setpriv --reuid {uid} --regid {gid} --clear-groups \"$0\" -y -q --net none --exec true 2>&1; }}"
    )
}

/// On a disk that fills up at any step the start is refused with the reason, and goes on when there is room again. The disk is a
/// file system in memory, in a namespace of its own, which needs root.
#[test]
fn a_full_disk() {
    for user in [User::Root, User::Ordinary] {
        let test = Test::new().who(User::Root).directory("~/.claudebox");
        let start = started_as(user, &test);
        // First without room for names, one more each time; then without room for words.
        let script = format!(
            "{start}; mount --make-rprivate /; cd [PROJECT]; \
             for limit in nr_inodes=2 nr_inodes=3 nr_inodes=4 nr_inodes=5 nr_inodes=6 nr_inodes=7 nr_inodes=8 size=4k; do \
             mount -t tmpfs -o mode=0700,$own,$limit none ~/.claudebox; start; echo $limit $?; \
             mount -o remount,nr_inodes=0,size=1m ~/.claudebox; start; echo again $?; \
             find ~/.claudebox -name '*.new-*'; umount ~/.claudebox; done"
        );
        let run = test.before(&["unshare", "-m"]).shell(&script);
        let mut limits = 0;
        let mut lines = run.stdout.lines();
        while let Some(line) = lines.next() {
            let hint = lines.next().expect("a hint");
            assert!(
                line.starts_with("error[state]: cannot ") && line.ends_with(": no space left on device"),
                "{line}\n{}",
                run.stdout
            );
            assert_eq!(
                hint,
                "hint: claudebox keeps its state in `~/.claudebox`; check its owner, its mode and the free space"
            );
            assert!(lines.next().expect("the exit code").ends_with(" 125"), "{}", run.stdout);
            assert_eq!(lines.next(), Some("again 0"), "{}", run.stdout);
            limits += 1;
        }
        assert_eq!((limits, run.stderr.as_str()), (8, ""), "{}", run.stdout);
    }
}

/// Where the project's own disk is full nothing can be reserved in its repository: the start is refused, and leaves it as it was.
#[test]
fn a_full_disk_below_the_project() {
    for user in [User::Root, User::Ordinary] {
        let test = Test::new().who(User::Root);
        let start = started_as(user, &test);
        let script = format!(
            "{start}; mount --make-rprivate /; mount -t tmpfs -o mode=0755,$own,nr_inodes=200 none [PROJECT]; cd [PROJECT]; \
             setpriv --reuid $(stat -c %u .) --regid $(stat -c %g .) --clear-groups git init -q .; n=0; while touch $n 2> /dev/null; do n=$((n + 1)); done; \
             find . > ../before; start; echo $?; find . | diff ../before - && rm 0 1 2 3 && start; echo $?"
        );
        let run = test.before(&["unshare", "-m"]).shell(&script);
        let text = "error[git-exec-surface]: cannot keep `[PROJECT]/.git/commondir` from being made: no space left on device\n\
                    hint: check the owner of the directory and the free space\n125\n0\n";
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (text, ""));
    }
}

/// A mode that no test above sets: the directory is the caller's, and others may look into it. That is allowed and told by `--check`.
#[test]
fn a_state_that_others_can_look_into() {
    let test = Test::new()
        .directory("~/.claudebox")
        .mode("~/.claudebox", 0o755)
        .args_of(&TRUE);
    test.compare(&test.start());
    assert_eq!(
        fs::metadata(test.at("~/.claudebox"))
            .expect("the state")
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
    let run = test.args(["--check"]).start();
    assert!(
        run.stdout
            .contains("~/.claudebox has mode 0755: others can look into it"),
        "{}",
        run.stdout
    );
}

/// A home without write access is told as such, at the first start and later, and nothing starts. The mounts are made in a namespace
/// of its own, which needs root; the program runs as either.
#[test]
fn a_home_without_write_access() {
    for user in [User::Root, User::Ordinary] {
        let test = Test::new().who(User::Root);
        user.own(&test.home());
        let owner = fs::metadata(test.home()).expect("the home");
        let start = format!(
            "setpriv --reuid {} --regid {} --clear-groups \"$0\" -y -q --net none --exec",
            owner.uid(),
            owner.gid()
        );
        let locked = format!(
            "mount --make-rprivate / && mount --bind ~ ~ && mount -o remount,bind,ro ~ && cd [PROJECT] && {start} echo ran; echo $?"
        );
        let locked = || test.clone().before(&["unshare", "-m"]).shell(&locked);
        let text = |what: &str| {
            format!(
                "error[state]: cannot {what}: read-only file system\n\
                 hint: claudebox keeps its state in `~/.claudebox`; check its owner, its mode and the free space\n"
            )
        };
        let run = locked();
        assert_eq!(
            (run.stdout.as_str(), run.stderr),
            ("125\n", text("make the directory `[HOME]/.claudebox`"))
        );
        assert_eq!(test.shell(&format!("{start} true")).exit, 0);
        // A day later, when the last use is written anew.
        let instance = fs::read_dir(test.at(INSTANCES))
            .expect("the instances")
            .next()
            .expect("one")
            .expect("an entry");
        let path = instance.path().join("record.json");
        let mut old = record(&test);
        old.used -= 86_400;
        fs::write(&path, old.text()).expect("the record");
        let shown = test.blank(&path.display().to_string());
        let run = locked();
        assert_eq!(
            (run.stdout.as_str(), run.stderr),
            ("125\n", text(&format!("write `{shown}`")))
        );
    }
}
