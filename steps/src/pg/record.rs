//! Recording what a database holds before production is touched; and, as its undo, the check that it holds it again.

use async_trait::async_trait;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::HOURS;
use super::state::{self, DbState, Look};
use super::text::some_of;
use super::{Database, PgError};

/// Records counts and fingerprints of the critical tables, all in one snapshot. Reads only. Its undo verifies the
/// restoration: every recorded table must hold the recorded rows again, unchanged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordState {
    /// The database.
    pub db: Database,
    /// The critical tables, as `table` or `schema.table`; all when empty.
    #[serde(default)]
    pub tables: Vec<String>,
    /// The undo verifies only when the step with this key has started; before that production was not changed, and
    /// rows that came since are the application's own.
    #[serde(default)]
    pub only_if_started: Option<String>,
}

#[async_trait]
impl Step for RecordState {
    const KIND: &'static str = "pg.state";
    type Output = DbState;

    fn summary(&self) -> String {
        let what = if self.tables.is_empty() {
            "every table".to_owned()
        } else {
            format!("{} critical tables", self.tables.len())
        };
        format!(
            "record counts and fingerprints of {what} of {}",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("verify restoration: no table lower, fingerprints of prior rows equal".into())
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<DbState, StepError> {
        let pg = self.db.open(cx)?;
        let state = state::capture(&pg, Look::Critical(&self.tables)).await?;
        if state.tables.is_empty() {
            return Err(PgError::Check(format!("{} has no tables", self.db.words())).into());
        }
        for (key, table) in &state.tables {
            cx.log(format!("{key}: {} rows", table.rows));
        }
        Ok(state)
    }

    async fn undo(&self, cx: &Cx, done: Option<DbState>) -> Result<String, StepError> {
        let changed = self
            .only_if_started
            .as_ref()
            .is_none_or(|key| cx.run().has_started(key));
        if !changed {
            return Ok("production was not changed, there is nothing to verify".into());
        }
        let Some(before) = done else {
            return Ok("no state was recorded, there is nothing to verify".into());
        };
        let pg = self.db.open(cx)?;
        let now = state::capture(&pg, Look::As(&before)).await?;
        let odd = before.differences(&now, false);
        if odd.is_empty() {
            return Ok(format!(
                "{} tables, all {} rows as before",
                before.tables.len(),
                before.rows()
            ));
        }
        Err(StepError::fail(format!(
            "{} does not hold what was recorded at {}: {}",
            self.db.words(),
            before.taken_at,
            some_of(&odd, 10)
        ))
        .hint("keep the services stopped; the backup, the dump of the failed state and the replaced database are all kept"))
    }
}
