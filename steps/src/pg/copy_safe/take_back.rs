//! The test environment after a release that did not happen.

use std::collections::BTreeSet;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy as Retries;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::super::backup::{self, HOURS, Order, bytes_shown};
use super::super::catalog::{self, TableSpec};
use super::super::manifest::Compression;
use super::super::policy::HISTORY;
use super::super::scratch::{self, Mark};
use super::super::{capture, settings, swap};
use super::{instance, quiet, rebuild, sequences};
use crate::means::psql::text::{ident, some_of};
use crate::means::psql::{Database, Pg, PgError};

/// Takes a test database back to production's schema when an earlier release left migrations there that neither the
/// released commit nor production has, or that never finished: the deploy would meet them.
///
/// Its own rows are kept in the columns both schemas have; what was there before is backed up. A test database without
/// such migrations is left as it is. Run twice, it finds nothing more to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeBack {
    /// Production. Only its schema and its list of migrations are read.
    pub from: Database,
    /// The test database.
    pub to: Database,
    /// Where its backup goes, on its host.
    pub dir: String,
    /// The migrations of the released commit, by name.
    pub migrations: Vec<String>,
}

/// What was found, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    /// Migrations the released commit does not have, or that never finished. Empty when nothing was to be done.
    pub left: Vec<String>,
    /// What was not as in production.
    pub differences: Vec<String>,
    /// The backup of what was there before.
    pub backup: Option<String>,
}

/// Migrations on test that stand in the way of a deploy. Production may have some whose files are gone: those are no
/// left-overs.
pub(in crate::pg) async fn left(
    from: &Pg,
    to: &Pg,
    migrations: &[String],
) -> Result<Vec<String>, PgError> {
    let there = history(from).await?;
    let meant = |name: &String| {
        let in_production = there
            .iter()
            .any(|(other, finished)| other == name && *finished);
        migrations.contains(name) || in_production
    };
    let mut found = history(to).await?;
    found.retain(|(name, finished)| !finished || !meant(name));
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

/// The migrations a database has begun, and whether they are finished.
async fn history(pg: &Pg) -> Result<Vec<(String, bool)>, PgError> {
    let mut session = pg.session().await?;
    let specs = catalog::tables(&mut session).await?;
    let mut found = Vec::new();
    for table in specs.iter().filter(|table| is_history(table)) {
        let sql = format!(
            "SELECT json_build_array(migration_name, finished_at IS NOT NULL)::text FROM {} \
             WHERE rolled_back_at IS NULL ORDER BY migration_name;",
            table.qualified()
        );
        found.extend(session.rows::<(String, bool)>(&sql).await?);
    }
    session.close().await?;
    Ok(found)
}

fn is_history(table: &TableSpec) -> bool {
    let needed = ["migration_name", "finished_at", "rolled_back_at"];
    table.name == HISTORY && needed.iter().all(|column| table.has(column))
}

fn names(run: &str) -> (String, String) {
    (
        scratch::name_for("back", run),
        scratch::name_for("preback", run),
    )
}

/// What a life that was killed around the swap left to be done.
pub(in crate::pg) async fn tidy(to: &Pg, run: &str) -> Result<(), PgError> {
    let (name, old) = names(run);
    swap::reopen(to, run, &name, &old).await?;
    scratch::drop_own(to, &old, run).await
}

/// Takes the database back and says what was not as in production. May be run again at any point.
pub(in crate::pg) async fn take_back(
    from: &Pg,
    to: &Pg,
    order: &Order<'_>,
    run: &str,
) -> Result<(Vec<String>, String), PgError> {
    if from.db.name == to.db.name && instance(from).await? == instance(to).await? {
        return Err(PgError::Check(
            "production and test are the same database; nothing was changed".into(),
        ));
    }
    let (name, old) = names(run);
    let mut snapshot = capture::snapshot(from).await?;
    let own = backup::take_anew(to, order, true).await?;
    let differences = rebuild::differences(from, to).await?;
    let mark = Mark::new(run, "back", "loading", "a scratch copy; may be dropped");
    let copy = rebuild::empty(from, &snapshot.name, to, &name, &mark).await?;
    let held = quiet::hold(&copy).await?;
    rebuild::keep_rows(to, &copy, &|table| table.name != HISTORY).await?;
    rebuild::take_history(from, &snapshot.name, &copy).await?;
    snapshot.session.ask("SELECT 1;").await?;
    snapshot.session.close().await?;
    held.let_go(&copy).await?;
    let mut session = copy.session().await?;
    let specs = catalog::tables(&mut session).await?;
    session.close().await?;
    let all: BTreeSet<(String, String)> = specs.into_iter().map(|s| (s.schema, s.name)).collect();
    sequences::advance(&copy, &all).await?;
    copy.query_long("ANALYZE;").await?;
    let comment = settings::copy(to, &to.db.name, &name).await?;
    let mark = Mark::new(run, "preback", "replaced", "before it was taken back");
    swap::swap(to, &name, &old, &mark, comment.as_deref()).await?;
    scratch::drop_own(to, &old, run).await?;
    Ok((differences, own.path))
}

#[async_trait]
impl Step for TakeBack {
    const KIND: &'static str = "pg.take-back";
    type Output = TakenBack;

    fn summary(&self) -> String {
        format!(
            "take {} back to production's schema if a release that did not happen left migrations there",
            self.to.words()
        )
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn policy(&self) -> Retries {
        Retries::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<TakenBack, StepError> {
        let to = self.to.begin(cx).await?;
        let run = cx.run_id().as_str();
        tidy(&to, run).await?;
        let from = self.from.open(cx)?;
        let left = left(&from, &to, &self.migrations).await?;
        if left.is_empty() {
            cx.log(format!(
                "{} has no migration that the commit has not",
                self.to.words()
            ));
            return Ok(TakenBack::default());
        }
        let progress = bytes_shown(cx);
        let order = Order {
            dir: &self.dir,
            prefix: "before-taking-back",
            compression: Compression::Zstd,
            min_free_bytes: 0,
            critical: &[],
            made_by: &format!("{}/{}", cx.idempotency_key(), cx.attempt()),
            progress: &progress,
        };
        let done = take_back(&from, &to, &order, run).await;
        let (differences, backup) = match done {
            Ok(done) => done,
            Err(e) => {
                let (copy, _) = names(run);
                // What went wrong is the news; a later life drops the scratch database as well.
                drop(scratch::drop_own(&to, &copy, run).await);
                return Err(StepError::from(e).hint(format!(
                    "{} holds {}, which the commit has not. By hand: make an empty database in its place, load \
                     `pg_dump --schema-only --no-owner` of production and the rows of {} into it, then retry",
                    self.to.words(),
                    some_of(&left, 5),
                    ident(HISTORY)
                )));
            }
        };
        cx.log(format!(
            "{}: {} is not in the commit, so the schema was taken back to production's ({}). Before: {backup}",
            self.to.words(),
            left.join(", "),
            some_of(&differences, 20)
        ));
        Ok(TakenBack {
            left,
            differences,
            backup: Some(backup),
        })
    }
}
