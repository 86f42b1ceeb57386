//! What to type next: the last line of everything.

use flow_engine::plan::Plan;
use flow_engine::record::{Failure, ParkReason};
use flow_engine::run::{Life, Run, Undo};
use flow_engine::signal::Order;
use flow_engine::step::Step as _;
use flow_steps::again;
use flow_steps::lease::HostLease;
use flow_steps::people::Checklist;
use serde::Serialize;

use crate::driver::Driver;
use crate::people::is_answered;

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
    let id = &run.id;
    let mut commands = match &run.life {
        Life::Finished { .. } => finished(run),
        Life::Parked { why, .. } => parked(run, why),
        Life::Forward | Life::Unwinding(_) => Vec::new(),
    };
    if run.life == Life::Forward {
        let (answered, open): (Vec<_>, Vec<_>) =
            run.waiting().partition(|(step, _)| is_answered(run, *step));
        if let Some((step, _)) = answered.first() {
            let key = &run.plan.nodes[*step as usize].key;
            let what = format!("`{key}` is answered, nobody drives it: go on");
            commands.push(Next::new(format!("flow resume {id}"), &what));
        }
        let asks = open.iter().filter(|(_, wait)| !wait.command.is_empty());
        commands.extend(asks.map(|(_, wait)| Next::new(answer(run, &wait.command), &wait.what)));
    }
    if commands.is_empty() {
        commands.push(Next::new(
            format!("flow resume {id}"),
            "go on exactly there",
        ));
    }
    commands
}

/// The same, given who drives it: nobody is sent to resume what another process drives.
pub(crate) fn commands_for(run: &Run, driver: &Driver) -> Vec<Next> {
    let resume = format!("flow resume {}", run.id);
    let mut commands = commands(run);
    for next in commands.iter_mut().filter(|next| next.command == resume) {
        match driver {
            Driver::Alive(_) => {
                next.command = format!("flow status {} --watch", run.id);
                next.why = "look on: it is being driven".into();
            }
            Driver::Stopped(_) => {
                next.command += " --take-over";
                next.why = "end the process that stands still, and go on".into();
            }
            _ => {}
        }
    }
    commands
}

fn finished(run: &Run) -> Vec<Next> {
    let id = &run.id;
    let mut commands = vec![Next::new(
        format!("flow export {id}"),
        "everything on record",
    )];
    if run.accepts(&Order::Rollback).is_ok() && !run.undo_order().is_empty() {
        commands.push(Next::new(
            format!("flow rollback {id} {REASON}"),
            "undo this release, while no newer one stands on it; shows first what that would do",
        ));
    }
    if left_a_lock(run) {
        let env = &run.plan.environment;
        commands.push(Next::new(
            format!("flow unlock {env} {REASON}"),
            &format!("once it is looked into: the rollback locked {env}"),
        ));
    }
    commands
}

/// Whether the rollback of this run left the environment locked. Somebody may have lifted the lock since.
pub(crate) fn left_a_lock(run: &Run) -> bool {
    let mut steps = run.plan.nodes.iter().zip(&run.steps);
    run.production_changed()
        && steps.any(|(node, state)| node.kind == HostLease::KIND && state.undo == Undo::Undone)
}

/// A step's own words for the command that answers it, with the run's name put in.
pub(crate) fn answer(run: &Run, command: &str) -> String {
    command.replace("RUN", run.id.as_str())
}

/// Only what the run accepts, and what can lead on: no `retry` of what this binary cannot run, no `cancel` after
/// production changed, no second rollback inside of one.
fn parked(run: &Run, why: &ParkReason) -> Vec<Next> {
    let id = &run.id;
    let key = culprit(run).map_or("", |(key, _)| key);
    let node = run.plan.node(key).map(|(_, node)| node);
    let is_list = node.is_some_and(|node| node.kind == Checklist::KIND);
    let undoing = run.unwinding().is_some();
    let mut commands = Vec::new();
    match why {
        ParkReason::Unknown { .. } => commands.extend(settle(run, key)),
        ParkReason::UndoFailed { .. } => {
            commands.push(retry(run, "try this undo again, once its cause is gone"));
        }
        ParkReason::UndoUnreached { .. } => {
            let resume = format!("flow resume {id}");
            commands.push(Next::new(resume, "go on undoing when it can be reached"));
        }
        ParkReason::Unreached { .. } => {
            let answered = run
                .plan
                .node(key)
                .is_some_and(|(at, _)| is_answered(run, at));
            if is_list && !answered {
                commands.push(Next::new(
                    format!("flow check {id} {key}"),
                    "answer it first",
                ));
            }
            let resume = format!("flow resume {id}");
            commands.push(Next::new(
                resume,
                "go on when it can be reached or is answered",
            ));
        }
        ParkReason::Unreadable { .. } => {
            let what = format!("only with {}, which planned it", run.plan.planned_by);
            commands.push(Next::new(format!("flow resume {id}"), &what));
        }
        _ if is_list => {
            commands.push(Next::new(
                format!("flow check {id} {key}"),
                "answer again what did not pass, before it is tried again",
            ));
            commands.push(retry(run, "ask again"));
        }
        ParkReason::Refused { .. } => commands.extend(ask_again(run)),
        ParkReason::StepFailed { .. } => {
            commands.push(retry(run, "try this step again, once its cause is gone"));
        }
    }
    let skip = Order::Skip { step: key.into() };
    if run.accepts(&skip).is_ok() {
        let what = if undoing {
            "give this undo up; the rest is undone"
        } else {
            "go on without it"
        };
        commands.push(Next::new(format!("flow skip {id} {key} {REASON}"), what));
    }
    commands.extend(undo(run));
    commands
}

/// A gate asks again once it is given what it named; where people said no, that is another answer of theirs.
fn ask_again(run: &Run) -> Vec<Next> {
    let again = again::answers(run);
    let what = if again.is_empty() {
        "ask the gate again, once what it named is there"
    } else {
        "then ask again; without a new answer it comes to the same"
    };
    let answers = again.into_iter().map(|again| {
        let what = format!(
            "{} answers again, once what they named is cleared up",
            again.who
        );
        Next::new(again.command, &what)
    });
    answers.chain([retry(run, what)]).collect()
}

fn retry(run: &Run, what: &str) -> Next {
    Next::new(format!("flow retry {}", run.id), what)
}

/// What a person can state about an outcome that is not known.
fn settle(run: &Run, key: &str) -> Vec<Next> {
    let said = |done: bool| Order::Settle {
        step: key.into(),
        done,
    };
    let words = [
        (true, "--done", "you looked: it was done"),
        (false, "--not-done", "you looked: it was not"),
    ];
    let accepted = words
        .into_iter()
        .filter(|(done, ..)| run.accepts(&said(*done)).is_ok());
    accepted
        .map(|(_, flag, what)| {
            Next::new(
                format!("flow settle {} {key} {flag} {REASON}", run.id),
                what,
            )
        })
        .collect()
}

/// The way back, where there is one.
fn undo(run: &Run) -> Option<Next> {
    let id = &run.id;
    let undone = run.undo_order().len();
    if run.accepts(&Order::Cancel).is_ok() {
        let what = match undone {
            0 => "stop here; nothing has to be undone".to_owned(),
            some => format!(
                "stop here and undo {}; production was not changed",
                super::steps(some)
            ),
        };
        return Some(Next::new(format!("flow cancel {id} {REASON}"), &what));
    }
    run.accepts(&Order::Rollback).is_ok().then(|| {
        Next::new(
            format!("flow rollback {id} {REASON}"),
            &format!("undo {}, newest first", super::steps(undone)),
        )
    })
}

/// Whom to call: the plan's facts that begin with `contact`.
pub(crate) fn contacts(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    let facts = plan.facts.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    facts.filter(|(name, value)| name.starts_with("contact") && !value.is_empty())
}

#[cfg(test)]
mod tests;
