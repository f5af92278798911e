//! What the launcher and the broker agree on. The broker is a program of its own beside the sandbox
//! (`claudebox-broker`): it holds Claude Code's real credential, and inside there is only a placeholder.
//!
//! The picture: in the sandbox's own network namespace each name that may be reached has a loopback address of its own. The
//! launcher makes the listening sockets there and hands them over; by the local address of a connection the broker knows which
//! name was meant. What goes to a brokered name is decrypted, checked and sent on with the real credential; what goes to an
//! allowed name is carried over unread.

pub mod denial;
pub mod stand_in;
pub mod wire;

use std::net::Ipv4Addr;

/// The program's name. It lies beside the launcher's own, or where the build says.
pub const PROGRAM: &str = "claudebox-broker";

/// Claude Code's service.
pub const API: &str = "api.anthropic.com";
/// Where Claude Code logs in, and where its tokens are refreshed.
pub const PLATFORM: &str = "platform.claude.com";

/// The brokered names, each with its address inside. They lie in a part of the loopback's range that nothing else uses.
pub const BROKERED: [(&str, Ipv4Addr); 2] = [
    (API, Ipv4Addr::new(127, 64, 0, 1)),
    (PLATFORM, Ipv4Addr::new(127, 64, 0, 2)),
];

/// Where the name server for allowed names listens inside.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What stands inside for an API key. A constant: the wall is the network namespace, and what Claude Code remembers of it (the
/// last twenty characters, as approved) is then the same for every session.
pub const KEY: &str = "sk-ant-api03-claudebox-placeholder-the-real-key-stays-outside-AA";
/// What stands inside for an access token.
pub const ACCESS: &str = "sk-ant-oat01-claudebox-placeholder-the-real-token-stays-outside-AA";
/// What stands inside for a refresh token.
pub const REFRESH: &str = "sk-ant-ort01-claudebox-placeholder-the-real-token-stays-outside-AA";
