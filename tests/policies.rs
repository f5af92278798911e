//! A user's own policy: what it may add, and the hostile or mistaken ones that are refused before anything starts.

use crate::support::{Test, User, as_both};

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

    /// `.env` and its kin are masked unless the policy passes one by name; the audit marks that, and the project can take it back.
    fn a_file_with_secrets_is_passed_by_name(user: User) {
        let policy = "fn secrets(host) {\n    base::secrets(host);\n    secret::pass_file(host.project + \"/.env\", \"ports of the dev servers\");\n}\n\
                      fn mounts(host) {\n    base::mounts(host);\n    mount::ro(host.project + \"/web\", \"/srv/web\", \"a second view\");\n}\n";
        let payload = "cat .env web/.env /srv/web/.env prod.kdbx; (echo more >> .env) 2> /dev/null";
        let test = Test::new()
            .who(user)
            .file(".env", "PORT=1\n")
            .file("web/.env", "KEY=canary\n")
            .file("prod.kdbx", "canary\n");
        let words = ["--yes", "--net", "none", "--approve", "--exec", "--", "sh", "-c", payload];
        let marked = |stderr: &str| -> Vec<String> {
            let lines = stderr.lines().filter(|line| line.starts_with("  masked ") || line.starts_with("  passed"));
            lines.map(str::to_owned).collect()
        };
        let secrets = "environment variables with secrets";
        let kept = [
            format!("  masked /srv/web/.env  {secrets}"),
            "  masked [PROJECT]/prod.kdbx  a password database".to_owned(),
            format!("  masked [PROJECT]/web/.env  {secrets}"),
        ];

        let run = test.clone().args(words).start();
        assert_eq!((run.stdout.as_str(), run.exit), ("", 2), "{run:?}");
        let test = test.policy(policy);
        let run = test.clone().args(words).start();
        assert_eq!((run.stdout.as_str(), run.exit), ("PORT=1\n", 0), "{run:?}");
        let passed = "  passed [PROJECT]/.env  ports of the dev servers (secret)".to_owned();
        assert_eq!(marked(&run.stderr), [&kept[..], &[passed]].concat());
        assert_eq!(std::fs::read_to_string(test.at(".env")).expect("the test's own file"), "PORT=1\nmore\n");

        // The project's own file can only tighten, and does.
        let test = test.file(".claudebox.toml", "mask = [\".env\"]\n");
        let run = test.args(words).start();
        assert_eq!((run.stdout.as_str(), run.exit), ("", 2), "{run:?}");
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
            test.policy(&policy).refused(text);
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
            Test::new().who(user).policy(&format!("fn mounts(host) {{\n    {body}\n}}\n")).refused(text);
        }
    }

    /// A policy that is no rhai, or takes names that are claudebox's, is refused where it goes wrong.
    fn a_text_that_is_no_policy_is_refused(user: User) {
        Test::new().who(user).policy("fn mounts(host) {\n    mount::ro(\"/a\" \"b\");\n}\n").refused(SYNTAX);
        Test::new().who(user).policy("fn mounts(host, more) {\n    base::mounts(host);\n}\n").refused(ARITY);
        Test::new().who(user).policy("fn mounts(host) {\n    mount::ro(\"/opt\");\n}\n").refused(NO_REASON);
        Test::new().who(user).policy("fn mounts(host) {\n    mount::ro(\"/opt\", \"\");\n}\n").refused(REASON);
        Test::new().who(user).policy("import \"other\" as mount;\n").refused(IMPORT);
    }

    /// What would silently decide nothing is a mistake: whoever misspells `secrets` believes that a secret is hidden.
    fn a_text_that_decides_nothing_is_refused(user: User) {
        Test::new().who(user).policy("fn mount(host) {\n    base::mounts(host);\n}\n").refused(UNKNOWN_HOOK);
        Test::new().who(user).policy("mount::ro(\"/opt\", \"forgotten hook\");\n").refused(TOP_LEVEL);
    }
}

// text: from the program, all below

const SECRET: &str = r#"error[secret-exposed]: `[HOME]/.ssh` is a secret: it holds SSH keys
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("~/.ssh", "to push");
  |            ^^
hint: no policy can show it; copy what the project needs into the project
"#;
const INSIDE: &str = r#"error[secret-exposed]: `[HOME]/.ssh/id_ed25519` lies in the secret `[HOME]/.ssh`: it holds SSH keys
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("~/.ssh/id_ed25519", "to push");
  |            ^^
hint: no policy can show it; copy what the project needs into the project
"#;
const LINK: &str = r#"error[secret-exposed]: `[HOME]/keys`, which leads to `[HOME]/.ssh`, is a secret: it holds SSH keys
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("~/keys", "to push");
  |            ^^
hint: no policy can show it; copy what the project needs into the project
"#;
const HOME: &str = r#"error[empty-root]: `[HOME]` is never mounted whole: it holds `[HOME]` and all that lies in it
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("~", "everything");
  |            ^^
hint: mount the directories below it that are needed, one by one
"#;
const HOME_LINK: &str = r#"error[empty-root]: `[HOME]/everything`, which leads to `[HOME]`, is never mounted whole: it holds `[HOME]` and all that lies in it
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("~/everything", "everything");
  |            ^^
hint: mount the directories below it that are needed, one by one
"#;
const LOOP: &str = r#"error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
"#;
const CLOSURE: &str = r#"error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
"#;
const RECURSION: &str = r#"error[bounded-policy]: the hook `mounts` calls functions too deeply
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: calls may nest 32 deep; look for a function that calls itself
"#;
const GROWTH: &str = r#"error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
"#;
const SLEEP: &str = r#"error[policy-unknown]: there is no function `sleep` for a number
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     sleep(3600);
  |     ^^^^^
"#;
const EXIT: &str = r#"error[policy-unknown]: there is no function `exit`
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     exit();
  |     ^^^^
"#;
const EVAL: &str = r#"error[policy-syntax]: reserved keyword `eval` is disabled
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     eval("mount::ro(\"/\", \"x\")");
  |     ^^^^
hint: a policy runs only the text that can be read in it
"#;
const SYNTAX: &str = r#"error[policy-syntax]: expecting `,` to separate the arguments to function call `ro`
  ——▶ ~/.config/claudebox/policy.rhai:2:20
  |
2 |     mount::ro("/a" "b");
  |                    ^^^
"#;
const UNKNOWN_HOOK: &str = r#"error[policy-hook]: `mount` is no hook, and nothing calls it
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mount(host) {
  |    ^^^^^
hint: did you mean `mounts`?
"#;
const ARITY: &str = r#"error[policy-hook]: the hook is `fn mounts(host)`, not `fn mounts(host, more)`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host, more) {
  |    ^^^^^^
hint: write `fn mounts(host)`
"#;
const NO_REASON: &str = r#"error[policy-argument]: `mount::ro` does not take 1 argument
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/opt");
  |            ^^
hint: write `mount::ro(path, why)` or `mount::ro(path, at, why)`
"#;
const IMPORT: &str = r#"error[policy-syntax]: `import` is a reserved keyword
  ——▶ ~/.config/claudebox/policy.rhai:1:1
  |
1 | import "other" as mount;
  | ^^^^^^
hint: a policy is one file; the layers below are reached by `base::`
"#;
const REASON: &str = r#"error[policy-argument]: `mount::ro` needs a reason, and this one is empty
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/opt", "");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;
const TOP_LEVEL: &str = r#"error[policy-hook]: `mount::ro` decides nothing outside a hook
  ——▶ ~/.config/claudebox/policy.rhai:1:8
  |
1 | mount::ro("/opt", "forgotten hook");
  |        ^^
hint: call it in `fn mounts(host)`
"#;
