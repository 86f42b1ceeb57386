//! What a mail says about its own topic.

use std::fmt::Write as _;

use flow_engine::plan::Node;
use flow_engine::record::{Failure, ParkReason, Verdict};
use flow_engine::run::{GivenOrder, Life, Run, Status, Topic, Undo};
use flow_engine::signal::Order;

use crate::again::{self, Again};
use crate::mail::notify::{DEPLOYING, Notify, ROLLED_BACK};

/// What is particular to a topic.
pub(super) struct Told {
    pub(super) subject: String,
    pub(super) first: String,
    pub(super) detail: String,
    /// Whether people may have to be called.
    pub(super) grave: bool,
}

impl Told {
    fn new(subject: impl Into<String>, first: impl Into<String>) -> Told {
        Told {
            subject: subject.into(),
            first: first.into(),
            detail: String::new(),
            grave: false,
        }
    }

    fn with(mut self, detail: String) -> Told {
        self.detail = detail;
        self
    }

    fn grave(mut self) -> Told {
        self.grave = true;
        self
    }
}

pub(super) fn tell(run: &Run, topic: &Topic) -> Told {
    let workflow = &run.plan.workflow;
    match topic {
        Topic::Started => {
            let phases: Vec<&str> = run.plan.phases.iter().map(|p| p.title.as_str()).collect();
            let detail = format!(
                "Phases: {}\nWatch: flow status {} --watch\n",
                phases.join(", "),
                run.id
            );
            Told::new(
                format!("{workflow} started"),
                format!("The {workflow} was started by {}.", run.by.name),
            )
            .with(detail)
        }
        Topic::Waiting { step } => waiting(run, *step),
        Topic::Parked => parked(run),
        Topic::RollbackStarted => {
            let why = run
                .unwinding()
                .map_or_else(|| unwinding_reason(run), |u| u.why.clone());
            if !run.production_changed() {
                let first = "The run is taken back before it changed production. What it prepared is undone.";
                return Told::new(format!("is taken back: {why}"), first)
                    .with(format!("Why: {why}\n{}", failures(run)));
            }
            let first = "Everything this run changed is being undone, newest first.".to_owned();
            Told::new(format!("ROLLING BACK: {why}"), first)
                .with(format!("Why: {why}\n{}", failures(run)))
                .grave()
        }
        Topic::Finished(verdict) => finished(run, *verdict),
        Topic::Step { topic, body } => by_step(run, topic, body),
    }
}

fn waiting(run: &Run, step: u32) -> Told {
    let node = &run.plan.nodes[step as usize];
    let state = &run.steps[step as usize];
    let Some(wait) = state
        .wait
        .as_ref()
        .filter(|_| state.status == Status::Waiting)
    else {
        let first = format!(
            "Step {} waited for an answer; it does not any more.",
            node.key
        );
        return Told::new(format!("{} was answered", node.key), first);
    };
    let until = wait
        .until
        .map(|at| format!("By: {at}\n"))
        .unwrap_or_default();
    let detail = format!(
        "Asked: {}\nFor: {}\n{until}Answer: {}\n",
        wait.who, wait.what, wait.command
    );
    Told::new(
        format!("waits for {}: {}", wait.who, wait.what),
        "The run waits for a person.",
    )
    .with(detail)
}

fn parked(run: &Run) -> Told {
    let Life::Parked { why, .. } = &run.life else {
        return Told::new(
            "was stopped and goes on",
            "The run had stopped for a decision; by now it goes on.",
        );
    };
    let (step, incomplete) = match why {
        ParkReason::UndoFailed { step } | ParkReason::UndoUnreached { step } => (*step, true),
        ParkReason::StepFailed { step }
        | ParkReason::Refused { step }
        | ParkReason::Unreached { step }
        | ParkReason::Unknown { step }
        | ParkReason::Unreadable { step, .. } => (*step, false),
    };
    let key = &run.plan.nodes[step as usize].key;
    let id = &run.id;
    let (what, next) = match why {
        ParkReason::StepFailed { .. } => {
            let give_up = if run.production_changed() {
                "rollback"
            } else {
                "cancel"
            };
            (
                "failed",
                format!("Next: flow retry {id}, or flow {give_up} {id} --reason …\n"),
            )
        }
        ParkReason::Refused { .. } => (
            "refused",
            format!("Next: clear it up, then flow retry {id}\n"),
        ),
        ParkReason::Unknown { .. } => (
            "has an unknown outcome",
            if run.plan.nodes[step as usize].settles {
                format!(
                    "Next: find out, then flow settle {id} {key} --done|--not-done --reason …\n"
                )
            } else {
                format!(
                    "Next: find out, then flow retry {id}, or undo it all with flow rollback {id} --reason …\n"
                )
            },
        ),
        ParkReason::Unreadable { .. } => (
            "is unknown to this flow",
            format!("Next: flow resume {id} with the right flow\n"),
        ),
        ParkReason::UndoFailed { .. } => (
            "could not be undone",
            format!("Next: repair by hand, then flow retry {id}\n"),
        ),
        ParkReason::Unreached { .. } => (
            "got no answer",
            format!(
                "That says nothing about the release; nothing was rolled back.\nNext: when it can be reached again, flow resume {id}\n"
            ),
        ),
        ParkReason::UndoUnreached { .. } => (
            "is not undone for want of an answer",
            format!("Next: when it can be reached again, flow resume {id}\n"),
        ),
    };
    let reason = if let ParkReason::Unreadable { why, .. } = why {
        format!("Why: {why}\n")
    } else {
        String::new()
    };
    let mut standing = crate::standing::standing(run).join(
        ".
",
    );
    if !standing.is_empty() {
        standing.push_str(
            ".
",
        );
    }
    let detail = format!("{standing}{reason}{}{}{next}", failures(run), again(run));
    if incomplete && !run.production_changed() {
        let first =
            "The run is not taken back whole yet. Production was not touched, and is as it was.";
        return Told::new(format!("not taken back whole: {key} {what}"), first)
            .with(detail)
            .grave();
    }
    if incomplete {
        let first = "The rollback is INCOMPLETE. Production is neither the old nor the new version. Act now.";
        return Told::new(format!("ROLLBACK INCOMPLETE: {key} {what}"), first)
            .with(detail)
            .grave();
    }
    let first = format!("The run stopped for a decision: step {key} {what}.");
    Told::new(format!("stopped: {key} {what}"), first)
        .with(detail)
        .grave()
}

/// By which commands those who said no answer again. Without that a retry comes to the same.
fn again(run: &Run) -> String {
    let line = |again: &Again| format!("{} answers again: {}\n", again.who, again.command);
    again::answers(run).iter().map(line).collect()
}

fn finished(run: &Run, verdict: Verdict) -> Told {
    let why = || unwinding_reason(run);
    let undone = || format!("{}{}", failures(run), undone(run));
    let untouched = !run.production_changed();
    match verdict {
        Verdict::Completed => Told::new("completed", "Every step is done."),
        Verdict::RolledBack if untouched => {
            let first = "The run was taken back before it changed production. What it had prepared was undone.";
            Told::new(format!("taken back: {}", why()), first).with(undone())
        }
        Verdict::RolledBackInPart if untouched => {
            let first = "The run was taken back before it changed production; what is named below was given up on and stays.";
            Told::new(format!("taken back in part: {}", why()), first)
                .with(undone())
                .grave()
        }
        Verdict::RolledBack => {
            let first = "Everything this run changed was undone.";
            Told::new(format!("rolled back: {}", why()), first)
                .with(undone())
                .grave()
        }
        Verdict::Cancelled => {
            let first = "The run was cancelled before production changed.";
            Told::new(format!("cancelled: {}", why()), first).with(undone())
        }
        Verdict::RolledBackInPart => {
            let first =
                "The rollback is over, but steps were given up on: production is NOT as before.";
            Told::new(format!("ROLLED BACK IN PART: {}", why()), first)
                .with(undone())
                .grave()
        }
    }
}

fn by_step(run: &Run, topic: &str, body: &str) -> Told {
    let window = serde_json::from_str::<Notify>(body).ok();
    let detail = window.map_or_else(String::new, |w| {
        let changes: Vec<String> = w
            .changes
            .iter()
            .map(|c| {
                format!(
                    "Changes: {c}
"
                )
            })
            .collect();
        let changes = changes.concat();
        format!(
            "Window: {}\nExpected downtime: {}\nRollback contact: {}\n{changes}",
            w.window, w.downtime, w.contact
        )
    });
    let environment = &run.plan.environment;
    match topic {
        DEPLOYING => Told::new("deploys now", format!("{environment} is about to change."))
            .with(detail)
            .grave(),
        ROLLED_BACK => {
            let first = format!(
                "The deployment to {environment} was taken back; the announced window is void."
            );
            Told::new("deployment taken back", first)
                .with(detail)
                .grave()
        }
        other => Told::new(other, format!("A step of the run reports: {other}.")),
    }
}

/// Why everything was undone: the order that asked for it, else the failure that did.
fn unwinding_reason(run: &Run) -> String {
    let is_order = |o: &&GivenOrder| matches!(o.order, Order::Rollback | Order::Cancel);
    let asked = run.orders.iter().rev().find(is_order);
    let failed = run.steps.iter().zip(&run.plan.nodes).find_map(|(s, n)| {
        let (_, failure) = s.failure.as_ref().filter(|_| s.status == Status::Failed)?;
        Some(format!("{} failed: {}", n.key, failure.message))
    });
    let by_order = asked.map(|o| format!("{} (ordered by {})", o.reason, o.by.name));
    by_order
        .or(failed)
        .unwrap_or_else(|| "see `flow status`".into())
}

fn failures(run: &Run) -> String {
    let mut out = String::new();
    for (node, state) in run.plan.nodes.iter().zip(&run.steps) {
        if let Some((_, failure)) = state
            .failure
            .as_ref()
            .filter(|_| state.status == Status::Failed)
        {
            failure_in_words(&mut out, "Failed", node, failure);
        }
        if let Some((_, failure)) = state
            .undo_failure
            .as_ref()
            .filter(|_| state.undo != Undo::Undone)
        {
            failure_in_words(&mut out, "Not undone", node, failure);
        }
    }
    out
}

fn failure_in_words(out: &mut String, label: &str, node: &Node, failure: &Failure) {
    let _ = writeln!(out, "{label}: {}: {}", node.key, failure.message);
    for cause in &failure.causes {
        let _ = writeln!(out, "  because: {cause}");
    }
    for hint in &failure.hints {
        let _ = writeln!(out, "  hint: {hint}");
    }
}

fn undone(run: &Run) -> String {
    let mut out = String::new();
    for (node, state) in run.plan.nodes.iter().zip(&run.steps).rev() {
        match state.undo {
            Undo::Undone => {
                let report = state.undo_report.as_deref().unwrap_or_default();
                let _ = writeln!(out, "Undone: {}: {report}", node.key);
            }
            Undo::GivenUp => {
                let _ = writeln!(
                    out,
                    "GIVEN UP: {}: {}",
                    node.key,
                    node.undo.as_deref().unwrap_or_default()
                );
            }
            _ => {}
        }
    }
    out
}
