//! Taking a database back to a backup: the protocol's "restore", made of stages that can each be killed and begun
//! again. Where it stands is read from the server: which databases exist, and what flow wrote as their comments.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::aside::{self, Aside};
use super::backup::{self, Order};
use super::capture::{self, Look};
use super::manifest::{Backup, Compression};
use super::scratch::{self, Mark};
use super::state::DbState;
use super::{proof, settings, shape, swap};
use crate::means::psql::text::{database_name, some_of};
use crate::means::psql::{Pg, PgError};
use crate::means::read_only;

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
    /// Rows that exist only in the kept database, by table; in notes of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) only_there: Vec<(String, u64)>,
    /// Rows that were inserted, updated or deleted in the kept database, by table.
    #[serde(default)]
    pub(crate) aside: Vec<Aside>,
    /// Why it is not known what exists only there.
    #[serde(default)]
    pub(crate) unknown: Option<String>,
    /// A digest of what was looked at. Anything else found there later came after the dump.
    #[serde(default)]
    pub(crate) seen: String,
}

impl Autopsy {
    fn in_words(&self) -> String {
        if let Some(why) = &self.unknown {
            return format!(
                "WHAT EXISTS ONLY THERE IS NOT KNOWN, it could not be read ({why}); dump of it: {}",
                self.dump
            );
        }
        let earlier = self.only_there.iter().map(|(table, inserted)| Aside {
            table: table.clone(),
            inserted: *inserted,
            ..Aside::default()
        });
        let all: Vec<Aside> = self.aside.iter().cloned().chain(earlier).collect();
        format!("{}; dump of it: {}", aside::in_words(&all), self.dump)
    }
}

/// The name the replaced database is kept under.
pub(crate) fn failed_name(live: &str, run: &str) -> String {
    database_name(&format!("{live}_failed"), run)
}

/// Whether an earlier life had put the copy in place or had closed the live database for that: then what was to be
/// asked was asked, and nobody has written since.
pub(crate) async fn is_under_way(pg: &Pg, run: &str) -> Result<bool, PgError> {
    if is_replaced(pg, run).await? {
        return Ok(true);
    }
    let live = scratch::find(pg, &pg.db.name).await?;
    let closed = live.is_some_and(|live| !live.connectable);
    Ok(closed && ready(pg, run).await?.is_some())
}

async fn is_replaced(pg: &Pg, run: &str) -> Result<bool, PgError> {
    let failed = failed_name(&pg.db.name, run);
    Ok(scratch::find(pg, &failed).await?.is_some())
}

/// The mark of this run's proven copy, when it waits for the swap.
async fn ready(pg: &Pg, run: &str) -> Result<Option<Mark>, PgError> {
    let fresh = scratch::find(pg, &scratch::name_for("restore", run)).await?;
    let mark = fresh.and_then(|found| found.mark());
    Ok(mark.filter(|mark| mark.run == run && mark.stage == "ready"))
}

/// Writers held off a database that is to be replaced: what they wrote after it was looked at would be in the kept one
/// only, and nobody would be told.
pub(crate) struct Hold {
    /// The read-only setting to put back when the database is not replaced; nothing when writers were held off before.
    put_back: Option<Was>,
}

/// A database's own read-only setting, if it had one.
struct Was(Option<String>);

/// Makes the live database read-only and ends its sessions. Not one that was replaced already or does not exist. Run in
/// a later life it finds the mode on, and then leaves it on in the end: the undo of the freeze comes after it.
pub(crate) async fn hold(pg: &Pg, run: &str) -> Result<Hold, PgError> {
    let nothing = Hold { put_back: None };
    let live = scratch::find(pg, &pg.db.name).await?;
    if live.is_none() || is_replaced(pg, run).await? {
        return Ok(nothing);
    }
    let was = read_only::setting(pg).await?;
    let hold = match was {
        Some((_, true)) => nothing,
        off => Hold {
            put_back: Some(Was(off.map(|(value, _)| value))),
        },
    };
    match read_only::shut(pg).await {
        Ok(_) => Ok(hold),
        Err(e) => {
            hold.let_go(pg, run).await?;
            Err(e)
        }
    }
}

impl Hold {
    /// Opens the database for writing again, if it was open before and is still the live one.
    pub(crate) async fn let_go(self, pg: &Pg, run: &str) -> Result<(), PgError> {
        let Some(Was(was)) = self.put_back else {
            return Ok(());
        };
        if is_replaced(pg, run).await? {
            return Ok(());
        }
        read_only::put_back(pg, was.as_deref()).await?;
        Ok(())
    }
}

/// Takes the database back while the caller [`hold`]s writers off. Says in words what was done; run again after it was
/// done, it says the same.
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
    let waiting = ready(pg, plan.run).await?;
    if let (Some(mark), false) = (&waiting, found.connectable) {
        // Closed after the last look: nobody wrote since.
        return switch(pg, plan, &fresh, &failed, mark).await;
    }
    if !found.connectable {
        return Err(PgError::Check(format!(
            "database `{live}` does not accept connections, and no restored copy is ready; nothing was changed"
        )));
    }
    let now = look(pg).await?;
    if let Ok(now) = &now
        && same(&plan.backup.state, now)
    {
        return Ok(format!(
            "nothing to restore: all {} tables and the schema of `{live}` are as in the backup",
            now.tables.len()
        ));
    }
    let seen = seen(&now);
    let mark = match waiting.filter(|mark| autopsy(mark).seen == seen) {
        Some(mark) => mark,
        None => prepare(pg, plan, &fresh, &now).await?,
    };
    if self::seen(&look(pg).await?) != seen {
        return Err(PgError::Check(format!(
            "`{live}` was written to although it is read-only: a session there overrides that. It is as it was, the restored copy waits as `{fresh}`; end that writer and try again"
        )));
    }
    switch(pg, plan, &fresh, &failed, &mark).await
}

/// What the failed database holds, or why it cannot be read: damage is no reason to stay with it, since it is kept.
/// A connection that breaks is an error.
pub(crate) async fn look(pg: &Pg) -> Result<Result<DbState, String>, PgError> {
    match capture::capture(pg, Look::All).await {
        Ok(now) => Ok(Ok(now)),
        Err(e) if e.is_transient() => Err(e),
        Err(e) => Ok(Err(e.to_string().chars().take(200).collect())),
    }
}

/// A digest of everything a look found.
fn seen(now: &Result<DbState, String>) -> String {
    let Ok(now) = now else {
        return "unreadable".into();
    };
    let mut hasher = Sha256::new();
    hasher.update(&now.schema_digest);
    for (key, table) in &now.tables {
        hasher.update(format!(
            "\0{key}\0{}\0{}\0{}",
            table.rows, table.keys_hash, table.rows_hash
        ));
    }
    hex::encode(hasher.finalize())
}

fn autopsy(mark: &Mark) -> Autopsy {
    serde_json::from_str(&mark.note).unwrap_or_default()
}

/// Dumps the failed state and makes a proven copy of the backup ready beside it.
async fn prepare(
    pg: &Pg,
    plan: &Plan<'_>,
    fresh: &str,
    now: &Result<DbState, String>,
) -> Result<Mark, PgError> {
    let seen = seen(now);
    let dump = dump_failed(pg, plan, &seen).await?;
    let mark = Mark::new(plan.run, "restore", "loading", "");
    let copy = proof::restore_equal(pg, plan.backup, fresh, &mark, plan.progress).await?;
    let mut autopsy = Autopsy {
        dump,
        seen,
        ..Autopsy::default()
    };
    match now {
        Ok(now) => autopsy.aside = aside::find(&copy, pg, &plan.backup.state, now).await?,
        Err(why) => autopsy.unknown = Some(why.clone()),
    }
    let note = serde_json::to_string(&autopsy)
        .map_err(|e| PgError::Check(format!("a note cannot be written: {e}")))?;
    let mark = Mark::new(plan.run, "restore", "ready", &note);
    pg.maintenance().query(&mark.sql(fresh)?).await?;
    Ok(mark)
}

/// Rows and shape equal, and no sequence behind: then there is nothing a restore could bring back. A sequence that
/// is ahead has lost nothing. What an older state did not record is not compared.
pub(crate) fn same(before: &DbState, now: &DbState) -> bool {
    before.system_identifier == now.system_identifier
        && before.schema_digest == now.schema_digest
        && before.differences(now, true).is_empty()
        && before.shape.changes(&now.shape).is_empty()
        && before.extension_rows == now.extension_rows
        && shape::rewound(&before.sequences, &now.sequences, &now.shape).is_empty()
}

/// The same to the last: a backup of the one is a backup of the other.
pub(crate) fn exactly(before: &DbState, now: &DbState) -> bool {
    same(before, now) && before.sequences == now.sequences
}

/// Dumps what is there now. A dump that fails does not stop the restore, because the whole database is kept anyway;
/// a connection that fails does.
async fn dump_failed(pg: &Pg, plan: &Plan<'_>, seen: &str) -> Result<String, PgError> {
    // What an earlier life dumped counts only while it is what is there now.
    let seen: String = seen.chars().take(12).collect();
    let made_by = format!("{}/failed-state/{seen}", plan.run);
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
    // Where there is no room for both, the copy comes first.
    match backup::take_for_copy(pg, &order).await {
        Ok(dump) => Ok(dump.path),
        Err(e) if e.is_transient() => Err(e),
        Err(e) => Ok(format!(
            "none ({})",
            e.to_string().chars().take(200).collect::<String>()
        )),
    }
}

/// From a proven copy to the swapped database.
async fn switch(
    pg: &Pg,
    plan: &Plan<'_>,
    fresh: &str,
    failed: &str,
    mark: &Mark,
) -> Result<String, PgError> {
    // As before the release, not as the release left them.
    let comment = match backup::plate(pg, plan.backup).await? {
        Some(plate) => settings::give(pg, &plate, fresh).await?,
        None => settings::copy(pg, &pg.db.name, fresh).await?,
    };
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
    let autopsy = autopsy(&mark);
    let put_back = put_back(pg, plan, failed).await?;
    Ok(format!(
        "`{}` restored from {}: {} tables, {} rows, equal to the backup; the failed database is kept as `{failed}`; {}{put_back}",
        pg.db.name,
        plan.backup.path,
        plan.backup.state.tables.len(),
        plan.backup.state.rows(),
        autopsy.in_words()
    ))
}

/// Which of the database's own settings and rights are now as in the backup, and were otherwise.
async fn put_back(pg: &Pg, plan: &Plan<'_>, failed: &str) -> Result<String, PgError> {
    let Some(plate) = backup::plate(pg, plan.backup).await? else {
        return Ok(String::new());
    };
    let odd = plate.differences(&settings::read(pg, failed).await?);
    Ok(match odd.as_slice() {
        [] => String::new(),
        odd => format!("; settings put back with it: {}", some_of(odd, 10)),
    })
}
