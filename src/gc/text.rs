//! What `--gc` says, for people and for programs. Pure text.

use serde_json::{Map, Value, json};

use crate::path::printable;
use crate::state::record::put_path;

use super::remove::Outcome;
use super::survey::{Removable, Survey};

const DAY: u64 = 86_400;

/// What was found: a line for each instance that is removed or kept, and the sum.
#[must_use]
pub fn survey(survey: &Survey) -> String {
    let mut out = String::new();
    for removable in &survey.remove {
        out.push_str(&format!("remove  {}: {}\n", printable(&removable.name), why(removable)));
    }
    for kept in &survey.keep {
        let root = kept
            .root
            .as_ref()
            .map_or_else(String::new, |root| format!("`{root}`: "));
        out.push_str(&format!("keep    {}: {root}{}\n", printable(&kept.name), kept.why));
    }
    if survey.unfinished {
        out.push_str("remove  what an earlier --gc did not finish\n");
    }
    let total = survey
        .remove
        .iter()
        .map(|removable| removable.size)
        .fold(0, u64::saturating_add);
    let to_remove = match survey.remove.len() {
        0 => "nothing to remove".into(),
        count => format!("{count} to remove ({})", bytes(total)),
    };
    let kept = match survey.keep.len() {
        0 => String::new(),
        count => format!("{count} kept for the reasons above, "),
    };
    out.push_str(&format!(
        "{to_remove}; {kept}{} of projects that are there\n",
        survey.alive
    ));
    out
}

fn why(removable: &Removable) -> String {
    let size = bytes(removable.size);
    let size = if removable.measured {
        size
    } else {
        format!("more than {size}")
    };
    match &removable.record {
        Some(record) => format!("`{}` is gone, last used {}, {size}", record.root, date(record.used)),
        None => "the start that made it was killed, and nothing is in it".into(),
    }
}

/// What became of it.
#[must_use]
pub fn outcomes(survey: &Survey, outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let mut removed = 0_u64;
    let names = survey.remove.iter().map(|removable| printable(&removable.name));
    for (outcome, name) in outcomes.iter().zip(names.chain(["the trash".into()])) {
        match outcome {
            Outcome::Removed => removed += 1,
            Outcome::Kept(why) => out.push_str(&format!("kept    {name}: {why}\n")),
            Outcome::Failed(why) => out.push_str(&format!("failed  {name}: {why}\n")),
        }
    }
    if !survey.remove.is_empty() {
        out.push_str(&format!("removed {removed}\n"));
    }
    out
}

/// All of it for programs: `claudebox.gc/1`. Without outcomes it was a dry run.
#[must_use]
pub fn json(survey: &Survey, outcomes: Option<&[Outcome]>) -> String {
    let mut outcome = outcomes.unwrap_or_default().iter();
    let remove: Vec<Value> = survey
        .remove
        .iter()
        .map(|removable| {
            let mut item = Map::new();
            put_name(&mut item, &removable.name);
            if let Some(record) = &removable.record {
                put_path(&mut item, "root", &record.root);
                item.insert("made".into(), record.made.into());
                item.insert("used".into(), record.used.into());
            }
            let why = if removable.record.is_some() {
                "root-gone"
            } else {
                "unfinished"
            };
            item.insert("why".into(), why.into());
            item.insert("bytes".into(), removable.size.into());
            item.insert("measured".into(), removable.measured.into());
            let (word, detail) = outcome.next().map_or(("listed", None), word);
            item.insert("outcome".into(), word.into());
            item.insert("detail".into(), detail.into());
            item.into()
        })
        .collect();
    let keep: Vec<Value> = survey
        .keep
        .iter()
        .map(|kept| {
            let mut item = Map::new();
            put_name(&mut item, &kept.name);
            if let Some(root) = &kept.root {
                put_path(&mut item, "root", root);
            }
            item.insert("why".into(), kept.why.clone().into());
            item.into()
        })
        .collect();
    let trash = outcome.next().and_then(|outcome| word(outcome).1);
    let all = json!({
        "schema": "claudebox.gc/1",
        "dry_run": outcomes.is_none(),
        "remove": remove,
        "keep": keep,
        "present": survey.alive,
        "trash": trash,
    });
    format!("{all:#}\n")
}

fn word(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Removed => ("removed", None),
        Outcome::Kept(why) => ("kept", Some(why)),
        Outcome::Failed(why) => ("failed", Some(why)),
    }
}

fn put_name(item: &mut Map<String, Value>, name: &std::ffi::OsStr) {
    item.insert("instance".into(), printable(name).into());
}

/// A length for people.
fn bytes(count: u64) -> String {
    const STEP: u64 = 1024;
    if count < STEP {
        return format!("{count} B");
    }
    let mut unit = STEP;
    let mut names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].iter();
    let mut name = names.next();
    while count / unit >= STEP {
        unit *= STEP;
        name = names.next();
    }
    let tenths = u128::from(count) * 10 / u128::from(unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, name.unwrap_or(&"EiB"))
}

/// The day of a moment, in UTC. The calendar is counted in years that begin with March, so that the leap day is the last.
fn date(seconds: u64) -> String {
    let days = seconds / DAY + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let table = [
            (0, "1970-01-01"),
            (68_169_600, "1972-02-29"),
            (951_782_400, "2000-02-29"),
            (951_868_799, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_764_000_000, "2025-11-24"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, day) in table {
            assert_eq!(date(seconds), day);
        }
    }

    #[test]
    fn lengths_are_for_people() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_258_291, "1.1 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (count, text) in table {
            assert_eq!(bytes(count), text);
        }
    }
}
