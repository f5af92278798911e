//! Scripts that leave the language of policies, forge facts, or answer hooks wrongly.

use super::hostile;

hostile! {
    catching_errors: r#"fn mounts(host) {
    try { mount::ro("relative", "x"); } catch {}
}
"# => r#"error[policy-syntax]: `try` is a reserved keyword
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     try { mount::ro("relative", "x"); } catch {}
  |     ^^^
hint: a policy cannot catch errors: each one stops the launch
"#;

    eval: r#"fn mounts(host) {
    eval("mount::ro(`/usr`, `x`)");
}
"# => r#"error[policy-syntax]: reserved keyword `eval` is disabled
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     eval("mount::ro(`/usr`, `x`)");
  |     ^^^^
hint: a policy runs only the text that can be read in it
"#;

    import: r#"import "other" as other;
fn mounts(host) {}
"# => r#"error[policy-syntax]: `import` is a reserved keyword
  ——▶ ~/.config/claudebox/policy.rhai:1:1
  |
1 | import "other" as other;
  | ^^^^^^
hint: a policy is one file; the layers below are reached by `base::`
"#;

    export: "const X = 1;
export X;
fn mounts(host) {}
" => "error[policy-syntax]: `export` is a reserved keyword
  ——▶ ~/.config/claudebox/policy.rhai:2:1
  |
2 | export X;
  | ^^^^^^
hint: a policy is one file; the layers below are reached by `base::`
";

    sleep: "fn mounts(host) {
    sleep(3600);
}
" => "error[policy-unknown]: there is no function `sleep` for a number
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     sleep(3600);
  |     ^^^^^
";

    exit: "fn mounts(host) {
    exit();
}
" => "error[policy-unknown]: there is no function `exit`
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     exit();
  |     ^^^^
";

    print: r#"fn mounts(host) {
    print("x");
}
"# => r#"error[policy-unknown]: a policy prints nothing
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     print("x");
  |     ^^^^^
hint: write `debug(...)`: `claudebox --explain` shows it with its line
"#;

    throwing_what_a_terminal_obeys: r#"fn mounts(host) {
    throw "\x1b[2JCleared";
}
"# => r#"error[policy-failed]: \u{1b}[2JCleared
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     throw "\x1b[2JCleared";
  |     ^^^^^
"#;

    throwing_nothing: "fn mounts(host) {
    throw;
}
" => "error[policy-failed]: the script stops here, and says nothing
  ——▶ ~/.config/claudebox/policy.rhai:2:5
  |
2 |     throw;
  |     ^^^^^
";

    a_function_named_like_a_verb: r#"fn ro(path, why) { }
fn mounts(host) {
    mount::ro("relative", "the verb still judges");
}
"# => r#"error[policy-argument]: the path `relative` is not absolute
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("relative", "the verb still judges");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_variable_named_like_a_module: r#"fn mounts(host) {
    let mount = 1;
    mount::ro("relative", "the verb still judges");
}
"# => r#"error[policy-argument]: the path `relative` is not absolute
  ——▶ ~/.config/claudebox/policy.rhai:3:12
  |
3 |     mount::ro("relative", "the verb still judges");
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_forged_fact: r#"fn mounts(host) {
    host.home = "/root";
    base::mounts(host);
}
"# => r#"error[policy-failed]: `home` cannot be changed: the facts about the host are read only
  ——▶ ~/.config/claudebox/policy.rhai:2:10
  |
2 |     host.home = "/root";
  |          ^^^^
"#;

    a_forged_host: r#"fn mounts(host) {
    base::mounts(#{ home: "/root" });
}
"# => r#"error[policy-hook]: `base::mounts` takes the `host` that the hook was given
  ——▶ ~/.config/claudebox/policy.rhai:2:11
  |
2 |     base::mounts(#{ home: "/root" });
  |           ^^^^^^
hint: in the hook `mounts`, write `base::mounts(host)`
"#;

    a_forged_name: "fn variable(host, name) {
    base::variable(host, |x| x)
}
" => "error[policy-hook]: `base::variable` takes the `name` of a variable as text
  ——▶ ~/.config/claudebox/policy.rhai:2:11
  |
2 |     base::variable(host, |x| x)
  |           ^^^^^^^^
hint: in the hook `variable`, write `base::variable(host, name)`
";

    an_overwritten_host: r#"fn mounts(host) {
    host = #{ home: "/root" };
    base::mounts(host);
}
"# => "error[policy-hook]: `base::mounts` takes the `host` that the hook was given
  ——▶ ~/.config/claudebox/policy.rhai:3:11
  |
3 |     base::mounts(host);
  |           ^^^^^^
hint: in the hook `mounts`, write `base::mounts(host)`
";

    an_unknown_fact: r#"fn mounts(host) {
    mount::ro(host.hoem + "/x", "x");
}
"# => r#"error[policy-unknown]: `host` has no property `hoem`
  ——▶ ~/.config/claudebox/policy.rhai:2:20
  |
2 |     mount::ro(host.hoem + "/x", "x");
  |                    ^^^^
hint: `host` has `home`, `user`, `uid`, `gid`, `project`, `directory`, `way`, `git_dirs`, `platform`, `tools`, `nix_daemon`, `nix_registry`, `broker`, `time_zone`, `locale_works`, `ca_bundle`, `ca_extra`, `gitconfig`, `has_variable(name)`, `kind(path)`, `tool(name)`, `link_target(path)`, `list(path)`
"#;

    an_unknown_fact_like_no_other: "fn mounts(host) {
    host.environment;
}
" => "error[policy-unknown]: `host` has no property `environment`
  ——▶ ~/.config/claudebox/policy.rhai:2:10
  |
2 |     host.environment;
  |          ^^^^^^^^^^^
hint: `host` has `home`, `user`, `uid`, `gid`, `project`, `directory`, `way`, `git_dirs`, `platform`, `tools`, `nix_daemon`, `nix_registry`, `broker`, `time_zone`, `locale_works`, `ca_bundle`, `ca_extra`, `gitconfig`, `has_variable(name)`, `kind(path)`, `tool(name)`, `link_target(path)`, `list(path)`
";

    a_value_of_a_variable: "fn variable(host, name) {
    host.variable(name)
}
" => "error[policy-unknown]: `host` has no function `variable`
  ——▶ ~/.config/claudebox/policy.rhai:2:10
  |
2 |     host.variable(name)
  |          ^^^^^^^^
hint: did you mean `has_variable`?
";

    an_unknown_function_of_host: r#"fn mounts(host) {
    host.knid("/usr");
}
"# => r#"error[policy-unknown]: `host` has no function `knid`
  ——▶ ~/.config/claudebox/policy.rhai:2:10
  |
2 |     host.knid("/usr");
  |          ^^^^
hint: `host` has `home`, `user`, `uid`, `gid`, `project`, `directory`, `way`, `git_dirs`, `platform`, `tools`, `nix_daemon`, `nix_registry`, `broker`, `time_zone`, `locale_works`, `ca_bundle`, `ca_extra`, `gitconfig`, `has_variable(name)`, `kind(path)`, `tool(name)`, `link_target(path)`, `list(path)`
"#;

    a_decision_outside_a_hook: r#"mount::ro("/usr", "at the top");
fn mounts(host) {}
"# => r#"error[policy-hook]: `mount::ro` decides nothing outside a hook
  ——▶ ~/.config/claudebox/policy.rhai:1:8
  |
1 | mount::ro("/usr", "at the top");
  |        ^^
hint: call it in `fn mounts(host)`
"#;

    a_decision_in_the_wrong_hook: r#"fn network(host) {
    mount::ro("/usr", "here?");
}
"# => r#"error[policy-hook]: `mount::ro` does not belong in the hook `network`
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     mount::ro("/usr", "here?");
  |            ^^
hint: call it in `fn mounts(host)`
"#;

    another_hook_of_the_layer_below: "fn network(host) {
    base::mounts(host);
}
" => "error[policy-hook]: `base::mounts` does not belong in the hook `network`
  ——▶ ~/.config/claudebox/policy.rhai:2:11
  |
2 |     base::mounts(host);
  |           ^^^^^^
hint: in the hook `mounts`, write `base::mounts(host)`
";

    a_hook_without_parameters: r#"fn mounts() {
    mount::ro("/usr", "x");
}
"# => "error[policy-hook]: the hook is `fn mounts(host)`, not `fn mounts()`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts() {
  |    ^^^^^^
hint: write `fn mounts(host)`
";

    a_hook_with_too_many_parameters: r#"fn variable(host, name, value) {
    env::pass("x")
}
"# => "error[policy-hook]: the hook is `fn variable(host, name)`, not `fn variable(host, name, value)`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn variable(host, name, value) {
  |    ^^^^^^^^
hint: write `fn variable(host, name)`
";

    a_hook_defined_twice: "fn mounts(host) {}
fn mounts(host) {}
" => "error[policy-syntax]: function mounts with 1 parameter already exists
  ——▶ ~/.config/claudebox/policy.rhai:2:1
  |
2 | fn mounts(host) {}
  | ^^
";

    a_hook_defined_twice_with_other_parameters: "fn mounts(host) {}
fn mounts(host, more) {}
" => "error[policy-hook]: the hook is `fn mounts(host)`, not `fn mounts(host, more)`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {}
  |    ^^^^^^
hint: write `fn mounts(host)`
";

    a_hook_that_is_nearly_one: r#"fn mount(host) {
    mount::ro("/usr", "x");
}
"# => "error[policy-hook]: `mount` is no hook, and nothing calls it
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mount(host) {
  |    ^^^^^
hint: did you mean `mounts`?
";

    a_verdict_that_is_not_returned: r#"fn variable(host, name) {
    env::pass("x");
    let done = true;
}
"# => "error[policy-hook]: the hook `variable` gave nothing instead of a verdict on `HOME`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn variable(host, name) {
  |    ^^^^^^^^
hint: end every path with `env::pass(why)`, `env::pass_secret(why)`, `env::hide(why)` or `base::variable(host, name)`
";

    a_verdict_that_is_none: "fn variable(host, name) {
    true
}
" => "error[policy-hook]: the hook `variable` gave a truth value instead of a verdict on `HOME`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn variable(host, name) {
  |    ^^^^^^^^
hint: end every path with `env::pass(why)`, `env::pass_secret(why)`, `env::hide(why)` or `base::variable(host, name)`
";

    no_verdict_on_one_path: r#"fn variable(host, name) {
    if name == "HOME" { env::hide("x") }
}
"# => "error[policy-hook]: the hook `variable` gave nothing instead of a verdict on `PATH`
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn variable(host, name) {
  |    ^^^^^^^^
hint: end every path with `env::pass(why)`, `env::pass_secret(why)`, `env::hide(why)` or `base::variable(host, name)`
";

    a_call_of_base_without_host: "fn mounts(host) {
    base::mounts();
}
" => "error[policy-argument]: `base::mounts` does not take 0 arguments
  ——▶ ~/.config/claudebox/policy.rhai:2:11
  |
2 |     base::mounts();
  |           ^^^^^^
hint: write `base::mounts(host)`
";
}
