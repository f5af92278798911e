//! Random policies, hosts, repositories, command lines, files and documents. Whatever comes, nothing panics, everything ends, and no
//! secret of the floor is seen.
//!
//! `cargo test` runs a few hundred of each from fixed seeds. `CLAUDEBOX_RANDOM_RUNS=100000 cargo test random::` runs longer,
//! `CLAUDEBOX_RANDOM_SEED=7` elsewhere; a failure names its seed.

mod arguments;
mod documents;
mod git;
mod hosts;
mod sandbox;
mod texts;

use std::time::{Duration, Instant};

/// A small generator (xorshift64*): the same numbers everywhere, without a crate.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One for a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % end.max(1)
    }

    /// One of several.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Yes once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// The longest that one run may take: the deadline of all scripts, and room for a loaded machine.
const LIMIT: Duration = Duration::from_secs(150);

/// Runs `case` with many seeds, on a stack like that of the main thread.
pub fn many(usual: u64, case: impl Fn(&mut Random) + Send + 'static) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("CLAUDEBOX_RANDOM_SEED").unwrap_or(1);
    let runs = number("CLAUDEBOX_RANDOM_RUNS").unwrap_or(usual);
    let run = move || {
        for seed in first..first + runs {
            let start = Instant::now();
            let told = Told(seed);
            case(&mut Random::new(seed));
            std::mem::forget(told);
            assert!(start.elapsed() < LIMIT, "seed {seed} took {:?}", start.elapsed());
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(128 << 20)
        .spawn(run)
        .expect("a thread");
    assert!(thread.join().is_ok(), "a run failed; its seed is above");
}

/// Names the seed where a run does not come to its end.
struct Told(u64);

impl Drop for Told {
    #[expect(clippy::disallowed_macros, reason = "a test's own output")]
    fn drop(&mut self) {
        eprintln!("seed {}", self.0);
    }
}
