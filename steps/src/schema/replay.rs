//! The exact mode of the migration check, before a release: the history is replayed on this machine and compared.

use std::collections::BTreeSet;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::git::commit;
use crate::means::reach;
use crate::means::reports::migrations::Checked;
use flow_lint::migration::{self, Finding, Level, Migration};
use flow_lint::replay::{self, Options, ReplayError, ReplayOutcome};

/// Replays the commit's migrations in a throw-away PostgreSQL of its own on this machine and compares what the catalog shows of the
/// pending ones with what the migration check says.
///
/// Fails when the check missed what would have been an error, and when a migration does not apply to the history before it.
/// Lesser differences are told and kept. Refuses where PostgreSQL's server programs are not installed: what was not replayed
/// is no pass. Touches nothing but a folder for temporary files; twice is once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replay {
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// The folder of migrations inside the repository.
    pub migrations: String,
    /// A file of the commit with SQL that runs first, with all rights: roles, schemas and extensions the history takes for
    /// granted. It is code of the commit, like the team's own check.
    pub setup: Option<String>,
    /// What is pending, and what the check says of it.
    pub safety: Arg<Checked>,
}

/// What the replay showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// The server, such as `PostgreSQL 15.18`.
    pub version: String,
    /// Migrations that were applied, pending or not.
    pub applied: usize,
    /// What the pending ones changed of what was there: migration, and change in words.
    pub changes: Vec<(String, String)>,
    /// Differences that do not block.
    pub findings: Vec<Finding>,
}

#[async_trait]
impl Step for Replay {
    const KIND: &'static str = "schema.replay";
    type Output = ReplayReport;

    fn summary(&self) -> String {
        let commit: String = self.commit.chars().take(12).collect();
        format!(
            "replay the migrations of {commit} in a database of their own, and compare the catalog"
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(900)
    }

    async fn run(&self, cx: &Cx) -> Result<ReplayReport, StepError> {
        if !reach::is_commit(&self.commit) {
            return Err(StepError::fail(format!(
                "`{}` is no full commit name",
                self.commit
            )));
        }
        let checked = cx.arg(&self.safety)?;
        let files = commit::read(&self.repo, &self.commit, &self.migrations).await?;
        let setup = match &self.setup {
            None => None,
            Some(path) => Some(commit::file(&self.repo, &self.commit, path).await?),
        };
        let pending: BTreeSet<String> = checked.pending.iter().map(|p| p.name.clone()).collect();
        let options = Options {
            setup,
            ..Options::default()
        };
        let done = tokio::task::spawn_blocking(move || run(&files, &pending, &options))
            .await
            .map_err(|e| StepError::fail("the replay did not end as it should").because(&e))?;
        let done = done.map_err(|e| refused(&e))?;
        cx.log(done.in_words());
        for (migration, change) in &done.changes {
            cx.log(format!("{migration}: {change}"));
        }
        for finding in &done.findings {
            cx.log(super::in_words(finding));
        }
        judge(done)
    }
}

/// The check is asked anew: what a waiver accepts is still said.
fn run(
    files: &[Migration],
    pending: &BTreeSet<String>,
    options: &Options,
) -> Result<ReplayOutcome, ReplayError> {
    replay::replay(files, pending, &migration::check(files, pending), options)
}

fn refused(error: &ReplayError) -> StepError {
    match error {
        ReplayError::NoServer => StepError::refuse(error.to_string()).hint(
            "install PostgreSQL's server on this machine, or set `replay = false` in [gates] of flow.toml",
        ),
        ReplayError::Setup(_) => StepError::fail(error.to_string())
            .hint("correct the file that `replay_setup` in [gates] of flow.toml names"),
        ReplayError::Late | ReplayError::Start(_) | ReplayError::Connection(_) => {
            StepError::refuse(error.to_string()).hint("see what this machine is busy with, then retry")
        }
        _ => StepError::fail(error.to_string()),
    }
}

fn judge(done: ReplayOutcome) -> Result<ReplayReport, StepError> {
    let errors: Vec<&Finding> = done
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .collect();
    if let Some(first) = errors.first() {
        let words: Vec<String> = errors
            .iter()
            .take(8)
            .map(|each| {
                let Finding {
                    rule,
                    file,
                    line,
                    message,
                    ..
                } = each;
                format!("{rule} {file}:{line}: {message}")
            })
            .collect();
        return Err(StepError::fail(words.join("; "))
            .hint(first.fix.clone())
            .hint("the same while you work: flow lint --replay"));
    }
    Ok(ReplayReport {
        version: done.version,
        applied: done.applied,
        changes: done.changes,
        findings: done.findings,
    })
}

#[cfg(test)]
mod tests {
    use flow_engine::driver::Stop;
    use flow_engine::record::ParkReason;
    use flow_engine::registry::Registry;

    use super::*;
    use crate::code::tests::git;
    use crate::means::reach::testing::{Bench, Say, failure, output, plan};
    use crate::means::reports::migrations::Pending;

    const INIT: &str = "CREATE TABLE \"Task\" (\"id\" TEXT PRIMARY KEY, \"notes\" TEXT);\n";

    fn registry() -> Registry {
        Registry::default().with::<Replay>()
    }

    /// A release of a commit with these migrations, the last of them pending.
    async fn released(
        migrations: &[&str],
        setup: Option<&str>,
    ) -> (std::sync::Arc<flow_engine::run::Run>, Stop) {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet"]);
        for (at, sql) in migrations.iter().enumerate() {
            let folder = dir.path().join(format!("prisma/{at:03}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("migration.sql"), sql).unwrap();
        }
        if let Some(setup) = setup {
            std::fs::write(dir.path().join("setup.sql"), setup).unwrap();
        }
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "x"]);
        let last = migrations.len() - 1;
        let step = Replay {
            repo: dir.path().to_str().unwrap().into(),
            commit: git(dir.path(), &["rev-parse", "HEAD"]),
            migrations: "prisma".into(),
            setup: setup.map(|_| "setup.sql".into()),
            safety: Arg::Value(Checked {
                pending: vec![Pending {
                    name: format!("{last:03}"),
                    sha256: String::new(),
                }],
                report: flow_lint::migration::Report::default(),
                waivers: Vec::new(),
                script_passed: false,
            }),
        };
        let plan = plan(
            |p| {
                p.step("prep/replay", step);
            },
            |p| {
                p.step("prod/say", Say::new(1));
            },
        );
        Bench::new(registry).start("r-one", plan).await
    }

    #[tokio::test]
    async fn a_release_is_told_what_changes_and_stops_at_what_the_check_did_not_see() {
        let (run, _) = released(
            &[INIT, "ALTER TABLE \"Task\" ALTER \"id\" TYPE VARCHAR(200);"],
            None,
        )
        .await;
        let report: ReplayReport = output(&run, "prep/replay");
        assert_eq!(report.applied, 2);
        assert_eq!(report.changes.len(), 1, "{report:?}");
        let hidden = "DO $$ BEGIN EXECUTE 'ALTER TABLE \"Task\" DROP COLUMN ' || quote_ident('notes'); END $$;";
        let (run, stop) = released(&[INIT, hidden], None).await;
        assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
        let said = failure(&run, "prep/replay").message;
        assert!(
            said.contains("replay-differs 001/migration.sql:1"),
            "{said}"
        );
        assert!(said.contains("column \"Task\".\"notes\" is gone"), "{said}");
    }

    #[tokio::test]
    async fn a_release_stops_at_a_migration_that_does_not_apply_and_the_commits_setup_runs_first() {
        let uses = "ALTER TABLE \"Task\" ADD COLUMN \"by\" UUID REFERENCES auth.users(id);";
        let (run, stop) = released(&[INIT, uses], None).await;
        assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
        assert!(
            failure(&run, "prep/replay")
                .message
                .contains("replay-failed")
        );
        let setup = "CREATE SCHEMA auth; CREATE TABLE auth.users (id UUID PRIMARY KEY);";
        let (run, _) = released(&[INIT, uses], Some(setup)).await;
        let report: ReplayReport = output(&run, "prep/replay");
        assert_eq!(report.applied, 2);
    }
}
