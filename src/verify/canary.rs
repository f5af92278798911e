//! Canaries: texts that nobody else has, planted for one run in the places that a sandbox must not show. A canary names its
//! place, so a leak tells where it came from.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The host variable that holds a canary while `--verify` runs.
pub const VARIABLE: &str = "CLAUDEBOX_VERIFY_CANARY";

/// What every canary starts with.
const START: &str = "canary-";

/// The places where canaries are planted.
pub mod place {
    /// In the host's environment.
    pub const ENVIRONMENT: &str = "environment";
    /// On the command line of a process of the host.
    pub const COMMAND_LINE: &str = "command_line";
    /// In a descriptor that claudebox inherits.
    pub const DESCRIPTOR: &str = "descriptor";
    /// In the session keyring in which claudebox starts.
    pub const KEYRING: &str = "keyring";
    /// In shared memory of the host.
    pub const MEMORY: &str = "shared_memory";
    /// In a file in the host's `/tmp`.
    pub const FILE: &str = "file";
}

/// What makes the canaries of one run different from all others: a word that looks like no secret.
#[must_use]
pub fn token() -> String {
    // Keyed at random by the standard library for each value.
    format!("{:012x}", RandomState::new().build_hasher().finish() & 0xffff_ffff_ffff)
}

/// The canary of a place.
#[must_use]
pub fn canary(token: &str, place: &str) -> String {
    format!("{START}{token}-{place}")
}

/// The token of a canary.
#[must_use]
pub fn token_of(canary: &str) -> Option<&str> {
    let (token, _) = canary.strip_prefix(START)?.split_once('-')?;
    token.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(token)
}

/// The places whose canaries are in `bytes`, each once.
#[must_use]
pub fn found(token: &str, bytes: &[u8]) -> Vec<String> {
    let start = canary(token, "");
    let mut places: Vec<String> = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(start.len()).position(|window| window == start.as_bytes()) {
        rest = rest.get(at + start.len()..).unwrap_or_default();
        let word = rest
            .iter()
            .take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_');
        let place: String = word.map(|byte| char::from(*byte)).collect();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_names_its_place() {
        let (ours, other) = (token(), token());
        assert_ne!(ours, other);
        let text = format!(
            "x={}\0{} {}",
            canary(&ours, "file"),
            canary(&ours, "a_b"),
            canary(&other, "c")
        );
        assert_eq!(found(&ours, text.as_bytes()), ["file", "a_b"]);
        assert_eq!(found(&other, text.as_bytes()), ["c"]);
        assert_eq!(token_of(&canary(&ours, "x")), Some(ours.as_str()));
        assert_eq!(token_of("canary-"), None);
        assert_eq!(token_of("canary-xyz-a"), None);
    }

    #[test]
    fn a_canary_does_not_look_like_a_secret() {
        let name = crate::path::EnvName::new(VARIABLE).unwrap();
        for _ in 0..1000 {
            let value = canary(&token(), place::ENVIRONMENT);
            assert_eq!(crate::leak::suspect(&name, value.as_ref()), None, "{value}");
        }
    }
}
