//! A backup: a plain dump of one snapshot, compressed, beside a manifest that says what is in it.

use std::time::Instant;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Progress, Step, StepError};
use serde::{Deserialize, Serialize};

use super::capture::{self, Look};
use super::dump::{self, Dumped};
use super::manifest::{Backup, Compression, Manifest};
use super::settings::{self, Plate};
use super::space::{self, Sizes};
use crate::means::psql::text::{check_dir, check_prefix, table_key};
use crate::means::psql::{Database, Pg, PgError};

/// The longest a step that moves a whole database may take, in seconds.
pub(crate) const HOURS: u64 = 6 * 3600;

/// Takes a backup of one database into a file on its host.
///
/// The counts and fingerprints of every table are taken in the very snapshot that is dumped. The file has mode 0600,
/// is written under another name, synced and renamed. Run again after a crash: a finished file of the same run and
/// step is taken as it is once its digest is confirmed; an unfinished one is thrown away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeBackup {
    /// What to back up.
    pub db: Database,
    /// The folder on the host, best on another disk than the database.
    pub dir: String,
    /// What the file's name starts with.
    pub prefix: String,
    /// Tables that must exist, as `table` or `schema.table`.
    #[serde(default)]
    pub critical: Vec<String>,
    /// How to compress.
    #[serde(default)]
    pub compression: Compression,
    /// How many bytes must be free in the folder before it begins.
    pub min_free_bytes: u64,
}

/// Where and how to back up, and for whom.
pub(crate) struct Order<'a> {
    pub(crate) dir: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) compression: Compression,
    pub(crate) min_free_bytes: u64,
    pub(crate) critical: &'a [String],
    /// The idempotency key.
    pub(crate) made_by: &'a str,
    pub(crate) progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl Order<'_> {
    fn name(&self) -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let key: String = self.made_by.chars().map(legal).collect();
        format!("{}-{key}.{}", self.prefix, self.compression.suffix())
    }
}

/// Takes a backup, or finds the one this run and step already finished.
pub(crate) async fn take(pg: &Pg, order: &Order<'_>) -> Result<Backup, PgError> {
    match already(pg, order).await? {
        Some(done) => Ok(done),
        None => take_anew(pg, order, false).await,
    }
}

/// As [`take`], when a copy of the database is made from it next: room for both is asked for first.
pub(crate) async fn take_for_copy(pg: &Pg, order: &Order<'_>) -> Result<Backup, PgError> {
    match already(pg, order).await? {
        Some(done) => Ok(done),
        None => take_anew(pg, order, true).await,
    }
}

async fn already(pg: &Pg, order: &Order<'_>) -> Result<Option<Backup>, PgError> {
    check_dir(order.dir)?;
    check_prefix(order.prefix)?;
    pg.prepare_dir(order.dir).await?;
    let path = format!("{}/{}", order.dir, order.name());
    finished(pg, &path, order.made_by).await
}

/// Takes a backup of what is there now, whatever this run and step took before. With `copy`, room for a copy of the
/// database beside it is asked for before the first byte is written, too.
pub(crate) async fn take_anew(pg: &Pg, order: &Order<'_>, copy: bool) -> Result<Backup, PgError> {
    check_dir(order.dir)?;
    check_prefix(order.prefix)?;
    let free = pg.prepare_dir(order.dir).await?;
    let path = format!("{}/{}", order.dir, order.name());
    space::before_dump(pg, order.dir, previous(pg, order).await, copy).await?;
    if free < order.min_free_bytes {
        return Err(PgError::Check(format!(
            "`{}` has {free} bytes free, {} are wanted before a backup; nothing was written",
            order.dir, order.min_free_bytes
        )));
    }
    let part = format!("{path}.part");
    match fresh(pg, order, &path, &part).await {
        Ok(backup) => Ok(backup),
        Err(e) => {
            // The first error is the one to tell; a left-over part is thrown away by the next attempt as well.
            drop(pg.remove(&part).await);
            Err(e)
        }
    }
}

async fn fresh(pg: &Pg, order: &Order<'_>, path: &str, part: &str) -> Result<Backup, PgError> {
    let begun = Instant::now();
    let version =
        crate::means::host::HostExt::run(&*pg.host, &pg.tool("pg_dump").arg("--version")).await?;
    let previous = previous(pg, order).await.map(|last| last.raw_bytes);
    let mut snapshot = capture::snapshot(pg).await?;
    let state = capture::capture_in(pg, &mut snapshot.session, Look::All).await?;
    let plate = settings::of_session(&mut snapshot.session).await?;
    let missing = order.critical.iter().map(|t| table_key(t));
    let missing: Vec<_> = missing.filter(|t| !state.tables.contains_key(t)).collect();
    if !missing.is_empty() {
        return Err(PgError::Check(format!(
            "the configuration calls tables critical that do not exist: {}",
            missing.join(", ")
        )));
    }
    let name = snapshot.name.clone();
    let dumped: Dumped =
        dump::dump(pg, &name, &state, part, order.compression, order.progress).await?;
    // Had the snapshot's session died meanwhile, this would say so.
    snapshot.session.ask("SELECT 1;").await?;
    snapshot.session.close().await?;
    let backup = Backup {
        path: path.to_owned(),
        bytes: dumped.bytes,
        raw_bytes: dumped.raw_bytes,
        sha256: dumped.sha256,
        raw_sha256: dumped.raw_sha256,
        compression: order.compression,
        seconds: begun.elapsed().as_secs(),
        tool_version: version.chars().take(200).collect(),
        previous_raw_bytes: previous,
        state,
    };
    pg.publish(part, path, order.dir).await?;
    let manifest = Manifest {
        format: 1,
        made_by: order.made_by.to_owned(),
        plate,
        backup,
    };
    let json = serde_json::to_vec(&manifest)
        .map_err(|e| PgError::Check(format!("the manifest cannot be written: {e}")))?;
    pg.write_small(order.dir, &format!("{path}.json"), json)
        .await?;
    Ok(manifest.backup)
}

/// Whether a finished backup is still there as it was made: its bytes, and the manifest that was written last.
pub(crate) async fn check_whole(pg: &Pg, backup: &Backup) -> Result<(), PgError> {
    super::load::check_file(pg, backup).await?;
    let text = pg.read_small(&format!("{}.json", backup.path)).await?;
    let manifest = text.and_then(|text| serde_json::from_str::<Manifest>(&text).ok());
    if manifest.is_some_and(|m| m.format == 1 && m.backup == *backup) {
        return Ok(());
    }
    Err(PgError::Check(format!(
        "the backup `{}` lacks the manifest it was finished with",
        backup.path
    )))
}

/// Settings and rights of the database itself when the backup was taken; nothing where an older `flow` took it.
pub(crate) async fn plate(pg: &Pg, backup: &Backup) -> Result<Option<Plate>, PgError> {
    let text = pg.read_small(&format!("{}.json", backup.path)).await?;
    let manifest = text.and_then(|text| serde_json::from_str::<Manifest>(&text).ok());
    Ok(manifest.and_then(|manifest| manifest.plate))
}

/// The backup an earlier life finished: its manifest names this run and step, and the file still has its digest. The
/// manifest is written last, so a file without one is not finished.
async fn finished(pg: &Pg, path: &str, made_by: &str) -> Result<Option<Backup>, PgError> {
    let Some(text) = pg.read_small(&format!("{path}.json")).await? else {
        return Ok(None);
    };
    let Ok(manifest) = serde_json::from_str::<Manifest>(&text) else {
        return Ok(None);
    };
    let whole = manifest.format == 1
        && manifest.made_by == made_by
        && manifest.backup.path == path
        && super::load::check_file(pg, &manifest.backup).await.is_ok();
    Ok(whole.then_some(manifest.backup))
}

async fn previous(pg: &Pg, order: &Order<'_>) -> Option<Sizes> {
    let own = format!("{}.json", order.name());
    last(pg, order.dir, order.prefix, &own).await
}

/// What the newest backup with this prefix became, but for one manifest. Only a measure, so whatever goes wrong means
/// "unknown".
pub(crate) async fn last(pg: &Pg, dir: &str, prefix: &str, except: &str) -> Option<Sizes> {
    let prefix = format!("{prefix}-");
    let path = pg.newest(dir, &prefix, ".json", except).await.ok()??;
    let text = pg.read_small(&path).await.ok()??;
    let manifest: Manifest = serde_json::from_str(&text).ok()?;
    Some(Sizes {
        bytes: manifest.backup.bytes,
        raw_bytes: manifest.backup.raw_bytes,
    })
}

/// Shows bytes as they pass.
pub(crate) fn bytes_shown(cx: &Cx) -> impl Fn(u64) + Send + Sync + use<> {
    let cx = cx.clone();
    move |done| {
        cx.progress(Progress {
            unit: "bytes".into(),
            done,
            total: None,
        });
    }
}

/// One line about a backup, for the log.
pub(crate) fn in_words(backup: &Backup) -> String {
    let compared = match backup.previous_raw_bytes {
        None => String::new(),
        Some(previous) => {
            let percent = backup.raw_bytes.saturating_mul(100) / previous.max(1);
            let remark = if percent < 50 {
                " (LESS THAN HALF: look at what became of the data)"
            } else {
                ""
            };
            format!(", {percent} % of the last one{remark}")
        }
    };
    format!(
        "{}: {} rows in {} tables, {} bytes ({} before compression), {} s{compared}",
        backup.path,
        backup.state.rows(),
        backup.state.tables.len(),
        backup.bytes,
        backup.raw_bytes,
        backup.seconds
    )
}

#[async_trait]
impl Step for TakeBackup {
    const KIND: &'static str = "pg.backup";
    type Output = Backup;

    fn summary(&self) -> String {
        format!("back up {} into `{}`", self.db.words(), self.dir)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<Backup, StepError> {
        let pg = self.db.begin(cx).await?;
        let progress = bytes_shown(cx);
        let order = Order {
            dir: &self.dir,
            prefix: &self.prefix,
            compression: self.compression,
            min_free_bytes: self.min_free_bytes,
            critical: &self.critical,
            made_by: &cx.idempotency_key(),
            progress: &progress,
        };
        let backup = take(&pg, &order).await.map_err(|e| {
            StepError::from(e).hint("no backup was left behind; the database was only read")
        })?;
        if backup.state.tables.is_empty() {
            return Err(StepError::fail(format!(
                "{} has no tables: its backup saves nothing. The file is kept as {}",
                self.db.words(),
                backup.path
            ))
            .hint("is it the right database?"));
        }
        cx.log(in_words(&backup));
        Ok(backup)
    }
}
