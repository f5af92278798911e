//! The questions a policy is asked.

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Once for each variable of the host: does it pass?
    Variable,
    /// Which variables are set?
    Environment,
    /// What is secret, beyond the floor?
    Secrets,
    /// What is mounted?
    Mounts,
    /// Which network?
    Network,
    /// Who holds Claude Code's credential?
    Credentials,
}

impl Hook {
    /// All hooks, in the order in which they are called.
    pub const ALL: [Self; 6] = [
        Self::Secrets,
        Self::Variable,
        Self::Environment,
        Self::Mounts,
        Self::Network,
        Self::Credentials,
    ];

    /// The function's name in a script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Variable => "variable",
            Self::Environment => "environment",
            Self::Secrets => "secrets",
            Self::Mounts => "mounts",
            Self::Network => "network",
            Self::Credentials => "credentials",
        }
    }

    /// The parameters the function must have.
    #[must_use]
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Variable => &["host", "name"],
            _ => &["host"],
        }
    }

    /// The hook of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}
