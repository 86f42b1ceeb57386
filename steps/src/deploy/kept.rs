//! What the deploying step keeps for its later lives, and what an error of its job means.

use std::time::Duration;

use flow_engine::clock::Timestamp;
use flow_engine::run::Run;
use flow_engine::signal::Order;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::HostError;
use crate::means::host::job::JobError;
use crate::means::reach;

/// How long a claimed job may take to start; a host under load took two seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a script is given to end by itself once it is told to.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// What this step keeps for its later lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The attempt whose output was shown last.
    pub(super) attempt: u16,
    /// How much of it was shown.
    pub(super) offset: u64,
    /// The last attempt whose end was judged: what it did is known, and another may be made.
    pub(super) judged: u16,
    /// Whether an undo found that no attempt had ever begun, and made sure that none will.
    #[serde(default)]
    pub(super) never_began: bool,
    /// How many statements "not done" had been given when a person was last asked. Only a later one answers that.
    pub(super) statements: usize,
    /// The last attempt whose script is known to have been started.
    #[serde(default)]
    pub(super) launched: u16,
    /// Whether a later attempt found the database open and froze it again: rows may have changed in between.
    #[serde(default)]
    pub(super) refrozen: bool,
    /// The moment before the secrets of that attempt were looked up.
    #[serde(default)]
    pub(super) launched_at: Option<Timestamp>,
    /// How many orders the run had been given when its undo asked about rows that a restore sets aside.
    #[serde(default)]
    pub(super) orders: Option<usize>,
}

impl Kept {
    /// Whether an attempt's script was started for all that is known: then a folder that is not there is lost.
    pub(super) fn has_launched(&self, attempt: u16) -> bool {
        self.launched >= attempt
            || self.judged >= attempt
            || (self.attempt >= attempt && self.offset > 0)
    }
}

pub(super) fn kept(cx: &Cx) -> Result<Kept, StepError> {
    Ok(cx.noted()?.unwrap_or_default())
}

/// How often a person has stated that this step was not done.
pub(super) fn statements(cx: &Cx) -> usize {
    let says =
        |order: &Order| matches!(order, Order::Settle { step, done: false } if step == cx.key());
    cx.run().orders.iter().filter(|o| says(&o.order)).count()
}

/// What a job's error means here. Where the host did not say no, the script may run: only asking is honest. One that
/// says that this run may not act there any more is no reason to roll back either, which would act there.
pub(super) fn of_job(cx: &Cx, e: &JobError) -> StepError {
    match e {
        JobError::Host(host @ HostError::NotLeased { .. }) => reach::error(host),
        JobError::Fenced { .. } | JobError::NotLeased { .. } | JobError::WrongHost { .. } => {
            StepError::ask(e.to_string()).hint(format!(
                "when that is put right: flow retry {} (it looks first, and starts nothing twice)",
                cx.run_id()
            ))
        }
        JobError::Thawed { .. } => StepError::ask(e.to_string())
            .hint("what is in the database now is in no baseline of this run; the release has not begun there")
            .hint(format!(
                "take back what was prepared, then start again: flow rollback {} --reason …",
                cx.run_id()
            )),
        JobError::Invalid { .. } | JobError::Refused { .. } => StepError::fail(e.to_string()),
        JobError::Host(host) if reach::is_silence(host) => StepError::unreached(format!(
            "whether the release script runs is not known: {e}; it is looked at first, and nothing is started twice"
        )),
        _ => StepError::ask(format!("whether the release script runs is not known: {e}"))
            .hint(format!("when the host can be reached again: flow retry {} (it looks first, and starts nothing twice)", cx.run_id())),
    }
}

/// Whether the script of a deploying step has begun, as far as its undo knows, which comes first: what was started and
/// never got as far as to its script has changed nothing.
pub(crate) fn has_begun(run: &Run, key: &str) -> bool {
    let place = run.plan.node(key).map(|(place, _)| place as usize);
    let note = place.and_then(|place| run.steps[place].note.as_deref());
    let never_began = note
        .and_then(|note| serde_json::from_slice::<Kept>(note).ok())
        .is_some_and(|kept| kept.never_began);
    run.has_started(key) && !never_began
}
