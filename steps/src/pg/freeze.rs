//! Read-only mode, proved by a write that must fail.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::settings::READ_ONLY;
use super::swap::end_sessions;
use super::text::{ident, literal};
use super::{Database, Pg, PgError};

/// Makes every new session of a database read-only and ends the open ones, which would go on writing. Then proves it:
/// a new session's write must be refused.
///
/// It is a barrier against an application that goes on, not against one that asks for a read-write transaction. The
/// release's own migration does that: `options=-c%20default_transaction_read_only%3Doff` in its `DATABASE_URL`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Freeze {
    /// The database.
    pub db: Database,
}

/// Ends read-only mode as a step of its own; see [`Freeze`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Thaw {
    /// The database.
    pub db: Database,
}

/// What freezing or thawing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Whether writes are refused now.
    pub read_only: bool,
    /// What the server said to the write that was tried.
    pub canary: String,
}

/// A write that leaves nothing behind: it is rolled back, or refused.
const CANARY: &str = "\\set VERBOSITY verbose\nBEGIN;\nCREATE SCHEMA flow_canary;\nROLLBACK;";
/// `read_only_sql_transaction`.
const REFUSED: &str = "25006";

/// Freezes. May be run twice.
pub(super) async fn freeze(pg: &Pg) -> Result<Frozen, PgError> {
    let name = literal(&pg.db.name);
    let overriding: Vec<String> = pg
        .maintenance()
        .rows(&format!(
            "SELECT to_json(s.setrole::regrole::text)::text FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(one) \
             WHERE s.setrole <> 0 AND c.one = '{READ_ONLY}=off' \
             AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = {name}));"
        ))
        .await?;
    if !overriding.is_empty() {
        return Err(PgError::Check(format!(
            "read-only mode would not hold for {}: these roles have a setting of their own that switches it off; nothing was changed",
            overriding.join(", ")
        )));
    }
    pg.maintenance()
        .query(&format!(
            "ALTER DATABASE {} SET {READ_ONLY} = on;",
            ident(&pg.db.name)
        ))
        .await?;
    end_open(pg, "go on writing").await?;
    canary(pg, true).await
}

/// Ends every session that began before now: a database's settings bind only sessions that begin after the change.
async fn end_open(pg: &Pg, danger: &str) -> Result<(), PgError> {
    let since = pg
        .maintenance()
        .query("SELECT to_json(clock_timestamp())::text;")
        .await?;
    let Some(since) = since.first().map(|t| t.trim_matches('"').to_owned()) else {
        return Err(pg.answer_error("no time"));
    };
    for _ in 0..10 {
        end_sessions(pg, &pg.db.name).await?;
        if older(pg, &since).await?.is_empty() {
            return Ok(());
        }
    }
    Err(PgError::Check(format!(
        "sessions of `{}` that were open before cannot be ended and may {danger}: {}",
        pg.db.name,
        older(pg, &since).await?.join(", ")
    )))
}

/// Sessions that began before a change and so are not bound by it.
async fn older(pg: &Pg, since: &str) -> Result<Vec<String>, PgError> {
    pg.maintenance()
        .rows(&format!(
            "SELECT to_json(concat_ws(' ', backend_type, pid, usename, application_name))::text FROM pg_stat_activity \
             WHERE datname = {} AND backend_start <= {}::timestamptz AND backend_type <> 'autovacuum worker';",
            literal(&pg.db.name),
            literal(since)
        ))
        .await
}

pub(super) async fn thaw(pg: &Pg) -> Result<Frozen, PgError> {
    pg.maintenance()
        .query(&format!(
            "ALTER DATABASE {} RESET {READ_ONLY};",
            ident(&pg.db.name)
        ))
        .await?;
    // A session opened while it was frozen stays read-only for life: an application's pool would go on failing.
    end_open(pg, "stay read-only").await?;
    canary(pg, false).await
}

/// Tries to write in a new session.
async fn canary(pg: &Pg, must_fail: bool) -> Result<Frozen, PgError> {
    let tried = pg.query(CANARY).await;
    match (tried, must_fail) {
        (Err(PgError::Sql { message, .. }), true) if message.contains(REFUSED) => Ok(Frozen {
            read_only: true,
            canary: message.lines().next().unwrap_or_default().to_owned(),
        }),
        (Ok(_), true) => Err(PgError::Check(format!(
            "`{}` was set read-only, and a write in a new session was still accepted",
            pg.db.name
        ))),
        (Ok(_), false) => Ok(Frozen {
            read_only: false,
            canary: "a write was accepted".into(),
        }),
        (Err(e), _) => Err(e),
    }
}

#[async_trait]
impl Step for Freeze {
    const KIND: &'static str = "pg.freeze";
    type Output = Frozen;

    fn summary(&self) -> String {
        format!(
            "make {} read-only, end its open sessions, prove it by a write",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("read-only mode off, proved by a write".into())
    }

    async fn run(&self, cx: &Cx) -> Result<Frozen, StepError> {
        let frozen = freeze(&self.db.open(cx)?).await?;
        cx.log(format!("a write was refused: {}", frozen.canary));
        Ok(frozen)
    }

    async fn undo(&self, cx: &Cx, _: Option<Frozen>) -> Result<String, StepError> {
        thaw(&self.db.open(cx)?).await?;
        Ok(format!("{} accepts writes", self.db.words()))
    }
}

#[async_trait]
impl Step for Thaw {
    const KIND: &'static str = "pg.thaw";
    type Output = Frozen;

    fn summary(&self) -> String {
        format!(
            "end read-only mode of {}, prove it by a write",
            self.db.words()
        )
    }

    fn effect(&self) -> flow_engine::plan::Effect {
        flow_engine::plan::Effect::Changes
    }

    async fn run(&self, cx: &Cx) -> Result<Frozen, StepError> {
        Ok(thaw(&self.db.open(cx)?).await?)
    }
}
