//! What the deploying step keeps for its later lives, and what an error of its job means.

use std::time::Duration;

use flow_engine::signal::Order;
use flow_engine::step::{Cx, StepError};

use crate::means::host::HostError;
use crate::means::host::job::JobError;
use crate::means::notes::ScriptNotes;
use crate::means::reach;

/// How long a claimed job may take to start; a host under load took two seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a script is given to end by itself once it is told to.
pub(super) const GRACE: Duration = Duration::from_secs(10);

pub(super) fn kept(cx: &Cx) -> Result<ScriptNotes, StepError> {
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
