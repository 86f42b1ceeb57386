//! `flow journal`.

use serde::Serialize;
use std::fmt::Write as _;

use flow_engine::run::Run;

use crate::args::{Global, Journal};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store::{self, Store};
use crate::view;

/// Looks after the store of runs.
pub(crate) async fn run(global: &Global, args: Journal) -> Result<Exit, Diagnostic> {
    match args {
        Journal::Verify { json } => verify(&State::of(global)?, json).await,
    }
}

/// What reading everything found.
#[derive(Debug, Serialize)]
struct Found {
    runs: usize,
    records: u64,
    repaired: Vec<String>,
    damaged: Vec<String>,
}

/// Reads every record of every run: its hash chain, its form, and that it follows from the ones before.
async fn verify(state: &State, json: bool) -> Result<Exit, Diagnostic> {
    let mut found = Found {
        runs: 0,
        records: 0,
        repaired: Vec::new(),
        damaged: Vec::new(),
    };
    let store = if state.journal().exists() && !state.socket().exists() {
        let (journal, report) = store::open(&state.journal()).await?;
        found.repaired = report
            .repaired
            .iter()
            .map(|r| {
                format!(
                    "{}: {} records written anew from {}",
                    r.what, r.records, r.from
                )
            })
            .collect();
        Store::Open(std::sync::Arc::new(journal))
    } else {
        Store::open(state).await?
    };
    for id in store.journal().runs().await? {
        found.runs += 1;
        match Run::load(store.journal(), &id).await {
            Ok(run) => found.records += run.next_seq,
            Err(error) => found.damaged.push(format!("{id}: {error}")),
        }
    }
    if json {
        view::out_json(&found);
    } else {
        view::out(&in_words(&found));
    }
    Ok(if found.damaged.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn in_words(found: &Found) -> String {
    let mut text = format!(
        "{} records of {} runs verified\n",
        found.records, found.runs
    );
    for repaired in &found.repaired {
        let _infallible = writeln!(text, "repaired: {repaired}");
    }
    for damaged in &found.damaged {
        let _infallible = writeln!(text, "damaged: {damaged}");
    }
    text
}
