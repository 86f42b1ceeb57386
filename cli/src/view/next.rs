//! What to type next: the last line of everything.

use flow_engine::plan::Plan;
use flow_engine::record::{Failure, ParkReason};
use flow_engine::run::{Life, Run, Undo};
use flow_engine::step::Step as _;
use flow_steps::lease::HostLease;

/// The step a parked run stopped at, and the failure that stopped it.
pub(crate) fn culprit(run: &Run) -> Option<(&str, Option<&Failure>)> {
    let Life::Parked { why, .. } = &run.life else {
        return None;
    };
    let (step, undoing) = match why {
        ParkReason::StepFailed { step }
        | ParkReason::Refused { step }
        | ParkReason::Unknown { step }
        | ParkReason::Unreached { step }
        | ParkReason::Unreadable { step, .. } => (*step, false),
        ParkReason::UndoFailed { step } | ParkReason::UndoUnreached { step } => (*step, true),
    };
    let node = run.plan.nodes.get(step as usize)?;
    let state = run.steps.get(step as usize)?;
    let failure = if undoing {
        &state.undo_failure
    } else {
        &state.failure
    };
    Some((&node.key, failure.as_ref().map(|(_, f)| f)))
}

/// Why a parked run stopped, one sentence.
pub(crate) fn why_parked(run: &Run) -> Option<String> {
    let (key, failure) = culprit(run)?;
    let Life::Parked { why, .. } = &run.life else {
        return None;
    };
    let said = failure
        .map(|f| format!(": {}", f.message))
        .unwrap_or_default();
    Some(match why {
        ParkReason::StepFailed { .. } => format!("step `{key}` failed{said}"),
        ParkReason::Refused { .. } => format!("step `{key}` refused{said}"),
        ParkReason::Unknown { .. } => {
            format!("what became of step `{key}` is not known{said}")
        }
        ParkReason::UndoFailed { .. } => {
            format!("step `{key}` could not be undone; THE ROLLBACK IS INCOMPLETE{said}")
        }
        ParkReason::Unreadable { why, .. } => format!("step `{key}` cannot be run: {why}"),
        ParkReason::Unreached { .. } => {
            format!("step `{key}` got no answer, which says nothing about the release{said}")
        }
        ParkReason::UndoUnreached { .. } => format!(
            "step `{key}` is not undone yet, for want of an answer; THE ROLLBACK IS INCOMPLETE{said}"
        ),
    })
}

/// The commands that make sense now, with what each does. Never empty.
pub(crate) fn commands(run: &Run) -> Vec<String> {
    let id = &run.id;
    let mut commands = match &run.life {
        Life::Finished { .. } => finished(run),
        Life::Parked { why, .. } => parked(run, why),
        Life::Forward | Life::Unwinding(_) => Vec::new(),
    };
    if run.life == Life::Forward {
        let asks = run.waiting().filter(|(_, wait)| !wait.command.is_empty());
        commands.extend(asks.map(|(_, wait)| line(&answer(run, &wait.command), &wait.what)));
    }
    if commands.is_empty() {
        commands.push(line(&format!("flow resume {id}"), "go on exactly there"));
    }
    commands
}

fn finished(run: &Run) -> Vec<String> {
    let mut commands = vec![line(
        &format!("flow export {}", run.id),
        "everything on record",
    )];
    if left_a_lock(run) {
        let env = &run.plan.environment;
        commands.push(line(
            &format!("flow unlock {env} --reason …"),
            &format!("once it is looked into: the rollback locked {env}"),
        ));
    }
    commands
}

/// Whether the rollback of this run left the environment locked. Somebody may have lifted the lock since.
fn left_a_lock(run: &Run) -> bool {
    let mut steps = run.plan.nodes.iter().zip(&run.steps);
    run.production_changed()
        && steps.any(|(node, state)| node.kind == HostLease::KIND && state.undo == Undo::Undone)
}

/// A step's own words for the command that answers it, with the run's name put in.
pub(crate) fn answer(run: &Run, command: &str) -> String {
    command.replace("RUN", run.id.as_str())
}

fn parked(run: &Run, why: &ParkReason) -> Vec<String> {
    let id = &run.id;
    let key = culprit(run).map_or("", |(key, _)| key);
    let skippable = run.plan.node(key).is_some_and(|(_, node)| node.skippable);
    let reason = "--reason …";
    let mut commands = Vec::new();
    match why {
        ParkReason::Unknown { .. } => {
            if run.plan.node(key).is_some_and(|(_, node)| node.settles) {
                commands.push(line(
                    &format!("flow settle {id} {key} --done {reason}"),
                    "you looked: it was done",
                ));
            }
            commands.push(line(
                &format!("flow settle {id} {key} --not-done {reason}"),
                "you looked: it was not",
            ));
        }
        ParkReason::UndoFailed { .. } => {
            commands.push(line(&format!("flow retry {id}"), "try this undo again"));
            commands.push(line(
                &format!("flow skip {id} {key} {reason}"),
                "give this undo up; the rest is undone",
            ));
            return commands;
        }
        ParkReason::UndoUnreached { .. } => {
            let resume = format!("flow resume {id}");
            commands.push(line(&resume, "go on undoing when it can be reached"));
            commands.push(line(
                &format!("flow skip {id} {key} {reason}"),
                "give this undo up; the rest is undone",
            ));
            return commands;
        }
        ParkReason::Unreached { .. } => {
            let resume = format!("flow resume {id}");
            commands.push(line(&resume, "go on when it can be reached"));
        }
        _ => commands.push(line(&format!("flow retry {id}"), "try this step again")),
    }
    if skippable {
        commands.push(line(
            &format!("flow skip {id} {key} {reason}"),
            "go on without it",
        ));
    }
    let undone = run.undo_order().len();
    if run.production_changed() {
        commands.push(line(
            &format!("flow rollback {id} {reason}"),
            &format!("undo {}, newest first", super::steps(undone)),
        ));
    } else {
        commands.push(line(
            &format!("flow cancel {id} {reason}"),
            &match undone {
                0 => "stop here; nothing has to be undone".to_owned(),
                some => format!(
                    "stop here and undo {}; production was not changed",
                    super::steps(some)
                ),
            },
        ));
    }
    commands
}

fn line(command: &str, what: &str) -> String {
    format!("{command:<44}  {}", super::clean(what))
}

/// Whom to call: the plan's facts that begin with `contact`.
pub(crate) fn contacts(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    let facts = plan.facts.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    facts.filter(|(name, value)| name.starts_with("contact") && !value.is_empty())
}
