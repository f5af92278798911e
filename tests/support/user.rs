//! Who starts claudebox in a test: root, or an ordinary user. A sandbox meets other rules as root, so what must hold is tested as both.

use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Once, OnceLock};

/// The ordinary user that a suite run by root makes.
const NAME: &str = "cbtest";

/// Who starts the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    Ordinary,
}

impl User {
    /// Makes `command` run as this user. Setting the uid drops root's supplementary groups too.
    pub fn start(self, command: &mut Command) {
        if let (Some((uid, gid)), true) = (self.ids(), is_root()) {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives `path` and all below it to this user.
    pub fn own(self, path: &Path) {
        if !is_root() {
            return;
        }
        let (uid, gid) = self.ids().unwrap_or((0, 0));
        each(path, &mut |path| {
            // What a session of before removes at this moment has no owner any more.
            match lchown(path, Some(uid), Some(gid)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                changed => changed.expect("root may change owners"),
            }
        });
    }

    /// The name for `USER`.
    pub fn name(self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::Ordinary if is_root() => NAME.to_owned(),
            Self::Ordinary => id("-un", None),
        }
    }

    /// The user id and the group id.
    pub fn numbers(self) -> (u32, u32) {
        self.ids()
            .unwrap_or_else(|| (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()))
    }

    /// Ids to change to; `None` for the ids the suite has already.
    fn ids(self) -> Option<(u32, u32)> {
        match self {
            Self::Root => {
                need_root();
                None
            }
            Self::Ordinary if is_root() => Some(ordinary()),
            Self::Ordinary => None,
        }
    }
}

/// Whether the suite itself runs as root.
pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Fails where the suite is not run by root: a test that would be skipped is a test that did not hold.
#[track_caller]
pub fn need_root() {
    open_many_files();
    assert!(
        is_root(),
        "this test needs root: `make test` runs the suite as root, which then covers an ordinary user too"
    );
}

/// Lets the suite open as many files as it may: it serves many networks at a time, and sudo leaves it a thousand.
pub fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("a limit that is ours to raise");
    });
}

/// The ids of the ordinary user, made on first use.
fn ordinary() -> (u32, u32) {
    static IDS: OnceLock<(u32, u32)> = OnceLock::new();
    *IDS.get_or_init(|| {
        // Another run may make the same user at this moment: what counts is that there is one afterwards.
        let made = Command::new("useradd")
            .args(["--no-create-home", "--shell", "/bin/bash", NAME])
            .output();
        let number = |flag| {
            id(flag, Some(NAME))
                .parse::<u32>()
                .unwrap_or_else(|_| panic!("no user {NAME}: useradd said {made:?}"))
        };
        (number("-u"), number("-g"))
    })
}

fn id(flag: &str, name: Option<&str>) -> String {
    let output = Command::new("id")
        .arg(flag)
        .args(name)
        .output()
        .expect("id, from coreutils");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Calls `act` with `path` and with everything below it, never through a symlink.
pub fn each(path: &Path, act: &mut impl FnMut(&Path)) {
    act(path);
    if path.is_dir() && !path.is_symlink() {
        let entries = match std::fs::read_dir(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            entries => entries.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        };
        let mut inside = entries
            .map(|entry| entry.expect("a directory's entry").path())
            .collect::<Vec<_>>();
        inside.sort();
        for path in inside {
            each(&path, act);
        }
    }
}

/// The directory every user may read that holds the programs a test starts. The build's own directory may lie in a home that others cannot enter.
pub fn programs() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        open_many_files();
        remove_leftovers();
        let directory = PathBuf::from(format!("{LEFTOVER}{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory in /tmp");
        let claudebox = directory.join("claudebox");
        std::fs::copy(env!("CARGO_BIN_EXE_claudebox"), &claudebox).expect("a copy of the program");
        // The broker is found beside the program: most tests are of a program without it.
        let beside = directory.join("with-broker");
        std::fs::create_dir_all(&beside).expect("our own directory");
        let broker = beside.join("claudebox-broker");
        std::fs::copy(env!("CARGO_BIN_EXE_claudebox-broker"), &broker).expect("a copy of the program");
        let neighbour = beside.join("claudebox");
        std::fs::copy(&claudebox, &neighbour).expect("a copy of the program");
        let attack = directory.join("attack");
        compile("tests/support/attack.c", &attack);
        for path in [&directory, &beside, &claudebox, &neighbour, &broker, &attack] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("our own file");
        }
        directory
    })
}

/// Compiles a program of the tests, without shared libraries: it runs in any sandbox that lets it be executed.
pub fn compile(source: &str, program: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let built = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .arg(program)
        .arg(source)
        .output();
    let built = built.expect("cc, from the package gcc");
    assert!(
        built.status.success(),
        "cc failed: {}",
        String::from_utf8_lossy(&built.stderr)
    );
}

const LEFTOVER: &str = "/tmp/claudebox-test-bin-";

/// A test binary has no moment at its end to clean up in, so each run removes what ended runs left.
fn remove_leftovers() {
    for entry in std::fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let path = entry.path();
        let pid = path
            .to_str()
            .and_then(|text| text.strip_prefix(LEFTOVER))
            .and_then(|text| text.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // It may be another user's: then it is that user's to remove.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
