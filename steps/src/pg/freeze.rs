//! Read-only mode, proved by a write that must fail.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::outlook::Restorable;
use super::settings::READ_ONLY;
use super::swap::end_sessions;
use super::text::{ident, literal};
use super::{Database, Pg, PgError};

/// Makes every new session of a database read-only and ends the open ones, which would go on writing. Then proves it:
/// a new session's write must be refused.
///
/// It is a barrier against an application that goes on, not against one that asks for a read-write transaction. The
/// release's own migration does that: `options=-c%20default_transaction_read_only%3Doff` in its `DATABASE_URL`.
///
/// Its undo gives the database the setting it had: one that was read-only before the release is so again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Freeze {
    /// The database.
    pub db: Database,
    /// The key of the step that ends read-only mode. Once that is done there is nothing to undo: by then the environment
    /// may be another run's. Without it the undo also gives back what was set before the release.
    #[serde(default)]
    pub ended_by: Option<String>,
}

/// Ends read-only mode as a step of its own; see [`Freeze`]. Its undo comes first in a rollback of a release that was open
/// to writers: it looks whether the restore can be made, before anything is stopped for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Thaw {
    /// The database.
    pub db: Database,
    /// What the undo looks at. Without it there is none.
    #[serde(default)]
    pub look: Option<Restorable>,
}

/// What freezing or thawing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Whether writes are refused now.
    pub read_only: bool,
    /// What the server said to the write that was tried.
    pub canary: String,
}

/// What the database said about read-only mode before the freeze; noted before it is changed.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    read_only: Option<String>,
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
             WHERE s.setrole <> 0 AND CASE WHEN c.one LIKE '{READ_ONLY}=%' THEN NOT split_part(c.one, '=', 2)::bool ELSE false END \
             AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = {name}));"
        ))
        .await?;
    if !overriding.is_empty() {
        return Err(PgError::Check(format!(
            "read-only mode would not hold for {}: these roles have a setting of their own that switches it off; nothing was changed",
            overriding.join(", ")
        )));
    }
    shut(pg).await?;
    canary(pg, true).await
}

/// Makes new sessions read-only and ends the open ones. May be run twice.
pub(super) async fn shut(pg: &Pg) -> Result<(), PgError> {
    set(pg, Some("on")).await?;
    end_open(pg, "go on writing").await
}

async fn set(pg: &Pg, value: Option<&str>) -> Result<(), PgError> {
    let database = ident(&pg.db.name);
    let sql = match value {
        Some(value) => format!(
            "ALTER DATABASE {database} SET {READ_ONLY} = {};",
            literal(value)
        ),
        None => format!("ALTER DATABASE {database} RESET {READ_ONLY};"),
    };
    pg.maintenance().query(&sql).await?;
    Ok(())
}

/// What a database itself says about read-only mode: as it was written, and whether that means on.
pub(super) async fn setting(pg: &Pg) -> Result<Option<(String, bool)>, PgError> {
    let sql = format!(
        "SELECT json_build_array(v.one, v.one::bool)::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
         CROSS JOIN LATERAL unnest(s.setconfig) AS c(one) CROSS JOIN LATERAL (SELECT split_part(c.one, '=', 2)) AS v(one) \
         WHERE s.setrole = 0 AND d.datname = {} AND c.one LIKE '{READ_ONLY}=%';",
        literal(&pg.db.name)
    );
    Ok(pg.maintenance().rows(&sql).await?.into_iter().next())
}

/// Whether new sessions are read-only by the database's own setting.
pub(super) async fn is_on(pg: &Pg) -> Result<bool, PgError> {
    Ok(setting(pg).await?.is_some_and(|(_, on)| on))
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

/// Sessions that began before a change and so are not bound by it. When a session began is not shown to everybody;
/// one that hides it counts.
async fn older(pg: &Pg, since: &str) -> Result<Vec<String>, PgError> {
    pg.maintenance()
        .rows(&format!(
            "SELECT to_json(concat_ws(' ', backend_type, pid, usename, application_name, CASE WHEN backend_start IS NULL THEN \
             format('(since when is hidden: GRANT pg_read_all_stats TO %I)', current_user) END))::text FROM pg_stat_activity \
             WHERE datname = {} AND (backend_start IS NULL OR backend_start <= {}::timestamptz) \
             AND usesysid IS NOT NULL AND backend_type IS DISTINCT FROM 'autovacuum worker';",
            literal(&pg.db.name),
            literal(since)
        ))
        .await
}

/// Lets writers in. May be run twice.
pub(super) async fn thaw(pg: &Pg) -> Result<Frozen, PgError> {
    put_back(pg, None).await
}

/// Gives read-only mode the value it had, or none, and proves by a write what that means. May be run twice.
pub(super) async fn put_back(pg: &Pg, was: Option<&str>) -> Result<Frozen, PgError> {
    set(pg, was).await?;
    if is_on(pg).await? {
        return canary(pg, true).await;
    }
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
        let pg = self.db.open(cx)?;
        if cx.noted::<Before>()?.is_none() {
            let read_only = setting(&pg).await?.map(|(value, _)| value);
            cx.note(&Before { read_only }).await?;
        }
        let frozen = freeze(&pg).await?;
        cx.log(format!("a write was refused: {}", frozen.canary));
        Ok(frozen)
    }

    async fn undo(&self, cx: &Cx, _: Option<Frozen>) -> Result<String, StepError> {
        let ended = self.ended_by.as_deref();
        if let Some(key) = ended.filter(|key| cx.run().output(key).is_some()) {
            return Ok(format!("`{key}` has ended read-only mode"));
        }
        let before: Option<Before> = cx.noted()?;
        let was = before.and_then(|before| before.read_only);
        let now = put_back(&self.db.open(cx)?, was.as_deref()).await?;
        Ok(if now.read_only {
            format!(
                "{} is read-only, as it was before the release",
                self.db.words()
            )
        } else {
            format!("{} accepts writes", self.db.words())
        })
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

    fn undo_in_words(&self) -> Option<String> {
        let words = "before anything is stopped: the backup is there, whole and fits; rows written since are asked for";
        self.look.is_some().then(|| words.to_owned())
    }

    async fn run(&self, cx: &Cx) -> Result<Frozen, StepError> {
        Ok(thaw(&self.db.open(cx)?).await?)
    }

    async fn undo(&self, cx: &Cx, _: Option<Frozen>) -> Result<String, StepError> {
        match &self.look {
            Some(look) => look.check(cx, &self.db).await,
            None => Ok("nothing to look at".into()),
        }
    }
}
