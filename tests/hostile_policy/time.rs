//! Scripts that want more time or depth than a policy may have.

use super::hostile;

hostile! {
    an_endless_loop: "fn mounts(host) {
    loop {}
}
" => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    an_endless_while: "fn secrets(host) {
    while true { let x = 1; }
}
" => "error[bounded-policy]: the hook `secrets` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn secrets(host) {
  |    ^^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    an_endless_do: r#"fn network(host) {
    do { } while true;
    net::none("never reached");
}
"# => "error[bounded-policy]: the hook `network` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn network(host) {
  |    ^^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_for_over_a_huge_range: "fn environment(host) {
    for i in 0..9000000000000000000 { }
}
" => "error[bounded-policy]: the hook `environment` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn environment(host) {
  |    ^^^^^^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    loops_in_loops: "fn mounts(host) {
    for a in 0..100000 { for b in 0..100000 { } }
}
" => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_loop_in_a_closure_under_map: "fn mounts(host) {
    [1].map(|x| { loop {} });
}
" => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:2:9
  |
2 |     [1].map(|x| { loop {} });
  |         ^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_loop_in_a_closure_under_for_each: "fn mounts(host) {
    [1].for_each(|| { loop {} });
}
" => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:2:9
  |
2 |     [1].for_each(|| { loop {} });
  |         ^^^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_loop_in_a_closure_under_filter: "fn mounts(host) {
    [1].filter(|x| { loop {} });
}
" => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:2:9
  |
2 |     [1].filter(|x| { loop {} });
  |         ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_loop_in_a_closure_under_reduce: "fn mounts(host) {
    [1].reduce(|sum, x| { loop {} });
}
" => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:2:9
  |
2 |     [1].reduce(|sum, x| { loop {} });
  |         ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_comparison_that_swallows_its_error: r#"fn mounts(host) {
    [3, 2, 1].sort(|a, b| { loop {} });
    mount::ro("/usr", "the error was swallowed");
}
"# => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_refusal_swallowed_by_a_comparison: r#"fn mounts(host) {
    [3, 2, 1].sort(|a, b| { mount::ro("relative", "x"); 1 });
}
"# => r#"error[policy-argument]: the path `relative` is not absolute
  ——▶ ~/.config/claudebox/policy.rhai:2:36
  |
2 |     [3, 2, 1].sort(|a, b| { mount::ro("relative", "x"); 1 });
  |                                    ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    a_loop_in_the_hook_of_each_variable: "fn variable(host, name) {
    loop {}
}
" => "error[bounded-policy]: the hook `variable` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn variable(host, name) {
  |    ^^^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_loop_outside_the_hooks: "loop {}
fn mounts(host) {}
" => "error[bounded-policy]: what stands outside the functions did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:6
  |
1 | loop {}
  |      ^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_loop_behind_a_function_pointer: r#"fn spin() { loop {} }
fn mounts(host) {
    let f = Fn("spin");
    f.call();
}
"# => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:2:4
  |
2 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    texts_that_are_slow_to_search: r#"fn mounts(host) {
    let s = "a";
    s.pad(60000, "a");
    loop { s.replace("a", "b"); s.replace("b", "a"); }
}
"# => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    a_function_that_calls_itself: "fn f(n) { f(n + 1) }
fn mounts(host) {
    f(0);
}
" => "error[bounded-policy]: the hook `mounts` calls functions too deeply
  ——▶ ~/.config/claudebox/policy.rhai:2:4
  |
2 | fn mounts(host) {
  |    ^^^^^^
hint: calls may nest 32 deep; look for a function that calls itself
";

    two_functions_that_call_each_other: "fn f(n) { g(n) }
fn g(n) { f(n) }
fn mounts(host) {
    f(0);
}
" => "error[bounded-policy]: the hook `mounts` calls functions too deeply
  ——▶ ~/.config/claudebox/policy.rhai:3:4
  |
3 | fn mounts(host) {
  |    ^^^^^^
hint: calls may nest 32 deep; look for a function that calls itself
";

    a_hook_that_calls_itself: "fn mounts(host) {
    mounts(host);
}
" => "error[bounded-policy]: the hook `mounts` calls functions too deeply
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: calls may nest 32 deep; look for a function that calls itself
";

    a_closure_that_calls_itself: "fn mounts(host) {
    let f = |f| { f.call(f) };
    f.call(f);
}
" => "error[bounded-policy]: the hook `mounts` calls functions too deeply
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: calls may nest 32 deep; look for a function that calls itself
";

    deep_parentheses: format!("fn mounts(host) {{\n    let x = {}1{};\n}}\n", "(".repeat(200), ")".repeat(200)) => "error[bounded-policy]: expression exceeds maximum complexity
  ——▶ ~/.config/claudebox/policy.rhai:2:43
  |
2 |     let x = ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((…
  |                                           ^
hint: blocks and expressions may nest 64 deep
";

    a_long_chain_of_operators: format!("fn mounts(host) {{\n    let x = 1{};\n}}\n", " + 1".repeat(300)) => "error[bounded-policy]: expression exceeds maximum complexity
  ——▶ ~/.config/claudebox/policy.rhai:2:247
  |
2 | …1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + …
  |                                                    ^
hint: blocks and expressions may nest 64 deep
";

    deep_blocks: format!("fn mounts(host) {{\n    {}{}\n}}\n", "{".repeat(200), "}".repeat(200)) => "error[bounded-policy]: expression exceeds maximum complexity
  ——▶ ~/.config/claudebox/policy.rhai:2:36
  |
2 |     {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{…
  |                                    ^
hint: blocks and expressions may nest 64 deep
";

    deep_arrays: format!("fn mounts(host) {{\n    let x = {}{};\n}}\n", "[".repeat(200), "]".repeat(200)) => "error[bounded-policy]: expression exceeds maximum complexity
  ——▶ ~/.config/claudebox/policy.rhai:2:33
  |
2 |     let x = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
  |                                 ^
hint: blocks and expressions may nest 64 deep
";

    a_long_chain_of_else_ifs: format!("fn mounts(host) {{\n    if false {{}}{}\n}}\n", " else if false {}".repeat(300)) => "error[bounded-policy]: expression exceeds maximum complexity
  ——▶ ~/.config/claudebox/policy.rhai:2:1028
  |
2 | …alse {} else if false {} else if false {} else if false {} else if false {} else if false {} else if…
  |                                                    ^^^^^
hint: blocks and expressions may nest 64 deep
";

    a_long_chain_of_properties: format!("fn mounts(host) {{\n    host{};\n}}\n", ".home".repeat(300)) => "error[bounded-policy]: expression exceeds maximum complexity
  ——▶ ~/.config/claudebox/policy.rhai:2:309
  |
2 | ….home.home.home.home.home.home.home.home.home.home.home.home.home.home.home.home.home.home.home.home…
  |                                                    ^
hint: blocks and expressions may nest 64 deep
";
}
