//! Running the team's release script, once.
//!
//! The script runs as a [remote job](crate::means::host::job): it goes on when `flow` or its connection ends, and is found
//! again by its name. A later life of this step re-attaches; it never starts a second script while an earlier one
//! runs, and never guesses about one whose end is unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::Host;
use crate::means::host::job::Probe;
use crate::means::lease::Lease;
use crate::means::promotion::PromotionRule;
use crate::means::psql::Database;
use crate::means::reach::patterns::Patterns;
use crate::means::read_only::freeze::Freeze;
use crate::means::reports::code::Deployed;
use crate::means::{kinds, reach};

mod ask;
mod attach;
#[cfg(test)]
pub(crate) mod fixture;
mod in_place;
mod jobs;
mod kept;
mod migrate;
mod secrets;
mod stop;
mod verdict;

pub use in_place::InPlace;

pub use migrate::MIGRATE;
pub use stop::StopSpec;

/// Runs the release script on a host, as a job that survives this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// The host, by its configured name.
    pub host: String,
    /// The folder of jobs on the host, absolute.
    pub jobs_dir: String,
    /// The folder the script starts in, absolute.
    pub cwd: String,
    /// The script and its arguments. No shell reads them.
    pub script: Vec<String>,
    /// Variables for it, beside `FLOW_RUN`, `FLOW_STEP`, `FLOW_ATTEMPT` and `FLOW_COMMIT`. A secret is named (`env:NAME`,
    /// `file:/path`, `command:…`): the script gets its value, which is looked up when the script is started and stored nowhere but, until
    /// the script begins, in the job's folder.
    pub env: BTreeMap<String, String>,
    /// The full commit it is to release.
    pub commit: String,
    /// Regular expressions of lines that mean failure even when the script ends with 0; none means the built-in ones.
    pub errors: Vec<String>,
    /// Lines that match one of these are no errors after all.
    pub allow: Vec<String>,
    /// The lease: the script is started only on that machine and while the lease is ours.
    pub lease: Option<Arg<Lease>>,
    /// Judged right before the script is started, whatever an earlier gate said.
    pub gate: Option<PromotionRule>,
    /// What the undo stops beside the script. Without it only a script that still runs is ended: a test or stage deploy
    /// is repaired by the next one, which must not find the last one at work.
    pub stop_on_undo: Option<StopSpec>,
    /// A program with its arguments that prints the full commit which is in place now, run in `cwd`; where nothing is
    /// named, `cwd` must be a git checkout and its head counts.
    #[serde(default)]
    pub verify: Option<Vec<String>>,
    /// Whether it gets the means to write while the database is frozen: see [`MIGRATE`].
    #[serde(default)]
    pub may_migrate: bool,
    /// How the database is frozen again where its timer, or a person, opened it between two attempts: on test and staging
    /// the script must show each time what it does in a read-only database. Nothing in production, where that is asked about.
    #[serde(default)]
    pub freeze: Option<Freeze>,
    /// A database that must be frozen when the script is started: for a further host, which cannot look beside the database
    /// as part of the start. Asked right before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_elsewhere: Option<Database>,
    /// How long to wait for the script, in minutes. It is not ended then: a person is asked.
    pub timeout_minutes: u64,
}

#[async_trait]
impl Step for Deploy {
    const KIND: &'static str = kinds::DEPLOY;
    type Output = Deployed;

    fn summary(&self) -> String {
        let commit: String = self.commit.chars().take(12).collect();
        format!(
            "run `{}` on `{}` for {commit}",
            self.script.join(" "),
            self.host
        )
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        let mut words = "end the script if it still runs".to_owned();
        if let Some(stop) = &self.stop_on_undo {
            words = format!(
                "{words}; stop services ({} stop: {})",
                stop.pm2.join(" "),
                stop.application.in_words()
            );
        }
        Some(words)
    }

    fn settles(&self) -> bool {
        true
    }

    /// Another attempt is safe: it looks at what became of the earlier ones before it starts anything.
    fn policy(&self) -> Policy {
        Policy {
            attempts: 5,
            ..Policy::within(self.timeout_minutes.saturating_mul(60).saturating_add(600))
        }
    }

    async fn run(&self, cx: &Cx) -> Result<Deployed, StepError> {
        let host = reach::host(cx, &self.host)?;
        let patterns = Patterns::new(&self.errors, &self.allow)?;
        if !reach::is_commit(&self.commit) {
            return Err(StepError::fail(format!(
                "`{}` is no full commit name",
                self.commit
            )));
        }
        if cx.settled() == Some(true) {
            return self.settled(cx, &*host).await;
        }
        let spec = self.spec(cx, cx.attempt())?;
        let job = jobs::ready(cx, self, &*host, spec).await?;
        let limit = Duration::from_secs(self.timeout_minutes.saturating_mul(60));
        let hidden = secrets::unknown(cx, self, &job, &kept::kept(cx)?).await;
        let hidden = hidden.as_deref();
        let (probe, shown) = attach::follow(cx, &*host, &job, limit, hidden).await?;
        let seen = verdict::Seen {
            probe,
            shown,
            hidden,
        };
        verdict::judge(cx, self, &*host, &job, seen, &patterns).await
    }

    async fn undo(&self, cx: &Cx, _: Option<Deployed>) -> Result<String, StepError> {
        stop::undo(cx, self).await
    }
}

impl Deploy {
    fn in_place(&self) -> InPlace {
        InPlace {
            host: self.host.clone(),
            cwd: self.cwd.clone(),
            commit: self.commit.clone(),
            verify: self.verify.clone(),
        }
    }

    /// A person is believed about what nobody can see, not about what can be seen: a script that runs is not done.
    async fn settled(&self, cx: &Cx, host: &dyn Host) -> Result<Deployed, StepError> {
        for attempt in 1..=cx.attempt() {
            let job = self.spec(cx, attempt)?;
            let probe = jobs::look(cx, host, &job).await?;
            if matches!(probe, Probe::Running { .. } | Probe::Orphaned { .. }) {
                return Err(ask::ask(cx, self, host, &job, &probe).await);
            }
        }
        Ok(Deployed {
            commit: self.commit.clone(),
            attempt: cx.attempt(),
            folder: format!("{}/{}", self.jobs_dir, cx.run_id()),
            log_bytes: None,
            settled: true,
        })
    }
}

#[cfg(test)]
mod tests;
