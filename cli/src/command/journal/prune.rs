//! `flow journal prune`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::journal::sled::{Unneeded, Upkeep};
use flow_engine::journal::{Journal as _, JournalError};
use flow_engine::retention;

use super::{show, size};
use crate::args::Prune;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::upkeep::{self, blocking};

/// What pruning did, or would do.
#[derive(Debug, Serialize)]
struct Pruning {
    #[serde(rename = "pruned")]
    done: bool,
    runs: Vec<RunId>,
    bytes: u64,
    /// Stored objects that no run needs.
    objects: usize,
    object_bytes: u64,
    /// Why they were left where they are.
    objects_left: Option<String>,
}

/// Runs first, which is durable when it is done; then what no run names any more. Killed at any moment, the rest goes the next
/// time.
pub(super) async fn prune(state: &State, args: &Prune, now: Timestamp) -> Result<Exit, Diagnostic> {
    let (journal, _) = upkeep::hold(state).await?;
    let archived = journal.archived().await?;
    let sealed: BTreeSet<RunId> = archived.into_iter().map(|a| a.run).collect();
    let all = retention::summaries(&journal).await?;
    let runs = retention::prunable(&all, &sealed, now, args.older_than, args.keep);
    let upkeep = upkeep::begin(journal).await?;
    let yes = args.yes;
    let pruned = blocking(move || carry_out(upkeep, runs, yes)).await?;
    let text = pruned.in_words();
    Ok(show(args.json, &pruned, &text, Exit::Done))
}

fn carry_out(mut upkeep: Upkeep, runs: Vec<RunId>, yes: bool) -> Result<Pruning, JournalError> {
    let bytes = if yes { upkeep.prune(&runs)?.bytes } else { 0 };
    let unneeded = if yes {
        upkeep.remove_unneeded_objects()
    } else {
        upkeep.unneeded_objects(&runs)
    };
    // A run that is damaged keeps the objects, not the other runs.
    let (unneeded, objects_left) = match unneeded {
        Ok(unneeded) => (unneeded, None),
        Err(why @ JournalError::Corrupt { .. }) => (Unneeded::default(), Some(why.to_string())),
        Err(why) => return Err(why),
    };
    Ok(Pruning {
        done: yes && (!runs.is_empty() || unneeded.objects > 0),
        runs,
        bytes,
        objects: unneeded.objects,
        object_bytes: unneeded.bytes,
        objects_left,
    })
}

impl Pruning {
    fn in_words(&self) -> String {
        let mut text = match (self.runs.len(), self.done) {
            (0, _) if self.objects == 0 => "There is nothing to prune.\n".to_owned(),
            (0, _) => String::new(),
            (n, true) => format!("{n} runs pruned, {} freed:\n", size(self.bytes)),
            (n, false) => format!("{n} runs would be pruned; with --yes they are:\n"),
        };
        for run in &self.runs {
            let _infallible = writeln!(text, "  {run}");
        }
        let (n, bytes) = (self.objects, size(self.object_bytes));
        let _infallible = match (n, self.done) {
            (0, _) => Ok(()),
            (n, true) => writeln!(
                text,
                "{n} stored objects that no run needs removed, {bytes} freed"
            ),
            (n, false) => writeln!(
                text,
                "{n} stored objects that no run needs ({bytes}) would be removed; with --yes they are"
            ),
        };
        if let Some(why) = &self.objects_left {
            let _infallible = writeln!(
                text,
                "stored objects were left as they are, for what a damaged run needs is not known: {why}"
            );
        }
        text
    }
}
