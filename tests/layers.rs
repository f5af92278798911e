//! Layers, profiles and mounts of the command line, seen from inside the sandbox.

use crate::support::{Test, User, as_both};

/// A line that tells of each path whether it can be written, read, or is absent.
const LOOK: &str = r#"for path in "$@"; do if [ -d "$path" ]; then set -- "$path/."; else set -- "$path"; fi
if [ ! -e "$path" ]; then echo "$path: absent"; elif [ -d "$path" ] && (: > "$path/w") 2>/dev/null; then rm "$path/w"; echo "$path: written"
elif [ -f "$path" ] && (: >> "$path") 2>/dev/null; then echo "$path: written"; else echo "$path: read"; fi; done"#;

/// Runs with these options and looks at these paths.
#[track_caller]
fn look(test: Test, options: &[&str], paths: &[&str], stdout: &str) {
    let mut words = vec!["--yes", "--quiet"];
    words.extend(options);
    words.extend(["--exec", "--", "sh", "-c", LOOK, "sh"]);
    words.extend(paths);
    let test = test.args_of(words.iter()).stdout(stdout);
    test.compare(&test.start());
}

#[track_caller]
fn refused(test: Test, options: &[&str], stderr: &str) {
    let mut words = vec!["--yes", "--quiet"];
    words.extend(options);
    words.extend(["--exec", "--", "touch", "started"]);
    let test = test.args_of(words.iter()).stderr(stderr).exit(125);
    let before = test.snapshot();
    test.compare(&test.start());
    assert_eq!(test.snapshot(), before);
}

/// A project with configuration, and a home with something to see.
fn furnished() -> Test {
    Test::new()
        .file(".vscode/tasks.json", "{}\n")
        .file(".editorconfig", "root = true\n")
        .file("main.c", "int main;\n")
        .file("~/datasets/small", "1\n")
        .policy("fn mounts(host) {\n    base::mounts(host);\n    mount::rw(\"~/datasets\", \"data\");\n}\n")
}

const PATHS: [&str; 5] = [
    "[PROJECT]",
    "[PROJECT]/main.c",
    "[PROJECT]/.vscode/tasks.json",
    "[PROJECT]/.editorconfig",
    "[HOME]/datasets",
];

as_both! {
    /// The control of what follows: without a profile all of it is there to be written.
    fn without_a_profile(user: User) {
        look(furnished().who(user), &[], &["[PROJECT]/main.c", "[PROJECT]/.editorconfig", "[HOME]/datasets"],
            "[PROJECT]/main.c: written\n[PROJECT]/.editorconfig: written\n[HOME]/datasets: written\n");
    }

    fn the_strict_profile(user: User) {
        look(furnished().who(user), &["--profile", "strict"], &PATHS,
            "[PROJECT]: written\n[PROJECT]/main.c: written\n[PROJECT]/.vscode/tasks.json: read\n[PROJECT]/.editorconfig: read\n[HOME]/datasets: absent\n");
    }
}

/// What the user asks for in this very launch is later than the profile.
#[test]
fn the_command_line_lies_over_the_profile() {
    let options = ["--profile", "strict", "--mount-ro", "~/datasets"];
    look(furnished(), &options, &["[HOME]/datasets"], "[HOME]/datasets: read\n");
}

const NETWORK: &str = "ls /sys/class/net 2>/dev/null; cut -d: -f1 /proc/net/dev | tail -n +3 | sort | tr -d ' '";

#[track_caller]
fn interfaces(test: Test, options: &[&str], alone: bool) {
    let mut words = vec!["--yes", "--quiet"];
    words.extend(options);
    words.extend(["--exec", "--", "sh", "-c", NETWORK]);
    let run = test.args_of(words.iter()).start();
    assert_eq!(
        (run.stdout == "lo\n", run.stderr.as_str(), run.exit),
        (alone, "", 0),
        "{}",
        run.stdout
    );
}

#[test]
fn strict_and_offline_have_no_network_unless_asked() {
    interfaces(Test::new(), &["--profile", "offline"], true);
    interfaces(Test::new(), &["--profile", "strict"], true);
    interfaces(Test::new(), &["--net", "host", "--profile", "strict"], false);
}

#[test]
fn a_profile_of_the_users_own_lies_over_the_users_policy() {
    let test = furnished().file(
        "~/.config/claudebox/profiles/careful.rhai",
        "fn mounts(host) {\n    base::mounts(host);\n    mount::mask(host.project + \"/main.c\", \"hidden\");\n}\n",
    );
    let test = test.args([
        "--profile",
        "careful",
        "--yes",
        "--quiet",
        "--exec",
        "--",
        "sh",
        "-c",
        "wc -c < main.c; ls ~",
    ]);
    let test = test.stdout("0\ndatasets\nproject\n");
    test.compare(&test.start());
}

/// A profile that a later claudebox brings must not change what the user's own word means.
#[test]
fn a_profile_of_the_users_own_goes_before_a_bundled_one() {
    let own = "fn mounts(host) {\n    base::mounts(host);\n}\n";
    let test = furnished().file("~/.config/claudebox/profiles/strict.rhai", own);
    look(
        test,
        &["--profile", "strict"],
        &["[HOME]/datasets"],
        "[HOME]/datasets: written\n",
    );
}

#[test]
fn a_project_has_the_profile_that_its_owner_lists() {
    let list = "[\"[HOME]\"]\nprofile = \"default\"\n\n[\"~/project\"]\nprofile = \"strict\"\n";
    let test = || furnished().file("~/.config/claudebox/projects.toml", list);
    look(test(), &[], &["[HOME]/datasets"], "[HOME]/datasets: absent\n");
    look(
        test(),
        &["--profile", "default"],
        &["[HOME]/datasets"],
        "[HOME]/datasets: written\n",
    );
    look(
        test(),
        &["--no-user-policy"],
        &["[PROJECT]/.editorconfig"],
        "[PROJECT]/.editorconfig: read\n",
    );
    let other = test().directory("~/other").current("~/other");
    look(other, &[], &["[HOME]/datasets"], "[HOME]/datasets: written\n");
}

#[test]
fn a_profile_that_is_none() {
    let test = || Test::new().file("~/.config/claudebox/profiles/mine.rhai", "");
    refused(
        test(),
        &["--profile", "stirct"],
        "error[policy-profile]: there is no profile `stirct`\n  ——▶ --profile stirct\nhint: there are `default`, `mine`, `offline`, `strict`\n",
    );
    for name in ["../policy", "a/b", ".", "", "-x", "a.rhai", "a\u{202e}b", "ü"] {
        let shown = name.replace('\u{202e}', "\\u{202e}");
        refused(
            test(),
            &[&format!("--profile={name}")],
            &format!(
                "error[policy-profile]: `{shown}` is no name of a profile\n  ——▶ --profile {shown}\nhint: a name has ASCII \
                 letters, digits, `-` and `_`; there are `default`, `mine`, `offline`, `strict`\n"
            ),
        );
    }
    refused(
        Test::new().file("~/.config/claudebox/profiles/default.rhai", ""),
        &["--profile", "default"],
        "error[policy-profile]: `default` stands for no profile, and `~/.config/claudebox/profiles/default.rhai` would change that\n  \
         ——▶ --profile default\nhint: put what always holds into `policy.rhai`, or give the profile another name\n",
    );
}

#[test]
fn a_list_of_projects_is_read_strictly() {
    let table = [
        (
            "[\"~/p\"]\nprofil = \"strict\"\n",
            "there is no key `profil`",
            (2, 1),
            "profil = \"strict\"",
            "^^^^^^",
            "hint: did you mean `profile`?\n",
        ),
        (
            "[\"~/p\"]\n",
            "a project without `profile` says nothing",
            (1, 2),
            "[\"~/p\"]",
            " ^^^^^",
            "hint: write `profile = \"NAME\"`\n",
        ),
        (
            "[\"p\"]\nprofile = \"strict\"\n",
            "the project `p` is not absolute",
            (1, 2),
            "[\"p\"]",
            " ^^^",
            "hint: write an absolute path, or one that starts with `~/`\n",
        ),
        (
            "[\"~/p\"]\nprofile = 7\n",
            "`profile` takes text, not an integer",
            (2, 11),
            "profile = 7",
            "          ^",
            "",
        ),
        (
            "x = 1\n",
            "a project is a table with the key `profile`",
            (1, 5),
            "x = 1",
            "    ^",
            "",
        ),
        (
            "[\"~/p\"\n",
            "unclosed table, expected `]`",
            (1, 7),
            "[\"~/p\"",
            "      ^",
            "",
        ),
    ];
    for (text, message, (line, column), shown, caret, hint) in table {
        let stderr = format!(
            "error[projects-file]: {message}\n  ——▶ ~/.config/claudebox/projects.toml:{line}:{column}\n  |\n{line} | {shown}\n  | {caret}\n{hint}"
        );
        refused(
            Test::new().file("~/.config/claudebox/projects.toml", text),
            &[],
            &stderr,
        );
    }
}

#[test]
fn mounts_of_the_command_line() {
    let test = || {
        Test::new()
            .file("~/data/a", "a\n")
            .file("~/odd:name/a", "a\n")
            .file("~/project/sub/x", "")
    };
    look(
        test(),
        &["--mount-ro", "~/data"],
        &["[HOME]/data"],
        "[HOME]/data: read\n",
    );
    look(
        test(),
        &["--mount-rw", "~/data"],
        &["[HOME]/data"],
        "[HOME]/data: written\n",
    );
    look(
        test(),
        &["--mount-ro=[HOME]/data:/mnt/data"],
        &["/mnt/data", "[HOME]/data"],
        "/mnt/data: read\n[HOME]/data: absent\n",
    );
    look(
        test(),
        &["--mount-ro", "../data:~/there", "--mount-rw", "../data"],
        &["[HOME]/there", "[HOME]/data"],
        "[HOME]/there: read\n[HOME]/data: written\n",
    );
    look(
        test(),
        &["--mount-ro", "~/odd\\:name:/mnt/odd"],
        &["/mnt/odd"],
        "/mnt/odd: read\n",
    );
    look(
        test(),
        &["--mount-ro", "sub"],
        &["[PROJECT]/sub", "[PROJECT]"],
        "[PROJECT]/sub: read\n[PROJECT]: written\n",
    );
    // The command line's word is later than the policy's, for the project too.
    look(test(), &["--mount-ro", "."], &["[PROJECT]"], "[PROJECT]: read\n");
}

#[test]
fn names_that_are_no_text() {
    let test = Test::new();
    let line = r#"d=$(printf '../\377'); mkdir "$d"; echo seen > "$d/a"; exec "[BIN]/claudebox" -yq --mount-ro "$d:/mnt/x" --exec cat /mnt/x/a"#;
    let test = test.stdout("seen\n");
    test.compare(&test.control(&["sh", "-c", line]));
}

#[test]
fn mounts_of_the_command_line_that_are_refused() {
    let hint = "hint: write `PATH` or `PATH:DEST`; a colon that belongs to a path is written `\\:`\n";
    let option = |message: &str, option: &str| format!("error[mount-option]: {message}\n  ——▶ {option}\n{hint}");
    let table = [
        ("--mount-ro", "a:/b:/c", option("there is more than one colon", "--mount-ro a:/b:/c")),
        ("--mount-rw", ":/b", option("a path is empty", "--mount-rw :/b")),
        ("--mount-ro", "/usr:b", option("the path `b` is not absolute", "--mount-ro /usr:b")),
        ("--mount-ro", "a/../b", option("the path `[PROJECT]/a/../b` contains `..`", "--mount-ro a/../b").replace("[PROJECT]/", "")),
        (
            "--mount-ro",
            "~/.ssh",
            "error[secret-exposed]: `[HOME]/.ssh` is a secret: it holds SSH keys\n  ——▶ --mount-ro ~/.ssh\nhint: no policy can show it; copy what the project needs into the project\n".into(),
        ),
        (
            "--mount-rw",
            "~/absent",
            "error[mount-source]: `[HOME]/absent` does not exist\n  ——▶ --mount-rw ~/absent\nhint: check the path\n".into(),
        ),
    ];
    for (option, value, stderr) in table {
        refused(Test::new().directory("~/.ssh"), &[option, value], &stderr);
    }
}
