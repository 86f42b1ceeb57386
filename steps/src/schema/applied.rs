//! What a database says it has applied: Prisma's own table, read in a transaction that cannot write.

use flow_engine::step::StepError;
use serde::de::DeserializeOwned;

use crate::host::Host;
use crate::migration::history::{self, History, Place};
use crate::reach;

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
