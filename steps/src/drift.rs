//! Drift of a release: `schema.prisma`, the migrations and a database's catalog must agree, before anything is changed and
//! after each deploy. What they say is read and compared by [`flow_lint::drift`].

mod commit;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::psql::{Database, Pg, PgError};
use crate::means::reach;
use crate::means::reports::people::Waiver;
use crate::means::signature::waiver;
use crate::means::signature::waiving;
use flow_lint::drift::{
    Catalog, Comparison, Declaration, QUERY, Sides, UnreadableSchema, catalog_and_migrations,
    catalog_and_schema, findings, schema_and_migrations,
};
use flow_lint::migration::history::{self, Place, Row};
use flow_lint::migration::{Finding, Migration};

/// The commit's two statements: `schema.prisma` and the migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statements {
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// The folder of migrations inside the repository.
    pub migrations: String,
    /// `schema.prisma` inside the repository, or the folder of its files; empty: where Prisma itself would look for it.
    pub schema: String,
    /// The application's own schema in the database, usually `public`.
    pub own: String,
}

/// Before anything is changed: `schema.prisma` against the commit's migrations, and production's catalog against the
/// migrations it has applied.
///
/// Every difference waits for a signed waiver of exactly that finding. What text does not tell is counted, not guessed. Reads
/// only; twice is once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchemaDrift {
    /// What is compared.
    pub of: Statements,
    /// Production; only its catalog is read.
    pub db: Database,
    /// Who may accept a difference, such as `tech-lead`.
    pub waiver_role: String,
}

/// After a deploy: the catalog against all migrations of the commit, and against `schema.prisma`.
///
/// What was accepted before the deploy is accepted here. Anything else waits for a signed waiver. Reads only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeployedDrift {
    /// What is compared.
    pub of: Statements,
    /// The database that was deployed to.
    pub db: Database,
    /// Who may accept a difference.
    pub waiver_role: String,
    /// What was found, and accepted, before.
    pub before: Arg<DriftReport>,
}

/// What was compared, and accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftReport {
    /// What was compared with what, with numbers, for people.
    pub compared: Vec<String>,
    /// The differences; each has a waiver, here or before.
    pub findings: Vec<Finding>,
    /// Who accepted them.
    pub waivers: Vec<Waiver>,
}

impl DriftReport {
    fn add(&mut self, what: &str, compared: &Comparison, sides: &Sides) {
        let left_out = match compared.undecided.len() {
            0 => String::new(),
            n => {
                let some: Vec<&str> = compared
                    .undecided
                    .iter()
                    .take(5)
                    .map(String::as_str)
                    .collect();
                format!(
                    "; not compared, because text does not tell: {n} ({}{})",
                    some.join(", "),
                    if n > 5 { ", …" } else { "" }
                )
            }
        };
        let by_name = match compared.by_name {
            0 => String::new(),
            n => format!(
                "; by name only, because text does not tell what they say: {n} triggers, policies, checks and indexes with a condition"
            ),
        };
        self.compared.push(format!(
            "{what}: {} tables with {} columns compared, {} differences{left_out}{by_name}",
            compared.tables,
            compared.columns,
            compared.differences.len()
        ));
        for finding in findings(compared, sides, true) {
            if !self
                .findings
                .iter()
                .any(|each| each.digest == finding.digest)
            {
                self.findings.push(finding);
            }
        }
    }

    /// Tells everything, then waits until each difference is accepted, but those that were before.
    async fn settle(
        mut self,
        cx: &Cx,
        role: &str,
        before: &[Finding],
    ) -> Result<DriftReport, StepError> {
        for line in &self.compared {
            cx.log(line.clone());
        }
        for each in &self.findings {
            let short: String = each.digest.chars().take(12).collect();
            let sql = each.sql.clone().unwrap_or_default();
            cx.log(format!(
                "{} {}:{}: {} To close it: {sql} [{short}]",
                each.rule, each.file, each.line, each.message
            ));
        }
        let known: BTreeSet<&str> = before.iter().map(|each| each.digest.as_str()).collect();
        let fresh: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|each| !known.contains(each.digest.as_str()))
            .collect();
        self.waivers = waiving::all(cx, role, &fresh).await?;
        Ok(self)
    }
}

impl Statements {
    fn words(&self) -> String {
        self.commit.chars().take(12).collect()
    }

    async fn read(&self) -> Result<(Vec<Migration>, Sides), StepError> {
        if !reach::is_commit(&self.commit) {
            return Err(StepError::fail(format!(
                "`{}` is no full commit name",
                self.commit
            )));
        }
        if !history::is_schema(&self.own) {
            return Err(StepError::fail(format!(
                "`{}` is no schema name",
                self.own.escape_debug()
            )));
        }
        let files =
            crate::means::git::commit::read(&self.repo, &self.commit, &self.migrations).await?;
        let sides = commit::of_commit(self).await?;
        Ok((files, sides))
    }

    fn declared(&self, sides: &Sides) -> Result<Option<Declaration>, StepError> {
        sides
            .read(&self.own)
            .map_err(|e| StepError::fail(format!("commit {}: {e}", self.words())).hint(e.hint()))
    }
}

#[async_trait]
impl Step for SchemaDrift {
    const KIND: &'static str = "schema.drift";
    type Output = DriftReport;

    fn summary(&self) -> String {
        format!(
            "compare schema.prisma of {} with its migrations, and {} with those it has applied",
            self.of.words(),
            self.db.words()
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.waiver_role.clone())
    }

    fn policy(&self) -> Policy {
        Policy::within(900)
    }

    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        waiver::accepts(asked, signal).await
    }

    async fn run(&self, cx: &Cx) -> Result<DriftReport, StepError> {
        let (files, sides) = self.of.read().await?;
        let mut report = DriftReport::default();
        report.compared.extend(sides.notes.clone());
        report.compared.extend(sides.external.unread.clone());
        match self.of.declared(&sides)? {
            Some(declared) => {
                let compared = schema_and_migrations(&declared, &files, &self.of.own);
                report.add("schema.prisma and the migrations", &compared, &sides);
            }
            None => report.compared.push(sides.nothing()),
        }
        let pg = self.db.open(cx)?;
        let applied = applied(&pg, &self.of.own, &files).await?;
        if applied.is_empty() {
            report.compared.push(
                "the database has applied none of the commit's migrations: not compared".to_owned(),
            );
        } else {
            let compared =
                catalog_and_migrations(&read(&pg).await?, &applied, &sides.external, &self.of.own);
            report.add(
                &format!(
                    "the database and the {} migrations it has applied",
                    applied.len()
                ),
                &compared,
                &sides,
            );
        }
        report.settle(cx, &self.waiver_role, &[]).await
    }
}

#[async_trait]
impl Step for DeployedDrift {
    const KIND: &'static str = "schema.drift-deployed";
    type Output = DriftReport;

    fn summary(&self) -> String {
        format!(
            "compare {} with the migrations and schema.prisma of {}",
            self.db.words(),
            self.of.words()
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.waiver_role.clone())
    }

    fn policy(&self) -> Policy {
        Policy::within(900)
    }

    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        waiver::accepts(asked, signal).await
    }

    async fn run(&self, cx: &Cx) -> Result<DriftReport, StepError> {
        let before = cx.arg(&self.before)?;
        let (files, sides) = self.of.read().await?;
        let pg = self.db.open(cx)?;
        let catalog = read(&pg).await?;
        let mut report = DriftReport::default();
        let compared = catalog_and_migrations(&catalog, &files, &sides.external, &self.of.own);
        report.add("the database and the migrations", &compared, &sides);
        let declared = match sides.read(&self.of.own) {
            // No evidence against the deploy. A run that begins now was stopped by it before anything was changed.
            Err(e @ UnreadableSchema::Incomplete { .. }) => {
                report.compared.push(e.to_string());
                None
            }
            _ => self.of.declared(&sides)?,
        };
        if let Some(declared) = declared {
            let compared = catalog_and_schema(&catalog, &declared, &self.of.own);
            let named = report.findings.iter().chain(&before.findings);
            let compared = without(compared, named);
            report.add("the database and schema.prisma", &compared, &sides);
        }
        report.settle(cx, &self.waiver_role, &before.findings).await
    }
}

/// What `schema.prisma` and the migrations disagree about is found, and accepted, before the deploy: the database follows the
/// migrations, so each of it would be found again under another name. What the database has against both is named once.
fn without<'a>(mut compared: Comparison, named: impl Iterator<Item = &'a Finding>) -> Comparison {
    let named: BTreeSet<&str> = named.map(|each| each.object.as_str()).collect();
    compared
        .differences
        .retain(|each| !named.contains(each.object.as_str()));
    compared
}

/// The commit's migrations that the database has applied.
async fn applied(pg: &Pg, schema: &str, files: &[Migration]) -> Result<Vec<Migration>, PgError> {
    let place: Vec<Place> = pg.rows(&format!("{};", history::place_sql(schema))).await?;
    if !place.first().is_some_and(|place| place.history) {
        return Ok(Vec::new());
    }
    let rows: Vec<Vec<Row>> = pg.rows(&format!("{};", history::rows_sql(schema))).await?;
    let holds: BTreeSet<String> = rows
        .into_iter()
        .flatten()
        .filter(Row::holds)
        .map(|row| row.name)
        .collect();
    Ok(files
        .iter()
        .filter(|each| holds.contains(&each.name))
        .cloned()
        .collect())
}

pub(super) async fn read(pg: &Pg) -> Result<Catalog, PgError> {
    let all: Vec<Catalog> = pg.rows(&format!("{};", QUERY.trim_end())).await?;
    all.into_iter()
        .next()
        .ok_or_else(|| pg.answer_error("no catalog"))
}
