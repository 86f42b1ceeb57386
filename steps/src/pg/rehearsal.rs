//! The rollback's own code, run on staging and timed.

use std::time::Instant;

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{self, HOURS, Order, bytes_shown};
use super::capture::{self, Look};
use super::copy_safe::instance;
use super::manifest::{Backup, Compression};
use super::scratch::{self, Mark};
use super::{proof, settings, swap};
use crate::means::psql::{Database, Pg, PgError};

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
    /// A database whose server must be another one: production's. Refused before anything is written when it is not.
    #[serde(default)]
    pub apart_from: Option<Database>,
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
    /// How many rows the restored copy had, over all tables.
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
    let earlier = scratch::find(pg, &old).await?;
    swap::reopen(pg, run, &fresh, &old).await?;
    let backup = backup::take_for_copy(pg, order).await?;
    if backup.state.rows() == 0 {
        return Err(PgError::Check(format!(
            "{} holds no row: restoring it rehearses nothing",
            pg.db.words()
        )));
    }
    let restore_seconds = if let Some(found) = earlier {
        let timed = found.mark().and_then(|mark| timed(&mark, &backup));
        timed.ok_or_else(|| {
            PgError::Check(format!(
                "`{old}` was replaced by an earlier life of this rehearsal, but not from the backup `{}`: what was \
                 restored then is not known. Look at both, then start over",
                backup.path
            ))
        })?
    } else {
        let restoring = Instant::now();
        let mark = Mark::new(
            run,
            "rehearsal",
            "loading",
            "a scratch copy; may be dropped",
        );
        proof::restore_equal(pg, &backup, &fresh, &mark, order.progress).await?;
        let comment = settings::copy(pg, &pg.db.name, &fresh).await?;
        let seconds = restoring.elapsed().as_secs();
        let note = format!("{seconds} s from {}", backup.sha256);
        let mark = Mark::new(run, "replaced", "replaced", &note);
        swap::swap(pg, &fresh, &old, &mark, comment.as_deref()).await?;
        restoring.elapsed().as_secs()
    };
    let now = capture::capture(pg, Look::As(&backup.state)).await?;
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
        restore_seconds,
        raw_bytes: backup.raw_bytes,
        rows: backup.state.rows(),
        passed_at: now.taken_at,
        path: backup.path,
    })
}

/// How long the restore took that an earlier life finished, when it was of this very backup.
fn timed(mark: &Mark, backup: &Backup) -> Option<u64> {
    let (seconds, sha256) = mark.note.split_once(" s from ")?;
    (sha256 == backup.sha256).then(|| seconds.parse().ok())?
}

/// Rehearsing on production's own server would end its sessions' neighbours and fill its disk.
async fn keep_apart(pg: &Pg, other: &Pg) -> Result<(), StepError> {
    if instance(pg).await? != instance(other).await? {
        return Ok(());
    }
    Err(StepError::refuse(format!(
        "{} and {} are on the same server: a rehearsal there is one on production; nothing was changed",
        pg.db.words(),
        other.db.words()
    ))
    .hint("name staging's own server in the configuration"))
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
        let pg = self.db.begin(cx).await?;
        if let Some(other) = &self.apart_from {
            keep_apart(&pg, &other.open(cx)?).await?;
        }
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
