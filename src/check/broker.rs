//! Whether Claude Code's login can stay outside, and whether it does in a launch like this one.

use crate::Decided;
use crate::draft::Keeper;
use crate::host::Host;
use crate::invariants::Fate;
use crate::trace::Effect;

use super::{Item, Mark, item, with_fix};

pub(super) fn broker(host: &Host, decided: &Decided, items: &mut Vec<Item>) {
    let subject = "broker";
    let program = match &host.broker {
        Ok(program) => program,
        Err(missing) => {
            let finding = format!("{}: Claude Code's login enters the sandbox", missing.message);
            let fix = missing.hint.clone().unwrap_or_default();
            return items.push(with_fix(Mark::Note, subject, finding, fix));
        }
    };
    let passes = decided
        .verdict
        .parts()
        .is_some_and(|parts| parts.credentials.keeper == Keeper::Sandbox);
    if !passes {
        return items.push(item(
            Mark::Good,
            subject,
            format!("{program}: Claude Code's login stays outside"),
        ));
    }
    let idle = decided.verdict.fates.iter().find_map(|(id, fate)| match fate {
        Fate::Idle(why) if decided.trace.get(*id)?.effect == Effect::Credential => Some(why.clone()),
        _ => None,
    });
    let why = idle.unwrap_or_else(|| "the policy says so".into());
    let finding = format!("Claude Code's login enters the sandbox: {why}");
    let fix = "see the book's page on the broker; `claudebox --explain` shows the line that decides";
    items.push(with_fix(Mark::Note, subject, finding, fix));
}
