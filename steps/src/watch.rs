//! Watching production after a release: logs, restarts, health, for so many minutes.
//!
//! The log files that `pm2 jlist` names are read by byte offset from the moment the watch began; `pm2 logs` never ends
//! and outlives its connection. What was watched so far is stored every few seconds, so a crash of `flow` continues the
//! watch: time in which nobody looked does not count, and lines written meanwhile are read all the same. What cannot be
//! asked says nothing: the watch goes on when it can, and parks when that takes too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::record::Failure;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Progress, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::Hosts;
use crate::means::probes::checks::Checks;
use crate::means::reach;
use crate::means::reach::patterns::Patterns;
use crate::means::supervisor::contract::Supervisor;
use crate::means::supervisor::logs::Place;
use crate::means::supervisor::{self, Application, ProcessList};

mod aftermath;
mod judge;
mod reconnect;
mod reloads;

use aftermath::Aftermath;
pub use reconnect::{Mark, Reconnect};
use reloads::Reloads;

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look or a pause that took longer than this was none: the machine slept, or the host did not answer.
const SLICE_MAX: Duration = Duration::from_secs(10);
/// How long the host may be out of reach in one go before the run parks.
const PATIENCE: Duration = Duration::from_mins(5);
/// The pause while it is.
const UNREACHED_PAUSE: Duration = Duration::from_secs(10);

/// Watches an application for a while. The first error line, restart, missing process or lasting illness fails it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The host, by its configured name.
    pub host: String,
    /// The pm2 program and its leading arguments.
    pub pm2: Vec<String>,
    /// Which of its processes are the application's.
    #[serde(default)]
    pub application: Application,
    /// The names of those of them to watch; none means all.
    pub apps: Vec<String>,
    /// For how long, in seconds. The protocol says 900.
    pub seconds: u64,
    /// Regular expressions of error lines; none means the built-in ones.
    pub errors: Vec<String>,
    /// Lines that match one of these are no errors after all.
    pub allow: Vec<String>,
    /// What must stay healthy, if anything.
    pub health: Option<Checks>,
    /// How many restarts are forgiven, all processes together. Usually 0.
    pub max_restarts: u64,
    /// The processes right after the deploy, from [`Restarted`](crate::pm2::Restarted): restarts and log lines count
    /// from there, so that what went wrong before the watch began is seen. Without it both count from the beginning of
    /// the watch.
    #[serde(default)]
    pub since: Option<Arg<ProcessList>>,
    /// Where the logs stood when the application had had its time after the thaw, from [`Reconnect`]. Only before that
    /// mark, what ended sessions and refused writes leave behind is forgiven.
    #[serde(default)]
    pub thaw: Option<Arg<Mark>>,
}

/// A watch that saw nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// How long it was really looked at, in seconds.
    pub seconds: u64,
    /// The processes that were watched.
    pub apps: Vec<String>,
    /// Bytes of logs that were read.
    pub log_bytes: u64,
    /// Restarts that were forgiven.
    pub restarts: u64,
    /// How often the application was asked for its health.
    pub asked: u64,
    /// In words, what of the logs could not be read because they were cut or replaced.
    #[serde(default)]
    pub unread: Vec<String>,
}

/// What a watch knows, stored at every look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    millis: u64,
    begun: bool,
    places: BTreeMap<String, Place>,
    restarts: BTreeMap<u64, u64>,
    apps: Vec<String>,
    /// Names that are no witness, in notes from before `from` was kept.
    #[serde(default)]
    excused: BTreeSet<String>,
    /// The processes from which everything counts: those that were down or crash-looping there are no witness.
    #[serde(default)]
    from: ProcessList,
    /// The restarts that pm2 made by itself, by its number for the process.
    #[serde(default)]
    reloads: BTreeMap<u64, Reloads>,
    unhealthy: u32,
    asked: u64,
    log_bytes: u64,
    /// What may be forgiven because of the thaw.
    #[serde(default)]
    thaw: Thaw,
    /// Which logs could not be read; see [`Watched::unread`].
    #[serde(default)]
    unread: Vec<String>,
}

/// What the thaw explains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Thaw {
    /// Up to where in each log: the file's number and its size at the mark.
    marks: BTreeMap<String, (u64, u64)>,
    /// Whether the mark was made too late to say when something happened.
    late: bool,
    /// How often each process was restarted between the deploy and the mark.
    restarts: BTreeMap<u64, u64>,
    /// The logs that speak of lost sessions before the mark.
    ended: BTreeSet<String>,
    /// The attempt that asked a person about what a late mark leaves open; a retry is their word that it was the thaw.
    asked: Option<u16>,
}

#[async_trait]
impl Step for Watch {
    const KIND: &'static str = "watch.logs";
    type Output = Watched;

    fn summary(&self) -> String {
        let apps = if self.apps.is_empty() {
            self.application.in_words()
        } else {
            self.apps.join(", ")
        };
        format!(
            "watch {apps} of `{}` for {} s: logs, restarts, health",
            self.host, self.seconds
        )
    }

    /// Patience is the watch's own: what it saw before counts on.
    fn policy(&self) -> Policy {
        let patience = PATIENCE.as_secs();
        Policy {
            patience_s: 0,
            ..Policy::within(
                self.seconds
                    .saturating_mul(3)
                    .saturating_add(600 + patience),
            )
        }
    }

    async fn run(&self, cx: &Cx) -> Result<Watched, StepError> {
        let host = reach::host(cx, &self.host)?;
        let patterns = Patterns::new(&self.errors, &self.allow)?;
        let eyes = Eyes {
            cx,
            supervisor: supervisor::of(&*host, &self.pm2, &self.application),
            hosts: cx.resource::<Hosts>()?,
            patterns,
            aftermath: Aftermath::new(),
        };
        self.watch(&eyes).await
    }
}

/// What looking takes.
struct Eyes<'a> {
    cx: &'a Cx,
    supervisor: Box<dyn Supervisor + 'a>,
    hosts: std::sync::Arc<Hosts>,
    patterns: Patterns,
    aftermath: Aftermath,
}

impl Watch {
    async fn watch(&self, eyes: &Eyes<'_>) -> Result<Watched, StepError> {
        let cx = eyes.cx;
        let mut seen: Seen = cx.noted()?.unwrap_or_default();
        if seen.begun {
            cx.log(format!(
                "going on with the watch: {} of {} s are done",
                seen.millis / 1000,
                self.seconds
            ));
        }
        if seen.thaw.asked.is_some_and(|asked| asked < cx.attempt()) {
            seen.thaw.late = false;
        }
        let wanted = self.seconds.saturating_mul(1000);
        let mut rested = None;
        let mut dark = Duration::ZERO;
        loop {
            let began = cx.now();
            let list = match self.look(eyes, &mut seen).await {
                Ok(list) => list,
                Err(StepError::Unreached(why)) => {
                    dark = self.wait_in_the_dark(cx, dark, why).await?;
                    rested = None;
                    continue;
                }
                Err(e) => return Err(e),
            };
            dark = Duration::ZERO;
            let looked = cx.now().since(began);
            for slice in [rested, Some(looked)].into_iter().flatten() {
                seen.millis += credit(cx, slice);
            }
            cx.note(&seen).await?;
            cx.progress(Progress {
                unit: "s".into(),
                done: (seen.millis / 1000).min(self.seconds),
                total: Some(self.seconds),
            });
            if seen.millis >= wanted {
                return Ok(Self::watched(&seen, &list));
            }
            let left = Duration::from_millis(wanted - seen.millis);
            let began = cx.now();
            cx.sleep(LOOK_EVERY.min(left)).await?;
            rested = Some(cx.now().since(began));
        }
    }

    /// One look at everything. The logs come first: they may explain a restart.
    async fn look(&self, eyes: &Eyes<'_>, seen: &mut Seen) -> Result<ProcessList, StepError> {
        if !seen.begun {
            *seen = self.begin(eyes.cx, &*eyes.supervisor).await?;
            eyes.cx.note(seen).await?;
        }
        let before = seen.clone();
        let list = self.processes(&*eyes.supervisor).await?;
        let judged = match self.read_logs(eyes, &list, seen).await {
            Ok(()) => seen
                .forgive(eyes.cx, &list)
                .and_then(|()| self.judge_processes(eyes.cx, seen, &list)),
            Err(e) => Err(e),
        };
        if before.thaw.late && matches!(judged, Err(StepError::Ask(_))) {
            let mut asked = before;
            asked.thaw.asked = Some(eyes.cx.attempt());
            eyes.cx.note(&asked).await?;
        }
        judged?;
        self.ask(eyes, seen).await?;
        Ok(list)
    }

    /// Nobody could look: that is said once, does not count, and ends the watch for now when it takes too long. Answers
    /// for how long it has been so.
    async fn wait_in_the_dark(
        &self,
        cx: &Cx,
        dark: Duration,
        why: Failure,
    ) -> Result<Duration, StepError> {
        if dark.is_zero() {
            cx.log(format!(
                "nothing can be seen, and this time does not count: {why}"
            ));
        }
        if dark >= PATIENCE {
            return Err(StepError::Unreached(why).hint(format!(
                "`{}` could not be watched for {} s; what was watched before counts on",
                self.host,
                dark.as_secs()
            )));
        }
        cx.sleep(UNREACHED_PAUSE).await?;
        Ok(dark + UNREACHED_PAUSE)
    }

    /// The processes that are watched.
    async fn processes(&self, supervisor: &dyn Supervisor) -> Result<ProcessList, StepError> {
        let mut list = supervisor.list().await?;
        list.apps
            .retain(|a| self.apps.is_empty() || self.apps.contains(&a.name));
        Ok(list)
    }

    /// Where everything stood after the deploy, or stands now: what is in the logs already was there before.
    async fn begin(&self, cx: &Cx, supervisor: &dyn Supervisor) -> Result<Seen, StepError> {
        let list = self.processes(supervisor).await?;
        let mut apps: Vec<String> = list.apps.iter().map(|a| a.name.clone()).collect();
        apps.dedup();
        let missing = self.apps.iter().find(|a| !apps.contains(a));
        if let Some(missing) = missing
            .cloned()
            .or(apps.is_empty().then(|| "any process".into()))
        {
            return Err(StepError::fail(format!(
                "{} on `{}` does not know {missing}: nothing to watch",
                supervisor.name(),
                self.host
            )));
        }
        let since = self.since.as_ref().map(|s| cx.arg(s)).transpose()?;
        let mut places = BTreeMap::new();
        for file in list.apps.iter().flat_map(|a| &a.logs) {
            let mut place = supervisor.log_end(file).await?;
            if let Some(since) = since.as_ref().filter(|s| !s.log_sizes.is_empty()) {
                let size = since.log_sizes.get(file).copied().unwrap_or(0);
                place.go_back_to(size, since.log_inodes.get(file).copied());
            }
            places.insert(file.clone(), place);
        }
        if !places.values().any(Place::is_there) {
            let name = supervisor.name();
            let why = format!("nothing was watched: no log file that {name} names can be read");
            return Err(StepError::fail(format!("{why} on `{}`", self.host)).hint(format!(
                "give the processes log files in {name}'s configuration, readable for the login of `flow`"
            )));
        }
        let counted = since.as_ref().unwrap_or(&list);
        let restarts: BTreeMap<u64, u64> =
            counted.apps.iter().map(|a| (a.id, a.restarts)).collect();
        let mark = self.thaw.as_ref().map(|t| cx.arg(t)).transpose()?;
        Ok(Seen {
            begun: true,
            places,
            thaw: mark.map_or_else(Thaw::default, |mark| Thaw::new(&mark, &restarts)),
            restarts,
            excused: BTreeSet::new(),
            from: ProcessList {
                apps: counted.apps.clone(),
                ..ProcessList::default()
            },
            apps,
            ..Seen::default()
        })
    }

    fn watched(seen: &Seen, list: &ProcessList) -> Watched {
        Watched {
            seconds: seen.millis / 1000,
            apps: seen.apps.clone(),
            log_bytes: seen.log_bytes,
            restarts: judge::restarts(seen, list)
                + seen.reloads.values().map(Reloads::forgiven).sum::<u64>(),
            asked: seen.asked,
            unread: seen.unread.clone(),
        }
    }
}

/// How much of a pause or a look counts, in milliseconds: nothing when it took so long that nobody looked.
fn credit(cx: &Cx, slice: Duration) -> u64 {
    if slice > SLICE_MAX {
        cx.log(format!(
            "nobody looked for {} s: that does not count",
            slice.as_secs()
        ));
        return 0;
    }
    u64::try_from(slice.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
