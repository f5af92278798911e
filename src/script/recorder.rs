//! What one evaluation collects: the draft, the trace, the first refusal, and the budget that all layers share.
//! Scripts reach it only through the verbs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::draft::Draft;
use crate::path::HostPath;
use crate::trace::{DecisionId, Effect, Site, Trace};

use super::hook::Hook;

/// How many decisions one policy may take, all layers together. A host has a few hundred variables; ten thousand of
/// them and a thousand mounts must pass (the bound on time is [`DEADLINE`]).
pub const DECISIONS_MAX: usize = 50_000;

/// How many steps all scripts of one run may take together. The bundled policy takes about 30 a variable.
pub const STEPS_MAX: u64 = 20_000_000;

/// How long all scripts of one run may take together, by the clock.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// The longest reason, in bytes.
pub const REASON_MAX: usize = 500;

/// State of one evaluation.
#[derive(Debug)]
pub struct Recorder {
    /// What the policy asked for so far.
    pub draft: Draft,
    /// What was decided so far.
    pub trace: Trace,
    /// The user's home, for `~/` in paths.
    pub home: HostPath,
    /// The hook that runs; `None` while a script is loaded.
    pub hook: Option<Hook>,
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
        Ok(self.trace.record(effect, subject, reason, site))
    }
}

/// The budget of one run, shared by the engines of all layers.
#[derive(Debug)]
pub struct Budget {
    steps: Cell<u64>,
    end: Instant,
    limit: u64,
}

impl Budget {
    /// A fresh budget, whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: Cell::new(0),
            end: Instant::now() + DEADLINE,
            limit: STEPS_MAX,
        }
    }

    /// Counts one step. False when the budget is spent.
    ///
    /// INVARIANT(bounded-policy): rhai's own operation limit misses the work of closures, so the count is ours.
    pub fn spend(&self) -> bool {
        let steps = self.steps.get().saturating_add(1);
        self.steps.set(steps);
        steps <= self.limit && (!steps.is_multiple_of(1024) || Instant::now() < self.end)
    }

    /// Whether the budget is spent.
    #[must_use]
    pub fn spent(&self) -> bool {
        self.steps.get() > self.limit || Instant::now() >= self.end
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// The recorder as the verbs share it.
pub type Shared = Rc<RefCell<Recorder>>;
