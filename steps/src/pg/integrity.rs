//! After the deploy: every row that was there is there, and holds what it held.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{Backup, HOURS, bytes_shown};
use super::drill::{self, Columns, NAMED};
use super::scratch::{self, Mark};
use super::state::{self, DbState, Look, TableState};
use super::text::{rows, some_of};
use super::{Database, Pg, PgError, proof};

/// The rule of a frozen deploy: the keys before are among the keys after, and the old columns of those rows are
/// unchanged, except those the release declares. Counts alone would pass when three customers are lost and a hundred
/// are added.
///
/// Equal sums settle a table at once. When some table's differ, the backup is restored into a scratch database and
/// compared row by row, so that lost and changed keys are named; the scratch database is dropped. Fails when anything
/// was lost or changed, which rolls the release back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Integrity {
    /// The database.
    pub db: Database,
    /// The backup taken after writing had stopped.
    pub before: Arg<Backup>,
    /// Columns the release changes on purpose, as `table.column` or `schema.table.column`.
    #[serde(default)]
    pub allowed: Vec<String>,
}

/// What became of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFinding {
    /// Rows before.
    pub before: u64,
    /// Rows after.
    pub after: u64,
    /// Rows whose key is gone.
    pub lost: u64,
    /// Up to twenty of those keys.
    pub lost_keys: Vec<String>,
    /// Rows whose old columns changed.
    pub changed: u64,
    /// Up to twenty of their keys.
    pub changed_keys: Vec<String>,
    /// Rows that came.
    pub new: u64,
    /// Columns that are gone although they were not declared.
    pub lost_columns: Vec<String>,
    /// Whether the whole table is gone.
    pub gone: bool,
    /// Rows marked by soft-delete columns that are new and not declared, by column.
    #[serde(default)]
    pub hidden: BTreeMap<String, u64>,
}

impl TableFinding {
    /// Whether anything was lost or changed. Without a primary key a changed row counts as a lost one.
    pub fn is_loss(&self) -> bool {
        self.is_gone() || self.changed > 0
    }

    /// Whether rows, columns or the table itself are missing, or rows are lost from view.
    pub fn is_gone(&self) -> bool {
        self.gone || self.lost > 0 || !self.lost_columns.is_empty() || !self.hidden.is_empty()
    }

    fn in_words(&self, table: &str) -> String {
        if self.gone {
            return format!("{table}: the table is gone, it had {}", rows(self.before));
        }
        let mut parts = vec![format!("{} before, {} now", rows(self.before), self.after)];
        if self.lost > 0 {
            parts.push(named(self.lost, "LOST", &self.lost_keys));
        }
        if self.changed > 0 {
            parts.push(named(self.changed, "CHANGED", &self.changed_keys));
        }
        if !self.lost_columns.is_empty() {
            parts.push(format!("columns gone: {}", self.lost_columns.join(", ")));
        }
        for (column, n) in &self.hidden {
            parts.push(format!(
                "{} LOST FROM VIEW: marked deleted by the new column {column}",
                rows(*n)
            ));
        }
        if self.new > 0 {
            parts.push(format!("{} new", self.new));
        }
        format!("{table}: {}", parts.join("; "))
    }
}

/// A count, and the keys where rows have one.
fn named(count: u64, what: &str, keys: &[String]) -> String {
    match keys {
        [] => format!("{count} {what}"),
        keys => format!("{count} {what}: {}", some_of(keys, NAMED)),
    }
}

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityReport {
    /// How many tables were compared.
    pub tables: usize,
    /// How many rows there were before.
    pub rows: u64,
    /// Tables that differ, by name.
    pub differing: BTreeMap<String, TableFinding>,
}

impl IntegrityReport {
    /// A line for each table that lost something, or for each that only gained.
    pub(crate) fn in_words(&self, loss: bool) -> Vec<String> {
        let these = self.differing.iter().filter(|(_, f)| f.is_loss() == loss);
        these.map(|(table, f)| f.in_words(table)).collect()
    }
}

/// Declared columns by table.
pub(super) fn declared(allowed: &[String]) -> Result<BTreeMap<String, BTreeSet<String>>, PgError> {
    let mut by_table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in allowed {
        let parts: Vec<&str> = entry.split('.').collect();
        let (table, column) = match parts.as_slice() {
            [table, column] => (format!("public.{table}"), *column),
            [schema, table, column] => (format!("{schema}.{table}"), *column),
            _ => {
                return Err(PgError::Config(format!(
                    "`{entry}` names no column: write `table.column` or `schema.table.column`"
                )));
            }
        };
        by_table.entry(table).or_default().insert(column.to_owned());
    }
    Ok(by_table)
}

/// The state before, without the declared columns: what is left is compared. The hashes of a table that loses columns
/// this way mean nothing any more.
pub(super) fn without(before: &DbState, declared: &BTreeMap<String, BTreeSet<String>>) -> DbState {
    let mut state = before.clone();
    for (key, columns) in declared {
        if let Some(table) = state.tables.get_mut(key) {
            table.columns.retain(|c| !columns.contains(&c.name));
        }
    }
    state
}

/// What is to be looked at row by row.
struct Suspects {
    report: IntegrityReport,
    /// Tables, and whether all their parts must be read because the sums are of other columns.
    drill: Vec<(String, bool)>,
}

fn suspects(
    before: &DbState,
    (wanted, declared): (&DbState, &BTreeMap<String, BTreeSet<String>>),
    now: &DbState,
) -> Suspects {
    let mut report = IntegrityReport {
        tables: wanted.tables.len(),
        rows: wanted.rows(),
        differing: BTreeMap::new(),
    };
    let mut drill = Vec::new();
    for (key, want) in &wanted.tables {
        let mut finding = TableFinding {
            before: want.rows,
            ..TableFinding::default()
        };
        let Some(is) = now.tables.get(key) else {
            finding.gone = true;
            report.differing.insert(key.clone(), finding);
            continue;
        };
        finding.after = is.rows;
        let has = |name: &String| is.columns.iter().any(|c| c.name == *name);
        let names = want.columns.iter().map(|c| c.name.clone());
        finding.lost_columns = names.filter(|n| !has(n)).collect();
        let meant = |column: &String| declared.get(key).is_some_and(|d| d.contains(column));
        if let Some(was) = before.tables.get(key) {
            finding.hidden = is.newly_hidden(was);
            finding.hidden.retain(|column, _| !meant(column));
        }
        let full = before
            .tables
            .get(key)
            .is_some_and(|t| t.columns.len() == is.columns.len());
        let same_sums = full && want.keys_hash == is.keys_hash && want.rows_hash == is.rows_hash;
        let same = same_sums && want.rows == is.rows;
        if !same {
            drill.push((key.clone(), !full));
        } else if finding.hidden.is_empty() {
            continue;
        }
        report.differing.insert(key.clone(), finding);
    }
    Suspects { report, drill }
}

fn columns_of(want: &TableState, is: &TableState) -> Columns {
    let has = |name: &String| is.columns.iter().any(|c| c.name == *name);
    let names = want.columns.iter().map(|c| c.name.clone());
    Columns {
        names: names.filter(has).collect(),
        key: want.key.clone(),
    }
}

/// The whole comparison, of these tables or of all when none is named; dropping it leaves at most this run's scratch database, which the next one drops.
pub(super) async fn compare(
    pg: &Pg,
    backup: &Backup,
    (only, allowed): (&[String], &[String]),
    run: &str,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<IntegrityReport, PgError> {
    let before = &backup.state;
    let declared = declared(allowed)?;
    let mut wanted = without(before, &declared);
    if !only.is_empty() {
        wanted.tables.retain(|key, _| only.contains(key));
    }
    let now = state::capture(pg, Look::As(&wanted)).await?;
    let Suspects { mut report, drill } = suspects(before, (&wanted, &declared), &now);
    if !drill.is_empty() {
        let name = scratch::name_for("compare", run);
        let mark = Mark::new(run, "compare", "loading", "a scratch copy; may be dropped");
        let copy = proof::restore_equal(pg, backup, &name, &mark, progress).await?;
        let done = drill_all(&copy, pg, (&wanted, &now), &drill, &mut report).await;
        scratch::drop_own(pg, &name, run).await?;
        done?;
    }
    report.differing.retain(|_, f| f.is_loss() || f.new > 0);
    Ok(report)
}

async fn drill_all(
    copy: &Pg,
    pg: &Pg,
    (wanted, now): (&DbState, &DbState),
    drill: &[(String, bool)],
    report: &mut IntegrityReport,
) -> Result<(), PgError> {
    for (key, all) in drill {
        let (Some(want), Some(is), Some(finding)) = (
            wanted.tables.get(key),
            now.tables.get(key),
            report.differing.get_mut(key),
        ) else {
            continue;
        };
        let columns = columns_of(want, is);
        let key_is_there = columns
            .key
            .iter()
            .all(|k| is.columns.iter().any(|c| c.name == *k));
        if !key_is_there {
            // The loss of the key's column is named already; rows cannot be told from one another without it.
            continue;
        }
        let found = drill::drill(copy, pg, (want, is), &columns, *all).await?;
        finding.lost = found.lost;
        finding.lost_keys = found.lost_keys;
        finding.changed = found.changed;
        finding.changed_keys = found.changed_keys;
        finding.new = found.new;
    }
    Ok(())
}

#[async_trait]
impl Step for Integrity {
    const KIND: &'static str = "pg.integrity";
    type Output = IntegrityReport;

    fn summary(&self) -> String {
        let but = match self.allowed.as_slice() {
            [] => String::new(),
            allowed => format!(", except {}", allowed.join(", ")),
        };
        format!(
            "every row of {} is still there and unchanged{but}",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("drop the scratch database".into())
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<IntegrityReport, StepError> {
        let backup = cx.arg(&self.before)?;
        let pg = self.db.open(cx)?;
        let run = cx.run_id().as_str();
        let report = compare(&pg, &backup, (&[], &self.allowed), run, &bytes_shown(cx)).await?;
        for line in report.in_words(false) {
            cx.log(line);
        }
        let lost = report.in_words(true);
        if lost.is_empty() {
            cx.log(format!(
                "{} tables, {} rows: all there and unchanged",
                report.tables, report.rows
            ));
            return Ok(report);
        }
        Err(StepError::fail(format!(
            "data of {} was lost or changed: {}",
            self.db.words(),
            some_of(&lost, 20)
        ))
        .hint("changes made on purpose are declared with the release as `table.column`"))
    }

    async fn undo(&self, cx: &Cx, _: Option<IntegrityReport>) -> Result<String, StepError> {
        let pg = self.db.open(cx)?;
        let run = cx.run_id().as_str();
        scratch::drop_own(&pg, &scratch::name_for("compare", run), run).await?;
        Ok("there is no scratch database of this run".into())
    }
}
