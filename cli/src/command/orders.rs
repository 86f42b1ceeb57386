//! `flow retry`, `skip`, `settle`, `cancel`: orders to a run.

use std::sync::Arc;
use std::time::Duration;

use flow_engine::id::RunId;
use flow_engine::journal::Journal;
use flow_engine::run::{Refusal, Run};
use flow_engine::signal::Order;

use super::frozen;
use crate::actor;
use crate::args::{Cancel, Obey, Retry, Settle, Skip};
use crate::control::Receipt;
use crate::diagnostic::Diagnostic;
use crate::driver::Driver;
use crate::exit::Exit;
use crate::project;
use crate::session::Session;
use crate::store::{Past, Store};
use crate::view::{self, next};

/// `flow retry`: has a parked run try again what failed, and says what its plan froze.
pub(crate) async fn retry(session: &Session, args: Retry) -> Result<Exit, Diagnostic> {
    let step = args.step;
    let right = |run: &Run| match (&step, next::culprit(run)) {
        (Some(step), Some((failed, _))) if failed != step => Err(Diagnostic::usage(format!(
            "run {} stopped at step `{failed}`, not at `{step}`",
            run.id
        ))),
        _ => {
            frozen::say(session, run);
            Ok(())
        }
    };
    give(
        session,
        &args.run,
        Order::Retry,
        &args.reason,
        args.obey,
        right,
    )
    .await
}

/// `flow skip`: goes on without a step that may be left out.
pub(crate) async fn skip(session: &Session, args: Skip) -> Result<Exit, Diagnostic> {
    let order = Order::Skip { step: args.step };
    give(session, &args.run, order, &args.reason, args.obey, |_| {
        Ok(())
    })
    .await
}

/// `flow settle`: states what became of a step whose outcome is unknown.
pub(crate) async fn settle(session: &Session, args: Settle) -> Result<Exit, Diagnostic> {
    let order = Order::Settle {
        step: args.step,
        done: args.done,
    };
    give(session, &args.run, order, &args.reason, args.obey, |_| {
        Ok(())
    })
    .await
}

/// `flow cancel`: ends a run before it changes production, and undoes what it prepared.
pub(crate) async fn cancel(session: &Session, args: Cancel) -> Result<Exit, Diagnostic> {
    give(
        session,
        &args.run,
        Order::Cancel,
        &args.reason,
        args.obey,
        |_| Ok(()),
    )
    .await
}

/// Stores an order; carries it out when no other process drives the run, and else looks on until it was. With
/// `--no-drive` storing it is all that was asked.
pub(super) async fn give(
    session: &Session,
    named: &str,
    order: Order,
    reason: &str,
    obey: Obey,
    right: impl Fn(&Run) -> Result<(), Diagnostic>,
) -> Result<Exit, Diagnostic> {
    if reason.trim().is_empty() {
        return Err(Diagnostic::usage("the reason is empty; it goes on record"));
    }
    let verb = order.verb();
    let store = session.open().await?;
    let mut run = store.find(named).await?;
    right(&run)?;
    run.accepts(&order)
        .map_err(|refusal| refused(refusal, &run, &store.driver(&run)))?;
    if let Store::Held(journal) = &store
        && !obey.no_drive
    {
        can_drive(session, journal, &run, &order).await?;
    }
    let posted = store
        .order(&mut run, order, actor::me(), (reason, session.now()))
        .await?;
    let word = match posted {
        Receipt::Stored => "stored",
        Receipt::Already => "was stored before",
    };
    view::note(&format!("run {}: {verb} {word}\n", run.id));
    let id = run.id;
    if obey.no_drive {
        let command = if store.driven().is_some() {
            "status"
        } else {
            "resume"
        };
        view::note(&format!(
            "It is stored; look or go on with:\n  flow {command} {id}\n"
        ));
        return Ok(Exit::Done);
    }
    match store.driven() {
        Some(other) if other != id.as_str() => {
            view::note(&format!(
                "It is stored, and carried out once run {other} is not being driven any more:\n  flow resume {id}\n"
            ));
            Ok(Exit::Locked)
        }
        Some(_) => {
            view::note(
                "The process that drives it obeys now; this one looks on until it stops (Ctrl-C ends only the looking).\n",
            );
            look_on(session, &id).await
        }
        None => super::resume::obey(session, store, &id, obey.wait).await,
    }
}

/// That this process could carry the order out: one that is stored and that nobody can obey leaves a parked run
/// interrupted, and the same order would be refused for it.
async fn can_drive(
    session: &Session,
    journal: &Arc<dyn Journal>,
    run: &Run,
    order: &Order,
) -> Result<(), Diagnostic> {
    session.parts(journal)?;
    super::resume::refuse_foreign(session, run)?;
    if matches!(order, Order::Cancel | Order::Rollback) {
        // What is undone is never kept from it.
        return Ok(());
    }
    project::refuse_beside(&Past::of(&**journal).await?.runs, run)
}

/// Why an order is refused, what the run is instead, and what to type.
fn refused(refusal: Refusal, run: &Run, driver: &Driver) -> Diagnostic {
    let not_parked = matches!(refusal, Refusal::NotParked { .. });
    let mut diagnostic = Diagnostic::from(refusal);
    if not_parked {
        diagnostic.message = format!(
            "run {} is not parked: it {}",
            run.id,
            view::doing(run, driver)
        );
    }
    let commands = next::commands_for(run, driver);
    commands
        .iter()
        .fold(diagnostic, |d, next| d.hint(next.line()))
}

/// How often a run that another process drives is looked at, and how often at the most: a day.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 172_800;
/// How many looks in a row may fail: a driver that ends cuts who is looking at that moment.
const MISSES: u32 = 20;

async fn look(session: &Session, id: &RunId) -> Result<(Run, Driver), Diagnostic> {
    let store = session.look().await?;
    let run = store.find(id.as_str()).await?;
    let driver = store.driver(&run);
    Ok((run, driver))
}

/// Waits until a run that another process drives stops, or waits for people, or nobody drives it any more; its exit code.
async fn look_on(session: &Session, id: &RunId) -> Result<Exit, Diagnostic> {
    let mut misses = 0;
    for _ in 0..LOOKS {
        let (run, driver) = match look(session, id).await {
            Ok(run) => run,
            Err(_) if misses < MISSES => {
                misses += 1;
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        misses = 0;
        let exit = Exit::of_run(&run, &driver);
        if exit != Exit::Locked {
            view::note(&format!("run {id} {}\n", view::doing(&run, &driver)));
            for next in next::commands_for(&run, &driver) {
                view::note(&format!("  {}\n", next.line()));
            }
            return Ok(exit);
        }
        if matches!(driver, Driver::Stopped(_)) {
            return Err(Diagnostic::new(Exit::Locked, format!("run {id} {}", view::doing(&run, &driver)))
                .world("The order is on record; nobody carries it out before that process goes on or is replaced.")
                .hint("flow resume --take-over"));
        }
        tokio::time::sleep(LOOK).await;
    }
    view::note(&format!(
        "run {id} is still being driven after a day\n  flow status {id}\n"
    ));
    Ok(Exit::Locked)
}

#[cfg(test)]
mod tests {
    use flow_engine::journal::memory::MemoryJournal;

    use super::*;
    use crate::driver::Process;
    use crate::testing;

    #[tokio::test]
    async fn who_retries_what_is_not_parked_hears_what_it_is_and_what_to_type() {
        let journal = Arc::new(MemoryJournal::default());
        let (run, _) = testing::driven(&journal, vec![], false).await;
        let process = || Process {
            pid: 7,
            host: "box".into(),
        };
        let refused = |driver: Driver| {
            let refusal = run.accepts(&Order::Retry).expect_err("is not parked");
            refused(refusal, &run, &driver).render()
        };
        let said = refused(Driver::Gone(process()));
        assert!(
            said.contains("run r-test is not parked: it waits for qa; nobody drives it"),
            "{said}"
        );
        assert!(
            said.contains("flow answer r-test prod/ask --choice …"),
            "{said}"
        );

        let plan = testing::plan(false);
        let interrupted = testing::run_of("r-one", &plan, &testing::done(0));
        let refusal = interrupted.accepts(&Order::Retry).expect_err("not parked");
        for (driver, words, command) in [
            (
                Driver::Gone(process()),
                "is INTERRUPTED; nobody drives it",
                "flow resume r-one",
            ),
            (
                Driver::Alive(process()),
                "is under way, driven by process 7",
                "flow status r-one --watch",
            ),
        ] {
            let said = super::refused(refusal.clone(), &interrupted, &driver).render();
            assert!(said.contains(words) && said.contains(command), "{said}");
        }
        let skip = Order::Skip {
            step: "nonsense".into(),
        };
        let refusal = interrupted.accepts(&skip).expect_err("no such step");
        let said = super::refused(refusal, &interrupted, &Driver::Unasked).render();
        assert!(said.contains("no step `nonsense`"), "{said}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_order_that_nobody_here_could_obey_is_not_stored_and_the_run_is_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let (config, folder) = (dir.path().join("flow.toml"), dir.path().join("state"));
        let state = crate::state::State::at(&folder).expect("a state folder");
        {
            let (journal, _) = crate::store::open(&state.journal()).await.expect("opens");
            let engine = testing::engine(Arc::new(journal), testing::registry());
            let new = testing::new_run("r-one", true);
            let (driver, _handle) = engine.start(new).await.expect("starts");
            driver.drive().await.expect("parks");
        }
        std::fs::write(&config, "this is no configuration").expect("writes");
        let global = crate::args::Global {
            config: Some(config),
            state: Some(folder),
            plain: true,
        };
        let session = Session::new(
            Arc::new(testing::registry()),
            flow_workflows::workflow::Workflows::shipped(),
            global,
        );
        let given = give(
            &session,
            "r-one",
            Order::Retry,
            "again",
            Obey::default(),
            |_| Ok(()),
        );
        let said = given.await.expect_err("nobody could obey it");
        assert_eq!(said.exit, Exit::Usage);
        assert!(
            said.render().contains("Nothing was changed"),
            "{}",
            said.render()
        );
        let run = session.open().await.expect("opens").find("r-one").await;
        let run = run.expect("it is there");
        assert_eq!(run.orders, [], "and it says the truth");
        assert!(matches!(run.life, flow_engine::run::Life::Parked { .. }));
    }
}
