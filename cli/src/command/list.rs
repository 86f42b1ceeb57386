//! `flow list`.

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::run::Run;

use crate::args::{Global, List};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store::Store;
use crate::view::{self, json, text};

/// All runs, newest first.
pub(crate) async fn run(global: &Global, args: &List) -> Result<Exit, Diagnostic> {
    let mut runs = Store::open(&State::of(global)?).await?.runs().await?;
    runs.retain(|run| wanted(run, args));
    if args.json {
        view::out_json(&runs.iter().map(json::Summary::of).collect::<Vec<_>>());
    } else {
        view::out(&text::list(&runs, SystemClock.now()));
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
