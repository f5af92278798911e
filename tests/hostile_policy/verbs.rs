//! Verbs called wrongly, and texts that are not what they seem.

use super::hostile;

hostile! {
    a_missing_reason: r#"fn mounts(host) {
    mount::ro("/usr");
}
"# => r#"error[policy-argument]: `mount::ro` does not take 1 argument
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr");
  |            ^^
hint: write `mount::ro(path, why)` or `mount::ro(path, at, why)`
"#;

    an_empty_reason: r#"fn mounts(host) {
    mount::ro("/usr", "  ");
}
"# => r#"error[policy-argument]: `mount::ro` needs a reason, and this one is empty
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr", "  ");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_reason_that_is_no_text: r#"fn mounts(host) {
    mount::ro("/usr", 7);
}
"# => r#"error[policy-argument]: `mount::ro` takes text as `why`, not a number
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr", 7);
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_path_that_is_no_text: r#"fn mounts(host) {
    mount::ro(["/usr"], "x");
}
"# => r#"error[policy-argument]: `mount::ro` takes text as `path`, not an array
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro(["/usr"], "x");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    too_many_arguments: r#"fn mounts(host) {
    mount::ro("/usr", "/usr", "x", "y");
}
"# => r#"error[policy-argument]: `mount::ro` does not take 4 arguments
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr", "/usr", "x", "y");
  |            ^^
hint: write `mount::ro(path, why)` or `mount::ro(path, at, why)`
"#;

    an_unknown_verb: r#"fn mounts(host) {
    mount::rro("/usr", "x");
}
"# => r#"error[policy-unknown]: there is no verb `mount::rro`
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::rro("/usr", "x");
  |            ^^^
hint: did you mean `mount::ro`?
"#;

    an_unknown_verb_like_no_other: r#"fn mounts(host) {
    mount::everything("x");
}
"# => r#"error[policy-unknown]: there is no verb `mount::everything`
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::everything("x");
  |            ^^^^^^^^^^
hint: `mount` has `mount::ro`, `mount::rw`, `mount::tmpfs`, `mount::link`, `mount::text`, `mount::mask`, `mount::empty_home`, `mount::protect`, `mount::open`
"#;

    an_unknown_module: r#"fn mounts(host) {
    mout::ro("/usr", "x");
}
"# => r#"error[policy-syntax]: there is no module `mout`
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     mout::ro("/usr", "x");
  |     ^^^^
hint: did you mean `mount`?
"#;

    a_verb_without_its_module: r#"fn variable(host, name) {
    pass("x")
}
"# => r#"error[policy-unknown]: there is no function `pass` for text
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     pass("x")
  |     ^^^^
hint: did you mean `env::pass`?
"#;

    an_unknown_function: "fn helper(a) {}
fn mounts(host) {
    helpr(1);
}
" => "error[policy-unknown]: there is no function `helpr` for a number
  ——▶ ~/.config/claudebox/policy.rhai:3:5
  |
3 |     helpr(1);
  |     ^^^^^
hint: did you mean `helper`?
";

    a_function_of_its_own_with_other_arguments: "fn helper(a, b) {}
fn mounts(host) {
    helper(1);
}
" => "error[policy-argument]: `helper` does not take 1 argument
  ——▶ ~/.config/claudebox/policy.rhai:3:5
  |
3 |     helper(1);
  |     ^^^^^^
hint: write `helper(a, b)`
";

    an_unknown_variable: r#"fn mounts(host) {
    mount::ro(hom, "x");
}
"# => r#"error[policy-syntax]: there is no variable `hom`
  ——▶ ~/.config/claudebox/policy.rhai:2:15
  |
2 |     mount::ro(hom, "x");
  |               ^^^
hint: give it a value with `let` first; the facts are properties of `host`
"#;

    an_operator_on_the_wrong_kinds: r#"fn mounts(host) {
    mount::ro("/usr" - 1, "x");
}
"# => r#"error[policy-argument]: `-` does not work on text and a number
  ——▶ ~/.config/claudebox/policy.rhai:2:22
  |
2 |     mount::ro("/usr" - 1, "x");
  |                      ^
"#;

    a_relative_path: r#"fn mounts(host) {
    mount::ro("usr", "x");
}
"# => r#"error[policy-argument]: the path `usr` is not absolute
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("usr", "x");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_path_that_climbs: r#"fn mounts(host) {
    mount::ro("/usr/../etc", "x");
}
"# => r#"error[policy-argument]: the path `/usr/../etc` contains `..`
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr/../etc", "x");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_path_with_a_nul: r#"fn mounts(host) {
    mount::ro("/usr\x00", "x");
}
"# => r#"error[policy-argument]: a NUL byte cannot be part of a path, a value or a file here
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr\x00", "x");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_variable_with_a_sign_of_equality: r#"fn environment(host) {
    env::set("A=B", "x", "y");
}
"# => r#"error[policy-argument]: the variable's name `A=B` contains `=`
  ——▶ ~/.config/claudebox/policy.rhai:2:10
  |
2 |     env::set("A=B", "x", "y");
  |          ^^^
hint: `env::set(name, value, why)`: gives a variable a value; a later value replaces an earlier one
"#;

    an_empty_pattern: r#"fn secrets(host) {
    secret::name("", "x");
}
"# => r#"error[policy-argument]: an empty pattern matches nothing
  ——▶ ~/.config/claudebox/policy.rhai:2:13
  |
2 |     secret::name("", "x");
  |             ^^^^
hint: `secret::name(pattern, why)`: calls variables whose names match a secret: they pass by `env::pass_secret` alone
"#;

    text_that_changes_direction: "fn mounts(host) {\n    let x = \"a\u{202e}b\";\n}\n" => r#"error[policy-text]: the text contains an invisible or direction-changing character (U+202E)
  ——▶ ~/.config/claudebox/policy.rhai:2:15
  |
2 |     let x = "a\u{202e}b";
  |               ^
hint: remove it; in a string, write `\u` and its number instead
"#;

    invisible_text: "fn mounts(host) {\n    let x\u{200b} = 1;\n}\n" => r"error[policy-text]: the text contains an invisible or direction-changing character (U+200B)
  ——▶ ~/.config/claudebox/policy.rhai:2:10
  |
2 |     let x\u{200b} = 1;
  |          ^
hint: remove it; in a string, write `\u` and its number instead
";

    a_nul_in_the_text: "fn mounts(host) {\n    let x = \"\0\";\n}\n" => r#"error[policy-text]: the text contains a NUL character (U+0000)
  ——▶ ~/.config/claudebox/policy.rhai:2:14
  |
2 |     let x = "\u{0}";
  |              ^
hint: remove it; in a string, write `\u` and its number instead
"#;

    an_escape_in_a_comment: "// \u{1b}[2J\nfn mounts(host) {}\n" => r"error[policy-text]: the text contains a control character (U+001B)
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | // \u{1b}[2J
  |    ^
hint: remove it; in a string, write `\u` and its number instead
";

    a_byte_order_mark_in_the_middle: "fn mounts(host) {\n    \u{feff}mount::ro(\"x\", \"y\");\n}\n" => r#"error[policy-text]: the text contains an invisible or direction-changing character (U+FEFF)
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     \u{feff}mount::ro("x", "y");
  |     ^
hint: remove it; in a string, write `\u` and its number instead
"#;

    lines_that_end_as_on_windows: "fn mounts(host) {\r\n    mount::ro(\"x\", \"y\");\r\n}\r\n" => r#"error[policy-argument]: the path `x` is not absolute
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("x", "y");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_byte_order_mark_and_a_first_line_for_the_editor: "\u{feff}#!/usr/bin/env rhai\nfn mounts(host) {\n    mount::ro(\"x\", \"y\");\n}\n" => r#"error[policy-argument]: the path `x` is not absolute
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("x", "y");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    lines_that_end_as_on_old_macs: "fn mounts(host) {\r    mount::ro(\"x\", \"y\");\r}\r" => r#"error[policy-text]: the text contains a control character (U+000D)
  ——▶ ~/.config/claudebox/policy.rhai:1:18
  |
1 | fn mounts(host) {\r    mount::ro("x", "y");\r}\r
  |                  ^
hint: remove it; in a string, write `\u` and its number instead
"#;

    a_file_that_is_too_long: format!("// {}\n", "x".repeat(256 * 1024)) => "error[policy-file]: the policy cannot be used: cannot look at `[HOME]/.config/claudebox/policy.rhai`: longer than 262144 bytes
hint: nothing starts without the policy that you wrote; mend it, or start with `--no-user-policy`
";

    a_syntax_error: "fn mounts(host) {
    let = 1;
}
" => "error[policy-syntax]: expecting name of a variable
  ——▶ ~/.config/claudebox/policy.rhai:2:9
  |
2 |     let = 1;
  |         ^
";

    an_unfinished_text: r#"fn mounts(host) {
    mount::ro("/usr, "x");
}
"# => r#"error[policy-syntax]: expecting `,` to separate the arguments to function call `ro`
  ——▶ ~/.config/claudebox/policy.rhai:2:23
  |
2 |     mount::ro("/usr, "x");
  |                       ^
"#;

    an_unfinished_block: r#"fn mounts(host) {
    mount::ro("/usr", "x");
"# => "error[policy-syntax]: expecting `}` to terminate this block
  ——▶ ~/.config/claudebox/policy.rhai:3:1
";

    a_function_in_a_function: "fn mounts(host) {
    fn inner() {}
}
" => "error[policy-syntax]: function definitions must be at global level and cannot be inside a block or another function
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     fn inner() {}
  |     ^^
";
}
