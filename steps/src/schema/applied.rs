//! What a database says it has applied: Prisma's own table, read in a transaction that cannot write.

use flow_engine::step::StepError;
use serde::Deserialize;

use crate::host::Host;
use crate::reach;

/// One row of `_prisma_migrations`. A migration that was rolled back and applied again has two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Applied {
    pub(super) name: String,
    /// The sha256 of the file when it was applied, hex.
    pub(super) checksum: String,
    pub(super) finished: bool,
    pub(super) rolled_back: bool,
}

impl Applied {
    pub(super) fn holds(&self) -> bool {
        self.finished && !self.rolled_back
    }

    /// Prisma refuses to go on after such a row (P3009).
    pub(super) fn is_stuck(&self) -> bool {
        !self.finished && !self.rolled_back
    }
}

pub(super) async fn read(
    host: &dyn Host,
    psql: &[String],
    schema: &str,
) -> Result<Vec<Applied>, StepError> {
    if schema.is_empty()
        || !schema
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return Err(StepError::fail(format!(
            "`{}` is no schema name this check can use",
            schema.escape_debug()
        )));
    }
    let table = format!("\"{schema}\".\"_prisma_migrations\"");
    let there = ask(
        host,
        psql,
        &format!("select to_regclass('{table}') is not null"),
    )
    .await?;
    match there.as_str() {
        "f" => return Ok(Vec::new()),
        "t" => {}
        other => {
            return Err(StepError::fail(format!(
                "psql answered `{}` instead of t or f",
                other.escape_debug()
            )));
        }
    }
    let rows = format!(
        "select coalesce(json_agg(json_build_object('name', migration_name, 'checksum', checksum, \
         'finished', finished_at is not null, 'rolled_back', rolled_back_at is not null) order by started_at), '[]') \
         from {table}"
    );
    let json = ask(host, psql, &rows).await?;
    serde_json::from_str(&json)
        .map_err(|e| StepError::fail("the applied migrations cannot be read").because(&e))
}

async fn ask(host: &dyn Host, psql: &[String], sql: &str) -> Result<String, StepError> {
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
    reach::run(host, &reach::command(psql, &args)?).await
}
