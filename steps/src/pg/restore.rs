//! Taking a database back to a backup: the protocol's "restore", made of stages that can each be killed and begun
//! again. Where it stands is read from the server: which databases exist, and what flow wrote as their comments.

use serde::{Deserialize, Serialize};

use super::backup::{self, Backup, Compression, Order};
use super::drill::{self, Columns};
use super::proof;
use super::scratch::{self, Mark};
use super::state::{self, DbState, Look};
use super::swap;
use super::text::{database_name, some_of};
use super::{Pg, PgError, settings};

/// What to take back to, and where the failed state is dumped to.
pub(crate) struct Plan<'a> {
    pub(crate) backup: &'a Backup,
    pub(crate) dir: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) run: &'a str,
    pub(crate) progress: &'a (dyn Fn(u64) + Send + Sync),
}

/// What was found out about the failed state before it was replaced; kept in the comment of its database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Autopsy {
    /// The dump of the failed state, or why there is none.
    pub(crate) dump: String,
    /// Rows that exist only in the kept database, by table.
    pub(crate) only_there: Vec<(String, u64)>,
}

impl Autopsy {
    fn in_words(&self) -> String {
        let total: u64 = self.only_there.iter().map(|(_, n)| n).sum();
        if total == 0 {
            return format!("no row exists only there; dump of it: {}", self.dump);
        }
        let names: Vec<String> = self
            .only_there
            .iter()
            .map(|(t, n)| format!("{t} {n}"))
            .collect();
        format!(
            "{total} rows exist only there ({}); dump of it: {}",
            some_of(&names, 8),
            self.dump
        )
    }
}

/// The name the replaced database is kept under.
pub(crate) fn failed_name(live: &str, run: &str) -> String {
    database_name(&format!("{live}_failed"), run)
}

/// Whether an earlier life had the restored copy ready, or had put it in place: then what was to be asked was asked.
pub(crate) async fn is_under_way(pg: &Pg, run: &str) -> Result<bool, PgError> {
    let replaced = scratch::find(pg, &failed_name(&pg.db.name, run)).await?;
    let fresh = scratch::find(pg, &scratch::name_for("restore", run)).await?;
    let ready = fresh
        .and_then(|found| found.mark())
        .is_some_and(|mark| mark.run == run && mark.stage == "ready");
    Ok(replaced.is_some() || ready)
}

/// Takes the database back. Says in words what was done; run again after it was done, it says the same.
pub(crate) async fn restore(pg: &Pg, plan: &Plan<'_>) -> Result<String, PgError> {
    let live = pg.db.name.clone();
    let failed = failed_name(&live, plan.run);
    let fresh = scratch::name_for("restore", plan.run);
    if let Some(found) = scratch::find(pg, &failed).await? {
        return finish(pg, plan, &failed, found.mark()).await;
    }
    let Some(found) = scratch::find(pg, &live).await? else {
        return Err(PgError::Check(format!(
            "there is neither a database `{live}` nor `{failed}`; nothing was changed"
        )));
    };
    let ready = scratch::find(pg, &fresh).await?.and_then(|f| f.mark());
    let ready = ready.filter(|m| m.run == plan.run && m.stage == "ready");
    if let Some(mark) = ready {
        return switch(pg, plan, &fresh, &failed, &mark).await;
    }
    if !found.connectable {
        return Err(PgError::Check(format!(
            "database `{live}` does not accept connections, and no restored copy is ready; nothing was changed"
        )));
    }
    let now = state::capture(pg, Look::All).await;
    if let Ok(now) = &now
        && same(&plan.backup.state, now)
    {
        return Ok(format!(
            "nothing to restore: all {} tables and the schema of `{live}` are as in the backup",
            now.tables.len()
        ));
    }
    let dump = dump_failed(pg, plan).await?;
    let mark = Mark::new(plan.run, "restore", "loading", "");
    let copy = proof::restore_equal(pg, plan.backup, &fresh, &mark, plan.progress).await?;
    let only_there = match &now {
        Ok(now) => only_there(&copy, pg, &plan.backup.state, now).await?,
        Err(_) => Vec::new(),
    };
    let autopsy = Autopsy { dump, only_there };
    let note = serde_json::to_string(&autopsy)
        .map_err(|e| PgError::Check(format!("a note cannot be written: {e}")))?;
    let mark = Mark::new(plan.run, "restore", "ready", &note);
    pg.maintenance().query(&mark.sql(&fresh)?).await?;
    switch(pg, plan, &fresh, &failed, &mark).await
}

/// Rows and schema equal: then there is nothing a restore could bring back.
pub(crate) fn same(before: &DbState, now: &DbState) -> bool {
    before.system_identifier == now.system_identifier
        && before.schema_digest == now.schema_digest
        && before.differences(now, true).is_empty()
}

/// Dumps what is there now. A dump that fails does not stop the restore, because the whole database is kept anyway;
/// a connection that fails does.
async fn dump_failed(pg: &Pg, plan: &Plan<'_>) -> Result<String, PgError> {
    let made_by = format!("{}/failed-state", plan.run);
    let prefix = format!("{}-failed", plan.prefix);
    let order = Order {
        dir: plan.dir,
        prefix: &prefix,
        compression: Compression::Zstd,
        min_free_bytes: 0,
        critical: &[],
        made_by: &made_by,
        progress: plan.progress,
    };
    match backup::take(pg, &order).await {
        Ok(dump) => Ok(dump.path),
        Err(e) if e.is_transient() => Err(e),
        Err(e) => Ok(format!(
            "none ({})",
            e.to_string().chars().take(200).collect::<String>()
        )),
    }
}

async fn only_there(
    copy: &Pg,
    live: &Pg,
    before: &DbState,
    now: &DbState,
) -> Result<Vec<(String, u64)>, PgError> {
    let mut found = Vec::new();
    for (key, is) in &now.tables {
        let rows = match before.tables.get(key) {
            None => is.rows,
            Some(was) if was.same_rows(is) => 0,
            // Without the same key rows cannot be told from one another; the number is then only the surplus.
            Some(was) if was.key != is.key => is.rows.saturating_sub(was.rows),
            Some(was) => {
                let names = |t: &state::TableState| {
                    t.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>()
                };
                let now_has = names(is);
                let columns = Columns {
                    names: names(was)
                        .into_iter()
                        .filter(|c| now_has.contains(c))
                        .collect(),
                    key: was.key.clone(),
                };
                if columns.key.is_empty() && columns.names.len() != was.columns.len() {
                    is.rows.saturating_sub(was.rows)
                } else {
                    drill::drill(copy, live, (was, is), &columns, true)
                        .await?
                        .new
                }
            }
        };
        if rows > 0 {
            found.push((key.clone(), rows));
        }
    }
    Ok(found)
}

/// From a proven copy to the swapped database.
async fn switch(
    pg: &Pg,
    plan: &Plan<'_>,
    fresh: &str,
    failed: &str,
    mark: &Mark,
) -> Result<String, PgError> {
    let comment = settings::copy(pg, &pg.db.name, fresh).await?;
    let old = Mark::new(plan.run, "failed", "replaced", &mark.note);
    swap::swap(pg, fresh, failed, &old, comment.as_deref()).await?;
    finish(pg, plan, failed, Some(old)).await
}

/// What must hold once the names are swapped.
async fn finish(
    pg: &Pg,
    plan: &Plan<'_>,
    failed: &str,
    mark: Option<Mark>,
) -> Result<String, PgError> {
    let Some(mark) = mark.filter(|m| m.run == plan.run && m.purpose == "failed") else {
        return Err(PgError::Check(format!(
            "a database `{failed}` exists that flow did not put there in this run; nothing was changed. Rename it and try again"
        )));
    };
    if scratch::find(pg, &pg.db.name).await?.is_none() {
        return Err(PgError::Check(format!(
            "database `{}` does not exist, while its failed state is kept as `{failed}`; nothing was changed",
            pg.db.name
        )));
    }
    swap::keep(pg, failed).await?;
    let autopsy: Autopsy = serde_json::from_str(&mark.note).unwrap_or_default();
    Ok(format!(
        "`{}` restored from {}: {} tables, {} rows, equal to the backup; the failed database is kept as `{failed}`; {}",
        pg.db.name,
        plan.backup.path,
        plan.backup.state.tables.len(),
        plan.backup.state.rows(),
        autopsy.in_words()
    ))
}
