//! The messages between the launcher and the broker, over one pair of sockets (`SOCK_SEQPACKET`): the broker's end is its
//! standard input. One message each way:
//!
//! 1. launcher to broker: an [`Order`] as JSON, and with it (`SCM_RIGHTS`) the sockets that it needs;
//! 2. broker to launcher: an [`Answer`].
//!
//! After that the socket says one thing more: when the launcher's end is closed everywhere, the sandbox has ended, and the broker
//! ends too.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of both messages. Launcher and broker are installed together; another version is refused.
pub const VERSION: u32 = 1;

/// The longest message, in bytes. A list of a thousand names takes a quarter of it.
pub const LENGTH_MAX: usize = 128 * 1024;

/// How many listening sockets one message can carry.
pub const LISTENERS_MAX: usize = crate::sys::handover::DESCRIPTORS_MAX;

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    /// Encrypted connections, on port 443: of all addresses, or of one.
    Https,
    /// Plain connections, on port 80.
    Http,
    /// Questions for names, by UDP on port 53.
    Dns,
}

/// The real credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// An API key, sent as `x-api-key` in the place of [`Placeholders::key`].
    Key(String),
    /// A token that is not refreshed, sent as `authorization: Bearer` in the place of [`Placeholders::access`] or
    /// [`Placeholders::key`].
    Token(String),
    /// The file of a login (`.credentials.json`), whose tokens are refreshed and stored by the broker. For a login it need not
    /// be there yet.
    Oauth(PathBuf),
}

/// Never shows the secret: the type may end in a message or a log.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(..)"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Oauth(path) => f.debug_tuple("Oauth").field(path).finish(),
        }
    }
}

/// What stands inside for the credential. The three differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placeholders {
    /// For an API key.
    pub key: String,
    /// For an access token.
    pub access: String,
    /// For a refresh token.
    pub refresh: String,
}

/// What the program is started for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Order {
    /// To serve a sandbox. The sockets are those of the `listeners`, in that order.
    Serve(Box<Configuration>),
    /// To make one call, as what is inside would. With it come a connection, and a file of the certificates (PEM) that are
    /// trusted, and no others: a host can have more of them than fit a message.
    Call(Call),
}

/// One request over a connection that was made inside, to try a broker that runs. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// [`VERSION`].
    pub version: u32,
    /// The name that the connection is for.
    pub name: String,
    /// What to ask for, by `GET`.
    pub path: String,
    /// A header, its name and its value: the placeholder of the credential.
    pub header: Option<(String, String)>,
    /// How long the answer may take, in milliseconds.
    pub patience: u64,
}

/// Everything the broker is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// [`VERSION`].
    pub version: u32,
    /// What each of the sockets that come with the message is for. A kind can occur more than once.
    pub listeners: Vec<Listener>,
    /// The real credential. `None`: nothing is brokered, or nobody is logged in; then requests go on without one.
    pub credential: Option<Credential>,
    /// What stands for it inside.
    pub placeholders: Placeholders,
    /// Whether this session is there to log in: only then an authorization code is exchanged, and its tokens are stored in the
    /// file of [`Credential::Oauth`].
    pub login: bool,
    /// The names that are brokered, with their addresses inside. Empty: Claude Code's own credential is inside, and its service
    /// is a name like any other.
    pub brokered: Vec<(String, Ipv4Addr)>,
    /// The names that may be reached: exact (`crates.io`), or all below a name (`*.github.com`). `None`: the sandbox has its own
    /// way to the internet, and the broker carries nothing but what is brokered.
    pub allow: Option<Vec<String>>,
    /// A file of certificates (PEM) that are trusted for upstream: this host's. The program brings none along, so without it
    /// nothing can be brokered.
    pub roots: Option<PathBuf>,
    /// Further certificates of that kind: what this host adds for Claude Code (`NODE_EXTRA_CA_CERTS`).
    pub extra_roots: Option<PathBuf>,
    /// Where each refusal is appended as one line of JSON; made with mode 0600 if it is not there.
    pub log: Option<PathBuf>,
}

/// What the broker answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Answer {
    /// It serves. The text is the session's certificate (PEM), which vouches for the brokered names alone.
    Ready {
        /// The certificate.
        ca: String,
    },
    /// It does not: why, in one line.
    Error(String),
    /// What came of a [`Call`].
    Called(Called),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Called {
    /// Who is at the other end does not prove to be who it should be: why.
    Untrusted(String),
    /// It does, and then the connection broke off: why.
    Broken(String),
    /// It does, and did not answer in time.
    Late,
    /// The service's answer.
    Service(u16),
    /// The broker's own answer in the service's place, and its words.
    Broker(u16, String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_messages_are_json() {
        let text = r#"{"version":1,"listeners":["https","http","dns"],"credential":{"oauth":"/home/u/.claudebox/auth/.credentials.json"},"placeholders":{"key":"k","access":"a","refresh":"r"},"login":false,"brokered":[["api.anthropic.com","127.64.0.1"]],"allow":["crates.io","*.github.com"],"roots":"/etc/ssl/certs/ca-certificates.crt","extra_roots":null,"log":null}"#;
        let read: Configuration = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(
            read.brokered,
            [(super::super::API.to_string(), Ipv4Addr::new(127, 64, 0, 1))]
        );
        let ready = Answer::Ready { ca: "PEM".into() };
        assert_eq!(serde_json::to_string(&ready).unwrap(), r#"{"ready":{"ca":"PEM"}}"#);
        let error = Answer::Error("why".into());
        assert_eq!(serde_json::to_string(&error).unwrap(), r#"{"error":"why"}"#);
        assert!(serde_json::from_str::<Configuration>("{}").is_err());
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", Credential::Key("secret".into())), "Key(..)");
        assert_eq!(format!("{:?}", Credential::Token("secret".into())), "Token(..)");
    }
}
