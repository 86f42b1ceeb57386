//! Whether the migrations of a release are safe for the rows that exist and for the version that still runs.

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::retry::Policy;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::git::commit;
use crate::means::reports::migrations::{Checked, Pending};
use crate::means::signature::{waiver, waiving};
use crate::means::{kinds, reach};
use flow_lint::migration::{self, Finding, Level, Report, history};

mod again;
mod applied;
mod code_check;
mod replay;
pub mod review;
mod shown;
mod unique;

pub use again::MigrationsAgain;
pub use applied::history;
pub use code_check::{CodeAt, CodeChecked, CodeFolder, EnumUsage, Found, NullableAccess, Version};
pub use replay::{Replay, ReplayReport};
pub use review::Reviewed;
pub use shown::{ShownFile, ShownFinding};
pub use unique::{Answered, DataReport, Standing, UniqueSafe};

/// Checks every migration that the commit has and the target has not, with the earlier ones as context.
///
/// An error blocks. A warning waits for a signed waiver of exactly that finding (see [`Finding::digest`]). What the database
/// says it has applied is judged too (see [`history::compare`]): a file that was changed since, one that never finished and
/// tables without a history block; a file that is gone, with a finished row, is a warning. Reads only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationSafety {
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// The folder of migrations inside the repository, such as `backend/prisma/migrations`.
    pub migrations: String,
    /// The host whose database is asked what it has applied.
    pub host: String,
    /// `psql` on that host with everything it needs to reach the database, such as
    /// `docker exec supabase_db_DAP psql -U postgres -d postgres`.
    pub psql: Vec<String>,
    /// The schema that holds `_prisma_migrations`, usually `public`.
    pub schema: String,
    /// The project's own check, run in a copy of the commit; it must end with 0.
    pub script: Option<Vec<String>>,
    /// Who may waive a warning, such as `tech-lead`.
    pub waiver_role: String,
}

#[async_trait]
impl Step for MigrationSafety {
    const KIND: &'static str = kinds::MIGRATION_SAFETY;
    type Output = Checked;

    fn summary(&self) -> String {
        let commit: String = self.commit.chars().take(12).collect();
        format!(
            "check the migrations of {commit} that `{}` has not applied",
            self.host
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

    async fn run(&self, cx: &Cx) -> Result<Checked, StepError> {
        if !reach::is_commit(&self.commit) {
            return Err(StepError::fail(format!(
                "`{}` is no full commit name",
                self.commit
            )));
        }
        let files = commit::read(&self.repo, &self.commit, &self.migrations).await?;
        let host = reach::host(cx, &self.host)?;
        let history = applied::read(&*host, &self.psql, &self.schema).await?;
        let compared = history::compare(&files, &history);
        let names = compared.pending;
        let mut report = migration::check(&files, &names);
        let faults = compared.faults.into_iter().map(migration::historical);
        report.findings.splice(0..0, faults);
        if history.place.history {
            let twice = migration::already_there(&files, &names, &history.place.tables);
            report.findings.extend(twice);
        }
        for finding in &report.findings {
            cx.log(in_words(finding));
        }
        self.refuse_errors(&report)?;
        let script_passed = self.script(cx).await?;
        let warnings: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|f| f.level == Level::Warning)
            .collect();
        let waivers = waiving::all(cx, &self.waiver_role, &warnings).await?;
        let pending = files.iter().filter(|m| names.contains(&m.name));
        Ok(Checked {
            pending: pending
                .map(|m| Pending {
                    name: m.name.clone(),
                    sha256: m.sha256(),
                })
                .collect(),
            report,
            waivers,
            script_passed,
        })
    }
}

fn in_words(f: &Finding) -> String {
    let level = f.level.as_str();
    let digest: String = f.digest.chars().take(12).collect();
    format!(
        "{level} {} {}/migration.sql:{}: {} Instead: {} [{digest}]",
        f.rule, f.migration, f.line, f.message, f.fix
    )
}

impl MigrationSafety {
    fn refuse_errors(&self, report: &Report) -> Result<(), StepError> {
        let errors: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|f| f.level == Level::Error)
            .collect();
        let Some(first) = errors.first() else {
            return Ok(());
        };
        let places: Vec<String> = errors
            .iter()
            .take(8)
            .map(|f| format!("{} {}/migration.sql:{}", f.rule, f.migration, f.line))
            .collect();
        let count = match errors.len() {
            1 => "1 error in the migrations, which cannot be waived".to_owned(),
            n => format!("{n} errors in the migrations, none of which can be waived"),
        };
        Err(StepError::fail(format!(
            "{count}: {}. First: {}",
            places.join(", "),
            first.message
        ))
        .hint(first.fix.clone())
        .hint(format!(
            "the same check while you work: flow lint {}",
            self.migrations
        )))
    }

    async fn script(&self, cx: &Cx) -> Result<bool, StepError> {
        let Some(script) = &self.script else {
            return Ok(false);
        };
        let output = commit::run_in_copy(&self.repo, &self.commit, script).await?;
        cx.output_bytes(&output.stdout);
        cx.output_bytes(&output.stderr);
        if output.exit.success() {
            return Ok(true);
        }
        Err(StepError::fail(format!(
            "`{}` {}; it must end with 0",
            script.join(" "),
            output.exit.in_words()
        ))
        .hint(format!(
            "its output: flow logs {} {}",
            cx.run_id(),
            cx.key()
        )))
    }
}

#[cfg(test)]
mod tests;
