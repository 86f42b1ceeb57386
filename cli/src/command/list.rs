//! `flow list`.

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::run::Run;

use crate::args::{Global, List, RunState};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store::Store;
use crate::view::{self, json, text};

/// All runs, newest first. Those that are damaged come first, whatever environment was asked for, for theirs may not
/// be known; where another state was asked for, they are remarked on.
pub(crate) async fn run(global: &Global, args: &List) -> Result<Exit, Diagnostic> {
    let mut past = Store::open(&State::of(global)?).await?.past().await?;
    past.remark();
    past.runs.retain(|run| wanted(run, args));
    if args.is.is_some_and(|state| state != RunState::Damaged) {
        past.damaged.clear();
    }
    if args.json {
        let damaged = past.damaged.iter().map(json::Summary::of_damaged);
        let runs = past.runs.iter().map(json::Summary::of);
        view::out_json(&damaged.chain(runs).collect::<Vec<_>>());
    } else {
        view::out(&text::list(&past, SystemClock.now()));
    }
    Ok(Exit::Done)
}

fn wanted(run: &Run, args: &List) -> bool {
    let environment = args
        .env
        .as_ref()
        .is_none_or(|env| run.plan.environment == *env);
    environment && args.is.is_none_or(|state| json::state(run).0 == state)
}
