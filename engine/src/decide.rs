//! What to do now, given what is true. Pure: no clock, no disk, no randomness.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::plan::{Node, OnFailure};
use crate::record::{FailureKind, ParkReason, Record, Verdict};
use crate::run::{Life, Run, Status, Undo};

/// The core's whole vocabulary towards the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Write this down.
    Append(Record),
    /// Run these steps, at the same time. Those that are not begun need a `Started` record first.
    Run(Vec<u32>),
    /// Undo this step. Needs an `UndoStarted` record first unless its undo is begun.
    Undo(u32),
    /// Stop the steps in flight: they are about to be undone.
    Interrupt,
    /// Nothing to do until this moment, an answer, an order, or the end of a step in flight.
    Wait(Option<Timestamp>),
    /// Nothing to do at all: parked or over.
    Rest,
}

/// What to do now. `in_flight` are the steps that this driver has running.
pub fn next(run: &Run, now: Timestamp, in_flight: &BTreeSet<u32>) -> Next {
    match &run.life {
        Life::Parked { .. } | Life::Finished { .. } => Next::Rest,
        Life::Forward => forward(run, now, in_flight),
        Life::Unwinding(unwind) => backward(run, unwind.cancelled, now, in_flight),
    }
}

fn forward(run: &Run, now: Timestamp, in_flight: &BTreeSet<u32>) -> Next {
    let nodes = &run.plan.nodes;
    let open = |i: &usize| !matches!(run.steps[*i].status, Status::Done | Status::Skipped);
    let Some(first) = (run.settled_steps..nodes.len()).find(open) else {
        return Next::Append(Record::Finished {
            verdict: Verdict::Completed,
        });
    };
    let unit =
        (first..nodes.len()).take_while(|i| *i == first || same_group(&nodes[first], &nodes[*i]));
    let unit: Vec<u32> = unit
        .filter(open)
        .filter_map(|i| u32::try_from(i).ok())
        .collect();
    if let Some(skip) = unit.iter().find_map(|i| skipped_by_condition(run, *i)) {
        return Next::Append(skip);
    }
    let has_failed = |i: &&u32| run.steps[**i as usize].status == Status::Failed;
    let failed = unit
        .iter()
        .filter(has_failed)
        .min_by_key(|i| gravity(run, **i));
    let busy = unit.iter().any(|i| in_flight.contains(i));
    match failed {
        Some(step) if !busy => return Next::Append(consequence(run, *step)),
        Some(_) => return Next::Wait(None),
        None => {}
    }
    let due: Vec<u32> = unit
        .iter()
        .copied()
        .filter(|i| !in_flight.contains(i) && is_due(run, *i, now))
        .collect();
    if due.is_empty() {
        Next::Wait(
            unit.iter()
                .filter(|i| !in_flight.contains(i))
                .filter_map(|i| due_at(run, *i))
                .min(),
        )
    } else {
        Next::Run(due)
    }
}

/// Which of several failures decides: what nobody knows, then what is known, and last what could not be asked.
fn gravity(run: &Run, step: u32) -> u8 {
    match run.steps[step as usize].failure {
        Some((FailureKind::Unknown, _)) => 0,
        Some((FailureKind::Unreached, _)) => 2,
        _ => 1,
    }
}

fn same_group(a: &Node, b: &Node) -> bool {
    a.group.is_some() && a.group == b.group && a.phase == b.phase
}

/// A step is skipped when its condition was answered with no. A condition that was itself skipped answers nothing, and
/// its steps run.
fn skipped_by_condition(run: &Run, step: u32) -> Option<Record> {
    let condition = run.plan.nodes[step as usize].only_if.as_deref()?;
    let pending = run.steps[step as usize].status == Status::Pending;
    let answered_no = run.output(condition) == Some("false");
    (pending && answered_no).then(|| Record::Skipped {
        step,
        why: format!("`{condition}` did not ask for it"),
    })
}

fn is_due(run: &Run, step: u32, now: Timestamp) -> bool {
    let state = &run.steps[step as usize];
    match state.status {
        Status::Pending | Status::Running => true,
        Status::RetryAt(at) => at <= now,
        Status::Waiting => {
            let answers = run.signals_for(&run.plan.nodes[step as usize].key).count();
            let late = state
                .wait
                .as_ref()
                .and_then(|w| w.until)
                .is_some_and(|at| at <= now);
            answers > state.signals_seen || late
        }
        Status::Failed | Status::Done | Status::Skipped => false,
    }
}

fn due_at(run: &Run, step: u32) -> Option<Timestamp> {
    let state = &run.steps[step as usize];
    match state.status {
        Status::RetryAt(at) => Some(at),
        Status::Waiting => state.wait.as_ref().and_then(|w| w.until),
        _ => None,
    }
}

/// What a step that failed for good means for the run.
fn consequence(run: &Run, step: u32) -> Record {
    let node = &run.plan.nodes[step as usize];
    let kind = run.steps[step as usize]
        .failure
        .as_ref()
        .map(|(kind, _)| *kind);
    let message = run.steps[step as usize]
        .failure
        .as_ref()
        .map(|(_, f)| f.message.clone())
        .unwrap_or_default();
    let before_any_change = !run.production_changed();
    match kind {
        Some(FailureKind::Unknown) => Record::Parked {
            why: ParkReason::Unknown { step },
        },
        Some(FailureKind::Unreached) => Record::Parked {
            why: ParkReason::Unreached { step },
        },
        Some(FailureKind::Refused) if before_any_change => Record::Parked {
            why: ParkReason::Refused { step },
        },
        _ if run.plan.phase_of(node).on_failure == OnFailure::Rollback && !before_any_change => {
            Record::Unwinding {
                why: format!("step `{}` failed: {message}", node.key),
            }
        }
        _ => Record::Parked {
            why: ParkReason::StepFailed { step },
        },
    }
}

fn backward(run: &Run, cancelled: bool, now: Timestamp, in_flight: &BTreeSet<u32>) -> Next {
    let newest = run.to_undo().next();
    let is_undoing = |i: u32| in_flight.contains(&i) && run.steps[i as usize].undo == Undo::Running;
    if newest.is_some_and(is_undoing) {
        return Next::Wait(None);
    }
    if !in_flight.is_empty() {
        return Next::Interrupt;
    }
    let Some(step) = newest else {
        let given_up = run.steps.iter().any(|s| s.undo == Undo::GivenUp);
        let verdict = match (given_up, cancelled) {
            (true, _) => Verdict::RolledBackInPart,
            (false, true) => Verdict::Cancelled,
            (false, false) => Verdict::RolledBack,
        };
        return Next::Append(Record::Finished { verdict });
    };
    match run.steps[step as usize].undo {
        Undo::RetryAt(at) if at > now => Next::Wait(Some(at)),
        Undo::Failed => Next::Append(Record::Parked {
            why: match run.steps[step as usize].undo_failure {
                Some((FailureKind::Unreached, _)) => ParkReason::UndoUnreached { step },
                _ => ParkReason::UndoFailed { step },
            },
        }),
        _ => Next::Undo(step),
    }
}
