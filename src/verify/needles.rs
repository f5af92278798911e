//! What must be inside nowhere, in a form that can be looked for and not read: of each secret the hash of its end. Whoever looks
//! tells what stands where the hash fits, and who knows the secret compares. So the secret itself is not carried inside to be
//! hunted, where the hunt would find it.
//!
//! The hash is a polynomial over the bytes with a factor that is chosen at random for each run (Rabin and Karp's). Its 64 bits
//! are all that is told of the twenty last bytes; those before them are not told at all.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};

use crate::invariants::plan::Secrets;

/// How much of a secret's end is looked for, in bytes: so much of a key Claude Code itself keeps, of those that were approved.
const END: usize = 20;

/// The needles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needles {
    factor: u64,
    /// How many bytes the hashes are of.
    length: usize,
    hashes: Vec<u64>,
    /// How long the longest secret is, in bytes.
    longest: usize,
}

/// What stands where a needle fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fits {
    /// A whole secret.
    Whole,
    /// The end of one.
    End,
}

impl Needles {
    /// Those of some secrets; `None` of no secret.
    #[must_use]
    pub fn of(secrets: &Secrets) -> Option<Self> {
        let length = length(secrets)?;
        let longest = secrets.iter().map(<[u8]>::len).max()?;
        let mut needles = Self {
            // Keyed at random by the standard library for each value. An odd factor forgets nothing.
            factor: RandomState::new().build_hasher().finish() | 1,
            length,
            hashes: Vec::new(),
            longest,
        };
        for secret in secrets.iter() {
            let end = ends(secret, length).unwrap_or_default();
            let hash = end.iter().fold(0, |hash, byte| needles.next(hash, *byte));
            needles.hashes.push(hash);
        }
        Some(needles)
    }

    fn next(&self, hash: u64, byte: u8) -> u64 {
        // A text of zeros is no text of nothing.
        hash.wrapping_mul(self.factor).wrapping_add(u64::from(byte) + 1)
    }

    /// How many bytes of one part of a text must be looked at again with the next part.
    #[must_use]
    pub fn overlap(&self) -> usize {
        self.longest
    }

    /// Calls `found` wherever a hash fits behind the first `seen` bytes, with the bytes up to there, as many as the longest
    /// secret has.
    pub fn look(&self, text: &[u8], seen: usize, mut found: impl FnMut(&[u8])) {
        // What the byte that leaves the window is worth by then.
        let leaves = (0..self.length).fold(1, |power: u64, _| power.wrapping_mul(self.factor));
        let mut hash = 0;
        let leaving = std::iter::repeat_n(None, self.length).chain(text.iter().map(Some));
        for (at, (byte, leaving)) in text.iter().zip(leaving).enumerate() {
            hash = self.next(hash, *byte);
            if let Some(leaving) = leaving {
                hash = hash.wrapping_sub(leaves.wrapping_mul(u64::from(*leaving) + 1));
            }
            if at + 1 >= self.length && at >= seen && self.hashes.contains(&hash) {
                found(text.get((at + 1).saturating_sub(self.longest)..=at).unwrap_or_default());
            }
        }
    }
}

/// What was found, by one who knows the secrets; `None` where the hash fits something else.
#[must_use]
pub fn fits(secrets: &Secrets, found: &[u8]) -> Option<Fits> {
    if secrets.iter().any(|secret| found.ends_with(secret)) {
        return Some(Fits::Whole);
    }
    let end = ends(found, length(secrets)?)?;
    secrets.iter().any(|secret| secret.ends_with(end)).then_some(Fits::End)
}

/// How many bytes of the secrets' ends are looked for.
fn length(secrets: &Secrets) -> Option<usize> {
    secrets.iter().map(<[u8]>::len).min().map(|shortest| shortest.min(END))
}

/// The last bytes.
fn ends(text: &[u8], length: usize) -> Option<&[u8]> {
    text.get(text.len().checked_sub(length)?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(all: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        all.iter().for_each(|secret| secrets.add(secret.to_string()));
        secrets
    }

    fn found(all: &[&str], text: &str) -> Vec<Option<Fits>> {
        let secrets = secrets(all);
        let needles = Needles::of(&secrets).unwrap();
        let mut found = Vec::new();
        needles.look(text.as_bytes(), 0, |bytes| found.push(fits(&secrets, bytes)));
        found
    }

    const KEY: &str = "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz";

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        assert_eq!(found(&[KEY], KEY), [Some(Fits::Whole)]);
        assert_eq!(found(&[KEY], &format!("{KEY}x{KEY}")), [Some(Fits::Whole); 2]);
        assert_eq!(found(&[KEY], &format!("\0\0x={KEY}\0\0")), [Some(Fits::Whole)]);
        let end = KEY.split_at(KEY.len() - END).1;
        assert_eq!(found(&[KEY], &format!("[\"{end}\"]")), [Some(Fits::End)]);
        for other in ["", "short", &KEY.replace('9', "8"), KEY.split_at(KEY.len() - 1).0] {
            let expected: &[Option<Fits>] = if other.ends_with(end) { &[Some(Fits::End)] } else { &[] };
            assert_eq!(found(&[KEY], other), expected, "{other}");
        }
    }

    #[test]
    fn several_are_looked_for_at_once_and_the_shortest_sets_the_length() {
        let all = [KEY, "a-password", "another-token-of-some-length"];
        let text = format!("{} {} {KEY}", all[1], all[2]);
        assert_eq!(found(&all, &text), [Some(Fits::Whole); 3]);
        assert_eq!(found(&all, "b-password"), []);
        assert_eq!(Needles::of(&secrets(&["short"])), None);
    }

    #[test]
    fn nothing_of_a_secret_is_in_its_needles() {
        let needles = serde_json::to_string(&Needles::of(&secrets(&[KEY])).unwrap()).unwrap();
        assert!(
            KEY.as_bytes().windows(4).all(
                |part| !needles.contains(std::str::from_utf8(part).unwrap()) || part.iter().all(u8::is_ascii_digit)
            )
        );
    }
}
