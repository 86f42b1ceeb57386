//! What a database says it has applied: Prisma's own table, read in a transaction that cannot write.

use flow_engine::step::StepError;
use serde::de::DeserializeOwned;

use crate::means::host::Host;
use crate::means::reach;
use flow_lint::migration::history::{self, History, Place};

/// Fails when the name can be no schema's, and when the database does not answer.
pub(super) async fn read(
    host: &dyn Host,
    psql: &[String],
    schema: &str,
) -> Result<History, StepError> {
    if !history::is_schema(schema) {
        return Err(StepError::fail(format!(
            "`{}` is no schema name this check can use",
            schema.escape_debug()
        ))
        .hint("correct `schema` in [env.prod.database] of flow.toml"));
    }
    let place: Place = ask(host, psql, &history::place_sql(schema)).await?;
    let rows = if place.history {
        ask(host, psql, &history::rows_sql(schema)).await?
    } else {
        Vec::new()
    };
    Ok(History {
        schema: schema.to_owned(),
        place,
        rows,
    })
}

/// For `flow doctor`: what the history of a database says, in a line.
///
/// # Errors
/// What stands in the way of `migrate deploy`, and what to do about it; or that the database does not answer.
pub async fn history(
    host: &dyn Host,
    psql: &[String],
    schema: &str,
) -> Result<String, (String, String)> {
    let unasked = |e: StepError| {
        (
            e.to_string(),
            "let psql work there as it is configured".into(),
        )
    };
    let found = read(host, psql, schema).await.map_err(unasked)?;
    let faults = history::unready(&found);
    if !faults.is_empty() {
        let lines = |of: fn(&history::Fault) -> &String| {
            let lines: Vec<&str> = faults.iter().map(|fault| of(fault).as_str()).collect();
            lines.join("; ")
        };
        return Err((lines(|fault| &fault.message), lines(|fault| &fault.fix)));
    }
    if !found.place.history {
        let sql = history::exists_sql(schema);
        if !ask::<bool>(host, psql, &sql).await.map_err(unasked)? {
            return Err((
                format!("the database has no schema {schema:?}"),
                "name the one that the application uses: `schema` in [env.X.database] of flow.toml, as in `?schema=` of its \
                 URL; before a first release make it: CREATE SCHEMA".into(),
            ));
        }
        return Ok(format!(
            "schema {schema:?} is empty and has no history: every migration is pending"
        ));
    }
    let applied = found.rows.iter().filter(|row| !row.rolled_back).count();
    Ok(format!("{applied} migrations applied in schema {schema:?}"))
}

async fn ask<T: DeserializeOwned>(
    host: &dyn Host,
    psql: &[String],
    sql: &str,
) -> Result<T, StepError> {
    let args = [
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        "begin transaction read only",
        "-c",
        sql,
        "-c",
        "commit",
    ];
    let json = reach::run(host, &reach::command(psql, &args)?).await?;
    serde_json::from_str(&json)
        .map_err(|e| StepError::fail("the applied migrations cannot be read").because(&e))
}
