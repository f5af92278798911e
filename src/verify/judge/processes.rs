//! What a program inside knows of processes: its own environment and descriptors, other processes, and what others know of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Evidence, Judged, count};
use crate::floor;
use crate::path::{EnvName, printable};
use crate::verify::canary;

/// What bubblewrap sets by itself, where it is told a working directory.
const WORKING_DIRECTORY: &str = "PWD";

impl Evidence<'_> {
    /// Each variable inside was decided, with this value.
    pub(super) fn environment(&self) -> Judged {
        let variables = self.case.plan.variables();
        let mut leaks = Vec::new();
        for entry in &self.answers.environment {
            let (name, value) = match entry.0.iter().position(|byte| *byte == b'=') {
                Some(at) => (entry.0.get(..at), entry.0.get(at + 1..)),
                None => (Some(entry.0.as_slice()), None),
            };
            let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
            let shown = printable(OsStr::from_bytes(name));
            let decided = EnvName::new(OsStr::from_bytes(name)).ok();
            if let Some(what) = decided.as_ref().and_then(floor::reserved) {
                leaks.push(format!("`{shown}` is inside, which {what}"));
            }
            let variable = decided.as_ref().and_then(|name| variables.get(name));
            match variable {
                None if shown == WORKING_DIRECTORY => {}
                None => leaks.push(format!("`{shown}` is inside, and nobody decided that")),
                Some(variable) if variable.value.as_bytes() != value => {
                    leaks.push(format!("`{shown}` is inside with another value than decided"));
                }
                Some(variable) if !canary::found(&self.planted.token, value).is_empty() => {
                    leaks.push(format!(
                        "`{shown}`, a canary in the host's environment, passes: {}",
                        self.site(variable.decision)
                    ));
                }
                Some(_) => {}
            }
        }
        let inside = count(self.answers.environment.len(), "variable", "variables");
        Judged::of(
            leaks,
            format!("{inside} inside, each decided; the canary in the host's environment is not among them"),
        )
    }

    /// Only the sandbox's own processes are seen, and nothing of the host is in their environments.
    pub(super) fn processes(&self) -> Judged {
        let mut leaks = Vec::new();
        if let Some(same) = self.shared("pid") {
            leaks.push(same);
        }
        let (mut others, mut first) = (0, String::new());
        for process in &self.answers.processes {
            for place in &process.canaries {
                leaks.push(format!(
                    "the canary of `{place}` can be read from process {} (`{}`)",
                    process.pid, process.name
                ));
            }
            if process.pid == 1 && process.environment > 0 {
                leaks.push(format!("process 1 (`{}`) has an environment", process.name));
            }
            if process.pid != 1 && process.pid != self.answers.pid {
                others += 1;
                first.clone_from(&process.name);
            }
        }
        if others > 0 {
            leaks.push(format!(
                "{} that are not the sandbox's are seen, `{first}` for one",
                count(others, "process", "processes")
            ));
        }
        if self.answers.processes.is_empty() {
            return Judged::untested("no process is seen, not even the probe: /proc cannot be read");
        }
        Judged::of(
            leaks,
            "none of this host's is seen; the environment of the sandbox's first is empty",
        )
    }

    /// No value stands where all users of the host can read it.
    pub(super) fn command_lines(&self) -> Judged {
        if self.command_lines.is_empty() {
            return Judged::untested("the sandbox's processes cannot be seen from here");
        }
        let secrets = self
            .case
            .plan
            .variables()
            .iter()
            .filter(|(_, variable)| variable.secret);
        let secrets: Vec<_> = secrets.filter(|(_, variable)| !variable.value.is_empty()).collect();
        let mut leaks = Vec::new();
        for line in &self.command_lines {
            let holds = |text: &[u8]| line.windows(text.len().max(1)).any(|window| window == text);
            for (name, variable) in &secrets {
                if holds(variable.value.as_bytes()) {
                    leaks.push(format!(
                        "the value of `{name}` stands on a command line, where every user can read it"
                    ));
                }
            }
            if holds(b"--setenv\0") {
                leaks.push("the values of variables stand on a command line, where every user can read them".into());
            }
        }
        leaks.sort();
        leaks.dedup();
        let looked = count(self.command_lines.len(), "command line", "command lines");
        let values = count(secrets.len(), "secret value", "secret values");
        Judged::of(
            leaks,
            format!("{looked} of the sandbox read from outside: no option's value is there; {values} looked for"),
        )
    }

    /// Nothing above standard error came in.
    pub(super) fn descriptors(&self) -> Judged {
        let inherited = self.answers.descriptors.iter();
        let leaks =
            inherited.map(|(number, what)| format!("descriptor {number} came in: `{}`", printable(OsStr::new(what))));
        Judged::of(
            leaks.collect(),
            "none above standard error; the canary that claudebox inherited is closed",
        )
    }

    /// Nothing is there after the end.
    pub(super) fn survivors(&self) -> Judged {
        let leaks = self
            .outlived
            .then(|| "a process of the sandbox goes on after its end".to_string());
        Judged::of(
            leaks.into_iter().collect(),
            "a process that tried to outlive the sandbox ended with it",
        )
    }
}
