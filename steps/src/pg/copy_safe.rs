//! From production to staging, only what a policy calls safe to copy as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::plan::Effect;
use flow_engine::retry::Policy as Retries;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use send::Source;
use serde::{Deserialize, Serialize};

use super::backup::{self, HOURS, Order, bytes_shown};
use super::capture::{self, Look};
use super::catalog::{self, TableSpec};
use super::manifest::Compression;
use super::policy::{HISTORY, KEEP, Policy};
use super::scratch::{self, Mark};
use super::state::{DbState, TableState};
use super::{proof, settings, swap};
use crate::means::psql::{Database, Pg, PgError};
use crate::means::signature::waiver;

mod policy;
mod quiet;
mod rebuild;
mod send;
mod sequences;
pub(super) mod take_back;

pub use policy::Corrected;
pub use take_back::{TakeBack, TakenBack};

/// Copies those tables of production whose every column is classified `keep` into staging.
///
/// Fails closed: a table or column the policy does not list stops it before anything is read. The tables are loaded
/// into a restored copy of staging's own database, checked there (rows, fingerprints, foreign keys), and the copy
/// takes staging's name. Nothing but listed columns of listed tables is ever sent. Where staging's schema or its list of
/// migrations is not production's, as a release leaves it that was cancelled or rolled back, the copy begins from
/// production's schema instead, and staging's rows of the other tables are taken over into it. Run twice, it copies
/// again, from a new backup of staging.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopySafe {
    /// Production. Only read.
    pub from: Database,
    /// Staging, whose rows are replaced.
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
    /// What staging's schema differed in, when it was taken back to production's.
    #[serde(default)]
    pub taken_back: Vec<String>,
    /// How long it took.
    pub seconds: u64,
    /// What production held in the copied tables, in the snapshot they were copied from.
    pub prod_state: DbState,
    /// The policy, when it was another one than the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
}

/// Empties the tables of the copy and fills each from production's snapshot.
async fn fill(
    source: &Source<'_>,
    copy: &Pg,
    safe: &[TableSpec],
    counted: &DbState,
) -> Result<BTreeMap<String, u64>, PgError> {
    let mut copied = BTreeMap::new();
    for spec in safe {
        let columns = spec.columns.iter().filter(|c| !c.generated);
        let columns: Vec<String> = columns.map(|c| c.name.clone()).collect();
        let rows = send::send(source, copy, spec, &columns).await?;
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
    let mut snapshot = capture::snapshot(from).await?;
    let mut specs = catalog::tables(&mut snapshot.session).await?;
    specs.retain(|spec| spec.name != HISTORY);
    let (safe, not_copied) = policy.judge(&specs)?;
    let names: Vec<String> = safe.iter().map(TableSpec::key).collect();
    if names.is_empty() {
        return Err(PgError::Check(
            "the policy lets no table be copied as it is".into(),
        ));
    }
    let prod_state =
        capture::capture_in(from, &mut snapshot.session, Look::Critical(&names)).await?;
    if from.db.name == to.db.name && instance(from).await? == instance(to).await? {
        return Err(PgError::Check(
            "production and staging are the same database; nothing was changed".into(),
        ));
    }
    let own = backup::take_anew(to, order, true).await?;
    let name = scratch::name_for("copy", run);
    let mark = Mark::new(run, "copy", "loading", "a scratch copy; may be dropped");
    let taken_back = rebuild::differences(from, to).await?;
    let source = Source {
        pg: from,
        snapshot: Some(&snapshot.name),
    };
    let copy = if taken_back.is_empty() {
        proof::restore_equal(to, &own, &name, &mark, order.progress).await?
    } else {
        rebuild::empty(from, &snapshot.name, to, &name, &mark).await?
    };
    let quiet = quiet::hold(&copy).await?;
    let copied = fill(&source, &copy, &safe, &prod_state).await?;
    if !taken_back.is_empty() {
        rebuild::keep_rows(to, &copy, &|table| not_copied.contains_key(&table.key())).await?;
        rebuild::take_history(from, &snapshot.name, &copy).await?;
    }
    snapshot.session.close().await?;
    check(
        &prod_state,
        &capture::capture(&copy, Look::As(&prod_state)).await?,
    )?;
    quiet.let_go(&copy).await?;
    let set: BTreeSet<(String, String)> = safe
        .iter()
        .map(|s| (s.schema.clone(), s.name.clone()))
        .collect();
    sequences::advance(&copy, &set).await?;
    copy.query_long("ANALYZE;").await?;
    let comment = settings::copy(to, &to.db.name, &name).await?;
    let mark = Mark::new(run, "precopy", "replaced", "staging before the copy");
    swap::swap(to, &name, &old, &mark, comment.as_deref()).await?;
    scratch::drop_own(to, &old, run).await?;
    Ok(Copied {
        copied,
        not_copied,
        taken_back,
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

    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        waiver::accepts(asked, signal).await
    }

    async fn run(&self, cx: &Cx) -> Result<Copied, StepError> {
        let (from, to) = (self.from.begin(cx).await?, self.to.begin(cx).await?);
        let progress = bytes_shown(cx);
        let order = Order {
            dir: &self.dir,
            prefix: "before-copy",
            compression: Compression::Zstd,
            min_free_bytes: 0,
            critical: &[],
            // What an attempt before found on staging may not be what is there now.
            made_by: &format!("{}/{}", cx.idempotency_key(), cx.attempt()),
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
                // A failure's message is bounded, the log is not.
                cx.log(e.to_string());
                return Err(StepError::from(e)
                    .hint(format!(
                        "flow.data.toml is read anew at each try: when it is put right, flow retry {run}"
                    ))
                    .hint(format!("the whole message: flow logs {run} {}", cx.key())));
            }
        };
        if !done.taken_back.is_empty() {
            cx.log(rebuild::in_words(&done.taken_back));
        }
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
