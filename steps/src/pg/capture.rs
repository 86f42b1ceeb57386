//! Looking at a database: everything, or only what a question needs.

use std::collections::BTreeMap;

use flow_engine::clock::Timestamp;

use super::catalog::{self, TableSpec};
use super::integrity::Declared;
use super::places;
use super::shape::{self};
use super::state::{Bucket, DbState, TableState};
use crate::means::psql::client::Session;
use crate::means::psql::text::{ident, table_key};
use crate::means::psql::{Pg, PgError};

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
