//! When a run may park, and when and how it may end.

use flow_engine::plan::OnFailure;
use flow_engine::record::{FailureKind, ParkReason, Verdict};

use super::{Model, Stage, is_evidence};

impl Model<'_> {
    pub(super) fn may_park(&self, why: &ParkReason) -> Result<(), String> {
        let forward = self.stage == Stage::Forward;
        let failed = |step: &u32| self.steps[*step as usize].run.failed;
        match why {
            ParkReason::StepFailed { step } => {
                let node = &self.plan.nodes[*step as usize];
                let rolls_back = self.plan.phase_of(node).on_failure == OnFailure::Rollback;
                ensure!(
                    forward && is_evidence(failed(step)),
                    "parked for no failure"
                );
                ensure!(
                    failed(step) != Some(FailureKind::Refused) || self.production_changed(),
                    "a gate's no is called a failure"
                );
                ensure!(
                    !(rolls_back && self.production_changed()),
                    "parked with production changed"
                );
            }
            ParkReason::Refused { step } => {
                ensure!(
                    forward && failed(step) == Some(FailureKind::Refused),
                    "parked for no refusal"
                );
                ensure!(
                    !self.production_changed(),
                    "parked as refused with production changed"
                );
            }
            ParkReason::Unknown { step } => {
                ensure!(
                    forward && failed(step) == Some(FailureKind::Unknown),
                    "parked though known"
                );
            }
            ParkReason::UndoFailed { step } => {
                let undo = &self.steps[*step as usize].undo;
                ensure!(
                    !forward && undo.failed.is_some_and(|k| k != FailureKind::Unreached),
                    "parked for no failed undo"
                );
            }
            ParkReason::Unreached { step } => {
                ensure!(
                    forward && failed(step) == Some(FailureKind::Unreached),
                    "parked as unreached though it was reached"
                );
            }
            ParkReason::UndoUnreached { step } => {
                let undo = &self.steps[*step as usize].undo;
                ensure!(
                    !forward && undo.failed == Some(FailureKind::Unreached),
                    "parked as unreached though it was reached"
                );
            }
            ParkReason::Unreadable { why, .. } => ensure!(!why.is_empty(), "parked without words"),
        }
        Ok(())
    }

    pub(super) fn may_finish(&self, verdict: Verdict) -> Result<(), String> {
        if verdict == Verdict::Completed {
            ensure!(self.stage == Stage::Forward, "completed while undoing");
            ensure!(
                (0..self.steps.len()).all(|i| self.settled(i)),
                "completed with a step open"
            );
            return Ok(());
        }
        let Stage::Backward { cancelled } = self.stage else {
            return Err(format!("{verdict:?} without a rollback"));
        };
        ensure!(
            (0..self.steps.len()).all(|i| !self.owes_undo(i)),
            "{verdict:?} with an undo owed"
        );
        let due = match (self.steps.iter().any(|s| s.given_up), cancelled) {
            (true, _) => Verdict::RolledBackInPart,
            (false, true) => Verdict::Cancelled,
            (false, false) => Verdict::RolledBack,
        };
        ensure!(verdict == due, "{verdict:?} instead of {due:?}");
        Ok(())
    }
}
