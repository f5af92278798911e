//! Layers: who answers a hook, and whether every decision keeps its true file, line and reason.

use std::path::Path;
use std::rc::Rc;

use crate::host::tree::{Kind, Tree};
use crate::host::{self, Host};
use crate::path::EnvName;
use crate::trace::{Effect, Site};

use super::layer::Source;
use super::{Evaluation, evaluate};

fn described() -> Rc<Host> {
    let mut tree = Tree::described();
    tree.describe(Path::new("/home/u/p"), Kind::Directory, 1000, b"");
    let mut host = Rc::into_inner(host::described(tree)).unwrap();
    for name in ["A", "B"] {
        host.variables.insert(EnvName::new(name).unwrap(), "value".into());
    }
    Rc::new(host)
}

fn asked(layers: &[(&str, &str)]) -> Evaluation {
    let layers: Vec<Source> = layers
        .iter()
        .map(|(layer, text)| Source {
            layer: (*layer).into(),
            file: format!("{layer}.rhai").into(),
            text: (*text).into(),
        })
        .collect();
    evaluate(&layers, &described())
}

/// Every decision as `effect subject "reason" file:line:column`.
fn decisions(evaluation: &Evaluation) -> Vec<String> {
    assert_eq!(evaluation.outcome.as_ref().err(), None);
    let shown = |site: &Site| match site {
        Site::Script {
            layer,
            file,
            line,
            column,
        } => {
            assert_eq!(format!("{layer}.rhai"), **file);
            format!("{file}:{line}:{column}")
        }
        other => other.to_string(),
    };
    let decisions = evaluation.trace.iter().map(|(_, decision)| {
        let (effect, subject) = (decision.effect.word(), &decision.subject);
        format!("{effect} {subject} \"{}\" {}", decision.reason, shown(&decision.site))
    });
    decisions.collect()
}

fn answers(evaluation: &Evaluation) -> Vec<(&str, &str)> {
    let answers = evaluation.trace.answers.iter();
    answers.map(|answer| (answer.hook, &*answer.layer)).collect()
}

const LOW: &str = r#"
fn helper(why) { mount::tmpfs("/low/" + why, "low " + why); }
fn mounts(host) {
    helper("first");
    ["a"].for_each(|x| helper("each"));
}
fn variable(host, name) { env::hide("low") }
"#;
const MIDDLE: &str = r#"fn helper(why) { mount::tmpfs("/middle/" + why, "middle " + why); }
fn mounts(host) {
    helper("before");
    base::mounts(host);
    helper("after");
    let f = || { helper("closure"); };
    f.call();
}
fn variable(host, name) { if name == "A" { env::pass("middle") } else { base::variable(host, name) } }
"#;
const HIGH: &str = r#"fn mounts(host) {
    let run = |x| { helper(x); base::mounts(host) };
    run.call("before");
    helper("after");
}


fn helper(why) { mount::tmpfs("/high/" + why, "high " + why); }
"#;

#[test]
fn three_layers_with_helpers_of_one_name_keep_their_own_places() {
    let evaluation = asked(&[("low", LOW), ("middle", MIDDLE), ("high", HIGH)]);
    assert_eq!(
        decisions(&evaluation),
        [
            "pass A \"middle\" middle.rhai:9:49",
            "hide B \"low\" low.rhai:7:32",
            "tmpfs /high/before \"high before\" high.rhai:8:25",
            "tmpfs /middle/before \"middle before\" middle.rhai:1:25",
            "tmpfs /low/first \"low first\" low.rhai:2:25",
            "tmpfs /low/each \"low each\" low.rhai:2:25",
            "tmpfs /middle/after \"middle after\" middle.rhai:1:25",
            "tmpfs /middle/closure \"middle closure\" middle.rhai:1:25",
            "tmpfs /high/after \"high after\" high.rhai:8:25",
        ]
    );
    assert_eq!(answers(&evaluation), [("variable", "middle"), ("mounts", "high")]);
}

/// Each hook by itself falls through to the highest layer that has it.
#[test]
fn each_hook_is_answered_by_the_highest_layer_that_has_it() {
    let low = "fn secrets(host) { secret::name(\"X\", \"low\"); }\nfn network(host) { net::none(\"low\"); }\n";
    let middle = "fn network(host) { net::host(\"middle\"); }\n";
    let high = "fn secrets(host) { base::secrets(host); secret::name(\"Y\", \"high\"); }\n";
    let evaluation = asked(&[("low", low), ("middle", middle), ("high", high)]);
    assert_eq!(answers(&evaluation), [("secrets", "high"), ("network", "middle")]);
    assert_eq!(
        decisions(&evaluation),
        [
            "secret-name X \"low\" low.rhai:1:28",
            "secret-name Y \"high\" high.rhai:1:49",
            "network host \"middle\" middle.rhai:1:25",
        ]
    );
}

#[test]
fn an_error_below_tells_the_file_below() {
    let low = "\nfn mounts(host) { mount::ro(\"relative\", \"x\"); }\n";
    let evaluation = asked(&[("low", low), ("high", "fn mounts(host) { base::mounts(host); }")]);
    let error = evaluation.outcome.unwrap_err();
    let text = error.render(&evaluation.sources, crate::style::Style::plain());
    assert_eq!(
        text,
        "error[policy-argument]: the path `relative` is not absolute\n  ——▶ low.rhai:2:26\n  |\n\
         2 | fn mounts(host) { mount::ro(\"relative\", \"x\"); }\n  |                          ^^\n\
         hint: `mount::ro(path, why)`: shows a file or directory of the host at its own path, without write access\n"
    );
}

#[test]
fn the_lowest_layer_has_none_below() {
    let evaluation = asked(&[("low", "fn mounts(host) { base::mounts(host); }")]);
    let error = evaluation.outcome.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        ("policy-hook", "no layer below answers the hook `mounts`")
    );
}

/// The layers share one budget: three that take half of it each are stopped.
#[test]
fn one_budget_for_all_layers() {
    let half = format!("let i = 0; while i < {} {{ i += 1; }}", super::recorder::STEPS_MAX / 8);
    let low = format!("fn mounts(host) {{ {half} }}");
    let high = format!("fn mounts(host) {{ {half} base::mounts(host); }}");
    assert_eq!(asked(&[("low", &low)]).outcome.err(), None);
    let three = asked(&[("low", &low), ("middle", &high), ("high", &high)]);
    let error = three.outcome.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        ("bounded-policy", "the hook `mounts` did not come to an end")
    );
}

/// A closure that left its layer would run among the functions of another one.
#[test]
fn only_verdicts_cross_from_layer_to_layer() {
    let low = "fn helper() { mount::tmpfs(\"/low\", \"low\"); }\nfn mounts(host) { || helper() }\n";
    let high = "fn helper() { mount::tmpfs(\"/high\", \"high\"); }\nfn mounts(host) {\n    let f = base::mounts(host);\n    debug(f == ());\n}\n";
    let evaluation = asked(&[("low", low), ("high", high)]);
    assert_eq!(decisions(&evaluation), ["note true \"debug\" high.rhai:4:5"]);
}

/// Places of constants and of the text's first line do not shift with a line for the editor.
#[test]
fn constants_are_there_and_lines_stay() {
    let text = "#!/usr/bin/env claudebox\nconst WHY = \"a constant\";\nfn network(host) { net::none(global::WHY); }\n";
    let evaluation = asked(&[("low", text)]);
    assert_eq!(decisions(&evaluation), ["network none \"a constant\" low.rhai:3:25"]);
    assert_eq!(
        evaluation
            .trace
            .iter()
            .filter(|(_, d)| d.effect == Effect::Network)
            .count(),
        1
    );
}

#[test]
fn the_same_policy_and_host_give_the_same_trace() {
    let first = asked(&[("low", LOW), ("middle", MIDDLE), ("high", HIGH)]);
    let second = asked(&[("low", LOW), ("middle", MIDDLE), ("high", HIGH)]);
    assert_eq!((first.trace, first.outcome), (second.trace, second.outcome));
}
