//! Claude Code's own credential: whether the real one is inside, and whether the broker works that holds it.

use super::{Evidence, Judged, Outcome, count};
use crate::draft::Keeper;
use crate::net::broker::wire::Called;
use crate::net::broker::{API, BROKERED};
use crate::path::printable;
use crate::verify::credential::{HELLO, PORT, Tried};
use crate::verify::needles::{self, Fits};

impl Evidence<'_> {
    /// Nothing of the credential is inside, or the plan says that it is.
    pub(super) fn credentials(&self) -> Judged {
        let credentials = self.case.plan.credentials();
        let site = self.site(credentials.decision);
        let (keeper, origin) = (credentials.keeper, credentials.origin.as_deref());
        let Some(origin) = origin else {
            return match keeper {
                Keeper::Broker => Judged::plain(Outcome::Holds, "nobody is logged in: there is nothing to be inside"),
                Keeper::Sandbox => Judged::plain(
                    Outcome::Open,
                    format!("nobody is logged in; a login that is made inside stays inside ({site})"),
                ),
            };
        };
        if keeper == Keeper::Sandbox {
            return Judged::plain(Outcome::Open, format!("{origin} is inside ({site})"));
        }
        let told = &self.credential;
        let Some(found) = &told.found else {
            return Judged::untested(format!("{origin} stays outside; it is too short to be looked for"));
        };
        let mut leaks = Vec::new();
        let mut ends = Vec::new();
        for (place, text) in &found.hits {
            match needles::fits(&told.secrets, &text.0) {
                Some(Fits::Whole) => leaks.push(format!("Claude Code's own login is inside, in {place}")),
                Some(Fits::End) => ends.push(format!("the end of it, which opens nothing, is in {place}")),
                None => {}
            }
        }
        for places in [&mut leaks, &mut ends] {
            places.sort();
            places.dedup();
        }
        let read = format!(
            "{} and {} read",
            count(found.processes, "process", "processes"),
            count(found.files, "file", "files")
        );
        let mut judged = if found.more && leaks.is_empty() {
            Judged::untested(format!(
                "{origin} was not found, and there is more inside than is looked through: {read}"
            ))
        } else {
            Judged::of(leaks, format!("{origin} is not inside: {read}"))
        };
        judged.details.extend(ends);
        judged
    }

    /// The way by which Claude Code reaches its service, tried once. None where no broker speaks for it.
    pub(super) fn broker(&self) -> Option<Judged> {
        let Tried { connected, called } = self.credential.call.as_ref()?;
        let broken = |why: String| Some(Judged::plain(Outcome::Broken, why));
        let ours = BROKERED.iter().find(|(name, _)| *name == API);
        match (connected.address, ours) {
            (None, _) => return broken(format!("`{API}` does not resolve inside{}", why(&connected.failed))),
            (Some(address), Some((_, ours))) if address.ip() != *ours => {
                return broken(format!(
                    "`{API}` leads to {} inside, and not to the broker",
                    address.ip()
                ));
            }
            _ => {}
        }
        let call = format!("a call of `{HELLO}` with what stands inside for the login");
        Some(match called {
            None => {
                return broken(format!(
                    "nobody listens at port {PORT} of `{API}` inside{}",
                    why(&connected.failed)
                ));
            }
            Some(Err(error)) => Judged::untested(format!("the call could not be made: {error}")),
            Some(Ok(Called::Untrusted(error))) => {
                return broken(format!(
                    "what Claude Code trusts does not vouch for the broker: {}",
                    shown(error)
                ));
            }
            Some(Ok(Called::Broken(error))) => {
                return broken(format!("the broker took {call}, and broke off: {}", shown(error)));
            }
            Some(Ok(Called::Late)) => Judged::untested(format!("the broker took {call}, and no answer came in time")),
            Some(Ok(Called::Service(status))) => Judged::plain(
                Outcome::Holds,
                format!("{call} came through: the service answered {status}"),
            ),
            // There is no way to the service, or none to a new token.
            Some(Ok(Called::Broker(401 | 502, words))) => Judged::untested(format!(
                "the broker took {call}, and could not pass it on: {}",
                shown(words)
            )),
            Some(Ok(Called::Broker(status, words))) => {
                return broken(format!("the broker refused {call}: {status}, {}", shown(words)));
            }
        })
    }
}

fn why(failed: &Option<String>) -> String {
    failed
        .as_ref()
        .map_or_else(String::new, |why| format!(": {}", shown(why)))
}

fn shown(text: &str) -> String {
    printable(text.as_ref())
}
