//! `flow journal repair`.

use std::fmt::Write as _;

use serde::Serialize;

use flow_engine::journal::sled::{OpenOptions, rebuild_catalog};

use super::{repairs, show};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::upkeep::{self, blocking};

/// What repairing did, or would do.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    dry_run: bool,
    repaired: Vec<String>,
    lost: Vec<String>,
}

/// Opening mends segments and sled; what is beyond that is mended here.
pub(super) async fn repair(state: &State, json: bool) -> Result<Exit, Diagnostic> {
    let mut done = Outcome::default();
    let dir = state.journal();
    if dir.exists() {
        let rebuilt = blocking(move || rebuild_catalog(&dir)).await?;
        done.repaired.extend(rebuilt);
    }
    let (journal, report) = upkeep::hold(state).await?;
    done.repaired.extend(repairs(&report));
    let mut upkeep = upkeep::begin(journal).await?;
    let mended = blocking(move || upkeep.mend()).await?;
    done.repaired.extend(mended.done);
    done.lost = mended.lost;
    Ok(done.show(json))
}

/// The same on a copy, which goes when it was looked at. The journal is not changed, nor kept busy for longer than that.
pub(super) async fn rehearse(state: &State, json: bool) -> Result<Exit, Diagnostic> {
    upkeep::nobody_drives(state).await?;
    let scratch = tempfile::Builder::new().prefix("flow-repair-").tempdir();
    let scratch = scratch.map_err(|e| {
        let message = format!("there is no folder to try the repair in: {e}");
        Diagnostic::usage(message).world("Nothing was changed.")
    })?;
    let (dir, copy) = (state.journal(), scratch.path().join("journal"));
    let options = OpenOptions::default();
    let said = blocking(move || flow_engine::journal::sled::rehearse(&dir, &copy, &options));
    let said = said.await?;
    let mut done = Outcome {
        dry_run: true,
        ..Outcome::default()
    };
    done.repaired.extend(said.catalog);
    done.repaired.extend(repairs(&said.report));
    done.repaired.extend(said.mended.done);
    done.lost = said.mended.lost;
    Ok(done.show(json))
}

impl Outcome {
    fn show(&self, json: bool) -> Exit {
        let would = if self.dry_run { "would be " } else { "" };
        let mut text = String::new();
        for line in &self.repaired {
            let _infallible = writeln!(text, "{would}repaired: {line}");
        }
        for line in &self.lost {
            let _infallible = writeln!(text, "cannot be repaired: {line}");
        }
        if text.is_empty() {
            text.push_str("There is nothing to repair.\n");
        } else if self.dry_run {
            text.push_str("This was tried on a copy; nothing was changed.\n");
        }
        let exit = if self.lost.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        };
        show(json, self, &text, exit)
    }
}
