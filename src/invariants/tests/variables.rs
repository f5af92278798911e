//! What passes, what is set, which of two wins, and what is told as a secret.

use super::*;

/// The variables that enter as the policy decides, with whether they are secret; and what became of decisions that did nothing.
fn environment(policy: &str) -> (Vec<(String, String, bool)>, Vec<String>) {
    let mut host = Rc::into_inner(host::described(tree())).unwrap();
    for (name, value) in [("EDITOR", "vi"), ("MY_THING", "words"), ("PLAIN", "words")] {
        host.variables.insert(EnvName::new(name).unwrap(), value.into());
    }
    let decided = decided(policy, &Rc::new(host), &request());
    let plan = decided.verdict.outcome.as_ref().unwrap();
    let of_the_policy = plan
        .variables()
        .iter()
        .filter(|(_, variable)| variable.origin != crate::invariants::plan::Origin::Launcher);
    let variables = of_the_policy
        .map(|(name, variable)| {
            (
                name.to_string(),
                variable.value.to_str().unwrap().to_string(),
                variable.secret,
            )
        })
        .collect();
    let fates = decided.verdict.fates.iter().map(|(id, fate)| {
        let subject = &decided.trace.get(*id).unwrap().subject;
        match fate {
            Fate::Idle(why) => format!("{subject}: {why}"),
            Fate::Overridden(by) => format!("{subject}: {}", decided.trace.get(*by).unwrap().reason),
            Fate::Clamped { code, why } => format!("{subject}: {code}: {why}"),
            Fate::Refused(code) => format!("{subject}: {code}"),
        }
    });
    (variables, fates.collect())
}

fn entry(name: &str, value: &str, secret: bool) -> (String, String, bool) {
    (name.to_string(), value.to_string(), secret)
}

#[test]
fn what_is_passed_as_a_secret_is_one() {
    let policy = "fn variable(host, name) { switch name { \"EDITOR\" => env::pass(\"x\"), \"PLAIN\" => env::pass_secret(\"y\"), _ => env::hide(\"z\") } }\n";
    let (variables, fates) = environment(policy);
    assert_eq!(variables, [entry("EDITOR", "vi", false), entry("PLAIN", "words", true)]);
    assert_eq!(fates, Vec::<String>::new());
}

#[test]
fn names_that_the_policy_calls_secret_pass_as_secrets_alone() {
    let rules = "fn secrets(host) { secret::name(\"MY_*\", \"ours\"); secret::name(\"NONE_*\", \"idle\"); }\n";
    let (variables, fates) = environment(&format!("{rules}fn variable(host, name) {{ env::pass(\"x\") }}\n"));
    assert_eq!(
        variables,
        [entry("EDITOR", "vi", false), entry("PLAIN", "words", false)]
    );
    assert_eq!(
        fates,
        [
            "NONE_*: no variable of the host has such a name",
            "MY_THING: secret-variable: its name matches the policy's secret `MY_*`; only `env::pass_secret` lets it pass"
        ]
    );
    let (variables, _) = environment(&format!(
        "{rules}fn variable(host, name) {{ env::pass_secret(\"x\") }}\n"
    ));
    assert!(variables.contains(&entry("MY_THING", "words", true)), "{variables:?}");
}

#[test]
fn what_is_set_wins_and_the_last_of_two() {
    let policy = "fn environment(host) { env::set(\"EDITOR\", \"ed\", \"first\"); env::set(\"EDITOR\", \"nano\", \"last\"); \
                  env::set(\"SOME_VALUE\", \"ghp_0123456789abcdefghijABCDEFGHIJ012345\", \"a token\"); }\n\
                  fn variable(host, name) { if name == \"EDITOR\" { env::pass(\"x\") } else { env::hide(\"y\") } }\n";
    let (variables, fates) = environment(policy);
    let token = entry("SOME_VALUE", "ghp_0123456789abcdefghijABCDEFGHIJ012345", true);
    assert_eq!(variables, [entry("EDITOR", "nano", false), token]);
    assert_eq!(fates, ["EDITOR: last", "EDITOR: last"]);
}
