//! Finds the real Claude Code that the tests start.

use std::path::PathBuf;

/// Where `make test-setup` puts it: outside the project, for it is large and not ours.
const DEFAULT: &str = "/var/cache/claudebox-test/claude/node_modules/.bin/claude";

/// The `claude` command of the npm package. Without it the test fails: a skipped test would say nothing and look like a success.
pub fn path() -> PathBuf {
    let path = std::env::var_os("CLAUDEBOX_TEST_CLAUDE").map_or_else(|| PathBuf::from(DEFAULT), PathBuf::from);
    assert!(
        path.is_absolute() && path.exists(),
        "this test starts the real Claude Code, and there is none at {}: run `make test-setup`, \
         or set CLAUDEBOX_TEST_CLAUDE to the absolute path of a `claude` command",
        path.display()
    );
    path
}
