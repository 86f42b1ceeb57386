//! Sessions that were open before a database's setting was changed, which binds only those that begin later.

use serde::Deserialize;

use crate::means::psql::sessions::{MAY_END, RETURNS, Whom};
use crate::means::psql::text::{ident, literal};
use crate::means::psql::{Pg, PgError, sessions};

/// What is said of sessions that go on.
pub(crate) fn said(left: Vec<Older>, what: &str) -> Vec<String> {
    left.into_iter()
        .map(|session| format!("{} {what}", session.words))
        .collect()
}

/// Ends every session that began before now: a database's settings bind only sessions that begin after the change.
/// Gives those that go on, because they are not ours to end or would not come back.
pub(crate) async fn end_open(pg: &Pg) -> Result<Vec<Older>, PgError> {
    let since = pg
        .maintenance()
        .query("SELECT to_json(clock_timestamp())::text;")
        .await?;
    let Some(since) = since.first().map(|t| t.trim_matches('"').to_owned()) else {
        return Err(pg.answer_error("no time"));
    };
    let mut left = Vec::new();
    for _ in 0..10 {
        sessions::end(pg, &pg.db.name, Whom::Returning).await?;
        left = older(pg, &since).await?;
        if !left.iter().any(|session| session.endable) {
            break;
        }
    }
    Ok(left)
}

/// A session that began before a change and so is not bound by it.
#[derive(Deserialize)]
pub(crate) struct Older {
    pub(crate) words: String,
    /// Whether it is ours to end, and would begin anew by itself.
    pub(crate) endable: bool,
    /// Whether nothing that can be granted would make it so: a superuser's, or a worker's that would stay away.
    pub(crate) beyond: bool,
}

/// Sessions that began before a change. When a session began is not shown to everybody; one that hides it counts.
async fn older(pg: &Pg, since: &str) -> Result<Vec<Older>, PgError> {
    pg.maintenance()
        .rows(&format!(
            "SELECT json_build_object('words', concat_ws(' ', a.backend_type, a.pid, a.usename, a.application_name, CASE WHEN a.backend_start IS NULL \
             THEN format('(since when is hidden: GRANT pg_read_all_stats TO %I)', current_user) END), \
             'endable', {MAY_END} AND {RETURNS}, 'beyond', coalesce(r.rolsuper, false) OR NOT {RETURNS})::text \
             {} AND (a.backend_start IS NULL OR a.backend_start <= {}::timestamptz);",
            sessions::of(&pg.db.name),
            literal(since)
        ))
        .await
}

/// Those of a list that are named in an error.
pub(crate) fn named(left: &[Older], which: impl Fn(&Older) -> bool) -> Option<String> {
    let names: Vec<&str> = left
        .iter()
        .filter(|s| which(s))
        .map(|s| s.words.as_str())
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Sessions of ordinary roles that this one may not end would go on writing; that is known before anything is changed.
pub(crate) async fn out_of_hand(pg: &Pg) -> Result<(), PgError> {
    let open = older(pg, "infinity").await?;
    match named(&open, |s| !s.endable && !s.beyond) {
        None => Ok(()),
        Some(names) => Err(PgError::Check(format!(
            "sessions of `{}` cannot be ended by `{}` and may go on writing: {names}. GRANT pg_signal_backend, pg_read_all_stats TO {}; nothing was changed",
            pg.db.name,
            pg.db.user,
            ident(&pg.db.user)
        ))),
    }
}

/// Clients that begin their transactions read-write, whatever the setting says, by what they are known for.
pub(crate) async fn headstrong(pg: &Pg) -> Result<Vec<String>, PgError> {
    pg.maintenance()
        .rows(&format!(
            "SELECT DISTINCT to_json(concat_ws(' ', usename, application_name))::text FROM pg_stat_activity \
             WHERE datname = {} AND (application_name ILIKE '%postgrest%' OR usename = 'authenticator');",
            literal(&pg.db.name)
        ))
        .await
}
