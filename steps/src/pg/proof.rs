//! A backup is proven only by restoring it.

use std::time::Instant;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{HOURS, bytes_shown};
use super::capture::{self, Look};
use super::manifest::Backup;
use super::scratch::{self, Mark};
use super::shape::Change;
use super::state::DbState;
use super::{load, settings, space};
use crate::means::psql::text::some_of;
use crate::means::psql::{Database, Pg, PgError};
use crate::means::reports::backup::Proof;

/// Restores a backup into a scratch database and compares every table with what was counted and hashed in the
/// snapshot the backup was taken in. The scratch database is dropped at the end, whatever comes out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreProof {
    /// The database that was backed up; the scratch database is made beside it.
    pub db: Database,
    /// What is restored: a file on this database's host, with the state it must give.
    pub backup: Arg<Backup>,
}

/// Restores into a database of that name and compares. On success the database stays, for the caller to use or drop;
/// on failure it is dropped.
pub(crate) async fn restore_equal(
    pg: &Pg,
    backup: &Backup,
    name: &str,
    mark: &Mark,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Pg, PgError> {
    load::check_file(pg, backup).await?;
    // What an earlier life left takes room as well.
    scratch::drop_own(pg, name, &mark.run).await?;
    space::check(pg, backup).await?;
    let target = scratch::create(pg, &pg.db.name, name, mark).await?;
    match fill(&target, backup, progress).await {
        Ok(()) => Ok(target),
        Err(e) => {
            // What went wrong is the news; the next attempt drops it as well.
            drop(scratch::drop_own(pg, name, &mark.run).await);
            Err(e)
        }
    }
}

async fn fill(
    target: &Pg,
    backup: &Backup,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), PgError> {
    load::load(target, backup, progress).await?;
    let restored = capture::capture(target, Look::All).await?;
    let odd = backup.state.differences(&restored, true);
    if !odd.is_empty() {
        return Err(PgError::Damaged(format!(
            "the restored copy of `{}` is not what was backed up: {}",
            backup.path,
            some_of(&odd, 10)
        )));
    }
    let other = other_shape(&backup.state, &restored);
    if !other.is_empty() {
        return Err(PgError::Check(format!(
            "the restored copy of `{}` holds the same rows, but its schema is another one: {}. Where the database has not \
             changed since, another backup cannot help",
            backup.path,
            some_of(&other, 10)
        )));
    }
    Ok(())
}

/// What a dump and a restore keep letter by letter, and whoever restores may do: rights of roles may need more rights than
/// the role that restores has.
const KEPT: [&str; 13] = [
    "table",
    "view",
    "materialized view",
    "foreign table",
    "sequence",
    "column",
    "index",
    "constraint",
    "trigger",
    "policy",
    "type",
    "function",
    "schema",
];

/// What is not as it was recorded, by name. An index that is not valid is not in a dump, and no loss.
fn other_shape(was: &DbState, now: &DbState) -> Vec<String> {
    if was.shape.is_empty() {
        let same = was.shape_digest == now.shape_digest;
        let words = "columns, constraints, indexes, triggers, functions or extensions";
        return if same {
            Vec::new()
        } else {
            vec![words.to_owned()]
        };
    }
    let changes = was.shape.changes(&now.shape);
    let kept = changes.iter().filter(|change| {
        let reworded = change.was.as_ref().map(|t| &t.is) == change.now.as_ref().map(|t| &t.is);
        // An extension comes back in the version that the server has.
        let other_version = change.was.is_some() && change.now.is_some();
        let counts = KEPT.iter().any(|kind| change.is_of(kind))
            || (change.is_of("extension") && !other_version);
        !reworded && counts
    });
    kept.map(Change::in_words).collect()
}

/// The whole proof.
pub(crate) async fn prove(
    pg: &Pg,
    backup: &Backup,
    run: &str,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Proof, PgError> {
    let begun = Instant::now();
    let name = scratch::name_for("proof", run);
    let mark = Mark::new(run, "proof", "loading", "a scratch copy; may be dropped");
    restore_equal(pg, backup, &name, &mark, progress).await?;
    // A restore copies them as well: what this role may not copy is found now, not in the rollback.
    let plate = settings::copy(pg, &pg.db.name, &name).await;
    scratch::drop_own(pg, &name, run).await?;
    plate?;
    Ok(Proof {
        path: backup.path.clone(),
        sha256: backup.sha256.clone(),
        seconds: begun.elapsed().as_secs(),
        tables: backup.state.tables.len(),
        rows: backup.state.rows(),
    })
}

/// Says "take a new backup" only where that can help.
fn hinted(e: PgError) -> StepError {
    let hint = match &e {
        PgError::Damaged(_) => "take a new backup; do not go to production without a proven one",
        _ => "production was only read, and the backup is kept; do not go on without a proven one",
    };
    StepError::from(e).hint(hint)
}

#[async_trait]
impl Step for RestoreProof {
    const KIND: &'static str = "pg.restore-proof";
    type Output = Proof;

    fn summary(&self) -> String {
        format!(
            "prove the backup of {} by restoring it into a scratch database",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("drop the scratch database".into())
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<Proof, StepError> {
        let backup = cx.arg(&self.backup)?;
        let pg = self.db.begin(cx).await?;
        let proof = prove(&pg, &backup, cx.run_id().as_str(), &bytes_shown(cx))
            .await
            .map_err(hinted)?;
        cx.log(format!(
            "{}: restored and equal, {} rows in {} tables, {} s",
            proof.path, proof.rows, proof.tables, proof.seconds
        ));
        Ok(proof)
    }

    async fn undo(&self, cx: &Cx, _: Option<Proof>) -> Result<String, StepError> {
        let pg = self.db.open(cx)?;
        let run = cx.run_id().as_str();
        scratch::drop_own(&pg, &scratch::name_for("proof", run), run).await?;
        Ok("there is no scratch database of this run".into())
    }
}
