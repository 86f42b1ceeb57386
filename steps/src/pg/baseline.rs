//! The point a rollback goes back to, taken after writing has stopped.

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::signal::Order;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{self, Backup, HOURS, Order as Dump, bytes_shown};
use super::state::{self, Look};
use super::text::some_of;
use super::{Database, Pg, proof, restore};

/// How many backups are tried until one holds what is there right after it.
const TRIES: u32 = 3;

/// Makes sure that a proven backup holds exactly what the database holds now, after the freeze: the earlier one when
/// nothing changed since, else a new one, proven as well. Its undo is the protocol's restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    /// The database.
    pub db: Database,
    /// Where a new backup and the dump of a failed state go.
    pub dir: String,
    /// The backup taken and proven before the freeze.
    pub earlier: Arg<Backup>,
    /// The key of the step that changes production. The undo restores only when that has started.
    pub restore_if_started: String,
    /// The key of the step that lets writers in again. After that the database may hold what customers wrote since, and
    /// a rollback that no person ordered asks before it sets that aside.
    #[serde(default)]
    pub ask_if_started: Option<String>,
}

impl Baseline {
    /// Tables whose rows changed since writers were let in again, when nobody has said what is to become of those rows.
    async fn unasked(&self, cx: &Cx, pg: &Pg, backup: &Backup) -> Result<Vec<String>, StepError> {
        let let_in = self
            .ask_if_started
            .as_ref()
            .is_some_and(|key| cx.run().has_started(key));
        if !let_in || ordered(cx)? || restore::is_under_way(pg, cx.run_id().as_str()).await? {
            return Ok(Vec::new());
        }
        let now = state::capture(pg, Look::As(&backup.state)).await?;
        let changed = |(key, before): (&String, &state::TableState)| {
            let own = key.ends_with(MIGRATIONS);
            let same = now
                .tables
                .get(key)
                .is_some_and(|after| before.same_rows(after));
            (!own && !same).then(|| key.clone())
        };
        Ok(backup.state.tables.iter().filter_map(changed).collect())
    }

    /// A backup of what is there now. One an earlier life finished counts only while it still holds just that.
    async fn fresh(
        &self,
        pg: &Pg,
        cx: &Cx,
        earlier: &Backup,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Backup, StepError> {
        let mut odd = Vec::new();
        for n in 1..=TRIES {
            let made_by = format!("{}/{n}", cx.idempotency_key());
            let order = Dump {
                dir: &self.dir,
                prefix: "baseline",
                compression: earlier.compression,
                min_free_bytes: earlier.bytes,
                critical: &[],
                made_by: &made_by,
                progress,
            };
            let backup = backup::take(pg, &order).await?;
            let now = state::capture(pg, Look::All).await?;
            if restore::same(&backup.state, &now) {
                return Ok(backup);
            }
            odd = backup.state.differences(&now, true);
        }
        Err(StepError::fail(format!(
            "{} is still being written to: {}",
            self.db.words(),
            some_of(&odd, 10)
        ))
        .hint("stop the writers or freeze the database before the baseline"))
    }
}

/// The table in which the release itself writes down its migrations.
const MIGRATIONS: &str = "._prisma_migrations";

/// What the undo noted when it asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Asked {
    /// How many orders the run had been given then.
    orders: usize,
}

/// Whether a person ordered this rollback, or has said since the question was asked that it is to go on. An order given
/// before the question, for another undo that failed, does not answer it.
fn ordered(cx: &Cx) -> Result<bool, StepError> {
    let orders = &cx.run().orders;
    let asked: Option<Asked> = cx.noted()?;
    let since = asked.map_or(orders.len(), |asked| asked.orders);
    let rollback = orders.iter().any(|given| given.order == Order::Rollback);
    let answer = orders
        .iter()
        .skip(since)
        .any(|given| given.order == Order::Retry);
    Ok(rollback || answer)
}

#[async_trait]
impl Step for Baseline {
    const KIND: &'static str = "pg.baseline";
    type Output = Backup;

    fn summary(&self) -> String {
        format!(
            "make sure a proven backup holds exactly what {} holds now",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some(
            "dump the failed state, restore into a fresh database, verify, swap by rename; keep the failed one"
                .into(),
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<Backup, StepError> {
        let earlier = cx.arg(&self.earlier)?;
        let pg = self.db.open(cx)?;
        let now = state::capture(&pg, Look::All).await?;
        if restore::same(&earlier.state, &now) {
            cx.log(format!(
                "nothing changed since {}: that backup is the baseline",
                earlier.path
            ));
            return Ok(earlier);
        }
        cx.log("rows or schema changed since the last backup: taking and proving a new one");
        let progress = bytes_shown(cx);
        let backup = self.fresh(&pg, cx, &earlier, &progress).await?;
        proof::prove(&pg, &backup, cx.run_id().as_str(), &progress).await?;
        cx.log(backup::in_words(&backup));
        Ok(backup)
    }

    async fn undo(&self, cx: &Cx, done: Option<Backup>) -> Result<String, StepError> {
        if !cx.run().has_started(&self.restore_if_started) {
            return Ok("production was not changed, nothing restored".into());
        }
        let Some(backup) = done else {
            return Err(StepError::ask(format!(
                "`{}` has started although this step never finished: there is no baseline to restore, nothing was changed",
                self.restore_if_started
            ))
            .hint("restore by hand from the backup named in the journal, or give this undo up with a reason"));
        };
        let pg = self.db.open(cx)?;
        let unasked = self.unasked(cx, &pg, &backup).await?;
        if !unasked.is_empty() {
            let orders = cx.run().orders.len();
            cx.note(&Asked { orders }).await?;
            return Err(StepError::ask(format!(
                "rows were written after the database accepted writes again ({}); restoring would set them aside, \
                 and nobody has said so. Services are stopped, nothing was restored",
                some_of(&unasked, 8)
            ))
            .hint("`flow retry` restores all the same: the replaced database is kept, with those rows in it")
            .hint("`flow skip` with a reason leaves the database as it is and undoes the rest"));
        }
        let progress = bytes_shown(cx);
        let plan = restore::Plan {
            backup: &backup,
            dir: &self.dir,
            prefix: "baseline",
            run: cx.run_id().as_str(),
            progress: &progress,
        };
        let report = restore::restore(&pg, &plan).await.map_err(|e| {
            StepError::from(e).hint(format!(
                "the backup is {} on `{}`; nothing is ever dropped; `flow retry` continues where it stopped",
                backup.path, self.db.host
            ))
        })?;
        cx.log(&report);
        Ok(report)
    }
}
