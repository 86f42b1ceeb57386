//! A run on one screen.

use std::fmt::Write as _;

use flow_engine::clock::Timestamp;
use flow_engine::plan::Phase;
use flow_engine::record::{Failure, FailureKind};
use flow_engine::run::{Delivery, Life, Run, Status, StepState, Undo};
use flow_engine::signal::Order;
use flow_steps::means::again::is_answered;
use flow_steps::means::commands::of_wait;
use flow_steps::means::reports::people::KeysFound;
use flow_steps::means::signature::{starter, summary};
use flow_steps::means::standing::standing_beside;

use super::beside::Beside;
use super::{age, clean, json, mark, next, padded};
use crate::driver::Driver;
use crate::store::LOOK;

/// `flow status`, of the journal alone.
pub(crate) fn status(run: &Run, driver: &Driver, now: Timestamp) -> String {
    status_beside(run, driver, &Beside::default(), now)
}

/// The same, beside what is known of the world.
pub(crate) fn status_beside(run: &Run, driver: &Driver, world: &Beside, now: Timestamp) -> String {
    let mut text = head(run, driver, now);
    text += &standing(run, driver, world);
    text.push('\n');
    text += &phases(run, now, &|_| Vec::new());
    text += &trouble(run);
    text += &rollback_in_short(run);
    text += &mails(run, world);
    for (name, value) in next::contacts(&run.plan) {
        let name = name
            .trim_start_matches("contact")
            .trim_matches(['.', '-', '_', ' ']);
        let _infallible = writeln!(text, "contact {name}: {}", clean(value));
    }
    text.push_str("\nnext:\n");
    for next in world.commands(run, driver) {
        let _infallible = writeln!(text, "  {}", next.line());
    }
    text
}

/// What production is in, above everything that scrolls.
fn standing(run: &Run, driver: &Driver, world: &Beside) -> String {
    let host = &world.host;
    let alarming = !standing_beside(run, host.facts).is_empty();
    let mut text = String::new();
    for words in super::production_beside(run, host.facts) {
        // The same words while everything goes to plan are no alarm.
        let sign = if alarming && !matches!(driver, Driver::Alive(_)) {
            "!! "
        } else {
            ""
        };
        let _infallible = writeln!(text, "{sign}production: {words}");
    }
    for said in &host.lines {
        let _infallible = writeln!(text, "   the host says: {}", clean(said));
    }
    if alarming && host.lines.is_empty() {
        text.push_str("   (as far as the journal knows: the host was not asked)\n");
    }
    text
}

fn head(run: &Run, driver: &Driver, now: Timestamp) -> String {
    let plan = &run.plan;
    let mut text = super::what(plan);
    let _infallible = writeln!(text, " to {}   run {}", plan.environment, run.id);
    let reason = if run.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", clean(&run.reason))
    };
    let _infallible = writeln!(
        text,
        "started {} ago by {} from {}{reason}",
        age(now.since(run.created)),
        run.by.name,
        run.by.from
    );
    if let Some(starter) = starter::of(run) {
        let _infallible = writeln!(
            text,
            "the start is signed by {}",
            clean(&starter.to_string())
        );
    }
    let keys = KeysFound::of(run).filter(KeysFound::differs);
    let keys = keys.iter().flat_map(KeysFound::lines);
    for line in summary::exceptions(run, run.steps.len())
        .into_iter()
        .chain(keys)
    {
        let _infallible = writeln!(text, "{}", clean(&line));
    }
    let _infallible = writeln!(
        text,
        "plan {}, protocol {}",
        run.plan_digest.short(),
        plan.protocol
    );
    let since = age(now.since(run.updated));
    let (done, all) = (super::done(run), run.steps.len());
    let _infallible = writeln!(
        text,
        "\nIt {}; {done} of {all} steps done, last change {since} ago.",
        super::doing(run, driver)
    );
    if let Some(unwind) = run.unwinding() {
        let _infallible = writeln!(text, "It is undone because: {}", clean(&unwind.why));
    }
    text
}

/// The phases; those in which something happens with their steps, each with what `beneath` has to say about it.
pub(crate) fn phases(run: &Run, now: Timestamp, beneath: &dyn Fn(usize) -> Vec<String>) -> String {
    let mut text = String::new();
    for (index, phase) in (0u32..).zip(&run.plan.phases) {
        let steps: Vec<usize> = (0..run.plan.nodes.len())
            .filter(|i| run.plan.nodes[*i].phase == index)
            .collect();
        text += &phase_line(run, phase, &steps);
        for step in steps.into_iter().filter(|step| is_open(run, *step)) {
            text += &step_lines(run, step, now);
            for line in beneath(step) {
                let _infallible = writeln!(text, "        │ {}", clean(&line));
            }
        }
    }
    text
}

fn phase_line(run: &Run, phase: &Phase, steps: &[usize]) -> String {
    let count =
        |wanted: fn(&StepState) -> bool| steps.iter().filter(|i| wanted(&run.steps[**i])).count();
    let done = count(|s| matches!(s.status, Status::Done | Status::Skipped));
    let begun = count(|s| s.started.is_some());
    let undone = count(|s| s.undo == Undo::Undone);
    let failed = count(|s| s.status == Status::Failed);
    let sign = match () {
        () if failed > 0 => "✘",
        () if undone > 0 => "↩",
        () if done == steps.len() => "✔",
        () if begun > 0 => "▶",
        () => "·",
    };
    let undone = if undone > 0 {
        format!(", {undone} undone")
    } else {
        String::new()
    };
    format!(
        "{sign} {} {} {done} of {}{undone}\n",
        padded(&phase.key, 10),
        padded(&phase.title, 44),
        steps.len()
    )
}

/// Whether a step deserves a line of its own: it is not simply done, skipped or to come.
fn is_open(run: &Run, step: usize) -> bool {
    let state = &run.steps[step];
    let undoing = !matches!(state.undo, Undo::Pending);
    let quiet = matches!(state.status, Status::Done | Status::Skipped)
        || (state.status == Status::Pending && state.started.is_none());
    undoing || !quiet
}

fn step_lines(run: &Run, step: usize, now: Timestamp) -> String {
    let (node, state) = (&run.plan.nodes[step], &run.steps[step]);
    let what = match state.undo {
        Undo::Running | Undo::RetryAt(_) => "being undone",
        _ => flow_engine::audit::in_a_word(state),
    };
    let since = state
        .started
        .map(|at| age(now.since(at)))
        .unwrap_or_default();
    let mut text = format!(
        "    {} {} {what}, {since}\n",
        mark(state),
        padded(&node.key, 28)
    );
    if let Some(wait) = state
        .wait
        .as_ref()
        .filter(|_| state.status == Status::Waiting)
    {
        let until = wait
            .until
            .map(|t| format!(" until {t}"))
            .unwrap_or_default();
        let whom = if wait.who.is_empty() {
            "for"
        } else {
            wait.who.as_str()
        };
        let place = u32::try_from(step).unwrap_or(u32::MAX);
        let answered = is_answered(run, place);
        let asks = if answered {
            format!("answered by {whom}, to be taken in when the run goes on")
        } else {
            format!("waits for {whom}{until}")
        };
        let _infallible = writeln!(text, "        {asks}: {}", clean(&wait.what));
        let command = of_wait(run, place, wait);
        if !command.is_empty() && !answered {
            let _infallible = writeln!(text, "        {}", clean(&command));
        }
    }
    if let Some(report) = &state.undo_report {
        let _infallible = writeln!(text, "        undone: {}", clean(report));
    }
    text
}

fn trouble(run: &Run) -> String {
    let failed = run.steps.iter().zip(&run.plan.nodes);
    let last = failed
        .filter_map(|(s, n)| Some((s.ended?, n, unsolved(s)?)))
        .max_by_key(|(at, ..)| *at);
    let (message, failure) = match (next::why_parked(run), last) {
        (Some(why), last) => {
            let failure = next::culprit(run).and_then(|(_, f)| f.cloned());
            (why, failure.or_else(|| last.map(|(.., (_, f))| f.clone())))
        }
        (None, Some((at, node, (_, failure)))) => (
            format!("last failure: `{}` at {at}: {}", node.key, failure.message),
            Some(failure.clone()),
        ),
        (None, None) => return String::new(),
    };
    let mut text = format!("\n{}\n", clean(&message));
    let failure = failure.unwrap_or_default();
    for cause in &failure.causes {
        let _infallible = writeln!(text, "  caused by: {}", clean(cause));
    }
    // What to do about it is an order only while the run waits for one.
    let parked = matches!(run.life, Life::Parked { .. });
    for hint in failure.hints.iter().filter(|_| parked) {
        let _infallible = writeln!(text, "  {}", clean(hint));
    }
    text
}

/// What went wrong in a step and was not put right since.
fn unsolved(state: &StepState) -> Option<&(FailureKind, Failure)> {
    let undo = state.undo_failure.as_ref();
    let undo = undo.filter(|_| !matches!(state.undo, Undo::Undone | Undo::GivenUp));
    let forward = state.failure.as_ref();
    let forward = forward.filter(|_| !matches!(state.status, Status::Done | Status::Skipped));
    undo.or(forward)
}

/// How much a rollback would undo now, in a line: a status is one screen.
fn rollback_in_short(run: &Run) -> String {
    let all = rollback(run);
    let count = run.undo_order().len();
    if count <= 1 || all.is_empty() {
        return all;
    }
    format!(
        "\n{} {} (each of them: flow status {} --undo).\n",
        would_undo(run),
        super::steps(count),
        run.id
    )
}

/// How the way back is called, which depends on what the run touched, or that it is gone already.
fn would_undo(run: &Run) -> &'static str {
    if run.unwinding().is_some() {
        "Still to be undone:"
    } else if run.accepts(&Order::Cancel).is_ok() {
        "To cancel now would undo"
    } else {
        "A rollback now would undo"
    }
}

/// What a rollback would undo now.
pub(crate) fn rollback(run: &Run) -> String {
    let order = run.undo_order();
    let over = !matches!(
        run.life,
        Life::Finished {
            verdict: flow_engine::record::Verdict::Completed,
            ..
        }
    ) && run.is_finished();
    if over {
        return String::new();
    }
    if order.is_empty() {
        return "\nThere is nothing to undo now.\n".into();
    }
    let mut text = format!(
        "\n{} {}, newest first:\n",
        would_undo(run),
        super::steps(order.len())
    );
    for step in order {
        let node = &run.plan.nodes[step as usize];
        let undo = node.undo.as_deref().unwrap_or_default();
        let _infallible = writeln!(text, "  {} {}", padded(&node.key, 28), clean(undo));
    }
    text
}

fn mails(run: &Run, world: &Beside) -> String {
    let sent = |d: &Delivery| matches!(d, Delivery::Sent(_));
    let open: Vec<_> = run.notices.iter().filter(|n| !sent(&n.delivery)).collect();
    if open.is_empty() {
        return String::new();
    }
    let some = open.iter().any(|n| !world.holders(n.id).is_empty());
    let mut text = format!(
        "\n{} of {} notices are not delivered{}:\n",
        open.len(),
        run.notices.len(),
        if some { " to everybody" } else { "" }
    );
    let more = open.len().saturating_sub(NOTICES);
    for notice in open.into_iter().take(NOTICES) {
        let why = match &notice.delivery {
            Delivery::Undeliverable(why) => format!("never: {}", clean(why)),
            _ => match world.holders(notice.id).as_slice() {
                [] => "not yet".into(),
                some => format!("not yet to all; {} has it", clean(&some.join(", "))),
            },
        };
        let _infallible = writeln!(text, "  {} ({why})", json::about(run, &notice.topic));
    }
    if more > 0 {
        let _infallible = writeln!(text, "  and {more} more");
    }
    text
}

/// So many notices that are not delivered are named.
const NOTICES: usize = 3;

/// `flow list`: a line for each run.
pub(crate) fn list(runs: &[json::Summary], now: Timestamp) -> String {
    let mut text = String::new();
    for run in runs {
        if run.damage.is_some() {
            let environment = if run.environment.is_empty() {
                "?"
            } else {
                &run.environment
            };
            let _infallible = writeln!(
                text,
                "{:<20} {:<9} {} {:<20} {LOOK}",
                run.run,
                "?",
                padded(environment, 6),
                run.state,
            );
            continue;
        }
        let _infallible = writeln!(
            text,
            "{:<20} {} {} {:<20} {:>3}/{:<3} {:>10} ago  {}{}",
            run.run,
            padded(&run.workflow, 9),
            padded(&run.environment, 6),
            run.state,
            run.steps_done,
            run.steps,
            run.created_at
                .map_or_else(String::new, |at| age(now.since(at))),
            super::commit_of(&run.commit, &run.subject),
            if run.kept == "pruned" {
                "  (pruned)"
            } else {
                ""
            },
        );
    }
    if text.is_empty() {
        text.push_str("There are no such runs.\n");
    }
    text
}
