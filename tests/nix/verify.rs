//! `--verify` on a machine with Nix: the daemon itself is asked whether it trusts the sandbox.

use crate::support::{User, as_both};

use super::world::{Home, NEW, World, said};

fn row(world: &World, user: User, network: &str) -> String {
    let said = said(world.claudebox(&Home::of(user), &["--verify", "--net", network, "--exec", "true"]));
    assert_eq!((said.stderr.as_str(), said.exit), ("", 0), "{}", said.stdout);
    let row = said.stdout.lines().find(|line| line.contains("Nix daemon"));
    row.expect("the row").to_owned()
}

// text: from the program
const SAFE: &str = "14  ok        Nix daemon       it says that it does not trust the sandbox; what it fetches for it, it fetches by this host's network";
// text: from the program
const OUTSIDE: &str = "14  ok        Nix daemon       none can be reached at `/nix/var/nix/daemon-socket/socket`";

as_both! {
    /// A daemon that trusts nobody is asked itself, one that would trust the caller by its guard, and one that is unsafe stays outside.
    fn the_daemon_does_not_trust_the_sandbox(user: User) {
        assert_eq!(row(World::usual(), user, "host"), SAFE);
        assert_eq!(row(World::usual(), user, "none"), OUTSIDE);
        assert_eq!(row(&World::start(NEW, "sandbox = false"), user, "host"), OUTSIDE);
    }
}
