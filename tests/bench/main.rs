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

    /// The cost of ten times as much, for variables and mounts: near 10 is linear, near 100 is quadratic.
    fn growth(&self, report: &mut String) {
        let _ = writeln!(
            report,
            "\ngrowth, --dry-run, processor time (ms)       100       1,000      10,000"
        );
        let mut row = String::from("  variables                          ");
        for count in [100, 1_000, 10_000] {
            let dry = || {
                let mut command = self.claudebox(&["--dry-run", "--net", "none", "--exec", "--", "true"]);
                command.envs((0..count).map(|index| (format!("V{index}"), "x")));
                measure::run(&mut command).cpu
            };
            let _ = write!(row, "{:>12.2}", median((0..9).map(|_| dry())));
        }
        let _ = writeln!(report, "{row}");
        let data = self.home.join("data");
        let mut row = String::from("  mounts                             ");
        for count in [100, 1_000] {
            for index in 0..count {
                fs::create_dir_all(data.join(index.to_string())).expect("a directory");
            }
            let policy = self.home.join("policy.rhai");
            let text = format!(
                "fn mounts(host) {{ base::mounts(host); for i in 0..{count} {{ mount::ro(`{}/${{i}}`, \"bench\"); }} }}",
                data.display()
            );
            fs::write(&policy, text).expect("a policy");
            let policy = policy.to_str().expect("UTF-8");
            let dry = || {
                measure::run(&mut self.claudebox(&[
                    "--dry-run",
                    "--policy",
                    policy,
                    "--net",
                    "none",
                    "--exec",
                    "--",
                    "true",
                ]))
                .cpu
            };
            let _ = write!(row, "{:>12.2}", median((0..9).map(|_| dry())));
        }
        let _ = writeln!(report, "{row}");
    }
}

fn peak(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.memory).fold(0.0, f64::max)
}
