//! `make bench`: claudebox beside a bare bubblewrap with the very same options, in turn, in one run on one machine.
//! Ratios and medians; nothing here is a test, and no test has a time in it.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark starts processes, prints, and may panic"
)]

mod measure;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use claudebox::path::HostPath;
use claudebox::state::instance_name;
use claudebox::state::record::{self, Record};

use measure::{Sample, median, ratio};

/// How often each of two programs runs, in turn.
const ROUNDS: usize = 101;

fn main() {
    let program =
        PathBuf::from(std::env::var_os("CLAUDEBOX").expect("CLAUDEBOX names the release build; `make bench` sets it"));
    let place = tempfile::tempdir().expect("a directory");
    let home = place.path().canonicalize().expect("a canonical path").join("home");
    let project = home.join("project");
    fs::create_dir_all(&project).expect("a project");
    let bench = Bench { program, home, project };
    let mut report = String::new();
    bench.start(&mut report);
    bench.growth(&mut report);
    bench.network(&mut report);
    let _ = writeln!(report, "\n{}", measure::machine());
    print!("{report}");
    let into = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/reference/measurements.txt");
    fs::write(into, report).expect("the table for the book");
}

struct Bench {
    program: PathBuf,
    home: PathBuf,
    project: PathBuf,
}

impl Bench {
    fn claudebox(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8");
        command.current_dir(&self.project).args(words);
        command
    }

    /// The same options as `claudebox WORDS` gives bubblewrap, given by bash from the dry run: what bare bubblewrap costs.
    fn options(&self, words: &[&str]) -> Vec<String> {
        let mut dry = vec!["--dry-run"];
        dry.extend(words);
        let script = self.claudebox(&dry).output().expect("a dry run").stdout;
        let script = String::from_utf8(script).expect("UTF-8");
        let list = script
            .split("printf '%s\\0'")
            .nth(1)
            .expect("the options")
            .split(") \\\n")
            .next()
            .expect("their end");
        // The shell itself takes its quoting apart.
        let shell = format!("printf '%s\\n' {list}");
        let words = Command::new("bash").args(["-c", &shell]).output().expect("bash").stdout;
        String::from_utf8(words)
            .expect("UTF-8")
            .lines()
            .map(String::from)
            .collect()
    }

    fn start(&self, report: &mut String) {
        let words = ["--yes", "--quiet", "--net", "none", "--exec", "--", "/bin/true"];
        assert!(
            self.claudebox(&words).status().expect("claudebox").success(),
            "the first start makes the state"
        );
        let options = self.options(&words);
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(measure::bare(&options));
            ours.push(measure::run(&mut self.claudebox(&words)));
        }
        let wall = |samples: &[Sample]| median(samples.iter().map(|sample| sample.wall));
        let cpu = |samples: &[Sample]| median(samples.iter().map(|sample| sample.cpu));
        let _ = writeln!(
            report,
            "start of `true`, {ROUNDS} rounds in turn        bare bwrap   claudebox   ratio"
        );
        let _ = writeln!(
            report,
            "  wall time, median (ms)                   {:>10.2}  {:>10.2}  {:>6.2}",
            wall(&bare),
            wall(&ours),
            ratio(wall(&ours), wall(&bare))
        );
        let _ = writeln!(
            report,
            "  processor time, median (ms)              {:>10.2}  {:>10.2}",
            cpu(&bare),
            cpu(&ours)
        );
        let _ = writeln!(
            report,
            "  processor time of claudebox itself (ms)              {:>10.2}",
            cpu(&ours) - cpu(&bare)
        );
        let _ = writeln!(
            report,
            "  peak memory (MiB)                        {:>10.1}  {:>10.1}",
            peak(&bare),
            peak(&ours)
        );
        let dry: Vec<Sample> = (0..ROUNDS)
            .map(|_| measure::run(&mut self.claudebox(&["--dry-run", "--net", "none", "--exec", "--", "true"])))
            .collect();
        let _ = writeln!(
            report,
            "  --dry-run, processor time (ms)                       {:>10.2}",
            cpu(&dry)
        );
        let explain: Vec<Sample> = (0..ROUNDS)
            .map(|_| measure::run(&mut self.claudebox(&["--explain", "--net", "none", "--exec", "--", "true"])))
            .collect();
        let _ = writeln!(
            report,
            "  --explain, processor time (ms)                       {:>10.2}",
            cpu(&explain)
        );
    }

    /// The cost of ten times as much: near 10 is linear, near 100 is quadratic.
    fn growth(&self, report: &mut String) {
        let _ = writeln!(
            report,
            "\ngrowth, processor time (ms)                  100     1,000    10,000   100,000"
        );
        let look = ["--dry-run", "--net", "none", "--exec", "--", "true"];
        row(report, "variables, --dry-run", &COUNTS[..3], |count| {
            let mut command = self.claudebox(&look);
            command.envs((0..count).map(|index| (format!("V{index}"), "x")));
            command
        });
        let data = self.home.join("data");
        let policy = self.home.join("policy.rhai");
        row(report, "mounts, --dry-run", &COUNTS[..2], |count| {
            for index in 0..count {
                fs::create_dir_all(data.join(index.to_string())).expect("a directory");
            }
            let text = format!(
                "fn mounts(host) {{ base::mounts(host); for i in 0..{count} {{ mount::ro(`{}/${{i}}`, \"bench\"); }} }}",
                data.display()
            );
            fs::write(&policy, text).expect("a policy");
            let mut command = self.claudebox(&["--policy"]);
            command.arg(&policy).args(look);
            command
        });
        row(report, "instances, --dry-run", &COUNTS, |count| {
            self.instances(count);
            self.claudebox(&look)
        });
        row(report, "instances, --gc --dry-run", &COUNTS, |count| {
            self.instances(count);
            self.claudebox(&["--gc", "--dry-run"])
        });
    }

    /// Makes the state of that many projects, all of which are there, beside that of the project itself.
    fn instances(&self, count: usize) {
        let state = self.home.join(".claudebox/instances");
        let root = HostPath::new(&self.project).expect("a canonical path");
        let record =
            fs::read(state.join(instance_name(&root)).join(record::NAME)).expect("the record of the first start");
        // What a row before this one made is not counted in this one.
        if self.home.join(format!("projects/{count}")).exists() {
            fs::remove_dir_all(self.home.join("projects")).expect("our own directory");
            for entry in fs::read_dir(&state).expect("our own directory") {
                let path = entry.expect("an entry").path();
                if path.file_name() != Some(instance_name(&root).as_ref()) {
                    fs::remove_dir_all(path).expect("our own directory");
                }
            }
        }
        let record = Record::parse(&record).expect("a record");
        for index in 0..count {
            let root = HostPath::new(self.home.join(format!("projects/{index}"))).expect("a path");
            let instance = state.join(instance_name(&root));
            if instance.exists() {
                continue;
            }
            fs::create_dir_all(root.as_path()).expect("a directory");
            fs::create_dir_all(instance.join("claude")).expect("a directory");
            let record = Record { root, ..record.clone() };
            fs::write(instance.join(record::NAME), record.text()).expect("a record");
        }
    }

    /// What the network costs: measured in namespaces that root makes.
    fn network(&self, report: &mut String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/net");
        let run = Command::new(script)
            .env("CLAUDEBOX", &self.program)
            .output()
            .expect("tests/bench/net");
        let text = String::from_utf8_lossy(&run.stdout);
        let _ = if run.status.success() {
            write!(report, "\n{text}")
        } else {
            writeln!(
                report,
                "\nnetwork: not measured; as root, and with slirp4netns and python3, it is"
            )
        };
    }
}

/// How many there are of what grows.
const COUNTS: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// One row of growth: the median of nine runs of each command.
fn row(report: &mut String, name: &str, counts: &[usize], command: impl Fn(usize) -> Command) {
    let _ = write!(report, "  {name:<36}");
    for count in counts {
        let mut command = command(*count);
        let _ = write!(
            report,
            "{:>10.2}",
            median((0..9).map(|_| measure::run(&mut command).cpu))
        );
    }
    report.push('\n');
}

fn peak(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.memory).fold(0.0, f64::max)
}
