//! A run that another one overtook: production is not what its checks, its backup and its signatures are about any more.

use flow_engine::clock::Timestamp;
use flow_engine::plan::{Effect, OnFailure};
use flow_engine::record::{Failure, Verdict};
use flow_engine::run::Run;

use crate::means::facts;

/// Refuses a run when another one changed the same production after this one was begun, unless what that one did was
/// undone whole. Judged on one journal: what another journal's run did, the lease on the host and the baseline show.
///
/// # Errors
/// The other run, when it changed production, and how to go on without repeating test and staging.
pub(crate) fn judge(this: &Run, others: &[Run]) -> Result<(), Failure> {
    let newer = others
        .iter()
        .filter(|other| other.id != this.id && other.plan.environment == this.plan.environment)
        .filter(|other| !was_undone(other))
        .filter_map(|other| Some((changed_at(other)?, other)))
        .filter(|(at, _)| *at > this.created)
        .max_by_key(|(at, _)| *at);
    let Some((at, other)) = newer else {
        return Ok(());
    };
    let environment = &this.plan.environment;
    Err(Failure::new(format!(
        "run {} changed {environment} at {at}, after this run was begun: its checks, its backup and its signatures are \
         about what {environment} was before",
        other.id
    ))
    .hint(format!("flow cancel {} --reason …", this.id))
    .hint(format!(
        "then flow start promote --commit {}: what passed on test and staging still counts",
        this.plan.fact(facts::COMMIT)
    )))
}

/// When a run first began to change production.
fn changed_at(run: &Run) -> Option<Timestamp> {
    let steps = run.plan.nodes.iter().zip(&run.steps);
    let acting = steps.filter(|(node, _)| {
        node.effect == Effect::Changes && run.plan.phase_of(node).on_failure == OnFailure::Rollback
    });
    acting.filter_map(|(_, state)| state.started).min()
}

fn was_undone(run: &Run) -> bool {
    matches!(
        run.verdict(),
        Some(Verdict::RolledBack | Verdict::Cancelled)
    )
}

#[cfg(test)]
mod tests;
