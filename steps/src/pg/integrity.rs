//! After the deploy: every row that was there is there, and holds what it held.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{HOURS, bytes_shown};
use super::capture::{self, Look};
use super::drill::{self, Columns};
use super::expected::Expectation;
use super::manifest::Backup;
use super::outlook::Question;
use super::places::Sequences;
use super::scratch::{self, Mark};
use super::shape::Change;
use super::state::{DbState, TableState};
use super::{baseline, proof};
use crate::means::psql::text::{rows, some_of};
use crate::means::psql::{Database, Pg, PgError};
use crate::pg::behind::Behind;

pub(crate) use declared::Declared;
pub use finding::TableFinding;

mod declared;
mod finding;

/// The rule of a frozen deploy: the keys before are among the keys after, and the old columns of those rows are
/// unchanged, except those the release declares. Counts alone would pass when three customers are lost and a hundred
/// are added.
///
/// Equal sums settle a table at once. When some table's differ, the backup is restored into a scratch database and
/// compared row by row, so that lost and changed keys are named; the scratch database is dropped. Fails when anything
/// was lost or changed, which rolls the release back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Integrity {
    /// The database as it is now, after the deploy; only read.
    pub db: Database,
    /// The backup taken after writing had stopped.
    pub before: Arg<Backup>,
    /// Columns the release changes on purpose, as `table.column` or `schema.table.column`.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// What the pending migrations do to the shape. Without it the shape is not compared.
    #[serde(default)]
    pub expected: Option<Arg<Expectation>>,
    /// Things the release makes, changes or drops without a migration, as a refusal names them.
    #[serde(default)]
    pub shape_allowed: Vec<String>,
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
    /// Declarations that name no column.
    #[serde(default)]
    pub nameless: Vec<String>,
    /// What became of the shape.
    #[serde(default)]
    pub shape: Vec<Change>,
    /// Sequences that went back: where they stood, and where they stand.
    #[serde(default)]
    pub rewound: BTreeMap<String, (i64, i64)>,
    /// Columns whose sequence lies behind what they hold, and did not before.
    #[serde(default)]
    pub behind: Vec<Behind>,
    /// Tables of extensions with fewer rows than before: rows before and now.
    #[serde(default)]
    pub extension_rows: BTreeMap<String, (u64, u64)>,
}

impl IntegrityReport {
    /// A line for each table that lost something, or for each that only gained.
    pub(crate) fn in_words(&self, loss: bool) -> Vec<String> {
        let these = self.differing.iter().filter(|(_, f)| f.is_loss() == loss);
        these.map(|(table, f)| f.in_words(table)).collect()
    }
}

/// What is to be looked at row by row.
struct Suspects {
    report: IntegrityReport,
    /// Tables, and whether all their parts must be read because the sums are of other columns.
    drill: Vec<(String, bool)>,
}

fn suspects(before: &DbState, wanted: &DbState, declared: &Declared, now: &DbState) -> Suspects {
    let Sequences { rewound, behind } = Sequences::between(before, now);
    let mut report = IntegrityReport {
        tables: wanted.tables.len(),
        rows: wanted.rows(),
        differing: BTreeMap::new(),
        nameless: declared.nameless(before, now),
        shape: before.shape.changes(&now.shape),
        rewound,
        behind,
        extension_rows: fewer(before, now),
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
        // Whatever else is found: a table that became lower has lost rows.
        finding.lost = want.rows.saturating_sub(is.rows);
        finding.lost_columns = gone_columns(want, is);
        let was = before.tables.get(key);
        if let Some(was) = was {
            finding.by_rest = !was.key.is_empty() && is.key.is_empty();
            finding.hidden = is.newly_hidden(was);
            finding
                .hidden
                .retain(|column, _| !declared.has(key, column));
        }
        let full = was.is_some_and(|t| t.columns.len() == is.columns.len());
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

fn fewer(before: &DbState, now: &DbState) -> BTreeMap<String, (u64, u64)> {
    let fewer = |(table, was): (&String, &u64)| {
        let is = now.extension_rows.get(table).copied().unwrap_or_default();
        (is < *was).then(|| (table.clone(), (*was, is)))
    };
    before.extension_rows.iter().filter_map(fewer).collect()
}

/// The columns of a table that another state of it lacks.
pub(super) fn gone_columns(want: &TableState, is: &TableState) -> Vec<String> {
    let has = |name: &String| is.columns.iter().any(|c| c.name == *name);
    let names = want.columns.iter().map(|c| c.name.clone());
    names.filter(|n| !has(n)).collect()
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
    let declared = Declared::read(allowed)?.at_every_depth(&before.shape);
    let mut wanted = declared.left_out(before);
    if !only.is_empty() {
        wanted.tables.retain(|key, _| only.contains(key));
    }
    let now = capture::capture(pg, Look::As(&wanted)).await?;
    let Suspects { mut report, drill } = suspects(before, &wanted, &declared, &now);
    if !drill.is_empty() {
        let name = scratch::name_for("compare", run);
        let mark = Mark::new(run, "compare", "loading", "a scratch copy; may be dropped");
        let copy = proof::restore_equal(pg, backup, &name, &mark, progress).await?;
        let done = drill_all(&copy, pg, (before, &now), &drill, &mut report).await;
        scratch::drop_own(pg, &name, run).await?;
        done?;
    }
    report.differing.retain(|_, f| f.is_loss() || f.new > 0);
    Ok(report)
}

async fn drill_all(
    copy: &Pg,
    pg: &Pg,
    (before, now): (&DbState, &DbState),
    drill: &[(String, bool)],
    report: &mut IntegrityReport,
) -> Result<(), PgError> {
    for (key, all) in drill {
        let (Some(was), Some(is), Some(finding)) = (
            before.tables.get(key),
            now.tables.get(key),
            report.differing.get_mut(key),
        ) else {
            continue;
        };
        // What was looked at now: the columns of before that are there and not declared, and the key if it is whole.
        let columns = Columns {
            names: is.columns.iter().map(|c| c.name.clone()).collect(),
            key: is.key.clone(),
            named_by: was.key.clone(),
        };
        let found = drill::drill(copy, pg, (was, is), &columns, *all).await?;
        finding.lost = finding.lost.max(found.lost);
        finding.lost_keys = found.lost_keys;
        finding.changed = found.changed;
        finding.changed_keys = found.changed_keys;
        finding.new = found.new;
    }
    Ok(())
}

/// That no pending migration explains what a database is made of now.
pub(super) fn other_shape(db: &Database, odd: &[String]) -> StepError {
    StepError::fail(format!(
        "{} is made of other things than its migrations make: {}",
        db.words(),
        some_of(odd, 20)
    ))
    .hint("make such a change by a migration, so that every environment has it")
    .hint("what the release does on purpose is declared as `[app] shape_may_change`, by the name shown here")
}

impl Integrity {
    /// Asks once when read-only mode did not hold to the end. What was found may then be customers' own writing, and is no
    /// evidence against the release.
    async fn held(&self, cx: &Cx, pg: &Pg, lost: &[String]) -> Result<(), StepError> {
        let asked: Question = cx.noted()?.unwrap_or_default();
        let orders = &cx.run().orders;
        if asked.is_answered(orders) || !baseline::was_thawed(cx, pg).await? {
            return Ok(());
        }
        let orders = Some(orders.len());
        cx.note(&Question { orders }).await?;
        let found = if lost.is_empty() {
            "every row of before is there and unchanged".to_owned()
        } else {
            format!("compared with before: {}", some_of(lost, 20))
        };
        Err(StepError::ask(format!(
            "{} was frozen for the release and is not read-only any more, which this run did not do: customers may have \
             written while it was deployed. {found}",
            self.db.words()
        ))
        .hint("find out who ended read-only mode (another run, `flow thaw`, the timer on the host)")
        .hint(format!(
            "to go by what is found all the same: flow retry {}; a rollback asks before it sets rows aside",
            cx.run_id()
        )))
    }
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
        if !report.nameless.is_empty() {
            cx.log(format!(
                "declared to change, but there is no such column: {}",
                report.nameless.join(", ")
            ));
        }
        for line in report.in_words(false) {
            cx.log(line);
        }
        let mut lost = report.in_words(true);
        let meant = |table: &String| self.shape_allowed.contains(&format!("table {table}"));
        let fewer = report.extension_rows.iter();
        lost.extend(
            fewer
                .filter(|(table, _)| !meant(table))
                .map(|(table, (was, is))| {
                    format!(
                        "table {table} of an extension: {} before, {is} now",
                        rows(*was)
                    )
                }),
        );
        let odd = match &self.expected {
            Some(expected) => {
                let sequences = Sequences {
                    rewound: report.rewound.clone(),
                    behind: report.behind.clone(),
                };
                let expected = cx.arg(expected)?;
                expected.unexplained(&report.shape, &sequences, &self.shape_allowed)
            }
            None => Vec::new(),
        };
        let all: Vec<String> = lost.iter().chain(&odd).cloned().collect();
        self.held(cx, &pg, &all).await?;
        if all.is_empty() {
            cx.log(format!(
                "{} tables, {} rows: all there and unchanged",
                report.tables, report.rows
            ));
            return Ok(report);
        }
        if lost.is_empty() {
            return Err(other_shape(&self.db, &odd));
        }
        Err(StepError::fail(format!(
            "data of {} was lost or changed: {}",
            self.db.words(),
            some_of(&all, 20)
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
