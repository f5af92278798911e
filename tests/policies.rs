//! A user's own policy: what it may add, and the hostile or mistaken ones that are refused before anything starts.

use crate::support::{Test, User, as_both};

/// The payload leaves a mark: where there is none, nothing ran.
#[track_caller]
fn refused(test: Test, policy: &str, stderr: &str) {
    let test = test.policy(policy).args([
        "--yes",
        "--quiet",
        "--net",
        "none",
        "--exec",
        "--",
        "sh",
        "-c",
        "echo ran > mark",
    ]);
    let before = test.snapshot();
    let test = test.stderr(stderr).exit(125);
    test.compare(&test.start());
    assert_eq!(test.snapshot(), before, "it was refused and changed the home");
}

as_both! {
    /// One more variable and one more directory: the least that a policy of one's own is for.
    fn a_policy_adds_a_variable_and_a_directory(user: User) {
        let policy = r#"
fn variable(host, name) {
    switch name {
        "FAVOURITE_COLOUR" => env::pass("the project's tests print it"),
        _ => base::variable(host, name),
    }
}

fn mounts(host) {
    base::mounts(host);
    mount::ro("~/datasets", "training data, read only");
    mount::rw("~/results", "what the project makes");
}
"#;
        let payload = "echo $FAVOURITE_COLOUR; echo more > ~/results/made; (echo no > ~/datasets/made) 2>/dev/null || cat ~/datasets/small";
        let test = Test::new()
            .who(user)
            .var("FAVOURITE_COLOUR", "blue")
            .file("~/datasets/small", "1 2 3\n")
            .directory("~/results")
            .policy(policy)
            .args(["--yes", "--quiet", "--net", "none", "--exec", "--", "sh", "-c", payload])
            .stdout("blue\n1 2 3\n");
        test.compare(&test.start());
        assert_eq!(std::fs::read_to_string(test.at("~/results/made")).expect("what the payload made"), "more\n");
        assert!(!test.at("~/datasets/made").exists());
    }

    /// A secret cannot be mounted, whatever the policy calls it: not by name, not by a link, not by what holds it, not by what it holds.
    fn a_secret_is_not_mounted(user: User) {
        for (line, text) in [
            (r#"mount::ro("~/.ssh", "to push");"#, SECRET),
            (r#"mount::ro("~/.ssh/id_ed25519", "to push");"#, INSIDE),
            (r#"mount::ro("~/keys", "to push");"#, LINK),
            (r#"mount::ro("~", "everything");"#, HOME),
            (r#"mount::ro("~/everything", "everything");"#, HOME_LINK),
        ] {
            let policy = format!("fn mounts(host) {{\n    base::mounts(host);\n    {line}\n}}\n");
            let test = Test::new().who(user).file("~/.ssh/id_ed25519", "a key\n").link("~/keys", ".ssh").link("~/everything", "[HOME]");
            refused(test, &policy, text);
        }
    }

    /// A script that never ends, waits, leaves, or takes the place of the verbs is stopped.
    fn a_script_that_does_not_decide_is_stopped(user: User) {
        for (body, text) in [
            ("loop { }", LOOP),
            ("let f = || { loop { } }; f.call();", CLOSURE),
            ("mounts(host);", RECURSION),
            (r#"let text = "x"; loop { text += text; }"#, GROWTH),
            ("sleep(3600);", SLEEP),
            ("exit();", EXIT),
            (r#"eval("mount::ro(\"/\", \"x\")");"#, EVAL),
        ] {
            refused(Test::new().who(user), &format!("fn mounts(host) {{\n    {body}\n}}\n"), text);
        }
    }

    /// A policy that is no rhai, or takes names that are claudebox's, is refused where it goes wrong.
    fn a_text_that_is_no_policy_is_refused(user: User) {
        refused(Test::new().who(user), "fn mounts(host) {\n    mount::ro(\"/a\" \"b\");\n}\n", SYNTAX);
        refused(Test::new().who(user), "fn mount(host) {\n    base::mounts(host);\n}\n", UNKNOWN_HOOK);
        refused(Test::new().who(user), "fn mounts(host, more) {\n    base::mounts(host);\n}\n", ARITY);
        refused(Test::new().who(user), "fn mounts(host) {\n    mount::ro(\"/opt\");\n}\n", NO_REASON);
        refused(Test::new().who(user), "import \"other\" as mount;\n", IMPORT);
    }
}

// text: from the program, all below

const SECRET: &str = "";
const INSIDE: &str = "";
const LINK: &str = "";
const HOME: &str = "";
const HOME_LINK: &str = "";
const LOOP: &str = "";
const CLOSURE: &str = "";
const RECURSION: &str = "";
const GROWTH: &str = "";
const SLEEP: &str = "";
const EXIT: &str = "";
const EVAL: &str = "";
const SYNTAX: &str = "";
const UNKNOWN_HOOK: &str = "";
const ARITY: &str = "";
const NO_REASON: &str = "";
const IMPORT: &str = "";
