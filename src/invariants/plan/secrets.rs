//! What a launch keeps outside, as the texts that are looked for inside.

/// Texts that must be seen nowhere inside.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The shortest text that can be looked for, in bytes: one of a few letters would be found everywhere.
    const SHORTEST: usize = 8;

    /// One more, if it can be looked for.
    pub fn add(&mut self, secret: String) {
        if secret.len() >= Self::SHORTEST && !self.0.contains(&secret) {
            self.0.push(secret);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(String::as_bytes)
    }

    /// Whether one of them is in `content`.
    #[must_use]
    pub fn are_in(&self, content: &[u8]) -> bool {
        self.iter()
            .any(|secret| content.windows(secret.len()).any(|window| window == secret))
    }
}

/// Never shows them: the type may end in a message or a log.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}
