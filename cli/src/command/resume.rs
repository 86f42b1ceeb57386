//! `flow resume`.

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::id::RunId;
use flow_engine::record::ParkReason;
use flow_engine::run::{Delivery, Life, Run, append_order};
use flow_engine::signal::Order;

use super::frozen;
use crate::actor;
use crate::args::{Global, Resume, Wait};
use crate::diagnostic::Diagnostic;
use crate::drive::{Drive, Parts};
use crate::driver::Driver;
use crate::exit::Exit;
use crate::project;
use crate::store::{Past, Store, take_over};
use crate::view::{self, text};

/// A run whose process was killed is simply continued; a parked one tries again what failed; of a finished one the
/// notices that did not go out are delivered.
pub(crate) async fn run(global: &Global, args: Resume) -> Result<Exit, Diagnostic> {
    let (state, setup) = project::open(global)?;
    if args.take_over {
        take_over::take_over(&state).await?;
    }
    let id = {
        let store = Store::open(&state).await?;
        let run = choose(&store, args.run.as_deref()).await?;
        let driver = store.driver(&run);
        if store.driven() == Some(run.id.as_str()) {
            view::note(&format!("run {} is being driven already\n\n", run.id));
            view::out(&text::status(&run, &driver, SystemClock.now()));
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
        run.id
    };
    let journal = Store::own(&state).await?;
    let parts = Parts::of(&setup, &journal, &state)?;
    let mut run = Run::load(&*journal, &id).await?;
    project::refuse_beside(&Past::of(&*journal).await?.runs, &run)?;
    if needs_a_word(&run) {
        drop(journal);
        let exit = Exit::of_run(&run, &Driver::Unasked);
        return Err(crate::drive::parked(&run, exit));
    }
    if matches!(run.life, Life::Parked { .. }) {
        frozen::say(&setup, &run);
        let now = SystemClock.now();
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
    Drive::new(&state, journal, parts, args.wait, global.plain)
        .resume(&id)
        .await
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

/// Drives a run on after an order was stored.
pub(crate) async fn obey(global: &Global, id: &RunId, wait: Wait) -> Result<Exit, Diagnostic> {
    let (state, setup) = project::open(global)?;
    let journal = Store::own(&state).await?;
    let parts = Parts::of(&setup, &journal, &state)?;
    let run = Run::load(&*journal, id).await?;
    project::refuse_beside(&Past::of(&*journal).await?.runs, &run)?;
    Drive::new(&state, journal, parts, wait, global.plain)
        .resume(id)
        .await
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
