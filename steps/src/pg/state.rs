//! What a database holds: counts and fingerprints of every table, all in one snapshot.
//!
//! A fingerprint is the sum of `hash_record_extended` over all rows: cheaper than dumping the table, independent of
//! the order of rows, and unlike xor it does not cancel duplicates. Kept in 1,024 buckets by key, so that a difference
//! leads to few rows.

use std::collections::BTreeMap;

use flow_engine::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::catalog::{self, TableSpec};
use super::client::Session;
use super::integrity::Declared;
use super::places::{self, Behind};
use super::shape::{self, Shape};
use super::text::{ident, table_key};
use super::{Pg, PgError};

/// A database at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbState {
    /// By the server's clock.
    pub taken_at: Timestamp,
    /// Tells one cluster from another, whatever its address.
    pub system_identifier: String,
    /// Such as `15.18`.
    pub server_version: String,
    /// The database's name.
    pub database: String,
    /// Every table, by `schema.table`.
    pub tables: BTreeMap<String, TableState>,
    /// Names of the migrations that `_prisma_migrations` calls finished, in order.
    pub migrations: Vec<String>,
    /// Of the whole schema with every expression. Comparable within one database only: a restore rewrites some
    /// expressions.
    pub schema_digest: String,
    /// Of the part of the schema that a dump and a restore keep letter by letter.
    pub shape_digest: String,
    /// What the database is made of, thing by thing. Empty in states that were recorded before this was.
    #[serde(default, skip_serializing_if = "Shape::is_empty")]
    pub shape: Shape,
    /// Where every sequence stood that had been used, by `schema.name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, i64>,
    /// Columns whose sequence does not lie beyond what they hold. Nothing in states that were recorded before this was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Vec<Behind>>,
    /// Rows of the tables that extensions keep settings or secrets in, by `schema.table`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extension_rows: BTreeMap<String, u64>,
}

/// A table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The schema it lies in, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// How many rows it has, those that are marked as deleted included.
    pub rows: u64,
    /// Rows that no soft-delete column among the `columns` marks, when there is one.
    pub live_rows: Option<u64>,
    /// Rows each soft-delete column marks, whether it is among the `columns` or not: by the column's name.
    #[serde(default)]
    pub marked: BTreeMap<String, u64>,
    /// Its columns, by name.
    pub columns: Vec<Column>,
    /// The primary key's columns; empty without one.
    pub key: Vec<String>,
    /// The sum of the hashes of all keys, in decimal; of all rows without a key.
    pub keys_hash: String,
    /// The sum of the hashes of all rows, in decimal.
    pub rows_hash: String,
    /// The same sums by key; none for an empty table.
    pub buckets: Vec<Bucket>,
}

/// A column of a table whose rows were counted and summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its type as SQL.
    #[serde(rename = "type")]
    pub type_: String,
}

/// One of 1,024 parts of a table: its number, rows, and sums of key and row hashes in decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket(pub u16, pub u64, pub String, pub String);

impl TableState {
    /// Rows that soft-delete columns mark which did not exist `before`: an application that looks at them does not show
    /// these rows any more, although every one of them is there.
    pub(crate) fn newly_hidden(&self, before: &Self) -> BTreeMap<String, u64> {
        let new = |name: &String| before.columns.iter().all(|c| c.name != *name);
        let hides = |(name, n): &(&String, &u64)| **n > 0 && new(name);
        let hidden = self.marked.iter().filter(hides);
        hidden.map(|(name, n)| (name.clone(), *n)).collect()
    }

    /// Whether both hold the same rows in the same columns.
    pub fn same_rows(&self, other: &Self) -> bool {
        self.columns == other.columns
            && self.rows == other.rows
            && self.keys_hash == other.keys_hash
            && self.rows_hash == other.rows_hash
    }
}

impl DbState {
    /// All rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|t| t.rows).sum()
    }

    /// Names the tables that are not the same in `now`, with how; nothing when all are. With `exact`, tables that
    /// exist only in `now` are differences as well.
    pub fn differences(&self, now: &Self, exact: bool) -> Vec<String> {
        let mut found = Vec::new();
        for (key, before) in &self.tables {
            match now.tables.get(key) {
                None => found.push(format!("{key} is gone ({} rows)", before.rows)),
                Some(after) if before.same_rows(after) => {}
                Some(after) => found.push(difference(key, before, after)),
            }
        }
        if exact {
            let new = now.tables.keys().filter(|k| !self.tables.contains_key(*k));
            found.extend(new.map(|key| format!("{key} is new")));
        }
        found
    }
}

fn difference(key: &str, before: &TableState, after: &TableState) -> String {
    if before.rows != after.rows {
        format!("{key} has {} rows instead of {}", after.rows, before.rows)
    } else if before.columns != after.columns {
        format!("{key} has other columns")
    } else if before.live_rows != after.live_rows {
        format!(
            "{key} has {} rows that are not marked deleted instead of {}",
            after.live_rows.unwrap_or_default(),
            before.live_rows.unwrap_or_default()
        )
    } else {
        let pairs = before.buckets.iter().zip(&after.buckets);
        let parts = pairs.filter(|(a, b)| a != b).count();
        format!("{key} has other values in its rows (in {parts} of 1024 parts)")
    }
}

/// Which tables and columns a capture looks at.
pub(crate) enum Look<'a> {
    /// Every table that is the application's.
    All,
    /// These tables, as `schema.table` or `table`. A missing one is an error.
    Critical(&'a [String]),
    /// The same without declared columns, and without a key of which one is declared.
    Except(&'a [String], Declared),
    /// The tables, columns and keys of an earlier state; what is missing is left out, and so is a key that is not whole.
    As(&'a DbState),
}

/// A read-only transaction in one snapshot, which other programs can share by its name.
pub(crate) struct Snapshot {
    pub(crate) session: Session,
    pub(crate) name: String,
}

/// Opens a snapshot. Servers before 14 are refused: they cannot hash records.
pub(crate) async fn snapshot(pg: &Pg) -> Result<Snapshot, PgError> {
    let mut session = pg.session().await?;
    let lines = session
        .ask(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n\
             SELECT pg_export_snapshot(); SELECT current_setting('server_version_num')::int;",
        )
        .await?;
    let [name, version] = lines.as_slice() else {
        return Err(pg.answer_error("no snapshot"));
    };
    if version.parse::<u32>().map_or(true, |v| v < 140_000) {
        return Err(PgError::Config(format!(
            "PostgreSQL 14 or later is needed, the server says {version}"
        )));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.chars().all(legal) {
        return Err(pg.answer_error("a snapshot's name with odd characters"));
    }
    Ok(Snapshot {
        session,
        name: name.clone(),
    })
}

/// What the database holds now, in a snapshot of its own.
pub(crate) async fn capture(pg: &Pg, look: Look<'_>) -> Result<DbState, PgError> {
    let mut snapshot = snapshot(pg).await?;
    let state = capture_in(pg, &mut snapshot.session, look).await?;
    snapshot.session.close().await?;
    Ok(state)
}

/// What the database holds in the session's snapshot.
pub(crate) async fn capture_in(
    pg: &Pg,
    session: &mut Session,
    look: Look<'_>,
) -> Result<DbState, PgError> {
    let asked =
        matches!(look, Look::As(before) if before.tables.contains_key(catalog::LARGE_OBJECTS));
    let specs = catalog::compared(session, asked).await?;
    let (shape, _) = shape::read(session).await?;
    let look = match look {
        Look::Except(names, declared) => Look::Except(names, declared.at_every_depth(&shape)),
        other => other,
    };
    let mut tables = BTreeMap::new();
    for (spec, names, key) in choose(&specs, &look)? {
        let state = fingerprint(pg, session, spec, &names, &key).await;
        let state = state.map_err(|e| e.about(&format!("table {}", spec.key())))?;
        tables.insert(spec.key(), state);
    }
    let (schema_digest, shape_digest) = catalog::schema_digests(session).await?;
    let sequences = places::last_values(session).await?;
    let behind = Some(places::behind(session).await?);
    let extension_rows = catalog::extension_rows(session).await?;
    let facts = session
        .rows::<(i64, String, String, String)>(
            "SELECT json_build_array((extract(epoch FROM clock_timestamp()) * 1000)::int8, (SELECT system_identifier::text \
             FROM pg_control_system()), current_setting('server_version'), current_database())::text;",
        )
        .await?;
    let Some((millis, system_identifier, version, database)) = facts.into_iter().next() else {
        return Err(pg.answer_error("no facts about the server"));
    };
    let migrations = finished(session, &specs).await?;
    Ok(DbState {
        taken_at: Timestamp(millis),
        system_identifier,
        server_version: version.chars().take_while(|c| *c != ' ').collect(),
        database,
        tables,
        migrations,
        schema_digest,
        shape_digest,
        shape,
        sequences,
        behind,
        extension_rows,
    })
}

/// The names of the migrations that the history calls finished, in order.
async fn finished(session: &mut Session, specs: &[TableSpec]) -> Result<Vec<String>, PgError> {
    // In whatever schema the application's URL names.
    let has_migrations = specs.iter().find(|t| t.name == "_prisma_migrations");
    match has_migrations {
        Some(spec) if spec.has("finished_at") && spec.has("migration_name") => {
            let schema = ident(&spec.schema);
            session
                .rows(&format!(
                    "SELECT to_json(migration_name)::text FROM {schema}._prisma_migrations \
                     WHERE finished_at IS NOT NULL ORDER BY migration_name;",
                ))
                .await
        }
        _ => Ok(Vec::new()),
    }
}

type Chosen<'a> = (&'a TableSpec, Vec<String>, Vec<String>);

fn choose<'a>(specs: &'a [TableSpec], look: &Look<'_>) -> Result<Vec<Chosen<'a>>, PgError> {
    let whole = |spec: &'a TableSpec| (spec, spec.names(), spec.key.clone());
    match look {
        Look::All | Look::Critical([]) => Ok(specs.iter().map(whole).collect()),
        Look::Critical(names) => {
            let find = |name: &String| {
                let key = table_key(name);
                let found = specs.iter().find(|s| s.key() == key).map(whole);
                found.ok_or_else(|| {
                    PgError::Check(format!(
                        "the configuration calls table `{key}` critical, and there is no such table"
                    ))
                })
            };
            names.iter().map(find).collect()
        }
        Look::Except(names, declared) => {
            let mut chosen = choose(specs, &Look::Critical(names))?;
            for (spec, names, key) in &mut chosen {
                let has = |column: &String| declared.has(&spec.key(), column);
                names.retain(|column| !has(column));
                if key.iter().any(has) {
                    key.clear();
                }
            }
            Ok(chosen)
        }
        Look::As(before) => Ok(specs
            .iter()
            .filter_map(|spec| {
                let then = before.tables.get(&spec.key())?;
                let kept = then.columns.iter().map(|c| c.name.clone());
                let kept: Vec<String> = kept.filter(|c| spec.has(c)).collect();
                // A key of which a column is not there tells no row from another: then the whole of what is left does.
                let whole = then.key.iter().all(|k| kept.contains(k));
                let key = if whole { then.key.clone() } else { Vec::new() };
                Some((spec, kept, key))
            })
            .collect()),
    }
}

/// One pass over one table.
async fn fingerprint(
    pg: &Pg,
    session: &mut Session,
    spec: &TableSpec,
    names: &[String],
    key: &[String],
) -> Result<TableState, PgError> {
    let marks = spec.soft_deletes();
    let compared: Vec<&str> = marks
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(_, marked)| marked.as_str())
        .collect();
    let alive = if compared.is_empty() {
        "true".to_owned()
    } else {
        format!("NOT ({})", compared.join(" OR "))
    };
    let flags: Vec<String> = marks
        .iter()
        .enumerate()
        .map(|(n, (_, marked))| format!(", {marked} AS m{n}"))
        .collect();
    let counts: Vec<String> = (0..marks.len())
        .map(|n| format!("count(*) FILTER (WHERE m{n})"))
        .collect();
    let sql = format!(
        "SELECT json_build_array((k & 1023)::int, count(*), count(*) FILTER (WHERE l), sum(k)::text, sum(r)::text, json_build_array({}))::text \
         FROM (SELECT {} AS k, {} AS r, {alive} AS l{} FROM {}) AS t GROUP BY k & 1023 ORDER BY k & 1023;",
        counts.join(", "),
        spec.key_hash(key, names),
        spec.row_hash(names),
        flags.concat(),
        spec.from()
    );
    let parts: Vec<(u16, u64, u64, String, String, Vec<u64>)> = session.rows(&sql).await?;
    let marked = |n: usize| parts.iter().filter_map(|p| p.5.get(n)).sum();
    let by_name = marks.iter().enumerate();
    let by_name = by_name.map(|(n, (name, _))| (name.clone(), marked(n)));
    let number = |text: &String| {
        text.parse::<i128>()
            .map_err(|_| pg.answer_error("a sum that is no number"))
    };
    let (mut keys, mut rows_sum) = (0i128, 0i128);
    for part in &parts {
        keys += number(&part.3)?;
        rows_sum += number(&part.4)?;
    }
    Ok(TableState {
        schema: spec.schema.clone(),
        name: spec.name.clone(),
        rows: parts.iter().map(|p| p.1).sum(),
        live_rows: (!compared.is_empty()).then(|| parts.iter().map(|p| p.2).sum()),
        marked: by_name.collect(),
        columns: spec
            .columns()
            .into_iter()
            .filter(|c| names.contains(&c.name))
            .collect(),
        key: key.to_vec(),
        keys_hash: keys.to_string(),
        rows_hash: rows_sum.to_string(),
        buckets: parts
            .into_iter()
            .map(|(n, rows, _, k, r, _)| Bucket(n, rows, k, r))
            .collect(),
    })
}
