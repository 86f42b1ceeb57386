//! The rollback's own code, run on staging and timed.

use std::time::Instant;

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{self, Compression, HOURS, Order, bytes_shown};
use super::scratch::{self, Mark};
use super::state::{self, Look};
use super::{Database, Pg, PgError, proof, settings, swap};

/// Backs a staging database up, restores it into a fresh one, compares, swaps the two by rename as a rollback would,
/// and compares the live one again. The replaced one is dropped only after that. What is written to staging meanwhile
/// is lost; sessions are ended at the swap.
///
/// Killed after the swap, the next life finds the replaced database and goes on from there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreRehearsal {
    /// The staging database.
    pub db: Database,
    /// Where its backup goes; it is kept.
    pub dir: String,
}

/// How long a restore takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// From the beginning of the backup to the verified live database.
    pub seconds: u64,
    /// Of these, the restore, the comparison and the swap: what a rollback takes.
    pub restore_seconds: u64,
    /// The dump's size before compression.
    pub raw_bytes: u64,
    /// Rows restored.
    pub rows: u64,
    /// When it passed, by the database's clock.
    pub passed_at: Timestamp,
    /// The backup that was restored.
    pub path: String,
}

async fn rehearse(pg: &Pg, order: &Order<'_>, run: &str) -> Result<Rehearsal, PgError> {
    let begun = Instant::now();
    let (fresh, old) = (
        scratch::name_for("rehearsal", run),
        scratch::name_for("replaced", run),
    );
    // An earlier life may have swapped already. Its copy was equal to its backup, which this one then finds.
    let swapped = scratch::find(pg, &old).await?.is_some();
    swap::reopen(pg, run, &fresh, &old).await?;
    let backup = backup::take(pg, order).await?;
    let restoring = Instant::now();
    if !swapped {
        let mark = Mark::new(
            run,
            "rehearsal",
            "loading",
            "a scratch copy; may be dropped",
        );
        proof::restore_equal(pg, &backup, &fresh, &mark, order.progress).await?;
        let comment = settings::copy(pg, &pg.db.name, &fresh).await?;
        let mark = Mark::new(run, "replaced", "replaced", "replaced in a rehearsal");
        swap::swap(pg, &fresh, &old, &mark, comment.as_deref()).await?;
    }
    let now = state::capture(pg, Look::As(&backup.state)).await?;
    let lower: Vec<String> = backup
        .state
        .tables
        .iter()
        .filter(|(key, was)| now.tables.get(*key).is_none_or(|is| is.rows < was.rows))
        .map(|(key, _)| key.clone())
        .collect();
    if !lower.is_empty() {
        return Err(PgError::Check(format!(
            "after the swap the live database lacks rows in {}; the replaced one is kept as `{old}`",
            lower.join(", ")
        )));
    }
    scratch::drop_own(pg, &old, run).await?;
    Ok(Rehearsal {
        seconds: begun.elapsed().as_secs(),
        restore_seconds: restoring.elapsed().as_secs(),
        raw_bytes: backup.raw_bytes,
        rows: backup.state.rows(),
        passed_at: now.taken_at,
        path: backup.path,
    })
}

#[async_trait]
impl Step for RestoreRehearsal {
    const KIND: &'static str = "pg.rehearsal";
    type Output = Rehearsal;

    fn summary(&self) -> String {
        format!(
            "rehearse the rollback: back up {}, restore, swap, verify, timed",
            self.db.words()
        )
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<Rehearsal, StepError> {
        let pg = self.db.open(cx)?;
        let progress = bytes_shown(cx);
        let order = Order {
            dir: &self.dir,
            prefix: "rehearsal",
            compression: Compression::Zstd,
            min_free_bytes: 0,
            critical: &[],
            made_by: &cx.idempotency_key(),
            progress: &progress,
        };
        let done = rehearse(&pg, &order, cx.run_id().as_str()).await?;
        cx.log(format!(
            "restored {} rows ({} bytes of dump) in {} s; with the backup {} s",
            done.rows, done.raw_bytes, done.restore_seconds, done.seconds
        ));
        Ok(done)
    }
}
