//! The runs there are, wherever the journal is open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::id::RunId;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::sled::{OpenOptions, OpenReport, SledJournal};
use flow_engine::journal::{Journal, JournalError};
use flow_engine::retention::{self, RunSummary};
use flow_engine::run::{Run, append_order, append_signal};
use flow_engine::signal::{Actor, Order, Signal};

use crate::control::client::Client;
use crate::control::{Posted, posted};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::view::json;

/// Access to the journal: through the process that has it open, or by opening it.
pub(crate) enum Store {
    /// Another process has it open and answers.
    Remote(Client),
    /// This process has it open.
    Open(Arc<dyn Journal>),
}

/// How long a process that holds the journal is given to let go of it or to answer: a `flow sign` that opens it for a
/// moment, or a driver that is just starting.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// For commands that look, and those that store an answer or an order. A journal that does not exist yet is empty
    /// and is not made.
    pub(crate) async fn open(state: &State) -> Result<Store, Diagnostic> {
        if !state.journal().exists() {
            return Ok(Store::Open(Arc::new(MemoryJournal::default())));
        }
        let began = std::time::Instant::now();
        loop {
            if let Some(client) = Client::connect(&state.socket()).await {
                return Ok(Store::Remote(client));
            }
            match open(&state.journal()).await {
                Ok((journal, _)) => return Ok(Store::Open(Arc::new(journal))),
                Err(JournalError::Locked { .. }) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// For driving: this process must be the one that has it open.
    pub(crate) async fn own(state: &State) -> Result<Arc<dyn Journal>, Diagnostic> {
        crate::control::server::check(&state.socket())?;
        state.create()?;
        let began = std::time::Instant::now();
        loop {
            if let Some(client) = Client::connect(&state.socket()).await {
                return Err(driven_elsewhere(&client));
            }
            match open(&state.journal()).await {
                Ok((journal, report)) => {
                    report_repairs(&report);
                    return Ok(Arc::new(journal));
                }
                Err(JournalError::Locked { .. }) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The journal to read from.
    pub(crate) fn journal(&self) -> &dyn Journal {
        match self {
            Store::Remote(client) => client,
            Store::Open(journal) => &**journal,
        }
    }

    /// The run that another process drives now.
    pub(crate) fn driven(&self) -> Option<&str> {
        match self {
            Store::Remote(client) => Some(&client.server.driving),
            Store::Open(_) => None,
        }
    }

    /// Stores an answer. A repeated one changes nothing.
    pub(crate) async fn signal(&self, run: &mut Run, signal: Signal) -> Result<Posted, Diagnostic> {
        match self {
            Store::Remote(client) => client.signal(&run.id, &signal).await,
            Store::Open(journal) => posted(append_signal(&**journal, run, signal).await),
        }
    }

    /// Stores an order.
    pub(crate) async fn order(
        &self,
        run: &mut Run,
        order: Order,
        by: Actor,
        reason: &str,
    ) -> Result<Posted, Diagnostic> {
        match self {
            Store::Remote(client) => client.order(&run.id, order, by, reason).await,
            Store::Open(journal) => {
                let at = SystemClock.now();
                posted(append_order(&**journal, run, order, by, reason, at).await)
            }
        }
    }

    /// The runs that may still change, newest first: every unfinished one is among them.
    pub(crate) async fn runs(&self) -> Result<Vec<Run>, Diagnostic> {
        all(self.journal()).await
    }

    /// All runs in short, sealed and pruned ones too, newest first.
    pub(crate) async fn summaries(&self) -> Result<Vec<RunSummary>, Diagnostic> {
        Ok(retention::summaries(self.journal()).await?)
    }

    /// The run that a person named: an id, the beginning of one, or `latest`.
    pub(crate) async fn find(&self, named: &str) -> Result<Run, Diagnostic> {
        let id = self.resolve(named).await?;
        Ok(Run::load(self.journal(), &id).await?)
    }

    async fn resolve(&self, named: &str) -> Result<RunId, Diagnostic> {
        if named == "latest" {
            let newest = self.summaries().await?.into_iter().next();
            return newest.map(|run| run.id).ok_or_else(no_runs);
        }
        let mut ids = self.journal().runs().await?;
        let archived = self.journal().archived().await?;
        ids.extend(archived.into_iter().filter(|a| a.pruned).map(|a| a.run));
        if let Some(exact) = ids.iter().find(|id| id.as_str() == named) {
            return Ok(exact.clone());
        }
        let mut matching = ids.iter().filter(|id| id.as_str().starts_with(named));
        match (matching.next(), matching.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) if ids.is_empty() => Err(no_runs()),
            (None, _) => Err(Diagnostic::usage(format!("there is no run `{named}`"))
                .hint("flow list     show the runs there are")),
            (Some(_), Some(_)) => {
                let matching = ids.iter().filter(|id| id.as_str().starts_with(named));
                let fitting: Vec<_> = matching.map(RunId::as_str).collect();
                Err(Diagnostic::usage(format!(
                    "`{named}` may be any of {}",
                    fitting.join(", ")
                )))
            }
        }
    }
}

/// The runs of a journal's live store, newest first.
pub(crate) async fn all(journal: &dyn Journal) -> Result<Vec<Run>, Diagnostic> {
    Ok(retention::live(journal).await?)
}

/// All runs as `flow list` shows them, newest first.
pub(crate) async fn list(journal: &dyn Journal) -> Result<Vec<json::Summary>, Diagnostic> {
    let mut live: BTreeMap<RunId, Run> = all(journal)
        .await?
        .into_iter()
        .map(|run| (run.id.clone(), run))
        .collect();
    let all = retention::summaries(journal).await?;
    let line = |summary: RunSummary| match live.remove(&summary.id) {
        Some(run) => json::Summary::of(&run),
        None => json::Summary::of_sealed(&summary),
    };
    Ok(all.into_iter().map(line).collect())
}

/// Opens the journal; what was repaired is in the report.
pub(crate) async fn open(dir: &Path) -> Result<(SledJournal, OpenReport), JournalError> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || SledJournal::open(&dir, &OpenOptions::default()))
        .await
        .map_err(|e| JournalError::Broken(format!("opening it did not end: {e}")))?
}

fn report_repairs(report: &OpenReport) {
    for repair in &report.repaired {
        tracing::warn!(
            what = %repair.what,
            from = %repair.from,
            records = repair.records,
            "the journal was damaged and is whole again"
        );
    }
}

fn no_runs() -> Diagnostic {
    Diagnostic::usage("there are no runs yet").hint("flow start")
}

fn driven_elsewhere(client: &Client) -> Diagnostic {
    let run = &client.server.driving;
    Diagnostic::new(
        Exit::Locked,
        format!("run {run} is being driven by {}", client.server.holder),
    )
    .world("That run goes on; this command changed nothing.")
    .hint(format!("flow status {run} --watch     look at it"))
}
