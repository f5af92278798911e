//! Documents in JSON that others write: what the Nix daemon says of itself, and the record of an instance.

use claudebox::host::nix::daemon::{Access, Age, Answer, Daemon};
use claudebox::host::tree::Tree;
use claudebox::host::volume::Volume;
use claudebox::path::HostPath;
use claudebox::state::record::Record;

use super::{Random, many};

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"trusted\"",
    "\"version\"",
    "\"url\"",
    "\"schema\"",
    "\"root\"",
    "\"mount\"",
    "\"device\"",
    "true",
    "false",
    "null",
    "0",
    "1",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"2.18.1\"",
    "\"daemon\"",
    "\"/a\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "é",
    "\n",
    " ",
    "\"0:0\"",
    "\"zz\"",
    "\\",
];

fn mutated(random: &mut Random, base: &str) -> String {
    let mut text: Vec<char> = base.chars().collect();
    for _ in 0..random.below(4) {
        let at = random.below(text.len() + 1);
        if random.once_in(2) {
            let end = (at + random.below(9)).min(text.len());
            text.drain(at..end);
        } else {
            text.splice(at..at, random.of(PIECES).chars());
        }
    }
    text.into_iter().collect()
}

/// The daemon is open only where it said two things clearly: no trust, and sandboxed builds.
#[test]
fn what_a_nix_daemon_says() {
    const INFO: &str = r#"{"trusted":false,"url":"daemon","version":"2.34.5"}"#;
    const SETTINGS: &str = "sandbox = true\nsandbox-fallback = false\ntrusted-users = root\n";
    let open = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let seen = std::sync::Arc::clone(&open);
    many(5000, move |random| {
        let program = HostPath::new("/usr/bin/nix").expect("a path");
        let answer = Answer {
            info: if random.once_in(8) {
                Err("no answer".into())
            } else {
                Ok(mutated(random, INFO))
            },
            configuration: Ok((
                if random.once_in(8) { Age::Old } else { Age::Modern },
                mutated(random, SETTINGS),
            )),
        };
        let judged = Daemon::judge(&Tree::described(), &program, Err("no place".into()), &answer);
        if judged.access == Access::Open {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let info: serde_json::Value =
                serde_json::from_str(answer.info.as_ref().expect("it answered")).expect("it is JSON");
            assert!(
                matches!(&info["trusted"], serde_json::Value::Bool(false)) || info["trusted"] == 0,
                "{answer:?}"
            );
            let (_, settings) = answer.configuration.as_ref().expect("it answered");
            let sandboxed = |line: &str| {
                let setting = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
                setting == Some(("sandbox", "true"))
            };
            assert!(settings.lines().any(sandboxed), "{answer:?}");
        }
    });
    assert!(
        open.load(std::sync::atomic::Ordering::Relaxed) > 0,
        "no daemon was open"
    );
}

/// A record is read as it was written, or refused.
#[test]
fn records_of_instances() {
    many(5000, |random| {
        let record = Record {
            root: HostPath::new(format!(
                "/home/u/{}",
                random.of(&["p", "with space", "é", "new\nline", "q\"uote"])
            ))
            .expect("a path"),
            volume: Volume {
                point: HostPath::root(),
                kind: 0xef53,
                id: u64::try_from(random.below(1 << 30)).expect("a number"),
                device: u64::try_from(random.below(1 << 30)).expect("a number"),
            },
            made: 1,
            used: u64::try_from(random.below(1 << 30)).expect("a number"),
        };
        let text = String::from_utf8(record.text()).expect("text");
        let again = Record::parse(text.as_bytes()).expect("our own record");
        assert_eq!(again.text(), record.text());
        if let Ok(read) = Record::parse(mutated(random, &text).as_bytes()) {
            // Whatever was read can be written, and is the same then.
            let once = Record::parse(&read.text()).expect("a record that was read");
            assert_eq!(once.text(), read.text());
        }
    });
}
