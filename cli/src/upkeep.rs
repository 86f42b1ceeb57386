//! Looking after the store while no run is driven.

use std::time::Duration;

use serde::Serialize;

use flow_engine::clock::Timestamp;
use flow_engine::journal::JournalError;
use flow_engine::journal::sled::{OpenOptions, OpenReport, SledJournal, Upkeep, prepare};
use flow_engine::retention;

use crate::control::client::Client;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store;

/// So many finished runs that nothing needs in the live store are sealed without being asked. Opening compares what is
/// live: 32 runs of 100 records cost it a few milliseconds.
const ENOUGH: usize = 32;

/// What sealing did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SealReport {
    /// Runs put away.
    pub(crate) sealed: usize,
    /// How many records they have in all.
    pub(crate) records: u64,
    /// Size of the archive file.
    pub(crate) archive_bytes: u64,
    /// Size of segments and sled before.
    pub(crate) before: u64,
    /// The size of the folder afterwards, in bytes.
    pub(crate) after: u64,
}

/// The journal, opened by this process for itself.
///
/// # Errors
/// Exit 7, naming the holder, when another process has it; 2 when there is none.
pub(crate) async fn hold(state: &State) -> Result<(SledJournal, OpenReport), Diagnostic> {
    nobody_drives(state).await?;
    Ok(store::open(&state.journal()).await?)
}

/// That there is a journal and no process that drives a run on it.
///
/// # Errors
/// As [`hold`].
pub(crate) async fn nobody_drives(state: &State) -> Result<(), Diagnostic> {
    if !state.journal().exists() {
        return Err(Diagnostic::usage("there is no journal yet").hint("flow start"));
    }
    if let Some(client) = Client::connect(state).await {
        let message = format!(
            "the journal is in use: {} drives run {}",
            client.server.holder, client.server.driving
        );
        return Err(Diagnostic::new(Exit::Locked, message)
            .world("That run goes on; this command changed nothing.")
            .hint("flow status     look at it; try again when it is over"));
    }
    Ok(())
}

/// Ends the journal's threads and keeps its lock.
pub(crate) async fn begin(journal: SledJournal) -> Result<Upkeep, Diagnostic> {
    let upkeep = blocking(move || journal.upkeep(&OpenOptions::default())).await?;
    Ok(upkeep)
}

/// Runs something that blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(|e| JournalError::Broken(format!("it did not end: {e}")))?
}

/// Seals what may be sealed, when it is at least `at_least` runs, and compacts the live store.
pub(crate) async fn seal(
    journal: SledJournal,
    older_than: Duration,
    at_least: usize,
    now: Timestamp,
) -> Result<SealReport, Diagnostic> {
    let runs = retention::live(&journal).await?;
    let picked = retention::sealable(&runs, now, older_than);
    if picked.len() < at_least {
        return Ok(SealReport::default());
    }
    let picked = prepare(&journal, &picked).await?;
    drop(runs);
    let mut upkeep = begin(journal).await?;
    let done = blocking(move || {
        let sealed = upkeep.seal(&picked)?;
        if upkeep.left_over() == 0 {
            return Ok((sealed, None));
        }
        Ok((sealed, Some(upkeep.compact()?)))
    });
    let (sealed, compacted) = done.await?;
    let compacted = compacted.unwrap_or_default();
    Ok(SealReport {
        sealed: sealed.runs,
        records: sealed.records,
        archive_bytes: sealed.bytes,
        before: compacted.before,
        after: compacted.after,
    })
}

/// Seals finished runs when enough of them have gathered. A run has just been driven and is told about already, so what
/// goes wrong here is a remark: the next run tries again.
pub(crate) async fn tidy(state: &State, now: Timestamp) {
    let done = async {
        let (journal, _) = hold(state).await?;
        seal(journal, Duration::ZERO, ENOUGH, now).await
    };
    match done.await {
        Ok(SealReport { sealed: 0, .. }) => {}
        Ok(done) => tracing::info!(runs = done.sealed, "finished runs were sealed"),
        Err(error) if error.exit == Exit::Locked => {}
        Err(error) => tracing::warn!(why = %error.message, "finished runs were not sealed"),
    }
}

/// Whether so many runs are live that [`tidy`] is worth opening the journal again.
pub(crate) async fn is_due(journal: &dyn flow_engine::journal::Journal) -> bool {
    let count = async {
        let sealed = journal
            .archived()
            .await?
            .iter()
            .filter(|a| !a.pruned)
            .count();
        Ok::<_, JournalError>(journal.runs().await?.len() - sealed)
    };
    count.await.is_ok_and(|live| live >= ENOUGH)
}
