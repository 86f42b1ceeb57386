//! `flow journal repair`.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use flow_engine::id::Digest;
use flow_engine::journal::Journal as _;
use flow_engine::journal::sled::{Mended, OpenOptions, rebuild_catalog};
use flow_engine::run::Run;
use flow_workflows::setup::Setup;

use super::{lost_object, plans, repairs, show};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::state::State;
use crate::store;
use crate::upkeep::{self, blocking};

/// What repairing did, or would do.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    dry_run: bool,
    repaired: Vec<String>,
    lost: Vec<String>,
}

/// Opening mends segments and sled; what is beyond that is mended here. At the end every run is read as `verify` reads
/// it: what is damaged then is named, whatever could be rebuilt.
pub(super) async fn repair(
    session: &Session,
    state: &State,
    json: bool,
) -> Result<Exit, Diagnostic> {
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
    let lost = done.take(mended);
    done.read(session, &state.journal(), &lost).await?;
    Ok(done.show(json))
}

/// The same on a copy, which goes when it was looked at. The journal is not changed, nor kept busy for longer than that.
pub(super) async fn rehearse(
    session: &Session,
    state: &State,
    json: bool,
) -> Result<Exit, Diagnostic> {
    upkeep::nobody_drives(state).await?;
    let scratch = tempfile::Builder::new().prefix("flow-repair-").tempdir();
    let scratch = scratch.map_err(|e| {
        let message = format!("there is no folder to try the repair in: {e}");
        Diagnostic::usage(message).world("Nothing was changed.")
    })?;
    let copy = scratch.path().join("journal");
    let (dir, to) = (state.journal(), copy.clone());
    let options = OpenOptions::default();
    let said = blocking(move || flow_engine::journal::sled::rehearse(&dir, &to, &options));
    let said = said.await?;
    let mut done = Outcome {
        dry_run: true,
        ..Outcome::default()
    };
    done.repaired.extend(said.catalog);
    done.repaired.extend(repairs(&said.report));
    let lost = done.take(said.mended);
    done.read(session, &copy, &lost).await?;
    let (from, to) = (
        copy.display().to_string(),
        state.journal().display().to_string(),
    );
    for line in &mut done.lost {
        *line = line.replace(&from, &to);
    }
    Ok(done.show(json))
}

impl Outcome {
    /// What mending did; the objects that it could not bring back.
    fn take(&mut self, mended: Mended) -> Vec<Digest> {
        self.repaired.extend(mended.done);
        self.lost.extend(mended.lost);
        mended.objects
    }

    /// Computes again what is in no copy and can be computed, and names what still cannot be read.
    async fn read(
        &mut self,
        session: &Session,
        dir: &Path,
        lost: &[Digest],
    ) -> Result<(), Diagnostic> {
        let (journal, _) = store::open(dir).await?;
        // Without the project's files nothing can be computed; what is damaged is named all the same.
        let setup: Option<&Setup> = session.setup().ok();
        for id in journal.runs().await? {
            if Run::load(&journal, &id).await.is_ok() {
                continue;
            }
            if let Some(setup) = setup {
                self.repaired
                    .extend(plans::again((session.workflows(), setup), &journal, &id).await?);
            }
            if let Err(error) = Run::load(&journal, &id).await {
                self.lost.push(format!("run {id}: {error}"));
            }
        }
        for digest in lost {
            if journal.get(digest).await.is_err() {
                self.lost.push(lost_object(digest));
            }
        }
        Ok(())
    }

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
