//! Explain as a user meets it: text, documents for programs, the page to look at; exit codes; nothing is started or changed.

use crate::support::schema::{self, document};
use crate::support::{Test, User, as_both};

const POLICY: &str = "fn variable(host, name) {\n    if name == \"EDITOR\" { return env::pass(\"the editor\"); }\n    base::variable(host, name)\n}\n\
                      fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"~/datasets\", \"training data\");\n}\n";

const REFUSED: &str = "fn mounts(host) {\n    base::mounts(host);\n    mount::ro(\"~/.ssh\", \"keys\");\n}\n";

const FAILING: &str = "fn mounts(host) {\n    mount::ro(host.nothing, \"x\");\n}\n";

/// A token as GitHub gives them out.
const TOKEN: &str = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";

/// A home with something of everything.
fn home(user: User) -> Test {
    Test::new()
        .who(user)
        .file("~/datasets/a.csv", "1\n")
        .file("~/.ssh/id", "key\n")
        .file(".env", "KEY=x\n")
        .file("<b>bold & \"quoted\"</b>.md", "text\n")
        .link("data", "../datasets")
        .var("EDITOR", "vi")
        .var("GITHUB_TOKEN", TOKEN)
}

as_both! {
    /// What cannot be seen inside, and the line that shows it: written into the policy, it does.
    fn the_line_that_is_proposed_works(user: User) {
        let test = home(user).args(["--explain=~/datasets/a.csv", "--net", "none", "--exec", "true"]);
        let run = test.start();
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{run:?}");
        let expected = "[HOME]/datasets/a.csv is not visible inside\n\
                        \x20 because     tmpfs [HOME]: an empty home at its own path\n\
                        \x20             claudebox's rule structure\n\
                        \x20 host        the host has a file there\n\
                        \x20 to show it  write in ~/.config/claudebox/policy.rhai:\n\n\
                        \x20     fn mounts(host) {\n\
                        \x20         base::mounts(host);\n\
                        \x20         mount::ro(\"~/datasets/a.csv\", \"why\");\n\
                        \x20     }\n";
        assert_eq!(run.stdout, expected);
        let function: String = run.stdout.split("\n\n").nth(1).expect("a function").replace("\n      ", "\n");
        let test = test.policy(&function).args(["--yes", "--quiet", "--net", "none", "--exec", "cat", "[HOME]/datasets/a.csv"]);
        test.stdout("1\n").run();
    }

    /// Nothing is made, not even the state that a launch would make.
    fn explain_changes_nothing(user: User) {
        for args in [&["--explain"][..], &["--explain=data"], &["--explain", "--json"], &["--explain", "--quiet"]] {
            let test = home(user).args_of(args);
            test.start();
            let before = test.snapshot();
            test.start();
            assert_eq!(test.snapshot(), before, "{args:?}");
            assert!(!test.home().join(".claudebox").exists(), "{args:?}");
        }
    }

    /// Every document is as the book says, whatever comes of the launch; and none holds a secret.
    fn documents_follow_the_schema(user: User) {
        let forms: [&[&str]; 6] = [
            &["--explain", "--json"],
            &["--explain=~/datasets", "--explain=data", "--explain=.env", "--explain=~/.ssh/id", "--explain=/proc/1", "--json"],
            &["--explain=EDITOR", "--explain=GITHUB_TOKEN", "--explain=NOPE", "--explain=PATH", "--explain=localhost:80", "--json"],
            &["--dry-run", "--json"],
            &["--check", "--json"],
            &["--explain", "--json", "--policy", "/nowhere/policy.rhai"],
        ];
        for (policy, starts) in [("", true), (POLICY, true), (REFUSED, false), (FAILING, false)] {
            for form in forms {
                let mut args = form.to_vec();
                args.extend(["--net", "none", "--exec", "true"]);
                let mut test = home(user).args_of(&args);
                let own = form.contains(&"--policy");
                if !policy.is_empty() && !own {
                    test = test.policy(policy);
                }
                let run = test.start();
                let document = document(&run.stdout);
                assert!(!run.stdout.contains(TOKEN), "{args:?}");
                assert_eq!(run.stderr, "", "{args:?}");
                if document["schema"] != "claudebox.check/1" {
                    let starts = starts && !own;
                    assert_eq!(document["verdict"]["starts"], starts, "{args:?}: {document:#}");
                    assert_eq!(run.exit, i32::from(!starts), "{args:?}");
                }
            }
        }
    }

    /// A name that is not UTF-8 loses nothing in a document.
    fn bytes_are_kept(user: User) {
        use std::os::unix::ffi::OsStrExt;
        let test = home(user);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
        std::os::unix::fs::symlink(name, test.project().join("link")).expect("our own link");
        std::fs::write(test.project().join(name), "x").expect("our own file");
        let run = test.args(["--explain=link", "--json", "--net", "none", "--exec", "true"]).start();
        let document = document(&run.stdout);
        let bytes: String = b"/project/caf\xe9".iter().map(|byte| format!("{byte:02x}")).collect();
        let path = &document["answers"][0]["inside"]["path"];
        assert!(path["bytes"].as_str().is_some_and(|all| all.ends_with(&bytes)), "{path}");
        assert!(path["text"].as_str().is_some_and(|text| text == "[PROJECT]/caf\\xe9"), "{path}");
        assert_eq!(document["answers"][0]["inside"]["through"][0]["target"]["bytes"], "636166e9");
    }

    /// A page is written once, for its user alone, needs nothing from elsewhere, and a name with markup in it stays a name.
    fn the_page_is_safe(user: User) {
        let policy = format!("{POLICY}fn secrets(host) {{\n    secret::file(\"*.md\", \"notes with <script>alert(1)</script> in them\");\n}}\n");
        let test = home(user).policy(&policy).args(["--explain", "--html", "[HOME]/page.html", "--net", "none", "--exec", "true"]);
        test.clone().run();
        let file = test.home().join("page.html");
        let page = std::fs::read_to_string(&file).expect("the page");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("the page").permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(page.contains("&lt;b&gt;bold &amp; &quot;quoted&quot;&lt;"), "the name is there");
        assert!(page.contains("notes with &lt;script&gt;alert(1)&lt;/script&gt; in them"), "the reason is there");
        assert!(!page.contains("<b>bold") && !page.contains("alert(1)</script>"), "as text");
        assert_eq!(page.matches("<script").count(), 1, "the page has one script");
        assert!(!page.contains(TOKEN));
        for elsewhere in ["http:", "https:", "src=", "url(", "@import", "href="] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        // Never in the place of another file, and not through a link.
        let refusal = |name: &str| {
            format!(
                "error[output]: cannot write `[HOME]/{name}`: file exists\n\
                 hint: name a file that does not exist yet, in a directory that you can write to\n"
            )
        };
        test.clone().stderr(&refusal("page.html")).exit(1).run();
        assert_eq!(std::fs::read_to_string(&file).expect("the page"), page);
        let test = test.link("~/link.html", "elsewhere.html").args(["--explain", "--html", "[HOME]/link.html", "--exec", "true"]);
        test.clone().stderr(&refusal("link.html")).exit(1).run();
        assert!(!test.home().join("elsewhere.html").exists());
    }

    /// A token in the URL of a remote is told and not shown.
    fn tokens_in_remotes_are_told(user: User) {
        let url = format!("https://x:{TOKEN}@github.com/a/b");
        let test = home(user).directory("repository");
        let git = |args: &[&str]| {
            let mut words = vec!["git", "-c", "safe.directory=*", "-C", "[PROJECT]"];
            words.extend(args);
            assert_eq!(test.control(&words).exit, 0);
        };
        git(&["init", "-q"]);
        git(&["remote", "add", "origin", &url]);
        let told = "it looks like a GitHub token, which Claude Code can read";
        let explain = test.clone().args(["--explain", "--net", "none", "--exec", "true"]).start();
        let words = explain.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told) && words.contains("`remote.origin.url` in"), "{words}");
        let launch = test.clone().args(["--yes", "--net", "none", "--exec", "true"]).start();
        assert!(launch.stderr.contains(told), "{launch:?}");
        for text in [explain.stdout, launch.stderr] {
            assert!(!text.contains(TOKEN));
        }
    }
}

/// Colour is for a terminal, or for who asks.
#[test]
fn colour_only_where_it_is_wanted() {
    let run = |args: [&str; 4]| home(User::Ordinary).args(args).start().stdout;
    assert!(!run(["--explain", "--exec", "--", "true"]).contains('\x1b'));
    assert!(run(["--explain", "--color=always", "--exec", "true"]).contains('\x1b'));
    assert!(!run(["--explain", "--color=never", "--exec", "true"]).contains('\x1b'));
    // `script` is a terminal to what it runs, and hands on what is written to it byte for byte.
    let on_a_terminal = |test: Test| {
        let test = test.args(["--explain", "--exec", "true"]);
        test.control(&["script", "-qec", &test.shell_line(), "/dev/null"])
            .stdout
    };
    assert!(on_a_terminal(home(User::Ordinary)).contains('\x1b'));
    assert!(!on_a_terminal(home(User::Ordinary).var("NO_COLOR", "1")).contains('\x1b'));
    assert!(!on_a_terminal(home(User::Ordinary).var("TERM", "dumb")).contains('\x1b'));
}

/// The validator of these tests finds what is wrong.
#[test]
fn the_validator_validates() {
    let schema = schema::of_book();
    let errors = |text: &str| schema::errors(&schema, &schema, &serde_json::from_str(text).expect("JSON")).len();
    let good = r#"{"schema":"claudebox.check/1","starts":true,"items":[{"mark":"ok","subject":"a","finding":"b","fix":null}]}"#;
    assert_eq!(errors(good), 0);
    for (from, to) in [
        ("\"starts\":true,", ""),
        ("true", "1"),
        ("check/1", "check/2"),
        ("\"ok\"", "\"fine\""),
        ("\"fix\":null", "\"fix\":[]"),
        ("\"fix\"", "\"new\":1,\"fix\""),
    ] {
        assert_ne!(errors(&good.replace(from, to)), 0, "{from} -> {to}");
    }
}
