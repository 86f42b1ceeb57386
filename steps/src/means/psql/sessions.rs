//! Ending the sessions of a database, as far as they are ours to end.

use crate::means::psql::text::literal;
use crate::means::psql::{Pg, PgError};

/// Whose session is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All that stand in the way of a rename.
    All,
    /// Only who comes back: an extension's worker that is ended may stay away until the server is restarted, as
    /// `pg_cron`'s launcher does.
    Returning,
}

/// Whether this role may end a session `a` of role `r`. Asked to end one that it may not, the server answers with an
/// error and ends none of the others.
pub(crate) const MAY_END: &str = "((SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR NOT coalesce(r.rolsuper, false) \
     AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')))";

/// Whether a session `a` begins anew by itself when it is ended. One whose kind is hidden is taken for a client's.
pub(crate) const RETURNS: &str = "(coalesce(a.backend_type, '') IN ('', 'client backend', 'walsender') OR a.backend_type LIKE 'logical replication%')";

/// The sessions of a database but ours and autovacuum's, as `a`, with their roles as `r`.
///
/// A role without `pg_read_all_stats` is not told what kind of session another role's is. Such a one counts: only
/// autovacuum has no user.
pub(crate) fn of(name: &str) -> String {
    format!(
        "FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid WHERE a.datname = {} AND a.pid <> pg_backend_pid() \
         AND a.usesysid IS NOT NULL AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'parallel worker')",
        literal(name)
    )
}

/// A statement that ends them and gives a row for each.
///
/// The victims are settled before the first one is ended. With both in one WHERE the planner may end first and
/// filter later: that ended sessions of other databases in a test.
pub(crate) fn ending(name: &str, whom: Whom) -> String {
    let returns = match whom {
        Whom::All => "true",
        Whom::Returning => RETURNS,
    };
    format!(
        "WITH victims AS MATERIALIZED (SELECT a.pid {} AND {MAY_END} AND {returns}) SELECT pg_terminate_backend(pid, 5000) FROM victims;",
        of(name)
    )
}

/// Ends the sessions of a database that are ours to end, and says who still holds its name: sessions, and transactions
/// that were prepared and never ended. Logical replication is a session of its database too and blocks a rename;
/// physical replication belongs to none and is left alone.
pub(crate) async fn end(pg: &Pg, name: &str, whom: Whom) -> Result<Vec<String>, PgError> {
    pg.maintenance().query(&ending(name, whom)).await?;
    pg.maintenance()
        .rows(&format!(
            "SELECT to_json(concat_ws(' ', coalesce(a.backend_type, 'session'), a.pid, a.application_name, CASE \
               WHEN {MAY_END} THEN NULL WHEN r.rolsuper THEN format('of superuser `%s`, which only a superuser may end', a.usename) \
               ELSE format('of `%s` (to end it: GRANT pg_signal_backend TO %I)', a.usename, current_user) END))::text {} \
             UNION ALL SELECT to_json(concat_ws(' ', 'prepared transaction', gid))::text FROM pg_prepared_xacts WHERE database = {};",
            of(name),
            literal(name)
        ))
        .await
}
