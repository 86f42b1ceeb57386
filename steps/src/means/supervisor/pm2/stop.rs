//! Stopping the application's processes so that they stay stopped.
//!
//! `pm2 stop` is not enough (measured with pm2 5, 6 and 7): the timer of `cron_restart` goes on and starts the process
//! again, also a job that only rests between two runs. Only `pm2 delete` ends a timer. A process that watches its files is
//! started by a change of one even after it stopped by itself; `pm2 stop` ends the watching.

use std::collections::BTreeSet;
use std::time::Duration;

use flow_engine::step::{Cx, StepError};

use super::{Inventory, Pm2};
use crate::means::reach;
use crate::means::supervisor::contract::Supervisor as _;
use crate::means::supervisor::list::App;

/// The pause between two looks. A look takes half a second of the host's time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long everything must have been down at the second look: what pm2 was about to start is up by then.
const CALM: Duration = Duration::from_secs(2);
/// How long processes may take to go down.
const DOWN_WITHIN: Duration = Duration::from_mins(1);

/// What was done to bring everything to rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AtRest {
    /// The names that ran.
    pub(crate) stopped: BTreeSet<String>,
    /// The numbers of what was told to stop.
    told: BTreeSet<u64>,
    /// The names that pm2 was made to forget, because its timer would have started them. Its saved list has them still.
    pub(crate) taken_out: BTreeSet<String>,
    /// Those of them that `pm2 resurrect` passes over, because a process that is not the application's has the name too.
    pub(crate) passed_over: BTreeSet<String>,
}

impl AtRest {
    /// In words, as a part of a report.
    pub(crate) fn in_words(&self) -> String {
        let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut words = if self.stopped.is_empty() {
            "no service was running".to_owned()
        } else {
            format!("stopped {}", names(&self.stopped))
        };
        if !self.taken_out.is_empty() {
            words.push_str("; taken out of pm2 until the processes are brought back, because its timer (cron_restart) starts what is stopped: ");
            words.push_str(&names(&self.taken_out));
            words.push_str(" (by hand: pm2 resurrect)");
        }
        if !self.passed_over.is_empty() {
            words.push_str(
                "; pm2 resurrect passes over those whose name another application's process has: ",
            );
            words.push_str(&names(&self.passed_over));
            words.push_str(" (by hand: start them as they were started first)");
        }
        words
    }
}

impl Pm2<'_> {
    /// Stops every process of the application and makes sure that none is started again: what pm2 would start by the
    /// clock is saved in pm2's list and then deleted, to be brought back by the rollback. Verified by a second look.
    ///
    /// With none up and no timer there is nothing to do; twice is once. Fails when one still runs a minute later.
    pub(super) async fn bring_to_rest(&self, cx: &Cx) -> Result<AtRest, StepError> {
        let begun = cx.now();
        let mut rest = AtRest::default();
        let mut down_since = None;
        loop {
            let found = self.inventory().await?;
            let awake: Vec<&App> = found.own.apps.iter().filter(|a| is_awake(a)).collect();
            let now = cx.now();
            if awake.is_empty() {
                let since = *down_since.get_or_insert(now);
                if now.since(since) >= CALM {
                    return Ok(rest);
                }
                cx.sleep(CALM).await?;
                continue;
            }
            down_since = None;
            if now.since(begun) > DOWN_WITHIN {
                let names: BTreeSet<&str> = awake.iter().map(|a| a.name.as_str()).collect();
                let names: Vec<&str> = names.into_iter().collect();
                return Err(StepError::fail(format!(
                    "still running, or started again, after `pm2 stop`: {}",
                    names.join(", ")
                )));
            }
            self.one_round(cx, &found, &mut rest).await?;
            cx.sleep(LOOK_EVERY).await?;
        }
    }

    /// Stops what is up and not known to have been stopped yet, or else takes out what the clock would start.
    async fn one_round(
        &self,
        cx: &Cx,
        found: &Inventory,
        rest: &mut AtRest,
    ) -> Result<(), StepError> {
        // One that its timer starts every second is never seen down: stopping it once is enough.
        let stoppable =
            |a: &&App| (is_up(a) || a.watched) && !(a.by_clock && rest.told.contains(&a.id));
        let up: Vec<&App> = found.own.apps.iter().filter(stoppable).collect();
        let (what, which) = if up.is_empty() {
            // A deletion loses how a process is started; the saved list keeps it.
            self.save().await?;
            let timed = found.own.apps.iter().filter(|a| a.by_clock);
            ("delete", timed.collect())
        } else {
            ("stop", up)
        };
        let ids: Vec<u64> = which.iter().map(|a| a.id).collect();
        match self.act(what, &ids, found).await {
            // One that went away by itself in this moment makes pm2 fail; the next look says what still runs.
            Ok(()) => {}
            Err(StepError::Fail(why)) => cx.log(why.message),
            Err(e) => return Err(e),
        }
        let names = which.iter().filter(|a| what == "delete" || is_up(a));
        let names: Vec<String> = names.map(|a| a.name.clone()).collect();
        if what == "delete" {
            let passed_over = |name: &&String| found.foreign.iter().any(|a| a.name == **name);
            rest.passed_over
                .extend(names.iter().filter(passed_over).cloned());
            rest.taken_out.extend(names);
        } else {
            rest.told.extend(&ids);
            rest.stopped.extend(names);
        }
        Ok(())
    }

    /// Has pm2 know again what its saved list has and it no longer knows: what was stopped when it was saved stays
    /// stopped, with its timer.
    pub(super) async fn resurrect(&self) -> Result<(), StepError> {
        let command = self.command(&["resurrect"])?.deadline(super::ACT_WITHIN);
        reach::run(self.host, &command).await?;
        Ok(())
    }
}

/// Whether it runs, or pm2 will start it without being told to.
fn is_awake(app: &App) -> bool {
    is_up(app) || app.by_clock || app.watched
}

/// Whether it runs, or is between two starts.
fn is_up(app: &App) -> bool {
    !matches!(app.status.as_str(), "stopped" | "errored")
        || (app.status == "stopped" && app.pid != 0)
}
