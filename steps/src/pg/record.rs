//! Recording what a database holds before production is touched; and, as its undo, the check that it holds it again.

use async_trait::async_trait;
use flow_engine::retry::Policy;
use flow_engine::run::Undo;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{HOURS, bytes_shown};
use super::capture::{self, Look};
use super::integrity;
use super::integrity::{Declared, TableFinding};
use super::manifest::Backup;
use super::state::DbState;
use crate::means::notes::has_begun;
use crate::means::psql::text::some_of;
use crate::means::psql::{Database, PgError};

/// Records counts and fingerprints of the critical tables, all in one snapshot. Reads only. Its undo verifies the
/// restoration: every recorded table must hold the recorded rows again, unchanged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordState {
    /// The database whose rows are counted; only read, also by the undo.
    pub db: Database,
    /// The critical tables, as `table` or `schema.table`; all when empty.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Columns the release changes on purpose, as `table.column` or `schema.table.column`: they are left out of the
    /// fingerprints, so that these can be compared afterwards.
    #[serde(default)]
    pub except: Vec<String>,
    /// The undo verifies only when the step with this key has started; before that production was not changed, and
    /// rows that came since are the application's own. Without it there is no undo: the state is only recorded.
    #[serde(default)]
    pub only_if_started: Option<String>,
    /// The key of the [`Baseline`](super::Baseline) step. Once it is done, what it holds is what the undo verifies,
    /// because between this step and that one the application went on writing. Rows that came after the restore are
    /// then told from lost ones: only loss and change fail.
    #[serde(default)]
    pub baseline: Option<String>,
}

impl RecordState {
    /// Whether the rollback has put the baseline back, rather than being told to go on without.
    fn was_restored(&self, cx: &Cx) -> bool {
        let baseline = self.baseline.as_ref().and_then(|key| cx.plan().node(key));
        baseline.is_some_and(|(index, _)| cx.run().steps[index as usize].undo == Undo::Undone)
    }

    /// Whether a person gave the restore up: then nothing says that the database is as it was, and the backup may be gone.
    fn was_given_up(&self, cx: &Cx) -> bool {
        let baseline = self.baseline.as_ref().and_then(|key| cx.plan().node(key));
        baseline.is_some_and(|(index, _)| cx.run().steps[index as usize].undo == Undo::GivenUp)
    }
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
        let verify = "verify restoration: no table lower, fingerprints of prior rows equal";
        self.only_if_started.is_some().then(|| verify.to_owned())
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<DbState, StepError> {
        let pg = self.db.open(cx)?;
        let declared = Declared::read(&self.except)?;
        let look = Look::Except(&self.tables, declared);
        let state = capture::capture(&pg, look).await?;
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
            .is_some_and(|key| has_begun(cx.run(), key));
        if !changed {
            return Ok("production was not changed, there is nothing to verify".into());
        }
        let Some(before) = done else {
            return Ok("no state was recorded, there is nothing to verify".into());
        };
        let pg = self.db.open(cx)?;
        let baseline = match &self.baseline {
            Some(key) => cx.output::<Backup>(key)?,
            None => None,
        };
        let keys: Vec<String> = before.tables.keys().cloned().collect();
        let mut before = before;
        if let Some(backup) = &baseline {
            before = backup.state.clone();
            before.tables.retain(|key, _| keys.contains(key));
        }
        let now = capture::capture(&pg, Look::As(&before)).await?;
        let mut odd = before.differences(&now, false);
        let all = format!(
            "{} tables, all {} rows as before",
            keys.len(),
            before.rows()
        );
        if odd.is_empty() {
            return Ok(all);
        }
        if self.was_given_up(cx) {
            return Ok(format!(
                "not verified, because the restore was given up: {}",
                some_of(&odd, 10)
            ));
        }
        if let Some(backup) = &baseline {
            let run = cx.run_id().as_str();
            let report =
                integrity::compare(&pg, backup, (&keys, &[]), run, &bytes_shown(cx)).await?;
            odd = report.in_words(true);
            if odd.is_empty() {
                let since = some_of(&report.in_words(false), 10);
                return Ok(format!("{all}; more came since: {since}"));
            }
            // The restored copy was equal to the baseline before it was put in place, and services write again by now.
            if self.was_restored(cx) && !report.differing.values().any(TableFinding::is_gone) {
                let since = some_of(&odd, 10);
                return Ok(format!(
                    "{} tables, no row lost; changed since the restart: {since}",
                    keys.len()
                ));
            }
        }
        Err(StepError::fail(format!(
            "{} does not hold what was recorded at {}: {}",
            self.db.words(),
            before.taken_at,
            some_of(&odd, 10)
        ))
        .hint("the backup, the dump of the failed state and the replaced database are all kept; compare before anything else"))
    }
}
