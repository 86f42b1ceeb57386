//! The mail that a run stopped and what leads on from there.

use std::fmt::Write as _;

use flow_engine::record::ParkReason;
use flow_engine::run::{Life, Run};

use super::text::{TopicText, failures};
use crate::means::commands;
use crate::means::standing::standing;

pub(super) fn text_of(run: &Run) -> TopicText {
    let Life::Parked { why, .. } = &run.life else {
        return TopicText::new(
            "was stopped and goes on",
            "The run had stopped for a decision; by now it goes on.",
        );
    };
    let (step, what) = in_words(why);
    let key = &run.plan.nodes[step as usize].key;
    let incomplete = matches!(
        why,
        ParkReason::UndoFailed { .. } | ParkReason::UndoUnreached { .. }
    );
    let text = match (incomplete, run.production_changed()) {
        (false, _) => TopicText::new(
            format!("stopped: {key} {what}"),
            format!("The run stopped for a decision: step {key} {what}."),
        ),
        (true, false) => TopicText::new(
            format!("not taken back whole: {key} {what}"),
            "The run is not taken back whole yet. Production was not touched, and is as it was.",
        ),
        (true, true) => TopicText::new(
            format!("ROLLBACK INCOMPLETE: {key} {what}"),
            "The rollback is INCOMPLETE. Production is neither the old nor the new version. Act now.",
        ),
    };
    text.with(detail(run, why)).grave()
}

/// The step, and what became of it.
fn in_words(why: &ParkReason) -> (u32, &'static str) {
    match why {
        ParkReason::StepFailed { step } => (*step, "failed"),
        ParkReason::Refused { step } => (*step, "refused"),
        ParkReason::Unknown { step } => (*step, "has an unknown outcome"),
        ParkReason::Unreadable { step, .. } => (*step, "is unknown to this flow"),
        ParkReason::UndoFailed { step } => (*step, "could not be undone"),
        ParkReason::Unreached { step } => (*step, "got no answer"),
        ParkReason::UndoUnreached { step } => (*step, "is not undone for want of an answer"),
    }
}

fn detail(run: &Run, why: &ParkReason) -> String {
    let mut out = String::new();
    for line in standing(run) {
        let _ = writeln!(out, "{line}.");
    }
    match why {
        ParkReason::Unreadable { why, .. } => {
            let _ = writeln!(out, "Why: {why}");
        }
        ParkReason::Unreached { .. } => {
            out.push_str("That says nothing about the release; nothing was rolled back.\n");
        }
        _ => {}
    }
    out.push_str(&failures(run));
    out.push_str("Next, one of:\n");
    for choice in commands::options(run).iter().filter(|c| c.leads_on) {
        let line = commands::line(run, &choice.act);
        let _ = writeln!(out, "  {line}     {}", choice.why);
    }
    out
}
