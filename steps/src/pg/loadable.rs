//! Whether a dump of a database could be loaded, asked of single rows instead of a whole restore.
//!
//! A dump is loaded with an empty `search_path`. A function that names tables or functions without their schema works
//! for the application and fails there: in a generated column, a check, an index, a materialized view.

use super::right::Right;
use crate::means::psql::text::some_of;
use crate::means::psql::{Pg, PgError};

/// `query_canceled`: the look took too long, so nothing is known.
const CANCELED: &str = "57014";
/// `insufficient_privilege`: told by the other questions.
const DENIED: &str = "42501";

/// Names what a restore would stop at. Reads one row of each; what takes longer than ten seconds is left to the proof.
pub(crate) async fn look(pg: &Pg) -> Result<Vec<Right>, PgError> {
    let things: Vec<(String, String, Vec<String>)> =
        pg.rows(include_str!("rights/loadable.sql")).await?;
    let mut found = Vec::new();
    for (object, query, functions) in things {
        let sql = format!(
            "\\set VERBOSITY verbose\nBEGIN READ ONLY; SET LOCAL statement_timeout = '10s';\n{query};\nROLLBACK;"
        );
        let message = match pg.query(&sql).await {
            Err(PgError::Sql { message, .. }) if !is_silent(&message) => message,
            Ok(_) | Err(PgError::Sql { .. }) => continue,
            Err(e) => return Err(e),
        };
        let message = message.lines().next().unwrap_or_default().to_owned();
        found.push(Right {
            about: "load a dump".into(),
            ok: false,
            found: format!(
                "{object} cannot be computed with an empty search_path, which is how a dump is loaded: {message}"
            ),
            fix: cure(&functions),
        });
    }
    Ok(found)
}

fn is_silent(message: &str) -> bool {
    message.contains(CANCELED) || message.contains(DENIED)
}

/// What to do about something that only a `search_path` makes work.
pub(crate) fn cure(functions: &[String]) -> String {
    if functions.is_empty() {
        return "write every name in its definition, in the functions it calls and in the texts it runs with its schema, or \
                ALTER FUNCTION … SET search_path = … for those functions"
            .into();
    }
    format!(
        "in {} and the functions it calls, write every name with its schema, or ALTER FUNCTION … SET search_path = …",
        some_of(functions, 5)
    )
}
