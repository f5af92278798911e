//! The integration tests: one binary, one module a topic.
//!
//! They need, beside Rust, these packages of Debian (other distributions call them the same or nearly):
//! `bubblewrap` (what is tested), `tmux` (a real terminal), `gcc` and `libc6-dev` with its static library (attacks that a shell cannot make),
//! `git`, `nodejs` and `npm` (fetches Claude Code; Node also takes TLS off in front of the stub), `openssl` (that TLS server's certificate), `procps`,
//! `util-linux`, `passwd` (`useradd`).
//! And from npm, as `make test-setup` does it: `npm install --prefix /var/cache/claudebox-test/claude @anthropic-ai/claude-code`, readable for every user.
//! Another place for Claude Code is named by `CLAUDEBOX_TEST_CLAUDE`.
//!
//! The suite runs as root and covers an ordinary user too, whom it makes (`cbtest`). What cannot be tested fails; nothing is skipped.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reads the host, starts processes, and ends by panicking"
)]

mod audit;
mod canary;
mod claude_code;
mod launch;
mod policies;
mod requirements;
mod support;
mod terminal;
