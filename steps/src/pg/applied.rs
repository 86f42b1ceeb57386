//! Whether the migrations of a release are in.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::horizon::{self, Horizon};
use crate::means::psql::text::{ident, literal, some_of};
use crate::means::psql::{Database, Pg, PgError, words};

/// Looks into `_prisma_migrations`: every expected migration must be finished, and none there failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MigrationsApplied {
    /// The database that was deployed to; only read.
    pub db: Database,
    /// The names of the migrations' folders.
    pub expected: Vec<String>,
    /// The schema that holds `_prisma_migrations`: that of the application's `?schema=`.
    #[serde(default = "public")]
    pub schema: String,
}

/// The schema of plans from before it was a parameter.
pub(super) fn public() -> String {
    "public".into()
}

/// What is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The finished migrations, in order.
    pub finished: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Row {
    name: String,
    finished: bool,
    rolled_back: bool,
    logs: Option<String>,
}

/// Whether a schema has Prisma's list of migrations.
async fn is_there(pg: &Pg, table: &str) -> Result<bool, PgError> {
    let sql = format!("SELECT to_regclass({}) IS NOT NULL;", literal(table));
    let exists = pg.query(&sql).await?;
    Ok(exists.first().is_some_and(|x| x == "t"))
}

fn table(schema: &str) -> String {
    format!("{}._prisma_migrations", ident(schema))
}

pub(super) async fn rows(pg: &Pg, schema: &str) -> Result<Vec<Row>, PgError> {
    let table = table(schema);
    if !is_there(pg, &table).await? {
        return Ok(Vec::new());
    }
    pg.rows(&format!(
        "SELECT json_build_object('name', migration_name, 'finished', finished_at IS NOT NULL, 'rolled_back', rolled_back_at IS NOT NULL, \
         'logs', left(logs, 4000))::text FROM {table} ORDER BY started_at, migration_name;",
    ))
    .await
}

/// The names of the migrations that are in; none where there is no history.
pub(super) async fn finished(pg: &Pg, schema: &str) -> Result<Vec<String>, PgError> {
    let table = table(schema);
    if !is_there(pg, &table).await? {
        return Ok(Vec::new());
    }
    pg.rows(&format!(
        "SELECT to_json(migration_name)::text FROM {table} \
         WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY migration_name;",
    ))
    .await
}

pub(super) fn judge(rows: &[Row], expected: &[String]) -> Result<Applied, Vec<String>> {
    let good = |r: &&Row| r.finished && !r.rolled_back;
    let finished: Vec<String> = rows.iter().filter(good).map(|r| r.name.clone()).collect();
    let mut odd = Vec::new();
    for row in rows.iter().filter(|r| !r.finished && !r.rolled_back) {
        let logs = row.logs.as_deref().unwrap_or("it left no message");
        let logs = words::of_log(logs);
        odd.push(format!("{} began and did not finish: {logs}", row.name));
    }
    for name in expected.iter().filter(|name| !finished.contains(name)) {
        // One that was rolled back and then applied again has a second row, and is finished.
        let rolled_back = rows.iter().any(|r| r.name == *name && r.rolled_back);
        if rolled_back {
            odd.push(format!("{name} was rolled back"));
        } else if !rows.iter().any(|r| r.name == *name) {
            odd.push(format!("{name} is not applied"));
        }
    }
    if odd.is_empty() {
        Ok(Applied { finished })
    } else {
        Err(odd)
    }
}

#[async_trait]
impl Step for MigrationsApplied {
    const KIND: &'static str = "pg.migrations-applied";
    type Output = Applied;

    fn summary(&self) -> String {
        format!(
            "look for {} migrations in {}: finished, none failed or rolled back",
            self.expected.len(),
            self.db.words()
        )
    }

    async fn run(&self, cx: &Cx) -> Result<Applied, StepError> {
        let pg = self.db.open(cx)?;
        // It comes right after the script: whatever is written from here on, the script did not write.
        horizon::note(cx, &pg).await?;
        let rows = rows(&pg, &self.schema).await?;
        judge(&rows, &self.expected).map_err(|odd| {
            StepError::fail(format!(
                "{}, schema {:?}: migrations are not in order: {}",
                self.db.words(),
                self.schema,
                some_of(&odd, 10)
            ))
            .hint("look into the migration's log; `prisma migrate resolve` settles a failed one")
        })
    }
}

/// What the run noted for this database, if it did.
pub(super) fn noted(cx: &Cx, db: &Database) -> Option<Horizon> {
    use flow_engine::step::Step as _;
    let db = serde_json::to_value(db).ok();
    let mut steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    let (_, state) = steps.find(|(node, _)| {
        node.kind == MigrationsApplied::KIND && node.params.get("db") == db.as_ref()
    })?;
    serde_json::from_slice(state.note.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, finished: bool, rolled_back: bool) -> Row {
        Row {
            name: name.into(),
            finished,
            rolled_back,
            logs: None,
        }
    }

    #[test]
    fn a_failed_a_missing_and_a_rolled_back_migration_are_named() {
        let rows = [
            row("1", true, false),
            row("2", false, false),
            row("3", false, true),
        ];
        let expected: Vec<String> = ["1", "2", "3", "4"].map(String::from).into();
        let odd = judge(&rows, &expected).unwrap_err();
        assert_eq!(odd.len(), 3, "{odd:?}");
        assert!(odd[0].starts_with("2 began"), "{odd:?}");
        let mut failed = row("5", false, false);
        failed.logs = Some("ERROR: no\nDETAIL: Key (mail)=(a@example.org)".into());
        let told = judge(&[failed], &[]).unwrap_err();
        assert_eq!(told, ["5 began and did not finish: ERROR: no"]);
        assert_eq!(odd[1..], ["3 was rolled back", "4 is not applied"]);
    }

    #[test]
    fn one_rolled_back_and_applied_again_is_fine() {
        let rows = [row("1", false, true), row("1", true, false)];
        assert!(judge(&rows, &["1".into()]).is_ok());
        assert!(judge(&[], &[]).is_ok());
    }
}
