//! What a sandbox can do and see on one host, as amounts that can be compared: more is wider.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;

use crate::draft::Network;
use crate::host::Host;
use crate::invariants::Fate;
use crate::invariants::plan::{Parts, What};
use crate::path::printable;
use crate::policy_test::host::HOME;
use crate::request::{Program, Request};
use crate::script::layer::Source;
use crate::trace::{Decision, DecisionId, Effect, Site};
use crate::view::View;
use crate::{Decided, decide_with};

/// One policy on one host.
pub struct Powers {
    host: Rc<Host>,
    decided: Decided,
}

/// How much of one thing there is, in which form, and who decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Amount {
    width: u8,
    form: OsString,
    site: Option<Site>,
}

/// One change: what it is, whether it is wider, and the line that decides.
pub type Change = (String, Ordering, Option<Site>);

impl Powers {
    /// Asks a policy.
    #[must_use]
    pub fn of(layers: &[Source], host: &Rc<Host>) -> Self {
        let request = Request {
            program: Program::Command,
            arguments: vec!["true".into()],
            ..Request::default()
        };
        Self {
            host: Rc::clone(host),
            decided: decide_with(layers, host, &request),
        }
    }

    fn parts(&self) -> Option<&Parts> {
        self.decided.verdict.outcome.as_ref().ok().map(|plan| plan.parts())
    }

    fn refused(&self) -> Option<String> {
        let refusal = self.decided.verdict.outcome.as_ref().err()?;
        let codes: BTreeSet<&str> = refusal.diagnostics.iter().map(|error| error.code).collect();
        Some(codes.into_iter().collect::<Vec<_>>().join(", "))
    }

    fn site(&self, decision: DecisionId) -> Option<Site> {
        self.decided.trace.get(decision).map(|decision| decision.site.clone())
    }

    fn variables(&self) -> BTreeMap<String, Amount> {
        let variables = self.parts().into_iter().flat_map(|parts| &parts.variables);
        let amount = |(name, variable): (&crate::path::EnvName, &crate::invariants::plan::Variable)| {
            let amount = Amount {
                width: 1,
                form: variable.value.clone(),
                site: self.site(variable.decision),
            };
            (name.to_string(), amount)
        };
        variables.map(amount).collect()
    }

    /// Where something is mounted, and what the host has there.
    fn places(&self) -> BTreeSet<PathBuf> {
        let mounts = self.parts().into_iter().flat_map(|parts| &parts.mounts);
        let mut places: BTreeSet<PathBuf> = mounts.map(|mount| mount.at.as_path().to_path_buf()).collect();
        places.extend(self.host.tree.described_paths());
        // It tells of all the rest, and so it is another one with every change.
        places.remove(std::path::Path::new(crate::awareness::PLACE));
        places
    }

    /// What is seen at a place: nothing, to read, to write; and whether it is the host's or made.
    fn seen(&self, view: &View, place: &std::path::Path) -> Amount {
        let seen = view.see(place);
        let width = match (seen.masked() || !seen.kind.visible(), seen.writable == Some(true)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let form = match seen.mount.map(|mount| &mount.what) {
            _ if width == 0 => OsString::new(),
            Some(What::Bind { .. }) => seen
                .source
                .map(|path| path.as_os_str().to_os_string())
                .unwrap_or_default(),
            Some(What::Link(target)) => target.clone(),
            Some(What::Text(content)) => crate::state::digest_of(content).into(),
            _ => OsString::new(),
        };
        Amount {
            width,
            form,
            site: seen.mount.and_then(|mount| self.site(mount.decision)),
        }
    }

    fn network(&self) -> Option<(Network, Option<Site>)> {
        let parts = self.parts()?;
        Some((parts.network, self.site(parts.network_decision)))
    }

    /// Decisions that say by themselves what is open or guarded, where they stand.
    fn rules(&self) -> BTreeMap<(&'static str, String), Option<Site>> {
        let stands = |id: DecisionId| {
            !matches!(
                self.decided.verdict.fates.get(&id),
                Some(Fate::Overridden(_) | Fate::Refused(_) | Fate::Clamped { .. })
            )
        };
        let rule = |(id, decision): (DecisionId, &Decision)| {
            let word = match decision.effect {
                Effect::Open => "open",
                Effect::Publish => "publish",
                Effect::Close => "close",
                Effect::PassFile => "pass-file",
                Effect::SecretPath | Effect::SecretName | Effect::SecretFile => "secret",
                _ => return None,
            };
            let said = matches!(decision.site, Site::Script { .. });
            (said && stands(id)).then(|| ((word, decision.subject.clone()), Some(decision.site.clone())))
        };
        self.decided.trace.iter().filter_map(rule).collect()
    }
}

/// Everything that is otherwise. Where one of both is refused, that alone is told.
#[must_use]
pub fn change(old: &Powers, new: &Powers) -> Vec<Change> {
    match (old.refused(), new.refused()) {
        (None, None) => {}
        (None, Some(codes)) => return vec![(format!("nothing starts any more: {codes}"), Ordering::Less, None)],
        (Some(_), None) => return vec![("it starts, which was refused before".into(), Ordering::Greater, None)],
        (Some(_), Some(_)) => return Vec::new(),
    }
    let mut changes = Vec::new();
    let (before, after) = (old.variables(), new.variables());
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let words = ["enters no more", "enters"];
        compare(
            &format!("variable {name}"),
            before.get(name),
            after.get(name),
            &words,
            &mut changes,
        );
    }
    paths(old, new, &mut changes);
    if let (Some((was, first)), Some((is, site))) = (old.network(), new.network())
        && was != is
    {
        let text = format!("the network is `{}`, not `{}`", is.word(), was.word());
        changes.push((text, width(is).cmp(&width(was)), site.or(first)));
    }
    let (before, after) = (old.rules(), new.rules());
    for rule in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (word, subject) = rule;
        let (gone, come, guards) = match *word {
            "open" => ("can no longer be reached", "can be reached", false),
            "publish" => ("is no longer published", "is published", false),
            "pass-file" => (
                "is no longer passed in spite of its name",
                "is passed in spite of its name",
                false,
            ),
            "close" => ("is no longer closed", "is closed", true),
            _ => ("is called a secret no more", "is called a secret", true),
        };
        match (before.get(rule), after.get(rule)) {
            (Some(site), None) => {
                let order = if guards { Ordering::Greater } else { Ordering::Less };
                changes.push((format!("{subject} {gone}"), order, site.clone()));
            }
            (None, Some(site)) => {
                let order = if guards { Ordering::Less } else { Ordering::Greater };
                changes.push((format!("{subject} {come}"), order, site.clone()));
            }
            _ => {}
        }
    }
    changes
}

/// The outermost place of each change: what lies below it changes in the same way.
fn paths(old: &Powers, new: &Powers, changes: &mut Vec<Change>) {
    let (Some(before), Some(after)) = (old.parts(), new.parts()) else {
        return;
    };
    let (before, after) = (View::new(&old.host, before), View::new(&new.host, after));
    let mut told: Vec<(PathBuf, u8, u8)> = Vec::new();
    for place in old.places().union(&new.places()) {
        let (was, is) = (old.seen(&before, place), new.seen(&after, place));
        let above = told
            .iter()
            .any(|(above, w, i)| place.starts_with(above) && (*w, *i) == (was.width, is.width));
        if (was.width, &was.form) == (is.width, &is.form) || above {
            continue;
        }
        told.push((place.clone(), was.width, is.width));
        let shown = printable(place.as_os_str());
        let shown = shown
            .strip_prefix(HOME)
            .map_or_else(|| shown.clone(), |rest| format!("~{rest}"));
        let words = ["is not seen any more", "can be read, not written", "can be written"];
        compare(&shown, Some(&was), Some(&is), &words, changes);
    }
}

fn compare(subject: &str, was: Option<&Amount>, is: Option<&Amount>, words: &[&str], changes: &mut Vec<Change>) {
    let nothing = Amount::default();
    let (was, is) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
    let order = is.width.cmp(&was.width);
    // A line of the compared policies tells more than one below them.
    let sites = [&is.site, &was.site];
    let own = sites.into_iter().flatten().find(|site| site.layer() == "user");
    let site = own.or_else(|| sites.into_iter().flatten().next()).cloned();
    if order != Ordering::Equal {
        let word = words.get(usize::from(is.width)).unwrap_or(&"");
        changes.push((format!("{subject} {word}"), order, site));
    } else if was.form != is.form {
        changes.push((format!("{subject} is another one"), order, site));
    }
}

fn width(network: Network) -> u8 {
    match network {
        Network::None => 0,
        Network::Internet => 1,
        Network::Host => 2,
    }
}
