//! What one evaluation collects: the draft, the trace, the first refusal, and the budget that all layers share.
//! Scripts reach it only through the verbs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::draft::Draft;
use crate::memory;
use crate::path::HostPath;
use crate::sys::thread_time;
use crate::trace::{DecisionId, Effect, Site, Trace};

use super::hook::Hook;

/// How many decisions one policy may take, all layers together. A host has a few hundred variables; ten thousand of
/// them and a thousand mounts must pass (the bound on time is [`DEADLINE`]).
pub const DECISIONS_MAX: usize = 50_000;

/// How many steps all scripts of one run may take together. The bundled policy takes about 30 a variable.
pub const STEPS_MAX: u64 = 10_000_000;

/// How much memory all scripts of one run may hold together, in bytes. One step can at most double what is held.
pub const MEMORY_MAX: usize = 32 * 1024 * 1024;

/// How long all scripts of one run may take together, of the processor's time: a script has nothing to wait for, and a busy
/// machine that gives it little must not refuse an honest one.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// The longest reason, in bytes.
pub const REASON_MAX: usize = 500;

/// How many bytes a policy may leave behind: reasons, subjects, and the content of generated files. Fifty thousand
/// decisions with a file of the longest text each would be three gigabytes.
pub const RECORDED_MAX: usize = 8 * 1024 * 1024;

/// How many characters of a `debug(...)` are kept.
pub const NOTE_MAX: usize = 1000;

/// How often a clock is looked at, in steps. One step can handle a text of the greatest length.
const CLOCK_EVERY: u64 = 128;

/// The numbers of the probes that were passed.
pub type Hits = Rc<RefCell<BTreeSet<usize>>>;

/// State of one evaluation.
#[derive(Debug)]
pub struct Recorder {
    /// What the policy asked for so far.
    pub draft: Draft,
    /// What was decided so far.
    pub trace: Trace,
    /// The user's home, for `~/` in paths.
    pub home: HostPath,
    /// What of the home `mount::empty_home` keeps: the project and its git directories.
    pub kept: Vec<HostPath>,
    /// The hook that runs; `None` while a script is loaded.
    pub hook: Option<Hook>,
    /// How many bytes were recorded.
    pub recorded: usize,
    /// Where coverage is measured, the probes that were passed.
    pub hits: Option<Hits>,
    /// The first refusal. It stands whatever the script does afterwards: an error may have been swallowed on its way.
    pub refusal: Option<Diagnostic>,
}

impl Recorder {
    /// Notes a decision, unless there are too many.
    ///
    /// # Errors
    /// When the policy has taken [`DECISIONS_MAX`] decisions.
    pub fn decide(
        &mut self,
        effect: Effect,
        subject: String,
        reason: &str,
        site: Site,
    ) -> Result<DecisionId, Diagnostic> {
        // INVARIANT(bounded-policy): the trace cannot grow without bound.
        if self.trace.len() >= DECISIONS_MAX {
            return Err(Diagnostic::new(
                "bounded-policy",
                format!("the policy takes more than {DECISIONS_MAX} decisions"),
            )
            .at(site, "")
            .hint("one decision a mount or variable is enough; look for a loop"));
        }
        self.keep(subject.len() + reason.len(), &site)?;
        Ok(self.trace.record(effect, subject, reason, site))
    }

    /// Counts what a decision leaves behind.
    ///
    /// # Errors
    /// When the policy has recorded [`RECORDED_MAX`] bytes.
    pub fn keep(&mut self, bytes: usize, site: &Site) -> Result<(), Diagnostic> {
        // INVARIANT(bounded-policy): the texts that decisions hold cannot grow without bound either.
        self.recorded = self.recorded.saturating_add(bytes);
        if self.recorded > RECORDED_MAX {
            return Err(Diagnostic::new(
                "bounded-policy",
                format!(
                    "the policy's decisions hold more than {} MiB of text",
                    RECORDED_MAX >> 20
                ),
            )
            .at(site.clone(), "")
            .hint("generated files and reasons are short; look for a loop"));
        }
        Ok(())
    }
}

/// What a policy had too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Steps, or time.
    Time,
    /// Memory.
    Memory,
    /// Nothing: it goes no further because something was refused.
    Stopped,
}

/// The budget of one run, shared by the engines of all layers.
#[derive(Debug)]
pub struct Budget {
    steps: Cell<u64>,
    /// When it was made.
    start: Instant,
    /// The thread's time at which the budget is spent: one budget is spent by one thread.
    end: Duration,
    memory: usize,
    spent: Cell<Option<Spent>>,
}

impl Budget {
    /// A fresh budget, whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: Cell::new(0),
            start: Instant::now(),
            end: thread_time().saturating_add(DEADLINE),
            memory: memory::held(),
            spent: Cell::new(None),
        }
    }

    /// Counts one step. False when the budget is spent.
    ///
    /// INVARIANT(bounded-policy): rhai's own operation limit misses the work of closures, and its limits on sizes miss
    /// what is assigned to a map's key, so both counts are ours.
    pub fn spend(&self) -> bool {
        if self.spent.get().is_some() {
            return false;
        }
        let steps = self.steps.get().saturating_add(1);
        self.steps.set(steps);
        if memory::grown_since(self.memory) > MEMORY_MAX {
            self.spent.set(Some(Spent::Memory));
        } else if steps > STEPS_MAX || (steps.is_multiple_of(CLOCK_EVERY) && self.is_late()) {
            self.spent.set(Some(Spent::Time));
        }
        self.spent.get().is_none()
    }

    /// Whether the time is over. A thread cannot have worked longer than it was there, and that clock asks no kernel.
    fn is_late(&self) -> bool {
        self.start.elapsed() >= DEADLINE && thread_time() >= self.end
    }

    /// Lets no script go on.
    pub fn stop(&self) {
        if self.spent.get().is_none() {
            self.spent.set(Some(Spent::Stopped));
        }
    }

    /// What there was too much of, if anything.
    #[must_use]
    pub fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// The recorder as the verbs share it.
pub type Shared = Rc<RefCell<Recorder>>;
