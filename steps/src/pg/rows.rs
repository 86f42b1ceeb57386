//! The rows behind a finding: what a release lost or changed, or what a rollback set aside, read where it may be read.
//!
//! Reports, mails and the journal hold numbers and hashed keys only. Here keys and values are read from the databases on
//! the host, by whoever may read them there, and go to that person alone.

use std::collections::HashSet;

use flow_engine::run::Run;
use serde::Serialize;
use serde_json::{Map, Value};

use super::addition::{self, Addition};
use super::aside::common;
use super::capture::{self, Look};
use super::catalog::TableSpec;
use super::drill::{self, Columns};
use super::outlook::{OutlookError, baseline};
use super::proof;
use super::restore::failed_name;
use super::scratch::{self, Mark};
use super::state::{DbState, TableState};
use crate::means::host::Hosts;
use crate::means::psql::text::{ident, table_key};
use crate::means::psql::{Pg, PgError};

/// How many rows one question asks for.
const AT_ONCE: usize = 200;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Only the backup has it.
    Lost,
    /// It held this when the backup was taken.
    ChangedFrom,
    /// It holds this in the database that was compared.
    ChangedTo,
    /// Only the database that was compared has it.
    New,
    /// It is as in the backup, and holds values in columns that the backup does not have.
    Wider,
}

/// One row, whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What became of it.
    pub fate: Fate,
    /// The values of its key; of all columns without one.
    pub key: Vec<Value>,
    /// Every column, as text; null where it is.
    pub columns: Map<String, Value>,
}

/// The rows of one table that differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableRows {
    /// The table, as `schema.table`.
    pub table: String,
    /// How many rows only the backup has.
    pub lost: u64,
    /// How many hold something else.
    pub changed: u64,
    /// How many only the other database has.
    pub new: u64,
    /// Columns that the backup does not have, with rows that hold values there.
    pub added: Vec<Addition>,
    /// The rows, up to ten thousand of each kind.
    pub rows: Vec<Row>,
}

/// What was compared, and what differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRows {
    /// The backup's file.
    pub backup: String,
    /// The database that was compared with it: the one a rollback set aside when there is one, else the live one.
    pub database: String,
    /// Whether that is the one a rollback set aside.
    pub set_aside: bool,
    /// Tables that differ.
    pub tables: Vec<TableRows>,
}

/// Compares a run's baseline with what its rollback set aside, or with the live database when nothing was, row by row.
/// Restores the backup into a scratch database and drops it; everything else is only read. `only` names one table.
///
/// # Errors
/// [`OutlookError`]; nothing was changed.
pub async fn rows_of(
    run: &Run,
    hosts: &Hosts,
    only: Option<&str>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<RunRows>, OutlookError> {
    let Some((step, backup)) = baseline(run)? else {
        return Ok(None);
    };
    let host = hosts.get(&step.db.host).map_err(PgError::from)?;
    let live = Pg::new(host, step.db.clone())?;
    let id = run.id.as_str();
    let failed = failed_name(&live.db.name, id);
    let set_aside = scratch::find(&live, &failed).await?.is_some();
    let other = if set_aside {
        live.on(&failed)
    } else {
        live.clone()
    };
    let only = only.map(table_key);
    let now = capture::capture(&other, Look::All).await?;
    let wanted = only.as_ref();
    let known =
        |key: &String| now.tables.contains_key(key) || backup.state.tables.contains_key(key);
    if let Some(table) = wanted.filter(|key| !known(key)) {
        return Err(OutlookError::Impossible(format!(
            "there is no table `{table}`, neither in the backup nor in `{}`",
            other.db.name
        )));
    }
    let name = scratch::name_for("rows", id);
    let mark = Mark::new(id, "rows", "loading", "a scratch copy; may be dropped");
    let copy = proof::restore_equal(&live, &backup, &name, &mark, progress).await?;
    let tables = differing(&copy, &other, (&backup.state, &now), wanted).await;
    scratch::drop_own(&live, &name, id).await?;
    Ok(Some(RunRows {
        backup: backup.path.clone(),
        database: other.db.name.clone(),
        set_aside,
        tables: tables?,
    }))
}

async fn differing(
    copy: &Pg,
    other: &Pg,
    (before, now): (&DbState, &DbState),
    only: Option<&String>,
) -> Result<Vec<TableRows>, PgError> {
    let mut found = Vec::new();
    let mut keys: Vec<&String> = before.tables.keys().chain(now.tables.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        if only.is_some_and(|only| only != key) {
            continue;
        }
        let table = match (before.tables.get(key), now.tables.get(key)) {
            (Some(was), Some(is)) if was.same_rows(is) => continue,
            (Some(was), Some(is)) => both(copy, other, was, is).await?,
            (Some(was), None) => alone(copy, was, Fate::Lost).await?,
            (None, Some(is)) => alone(other, is, Fate::New).await?,
            (None, None) => continue,
        };
        if table.lost + table.changed + table.new > 0 || !table.added.is_empty() {
            found.push(table);
        }
    }
    Ok(found)
}

async fn both(
    copy: &Pg,
    other: &Pg,
    was: &TableState,
    is: &TableState,
) -> Result<TableRows, PgError> {
    let name = format!("{}.{}", was.schema, was.name);
    let columns = common(was, is);
    let found = drill::drill(copy, other, (was, is), &columns, true).await?;
    let (spec_a, spec_b) = (
        drill::spec(copy, &name).await?,
        drill::spec(other, &name).await?,
    );
    let hashes = &found.hashes;
    let mut rows = Vec::new();
    for (pg, spec, hashes, fate) in [
        (copy, &spec_a, &hashes.lost, Fate::Lost),
        (copy, &spec_a, &hashes.changed, Fate::ChangedFrom),
        (other, &spec_b, &hashes.changed, Fate::ChangedTo),
        (other, &spec_b, &hashes.new, Fate::New),
    ] {
        for part in hashes.chunks(AT_ONCE) {
            rows.extend(fetch(pg, spec, &by_hash(spec, &columns, part), fate).await?);
        }
    }
    // A row that is told already is not told twice.
    if let Some(chosen) = addition::condition(other, was, is).await? {
        let wider = fetch(other, &spec_b, &chosen, Fate::Wider).await?;
        let there: HashSet<String> = rows
            .iter()
            .filter(|row| matches!(row.fate, Fate::ChangedTo | Fate::New))
            .map(|row| Value::from(row.key.clone()).to_string())
            .collect();
        let other = |row: &Row| !there.contains(&Value::from(row.key.clone()).to_string());
        rows.extend(wider.into_iter().filter(other));
    }
    Ok(TableRows {
        table: name,
        added: addition::find(other, was, is, None).await?,
        lost: found.lost,
        changed: found.changed,
        new: found.new,
        rows,
    })
}

/// A table that only one of the two has.
async fn alone(pg: &Pg, state: &TableState, fate: Fate) -> Result<TableRows, PgError> {
    let name = format!("{}.{}", state.schema, state.name);
    let spec = drill::spec(pg, &name).await?;
    let count = |this: Fate| if this == fate { state.rows } else { 0 };
    Ok(TableRows {
        lost: count(Fate::Lost),
        changed: 0,
        new: count(Fate::New),
        added: Vec::new(),
        rows: fetch(pg, &spec, "true", fate).await?,
        table: name,
    })
}

/// What is true of rows whose keys have these hashes.
fn by_hash(spec: &TableSpec, columns: &Columns, hashes: &[i64]) -> String {
    let list: Vec<String> = hashes.iter().map(i64::to_string).collect();
    let hash = spec.key_hash(&columns.key, &columns.names);
    format!("{hash} IN ({})", list.join(", "))
}

/// Whole rows of which a condition is true: the first of them.
async fn fetch(pg: &Pg, spec: &TableSpec, chosen: &str, fate: Fate) -> Result<Vec<Row>, PgError> {
    // As text: a number in JSON would lose digits on the way.
    let text = |name: &String| format!("{0}::text AS {0}", ident(name));
    let all: Vec<String> = spec.names().iter().map(text).collect();
    let sql = format!(
        "SELECT row_to_json(t)::text FROM (SELECT {} FROM {} WHERE {chosen} LIMIT {}) AS t;",
        all.join(", "),
        spec.from(),
        drill::KEPT
    );
    let rows: Vec<Map<String, Value>> = pg.rows(&sql).await?;
    let key_of = |row: &Map<String, Value>| {
        let names = if spec.key.is_empty() {
            spec.names()
        } else {
            spec.key.clone()
        };
        let values = names
            .iter()
            .map(|name| row.get(name).cloned().unwrap_or_default());
        values.collect()
    };
    let row = |columns: Map<String, Value>| Row {
        fate,
        key: key_of(&columns),
        columns,
    };
    Ok(rows.into_iter().map(row).collect())
}
