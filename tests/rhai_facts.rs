//! What the design leans on in rhai 1.27, one test a fact. Where an update of rhai changes one, it fails here and not in the field.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rhai::packages::{LanguageCorePackage, Package};
use rhai::{
    AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncRegistration, Module, NativeCallContext, OptimizationLevel,
    Position, Scope,
};

/// Where a call of `mark()` was seen: the source, the line, the column.
type Seen = Rc<RefCell<Vec<(String, usize, usize)>>>;

/// An engine whose `here::mark()` notes the place of its call.
fn marking(seen: &Seen) -> Engine {
    let mut engine = Engine::new();
    let mut module = Module::new();
    let seen = Rc::clone(seen);
    FuncRegistration::new("mark").set_into_module(&mut module, move |context: NativeCallContext| {
        let position = context.call_position();
        let place = (position.line().unwrap_or(0), position.position().unwrap_or(0));
        let source = context.call_source().unwrap_or_default().to_string();
        seen.borrow_mut().push((source, place.0, place.1));
    });
    engine.register_static_module("here", module.into());
    engine
}

fn named(engine: &Engine, source: &str, text: &str) -> AST {
    let mut ast = engine.compile(text).expect("a correct script");
    ast.set_source(source);
    ast
}

fn call(engine: &Engine, ast: &AST, name: &str) -> Result<Dynamic, Box<EvalAltResult>> {
    engine.call_fn_with_options(CallFnOptions::new(), &mut Scope::new(), ast, name, ())
}

/// Also tells that no crate of the build asks for rhai's feature `unchecked`.
#[test]
fn an_operation_limit_ends_a_plain_loop() {
    let mut engine = Engine::new();
    engine.set_max_operations(1000);
    let error = engine.run("loop {}").expect_err("an endless loop");
    assert!(matches!(*error, EvalAltResult::ErrorTooManyOperations(_)), "{error}");
}

/// So the count must be our own.
#[test]
fn the_operation_limit_misses_the_work_of_closures() {
    let mut engine = Engine::new();
    engine.set_max_operations(5000);
    let text = "let a = []; a.pad(100, 0); for i in 0..100 { a.for_each(|| { let x = 1; x += 1; }); }";
    assert!(engine.run(text).is_ok());
}

#[test]
fn progress_sees_the_work_of_closures() {
    let mut engine = Engine::new();
    let count = Rc::new(Cell::new(0_u64));
    let counted = Rc::clone(&count);
    engine.on_progress(move |_| {
        counted.set(counted.get() + 1);
        (counted.get() > 5000).then_some(Dynamic::UNIT)
    });
    for text in [
        "[1].map(|x| { loop {} })",
        "[1].for_each(|| { loop {} })",
        "[1].filter(|x| { loop {} })",
    ] {
        count.set(0);
        assert!(engine.run(text).is_err());
        assert!(count.get() > 5000, "{text}");
    }
}

/// So the first refusal is kept outside the engine, and the budget is looked at after each call.
#[test]
fn a_comparison_of_sort_swallows_errors() {
    let engine = Engine::new();
    let text = r#"let a = [3, 2, 1]; a.sort(|x, y| { throw "lost"; }); a.len()"#;
    assert_eq!(engine.eval::<i64>(text).expect("the error is swallowed"), 3);
}

/// So `try` is not part of a policy's language.
#[test]
fn an_ended_script_can_be_caught_in_a_closure() {
    let mut engine = Engine::new();
    let count = Cell::new(0);
    engine.on_progress(move |_| {
        count.set(count.get() + 1);
        (count.get() == 1000).then_some(Dynamic::UNIT)
    });
    let text = "try { [1].for_each(|| { loop {} }); } catch { } 7";
    assert_eq!(engine.eval::<i64>(text).expect("the end was caught"), 7);
}

#[test]
fn disabling_a_symbol_takes_keywords_away_and_no_functions() {
    let mut engine = Engine::new();
    for symbol in ["eval", "import", "export", "try", "exit", "sleep"] {
        engine.disable_symbol(symbol);
    }
    for text in [
        "eval(\"1\")",
        "import \"x\" as y;",
        "export x;",
        "try { 1 } catch { 2 }",
    ] {
        assert!(engine.compile(text).is_err(), "{text}");
    }
    assert_eq!(engine.eval::<i64>("exit(5); 6").expect("`exit` still works"), 5);
}

#[test]
fn only_the_core_package_has_sleep_and_exit() {
    let mut engine = Engine::new_raw();
    assert!(engine.run("exit()").is_err());
    LanguageCorePackage::new().register_into_engine(&mut engine);
    assert!(engine.run("exit()").is_ok());
}

/// So verbs live in modules.
#[test]
fn a_scripts_function_shadows_a_global_one_but_none_of_a_module() {
    let mut engine = Engine::new();
    engine.register_fn("answer", || 42_i64);
    let mut module = Module::new();
    FuncRegistration::new("answer").set_into_module(&mut module, || 42_i64);
    engine.register_static_module("deep", module.into());
    assert_eq!(engine.eval::<i64>("fn answer() { 1 } answer()").expect("runs"), 1);
    assert_eq!(
        engine.eval::<i64>("fn answer() { 1 } deep::answer()").expect("runs"),
        42
    );
    assert_eq!(engine.eval::<i64>("let deep = 1; deep::answer()").expect("runs"), 42);
}

/// So `host` is a type with getters alone.
#[test]
fn a_map_can_be_forged_and_a_type_with_getters_cannot() {
    #[derive(Clone)]
    struct Host;
    let mut engine = Engine::new();
    engine
        .register_type_with_name::<Host>("Host")
        .register_get("home", |_: &mut Host| "/home/u");
    engine.register_fn("host", || Host);
    assert_eq!(
        engine
            .eval::<String>(r#"let h = #{ home: "/home/u" }; h.home = "/x"; h.home"#)
            .expect("runs"),
        "/x"
    );
    let error = engine.run(r#"let h = host(); h.home = "/x";"#).expect_err("no setter");
    assert_eq!(
        error.to_string(),
        "No writable property 'home' - a setter is not registered for type 'Host' to handle 'string' (line 1, position 19)"
    );
}

#[test]
fn strict_variables_refuse_unknown_variables_and_modules_when_compiled() {
    let seen = Seen::default();
    let mut engine = marking(&seen);
    engine.set_strict_variables(true);
    let error = |text: &str| engine.compile(text).expect_err("not known").to_string();
    assert_eq!(error("fn f() { hom }"), "Undefined variable: hom (line 1, position 10)");
    assert_eq!(
        error("fn f() { hre::mark() }"),
        "Undefined module: hre (line 1, position 10)"
    );
    assert!(engine.compile("fn f() { here::mark() }").is_ok());
}

#[test]
fn the_place_of_a_call_is_true_wherever_it_stands() {
    let seen = Seen::default();
    let engine = marking(&seen);
    let text = "fn f() {\n    here::mark();\n    for i in 0..1 { here::mark(); }\n    [1].map(|x| here::mark());\n    \
                let g = || { here::mark() };\n    g.call();\n\t/* \u{e4} */ here::mark();\n}\n";
    let _ = call(&engine, &named(&engine, "p", text), "f").expect("runs");
    let places: Vec<(usize, usize)> = seen.borrow().iter().map(|(_, line, column)| (*line, *column)).collect();
    assert_eq!(places, [(2, 11), (3, 27), (4, 23), (5, 24), (7, 16)]);
    assert!(seen.borrow().iter().all(|(source, ..)| source == "p"));
}

/// So layers are never merged.
#[test]
fn merged_scripts_report_false_sources() {
    let seen = Seen::default();
    let engine = marking(&seen);
    let lower = named(&engine, "lower", "\n\nfn f() { here::mark() }");
    let upper = named(&engine, "upper", "fn g() { 1 }");
    let _ = call(&engine, &lower.merge(&upper), "f").expect("runs");
    assert_eq!(*seen.borrow(), [("upper".to_string(), 3, 16)]);
}

/// So layers are no script modules: the last call of the helper goes to the wrong layer, or this fact has changed.
#[test]
fn a_script_module_with_a_helper_of_the_same_name_takes_the_callers_helper() {
    let mut engine = Engine::new();
    let lower = engine
        .compile(r#"fn helper() { "lower" } fn hook() { helper() }"#)
        .expect("a correct script");
    let module = Module::eval_ast_as_new(Scope::new(), &lower, &engine).expect("a module");
    engine.register_static_module("base", module.into());
    let text = "fn helper() { \"upper\" }\nfn hook() { [helper(), base::hook(), helper()] }";
    let answer = call(&engine, &engine.compile(text).expect("a correct script"), "hook").expect("runs");
    let answer: Vec<String> = answer.into_typed_array().expect("texts");
    assert_eq!(answer, ["upper", "lower", "lower"]);
}

/// So no closure crosses layers.
#[test]
fn a_closure_of_another_script_reports_the_callers_source() {
    let seen = Seen::default();
    let engine = marking(&seen);
    let upper = named(&engine, "upper", "fn make() {\n    || here::mark()\n}");
    let closure = call(&engine, &upper, "make").expect("runs");
    let lower = named(&engine, "lower", "fn run(f) { f.call() }");
    let run = engine.call_fn::<Dynamic>(&mut Scope::new(), &lower, "run", (closure,));
    // Found at all, it is told to be of the wrong script; not found, it cannot be called.
    match run {
        Ok(_) => assert_eq!(*seen.borrow(), [("lower".to_string(), 2, 14)]),
        Err(error) => assert!(
            matches!(error.unwrap_inner(), EvalAltResult::ErrorFunctionNotFound(..)),
            "{error}"
        ),
    }
}

/// So a script's top level is run once without a hook: what decides there is refused before it could decide in one.
#[test]
fn the_top_level_runs_again_at_each_call() {
    let seen = Seen::default();
    let engine = marking(&seen);
    let ast = named(&engine, "p", "here::mark();\nfn f() {}");
    for _ in 0..3 {
        let _ = call(&engine, &ast, "f").expect("runs");
    }
    assert_eq!(seen.borrow().len(), 3);
}

/// So memory is counted by the allocator.
#[test]
fn the_limits_on_sizes_miss_what_is_assigned_to_a_key() {
    let mut engine = Engine::new();
    engine.set_max_map_size(10);
    let text = r#"let m = #{}; let n = 0; for i in 0..100 { m["k" + i] = i; n += 1; } n"#;
    assert_eq!(engine.eval::<i64>(text).expect("no limit is seen"), 100);
}

#[test]
fn long_chains_count_as_deep() {
    let mut engine = Engine::new();
    engine.set_max_expr_depths(64, 64);
    for text in [
        format!("let x = 1{};", " + 1".repeat(100)),
        format!("let x = {}1;", "!".repeat(100)),
        format!("if false {{}}{}", " else if false {}".repeat(100)),
        format!("let x = #{{}}; x{}", ".a".repeat(100)),
    ] {
        assert!(engine.compile(text).is_err());
    }
}

#[test]
fn functions_are_listed_by_name_and_arity_the_private_too() {
    let engine = Engine::new();
    let ast = engine
        .compile("fn b(x, y) {} private fn a() { 7 }")
        .expect("a correct script");
    let mut functions: Vec<(&str, usize)> = ast.iter_functions().map(|f| (f.name, f.params.len())).collect();
    functions.sort_unstable();
    assert_eq!(functions, [("a", 0), ("b", 2)]);
    assert_eq!(call(&engine, &ast, "a").expect("runs").as_int(), Ok(7));
}

#[test]
fn two_functions_of_one_name_differ_by_arity_alone() {
    let engine = Engine::new();
    assert!(engine.compile("fn f(a) {} fn f(a, b) {}").is_ok());
    assert!(engine.compile("fn f(a) {} fn f(b) {}").is_err());
}

/// So a policy has at most so many lines.
#[test]
fn positions_end_at_sixteen_bits() {
    let engine = Engine::new();
    let text = format!("{}let = 1;", "\n".repeat(70_000));
    let error = engine.compile(text).expect_err("a syntax error");
    assert_eq!(error.position().line(), Some(65_535));
}

/// So the optimizer is off: it would run verbs while a script is compiled.
#[test]
fn the_full_optimizer_calls_functions_when_it_compiles() {
    let calls = Rc::new(Cell::new(0));
    let mut engine = Engine::new();
    let counted = Rc::clone(&calls);
    engine.register_fn("verb", move |x: i64| {
        counted.set(counted.get() + 1);
        x
    });
    engine.set_optimization_level(OptimizationLevel::Full);
    engine.compile("let x = verb(1);").expect("a correct script");
    assert_eq!(calls.get(), 1);
    engine.set_optimization_level(OptimizationLevel::None);
    engine.compile("let x = verb(1);").expect("a correct script");
    assert_eq!(calls.get(), 1);
}

#[test]
fn debug_tells_its_place_and_print_does_not() {
    let noted = Rc::new(RefCell::new((String::new(), Position::NONE)));
    let mut engine = Engine::new();
    let note = Rc::clone(&noted);
    engine.on_debug(move |text, _, position| *note.borrow_mut() = (text.to_string(), position));
    engine.run("\n  debug(7);").expect("runs");
    assert_eq!(*noted.borrow(), ("7".to_string(), Position::new(2, 3)));
}

/// A `;` does not take a verdict away, so a hook that ends with `env::pass(why);` answers.
#[test]
fn the_last_value_counts_with_a_semicolon_too() {
    let engine = Engine::new();
    assert_eq!(engine.eval::<i64>("fn f() { 7; } f()").expect("runs"), 7);
}
