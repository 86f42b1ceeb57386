//! The shape that a database will have once the pending migrations are in, found out before anything is deployed.
//!
//! A copy of the schema is made without rows, the pending migrations run in it, and its catalogue before and after tells
//! what they do. Not their text: what a statement does to keys, indexes and grants is the server's business.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::applied;
use super::copy_safe::instance;
use super::scratch::{self, Mark};
use super::shape::{self, Change, READS, Shape};
use crate::means::git::commit;
use crate::means::psql::client::LONG;
use crate::means::psql::text::{ident, some_of};
use crate::means::psql::{Database, Pg, PgError};
use crate::means::reach;
use flow_lint::migration::Migration;

mod judge;

/// How long the whole may take, in seconds.
const LIMIT: u64 = 1800;

/// What reaches beyond the database it runs in. Migrations with such a statement run in one transaction that is rolled back.
static BEYOND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?is)\b(create|alter|drop)\s+(role|user|group|database|tablespace|subscription|server)\b|\b(grant|revoke|comment|label)\b[^;]*\bon\s+(database|role|tablespace|parameter)\b|\balter\s+system\b|\bdblink|\bcron\s*\.|\bcopy\b[^;]*\bprogram\b",
    )
    .ok()
});

/// Runs the migrations of a commit that are pending in one database in an empty copy of its schema, and tells what they do
/// to the shape. Reads the database; the copy is dropped.
///
/// It has no undo: taking production back must not depend on staging's server. A copy that a killed life left is dropped by
/// the next.
///
/// Where the copy cannot be made or a migration does not run in it, the outcome says so and is no failure: then only what
/// the migrations name counts as explained.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExpectedShape {
    /// Whose schema it is about.
    pub of: Database,
    /// Where the copy is made. Production's is made on staging's server: nothing unsigned runs on production's.
    pub at: Database,
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// The folder of migrations inside the repository.
    pub migrations: String,
    /// The schema of the application's tables and of its history of migrations: that of its `?schema=`.
    #[serde(default = "applied::public")]
    pub schema: String,
}

/// What the pending migrations do to the shape of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// The pending migrations, in order.
    pub pending: Vec<String>,
    /// What they do to an empty copy of the schema.
    pub changes: Vec<Change>,
    /// Things they make, or make anew: their owner and their grants are those of whoever runs the migrations.
    pub fresh: BTreeSet<String>,
    /// Things whose expression the copy has in other words than the database, so that words cannot be compared.
    pub reworded: BTreeSet<String>,
    /// How much the shapes tell that this was found out from: 0 when an older `flow` found it out.
    #[serde(default)]
    pub reads: u32,
    /// Why it could not be found out.
    pub unknown: Option<String>,
    /// The words of the pending migrations, in small letters, when it could not.
    pub named: BTreeSet<String>,
}

/// The words of texts, in small letters.
fn words(texts: &[Migration]) -> BTreeSet<String> {
    let split = |m: &Migration| {
        let odd = |c: char| !(c.is_alphanumeric() || c == '_');
        let words = m.sql.split(odd).filter(|w| !w.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>()
    };
    texts.iter().flat_map(split).collect()
}

/// The whole: copy, migrations, comparison. At most this run's scratch database is left behind, which the next one drops.
pub(super) async fn expect(
    (of, at): (&Pg, &Pg),
    pending: &[Migration],
    schema: &str,
    run: &str,
) -> Result<Expectation, PgError> {
    let mut session = of.session().await?;
    let (real, _) = shape::read(&mut session).await?;
    session.close().await?;
    let name = scratch::name_for("shape", run);
    let mark = Mark::new(
        run,
        "shape",
        "loading",
        "a schema without rows; may be dropped",
    );
    let copy = scratch::create(at, &at.db.name, &name, &mark).await?;
    let found = async {
        copy_schema(of, &copy).await?;
        replay(&copy, (&real, &of.db.name), (pending, schema)).await
    };
    let found = found.await;
    scratch::drop_own(at, &name, run).await?;
    found
}

/// What could not be tried out is said, and what the migrations name counts as explained then. Being out of reach is an error.
pub(super) fn or_unknown(
    found: Result<Expectation, PgError>,
    pending: &[Migration],
) -> Result<Expectation, PgError> {
    match found {
        Err(e) if !e.is_transient() => Ok(Expectation {
            pending: pending.iter().map(|m| m.name.clone()).collect(),
            unknown: Some(e.to_string()),
            named: words(pending),
            reads: READS,
            ..Expectation::default()
        }),
        other => other,
    }
}

/// What cannot be made in the copy, such as rights of roles that are not there, is left out: it is the same before and
/// after the migrations.
async fn copy_schema(of: &Pg, copy: &Pg) -> Result<(), PgError> {
    let command = of
        .tool("pg_dump")
        .args(["-w", "-U", &of.db.user, "--encoding=UTF8", "--schema-only"])
        .args(["--no-subscriptions", "--lock-wait-timeout=60000"])
        .arg(format!("--dbname={}", of.db.name))
        .deadline(LONG);
    let mut source = of.start(&command).await?;
    let sink = copy.feed().await?;
    sink.send("\\set ON_ERROR_STOP 0\n".into()).await;
    while let Some(chunk) = source.next().await {
        if !sink.send(chunk).await {
            sink.end().await?;
            return Err(copy.sql_error("psql stopped reading the schema"));
        }
    }
    source.end().await?;
    sink.end().await
}

async fn replay(
    copy: &Pg,
    (real, name): (&Shape, &str),
    (pending, schema): (&[Migration], &str),
) -> Result<Expectation, PgError> {
    let mut session = copy.session().await?;
    let (was, old) = shape::read(&mut session).await?;
    let beyond = |m: &Migration| BEYOND.as_ref().is_none_or(|r| r.is_match(&m.sql));
    let is_beyond = pending.iter().any(beyond);
    let mut plate = Shape::default();
    if is_beyond {
        session.ask("BEGIN;").await?;
        (plate, _) = shape::read_with_plate(&mut session, Some(name)).await?;
    }
    for migration in pending {
        let sql = as_one_query(migration, schema)?;
        session.ask(&sql).await.map_err(|e| {
            if e.is_transient() {
                return e;
            }
            PgError::Check(format!(
                "migration `{}` does not run in an empty copy of the schema: {e}",
                migration.name
            ))
        })?;
    }
    session
        .ask("RESET ROLE; SET search_path = pg_catalog, pg_temp;")
        .await?;
    let (now, new) = shape::read(&mut session).await?;
    let mut changes = was.changes(&now);
    if is_beyond {
        // A migration names the database itself, where it names one.
        let (renewed, _) = shape::read_with_plate(&mut session, Some(name)).await?;
        let new = |c: &Change| changes.iter().all(|known| known.thing != c.thing);
        let more: Vec<Change> = plate.changes(&renewed).into_iter().filter(new).collect();
        changes.extend(more);
    }
    // Not closed: what is open in it is rolled back.
    drop(session);
    let fresh = |thing: &&String| old.get(*thing) != new.get(*thing);
    let reworded = real.reworded(&was);
    Ok(Expectation {
        pending: pending.iter().map(|m| m.name.clone()).collect(),
        changes,
        fresh: new.keys().filter(fresh).cloned().collect(),
        reworded,
        reads: READS,
        unknown: None,
        named: BTreeSet::new(),
    })
}

/// A migration as `psql` sends it in one piece and unread: no backslash and no colon in it means anything to `psql`.
pub(super) fn as_one_query(migration: &Migration, schema: &str) -> Result<String, PgError> {
    if let Some(why) = &migration.unreadable {
        return Err(PgError::Check(format!(
            "migration `{}` cannot be read: {why}",
            migration.name
        )));
    }
    if migration.sql.contains('\0') {
        return Err(PgError::Check(format!(
            "migration `{}` holds a NUL",
            migration.name
        )));
    }
    // No text holds its own digest.
    let digest = hex::encode(Sha256::digest(migration.sql.as_bytes()));
    let quote = format!("$flow{}$", &digest[..24]);
    Ok(format!(
        "SET search_path = {}, extensions; SET statement_timeout = '5min';\nSELECT {quote}\n{}\n{quote} \\gexec\n",
        ident(schema),
        migration.sql
    ))
}

impl Expectation {
    /// In one line, for the log.
    fn in_words(&self) -> String {
        if let Some(why) = &self.unknown {
            return format!(
                "WHAT THE PENDING MIGRATIONS DO COULD NOT BE TRIED OUT, only what they name counts as explained: {why}"
            );
        }
        if self.pending.is_empty() {
            return "no migration is pending: the shape must stay as it is".into();
        }
        let words: Vec<String> = self.changes.iter().map(Change::in_words).collect();
        format!(
            "{} pending: {}",
            self.pending.len(),
            if words.is_empty() {
                "the shape must stay as it is".to_owned()
            } else {
                some_of(&words, 20)
            }
        )
    }
}

#[async_trait]
impl Step for ExpectedShape {
    const KIND: &'static str = "pg.expected-shape";
    type Output = Expectation;

    fn summary(&self) -> String {
        format!(
            "run the pending migrations in an empty copy of the schema of {}, on `{}`",
            self.of.words(),
            self.at.host
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(LIMIT)
    }

    async fn run(&self, cx: &Cx) -> Result<Expectation, StepError> {
        if !reach::is_commit(&self.commit) {
            return Err(StepError::fail(format!(
                "`{}` is no full commit name",
                self.commit
            )));
        }
        let (of, at) = (self.of.open(cx)?, self.at.open(cx)?);
        let mut pending = commit::read(&self.repo, &self.commit, &self.migrations).await?;
        let finished = applied::finished(&of, &self.schema).await?;
        pending.retain(|m| !finished.contains(&m.name));
        let found = if pending.is_empty() {
            Ok(Expectation::default())
        } else if self.of.host != self.at.host && instance(&of).await? == instance(&at).await? {
            Err(PgError::Check(format!(
                "{} is on the server of {}, where nothing unsigned is to run",
                at.db.words(),
                of.db.words()
            )))
        } else {
            expect((&of, &at), &pending, &self.schema, cx.run_id().as_str()).await
        };
        let found = or_unknown(found, &pending)?;
        cx.log(found.in_words());
        Ok(found)
    }
}
