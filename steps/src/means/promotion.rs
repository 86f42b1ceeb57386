//! Rule 1: never production first. Test, then stage, then production, for exactly this commit.

use flow_engine::clock::Timestamp;
use flow_engine::record::{Failure, Verdict};
use flow_engine::run::{Run, Status, Undo};
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use crate::means::{facts, reach};

/// What must have passed before production may be touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionRule {
    /// The full commit that goes to production; a run counts when its plan's fact `commit` is this.
    pub commit: String,
    /// The phases that must have passed, in order, such as `test` and `stage`.
    pub phases: Vec<String>,
    /// How old a pass may be, in hours, in this run as in an earlier one: it may have waited for days to be signed.
    pub max_age_hours: u64,
}

/// Where a phase passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// The key of the phase that passed.
    pub phase: String,
    /// The run in which it passed.
    pub run: String,
    /// When its last step ended.
    pub at: Timestamp,
}

impl PromotionRule {
    /// Whether this run, or earlier ones, passed every phase for the commit. The refusal names the phase that is
    /// missing and what would satisfy it.
    ///
    /// A pass counts only while it still holds: a phase that was skipped by a person, that was undone, or that belongs
    /// to a run which was rolled back, does not. Whether the run is finished, parked, waits or was cancelled after the
    /// phase passed says nothing about the phase.
    pub fn judge(
        &self,
        this: &Run,
        others: &[Run],
        now: Timestamp,
    ) -> Result<Vec<Passed>, Failure> {
        if !reach::is_commit(&self.commit) {
            return Err(Failure::new(format!(
                "`{}` is no full commit name; a branch or tag can move after it was tested",
                self.commit
            )));
        }
        let planned = this.plan.fact(facts::COMMIT);
        if planned != self.commit {
            return Err(Failure::new(format!(
                "this run was planned for commit `{planned}`, not for {}",
                self.commit
            ))
            .hint("plan a new run for the commit that is to be released"));
        }
        if self.phases.is_empty() {
            return Err(Failure::new(
                "the promotion rule names no phase: nothing would be tested before production",
            ));
        }
        self.phases
            .iter()
            .map(|phase| self.passed(phase, this, others, now))
            .collect()
    }

    fn passed(
        &self,
        phase: &str,
        this: &Run,
        others: &[Run],
        now: Timestamp,
    ) -> Result<Passed, Failure> {
        let found = |run: &Run, at| Passed {
            phase: phase.into(),
            run: run.id.to_string(),
            at,
        };
        // An earlier run may have ended with stage: it is the commit that counts, not where the run was to end.
        let same = others
            .iter()
            .filter(|r| r.plan.fact(facts::COMMIT) == self.commit);
        let best = same
            .filter(|r| !taken_back(r))
            .chain([this])
            .filter_map(|r| passed_at(r, phase).map(|at| found(r, at)))
            .max_by_key(|p| p.at);
        let short = &self.commit[..12];
        match best {
            Some(passed) if passed.at > now => Err(Failure::new(format!(
                "phase `{phase}` passed for {short} in run {} at {}, which is still to come: this machine's clock is wrong",
                passed.run, passed.at
            ))),
            Some(passed) if now.since(passed.at).as_secs() > self.max_age_hours * 3600 => Err(Failure::new(format!(
                "phase `{phase}` passed for {short} in run {}, but at {}, more than {} h ago",
                passed.run, passed.at, self.max_age_hours
            ))
            .hint(format!(
                "begin again, so that it passes anew: flow cancel {} --reason …, flow start",
                this.id
            ))),
            Some(passed) => Ok(passed),
            None => Err(Failure::new(format!("phase `{phase}` has not passed for commit {short}; production never comes first"))
                .hint(format!("let phase `{phase}` pass in this run, or in an earlier one of the last {} h for exactly this commit", self.max_age_hours))
                .hint("an earlier run counts whether it is finished, parked, waits for signatures or was cancelled; not when it was rolled back")),
        }
    }
}

/// When a phase passed, if it did and nothing of it was undone since, other than by a cancellation. A step nobody ran because the plan's own condition said
/// so does not count against it; one that a person skipped does.
fn passed_at(run: &Run, phase: &str) -> Option<Timestamp> {
    if !run.phase_passed(phase) {
        return None;
    }
    let steps = run.plan.nodes.iter().zip(&run.steps);
    let of_phase = steps.filter(|(n, _)| run.plan.phase_of(n).key == phase);
    let done: Vec<_> = of_phase
        .map(|(_, s)| s)
        .filter(|s| s.status == Status::Done)
        .collect();
    // What a cancellation undoes there is that a script still runs; what had passed by then was seen, and stands.
    let cancelled = run.verdict() == Some(Verdict::Cancelled);
    if !cancelled && done.iter().any(|s| s.undo != Undo::Pending) {
        return None;
    }
    done.iter().filter_map(|s| s.ended).max()
}

fn taken_back(run: &Run) -> bool {
    let undone = matches!(
        run.verdict(),
        Some(Verdict::RolledBack | Verdict::RolledBackInPart)
    );
    undone || run.unwinding().is_some()
}

/// The rule, applied to the run and the journal as they are now.
pub(crate) async fn judge(cx: &Cx, rule: &PromotionRule) -> Result<Vec<Passed>, StepError> {
    let others = cx.other_runs(|r| r.commit == rule.commit).await?;
    rule.judge(cx.run(), &others, cx.now())
        .map_err(StepError::Refuse)
}
