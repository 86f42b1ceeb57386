//! From production to staging, only what a policy calls safe to copy as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy as Retries;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{self, Compression, HOURS, Order, bytes_shown};
use super::catalog::{self, TableSpec};
use super::scratch::{self, Mark};
use super::state::{self, DbState, Look, TableState};
use super::text::{ident, literal, some_of, table_key};
use super::{Database, Pg, PgError, proof, settings, swap};

mod keys;
mod policy;

pub use policy::Corrected;

/// Where the application's migrations are written down. It speaks of the schema it lies in, and staging keeps its own
/// schema: with production's list, a second release would repeat migrations that staging has had since the first.
const HISTORY: &str = "_prisma_migrations";

/// The class of a column that may be copied as it is.
const KEEP: &str = "keep";

/// A class for every column of every table of production. Only `keep` is copied; a table with a column of any other
/// class is not copied at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// By `table` or `schema.table`, then by column: `keep`, or any other word for "personal".
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
}

/// Copies those tables of production whose every column is classified `keep` into staging.
///
/// Fails closed: a table or column the policy does not list stops it before anything is read. The tables are loaded
/// into a restored copy of staging's own database, checked there (rows, fingerprints, foreign keys), and the copy
/// takes staging's name. Nothing but listed columns of listed tables is ever sent. The list of migrations stays, like the
/// schema it is about. Run twice, it copies again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopySafe {
    /// Production. Only read.
    pub from: Database,
    /// Staging.
    pub to: Database,
    /// Where staging's own backup goes, on staging's host.
    pub dir: String,
    /// What may be copied, as it was when the run was planned. Where the file beside the configuration was corrected
    /// since, that one counts.
    pub policy: Policy,
    /// The role that may accept that a column which the plan calls personal is copied after all; empty for nobody.
    #[serde(default)]
    pub waiver_role: String,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Rows by table.
    pub copied: BTreeMap<String, u64>,
    /// Tables left as they are on staging until masking exists, with the columns that are why.
    pub not_copied: BTreeMap<String, Vec<String>>,
    /// How long it took.
    pub seconds: u64,
    /// What production held in the copied tables, in the snapshot they were copied from.
    pub prod_state: DbState,
    /// The policy, when it was another one than the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
}

/// The safe tables, and the others with the columns that are why.
type Split = (Vec<TableSpec>, BTreeMap<String, Vec<String>>);

/// Splits production's tables by the policy; everything unlisted is an error by name.
fn judge(specs: &[TableSpec], policy: &Policy) -> Result<Split, PgError> {
    let classes: BTreeMap<String, &BTreeMap<String, String>> = policy
        .tables
        .iter()
        .map(|(table, columns)| (table_key(table), columns))
        .collect();
    let (mut safe, mut kept_back, mut unlisted) = (Vec::new(), BTreeMap::new(), Vec::new());
    for spec in specs {
        let Some(columns) = classes.get(&spec.key()) else {
            unlisted.push(format!("table {}", spec.key()));
            continue;
        };
        let missing = spec
            .columns
            .iter()
            .filter(|c| !columns.contains_key(&c.name));
        unlisted.extend(missing.map(|c| format!("column {}.{}", spec.key(), c.name)));
        let is_kept = |name: &str| columns.get(name).is_some_and(|c| c == KEEP);
        let personal: Vec<String> = spec
            .columns
            .iter()
            .filter(|c| !is_kept(&c.name))
            .map(|c| c.name.clone())
            .collect();
        if personal.is_empty() {
            safe.push(spec.clone());
        } else {
            kept_back.insert(spec.key(), personal);
        }
    }
    if unlisted.is_empty() {
        Ok((safe, kept_back))
    } else {
        Err(PgError::Check(format!(
            "the policy does not say what these are, so nothing was copied: {}",
            some_of(&unlisted, 30)
        )))
    }
}

/// Empties the tables of the copy and fills each from production's snapshot.
async fn fill(
    from: &Pg,
    snapshot: &str,
    copy: &Pg,
    safe: &[TableSpec],
    counted: &DbState,
) -> Result<BTreeMap<String, u64>, PgError> {
    let mut copied = BTreeMap::new();
    for spec in safe {
        let rows = send(from, snapshot, copy, spec).await?;
        let counted = counted.tables.get(&spec.key()).map_or(0, |t| t.rows);
        if rows != counted {
            return Err(PgError::Check(format!(
                "{}: {rows} rows were sent, production has {counted} in that snapshot; staging is as it was",
                spec.key()
            )));
        }
        copied.insert(spec.key(), rows);
    }
    Ok(copied)
}

/// One table, one transaction. `COMMIT` is sent only after production's side ended well; until then the end of the
/// stream rolls everything back.
async fn send(from: &Pg, snapshot: &str, copy: &Pg, spec: &TableSpec) -> Result<u64, PgError> {
    let columns: Vec<String> = spec
        .columns
        .iter()
        .filter(|c| !c.generated)
        .map(|c| ident(&c.name))
        .collect();
    let (table, columns) = (spec.qualified(), columns.join(", "));
    let mut source = from
        .stream(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {};\n\
             COPY (SELECT {columns} FROM ONLY {table}) TO STDOUT;\nCOMMIT;",
            literal(snapshot)
        ))
        .await?;
    let sink = copy.feed().await?;
    // Foreign keys are looked at once, at the end, over all tables; triggers must not invent rows.
    let begin = format!(
        "SET session_replication_role = replica;\nBEGIN;\nDELETE FROM ONLY {table};\nCOPY {table} ({columns}) FROM stdin;\n"
    );
    sink.send(begin.into()).await;
    let mut rows = 0;
    let mut guard = LineGuard::default();
    while let Some(chunk) = source.next().await {
        rows += guard
            .take(&chunk)
            .map_err(|()| from.answer_error("an end-of-data line inside of the data"))?;
        if !sink.send(chunk).await {
            sink.end().await?;
            return Err(copy.sql_error("psql stopped reading"));
        }
    }
    source.end().await?;
    sink.send("\\.\nCOMMIT;\n".into()).await;
    sink.end().await?;
    Ok(rows)
}

/// Counts lines and refuses the line `\.`, after which `psql` would take data for statements.
#[derive(Default)]
struct LineGuard {
    line: Vec<u8>,
}

impl LineGuard {
    fn take(&mut self, chunk: &[u8]) -> Result<u64, ()> {
        let mut lines = 0;
        for piece in chunk.split_inclusive(|b| *b == b'\n') {
            let room = 4 - self.line.len().min(4);
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                if self.line.starts_with(b"\\.\n") || self.line.starts_with(b"\\.\r") {
                    return Err(());
                }
                lines += 1;
                self.line.clear();
            }
        }
        Ok(lines)
    }
}

/// What was loaded must be what production held.
fn check(prod: &DbState, copy: &DbState) -> Result<(), PgError> {
    let by_rows = |t: &TableState| (t.rows, t.rows_hash.clone());
    let odd: Vec<String> = prod
        .tables
        .iter()
        .filter(|(key, was)| copy.tables.get(*key).map(by_rows) != Some(by_rows(was)))
        .map(|(key, _)| key.clone())
        .collect();
    if odd.is_empty() {
        Ok(())
    } else {
        Err(PgError::Check(format!(
            "the copied rows are not production's in {}; staging is as it was",
            odd.join(", ")
        )))
    }
}

pub(super) async fn copy_all(
    from: &Pg,
    to: &Pg,
    policy: &Policy,
    order: &Order<'_>,
    run: &str,
) -> Result<Copied, PgError> {
    let begun = Instant::now();
    let old = scratch::name_for("precopy", run);
    swap::reopen(to, run, &scratch::name_for("copy", run), &old).await?;
    scratch::drop_own(to, &old, run).await?;
    let mut snapshot = state::snapshot(from).await?;
    let mut specs = catalog::tables(&mut snapshot.session).await?;
    specs.retain(|spec| spec.name != HISTORY);
    let (safe, not_copied) = judge(&specs, policy)?;
    let names: Vec<String> = safe.iter().map(TableSpec::key).collect();
    if names.is_empty() {
        return Err(PgError::Check(
            "the policy lets no table be copied as it is".into(),
        ));
    }
    let prod_state = state::capture_in(from, &mut snapshot.session, Look::Critical(&names)).await?;
    if from.db.name == to.db.name && instance(from).await? == instance(to).await? {
        return Err(PgError::Check(
            "production and staging are the same database; nothing was changed".into(),
        ));
    }
    let own = backup::take(to, order).await?;
    let name = scratch::name_for("copy", run);
    let mark = Mark::new(run, "copy", "loading", "a scratch copy; may be dropped");
    let copy = proof::restore_equal(to, &own, &name, &mark, order.progress).await?;
    let copied = fill(from, &snapshot.name, &copy, &safe, &prod_state).await?;
    snapshot.session.close().await?;
    check(
        &prod_state,
        &state::capture(&copy, Look::As(&prod_state)).await?,
    )?;
    keys::check_foreign_keys(&copy).await?;
    let set: BTreeSet<(String, String)> = safe
        .iter()
        .map(|s| (s.schema.clone(), s.name.clone()))
        .collect();
    keys::advance_sequences(&copy, &set).await?;
    copy.query_long("ANALYZE;").await?;
    let comment = settings::copy(to, &to.db.name, &name).await?;
    let mark = Mark::new(run, "precopy", "replaced", "staging before the copy");
    swap::swap(to, &name, &old, &mark, comment.as_deref()).await?;
    scratch::drop_own(to, &old, run).await?;
    Ok(Copied {
        copied,
        not_copied,
        seconds: begun.elapsed().as_secs(),
        prod_state,
        corrected: None,
    })
}

#[async_trait]
impl Step for CopySafe {
    const KIND: &'static str = "pg.copy-safe";
    type Output = Copied;

    fn summary(&self) -> String {
        format!(
            "copy the tables that hold nothing personal from {} to {}",
            self.from.words(),
            self.to.words()
        )
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn policy(&self) -> Retries {
        Retries::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<Copied, StepError> {
        let (from, to) = (self.from.open(cx)?, self.to.open(cx)?);
        let progress = bytes_shown(cx);
        let order = Order {
            dir: &self.dir,
            prefix: "before-copy",
            compression: Compression::Zstd,
            min_free_bytes: 0,
            critical: &[],
            made_by: &cx.idempotency_key(),
            progress: &progress,
        };
        let run = cx.run_id().as_str();
        let (policy, corrected) = policy::in_force(cx, &self.policy, &self.waiver_role).await?;
        if let Some(corrected) = &corrected {
            cx.log(format!(
                "by the policy {} of today's flow.data.toml, not {} of the plan",
                corrected.used.short(),
                corrected.planned.short()
            ));
        }
        let done = match copy_all(&from, &to, &policy, &order, run).await {
            Ok(done) => Copied { corrected, ..done },
            Err(e) => {
                // What went wrong is the news; a later life drops the scratch database as well.
                drop(scratch::drop_own(&to, &scratch::name_for("copy", run), run).await);
                return Err(StepError::from(e).hint(format!(
                    "flow.data.toml is read anew at each try: when it is put right, flow retry {run}"
                )));
            }
        };
        for (table, rows) in &done.copied {
            cx.log(format!("{table}: {rows} rows copied"));
        }
        for (table, columns) in &done.not_copied {
            cx.log(format!(
                "{table}: left as it is on staging until masking exists ({})",
                columns.join(", ")
            ));
        }
        Ok(done)
    }
}

/// Which running server it is. A cluster copied file by file keeps its system identifier, so that alone would take a
/// staging server made from a base backup for production itself.
pub(super) async fn instance(pg: &Pg) -> Result<(String, String), PgError> {
    let sql = "SELECT json_build_array((SELECT system_identifier::text FROM pg_control_system()), \
               pg_postmaster_start_time()::text)::text;";
    let found = pg.rows::<(String, String)>(sql).await?.into_iter().next();
    found
        .ok_or_else(|| PgError::Check(format!("{} does not say which server it is", pg.db.words())))
}
