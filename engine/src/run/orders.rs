//! Which orders a run accepts now, and why it refuses the others.

use super::{Life, Run, Status, Undo, Unreached, Unwind};
use crate::clock::Timestamp;
use crate::journal::BODY_MAX;
use crate::record::{Entry, FailureKind, ParkReason, Record, Verdict};
use crate::signal::Order;

/// Why an order is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to retry, skip or settle.
    #[error("run {run} is not parked: it {state}")]
    NotParked {
        /// The run that the order was for.
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
    /// Skipped or not, what has begun may have to be undone, and this version of flow cannot.
    #[error(
        "step `{0}` has begun, and this version of flow cannot undo it; resume with the version that planned the run, or roll back"
    )]
    CannotUndo(String),
    /// A step that would do it again even when told that it was done.
    #[error("step `{0}` cannot be settled as done: it would run again; use retry, or roll back")]
    CannotSettle(String),
    /// More than a record can hold.
    #[error("the text has {0} bytes too many; shorten the reason")]
    TooLong(usize),
    /// An order without a reason. The reason goes on record.
    #[error("an order needs a reason; it goes on record")]
    NoReason,
    /// The undo of this step has not failed.
    #[error("the undo of step `{0}` did not fail; there is nothing to give up")]
    NotStuck(String),
    /// The outcome of the step is not unknown.
    #[error("the outcome of step `{0}` is not unknown; there is nothing to settle")]
    NotUnknown(String),
    /// Production has changed.
    #[error("production was changed already, or may have been; use `flow rollback`")]
    ProductionChanged,
    /// Already undoing, or undone.
    #[error("run {run} {state}; there is nothing more to undo")]
    NothingToUndo {
        /// The run that the order was for.
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
            Order::Settle { step, done } => self.accepts_settle(step, *done),
            Order::Rollback | Order::Cancel => match &self.life {
                Life::Forward
                | Life::Parked {
                    unwinding: None, ..
                } => {
                    let too_late = *order == Order::Cancel && self.production_changed();
                    if too_late {
                        Err(Refusal::ProductionChanged)
                    } else {
                        Ok(())
                    }
                }
                Life::Finished {
                    verdict: Verdict::Completed,
                    ..
                } if *order == Order::Rollback => Ok(()),
                _ => Err(self.nothing_to_undo()),
            },
        }
    }

    fn accepts_settle(&self, step: &str, done: bool) -> Result<(), Refusal> {
        let (index, state) = self
            .step_at(step)
            .ok_or_else(|| Refusal::NoStep(step.into()))?;
        self.parked()?;
        let node = &self.plan.nodes[index as usize];
        let unknown = matches!(state.failure, Some((FailureKind::Unknown, _)));
        if !unknown || state.status != Status::Failed {
            return Err(Refusal::NotUnknown(step.into()));
        }
        if done && !node.settles {
            Err(Refusal::CannotSettle(step.into()))
        } else {
            Ok(())
        }
    }

    fn accepts_skip(&self, step: &str) -> Result<(), Refusal> {
        let (index, state) = self
            .step_at(step)
            .ok_or_else(|| Refusal::NoStep(step.into()))?;
        self.parked()?;
        let node = &self.plan.nodes[index as usize];
        let unreadable = matches!(&self.life, Life::Parked { why: ParkReason::Unreadable { step, .. }, .. } if *step == index);
        if self.unwinding().is_some() {
            let stuck = unreadable || state.undo == Undo::Failed;
            return if stuck {
                Ok(())
            } else {
                Err(Refusal::NotStuck(step.into()))
            };
        }
        if unreadable && self.to_undo().any(|i| i == index) {
            return Err(Refusal::CannotUndo(step.into()));
        }
        let stuck = unreadable || state.status == Status::Failed;
        if node.skippable && stuck {
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
                state: self.instead_of_parked(),
            }),
        }
    }

    /// Whether anybody drives it, a run cannot tell.
    fn instead_of_parked(&self) -> String {
        let asked: Vec<&str> = self.waiting().map(|(_, wait)| wait.who.as_str()).collect();
        match &self.life {
            Life::Forward if !asked.is_empty() => format!("waits for {}", asked.join(", ")),
            Life::Forward => "is under way, or interrupted".into(),
            _ => self.in_a_word().into(),
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
            Life::Unwinding(_) if !self.production_changed() => {
                "is being rolled back before it changed production"
            }
            Life::Unwinding(_) => "is being rolled back",
            Life::Parked {
                unwinding: Some(unwind),
                ..
            } if unwind.cancelled => "stopped in the middle of a cancellation",
            Life::Parked {
                unwinding: Some(_), ..
            } if !self.production_changed() => {
                "stopped in the middle of a rollback before it changed production"
            }
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
            } if !self.production_changed() => "was rolled back before it changed production",
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
            } if !self.production_changed() => {
                "was rolled back in part before it changed production"
            }
            Life::Finished {
                verdict: Verdict::RolledBackInPart,
                ..
            } => "was rolled back in part",
        }
    }
}

impl Run {
    /// Carries out an order that was accepted.
    pub(super) fn obey(&mut self, seq: u64, order: &Order, reason: &str, at: Timestamp) {
        match order {
            Order::Retry => {
                if let Some(step) = self.parked_for() {
                    self.again(step);
                }
                self.unpark();
            }
            Order::Skip { step } => self.go_without(step, reason, at),
            Order::Settle { step, done } => {
                if let Some((index, _)) = self.step_at(step) {
                    self.steps[index as usize].settled = Some(*done);
                    self.again(index);
                }
                self.unpark();
            }
            Order::Rollback | Order::Cancel => {
                let cancelled = *order == Order::Cancel;
                self.begin_unwinding(
                    seq,
                    Unwind {
                        why: reason.into(),
                        cancelled,
                        since: at,
                    },
                );
            }
        }
    }

    fn parked_for(&self) -> Option<u32> {
        let Life::Parked { why, .. } = &self.life else {
            return None;
        };
        Some(why.step())
    }

    /// Makes a step that failed due again. Another one that failed beside it parks the run anew.
    fn again(&mut self, step: u32) {
        let unwinding = self.unwinding().is_some();
        let state = &mut self.steps[step as usize];
        if unwinding && state.undo == Undo::Failed {
            state.undo = Undo::Pending;
            state.undo_attempts_excused = state.undo_attempts;
            state.undo_unreached = Unreached::default();
        }
        if !unwinding && state.status == Status::Failed {
            state.status = Status::Pending;
            state.attempts_excused = state.attempts;
            state.unreached = Unreached::default();
        }
    }

    /// Back to where it was parked.
    fn unpark(&mut self) {
        self.reach_again();
        if let Life::Parked { unwinding, .. } = &self.life {
            self.life = unwinding.clone().map_or(Life::Forward, Life::Unwinding);
        }
    }

    fn go_without(&mut self, step: &str, reason: &str, at: Timestamp) {
        let Some((index, _)) = self.step_at(step) else {
            return;
        };
        let unwinding = self.unwinding().is_some();
        let state = &mut self.steps[index as usize];
        if unwinding {
            state.undo = Undo::GivenUp;
        } else {
            state.status = Status::Skipped;
            state.skipped = Some(reason.into());
            state.ended = Some(at);
            state.wait = None;
        }
        self.unpark();
    }
}

/// Whether a record that people caused fits the journal, and an order says why. Refused before it is taken in: a record that cannot be stored
/// would end the driver.
pub(crate) fn fits(record: &Record) -> Result<(), Refusal> {
    if matches!(record, Record::Ordered { reason, .. } if reason.trim().is_empty()) {
        return Err(Refusal::NoReason);
    }
    let entry = Entry {
        at: Timestamp(i64::MAX),
        record: record.clone(),
    };
    let size = crate::codec::encode(&entry).map_or(usize::MAX, |bytes| bytes.len());
    if size <= BODY_MAX {
        Ok(())
    } else {
        Err(Refusal::TooLong(size - BODY_MAX))
    }
}
