//! Read-only mode: a setting of the database, proved by a write that must fail.

use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use crate::means::psql::sessions::Whom;
use crate::means::psql::text::{ident, literal, some_of};
use crate::means::psql::{Database, Pg, PgError, sessions};

pub mod freeze;
mod older;
pub mod watchdog;

use older::{end_open, headstrong, named, out_of_hand, said};

/// Set by [`Freeze`](freeze::Freeze), and never carried over: a restored database must not come up read-only.
pub(crate) const READ_ONLY: &str = "default_transaction_read_only";

/// What freezing or thawing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Whether writes are refused now.
    pub read_only: bool,
    /// What the server said to the write that was tried.
    pub canary: String,
    /// What read-only mode does not bind, or its end does not reach: sessions that are not ours to end, and clients that
    /// ask for a read-write transaction.
    #[serde(default)]
    pub unbound: Vec<String>,
}

/// A write that leaves nothing behind: it is rolled back, or refused.
const CANARY: &str = "\\set VERBOSITY verbose\nBEGIN;\nCREATE SCHEMA flow_canary;\nROLLBACK;";

/// The same as a client that does not care: `PostgREST` begins every writing transaction like this.
const HEADSTRONG: &str =
    "\\set VERBOSITY verbose\nBEGIN READ WRITE;\nCREATE SCHEMA flow_canary;\nROLLBACK;";

/// The SQLSTATE of `read_only_sql_transaction`.
const REFUSED: &str = "25006";

/// Freezes. May be run twice.
pub(crate) async fn freeze(pg: &Pg) -> Result<Frozen, PgError> {
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
    out_of_hand(pg).await?;
    let seen = headstrong(pg).await?;
    let mut unbound = shut(pg).await?;
    unbound.extend(slips_through(pg, &seen).await?);
    let frozen = canary(pg, true).await?;
    Ok(Frozen { unbound, ..frozen })
}

/// Whether a client that asks for a read-write transaction gets one, and who is known to.
async fn slips_through(pg: &Pg, seen: &[String]) -> Result<Option<String>, PgError> {
    match pg.query(HEADSTRONG).await {
        Err(PgError::Sql { message, .. }) if message.contains(REFUSED) => return Ok(None),
        Err(e) if e.is_transient() => return Err(e),
        // Refused for any other reason, it was not refused for being read-only.
        Ok(_) | Err(_) => {}
    }
    let who = if seen.is_empty() {
        "none that is known to was connected".to_owned()
    } else {
        format!("connected were: {}", some_of(seen, 5))
    };
    Ok(Some(format!(
        "a client that begins its transactions READ WRITE, as PostgREST does, is let through ({who}); what it writes is found by the comparison with the baseline"
    )))
}

/// Makes new sessions read-only and ends the open ones. Names those that go on. May be run twice.
pub(crate) async fn shut(pg: &Pg) -> Result<Vec<String>, PgError> {
    set(pg, Some("on")).await?;
    let left = end_open(pg).await?;
    match named(&left, |s| s.endable || !s.beyond) {
        Some(names) => Err(PgError::Check(format!(
            "sessions of `{}` that were open before cannot be ended and may go on writing: {names}",
            pg.db.name
        ))),
        None => Ok(said(
            left,
            "was open before and is not ended: a superuser's, or a worker that would not come back; it may still write",
        )),
    }
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
pub(crate) async fn setting(pg: &Pg) -> Result<Option<(String, bool)>, PgError> {
    let sql = format!(
        "SELECT json_build_array(v.one, v.one::bool)::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
         CROSS JOIN LATERAL unnest(s.setconfig) AS c(one) CROSS JOIN LATERAL (SELECT split_part(c.one, '=', 2)) AS v(one) \
         WHERE s.setrole = 0 AND d.datname = {} AND c.one LIKE '{READ_ONLY}=%';",
        literal(&pg.db.name)
    );
    Ok(pg.maintenance().rows(&sql).await?.into_iter().next())
}

/// Whether new sessions are read-only by the database's own setting.
pub(crate) async fn is_on(pg: &Pg) -> Result<bool, PgError> {
    Ok(setting(pg).await?.is_some_and(|(_, on)| on))
}

/// Whether the database is still read-only by its own setting, asked where it is.
pub(crate) async fn is_frozen(cx: &Cx, db: &Database) -> Result<bool, StepError> {
    Ok(is_on(&db.open(cx)?).await?)
}

/// What opens a database, as statements for `psql` on the maintenance database: for a host that nobody speaks to, and in
/// short for people ([`docs/operations.md`]). It takes back the setting, opens a database that was closed for a swap, and
/// ends the sessions that stay read-only for life; one that is open already is left alone.
pub(crate) fn opening(name: &str, was: Option<&str>) -> String {
    let (text, database) = (literal(name), ident(name));
    let change = match was {
        Some(value) => format!("SET {READ_ONLY} = {}", literal(value)),
        None => format!("RESET {READ_ONLY}"),
    };
    let end = sessions::ending(name, Whom::Returning);
    format!(
        "SET search_path = pg_catalog, pg_temp; SET statement_timeout = '120s'; SET lock_timeout = '60s'; SET application_name = 'flow';\n\
         SELECT 1 / count(*) FROM pg_database WHERE datname = {text};\n\
         SELECT NOT d.datallowconn OR EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c(one) \
         WHERE s.setrole = 0 AND s.setdatabase = d.oid AND c.one LIKE '{READ_ONLY}=%') AS flow_shut FROM pg_database d WHERE d.datname = {text} \\gset\n\
         \\if :flow_shut\n\
         ALTER DATABASE {database} {change};\n\
         ALTER DATABASE {database} ALLOW_CONNECTIONS true;\n\
         {end}\n\
         \\endif\n"
    )
}

/// Lets writers in. May be run twice.
pub(crate) async fn thaw(pg: &Pg) -> Result<Frozen, PgError> {
    put_back(pg, None).await
}

/// Gives read-only mode the value it had, or none, and proves by a write what that means. May be run twice.
pub(crate) async fn put_back(pg: &Pg, was: Option<&str>) -> Result<Frozen, PgError> {
    set(pg, was).await?;
    if is_on(pg).await? {
        return canary(pg, true).await;
    }
    // A session opened while it was frozen stays read-only for life: an application's pool would go on failing.
    let left = end_open(pg).await?;
    let open = canary(pg, false).await?;
    Ok(Frozen {
        unbound: said(
            left,
            "was open before, and stays read-only if it began while the database was",
        ),
        ..open
    })
}

/// Tries to write in a new session.
async fn canary(pg: &Pg, must_fail: bool) -> Result<Frozen, PgError> {
    let tried = pg.query(CANARY).await;
    match (tried, must_fail) {
        (Err(PgError::Sql { message, .. }), true) if message.contains(REFUSED) => Ok(Frozen {
            read_only: true,
            canary: message.lines().next().unwrap_or_default().to_owned(),
            unbound: Vec::new(),
        }),
        (Ok(_), true) => Err(PgError::Check(format!(
            "`{}` was set read-only, and a write in a new session was still accepted",
            pg.db.name
        ))),
        (Ok(_), false) => Ok(Frozen {
            read_only: false,
            canary: "a write was accepted".into(),
            unbound: Vec::new(),
        }),
        (Err(e), _) => Err(e),
    }
}
