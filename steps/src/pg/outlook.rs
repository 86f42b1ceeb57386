//! What a rollback would do, found out while everything still runs: services are never stopped for a restore that
//! cannot be made.

use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::planner::Arg;
use flow_engine::run::{GivenOrder, Run};
use flow_engine::signal::Order;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::aside::{self, Aside};
use super::capture::{self, Look};
use super::horizon::{self, Horizon};
use super::manifest::Backup;
use super::scratch::{self, Mark};
use super::state::{self, DbState};
use super::{Baseline, addition, applied, load, proof, restore, space};
use crate::means::host::{Host, Hosts};
use crate::means::kinds;
use crate::means::lease::guard::in_force;
use crate::means::lease::successor::successor;
use crate::means::notes::has_begun;
use crate::means::psql::text::{rows, some_of};
use crate::means::psql::{Database, Pg, PgError};

/// What a rollback of a run would take back and set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The backup's file on the database's host.
    pub backup: String,
    /// When it was taken, by the server's clock.
    pub taken_at: Timestamp,
    /// The database in words.
    pub database: String,
    /// Rows that differ, by table.
    pub rows: Vec<Aside>,
    /// Whether rows and schema are as in the backup, so that there is nothing to restore.
    pub is_same: bool,
    /// Why the rows are not known, when the database cannot be read.
    pub unknown: Option<String>,
}

/// Why there is no outlook. Nothing was stopped or changed.
#[derive(Debug, thiserror::Error)]
pub enum OutlookError {
    /// The restore cannot be made as things are.
    #[error("{0}")]
    Impossible(String),
    /// It could not be found out.
    #[error("{0}")]
    Unknown(String),
}

impl From<PgError> for OutlookError {
    fn from(e: PgError) -> Self {
        match e {
            PgError::Check(_) | PgError::Config(_) | PgError::Damaged(_) => {
                Self::Impossible(e.to_string())
            }
            other => Self::Unknown(other.to_string()),
        }
    }
}

/// Looks at the database a run changed: whether its baseline is there, whole and restores beside what is on the disk, and
/// which rows a rollback would set aside. Makes a scratch database when rows differ, and drops it. Nothing when the run has
/// no baseline or has not changed production.
///
/// # Errors
/// [`OutlookError`]; production was only read.
pub async fn outlook(
    run: &Run,
    hosts: &Hosts,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<Outlook>, OutlookError> {
    let Some((step, backup)) = baseline(run)? else {
        return Ok(None);
    };
    if !has_begun(run, &step.restore_if_started) {
        return Ok(None);
    }
    let host = hosts.get(&step.db.host).map_err(PgError::from)?;
    refuse_successor(run, &*host, &step.db.host).await?;
    let pg = Pg::new(host, step.db.clone())?;
    let id = run.id.as_str();
    let mut found = Outlook {
        backup: backup.path.clone(),
        taken_at: backup.state.taken_at,
        database: step.db.words(),
        rows: Vec::new(),
        is_same: false,
        unknown: None,
    };
    if restore::is_under_way(&pg, id).await? {
        found.unknown = Some("a restore of this run is under way already".into());
        return Ok(Some(found));
    }
    let now = restore::look(&pg).await?;
    if let Ok(now) = &now
        && restore::same(&backup.state, now)
    {
        found.is_same = true;
        return Ok(Some(found));
    }
    possible(&pg, &backup).await?;
    match now {
        Ok(now) => found.rows = differing(&pg, &backup, &now, id, progress).await?,
        Err(why) => found.unknown = Some(why),
    }
    Ok(Some(found))
}

/// Refuses where somebody else released after this run, as its host says: the journal of one machine need not know.
async fn refuse_successor(run: &Run, host: &dyn Host, name: &str) -> Result<(), OutlookError> {
    let unknown = |why: String| OutlookError::Unknown(why);
    let Some(lease) = in_force(run, name).map_err(|e| unknown(e.to_string()))? else {
        return Ok(());
    };
    match successor(host, name, &lease.dir, run).await {
        Ok(None) => Ok(()),
        Ok(Some(other)) => Err(OutlookError::Impossible(
            other.in_words(name, run.id.as_str()),
        )),
        Err(e) => Err(unknown(e.to_string())),
    }
}

/// The run's baseline, when it has one.
pub(super) fn baseline(run: &Run) -> Result<Option<(Baseline, Backup)>, OutlookError> {
    use flow_engine::step::Step as _;
    let odd =
        |why: String| OutlookError::Unknown(format!("the run's baseline cannot be read: {why}"));
    let Some(node) = run
        .plan
        .nodes
        .iter()
        .find(|node| node.kind == kinds::BASELINE)
    else {
        return Ok(None);
    };
    let Some(output) = run.output(&node.key) else {
        return Ok(None);
    };
    let step = Baseline::decode(node.version, &node.params).map_err(|e| odd(e.to_string()))?;
    let backup = serde_json::from_str(output).map_err(|e| odd(e.to_string()))?;
    Ok(Some((step, backup)))
}

/// Whether the backup is there, whole, and a copy of it fits beside the live database.
async fn possible(pg: &Pg, backup: &Backup) -> Result<(), PgError> {
    load::check_file(pg, backup).await?;
    space::check(pg, backup).await
}

async fn differing(
    pg: &Pg,
    backup: &Backup,
    now: &DbState,
    run: &str,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Vec<Aside>, PgError> {
    let name = scratch::name_for("outlook", run);
    let mark = Mark::new(run, "outlook", "loading", "a scratch copy; may be dropped");
    let copy = proof::restore_equal(pg, backup, &name, &mark, progress).await?;
    let found = aside::find(&copy, pg, &backup.state, now).await;
    scratch::drop_own(pg, &name, run).await?;
    found
}

/// Whether there is something to restore; asks while services run when it could not be restored.
async fn can_be_made(
    run: &RunId,
    pg: &Pg,
    backup: &Backup,
    stopped: &Halt,
) -> Result<bool, StepError> {
    let Err(why) = possible(pg, backup).await else {
        return Ok(true);
    };
    if why.is_transient() {
        return Err(why.into());
    }
    let now = restore::look(pg).await?;
    if now.is_ok_and(|now| restore::same(&backup.state, &now)) {
        return Ok(false);
    }
    Err(StepError::ask(format!(
        "{} could not be restored, so nothing was stopped{}: {why}. Services go on with the new release{}",
        pg.db.words(),
        stopped.not(),
        stopped.but()
    ))
    .hint(format!("put that right, then: flow retry {run}"))
    .hint(format!(
        "to take back the rest without the database, for this step and for the restore after it: flow skip {run} STEP --reason …"
    )))
}

/// What the undo of a deploy looks at before it stops anything, where writers have not been let in again: whether the
/// restore can be made, and which rows it would set aside all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeStop {
    /// The database that a rollback restores.
    pub db: Database,
    /// The key of the step whose backup it restores.
    pub baseline: String,
    /// The key of the step that lets writers in: once that was started, its own undo has looked.
    pub opened_by: String,
}

/// Whose services a rollback of several hosts has stopped when it asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Halt {
    /// The host that it asks about, where nothing is stopped yet.
    pub(crate) here: String,
    /// Those whose services are stopped.
    pub(crate) elsewhere: Vec<String>,
}

impl Halt {
    /// Where nothing was stopped, after those words; empty where nothing is stopped anywhere.
    pub(crate) fn not(&self) -> String {
        if self.elsewhere.is_empty() {
            return String::new();
        }
        format!(" on `{}`", self.here)
    }

    /// Where services do not go on, after words that they do.
    pub(crate) fn but(&self) -> String {
        if self.elsewhere.is_empty() {
            return String::new();
        }
        let hosts = self.elsewhere.join("`, `");
        format!(" there; they are STOPPED on `{hosts}`")
    }
}

impl BeforeStop {
    /// Tables with rows that were written in spite of read-only mode after the release's own script had ended, and how
    /// many, in words; nothing when there are none or nothing will be restored. Asks when the restore could not be made.
    pub(crate) async fn rows(&self, cx: &Cx, stopped: &Halt) -> Result<Option<String>, StepError> {
        if cx.run().has_started(&self.opened_by) {
            return Ok(None);
        }
        let Some(backup) = cx.output::<Backup>(&self.baseline)? else {
            return Ok(None);
        };
        let pg = self.db.open(cx)?;
        if restore::is_under_way(&pg, cx.run_id().as_str()).await?
            || !can_be_made(cx.run_id(), &pg, &backup, stopped).await?
        {
            return Ok(None);
        }
        let written = match applied::noted(cx, &self.db) {
            Some(horizon) => horizon::written(&pg, &horizon).await?,
            None => Vec::new(),
        };
        Ok((!written.is_empty()).then(|| some_of(&written, 8)))
    }
}

/// What the undo of the step that lets writers in looks at, before anything is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restorable {
    /// What a rollback would restore.
    pub backup: Arg<Backup>,
}

/// That a person was asked about rows that a restore would set aside: how many orders the run had been given by then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    #[serde(default)]
    pub(crate) orders: Option<usize>,
}

impl Question {
    /// Whether somebody said since that it is to go on.
    pub(crate) fn is_answered(self, orders: &[GivenOrder]) -> bool {
        let since = self.orders.unwrap_or(orders.len());
        let mut later = orders.iter().skip(since);
        later.any(|given| given.order == Order::Retry)
    }
}

impl Restorable {
    /// Refuses while production still runs when the restore could not be made, and asks once before rows that were written
    /// since would be set aside. A rollback that a person ordered has its answer.
    pub(super) async fn check(&self, cx: &Cx, db: &Database) -> Result<String, StepError> {
        let Ok(backup) = cx.arg(&self.backup) else {
            return Ok("there is no baseline to look at".into());
        };
        let pg = db.open(cx)?;
        let run = cx.run_id().as_str();
        if restore::is_under_way(&pg, run).await? {
            return Ok("the restore is under way already".into());
        }
        if !can_be_made(cx.run_id(), &pg, &backup, &Halt::default()).await? {
            return Ok("there is nothing to restore".into());
        }
        let orders = &cx.run().orders;
        let asked: Question = cx.noted()?.unwrap_or_default();
        let ordered = orders.iter().any(|given| given.order == Order::Rollback);
        if ordered || asked.is_answered(orders) {
            return Ok("the backup is there, whole, and fits beside the database".into());
        }
        let horizon = applied::noted(cx, db);
        let written = written(&pg, &backup, horizon.as_ref()).await?;
        if written.is_empty() {
            return Ok("the backup is there, whole and fits; no row was written since".into());
        }
        let orders = Some(orders.len());
        cx.note(&Question { orders }).await?;
        Err(StepError::ask(format!(
            "rows were written after the database accepted writes again ({}); restoring would set them aside, \
             and nobody has said so. Nothing was stopped: services go on with the new release",
            some_of(&written, 8)
        ))
        .hint(format!(
            "to restore all the same (the replaced database is kept, with those rows in it): flow retry {}",
            cx.run_id()
        ))
        .hint(format!(
            "to go on without looking (the restore itself asks again): flow skip {} {} --reason …",
            cx.run_id(),
            cx.key()
        )))
    }
}

/// The table in which the release itself writes down its migrations.
const MIGRATIONS: &str = "._prisma_migrations";

/// Tables whose rows are not as in the backup. Whose rows those of a new table are cannot be told, so they count as
/// customers'; so do values in new columns, those apart that were there before the `horizon`.
pub(super) async fn written(
    pg: &Pg,
    backup: &Backup,
    horizon: Option<&Horizon>,
) -> Result<Vec<String>, PgError> {
    let now = capture::capture(pg, Look::All).await?;
    let then = capture::capture(pg, Look::As(&backup.state)).await?;
    let changed = |(key, before): (&String, &state::TableState)| {
        let own = key.ends_with(MIGRATIONS);
        let same = then
            .tables
            .get(key)
            .is_some_and(|after| before.same_rows(after));
        (!own && !same).then(|| key.clone())
    };
    let mut found: Vec<String> = backup.state.tables.iter().filter_map(changed).collect();
    let new = now.tables.iter().filter(|(key, table)| {
        !backup.state.tables.contains_key(*key) && !key.ends_with(MIGRATIONS) && table.rows > 0
    });
    found.extend(new.map(|(key, table)| format!("{key}, new, {}", rows(table.rows))));
    for (key, was) in &backup.state.tables {
        let is = now.tables.get(key).filter(|_| !found.contains(key));
        let Some(is) = is.filter(|_| !key.ends_with(MIGRATIONS)) else {
            continue;
        };
        let added = addition::find(pg, was, is, horizon).await?;
        if !added.is_empty() {
            let added = addition::in_words(&added);
            found.push(format!("{key}, in new columns: {added}"));
        }
    }
    Ok(found)
}
