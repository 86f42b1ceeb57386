//! One row per planned step: what became of it, or why it did not run.

use serde::Serialize;

use crate::record::Failure;
use crate::run::{Run, Status, StepState, Undo};

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// The step's key, such as `prod/backup`.
    pub key: String,
    /// The key of its phase.
    pub phase: String,
    /// What it was to do.
    pub summary: String,
    /// `done`, `failed`, `skipped`, `waiting`, `running`, `retrying`, `not reached`.
    pub state: &'static str,
    /// How many attempts were begun, forward.
    pub attempts: u16,
    /// When it was first begun, RFC 3339.
    pub started: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// Its output as JSON text.
    pub output: Option<String>,
    /// Why it failed, was skipped or waits.
    pub reason: Option<String>,
    /// All that is known of the last failure.
    pub failure: Option<Failure>,
    /// `undone`, `undo failed`, `given up`, `undoing`, or nothing when no undo began.
    pub undo: Option<&'static str>,
    /// What the undo found and did, or why it failed.
    pub undo_report: Option<String>,
}

/// Exactly one row per planned step, in the plan's order.
pub fn rows(run: &Run) -> Vec<AuditRow> {
    run.plan
        .nodes
        .iter()
        .zip(&run.steps)
        .map(|(node, state)| AuditRow {
            key: node.key.clone(),
            phase: run.plan.phase_of(node).key.clone(),
            summary: node.summary.clone(),
            state: in_a_word(state),
            attempts: state.attempts,
            started: state.started.map(|t| t.to_string()),
            ended: state.ended.map(|t| t.to_string()),
            output: state.output.clone(),
            reason: reason(state),
            failure: state.failure.as_ref().map(|(_, f)| f.clone()),
            undo: undo_in_a_word(state),
            undo_report: state
                .undo_report
                .clone()
                .or_else(|| state.undo_failure.as_ref().map(|(_, f)| f.message.clone())),
        })
        .collect()
}

/// A step's state as a word.
pub fn in_a_word(state: &StepState) -> &'static str {
    match state.status {
        Status::Pending if state.started.is_some() => "retrying",
        Status::Pending => "not reached",
        Status::Running => "running",
        Status::Waiting => "waiting",
        Status::RetryAt(_) => "retrying",
        Status::Failed => "failed",
        Status::Done => "done",
        Status::Skipped => "skipped",
    }
}

fn undo_in_a_word(state: &StepState) -> Option<&'static str> {
    match state.undo {
        Undo::Pending => None,
        Undo::Running | Undo::RetryAt(_) => Some("undoing"),
        Undo::Failed => Some("undo failed"),
        Undo::Undone => Some("undone"),
        Undo::GivenUp => Some("given up"),
    }
}

fn reason(state: &StepState) -> Option<String> {
    match state.status {
        Status::Skipped => state.skipped.clone(),
        Status::Waiting => state.wait.as_ref().map(|w| w.what.clone()),
        Status::Failed | Status::RetryAt(_) => {
            state.failure.as_ref().map(|(_, f)| f.message.clone())
        }
        _ => None,
    }
}
