//! What a test expects of the network and of Claude Code's login.

use crate::draft::Network;
use crate::net::reach::{self, Target};

use super::super::State;
use super::{Done, Failure, accepted};

pub(super) fn network(state: &mut State, mode: &str) -> Done {
    accepted(state)?;
    let decided = &state.outcome().1;
    let Some(parts) = decided.verdict.parts() else {
        return Ok(());
    };
    let seen: Network = parts.network;
    if seen.word() == mode {
        return Ok(());
    }
    Err(Failure {
        message: format!("the network is `{}`", seen.word()),
        decided: decided
            .trace
            .get(parts.network_decision)
            .map(|decision| decision.site.clone()),
    })
}

pub(super) fn credentials(state: &mut State, keeper: &str) -> Done {
    accepted(state)?;
    let decided = &state.outcome().1;
    let Some(parts) = decided.verdict.parts() else {
        return Ok(());
    };
    let seen = parts.credentials.keeper.word();
    if seen == keeper {
        return Ok(());
    }
    let decision = decided.trace.get(parts.credentials.decision);
    Err(Failure {
        message: format!("the login of Claude Code: `{seen}`"),
        decided: decision.map(|decision| decision.site.clone()),
    })
}

pub(super) fn reached(state: &mut State, name: &str, expected: bool) -> Done {
    accepted(state)?;
    let decided = &state.outcome().1;
    let Some(parts) = decided.verdict.parts() else {
        return Ok(());
    };
    let target = Target::parse(&format!("{name}:443")).ok_or_else(|| format!("`{name}` is no name of a host"))?;
    let reach = reach::ask(parts, &target);
    if reach.is_open() == Some(expected) {
        return Ok(());
    }
    let decision = reach.decision().and_then(|decision| decided.trace.get(decision));
    Err(Failure {
        message: format!("`{name}` {reach}"),
        decided: decision.map(|decision| decision.site.clone()),
    })
}
