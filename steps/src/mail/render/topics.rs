//! What a mail says about its own topic.

use std::fmt::Write as _;

use flow_engine::answer::Answer;
use flow_engine::record::{Verdict, Wait};
use flow_engine::run::options::Question;
use flow_engine::run::{GivenOrder, Run, Status, Topic, Undo};
use flow_engine::signal::Order;

use super::parked;
use super::text::{TopicText, failures};
use crate::mail::notify::{DEPLOYING, Notify, ROLLED_BACK};
use crate::means::commands;

pub(super) fn text_of(run: &Run, topic: &Topic) -> TopicText {
    let workflow = &run.plan.workflow;
    match topic {
        Topic::Started => {
            let phases: Vec<&str> = run.plan.phases.iter().map(|p| p.title.as_str()).collect();
            let detail = format!(
                "Phases: {}\nWatch: flow status {} --watch\n",
                phases.join(", "),
                run.id
            );
            TopicText::new(
                format!("{workflow} started"),
                format!("The {workflow} was started by {}.", run.by.name),
            )
            .with(detail)
        }
        Topic::Waiting { step } => waiting(run, *step),
        Topic::Parked => parked::text_of(run),
        Topic::RollbackStarted => {
            let why = run
                .unwinding()
                .map_or_else(|| unwinding_reason(run), |u| u.why.clone());
            if !run.production_changed() {
                let first = "The run is taken back before it changed production. What it prepared is undone.";
                return TopicText::new(format!("is taken back: {why}"), first)
                    .with(format!("Why: {why}\n{}", failures(run)));
            }
            let first = "Everything this run changed is being undone, newest first.".to_owned();
            TopicText::new(format!("ROLLING BACK: {why}"), first)
                .with(format!("Why: {why}\n{}", failures(run)))
                .grave()
        }
        Topic::Finished(verdict) => finished(run, *verdict),
        Topic::Step { topic, body } => by_step(run, topic, body),
    }
}

fn waiting(run: &Run, step: u32) -> TopicText {
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
        return TopicText::new(format!("{} was answered", node.key), first);
    };
    let until = wait
        .until
        .map(|at| format!("By: {at}\n"))
        .unwrap_or_default();
    let answer = answer_line(run, &node.key, wait);
    let detail = format!("Asked: {}\nFor: {}\n{until}{answer}", wait.who, wait.what);
    TopicText::new(
        format!("waits for {}: {}", wait.who, wait.what),
        "The run waits for a person.",
    )
    .with(detail)
}

/// By which command the question is answered, and with which words where there are only some.
fn answer_line(run: &Run, step: &str, wait: &Wait) -> String {
    let Some(answer) = wait.answer.clone() else {
        return String::new();
    };
    let choices = match &answer {
        Answer::Choice { of } => format!("One of: {}\n", of.join(", ")),
        _ => String::new(),
    };
    let asked = Question {
        step: step.to_owned(),
        who: wait.who.clone(),
        answer,
    };
    format!("{choices}Answer: {}\n", commands::answering(run, &asked))
}

fn finished(run: &Run, verdict: Verdict) -> TopicText {
    let why = || unwinding_reason(run);
    let undone = || format!("{}{}", failures(run), undone(run));
    let untouched = !run.production_changed();
    match verdict {
        Verdict::Completed => TopicText::new("completed", "Every step is done."),
        Verdict::RolledBack if untouched => {
            let first = "The run was taken back before it changed production. What it had prepared was undone.";
            TopicText::new(format!("taken back: {}", why()), first).with(undone())
        }
        Verdict::RolledBackInPart if untouched => {
            let first = "The run was taken back before it changed production; what is named below was given up on and stays.";
            TopicText::new(format!("taken back in part: {}", why()), first)
                .with(undone())
                .grave()
        }
        Verdict::RolledBack => {
            let first = "Everything this run changed was undone.";
            TopicText::new(format!("rolled back: {}", why()), first)
                .with(undone())
                .grave()
        }
        Verdict::Cancelled => {
            let first = "The run was cancelled before production changed.";
            TopicText::new(format!("cancelled: {}", why()), first).with(undone())
        }
        Verdict::RolledBackInPart => {
            let first =
                "The rollback is over, but steps were given up on: production is NOT as before.";
            TopicText::new(format!("ROLLED BACK IN PART: {}", why()), first)
                .with(undone())
                .grave()
        }
    }
}

fn by_step(run: &Run, topic: &str, body: &str) -> TopicText {
    let window = serde_json::from_str::<Notify>(body).ok();
    let detail = window.map_or_else(String::new, |w| {
        let changes: Vec<String> = w
            .changes
            .iter()
            .map(|c| format!("Changes: {c}\n"))
            .collect();
        let changes = changes.concat();
        format!(
            "Window: {}\nExpected downtime: {}\nRollback contact: {}\n{changes}",
            w.window, w.downtime, w.contact
        )
    });
    let environment = &run.plan.environment;
    match topic {
        DEPLOYING => TopicText::new("deploys now", format!("{environment} is about to change."))
            .with(detail)
            .grave(),
        ROLLED_BACK => {
            let first = format!(
                "The deployment to {environment} was taken back; the announced window is void."
            );
            TopicText::new("deployment taken back", first)
                .with(detail)
                .grave()
        }
        other => TopicText::new(other, format!("A step of the run reports: {other}.")),
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
