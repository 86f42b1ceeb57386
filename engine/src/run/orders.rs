//! Which orders a run accepts now, and why it refuses the others.

use super::{Life, Run, Status, Undo};
use crate::record::{FailureKind, Verdict};
use crate::signal::Order;

/// Why an order is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to retry, skip or settle.
    #[error("run {run} is not parked; {state}")]
    NotParked {
        /// The run.
        run: String,
        /// What it is instead.
        state: String,
    },
    /// The plan has no such step.
    #[error("the plan has no step `{0}`")]
    NoStep(String),
    /// The step must not be skipped.
    #[error("step `{0}` is required by the protocol and cannot be skipped")]
    Required(String),
    /// The outcome of the step is not unknown.
    #[error("the outcome of step `{0}` is not unknown; there is nothing to settle")]
    NotUnknown(String),
    /// Production has changed.
    #[error("production was changed already; use `flow rollback`")]
    ProductionChanged,
    /// Already undoing, or undone.
    #[error("run {run} {state}; there is nothing more to undo")]
    NothingToUndo {
        /// The run.
        run: String,
        /// What it is instead.
        state: String,
    },
    /// The same answer was given before. Not an error for the one who gives it.
    #[error("already recorded")]
    Already,
}

impl Run {
    /// Whether this order can be obeyed now.
    pub fn accepts(&self, order: &Order) -> Result<(), Refusal> {
        match order {
            Order::Retry => self.parked().map(|_| ()),
            Order::Skip { step } => self.accepts_skip(step),
            Order::Settle { step, .. } => {
                self.parked()?;
                let (index, _) = self
                    .plan
                    .node(step)
                    .ok_or_else(|| Refusal::NoStep(step.clone()))?;
                let state = &self.steps[index as usize];
                let unknown = matches!(state.failure, Some((FailureKind::Unknown, _)));
                let failed = state.status == Status::Failed;
                if unknown && failed {
                    Ok(())
                } else {
                    Err(Refusal::NotUnknown(step.clone()))
                }
            }
            Order::Cancel if self.production_changed() && !self.is_finished() => {
                Err(Refusal::ProductionChanged)
            }
            Order::Cancel if self.is_finished() => Err(self.nothing_to_undo()),
            Order::Rollback | Order::Cancel => match &self.life {
                Life::Forward
                | Life::Parked {
                    unwinding: None, ..
                }
                | Life::Finished {
                    verdict: Verdict::Completed,
                    ..
                } => Ok(()),
                _ => Err(self.nothing_to_undo()),
            },
        }
    }

    fn accepts_skip(&self, step: &str) -> Result<(), Refusal> {
        self.parked()?;
        let (index, node) = self
            .plan
            .node(step)
            .ok_or_else(|| Refusal::NoStep(step.into()))?;
        let state = &self.steps[index as usize];
        if self.unwinding().is_some() {
            let failed = state.undo == Undo::Failed;
            return if failed {
                Ok(())
            } else {
                Err(Refusal::NoStep(step.into()))
            };
        }
        if node.skippable && state.status == Status::Failed {
            Ok(())
        } else {
            Err(Refusal::Required(step.into()))
        }
    }

    fn parked(&self) -> Result<&Life, Refusal> {
        match &self.life {
            life @ Life::Parked { .. } => Ok(life),
            _ => Err(Refusal::NotParked {
                run: self.id.to_string(),
                state: self.in_a_word().into(),
            }),
        }
    }

    fn nothing_to_undo(&self) -> Refusal {
        Refusal::NothingToUndo {
            run: self.id.to_string(),
            state: self.in_a_word().into(),
        }
    }

    /// What the run is doing, as the end of a sentence.
    pub fn in_a_word(&self) -> &'static str {
        match &self.life {
            Life::Forward => "is under way",
            Life::Unwinding(unwind) if unwind.cancelled => "is being cancelled",
            Life::Unwinding(_) => "is being rolled back",
            Life::Parked {
                unwinding: Some(_), ..
            } => "stopped in the middle of a rollback",
            Life::Parked { .. } => "is parked",
            Life::Finished {
                verdict: Verdict::Completed,
                ..
            } => "is completed",
            Life::Finished {
                verdict: Verdict::RolledBack,
                ..
            } => "was rolled back",
            Life::Finished {
                verdict: Verdict::Cancelled,
                ..
            } => "was cancelled",
            Life::Finished {
                verdict: Verdict::RolledBackInPart,
                ..
            } => "was rolled back in part",
        }
    }
}
