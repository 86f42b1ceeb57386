//! Who said no, and the command by which that role answers again: what leads on where a person's answer stopped a run.

use flow_engine::plan::Node;
use flow_engine::record::{FailureKind, ParkReason};
use flow_engine::run::{Life, Run, Status, StepState};
use flow_engine::signal::Signal;

use crate::people::statement::Statement;
use crate::people::{Decision, SignedAnswer, checklist, sign_off};
use crate::schema::review;

/// A question that somebody of a role may answer once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Whose answer counts, as the plan names them.
    pub who: String,
    /// As it is typed, whole.
    pub command: String,
}

/// What a parked run stopped at that people may answer again, in the order of the plan. Without their new answer a retry
/// comes to the same. Empty where nobody said no, or where everybody who did has answered since.
pub fn answers(run: &Run) -> Vec<Again> {
    let Life::Parked {
        why,
        unwinding: None,
        ..
    } = &run.life
    else {
        return Vec::new();
    };
    let (at, refused) = match why {
        ParkReason::Refused { step } => (*step, true),
        ParkReason::StepFailed { step } | ParkReason::Unreached { step } => (*step, false),
        _ => return Vec::new(),
    };
    let steps = (0u32..).zip(run.plan.nodes.iter().zip(&run.steps));
    steps
        .filter(|(place, (node, state))| {
            let here = *place == at;
            match node.kind.as_str() {
                checklist::KIND => here,
                sign_off::KIND | review::KIND => {
                    refused && !run.production_changed() && says_no(run, node, state, here)
                }
                _ => false,
            }
        })
        .map(|(_, (node, _))| again(run, node))
        .collect()
}

/// Whether a signed no stands in the way: of a step that refused for it, or against a sign-off that was taken before it.
fn says_no(run: &Run, node: &Node, state: &StepState, here: bool) -> bool {
    let refused = matches!(state.failure, Some((FailureKind::Refused, _)));
    let stopped = here || (refused && state.status == Status::Failed);
    let withdrawn = state.status == Status::Done && node.kind == sign_off::KIND;
    (stopped || withdrawn) && run.signals_for(&node.key).fold(false, stands)
}

/// Whether a no stands after one more answer: only an approval that names it takes it back.
fn stands(no: bool, signal: &Signal) -> bool {
    let answer = serde_json::from_str::<SignedAnswer>(&signal.body).ok();
    match answer.and_then(|answer| Statement::parse(&answer.statement)) {
        Some(said) if said.decision == Decision::Reject => true,
        Some(said) if said.after.is_some() => false,
        _ => no,
    }
}

fn again(run: &Run, node: &Node) -> Again {
    let (id, key) = (&run.id, &node.key);
    let who = node.answered_by.clone().unwrap_or_default();
    let command = match node.kind.as_str() {
        checklist::KIND => format!("flow check {id} {key}"),
        review::KIND => format!("flow sign {id} --role {who} --step {key}"),
        _ => format!("flow sign {id} --role {who}"),
    };
    Again { who, command }
}

#[cfg(test)]
mod tests;
