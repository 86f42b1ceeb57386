//! The pending migrations once more, right before production is touched: signing may take days.

use std::collections::BTreeSet;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{MigrationSafety, applied};
use crate::means::git::commit;
use crate::means::reach;
use crate::means::reports::migrations::{Checked, Pending};
use flow_lint::migration::{self, Finding, Level, history};

/// What is pending on the target is still what was checked, reviewed and signed: no other migration was applied, changed
/// or left unfinished since. Reads only; twice is once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationsAgain {
    /// The check, as it was made.
    pub safety: MigrationSafety,
    /// What it found then.
    pub checked: Arg<Checked>,
}

#[async_trait]
impl Step for MigrationsAgain {
    const KIND: &'static str = "schema.migrations-again";
    type Output = Vec<Pending>;

    fn summary(&self) -> String {
        format!(
            "what `{}` has not applied is still what was checked",
            self.safety.host
        )
    }

    async fn run(&self, cx: &Cx) -> Result<Vec<Pending>, StepError> {
        let checked = cx.arg(&self.checked)?;
        let MigrationSafety {
            repo,
            commit,
            migrations,
            host: name,
            psql,
            schema,
            ..
        } = &self.safety;
        let files = commit::read(repo, commit, migrations).await?;
        let host = reach::host(cx, name)?;
        let applied = applied::read(&*host, psql, schema).await?;
        let compared = history::compare(&files, &applied);
        // What was found then was decided then.
        let known = |f: &Finding| checked.report.findings.iter().any(|k| k.digest == f.digest);
        let faults = compared.faults.into_iter().map(migration::historical);
        let mut wrong: Vec<String> = faults
            .filter(|f| f.level != Level::Note && !known(f))
            .map(|f| format!("{}: {}", f.migration, f.message))
            .collect();
        let pending = files.iter().filter(|m| compared.pending.contains(&m.name));
        let now: Vec<Pending> = pending
            .map(|m| Pending {
                name: m.name.clone(),
                sha256: m.sha256(),
            })
            .collect();
        let names = |of: &[Pending]| of.iter().map(|p| p.name.clone()).collect::<BTreeSet<_>>();
        let (before, after) = (names(&checked.pending), names(&now));
        wrong.extend(
            before
                .difference(&after)
                .map(|m| format!("{m} is applied by now")),
        );
        wrong.extend(
            after
                .difference(&before)
                .map(|m| format!("{m} is pending and was not checked")),
        );
        if wrong.is_empty() {
            return Ok(now);
        }
        Err(StepError::refuse(format!(
            "the migrations of `{name}` are not as they were checked: {}; nothing was changed",
            wrong.join("; ")
        ))
        .hint(format!(
            "find out who changed them, then begin again: flow cancel {} --reason …, flow start",
            cx.run_id()
        )))
    }
}
