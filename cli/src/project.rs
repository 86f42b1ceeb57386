//! Which environments the project has, and which runs are in the way of one another.

use std::collections::BTreeSet;

use flow_engine::plan::{Effect, Node, Plan};
use flow_engine::retention::RunSummary;
use flow_engine::run::{Run, Status};
use flow_engine::signal::Order;
use flow_workflows::config::Environment;
use flow_workflows::setup::Setup;

use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// An environment of the configuration by its name.
pub(crate) fn environment<'a>(
    setup: &'a Setup,
    named: &str,
) -> Result<(&'a str, &'a Environment), Diagnostic> {
    let all = setup.config.environments();
    let known: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let known = known.join(", ");
    let found = all.into_iter().find(|(name, _)| *name == named);
    found.ok_or_else(|| {
        Diagnostic::usage(format!(
            "there is no environment `{named}`; there are: {known}"
        ))
    })
}

/// What a run still has to change: the machines, by the beginning of its steps' keys.
fn still_changes(run: &Run) -> BTreeSet<&str> {
    let nodes = run.plan.nodes.iter().zip(&run.steps);
    let to_come = nodes.filter(|(_, s)| !matches!(s.status, Status::Done | Status::Skipped));
    machines(to_come.map(|(node, _)| node))
}

fn machines<'a>(nodes: impl Iterator<Item = &'a Node>) -> BTreeSet<&'a str> {
    nodes
        .filter(|node| node.effect == Effect::Changes)
        .filter_map(|node| Some(node.key.split_once('/')?.0))
        .collect()
}

/// What an unfinished run has in its hands: a machine whose phase it has begun and not passed; one that a step of it is
/// changing; and production from its first change on, to the end. A run that waits for signatures has nothing but its
/// lease, and its backups are no change of production: who acts there, the lease on the host decides.
fn holds(run: &Run) -> BTreeSet<&str> {
    if run.is_finished() {
        return BTreeSet::new();
    }
    if run.production_changed() || run.unwinding().is_some() {
        return machines(run.plan.nodes.iter());
    }
    let nodes = run.plan.nodes.iter().zip(&run.steps);
    let begun = nodes.filter(|(_, state)| state.started.is_some());
    let held = begun.filter_map(|(node, state)| {
        let machine = node.key.split_once('/')?.0;
        let phase = &run.plan.phase_of(node).key;
        let within = phase == machine && !run.phase_passed(phase);
        let over = matches!(state.status, Status::Done | Status::Skipped);
        let changing = node.effect == Effect::Changes && !over;
        (within || changing).then_some(machine)
    });
    held.filter(|machine| *machine != run.plan.environment)
        .collect()
}

/// The unfinished run that has something in its hands which is to be changed.
fn in_the_way<'a>(runs: &'a [Run], wanted: &BTreeSet<&str>) -> Option<(&'a Run, &'a str)> {
    runs.iter().find_map(|run| {
        let held = holds(run);
        let both = held.iter().find(|machine| wanted.contains(*machine));
        both.map(|machine| (run, *machine))
    })
}

/// Refuses a new run when an unfinished one has a machine in its hands that the new one changes. Two runs may exist side
/// by side as long as each leaves the other's machines alone; who acts on production the lease on its host decides.
pub(crate) fn refuse_second(runs: &[Run], plan: &Plan) -> Result<(), Diagnostic> {
    let Some((run, machine)) = in_the_way(runs, &machines(plan.nodes.iter())) else {
        return Ok(());
    };
    let id = &run.id;
    let message = format!(
        "run {id} to {} is not over and has {machine} in its hands, and an environment has one run at a time",
        run.plan.environment
    );
    let diagnostic = Diagnostic::new(Exit::Locked, message)
        .world("Nothing was started.")
        .hint(format!("flow status {id}"))
        .hint(format!("flow resume {id}     go on with it"));
    Err(way_back(diagnostic, run))
}

/// Names the way back of a run that is in the way, where it has one: what is being undone already is only gone on with.
fn way_back(diagnostic: Diagnostic, run: &Run) -> Diagnostic {
    let id = &run.id;
    if run.accepts(&Order::Cancel).is_ok() {
        diagnostic.hint(format!(
            "flow cancel {id} --reason …     or stop it; what it passed on test and staging still counts"
        ))
    } else if run.accepts(&Order::Rollback).is_ok() {
        diagnostic.hint(format!("flow rollback {id} --reason …     or undo it"))
    } else {
        diagnostic
    }
}

/// Refuses to go on with a run while another one has a machine in its hands that this one is about to change. A run that
/// is being undone is never kept from it.
pub(crate) fn refuse_beside(runs: &[Run], run: &Run) -> Result<(), Diagnostic> {
    if run.is_finished() || run.unwinding().is_some() || run.production_changed() {
        return Ok(());
    }
    let others: Vec<Run> = runs
        .iter()
        .filter(|other| other.id != run.id)
        .cloned()
        .collect();
    let Some((other, machine)) = in_the_way(&others, &still_changes(run)) else {
        return Ok(());
    };
    let message = format!(
        "run {} cannot go on: run {} is not over and has {machine} in its hands",
        run.id, other.id
    );
    let diagnostic = Diagnostic::new(Exit::Locked, message)
        .world("Nothing was begun.")
        .hint(format!("flow status {}", other.id))
        .hint(format!(
            "flow resume {}     go on with that one first",
            other.id
        ));
    Err(way_back(diagnostic, other))
}

/// Refuses to roll back a completed run that is not the latest one of its environment: newer releases stand on it.
pub(crate) fn refuse_overtaken(runs: &[RunSummary], run: &Run) -> Result<(), Diagnostic> {
    if !run.is_finished() {
        return Ok(());
    }
    let this = RunSummary::of(run);
    let Some(newer) = runs.iter().find(|other| other.overtakes(&this)) else {
        return Ok(());
    };
    let state = if newer.is_finished() {
        &newer.in_a_word
    } else {
        "is not over"
    };
    let message = format!(
        "run {} is not the latest of {}: run {} came after it and {state}",
        run.id, run.plan.environment, newer.id
    );
    Err(Diagnostic::new(Exit::Refused, message)
        .world("Nothing was changed.")
        .hint(format!(
            "flow rollback {} --reason …     undo the newer one first",
            newer.id
        )))
}

#[cfg(test)]
mod tests;
