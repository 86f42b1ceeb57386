//! Rule 2: a recent backup that was proven, and a restore that was rehearsed not long ago.
//!
//! A backup is proven by restoring it, so two records of one run make one: the backup (path, size, sha256) and the
//! proof that names the same sha256. How old the file is, is asked of the host that holds it: its clock wrote the file.

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::record::Failure;
use flow_engine::run::{Run, Status};
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::{Command, Host};
use crate::means::reach;
use crate::means::reports::backup::{BackupFile, Proof};

/// What counts as fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRule {
    /// The host that holds the backups.
    pub host: String,
    /// The key of the step that takes one, such as `prod/backup`.
    pub backup_step: String,
    /// The key of the step that proves it, such as `prod/backup-verified`.
    pub proof_step: String,
    /// How old the newest proven backup may be, in hours, by the host's clock. The protocol says 24.
    pub max_age_hours: u64,
    /// The keys of steps that rehearse a restore, such as `stage/rollback-rehearsal`.
    pub rehearsal_steps: Vec<String>,
    /// How long ago the last rehearsal may have passed, in days. Usually 7.
    pub rehearsal_max_age_days: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The newest proven backup; nothing only for a first release, whose own backup comes later.
    pub backup: Option<BackupFile>,
    /// Its age in seconds, by the host's clock.
    pub age_seconds: Option<u64>,
    /// When a restore was last rehearsed; nothing as above.
    pub rehearsed: Option<Timestamp>,
}

const REHEARSE: &str =
    "every release rehearses a restore on stage: start a new one from its beginning";
const PROVE: &str = "every release takes a backup and proves it: start a new one, or promote; a backup counts once it was restored and compared";

/// Backups of a run that the same run proved.
fn proven(run: &Run, rule: &BackupRule) -> Option<BackupFile> {
    let backup: BackupFile = serde_json::from_str(run.output(&rule.backup_step)?).ok()?;
    let proof: Proof = serde_json::from_str(run.output(&rule.proof_step)?).ok()?;
    (backup.sha256 == proof.sha256).then_some(backup)
}

fn rehearsed(run: &Run, rule: &BackupRule) -> Option<Timestamp> {
    let done = rule.rehearsal_steps.iter().filter_map(|key| {
        let (index, _) = run.plan.node(key)?;
        let state = &run.steps[index as usize];
        state.ended.filter(|_| state.status == Status::Done)
    });
    done.max()
}

impl BackupRule {
    /// When a restore was last rehearsed, if that is recent enough.
    pub fn rehearsal(&self, runs: &[&Run], now: Timestamp) -> Result<Timestamp, Failure> {
        let days = self.rehearsal_max_age_days;
        match runs.iter().filter_map(|r| rehearsed(r, self)).max() {
            Some(at) if at <= now && now.since(at).as_secs() <= days * 86_400 => Ok(at),
            Some(at) => Err(Failure::new(format!(
                "a restore was last rehearsed at {at}, not within {days} days"
            ))
            .hint(REHEARSE)),
            None => Err(Failure::new("no restore has ever been rehearsed").hint(REHEARSE)),
        }
    }

    /// Proven backups, newest run first.
    fn candidates(&self, runs: &[&Run]) -> Vec<BackupFile> {
        let mut runs: Vec<&&Run> = runs.iter().collect();
        runs.sort_by_key(|r| std::cmp::Reverse(r.created));
        runs.iter()
            .filter_map(|r| proven(r, self))
            .take(20)
            .collect()
    }

    /// The newest proven backup that still lies on the host whole, and its age in seconds.
    async fn newest(
        &self,
        host: &dyn Host,
        runs: &[&Run],
    ) -> Result<Option<(BackupFile, u64)>, StepError> {
        let mut newest: Option<(BackupFile, u64)> = None;
        for backup in self.candidates(runs) {
            let look = Command::script("[ ! -f \"$1\" ] || stat -c '%s %Y' -- \"$1\" && date +%s")
                .args(["sh", reach::absolute(&backup.path)?]);
            let text = reach::run(host, &look).await?;
            let numbers: Vec<u64> = text
                .split_whitespace()
                .filter_map(|n| n.parse().ok())
                .collect();
            let &[bytes, written, now] = numbers.as_slice() else {
                continue;
            };
            // A file from the future says that a clock was set: its age is not known.
            let age = now.checked_sub(written).filter(|_| bytes == backup.bytes);
            if let Some(age) = age
                && newest.as_ref().is_none_or(|(_, best)| age < *best)
            {
                newest = Some((backup, age));
            }
        }
        Ok(newest)
    }

    /// The whole rule, now. Refuses, saying what would satisfy it.
    pub(super) async fn judge(&self, cx: &Cx, first_release: bool) -> Result<Freshness, StepError> {
        let host = reach::host(cx, &self.host)?;
        let here = &cx.plan().environment;
        let others = cx.other_runs(|r| r.environment == *here).await?;
        let mut runs: Vec<&Run> = others.iter().collect();
        let history = runs.iter().any(|r| proven(r, self).is_some());
        runs.push(cx.run());
        if first_release && !history && proven(cx.run(), self).is_none() {
            return Ok(Freshness {
                backup: None,
                age_seconds: None,
                rehearsed: None,
            });
        }
        let rehearsed = self.rehearsal(&runs, cx.now()).map_err(StepError::Refuse)?;
        let hours = self.max_age_hours;
        match self.newest(&*host, &runs).await? {
            Some((backup, age)) if age <= hours * 3600 => Ok(Freshness {
                backup: Some(backup),
                age_seconds: Some(age),
                rehearsed: Some(rehearsed),
            }),
            Some((backup, age)) => Err(StepError::refuse(format!(
                "the newest proven backup {} is {} h old by the clock of `{}`; at most {hours} h are allowed",
                backup.path, age / 3600, self.host
            ))
            .hint(PROVE)),
            None => Err(StepError::refuse(format!("no proven backup lies on `{}`", self.host))
                .hint(PROVE)),
        }
    }
}

/// The gate of rule 2 as a step.
///
/// It stands before everything else, to stop a release that has nothing to fall back on. The very first release of an
/// environment has no history: with `bootstrap` it passes here, once, while the journal knows no proven backup for the
/// environment, because its own phase 4 takes and proves one; [`Preflight`](super::Preflight) applies the
/// rule again, without exception, before production is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFresh {
    /// How old a backup, its proof and a rehearsal may be.
    pub rule: BackupRule,
    /// Whether a first release may begin without a backup.
    pub bootstrap: bool,
}

#[async_trait]
impl Step for BackupFresh {
    const KIND: &'static str = "gate.backup-fresh";
    type Output = Freshness;

    fn summary(&self) -> String {
        format!(
            "a proven backup of `{}` not older than {} h, a restore rehearsed within {} days",
            self.rule.host, self.rule.max_age_hours, self.rule.rehearsal_max_age_days
        )
    }

    async fn run(&self, cx: &Cx) -> Result<Freshness, StepError> {
        let found = self.rule.judge(cx, self.bootstrap).await?;
        if found.backup.is_none() {
            cx.log("first release of this environment: its own backup is demanded before production is touched");
        }
        Ok(found)
    }
}
