//! A line of the broker's log: one thing that was refused. Written by the broker, read by what tells the user.

use serde::{Deserialize, Serialize};

/// How something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By a question for a name.
    Dns,
    /// By a connection.
    Connection,
    /// By a request to a brokered name.
    Request,
}

/// One refusal. The same is told once a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// When, in seconds since 1970.
    pub time: u64,
    /// How.
    pub via: Way,
    /// What: a name, a name and a port, or a method and a path. Written by what is inside: it is only ever shown.
    pub denied: String,
    /// Why, in a few words.
    pub why: String,
}
