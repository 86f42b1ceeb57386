//! The processes of the application, as pm2 keeps them.
//!
//! What pm2 7 does and this has to live with (measured): `pm2 jlist` prints banners before its JSON when it has to
//! start its daemon; it repeats the whole environment of every process, secrets included, of which nothing is kept
//! here; `pm2 restart` answers 0 while the application crash-loops, so only a restart counter that stands still counts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::health::Check;
use crate::host::Host;
use crate::reach;

mod list;
mod settle;

pub(crate) use list::list;
pub use list::{App, ProcessList};
pub(crate) use settle::stop_all;
use settle::{Settled, settle};

/// How long processes may take to come online; the slowest Node application seen with a cold disk took a third of it.
const ONLINE_WITHIN: Duration = Duration::from_mins(1);

/// Records the processes that run now and has pm2 save them; undone, starts again what was running.
///
/// Run twice: the list is taken anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    /// The host, by its configured name.
    pub host: String,
    /// The pm2 program and its leading arguments, such as `sudo -u app pm2`.
    pub pm2: Vec<String>,
    /// The key of the deploying step: while it never started, the undo leaves the processes alone. Nothing where a
    /// rollback restarts nothing, as on staging: the next deploy there replaces what runs.
    pub restart_if_started: Option<String>,
    /// How long all restart counters must stand still after a restart, in seconds.
    pub settle_seconds: u64,
    /// What must be healthy after a restart, if anything.
    pub health: Option<Check>,
}

#[async_trait]
impl Step for Processes {
    const KIND: &'static str = "pm2.processes";
    type Output = ProcessList;

    fn summary(&self) -> String {
        format!("record the pm2 processes of `{}`", self.host)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        let undone = self.restart_if_started.is_some();
        undone.then(|| "restart what was running; wait until online and healthy".into())
    }

    fn policy(&self) -> Policy {
        Policy::within(300 + self.settle_seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<ProcessList, StepError> {
        let host = reach::host(cx, &self.host)?;
        let found = list(&*host, &self.pm2).await?;
        // Every user has a pm2 of its own: an empty list is most often another user's.
        if found.apps.is_empty() {
            return Err(StepError::refuse(format!(
                "pm2 shows no process for `{}` on `{}`: is it the right user?",
                self.pm2.join(" "),
                self.host
            ))
            .hint("name the user that runs the application, such as `sudo -u app pm2`"));
        }
        for app in &found.apps {
            cx.log(app.in_words());
        }
        save(&*host, &self.pm2).await?;
        Ok(found)
    }

    async fn undo(&self, cx: &Cx, done: Option<ProcessList>) -> Result<String, StepError> {
        let deploy = self.restart_if_started.as_deref();
        if !deploy.is_some_and(|deploy| cx.run().has_started(deploy)) {
            return Ok("the deploy never started: processes left alone".into());
        }
        let host = reach::host(cx, &self.host)?;
        let before = match done {
            Some(before) => before,
            None => list(&*host, &self.pm2).await?.as_if_online(),
        };
        let wanted = before.running();
        if wanted.is_empty() {
            return Ok("no process was running before the deploy".into());
        }
        restart(cx, &*host, &self.pm2, &wanted).await?;
        let settled = self.settled(cx, &*host, &wanted).await?;
        // The release may have saved its own list; after a restart of the host that one would come up.
        save(&*host, &self.pm2).await?;
        let healthy = match &self.health {
            Some(check) => {
                check
                    .until_healthy(cx, ONLINE_WITHIN, Duration::ZERO)
                    .await?;
                " and healthy"
            }
            None => "",
        };
        let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
        Ok(format!(
            "restarted {}: {} online{healthy}, no restart within {} s",
            names.join(", "),
            settled.apps.len(),
            self.settle_seconds
        ))
    }
}

impl Processes {
    async fn settled(
        &self,
        cx: &Cx,
        host: &dyn Host,
        wanted: &BTreeMap<String, usize>,
    ) -> Result<ProcessList, StepError> {
        let still = Duration::from_secs(self.settle_seconds);
        match settle(cx, host, &self.pm2, wanted, (ONLINE_WITHIN, still)).await? {
            Settled::Still(list) => Ok(list),
            Settled::Not(why) => Err(StepError::fail(format!(
                "after the restart on `{}`: {why}",
                self.host
            ))
            .hint(format!(
                "look at it there: {} logs --nostream --lines 50",
                self.pm2.join(" ")
            ))),
        }
    }
}

async fn save(host: &dyn Host, pm2: &[String]) -> Result<(), StepError> {
    reach::run(host, &reach::command(pm2, &["save"])?).await?;
    Ok(())
}

/// Restarts by name. What pm2 no longer knows is brought back from its saved list first.
async fn restart(
    cx: &Cx,
    host: &dyn Host,
    pm2: &[String],
    wanted: &BTreeMap<String, usize>,
) -> Result<(), StepError> {
    let known = list(host, pm2).await?;
    let is_known = |name: &&String| known.apps.iter().any(|a| a.name == **name);
    let lost: Vec<&str> = wanted
        .keys()
        .filter(|n| !is_known(n))
        .map(String::as_str)
        .collect();
    if !lost.is_empty() {
        cx.log(format!(
            "pm2 no longer knows {}: resurrecting its saved list",
            lost.join(", ")
        ));
        reach::run(host, &reach::command(pm2, &["resurrect"])?).await?;
    }
    let mut args = vec!["restart"];
    args.extend(wanted.keys().map(String::as_str));
    let command = reach::command(pm2, &args)?.deadline(Duration::from_mins(2));
    reach::run(host, &command).await?;
    Ok(())
}

/// Every process is online: those that ran before, and those that came with the release.
///
/// One that was stopped before the release may stay stopped. A process that restarts while it is looked at is not online.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Online {
    /// The host, by its configured name.
    pub host: String,
    /// As in [`Processes`].
    pub pm2: Vec<String>,
    /// What ran before the release, or [`ProcessList::named`].
    pub expected: Arg<ProcessList>,
    /// How long all restart counters must stand still, in seconds.
    pub settle_seconds: u64,
}

#[async_trait]
impl Step for Online {
    const KIND: &'static str = "pm2.online";
    type Output = ProcessList;

    fn summary(&self) -> String {
        format!("every pm2 process of `{}` is online", self.host)
    }

    fn policy(&self) -> Policy {
        Policy::within(120 + self.settle_seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<ProcessList, StepError> {
        let host = reach::host(cx, &self.host)?;
        let expected = cx.arg(&self.expected)?;
        let still = Duration::from_secs(self.settle_seconds);
        let within = (ONLINE_WITHIN, still);
        let list = match settle(cx, &*host, &self.pm2, &expected.running(), within).await? {
            Settled::Still(list) => list,
            Settled::Not(why) => return Err(StepError::fail(format!("`{}`: {why}", self.host))),
        };
        let rested = |app: &App| {
            expected
                .apps
                .iter()
                .any(|b| b.name == app.name && !b.is_running())
        };
        let down: Vec<String> = list
            .apps
            .iter()
            .filter(|a| !a.is_running() && !rested(a))
            .map(App::in_words)
            .collect();
        if down.is_empty() {
            Ok(list)
        } else {
            Err(StepError::fail(format!(
                "not online on `{}`: {}",
                self.host,
                down.join("; ")
            )))
        }
    }
}

/// Every process that ran before was really restarted (it has another pid), and stays up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restarted {
    /// The host, by its configured name.
    pub host: String,
    /// As in [`Processes`].
    pub pm2: Vec<String>,
    /// What ran before the release.
    pub before: Arg<ProcessList>,
    /// How long all restart counters must stand still, in seconds.
    pub settle_seconds: u64,
}

#[async_trait]
impl Step for Restarted {
    const KIND: &'static str = "pm2.restarted";
    type Output = ProcessList;

    fn summary(&self) -> String {
        format!(
            "the pm2 processes of `{}` were restarted and stay up for {} s",
            self.host, self.settle_seconds
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(120 + self.settle_seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<ProcessList, StepError> {
        let host = reach::host(cx, &self.host)?;
        let before = cx.arg(&self.before)?;
        let still = Duration::from_secs(self.settle_seconds);
        let within = (ONLINE_WITHIN, still);
        // Taken first: what is written from here on is for the watch to see.
        let log_sizes = list::log_sizes(&*host, &list(&*host, &self.pm2).await?).await?;
        let list = match settle(cx, &*host, &self.pm2, &before.running(), within).await? {
            Settled::Still(list) => list,
            Settled::Not(why) => return Err(StepError::fail(format!("`{}`: {why}", self.host))),
        };
        let old = before.same_process_in(&list);
        if old.is_empty() {
            Ok(ProcessList { log_sizes, ..list })
        } else {
            Err(StepError::fail(format!(
                "not restarted on `{}`, the old code still runs: {}",
                self.host,
                old.join("; ")
            ))
            .hint("the release script must restart them, for example with `pm2 reload`"))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
