//! What runs before a release, and its way back.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{Application, ProcessList};
use crate::means::notes::has_begun;
use crate::means::probes::checks::Checks;
use crate::means::supervisor::contract::Supervisor;
use crate::means::supervisor::settle::{CRASH_LOOP, ONLINE_WITHIN};
use crate::means::{kinds, reach, supervisor};

/// Records the processes that run now and has pm2 save them; undone, starts again what was running, as it was defined.
///
/// It looks twice, so that what is crash-looping already is known for that. Run twice: the list is taken anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    /// The host, by its configured name.
    pub host: String,
    /// The pm2 program and its leading arguments, such as `sudo -u app pm2`.
    pub pm2: Vec<String>,
    /// Which of its processes are the application's.
    #[serde(default)]
    pub application: Application,
    /// The key of the deploying step: while it never started, the undo leaves the processes alone. Nothing where a
    /// rollback restarts nothing, as on staging: the next deploy there replaces what runs.
    pub restart_if_started: Option<String>,
    /// How long all restart counters must stand still after a restart, in seconds.
    pub settle_seconds: u64,
    /// What must be healthy after a restart, if anything.
    pub health: Option<Checks>,
    /// The folder on the host where the definitions are kept, absolute. Without it a rollback restarts by name, with
    /// whatever definition pm2 has then.
    #[serde(default)]
    pub keep_in: Option<String>,
    /// The key of an earlier such step, hours ago perhaps: what restarted again and again since is crash-looping.
    #[serde(default)]
    pub since: Option<String>,
    /// The key of a later such step, whose list the undo prefers: what was removed or changed by hand since is no
    /// business of the rollback.
    #[serde(default)]
    pub newer: Option<String>,
}

#[async_trait]
impl Step for Processes {
    const KIND: &'static str = kinds::PROCESSES;
    type Output = ProcessList;

    fn summary(&self) -> String {
        format!(
            "record the {} processes of `{}`: {}",
            self.application.supervisor.name(),
            self.host,
            self.application.in_words()
        )
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        let undone = self.restart_if_started.is_some();
        undone.then(|| {
            "restart what was running, as it was defined; wait until online and healthy".into()
        })
    }

    fn policy(&self) -> Policy {
        Policy::within(300 + 2 * self.settle_seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<ProcessList, StepError> {
        let host = reach::host(cx, &self.host)?;
        let supervisor = self.supervisor(&*host);
        let first = supervisor.survey().await?;
        if first.own.apps.is_empty() {
            return Err(supervisor::nothing(
                &self.host,
                &self.pm2,
                &self.application,
                &first.others,
            ));
        }
        self.all_there(&first.own)?;
        cx.sleep(Duration::from_secs(self.settle_seconds)).await?;
        let run = cx.run_id();
        let now = supervisor
            .record(self.keep_in.as_deref(), run.as_str())
            .await?;
        let mut found = now.own;
        self.mark_restless(cx, &first.own, &mut found);
        for app in &found.apps {
            let loops = if app.restless { ", crash-looping" } else { "" };
            cx.log(format!("{}{loops}", app.in_words()));
        }
        for other in &now.others {
            cx.log(format!("left alone: {other}"));
        }
        supervisor.save().await?;
        Ok(found)
    }

    async fn undo(&self, cx: &Cx, done: Option<ProcessList>) -> Result<String, StepError> {
        let deploy = self.restart_if_started.as_deref();
        if !deploy.is_some_and(|deploy| has_begun(cx.run(), deploy)) {
            return Ok("the deploy never began: processes left alone".into());
        }
        let newer = self.newer.as_deref().and_then(|key| cx.run().output(key));
        let newer = newer.and_then(|json| serde_json::from_str(json).ok());
        let host = reach::host(cx, &self.host)?;
        let supervisor = self.supervisor(&*host);
        let before = match newer.or(done) {
            Some(before) => before,
            None => supervisor.list().await?.as_if_online(),
        };
        let back = supervisor
            .bring_back(cx, &before, self.settle_seconds)
            .await?;
        // The release may have saved its own list; after a restart of the host that one would come up.
        supervisor.save().await?;
        let healthy = match &self.health {
            Some(check) if !before.running().is_empty() => {
                check
                    .until_healthy(cx, ONLINE_WITHIN, Duration::ZERO)
                    .await?;
                "; healthy"
            }
            _ => "",
        };
        Ok(format!("{back}{healthy}"))
    }
}

impl Processes {
    fn supervisor<'a>(
        &'a self,
        host: &'a dyn crate::means::host::Host,
    ) -> Box<dyn Supervisor + 'a> {
        supervisor::of(host, &self.pm2, &self.application)
    }

    /// Fails when one of the application's processes that the configuration names is not there.
    fn all_there(&self, list: &ProcessList) -> Result<(), StepError> {
        let missing = self.application.missing(list);
        if missing.is_empty() {
            return Ok(());
        }
        let (name, names) = (self.application.supervisor.name(), missing.join(", "));
        Err(StepError::refuse(format!(
            "{name} on `{}` knows no {names}, which the configuration names as the application's",
            self.host
        ))
        .hint(format!(
            "start it there, or correct flow.toml: [env.{}] processes; one that comes with this release is named after it",
            self.host
        )))
    }

    /// Marks what is crash-looping: it moved while it was looked at, or is between two starts.
    fn mark_restless(&self, cx: &Cx, first: &ProcessList, now: &mut ProcessList) {
        let earlier = self.since.as_deref().and_then(|key| cx.run().output(key));
        let earlier: Option<ProcessList> = earlier.and_then(|json| serde_json::from_str(json).ok());
        for app in &mut now.apps {
            let same = |list: &ProcessList| {
                let known = list
                    .apps
                    .iter()
                    .find(|a| a.id == app.id && a.name == app.name);
                known.cloned()
            };
            let moved = same(first).is_none_or(|a| (a.restarts, a.pid) != (app.restarts, app.pid));
            let often = earlier.as_ref().and_then(same).is_some_and(|a| {
                a.restless || app.restarts.saturating_sub(a.restarts) >= CRASH_LOOP
            });
            let between = !matches!(app.status.as_str(), "online" | "stopped" | "errored");
            let excused = app.ends || app.by_clock;
            app.restless = between || (!excused && app.is_running() && (moved || often));
        }
    }
}
