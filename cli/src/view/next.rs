//! What to type next: the last line of everything.

use flow_engine::plan::{Node, Plan};
use flow_engine::record::{Failure, ParkReason};
use flow_engine::run::options::{Act, Choice};
use flow_engine::run::{Life, Run, Undo};
use flow_engine::step::Step as _;
use flow_steps::lease::HostLease;
use flow_steps::means::commands::{line, options};
use flow_steps::means::reach::environment;
use serde::Serialize;
use serde_json::Value;

use crate::driver::Driver;

/// What stands for the words of a person.
const REASON: &str = "--reason …";

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
            format!(
                "step `{key}` could not be undone; {}{said}",
                incomplete(run)
            )
        }
        ParkReason::Unreadable { why, .. } => format!("step `{key}` cannot be run: {why}"),
        ParkReason::Unreached { .. } => {
            format!("step `{key}` got no answer, which says nothing about the release{said}")
        }
        ParkReason::UndoUnreached { .. } => format!(
            "step `{key}` is not undone yet, for want of an answer; {}{said}",
            incomplete(run)
        ),
    })
}

/// What it means that a step is not undone: people are woken only where production may be neither old nor new.
pub(crate) fn incomplete(run: &Run) -> &'static str {
    if run.production_changed() {
        "THE ROLLBACK IS INCOMPLETE"
    } else {
        "not everything is taken back, and production was not touched"
    }
}

/// A command that leads on from here, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    /// As it is typed, whole.
    pub(crate) command: String,
    /// What it would do, in words.
    pub(crate) why: String,
}

/// What stands behind a command is cut at so many characters; the command itself never is.
const WHY: usize = 90;

impl Next {
    fn new(command: impl Into<String>, why: &str) -> Next {
        Next {
            command: command.into(),
            why: super::clean(why),
        }
    }

    /// Command and reason in one line; a long reason is cut, a command never.
    pub(crate) fn line(&self) -> String {
        let why = super::cut(&self.why, WHY);
        format!("{}  {why}", super::padded(&self.command, 44))
    }
}

/// The commands that can lead on now. Never empty.
pub(crate) fn commands(run: &Run) -> Vec<Next> {
    commands_for(run, &Driver::Unasked)
}

/// The same, given who drives it: nobody is sent to resume what another process drives.
pub(crate) fn commands_for(run: &Run, driver: &Driver) -> Vec<Next> {
    let choices = options(run);
    let leading = choices.iter().filter(|choice| choice.leads_on);
    let mut commands: Vec<Next> = leading
        .map(|choice| of_choice(run, choice, driver))
        .collect();
    if run.is_finished() && left_a_lock(run) {
        let env = &run.plan.environment;
        commands.push(Next::new(
            format!("flow unlock {env} {REASON}"),
            &format!("once it is looked into: the rollback locked {env}"),
        ));
    }
    commands
}

fn of_choice(run: &Run, choice: &Choice, driver: &Driver) -> Next {
    let mut next = Next::new(line(run, &choice.act), &choice.why);
    match driver {
        Driver::Alive(_) if choice.act == Act::Resume => {
            next.command = format!("flow status {} --watch", run.id);
            next.why = "look on: it is being driven".into();
        }
        Driver::Stopped(_) if choice.act == Act::Resume => {
            next.command += " --take-over";
            next.why = "end the process that stands still, and go on".into();
        }
        _ => {}
    }
    next
}

/// Whether the rollback of this run left the environment locked. Somebody may have lifted the lock since.
pub(crate) fn left_a_lock(run: &Run) -> bool {
    let mut steps = run.plan.nodes.iter().zip(&run.steps);
    run.production_changed()
        && steps.any(|(node, state)| locks(run, node) && state.undo == Undo::Undone)
}

/// Whether undoing a step locks the environment of this run: the lease of test does not, nor that of a further host.
fn locks(run: &Run, node: &Node) -> bool {
    let host = node.params.get("host").and_then(Value::as_str);
    // A plan of an older `flow` does not say so: each of its leases locked.
    let locks = node.params.get("locks").and_then(Value::as_bool);
    node.kind == HostLease::KIND
        && host.is_some_and(|host| environment(host) == run.plan.environment)
        && locks.unwrap_or(true)
}

/// Whom to call: the plan's facts that begin with `contact`.
pub(crate) fn contacts(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    let facts = plan.facts.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    facts.filter(|(name, value)| name.starts_with("contact") && !value.is_empty())
}

#[cfg(test)]
mod tests;
