//! The arguments and the effect of the verbs that open something in the network, and of those on Claude Code's credential.

use rhai::Dynamic;

use crate::diagnostic::Diagnostic;
use crate::draft::{Keeper, Opening};
use crate::net::address::Endpoint;
use crate::net::name::Pattern;
use crate::path::printable;
use crate::trace::{Effect, Site};

use super::super::recorder::Recorder;
use super::{Arguments, kind_of};

impl Arguments<'_> {
    /// The argument as a port.
    pub(super) fn port(&self, index: usize) -> Result<u16, Diagnostic> {
        let value = self.values.get(index);
        let number = value.and_then(|value| value.as_int().ok());
        match number.map(u16::try_from) {
            Some(Ok(port)) if port != 0 => Ok(port),
            Some(_) => Err(self.wrong(format!(
                "{} is no port: ports are numbers from 1 to 65535",
                number.unwrap_or_default()
            ))),
            None => Err(self.wrong(format!(
                "`{}` takes a number as `port`, not {}",
                self.verb.path(),
                value.map_or("nothing", kind_of)
            ))),
        }
    }

    /// The argument as an address and a port.
    pub(super) fn endpoint(&self, index: usize) -> Result<Endpoint, Diagnostic> {
        let text = self.text(index)?;
        let parsed = text.to_str().unwrap_or_default().parse::<Endpoint>();
        parsed.map_err(|why| self.wrong(format!("the address `{}` {why}", printable(&text))))
    }

    /// The argument as one name of a host, or all names below one.
    pub(super) fn pattern(&self, index: usize) -> Result<Pattern, Diagnostic> {
        let text = self.text(index)?;
        let parsed = text.to_str().unwrap_or_default().parse::<Pattern>();
        parsed.map_err(|why| self.wrong(format!("the name `{}` {why}", printable(&text))))
    }
}

/// Records what is opened.
pub(super) fn opening(
    recorder: &mut Recorder,
    arguments: &Arguments,
    site: Site,
    effect: Effect,
    subject: String,
    opening: Opening,
) -> Result<Dynamic, Diagnostic> {
    let decision = recorder.decide(effect, subject, &arguments.reason(), site)?;
    recorder.draft.openings.push((opening, decision));
    Ok(Dynamic::UNIT)
}

/// Records who is to hold Claude Code's credential.
pub(super) fn credential(
    recorder: &mut Recorder,
    arguments: &Arguments,
    site: Site,
    keeper: Keeper,
) -> Result<Dynamic, Diagnostic> {
    let decision = recorder.decide(Effect::Credential, keeper.word().to_string(), &arguments.reason(), site)?;
    recorder.draft.credentials.push((keeper, decision));
    Ok(Dynamic::UNIT)
}
