//! pm2, as it keeps processes: the first of the supervisors.
//!
//! What pm2 7 does and this has to live with (measured): `pm2 jlist` prints banners before its JSON when it has to
//! start its daemon; it repeats the whole environment of every process, secrets included, of which nothing is kept
//! in a journal; it lists pm2's own modules and other people's applications like one's own; `pm2 restart` answers 0
//! while the application crash-loops, so only a restart counter that stands still counts, and it starts a name with
//! the definition of the last release, not of the one that is put back; `pm2 stop` leaves the timer of `cron_restart`.
//! Names are not unique: every command of pm2 that takes one acts on all of that name, in whatever namespace and
//! whoever's they are, `pm2 start FILE` and a watched file too, and `pm2 resurrect` passes over a name that it knows.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::step::{Cx, StepError};

use crate::means::host::{Command, Host};
use crate::means::reach;
use crate::means::supervisor::application::Application;
use crate::means::supervisor::contract::{Population, Supervisor};
use crate::means::supervisor::list::ProcessList;

mod bring_back;
mod definition;
mod inventory;
mod read;
mod stop;

pub(crate) use inventory::Inventory;
#[cfg(test)]
pub(crate) use read::parse;

/// How long pm2 may take to stop or start some processes; a process deaf to its signal costs it a few seconds.
const ACT_WITHIN: Duration = Duration::from_mins(2);

/// pm2 on a host, and which of its processes are meant.
pub(crate) struct Pm2<'a> {
    pub(crate) host: &'a dyn Host,
    /// The program and its leading arguments, such as `sudo -u app pm2`.
    pub(crate) program: &'a [String],
    pub(crate) application: &'a Application,
}

#[async_trait]
impl Supervisor for Pm2<'_> {
    fn host(&self) -> &dyn Host {
        self.host
    }

    fn name(&self) -> &'static str {
        "pm2"
    }

    async fn survey(&self) -> Result<Population, StepError> {
        Ok(self.inventory().await?.into())
    }

    async fn record(&self, keep_in: Option<&str>, run: &str) -> Result<Population, StepError> {
        let found = self.inventory().await?;
        let kept = match keep_in {
            Some(dir) => Some(self.keep(dir, run, &found.definitions).await?),
            None => None,
        };
        let mut found = Population::from(found);
        found.own.kept = kept;
        Ok(found)
    }

    async fn save(&self) -> Result<(), StepError> {
        reach::run(self.host, &self.command(&["save"])?).await?;
        Ok(())
    }

    async fn stop(&self, cx: &Cx) -> Result<String, StepError> {
        Ok(self.bring_to_rest(cx).await?.in_words())
    }

    async fn bring_back(
        &self,
        cx: &Cx,
        before: &ProcessList,
        settle_seconds: u64,
    ) -> Result<String, StepError> {
        bring_back::all(cx, self, before, settle_seconds).await
    }
}

impl Pm2<'_> {
    fn command(&self, args: &[&str]) -> Result<Command, StepError> {
        reach::command(self.program, args)
    }

    /// Stops, restarts or deletes processes by their numbers: a name may be another application's too, or mean all.
    async fn act(&self, what: &str, ids: &[u64], known: &Inventory) -> Result<(), StepError> {
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        let taken = |id: &&String| known.names.contains(*id) || known.namespaces.contains(*id);
        if let Some(taken) = ids.iter().find(taken) {
            return Err(StepError::fail(format!(
                "a process or a namespace on `{}` is named {taken}, which pm2 takes for that number of another one; rename it",
                self.host.name()
            )));
        }
        let mut args = vec![what];
        args.extend(ids.iter().map(String::as_str));
        reach::run(self.host, &self.command(&args)?.deadline(ACT_WITHIN)).await?;
        Ok(())
    }
}
