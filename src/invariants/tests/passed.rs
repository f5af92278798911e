//! `secret-in-project`, and the policy's word that one file is no secret.

use super::*;
use crate::trace::Effect;

/// The masked places, and what became of each word that passes a file.
fn passing(policy: &str, files: &[(&str, Kind)]) -> (Vec<String>, Vec<String>) {
    let mut tree = tree();
    for (name, kind) in files {
        tree.describe(&Path::new("/home/u/p").join(name), kind.clone(), 1000, b"KEY=x\n");
    }
    let policy = format!("fn secrets(host) {{ {policy} }}");
    let decided = decided(&policy, &host::described(tree), &request());
    let plan = decided.verdict.outcome.unwrap();
    let masked = plan.mounts().iter().filter(|mount| mount.what == What::MaskFile);
    let words = decided
        .trace
        .iter()
        .filter(|(_, decision)| decision.effect == Effect::PassFile);
    let fate = |(id, decision): (_, &crate::trace::Decision)| {
        let subject = decision.subject.replace("/home/u/p/", "");
        match decided.verdict.fates.get(&id) {
            None => subject,
            Some(Fate::Overridden(by)) => {
                let by = decided.trace.get(*by).unwrap();
                format!("{subject}: {} {} ({})", by.effect.word(), by.subject, by.reason)
            }
            Some(fate) => format!("{subject}: {fate:?}"),
        }
    };
    (
        masked
            .map(|mount| mount.at.to_string().replace("/home/u/p/", ""))
            .collect(),
        words.map(fate).collect(),
    )
}

#[test]
fn one_file_is_passed_by_name_and_the_others_stay() {
    let files = [(".env", Kind::File), ("a/.env", Kind::File), ("notes", Kind::File)];
    let (masked, words) = passing(
        "secret::pass_file(host.project + \"/.env\", \"ports\"); secret::pass_file(\"~/p/notes\", \"x\"); \
         secret::pass_file(\"~/p/absent\", \"x\"); secret::pass_file(\"~/.ssh/id\", \"x\");",
        &files,
    );
    assert_eq!(masked, ["a/.env"]);
    assert_eq!(
        words,
        [
            ".env",
            "notes: Idle(\"no file there would be masked\")",
            "absent: Idle(\"no file there would be masked\")",
            "/home/u/.ssh/id: Idle(\"it does not lie in the project\")",
        ]
    );
}

/// What a profile, or the project's own file, says after it.
#[test]
fn the_later_word_counts() {
    let files = [("a.key", Kind::File), ("b.key", Kind::File)];
    let pass = "secret::pass_file(\"~/p/a.key\", \"of the tests\");";
    let mask = "secret::file(\"*.key\", \"keys\");";
    assert_eq!(
        passing(&format!("{mask} {pass}"), &files),
        (vec!["b.key".to_string()], vec!["a.key".to_string()])
    );
    assert_eq!(
        passing(&format!("{pass} {mask}"), &files),
        (
            vec!["a.key".to_string(), "b.key".to_string()],
            vec!["a.key: secret-file *.key (keys)".to_string()]
        )
    );
}

/// A file has as many names as links lead to it: each is masked by itself, and one that is passed is not shown while another is not.
#[test]
fn another_name_that_is_masked_masks_it() {
    let files = [
        (".env", Kind::Link("conf/prod.env".into())),
        ("conf/prod.env", Kind::File),
    ];
    let pass = |name: &str| format!("secret::pass_file(\"~/p/{name}\", \"x\");");
    let why = "environment variables with secrets";
    assert_eq!(
        passing(&pass(".env"), &files),
        (
            vec!["conf/prod.env".to_string()],
            vec![format!(".env: mask /home/u/p/conf/prod.env ({why})")]
        )
    );
    assert_eq!(
        passing(&pass("conf/prod.env"), &files),
        (
            vec!["conf/prod.env".to_string()],
            vec![format!("conf/prod.env: mask /home/u/p/.env ({why})")]
        )
    );
    let both = format!("{}{}", pass(".env"), pass("conf/prod.env"));
    let all = [".env", "conf/prod.env"].map(str::to_string).to_vec();
    assert_eq!(passing(&both, &files), (Vec::new(), all));
}

/// A mount that shows a part of the project once more does not show its secrets, and names none by the way.
#[test]
fn a_second_mount_of_the_project_shows_no_secret() {
    let policy = "fn mounts(host) { base::mounts(host); mount::ro(host.project, \"/srv/all\", \"x\"); \
                  mount::ro(host.project + \"/sub\", \"/srv/part\", \"x\"); mount::ro(\"~/p/conf\", \"/srv/conf\", \"x\"); \
                  mount::ro(\"~/p/sub/.env\", \"/srv/one\", \"x\"); }";
    let seen = |policy: &str| -> Vec<String> {
        let mut tree = tree();
        for (name, kind) in [
            ("sub/.env", Kind::File),
            ("conf/prod", Kind::File),
            (".env", Kind::Link("conf/prod".into())),
        ] {
            tree.describe(&Path::new("/home/u/p").join(name), kind, 1000, b"KEY=x\n");
        }
        let decided = decided(policy, &host::described(tree), &request());
        let plan = decided.verdict.outcome.unwrap();
        let masked = plan.mounts().iter().filter(|mount| mount.what == What::MaskFile);
        let mut masked: Vec<String> = masked.map(|mount| mount.at.to_string()).collect();
        masked.sort();
        masked
    };
    let all = [
        "/home/u/p/conf/prod",
        "/home/u/p/sub/.env",
        "/srv/all/conf/prod",
        "/srv/all/sub/.env",
        "/srv/conf/prod",
        "/srv/one",
        "/srv/part/.env",
    ];
    assert_eq!(seen(policy), all);
    let passing = format!("{policy}\nfn secrets(host) {{ secret::pass_file(\"~/p/sub/.env\", \"x\"); }}");
    assert_eq!(
        seen(&passing),
        ["/home/u/p/conf/prod", "/srv/all/conf/prod", "/srv/conf/prod"]
    );
}

/// No word lifts what is a secret by its path.
#[test]
fn a_secret_path_is_not_passed() {
    let files = [("data/.env", Kind::File)];
    let policy = "secret::path(\"~/p/data/.env\", \"customers\"); secret::pass_file(\"~/p/data/.env\", \"x\");";
    assert_eq!(
        passing(policy, &files),
        (
            vec!["data/.env".to_string()],
            vec!["data/.env: mask /home/u/p/data/.env (customers)".to_string()]
        )
    );
    // A link of the project's to a secret of the home shows nothing of it either.
    let link = [(".env", Kind::Link("/home/u/.ssh/id".into()))];
    let (masked, words) = passing("secret::pass_file(\"~/p/.env\", \"x\");", &link);
    assert_eq!((masked, words), (Vec::new(), vec![".env".to_string()]));
}
