//! Counts and fingerprints after a deploy against those before it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::HOURS;
use super::capture::{self, Look};
use super::expected::Expectation;
use super::integrity::{Declared, gone_columns, other_shape};
use super::places::Sequences;
use super::state::{DbState, TableState};
use super::{baseline, catalog};
use crate::means::freezes::was_begun_again;
use crate::means::psql::text::{rows, some_of};
use crate::means::psql::{Database, Pg, PgError};

mod values;

/// Compares the number of rows of every recorded table. Fewer rows, or fewer rows that are not marked deleted, fail
/// by name; more rows fail unless growth is allowed. Columns and tables that are gone and were not declared fail by name
/// in every table, recorded or not: production would refuse the same release for them. So does a declaration that names
/// no column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CountsMatch {
    /// What was recorded, maybe of another database (production, when this one is its copy).
    pub before: Arg<DbState>,
    /// The database to look at now.
    pub db: Database,
    /// Whether a table may have more rows than before.
    pub allow_growth: bool,
    /// Columns the release changes on purpose, as `table.column` or `schema.table.column`: a soft-delete column among
    /// them may hide rows.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// What the pending migrations do to the shape. Without it the shape is not compared.
    #[serde(default)]
    pub expected: Option<Arg<Expectation>>,
    /// Things the release makes, changes or drops without a migration, as a refusal names them.
    #[serde(default)]
    pub shape_allowed: Vec<String>,
    /// Whether rows of before must hold what they held: only where nothing but the deploy wrote since they were recorded.
    #[serde(default)]
    pub values: bool,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsReport {
    /// By table: rows before and after.
    pub tables: BTreeMap<String, (u64, u64)>,
    /// Whether what rows hold was compared, too.
    #[serde(default)]
    pub values: bool,
}

/// How a table's counts are wrong, if they are.
fn verdict(before: &TableState, after: Option<&TableState>, allow_growth: bool) -> Option<String> {
    let Some(after) = after else {
        return Some(format!("is gone, it had {}", rows(before.rows)));
    };
    let marked = before.live_rows.zip(after.live_rows);
    let gone = gone_columns(before, after);
    if !gone.is_empty() {
        Some(format!("columns gone: {}", gone.join(", ")))
    } else if after.rows < before.rows {
        Some(format!("{} before, {} now", rows(before.rows), after.rows))
    } else if let Some((was, is)) = marked.filter(|(was, is)| is < was) {
        Some(format!("{} not marked deleted before, {is} now", rows(was)))
    } else if let Some((column, n)) = after.newly_hidden(before).pop_first() {
        Some(format!(
            "{} marked deleted by the new column {column}",
            rows(n)
        ))
    } else if after.rows > before.rows && !allow_growth {
        Some(format!(
            "{} before, {} now, and nothing should have been added",
            rows(before.rows),
            after.rows
        ))
    } else {
        None
    }
}

/// Tables and columns that are gone, of tables whose rows were not recorded.
fn gone_elsewhere(before: &DbState, declared: &Declared, now: &DbState) -> Vec<String> {
    let mut found = Vec::new();
    for table in before.shape.names("table") {
        if before.tables.contains_key(table) {
            continue;
        }
        if now.shape.get(&format!("table {table}")).is_none() {
            found.push(format!("{table}: is gone"));
            continue;
        }
        let gone: Vec<&str> = before
            .shape
            .names("column")
            .filter_map(|column| column.strip_prefix(table)?.strip_prefix('.'))
            .filter(|column| now.shape.get(&format!("column {table}.{column}")).is_none())
            .filter(|column| !declared.has(table, column))
            .collect();
        if !gone.is_empty() {
            found.push(format!("{table}: columns gone: {}", gone.join(", ")));
        }
    }
    found
}

/// Up to five keys of rows now in the parts of the table that lost rows. The lost keys themselves are only in the
/// backup; the parts say where to look.
async fn hint(pg: &Pg, before: &TableState, after: &TableState) -> Result<String, PgError> {
    let now: BTreeMap<u16, u64> = after.buckets.iter().map(|b| (b.0, b.1)).collect();
    let lower: Vec<u16> = before
        .buckets
        .iter()
        .filter(|b| now.get(&b.0).copied().unwrap_or_default() < b.1)
        .map(|b| b.0)
        .collect();
    let id = before.key.first().map(String::as_str);
    let numbered = matches!(before.key.as_slice(), [_])
        && before.columns.iter().any(|c| {
            Some(c.name.as_str()) == id && ["integer", "bigint"].contains(&c.type_.as_str())
        });
    if !numbered || lower.is_empty() || before.rows > 1_000_000 {
        return Ok(format!("{} of 1024 parts by key lost rows", lower.len()));
    }
    let mut session = pg.session().await?;
    let specs = catalog::tables(&mut session).await?;
    let key = format!("{}.{}", before.schema, before.name);
    let Some(spec) = specs.iter().find(|s| s.key() == key) else {
        return Ok(String::new());
    };
    // Gaps in a numbered key that fall into the parts that lost rows: candidates, since a gap may be older.
    let column = crate::means::psql::text::ident(&before.key[0]);
    let parts = lower
        .iter()
        .map(u16::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let cast = before.columns.iter().find(|c| c.name == before.key[0]);
    let cast = cast.map_or(
        "int8",
        |c| if c.type_ == "integer" { "int4" } else { "int8" },
    );
    let sql = format!(
        "SELECT g::text FROM (SELECT min({column}) AS a, max({column}) AS z FROM ONLY {t}) AS m, generate_series(1, least(m.z, 2000000)) AS g \
         WHERE (hash_record_extended(ROW(g::{cast}), 0) & 1023) IN ({parts}) AND NOT EXISTS (SELECT FROM ONLY {t} WHERE {column} = g) LIMIT 5;",
        t = spec.qualified()
    );
    let gaps = session.ask(&sql).await?;
    session.close().await?;
    Ok(format!(
        "missing numbers in the parts that lost rows: {}",
        gaps.join(", ")
    ))
}

/// Prisma's own table: what a deploy does to it is for another step to judge.
fn is_history(table: &str) -> bool {
    table.ends_with("._prisma_migrations")
}

impl CountsMatch {
    /// Whether read-only mode held since the rows were recorded. Where it did not, people may have changed them, and that is
    /// nothing against the release.
    async fn held(&self, cx: &Cx, pg: &Pg) -> Result<bool, PgError> {
        let held = !baseline::was_thawed(cx, pg).await? && !was_begun_again(cx, &self.db);
        if !held {
            cx.log(format!(
                "VALUES ARE NOT COMPARED, only counts: {} was writable after its rows were recorded",
                self.db.words()
            ));
        }
        Ok(held)
    }

    /// What is wrong with one table, with where to look.
    async fn found(
        &self,
        pg: &Pg,
        (key, was, is): (&str, &TableState, Option<&TableState>),
        values: bool,
    ) -> Result<Option<String>, PgError> {
        let changed = || values::changed(was, is.filter(|_| values)?);
        let Some(why) = verdict(was, is, self.allow_growth).or_else(changed) else {
            return Ok(None);
        };
        let more = match is.filter(|is| is.rows < was.rows) {
            Some(is) => format!(" ({})", hint(pg, was, is).await?),
            None => String::new(),
        };
        Ok(Some(format!("{key}: {why}{more}")))
    }
}

#[async_trait]
impl Step for CountsMatch {
    const KIND: &'static str = "pg.counts-match";
    type Output = CountsReport;

    fn summary(&self) -> String {
        format!(
            "compare the counts of {} with those before",
            self.db.words()
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<CountsReport, StepError> {
        let recorded = cx.arg(&self.before)?;
        let declared = Declared::read(&self.allowed)?.at_every_depth(&recorded.shape);
        let before = declared.left_out(&recorded);
        let pg = self.db.open(cx)?;
        let mut now = capture::capture(&pg, Look::As(&before)).await?;
        let nameless = declared.nameless(&recorded, &now);
        if !nameless.is_empty() {
            return Err(StepError::refuse(format!(
                "`may_change` declares columns that {} has neither before nor after the deploy: {}. \
                 What was meant would be found as changed in production",
                self.db.words(),
                some_of(&nameless, 20)
            ))
            .hint("correct `may_change` in flow.toml (`table.column`, no patterns), cancel this run and start again"));
        }
        for (key, table) in &mut now.tables {
            table.marked.retain(|column, _| !declared.has(key, column));
        }
        let mut odd = gone_elsewhere(&recorded, &declared, &now);
        let values = self.values && self.held(cx, &pg).await?;
        let mut tables = BTreeMap::new();
        for (key, was) in &before.tables {
            let is = now.tables.get(key);
            tables.insert(key.clone(), (was.rows, is.map_or(0, |t| t.rows)));
            let full = recorded.tables[key].columns.len() == was.columns.len();
            let values = values && full && !is_history(key);
            odd.extend(self.found(&pg, (key, was, is), values).await?);
        }
        let shape = match &self.expected {
            Some(expected) => cx.arg(expected)?.unexplained(
                &recorded.shape.changes(&now.shape),
                &Sequences::between(&recorded, &now),
                &self.shape_allowed,
            ),
            None => Vec::new(),
        };
        if odd.is_empty() && !shape.is_empty() {
            return Err(other_shape(&self.db, &shape));
        }
        odd.extend(shape);
        if odd.is_empty() {
            let also = if values { " or changed" } else { "" };
            cx.log(format!("{} tables, no row lost{also}", tables.len()));
            return Ok(CountsReport { tables, values });
        }
        Err(StepError::fail(format!(
            "{} does not hold what it held before: {}",
            self.db.words(),
            some_of(&odd, 20)
        ))
        .hint("compare with the recorded state; nothing was changed by this check")
        .hint("columns the release changes on purpose are declared in `[app] may_change` (`table.column`); then cancel this run and start again"))
    }
}
