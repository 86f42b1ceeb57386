//! `flow list`: all runs, newest first.

use clap::ValueEnum as _;

use crate::args::List;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::{self, json, text};

/// All runs, newest first. Those that are damaged come first, whatever environment was asked for, for theirs may not
/// be known; where another state was asked for, they are remarked on.
pub(crate) async fn run(session: &Session, args: &List) -> Result<Exit, Diagnostic> {
    let store = session.look().await?;
    let past = store.past().await?;
    past.remark();
    let mut runs = json::list(&past, &|run| store.driver(run));
    runs.retain(|run| wanted(run, args));
    if args.json {
        view::out_json(&runs);
    } else {
        view::out(&text::list(&runs, session.now()));
    }
    Ok(Exit::Done)
}

fn wanted(run: &json::Summary, args: &List) -> bool {
    let damaged = run.damage.is_some();
    let environment = args
        .env
        .as_ref()
        .is_none_or(|env| damaged || run.environment == *env);
    let named = args.is.and_then(|state| state.to_possible_value());
    environment && named.is_none_or(|state| state.get_name() == run.state)
}
