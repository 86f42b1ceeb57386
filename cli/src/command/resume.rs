//! `flow resume`: goes on with a run that nobody drives.

use std::path::Path;

use flow_engine::id::RunId;
use flow_engine::record::ParkReason;
use flow_engine::run::{Delivery, Life, Run, Status, append_order};
use flow_engine::signal::Order;
use flow_workflows::local::local_paths;

use super::frozen;
use crate::actor;
use crate::args::{Resume, Wait};
use crate::diagnostic::Diagnostic;
use crate::driver::Driver;
use crate::exit::Exit;
use crate::project;
use crate::session::Session;
use crate::store::{Past, Store, take_over};
use crate::view::{self, text};

/// A run whose process was killed is simply continued; a parked one tries again what failed; of a finished one the
/// notices that did not go out are delivered.
pub(crate) async fn run(session: &Session, args: Resume) -> Result<Exit, Diagnostic> {
    // Read first: one that is broken must not end this after the journal was taken over.
    session.project()?;
    if args.take_over {
        take_over::take_over(session.state()?).await?;
    }
    let store = session.open().await?;
    let run = choose(&store, args.run.as_deref()).await?;
    let driver = store.driver(&run);
    if store.driven() == Some(run.id.as_str()) {
        view::note(&format!("run {} is being driven already\n\n", run.id));
        view::out(&text::status(&run, &driver, session.now()));
        return Ok(Exit::of_run(&run, &driver));
    }
    if nothing_left(&run) {
        view::note(&format!(
            "run {} {}; nothing is left to do\n",
            run.id,
            run.in_a_word()
        ));
        return Ok(Exit::of_run(&run, &driver));
    }
    go_on(session, store, run, args.wait).await
}

/// Goes on with a run that was read from `store`.
pub(super) async fn go_on(
    session: &Session,
    store: Store,
    mut run: Run,
    wait: Wait,
) -> Result<Exit, Diagnostic> {
    let is_held = matches!(store, Store::Held(_));
    let journal = session.own(store).await?;
    let parts = session.parts(&journal)?;
    refuse_foreign(session, &run)?;
    say_elsewhere(&run);
    if !is_held {
        // Another process had the journal, or may have had it.
        run = Run::load(&*journal, &run.id).await?;
    }
    project::refuse_beside(&Past::of(&*journal).await?.runs, &run)?;
    if needs_a_word(&run) {
        drop(journal);
        let exit = Exit::of_run(&run, &Driver::Unasked);
        return Err(crate::drive::parked(&run, exit));
    }
    if matches!(run.life, Life::Parked { .. }) {
        frozen::say(session, &run);
        let now = session.now();
        append_order(
            &*journal,
            &mut run,
            Order::Retry,
            actor::me(),
            "resume",
            now,
        )
        .await?;
    }
    session.drive(journal, parts, wait)?.resume(&run.id).await
}

/// Says which files the steps to come read on this machine that are not here: the plan names them as they lay where it was
/// made.
fn say_elsewhere(run: &Run) {
    for (path, steps) in local_paths(&run.plan) {
        let to_come = |key: &&String| {
            let index = run.plan.node(key.as_str()).map(|(index, _)| index);
            let status = index.map(|index| &run.steps[index as usize].status);
            !matches!(status, Some(Status::Done | Status::Skipped))
        };
        let to_come: Vec<&str> = steps.iter().filter(to_come).map(String::as_str).collect();
        if !to_come.is_empty() && !Path::new(&path).exists() {
            view::note(&format!(
                "{path} is not on this machine, and {} of run {} will read it: the run was planned where it is\n",
                to_come.join(", "),
                run.id
            ));
        }
    }
}

/// Refuses a run of a workflow that another program has, and of which this one cannot carry out a step. Driving it would
/// only park it.
pub(super) fn refuse_foreign(session: &Session, run: &Run) -> Result<(), Diagnostic> {
    if session.workflows().named(&run.plan.workflow).is_ok() {
        return Ok(());
    }
    let Some((step, why)) = session.registry().unreadable(run) else {
        return Ok(());
    };
    let message = format!(
        "run {} is of the workflow `{}`, which this program has not, and its step `{}` cannot be carried out here",
        run.id,
        run.plan.workflow.escape_debug(),
        run.plan.nodes[step as usize].key
    );
    let known: Vec<&str> = session.workflows().names().collect();
    Err(Diagnostic::usage(message)
        .because(&why)
        .hint(format!(
            "go on with the program that has it: flow resume {}",
            run.id
        ))
        .hint(format!("this one has: {}", known.join(", "))))
}

/// Whether only a person's explicit order may go on: an outcome nobody knows, or a rollback that stopped. To resume is
/// to go on, not to say yes to what was asked.
fn needs_a_word(run: &Run) -> bool {
    let Life::Parked { why, .. } = &run.life else {
        return false;
    };
    matches!(
        why,
        ParkReason::Unknown { .. } | ParkReason::UndoFailed { .. }
    )
}

/// Drives a run on after an order was stored in `store`, which was refused there if another run was in the way.
pub(crate) async fn obey(
    session: &Session,
    store: Store,
    id: &RunId,
    wait: Wait,
) -> Result<Exit, Diagnostic> {
    let is_held = matches!(store, Store::Held(_));
    let journal = session.own(store).await?;
    let parts = session.parts(&journal)?;
    if !is_held {
        let run = Run::load(&*journal, id).await?;
        project::refuse_beside(&Past::of(&*journal).await?.runs, &run)?;
    }
    session.drive(journal, parts, wait)?.resume(id).await
}

fn nothing_left(run: &Run) -> bool {
    let pending = run.notices.iter().any(|n| n.delivery == Delivery::Pending);
    run.is_finished() && !pending
}

async fn choose(store: &Store, named: Option<&str>) -> Result<Run, Diagnostic> {
    if let Some(named) = named {
        return store.find(named).await;
    }
    let past = store.past().await?;
    past.remark();
    let mut open = past.runs;
    open.retain(|run| !run.is_finished());
    match open.len() {
        1 => Ok(open.remove(0)),
        0 => Err(Diagnostic::usage("there is no unfinished run").hint("flow list")),
        count => {
            let diagnostic = Diagnostic::usage(format!("there are {count} unfinished runs"));
            let named = open.iter().map(|run| {
                format!(
                    "flow resume {}     to {}: it {}",
                    run.id,
                    run.plan.environment,
                    view::doing(run, &store.driver(run))
                )
            });
            Err(named.fold(diagnostic, Diagnostic::hint))
        }
    }
}
