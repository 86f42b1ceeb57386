//! What the answers on record come to: which questions are answered, and who said no and may answer again.

use flow_engine::answer::Answer;
use flow_engine::plan::Node;
use flow_engine::record::{FailureKind, ParkReason};
use flow_engine::run::options::{AnswersOnRecord, Question};
use flow_engine::run::{Life, Run, Status, StepState};
use flow_engine::signal::Signal;

use crate::means::checklist::{Checklist, Item, ItemResult};
use crate::means::signature::statement::{Decision, Statement};
use crate::means::signature::verify::SignedAnswer;
use crate::means::signature::waiver::AskedWaivers;
use crate::means::signature::{sign_off, waiver};
use crate::means::{kinds, migrations};

/// What a parked run stopped at that people may answer again, in the order of the plan. Without their new answer a retry
/// comes to the same. Empty where nobody said no, or where everybody who did has answered since.
fn answers(run: &Run) -> Vec<Question> {
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
                kinds::CHECKLIST => here,
                kinds::SIGN_OFF | kinds::MIGRATION_REVIEW => {
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
    let withdrawn = state.status == Status::Done && node.kind == kinds::SIGN_OFF;
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

fn again(run: &Run, node: &Node) -> Question {
    let who = node.answered_by.clone().unwrap_or_default();
    Question {
        step: node.key.clone(),
        answer: by_kind(run, node).unwrap_or_else(|| sign_off::question(&who)),
        who,
    }
}

/// The answer that a step of a kind that is known here takes, whether it waits or not.
fn by_kind(run: &Run, node: &Node) -> Option<Answer> {
    let who = node.answered_by.as_deref().unwrap_or_default();
    match node.kind.as_str() {
        kinds::CHECKLIST => Checklist::of(run, &node.key).map(|list| list.question()),
        kinds::MIGRATION_REVIEW => {
            migrations::asked(run, &node.key).map(|asked| migrations::question(who, &asked.digest))
        }
        kinds::SIGN_OFF => Some(sign_off::question(who)),
        _ => None,
    }
}

/// What a step asks people: what it waits for now, else what a step of its kind takes at any time. Of a run of an older
/// version, whose question is a command line, it is what the kind takes, and the command line only where that is not known.
pub fn question_of(run: &Run, step: &str) -> Option<Question> {
    let (place, node) = run.plan.node(step)?;
    let waiting = run.waiting().find(|(waiting, _)| *waiting == place);
    let stored = waiting.and_then(|(_, wait)| wait.answer.clone());
    let is_data = |answer: &Answer| !matches!(answer, Answer::Command(_));
    let waived = || {
        let asked = AskedWaivers::of(run, step)?;
        Some(waiver::question(&asked.role, asked.findings.first()?))
    };
    let answer = stored
        .clone()
        .filter(is_data)
        .or_else(|| by_kind(run, node))
        .or_else(waived)
        .or(stored)?;
    let who = waiting.map(|(_, wait)| wait.who.clone());
    Some(Question {
        step: node.key.clone(),
        who: who.or(node.answered_by.clone()).unwrap_or_default(),
        answer,
    })
}

/// What the answers on record come to: for [`Run::options`].
pub fn on_record(run: &Run) -> AnswersOnRecord {
    let waiting = run.waiting().map(|(step, _)| step);
    let parked = match &run.life {
        Life::Parked {
            why: ParkReason::Unreached { step },
            ..
        } => Some(*step),
        _ => None,
    };
    AnswersOnRecord {
        complete: waiting
            .chain(parked)
            .filter(|step| is_answered(run, *step))
            .collect(),
        again: answers(run),
    }
}

/// Whether all that a step asks people for is on record, and only a driver has to take it in. Every answer was looked at
/// before it was stored. A checklist is answered when no required item is open, or one failed.
pub fn is_answered(run: &Run, step: u32) -> bool {
    let (node, state) = (&run.plan.nodes[step as usize], &run.steps[step as usize]);
    let new = || run.signals_for(&node.key).skip(state.signals_seen);
    if new().next().is_none() {
        return false;
    }
    if let Some(list) = Checklist::of(run, &node.key) {
        let (answered, _) = list.tally(run.signals_for(&node.key), state.started);
        let failed = answered.values().any(|a| a.result == ItemResult::Fail);
        let open = |item: &Item| item.required && !answered.contains_key(&item.key);
        return failed || !list.items.iter().any(open);
    }
    let Some(asked) = AskedWaivers::of(run, &node.key) else {
        return true;
    };
    let finding = |signal: &Signal| {
        let answer: SignedAnswer = serde_json::from_str(&signal.body).ok()?;
        Statement::parse(&answer.statement)?.finding
    };
    let given: Vec<String> = new().filter_map(finding).collect();
    asked.findings.iter().all(|one| given.contains(one))
}

#[cfg(test)]
mod tests;
