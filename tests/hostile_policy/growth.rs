//! Scripts that want more memory, decisions or text than a policy may have.

use super::hostile;

hostile! {
    a_text_that_doubles: r#"fn mounts(host) {
    let s = "x";
    loop { s += s; }
}
"# => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    a_text_padded_to_the_sky: r#"fn mounts(host) {
    let s = "x";
    s.pad(1000000000, " ");
}
"# => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    an_array_that_grows: "fn mounts(host) {
    let a = [];
    loop { a.push(1); }
}
" => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    an_array_that_doubles: "fn mounts(host) {
    let a = [1];
    loop { a += a; }
}
" => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    an_array_padded_to_the_sky: "fn mounts(host) {
    let a = [];
    a.pad(1000000000, 0);
}
" => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    an_array_of_long_texts: r#"fn mounts(host) {
    let s = "x";
    s.pad(60000, "y");
    let a = [];
    for i in 0..9000 { a.push(s + i); }
}
"# => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    arrays_in_arrays: "fn mounts(host) {
    let a = [1];
    loop { a = [a, a]; }
}
" => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    too_many_decisions: r#"fn secrets(host) {
    loop { secret::path("/s", "again"); }
}
"# => r#"error[bounded-policy]: the policy takes more than 50000 decisions
  ——▶ ~/.config/claudebox/policy.rhai:2:20
  |
2 |     loop { secret::path("/s", "again"); }
  |                    ^^^^
hint: one decision a mount or variable is enough; look for a loop
"#;

    too_many_notes: r#"fn secrets(host) {
    loop { debug("again"); }
}
"# => r#"error[bounded-policy]: the policy takes more than 50000 decisions
  ——▶ ~/.config/claudebox/policy.rhai:2:12
  |
2 |     loop { debug("again"); }
  |            ^^^^^
hint: one decision a mount or variable is enough; look for a loop
"#;

    generated_files_without_end: r#"fn mounts(host) {
    let s = "x";
    s.pad(60000, "y");
    let i = 0;
    loop { mount::text("/t/" + i, s, "again"); i += 1; }
}
"# => r#"error[bounded-policy]: the policy's decisions hold more than 8 MiB of text
  ——▶ ~/.config/claudebox/policy.rhai:5:19
  |
5 |     loop { mount::text("/t/" + i, s, "again"); i += 1; }
  |                   ^^^^
hint: generated files and reasons are short; look for a loop
"#;

    values_without_end: r#"fn environment(host) {
    let s = "x";
    s.pad(60000, "y");
    loop { env::set("A", s, "again"); }
}
"# => r#"error[bounded-policy]: the policy's decisions hold more than 8 MiB of text
  ——▶ ~/.config/claudebox/policy.rhai:4:17
  |
4 |     loop { env::set("A", s, "again"); }
  |                 ^^^
hint: generated files and reasons are short; look for a loop
"#;

    a_reason_without_end: r#"fn mounts(host) {
    let s = "x";
    s.pad(501, "y");
    mount::ro("/usr", s);
}
"# => r#"error[policy-argument]: the reason is longer than 500 bytes
  ——▶ ~/.config/claudebox/policy.rhai:4:12
  |
4 |     mount::ro("/usr", s);
  |            ^^
hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access
"#;

    too_many_variables: format!("fn mounts(host) {{\n{}}}\n", (0..300).map(|i| format!("    let v{i} = {i};\n")).collect::<String>()) => "error[bounded-policy]: the hook `mounts` has too many variables
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: 256 may be in scope
";

    ten_thousand_functions: (0..10_000).map(|i| format!("fn f{i}() {{}}\n")).collect::<String>() => "error[bounded-policy]: number of functions defined exceeds maximum limit
  ——▶ ~/.config/claudebox/policy.rhai:257:1
    |
257 | fn f256() {}
    | ^^
hint: a policy may have 256 functions
";

    a_long_text_in_the_script: format!("fn mounts(host) {{\n    let s = \"{}\";\n}}\n", "x".repeat(70_000)) => r#"error[bounded-policy]: the policy has a line that is too long
  ——▶ ~/.config/claudebox/policy.rhai:2:1
  |
2 |     let s = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
  | ^
hint: 65534 lines, and as many bytes in a line, have a number
"#;

    a_map_of_long_texts: r#"fn mounts(host) {
    let s = "x";
    s.pad(60000, "y");
    let m = #{};
    let i = 0;
    loop { m["k" + i] = s + i; i += 1; }
}
"# => "error[bounded-policy]: the hook `mounts` takes too much memory
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may hold 32 MiB; look for a loop that collects
";

    a_map_that_holds_itself: r#"fn mounts(host) {
    let m = #{ a: 1 };
    let i = 0;
    loop { m["k" + i] = m; i += 1; }
}
"# => "error[bounded-policy]: the hook `mounts` makes a value that is too large
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: a text may have 65536 bytes, an array or a map 10000 items with all that is in them
";

    an_array_of_long_texts_by_index: r#"fn mounts(host) {
    let s = "x";
    s.pad(60000, "y");
    let a = [];
    a.pad(10000, "");
    for i in 0..10000 { a[i] = s + i; }
}
"# => "error[bounded-policy]: the hook `mounts` takes too much memory
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may hold 32 MiB; look for a loop that collects
";

    closures_that_keep_texts: r#"fn mounts(host) {
    let keep = #{};
    let i = 0;
    let s = "x";
    s.pad(60000, "y");
    loop { let t = s + i; keep["k" + i] = || t; i += 1; }
}
"# => "error[bounded-policy]: the hook `mounts` takes too much memory
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may hold 32 MiB; look for a loop that collects
";

    a_list_of_curried_texts: r#"fn f(a, b) { a }
fn mounts(host) {
    let s = "x";
    s.pad(60000, "y");
    let p = Fn("f");
    loop { p = p.curry(s + 1); }
}
"# => "error[bounded-policy]: the hook `mounts` takes too much memory
  ——▶ ~/.config/claudebox/policy.rhai:2:4
  |
2 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may hold 32 MiB; look for a loop that collects
";

    a_note_outside_a_hook: r#"debug("seen");
loop { debug("again"); }
"# => r#"error[bounded-policy]: the policy takes more than 50000 decisions
  ——▶ ~/.config/claudebox/policy.rhai:2:8
  |
2 | loop { debug("again"); }
  |        ^^^^^
hint: one decision a mount or variable is enough; look for a loop
"#;

    too_many_lines: "\n".repeat(66_000) => "error[bounded-policy]: the policy has too many lines
  ——▶ ~/.config/claudebox/policy.rhai:65535:1
      |
65535 | 
      | ^
hint: 65534 lines, and as many bytes in a line, have a number
";

    maps_that_hold_one_another: r#"fn mounts(host) {
    let m = #{};
    loop { let n = #{}; n["a"] = m; m = n; }
}
"# => "error[bounded-policy]: the hook `mounts` did not come to an end
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may take 10 million steps and 3 seconds; look for a loop without an end
";

    closures_that_hold_one_another: "fn mounts(host) {
    let m = 1;
    loop { let n = m; m = || n; }
}
" => "error[bounded-policy]: the hook `mounts` takes too much memory
  ——▶ ~/.config/claudebox/policy.rhai:1:4
  |
1 | fn mounts(host) {
  |    ^^^^^^
hint: all scripts together may hold 32 MiB; look for a loop that collects
";
}
