//! `--gc` in the states that a home can be in: every word it says, what it keeps in doubt, and what it survives.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claudebox::host::volume::Volume;
use claudebox::path::HostPath;
use claudebox::state::instance_name;
use claudebox::state::record::Record;

use rustix::fs::{CWD, Mode, OFlags, Uid, fchown, mkdirat, openat};

use crate::support::{Test, User, as_both};

const INSTANCES: &str = "~/.claudebox/instances";
/// The first days of two Novembers.
const MADE: u64 = 1_730_419_200;
const USED: u64 = 1_761_955_200;

/// A home with a state that has no instance yet.
fn home(user: User) -> Test {
    let test = Test::new().who(user).directory(INSTANCES);
    [("~/.claudebox", 0o700), (INSTANCES, 0o700)]
        .into_iter()
        .fold(test, |test, (path, mode)| test.mode(path, mode))
}

fn record(root: &Path) -> Record {
    let root = HostPath::new(root).expect("an absolute path");
    Record {
        volume: Volume::holding(&root).expect("a file system"),
        root,
        made: MADE,
        used: USED,
    }
}

/// Makes the instance of a root as a launch leaves it, and gives its directory.
fn instance(test: &Test, root: &Path) -> PathBuf {
    instance_of(test, &record(root))
}

fn instance_of(test: &Test, record: &Record) -> PathBuf {
    let directory = test.at(INSTANCES).join(instance_name(&record.root));
    fs::create_dir_all(directory.join("claude")).expect("the test's own directory");
    fs::write(directory.join("lock"), "").expect("the test's own file");
    fs::write(directory.join("record.json"), record.text()).expect("the test's own file");
    directory
}

fn name(directory: &Path) -> &str {
    directory.file_name().and_then(OsStr::to_str).expect("a name")
}

/// What is in the directory of instances.
fn names(test: &Test) -> Vec<String> {
    let entries = fs::read_dir(test.at(INSTANCES)).expect("the instances");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The length of the record, which tells the numbers of the machine's own file system.
fn length(directory: &Path) -> u64 {
    fs::metadata(directory.join("record.json")).expect("the record").len()
}

as_both! {
    /// No state, and an empty one, are nothing to speak of, and nothing is made.
    fn without_a_state_there_is_nothing_to_remove(user: User) {
        let said = "nothing to remove; 0 of projects that are there\n";
        let test = Test::new().who(user).args(["--gc", "--yes"]).stdout(said);
        let before = test.snapshot();
        test.compare(&test.start());
        assert_eq!(test.snapshot(), before);
        home(user).args(["--gc"]).stdout(said).run();
    }

    /// It works where no sandbox could start: in a directory that is gone, and without a policy that loads.
    fn it_needs_no_project(user: User) {
        let test = home(user).policy("no policy at all").before(&["sh", "-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\""]);
        test.args(["--gc", "--dry-run"]).stdout("nothing to remove; 0 of projects that are there\n").run();
    }

    /// Each line of the list, for people and for programs.
    fn the_whole_list(user: User) {
        let test = home(user);
        instance(&test, &test.project());
        let gone = instance(&test, &test.at("~/gone"));
        fs::write(gone.join("claude/history.jsonl"), vec![b'x'; 3 << 20]).expect("the test's own file");
        let killed = test.at(INSTANCES).join("killed-0123456789abcdef");
        fs::create_dir(&killed).expect("the test's own directory");
        fs::write(killed.join("lock"), "").expect("the test's own file");
        let old = test.at(INSTANCES).join("old-0123456789abcdef");
        fs::create_dir_all(old.join("claude")).expect("the test's own directory");
        let other = test.at(INSTANCES).join("other-0123456789abcdef");
        fs::create_dir_all(&other).expect("the test's own directory");
        fs::copy(gone.join("record.json"), other.join("record.json")).expect("the test's own file");
        let newer = test.at(INSTANCES).join("newer-0123456789abcdef");
        fs::create_dir_all(&newer).expect("the test's own directory");
        fs::write(newer.join("record.json"), "{\"schema\":\"claudebox.instance/2\"}").expect("the test's own file");
        fs::write(test.at(INSTANCES).join("notes.txt"), "").expect("the test's own file");
        fs::create_dir_all(test.at(INSTANCES).join(".trash/half")).expect("the test's own directory");

        let size = 3 * 1_048_576 + length(&gone);
        let list = format!(
            "remove  {}: `[HOME]/gone` is gone, last used 2025-11-01, 3.0 MiB\n\
             remove  killed-0123456789abcdef: the start that made it was killed, and nothing is in it\n\
             keep    newer-0123456789abcdef: its record is of another version of claudebox\n\
             keep    notes.txt: claudebox gives no instance such a name\n\
             keep    old-0123456789abcdef: it has no record of its project; the next start of the project writes one\n\
             keep    other-0123456789abcdef: `[HOME]/gone`: its record belongs to another instance\n\
             remove  what an earlier --gc did not finish\n\
             2 to remove (3.0 MiB); 4 kept for the reasons above, 1 of projects that are there\n",
            name(&gone)
        );
        let before = test.snapshot();
        let test = test.args(["--gc", "--dry-run"]).stdout(&list);
        test.compare(&test.start());

        let json = test.clone().args(["--gc", "--dry-run", "--json"]).start();
        let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        let keep = |name: &str, why: &str| serde_json::json!({"instance": name, "why": why});
        let mut foreign = keep("other-0123456789abcdef", "its record belongs to another instance");
        foreign["root"] = "[HOME]/gone".into();
        assert_eq!(
            found,
            serde_json::json!({
                "schema": "claudebox.gc/1",
                "dry_run": true,
                "remove": [
                    {"instance": name(&gone), "root": "[HOME]/gone", "why": "root-gone", "made": MADE, "used": USED, "bytes": size,
                     "measured": true, "outcome": "listed", "detail": null},
                    {"instance": "killed-0123456789abcdef", "why": "unfinished", "bytes": 0, "measured": true, "outcome": "listed", "detail": null},
                ],
                "keep": [
                    keep("newer-0123456789abcdef", "its record is of another version of claudebox"),
                    keep("notes.txt", "claudebox gives no instance such a name"),
                    keep("old-0123456789abcdef", "it has no record of its project; the next start of the project writes one"),
                    foreign,
                ],
                "present": 1,
                "trash": null,
            })
        );
        assert_eq!(test.snapshot(), before, "looking changed something");

        let text = "error[confirmation]: `--gc --json` asks nobody\nhint: look at `claudebox --gc --json --dry-run`, then use `--gc --json --yes`\n";
        test.clone().args(["--gc", "--json"]).stdout("").stderr(text).exit(125).run();

        let test = test.args(["--gc", "--yes"]).stdout(&format!("{list}removed 2\n"));
        test.compare(&test.start());
        let kept = [".trash", "newer-0123456789abcdef", "notes.txt", "old-0123456789abcdef", "other-0123456789abcdef"];
        assert_eq!(names(&test).into_iter().filter(|name| !name.starts_with("project-")).collect::<Vec<_>>(), kept);
        assert_eq!(fs::read_dir(test.at(INSTANCES).join(".trash")).expect("the trash").count(), 0);
    }

    /// A path that is no text is kept byte for byte, found again, and shown so that it cannot be taken for another.
    fn a_root_that_is_no_text(user: User) {
        let test = home(user);
        let here = test.home().join(OsStr::from_bytes(b"he\xffre"));
        fs::create_dir(&here).expect("the test's own directory");
        instance(&test, &here);
        let gone = instance(&test, &test.home().join(OsStr::from_bytes(b"go\xff\nne")));
        let list = format!(
            "remove  {}: `[HOME]/go\\xff\\nne` is gone, last used 2025-11-01, {} B\n1 to remove ({} B); 1 of projects that are there\n",
            name(&gone), length(&gone), length(&gone)
        );
        let test = test.args(["--gc", "--dry-run"]).stdout(&list);
        test.compare(&test.start());
        let json = test.args(["--gc", "--dry-run", "--json"]).start();
        let found: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        let root = &found["remove"][0]["root"];
        assert_eq!(root["text"], "[HOME]/go\\xff\\nne");
        assert!(root["bytes"].as_str().expect("digits").ends_with("2f676fff0a6e65"), "{root}");
    }

    /// What an agent can make in its own state is removed all the same: directories without permissions, and deeper than any path.
    fn whatever_an_agent_left_is_removed(user: User) {
        let test = home(user);
        let gone = instance(&test, &test.at("~/gone"));
        let shut = gone.join("claude/shut/inner");
        fs::create_dir_all(shut.join("x")).expect("the test's own directory");
        test.user().own(&test.home());
        let owner = fs::metadata(test.home()).expect("the home").uid();
        // 6,000 levels of 4 bytes are longer than any path can be.
        let mut place = openat(CWD, gone.join("claude"), OFlags::DIRECTORY, Mode::empty()).expect("the test's own directory");
        for _ in 0..6_000 {
            mkdirat(&place, "ddd", Mode::RWXU).expect("a level");
            place = openat(&place, "ddd", OFlags::DIRECTORY, Mode::empty()).expect("a level");
            fchown(&place, Some(Uid::from_raw(owner)), None).expect("root may change owners");
        }
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the test's own directory");
        mode(&shut, 0o000);
        mode(shut.parent().expect("its parent"), 0o555);
        let script = "\"$0\" --gc --yes; \"$0\" --gc";
        let run = test.shell(script);
        let ends = "removed 1\nnothing to remove; 0 of projects that are there\n";
        assert!(run.stdout.contains("last used 2025-11-01, more than "), "{run:?}");
        assert!(run.stdout.ends_with(ends) && run.exit == 0 && run.stderr.is_empty(), "{run:?}");
        assert_eq!(names(&test), [".trash"]);
        assert_eq!(fs::read_dir(test.at(INSTANCES).join(".trash")).expect("the trash").count(), 0);
    }

    /// Two at once share the work, and one that is killed leaves to the next what is whole or in the trash.
    fn many_at_once_and_killed_ones(user: User) {
        let test = home(user);
        for number in 0..300 {
            let gone = instance(&test, &test.at(&format!("~/gone{number}")));
            fs::create_dir_all(gone.join("claude/projects/x")).expect("the test's own directory");
            fs::write(gone.join("claude/projects/x/history.jsonl"), "words").expect("the test's own file");
        }
        let alive = instance(&test, &test.project());
        test.user().own(&test.home());
        let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do \"$0\" --gc --yes > /dev/null & p=$!; sleep 0.00$((i % 10)); \
                      [ $i -lt 11 ] && kill -9 $p; done 2> /dev/null; wait; \"$0\" --gc --yes > /dev/null; echo $?; \"$0\" --gc";
        let run = test.shell(script);
        assert_eq!((run.stdout.as_str(), run.exit), ("0\nnothing to remove; 1 of projects that are there\n", 0), "{run:?}");
        assert_eq!(names(&test), [".trash", name(&alive)]);
    }

    /// A directory of instances that could lead elsewhere, or that others fill, is not looked into.
    fn a_state_that_is_not_ours_alone_is_not_cleared(user: User) {
        let linked = "error[state]: `[HOME]/.claudebox/instances` is a symbolic link, and claudebox follows none in its own state\n\
                      hint: put the directory itself there, or mount it there\n";
        let test = Test::new().who(user).directory("~/elsewhere/gone-0123456789abcdef").directory("~/.claudebox").mode("~/.claudebox", 0o700);
        let test = test.link(INSTANCES, "../elsewhere").args(["--gc", "--yes"]).stderr(linked).exit(125);
        let before = test.snapshot();
        test.compare(&test.start());
        assert_eq!(test.snapshot(), before);
        let open = "error[state]: `[HOME]/.claudebox/instances` can be written by others (mode 0777)\nhint: make it yours alone: chmod 700 [HOME]/.claudebox/instances\n";
        home(user).mode(INSTANCES, 0o777).args(["--gc", "--yes"]).stderr(open).exit(125).run();
    }
}

/// Only an ordinary user can be kept from a directory by its mode: what cannot be examined is not gone.
#[test]
fn a_root_that_cannot_be_examined_is_kept() {
    let test = home(User::Ordinary).directory("~/shut");
    let hidden = instance(&test, &test.at("~/shut/project"));
    let test = test.mode("~/shut", 0o000);
    let list = format!(
        "keep    {}: `[HOME]/shut/project`: cannot look at `[HOME]/shut/project`: permission denied\n\
         nothing to remove; 1 kept for the reasons above, 0 of projects that are there\n",
        name(&hidden)
    );
    test.user().own(&test.at("~/.claudebox"));
    test.user().own(&test.home());
    let run = test.shell("\"$0\" --gc --yes");
    let test = test.mode("~/shut", 0o755).stdout(&list);
    test.compare(&run);
}

/// A drive that is not mounted takes no history with it; one that is mounted without the project does. Needs a namespace with
/// mounts of its own, so root.
#[test]
fn a_drive_that_is_away_is_not_gone() {
    let test = home(User::Root)
        .directory("~/drive")
        .directory("~/other")
        .directory("~/disk/project");
    // The companion of a session that ended may hold its directory for a moment longer.
    // The drive is a part of the disk that is bound to its place: a file system of its own as far as mounts go.
    let script = "set -e; cd \"$HOME\"; mount --make-rprivate /; gc() { \"$0\" --gc \"$@\" | sed \"s/[a-z]*-[0-9a-f]\\{16\\}/NAME/\"; }; \
                  mount --bind disk drive; (cd drive/project && \"$0\" -y -q --net none --exec true); \
                  for i in $(seq 1200); do umount drive 2> /dev/null && break; sleep 0.05; done; echo away; gc --yes; \
                  mount -t tmpfs none drive; echo another; gc --yes; umount drive; \
                  mkdir -p drive; mount --bind disk drive; echo back; gc --yes; \
                  rmdir drive/project; mount --bind other other; echo removed; gc --dry-run | sed 's/last used .*/.../'";
    let run = test.before(&["unshare", "-m"]).shell(script);
    let keep = |why: &str| {
        format!(
            "keep    NAME: `[HOME]/drive/project`: {why}\nnothing to remove; 1 kept for the reasons above, 0 of projects that are there\n"
        )
    };
    let said = format!(
        "away\n{}another\n{}back\nnothing to remove; 1 of projects that are there\nremoved\nremove  NAME: `[HOME]/drive/project` is gone, ...\n",
        keep("its file system is not mounted on `[HOME]/drive`"),
        keep("another file system is mounted on `[HOME]/drive`"),
    );
    assert!(run.stdout.starts_with(&said), "{}\n{}\n{said}", run.stdout, run.stderr);
    assert_eq!((run.stderr.as_str(), run.exit), ("", 0));
}
