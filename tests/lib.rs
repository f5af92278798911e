//! The integration tests: one binary, one module a topic.
//!
//! They need, beside Rust, these packages of Debian (other distributions call them the same or nearly):
//! `bubblewrap` (what is tested), `tmux` (a real terminal), `gcc` and `libc6-dev` with its static library (attacks that a shell cannot make),
//! `git`, `nodejs` and `npm` (fetches Claude Code; Node also takes TLS off in front of the stub), `openssl` (that TLS server's certificate), `procps`,
//! `util-linux`, `passwd` (`useradd`), `python3-pip`, and for the network `iproute2`, `nftables`, `slirp4netns`, `curl`; for a machine with Nix `patchelf`,
//! `busybox-static`, `ripgrep`, `fd-find`, `jq`, `less`, `make`, `patch`, `xz-utils`, and Nix itself from two of Debian's suites, which `make test-setup` lays
//! out in `/var/cache/claudebox-test` without installing it.
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

mod attacks;
mod audit;
mod book;
mod canary;
mod claude_code;
mod closed_directories;
mod explain;
mod explain_kernel;
mod gc;
mod git_surface;
mod hostile_policy;
mod launch;
mod layers;
mod layout;
mod leftover;
mod network;
mod nix;
mod policies;
mod policy_api;
mod project_file;
mod races;
mod random;
mod replaced;
mod requirements;
mod rhai_facts;
mod state;
mod state_crashes;
mod state_logins;
mod support;
mod terminal;
mod verify;
