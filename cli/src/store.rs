//! The runs there are, wherever the journal is open.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow_engine::clock::{Stopwatch, Timestamp};
use flow_engine::id::RunId;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::sled::{ClosedJournal, Holder, OpenOptions, OpenReport, SledJournal};
use flow_engine::journal::{Journal, JournalError};
use flow_engine::run::{Run, append_order, append_signal};
use flow_engine::signal::{Actor, Order, Signal};

use crate::control::client::Client;
use crate::control::{Receipt, posted};
use crate::diagnostic::Diagnostic;
use crate::driver::{Driver, Occupant};
use crate::exit::Exit;
use crate::state::State;
use crate::view;

pub(crate) mod take_over;

mod past;

pub(crate) use past::{DamagedRun, LOOK, Past};

/// Access to the journal: through the process that has it open, or by opening it.
pub(crate) enum Store {
    /// Another process has it open and answers.
    Remote(Client),
    /// This process has it open, and no other can open it.
    Held(Arc<dyn Journal>),
    /// It was closed in order, or there is none yet: it is read, and nobody is kept from it.
    Closed(Arc<dyn Journal>),
    /// It can neither be opened nor asked, and is read as it lies on the disk.
    Lying {
        /// What the segments hold.
        journal: Arc<dyn Journal>,
        /// Who has it open.
        holder: Option<Holder>,
    },
}

/// How long a process that holds the journal is given to let go of it or to answer: a `flow sign` that opens it for a
/// moment, or a driver that is just starting.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Whether it was said that the journal is read as it lies. `--watch` and `--follow` look again and again.
static REMARKED: AtomicBool = AtomicBool::new(false);

impl Store {
    /// For commands that store an answer or an order. A journal that does not exist yet is empty and is not made.
    pub(crate) async fn open(state: &State) -> Result<Store, Diagnostic> {
        state.is_ours()?;
        match Store::try_open(state).await {
            Err(error @ JournalError::Locked { .. }) => {
                Err(take_over::busy(state).await.unwrap_or_else(|| error.into()))
            }
            opened => Ok(opened?),
        }
    }

    async fn try_open(state: &State) -> Result<Store, JournalError> {
        if !state.journal().exists() {
            return Ok(Store::Closed(Arc::new(MemoryJournal::default())));
        }
        take_over::no_use_waiting(state)?;
        let began = Stopwatch::start();
        loop {
            if let Some(client) = Client::connect(state).await {
                return Ok(Store::Remote(client));
            }
            match open(&state.journal()).await {
                Ok((journal, report)) => {
                    report_repairs(&report);
                    return Ok(Store::Held(Arc::new(journal)));
                }
                Err(JournalError::Locked { .. }) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// For commands that only look. A journal that was closed in order is read as it lies, and nothing is written; one
    /// that can neither be asked nor opened (its holder stands still, the disk is full or read-only) is read as it lies,
    /// too, and that is said.
    pub(crate) async fn look(state: &State) -> Result<Store, Diagnostic> {
        state.is_ours()?;
        let dir = state.journal();
        let closed = tokio::task::spawn_blocking(move || ClosedJournal::open(&dir)).await;
        if let Ok(Ok(Some(journal))) = closed {
            return Ok(Store::Closed(Arc::new(journal)));
        }
        // Whoever has it open answers, and what is wrong with it is said, where it is opened in full.
        match Store::try_open(state).await {
            Ok(store) => Ok(store),
            Err(error) if may_be_read_all_the_same(&error) => Store::lying(state, error).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn lying(state: &State, why: JournalError) -> Result<Store, Diagnostic> {
        let dir = state.journal();
        let holder = SledJournal::holder(&dir);
        let read = tokio::task::spawn_blocking(move || ClosedJournal::as_it_lies(&dir)).await;
        // Why it cannot be opened says more than why it cannot be read either.
        let Ok(Ok((journal, lacks))) = read else {
            return Err(why.into());
        };
        if !REMARKED.swap(true, Ordering::Relaxed) {
            view::note(&format!(
                "{why}\n  the journal is shown as it lies on the disk; nothing is changed\n"
            ));
            for words in &lacks {
                view::note(&format!("  {words}\n"));
            }
            view::note("\n");
        }
        Ok(Store::Lying {
            journal: Arc::new(journal),
            holder,
        })
    }

    /// Who drives a run, as far as can be told from here.
    pub(crate) fn driver(&self, run: &Run) -> Driver {
        let here = crate::actor::me().from;
        let held = match self {
            Store::Remote(client) => Occupant::Answers {
                driving: &client.server.driving,
                holder: &client.server.holder,
            },
            Store::Lying {
                holder: Some(holder),
                ..
            } => Occupant::Silent(holder),
            Store::Held(_) | Store::Closed(_) | Store::Lying { holder: None, .. } => {
                Occupant::ByNobody { here: &here }
            }
        };
        Driver::of(run, &held)
    }

    /// Refuses a state folder in which nothing can be driven: no socket has room there, or others may look into it.
    pub(crate) fn may_drive(state: &State) -> Result<(), Diagnostic> {
        crate::control::server::check(&state.socket())?;
        state.create()
    }

    /// For driving: this process must be the one that has it open.
    pub(crate) async fn own(state: &State) -> Result<Arc<dyn Journal>, Diagnostic> {
        Store::may_drive(state)?;
        take_over::no_use_waiting(state)?;
        let began = Stopwatch::start();
        loop {
            if let Some(client) = Client::connect(state).await {
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
                Err(error @ JournalError::Locked { .. }) => {
                    return Err(take_over::busy(state).await.unwrap_or_else(|| error.into()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The journal to read from.
    pub(crate) fn journal(&self) -> &dyn Journal {
        match self {
            Store::Remote(client) => client,
            Store::Held(journal) | Store::Closed(journal) | Store::Lying { journal, .. } => {
                &**journal
            }
        }
    }

    /// The run that another process drives now.
    pub(crate) fn driven(&self) -> Option<&str> {
        match self {
            Store::Remote(client) => Some(&client.server.driving),
            Store::Held(_) | Store::Closed(_) | Store::Lying { .. } => None,
        }
    }

    /// Stores an answer. A repeated one changes nothing.
    pub(crate) async fn signal(
        &self,
        run: &mut Run,
        signal: Signal,
    ) -> Result<Receipt, Diagnostic> {
        crate::control::fit_to_store(&signal)?;
        match self {
            Store::Remote(client) => client.signal(&run.id, &signal).await,
            Store::Held(journal) | Store::Closed(journal) | Store::Lying { journal, .. } => {
                posted(append_signal(&**journal, run, signal).await)
            }
        }
    }

    /// Stores an order.
    pub(crate) async fn order(
        &self,
        run: &mut Run,
        order: Order,
        by: Actor,
        (reason, at): (&str, Timestamp),
    ) -> Result<Receipt, Diagnostic> {
        crate::control::fit_reason(reason)?;
        match self {
            Store::Remote(client) => client.order(&run.id, order, by, reason).await,
            Store::Held(journal) | Store::Closed(journal) | Store::Lying { journal, .. } => {
                posted(append_order(&**journal, run, order, by, reason, at).await)
            }
        }
    }

    /// Every run there is a record of: live, sealed and damaged.
    pub(crate) async fn past(&self) -> Result<Past, Diagnostic> {
        Past::of(self.journal()).await
    }

    /// The run that a person named to give it an order or an answer: an id, the beginning of one, or `latest`, which is
    /// refused while a damaged run may be it.
    pub(crate) async fn find(&self, named: &str) -> Result<Run, Diagnostic> {
        if named == "latest" {
            return Past::newest(self.journal(), Past::refuse_latest).await;
        }
        let id = self.resolve(named).await?;
        Ok(Run::load(self.journal(), &id).await?)
    }

    /// The run that a person wants to look at: as [`Store::find`], but a damaged run that is older than the newest one
    /// that can be read is only remarked on. One that may be newer is the answer, and an error: no older run is shown
    /// in its place.
    pub(crate) async fn look_up(&self, named: &str) -> Result<Run, Diagnostic> {
        if named == "latest" {
            return Past::newest(self.journal(), Past::refuse_older).await;
        }
        self.find(named).await
    }

    /// What is known of the damaged run that was named; nothing when that one can be read.
    pub(crate) async fn damaged(&self, named: &str) -> Result<Option<DamagedRun>, Diagnostic> {
        let past = self.past().await?;
        Ok(past.damaged(named).cloned())
    }

    async fn resolve(&self, named: &str) -> Result<RunId, Diagnostic> {
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

/// Opens the journal; what was repaired is in the report. A last commit that was dropped is said by whichever command
/// opens the journal first: the next one does not find it any more.
pub(crate) async fn open(dir: &Path) -> Result<(SledJournal, OpenReport), JournalError> {
    tracing::debug!("the journal is opened");
    let dir = dir.to_owned();
    let opened =
        tokio::task::spawn_blocking(move || SledJournal::open(&dir, &OpenOptions::default()))
            .await
            .map_err(|e| JournalError::Broken(format!("opening it did not end: {e}")))??;
    if let Some(dropped) = &opened.1.dropped {
        tracing::warn!(
            "journal: {dropped}. If the power went while it was written, nothing acted on it; if not, what the run did \
             last may have happened without being recorded: look at `flow status` and at the hosts before `flow resume`"
        );
    }
    Ok(opened)
}

/// Whether what lies on the disk may be shown although the journal does not open: somebody has it, or nothing can be
/// written. Not where records are known to be missing: what is left of them would be taken for all there is.
fn may_be_read_all_the_same(error: &JournalError) -> bool {
    matches!(
        error,
        JournalError::Locked { .. } | JournalError::Unusable { .. } | JournalError::Broken(_)
    )
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
    .hint("where it only waits for people, Ctrl-C there loses nothing and lets this one drive")
}
