//! `flow retry`, `skip`, `settle`, `cancel`: orders to a run.

use flow_engine::run::Run;
use flow_engine::signal::Order;

use crate::actor;
use crate::args::{Cancel, Global, Obey, Retry, Settle, Skip};
use crate::control::Posted;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store::Store;
use crate::view::{self, next};

/// `flow retry`.
pub(crate) async fn retry(global: &Global, args: Retry) -> Result<Exit, Diagnostic> {
    let step = args.step;
    let right = |run: &Run| match (&step, next::culprit(run)) {
        (Some(step), Some((failed, _))) if failed != step => Err(Diagnostic::usage(format!(
            "run {} stopped at step `{failed}`, not at `{step}`",
            run.id
        ))),
        _ => Ok(()),
    };
    give(
        global,
        &args.run,
        Order::Retry,
        &args.reason,
        args.obey,
        right,
    )
    .await
}

/// `flow skip`.
pub(crate) async fn skip(global: &Global, args: Skip) -> Result<Exit, Diagnostic> {
    let order = Order::Skip { step: args.step };
    give(
        global,
        &args.run,
        order,
        &args.reason,
        args.obey,
        |_| Ok(()),
    )
    .await
}

/// `flow settle`.
pub(crate) async fn settle(global: &Global, args: Settle) -> Result<Exit, Diagnostic> {
    let order = Order::Settle {
        step: args.step,
        done: args.done,
    };
    give(
        global,
        &args.run,
        order,
        &args.reason,
        args.obey,
        |_| Ok(()),
    )
    .await
}

/// `flow cancel`.
pub(crate) async fn cancel(global: &Global, args: Cancel) -> Result<Exit, Diagnostic> {
    give(
        global,
        &args.run,
        Order::Cancel,
        &args.reason,
        args.obey,
        |_| Ok(()),
    )
    .await
}

/// Stores an order; carries it out when no other process drives the run.
pub(super) async fn give(
    global: &Global,
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
    let (id, driven) = {
        let store = Store::open(&State::of(global)?).await?;
        let mut run = store.find(named).await?;
        right(&run)?;
        let posted = store.order(&mut run, order, actor::me(), reason).await?;
        let word = match posted {
            Posted::Stored => "stored",
            Posted::Already => "was stored before",
        };
        view::note(&format!("run {}: {verb} {word}\n", run.id));
        (run.id, store.driven().map(str::to_owned))
    };
    match driven {
        Some(other) if other != id.as_str() => {
            view::note(&format!(
                "It is carried out once run {other} is not being driven any more:\n  flow resume {id}\n"
            ));
            Ok(Exit::Done)
        }
        Some(_) => {
            view::note(&format!(
                "The process that drives it obeys now:\n  flow status {id} --watch\n"
            ));
            Ok(Exit::Done)
        }
        None if obey.no_drive => {
            view::note(&format!("It is carried out by:\n  flow resume {id}\n"));
            Ok(Exit::Done)
        }
        None => super::resume::obey(global, &id, obey.wait).await,
    }
}
