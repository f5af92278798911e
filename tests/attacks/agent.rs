//! What a Claude Code on the host obeys, and what claudebox itself obeys: neither can be written from inside.

use super::{Attack, NAIVE, boxed};
use crate::support::test::Snapshot;
use crate::support::{Test, User, as_both};

/// Files of the host's Claude Code that name programs or instruct it.
const OBEYED: [&str; 9] = [
    "~/.claude/settings.json",
    "~/.claude/settings.local.json",
    "~/.claude/CLAUDE.md",
    "~/.claude/commands/deploy.md",
    "~/.claude/agents/reviewer.md",
    "~/.claude/skills/s/SKILL.md",
    "~/.claude/plugins/config.json",
    "~/.claude/hooks/stop.sh",
    "~/.claude.json",
];

/// Files that decide about the next launch.
const CONTROLS: [&str; 6] = [
    "~/.config/claudebox/policy.rhai",
    "~/.config/claudebox/profiles/mine.rhai",
    "~/.config/claudebox/projects.toml",
    "~/.claudebox/CLAUDE.md",
    "~/.claudebox/settings.json",
    "~/.claudebox/instances/other-0123456789abcdef/claude/settings.json",
];

/// A script that writes a line into each file, also by another file in its place, and tells how many hold it then.
fn writes(files: &[&str]) -> String {
    let files = files.join(" ");
    format!(
        "for f in {files}; do mkdir -p ${{f%/*}}; echo evil >> $f; cp $f $f.x && mv $f.x $f; done 2> /dev/null; \
         grep -l evil {files} 2> /dev/null | wc -l"
    )
}

as_both! {
    /// Inside, `~/.claude` is the project's own; the host's is another, and so is that of the next project.
    fn the_hosts_claude_code_is_not_instructed(user: User) {
        let furnished = || OBEYED.iter().fold(Test::new().who(user), |test, file| test.file(file, "{}\n"));
        let script = writes(&OBEYED);
        Attack {
            naive: NAIVE,
            script: &script,
            works: "9\n",
            // All but the user's memory for all projects, which is read-only, are written: into the project's own state.
            stopped: "8\n",
            honest: ("grep -c evil ~/.claude/settings.json", "1\n"),
        }
        .check(furnished);
        // Another project does not see any of it.
        let first = furnished();
        boxed(&first, &script).stdout("8\n").run();
        let second = first.beside("~/second");
        boxed(&second, "grep -rl evil ~ | wc -l").stdout("0\n").run();
    }

    /// Policies, profiles, the memory and the settings for all projects, the state of other projects: out of reach.
    fn what_decides_about_the_next_launch_is_out_of_reach(user: User) {
        let furnished = || {
            let policy = "fn environment(host) { base::environment(host); env::set(\"POLICY\", \"mine\", \"to be seen\"); }\n";
            CONTROLS.iter().fold(Test::new().who(user), |test, file| test.file(file, "")).policy(policy)
        };
        let script = writes(&CONTROLS);
        let control = furnished();
        let words: Vec<&str> = NAIVE.iter().copied().chain(["sh", "-c", &script]).collect();
        assert_eq!(control.control(&words).stdout, "6\n", "the control");

        let test = furnished();
        boxed(&test, "true").run();
        let before = of_others(&test);
        let run = boxed(&test, &script).start();
        // What it wrote lies in the sandbox's memory and is gone.
        assert_eq!((run.stderr.as_str(), run.exit), ("", 0), "{run:?}");
        assert_eq!(of_others(&test), before);
        boxed(&test, "(: > /run/claudebox/init) 2> /dev/null || echo kept; (: > /run/claudebox/lock) 2> /dev/null || echo kept").stdout("kept\nkept\n").run();
        // The honest use: the next launch obeys the same policy as before.
        boxed(&test, "echo $POLICY").stdout("mine\n").run();
    }
}

/// Everything in the home but the state of the project itself, which is its own to write.
fn of_others(test: &Test) -> Snapshot {
    let instances = test.at("~/.claudebox/instances");
    let other = instances.join("other-0123456789abcdef");
    let mut files = test.snapshot();
    files.retain(|path, _| !path.starts_with(&instances) || path.starts_with(&other));
    files
}
