//! Every way in which a session with the broker ends, again and again: the right exit code, and nothing is left, no process and no
//! namespace. `CLAUDEBOX_ENDS=200 cargo test broker_launch::ends` makes two hundred sessions of each way.

use rustix::process::Signal;

use super::world::{KEY, world};
use crate::network::ends::{End, WAITS, rounds, sessions};
use crate::support::{User, as_both};

/// Two lines of sessions at a time, each in a home of its own.
fn all(user: User, end: End, payload: &str, code: impl Fn(usize) -> i32 + Sync) {
    world(|world| {
        let lines = [(); 2].map(|()| world.home(user).var("ANTHROPIC_API_KEY", KEY));
        sessions(&lines, true, rounds(8), end, payload, &code);
    });
}

as_both! {
    /// By the payload's own end, with 0, 42 and others.
    fn by_itself(user: User) {
        all(user, End::Itself, "echo ready; read line; exit [CODE]", |number| if number % 2 == 0 { 0 } else { 42 });
    }

    /// The payload is killed.
    fn by_a_killed_payload(user: User) {
        all(user, End::Itself, "echo ready; read line; kill -KILL $$", |_| 137);
    }

    /// The payload leaves a child behind.
    fn with_a_child_left(user: User) {
        all(user, End::Itself, "echo ready; read line; setsid sleep 600 & exit [CODE]", |_| 3);
    }

    fn by_ctrl_c(user: User) {
        all(user, End::Keys(1), "trap 'exit [CODE]' INT; echo ready; sleep 600 & wait", |_| 7);
    }

    fn by_sigterm(user: User) {
        all(user, End::Signal(Signal::TERM), WAITS, |_| 143);
    }

    fn by_sighup(user: User) {
        all(user, End::Signal(Signal::HUP), WAITS, |_| 129);
    }

    fn by_sigkill(user: User) {
        all(user, End::Signal(Signal::KILL), WAITS, |_| 137);
    }
}
