//! Watching production after a release: logs, restarts, health, for so many minutes.
//!
//! The log files that `pm2 jlist` names are read by byte offset from the moment the watch began; `pm2 logs` never ends
//! and outlives its connection. What was watched so far is stored every few seconds, so a crash of `flow` continues the
//! watch: time in which nobody looked does not count, and lines written meanwhile are read all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Progress, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::health::Check;
use crate::host::{Host, Hosts};
use crate::pm2::{App, Application, Pm2, ProcessList};
use crate::reach;
use crate::reach::patterns::Patterns;

mod files;

use files::Place;

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So many unhealthy answers one after the other are no hiccup any more.
const UNHEALTHY_MAX: u32 = 3;
/// How often the host may be out of reach (each time with the pauses of the policy) before a person is asked.
const ATTEMPTS: u16 = 8;

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
    pub health: Option<Check>,
    /// How many restarts are forgiven, all processes together. Usually 0.
    pub max_restarts: u64,
    /// The processes right after the deploy, from [`Restarted`](crate::pm2::Restarted): restarts and log lines count
    /// from there, so that what went wrong before the watch began is seen. Without it both count from the beginning of
    /// the watch.
    #[serde(default)]
    pub since: Option<Arg<ProcessList>>,
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
}

/// What a watch knows, stored at every look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    millis: u64,
    begun: bool,
    places: BTreeMap<String, Place>,
    restarts: BTreeMap<u64, u64>,
    apps: Vec<String>,
    /// Names that were down or crash-looping before, and are no witness.
    #[serde(default)]
    excused: BTreeSet<String>,
    unhealthy: u32,
    asked: u64,
    log_bytes: u64,
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

    fn policy(&self) -> Policy {
        Policy {
            attempts: ATTEMPTS,
            pause_s: 5,
            ..Policy::within(self.seconds.saturating_mul(2).saturating_add(600))
        }
    }

    async fn run(&self, cx: &Cx) -> Result<Watched, StepError> {
        let host = reach::host(cx, &self.host)?;
        let patterns = Patterns::new(&self.errors, &self.allow)?;
        self.watch(cx, &*host, &patterns).await
    }
}

impl Watch {
    async fn watch(
        &self,
        cx: &Cx,
        host: &dyn Host,
        patterns: &Patterns,
    ) -> Result<Watched, StepError> {
        let mut seen: Seen = cx.noted()?.unwrap_or_default();
        if seen.begun {
            cx.log(format!(
                "going on with the watch: {} of {} s are done",
                seen.millis / 1000,
                self.seconds
            ));
        } else {
            seen = self.begin(cx, host).await?;
            cx.note(&seen).await?;
        }
        let wanted = self.seconds.saturating_mul(1000);
        let hosts = cx.resource::<Hosts>()?;
        let mut looked = cx.now();
        loop {
            let list = self.processes(host).await?;
            self.judge_processes(&seen, &list)?;
            self.read_logs(cx, host, patterns, &list, &mut seen).await?;
            self.ask(cx, &hosts, &mut seen).await?;
            // Only time between two looks of the same life was watched; a clock that jumps ahead gives no more than the
            // pause.
            let now = cx.now();
            let slice = now
                .since(looked)
                .min(2 * LOOK_EVERY + Duration::from_mins(1));
            seen.millis += u64::try_from(slice.as_millis()).unwrap_or(u64::MAX);
            looked = now;
            cx.note(&seen).await?;
            cx.progress(Progress {
                unit: "s".into(),
                done: seen.millis / 1000,
                total: Some(self.seconds),
            });
            if seen.millis >= wanted {
                return Ok(Self::watched(&seen, &list));
            }
            let left = Duration::from_millis(wanted - seen.millis);
            cx.sleep(LOOK_EVERY.min(left)).await?;
        }
    }

    /// The processes that are watched.
    async fn processes(&self, host: &dyn Host) -> Result<ProcessList, StepError> {
        let pm2 = Pm2 {
            host,
            program: &self.pm2,
            application: &self.application,
        };
        let mut list = pm2.list().await?;
        list.apps
            .retain(|a| self.apps.is_empty() || self.apps.contains(&a.name));
        Ok(list)
    }

    /// Where everything stood after the deploy, or stands now: what is in the logs already was there before.
    async fn begin(&self, cx: &Cx, host: &dyn Host) -> Result<Seen, StepError> {
        let list = self.processes(host).await?;
        let mut apps: Vec<String> = list.apps.iter().map(|a| a.name.clone()).collect();
        apps.dedup();
        let missing = self.apps.iter().find(|a| !apps.contains(a));
        if let Some(missing) = missing
            .cloned()
            .or(apps.is_empty().then(|| "any process".into()))
        {
            return Err(StepError::fail(format!(
                "pm2 on `{}` does not know {missing}: nothing to watch",
                self.host
            )));
        }
        let since = self.since.as_ref().map(|s| cx.arg(s)).transpose()?;
        let mut places = BTreeMap::new();
        for file in list.apps.iter().flat_map(|a| &a.logs) {
            let mut place = files::end_of(host, file).await?;
            if let Some(since) = since.as_ref().filter(|s| !s.log_sizes.is_empty()) {
                place.go_back_to(since.log_sizes.get(file).copied().unwrap_or(0));
            }
            places.insert(file.clone(), place);
        }
        if !places.values().any(Place::is_there) {
            let why = "nothing was watched: no log file that pm2 names can be read";
            return Err(StepError::fail(format!("{why} on `{}`", self.host))
                .hint("give the processes log files in pm2's configuration, readable for the login of `flow`"));
        }
        let counted = since.as_ref().unwrap_or(&list);
        Ok(Seen {
            begun: true,
            places,
            restarts: counted.apps.iter().map(|a| (a.id, a.restarts)).collect(),
            excused: counted.excused(),
            apps,
            ..Seen::default()
        })
    }

    fn judge_processes(&self, seen: &Seen, list: &ProcessList) -> Result<(), StepError> {
        let at_rest = |a: &&App| matches!(a.status.as_str(), "errored" | "stopped" | "stopping");
        let excused = |a: &&App| a.is_over() || seen.excused.contains(&a.name);
        if let Some(app) = list.apps.iter().find(|a| at_rest(a) && !excused(a)) {
            return Err(StepError::fail(format!(
                "on `{}`: {}",
                self.host,
                app.in_words()
            )));
        }
        if let Some(gone) = seen
            .apps
            .iter()
            .find(|name| !list.apps.iter().any(|a| a.name == **name))
        {
            return Err(StepError::fail(format!(
                "pm2 on `{}` no longer knows {gone}",
                self.host
            )));
        }
        let restarts = restarts(seen, list);
        if restarts > self.max_restarts {
            let words: Vec<String> = list.apps.iter().map(App::in_words).collect();
            return Err(StepError::fail(format!(
                "{restarts} restarts on `{}` while it was watched ({} are forgiven): {}",
                self.host,
                self.max_restarts,
                words.join("; ")
            )));
        }
        Ok(())
    }

    async fn read_logs(
        &self,
        cx: &Cx,
        host: &dyn Host,
        patterns: &Patterns,
        list: &ProcessList,
        seen: &mut Seen,
    ) -> Result<(), StepError> {
        for app in &list.apps {
            for file in &app.logs {
                // A process that came during the watch is read from its beginning.
                let place = seen.places.entry(file.clone()).or_default();
                let lines = files::read_on(host, file, place).await?;
                seen.log_bytes += lines.iter().map(|l| l.len() as u64 + 1).sum::<u64>();
                let bad: Vec<&String> = lines
                    .iter()
                    .filter(|l| patterns.is_error(l))
                    .take(10)
                    .collect();
                for line in &bad {
                    cx.log(format!("{}: {line}", app.name));
                }
                if let Some(first) = bad.first() {
                    let first: String = first.chars().take(400).collect();
                    return Err(StepError::fail(format!(
                        "an error in the log of {} on `{}`: {first}",
                        app.name, self.host
                    ))
                    .hint(format!(
                        "the log is {file}; {} such lines at this look",
                        bad.len()
                    )));
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, cx: &Cx, hosts: &Hosts, seen: &mut Seen) -> Result<(), StepError> {
        let Some(check) = &self.health else {
            return Ok(());
        };
        seen.asked += 1;
        match check.ask(hosts).await {
            Ok(_) => seen.unhealthy = 0,
            Err(why) => {
                seen.unhealthy += 1;
                cx.log(format!(
                    "{} is not healthy ({} in a row): {why}",
                    check.url, seen.unhealthy
                ));
                if seen.unhealthy >= UNHEALTHY_MAX {
                    return Err(StepError::fail(format!(
                        "{} was unhealthy {UNHEALTHY_MAX} times in a row: {why}",
                        check.url
                    )));
                }
            }
        }
        Ok(())
    }

    fn watched(seen: &Seen, list: &ProcessList) -> Watched {
        Watched {
            seconds: seen.millis / 1000,
            apps: seen.apps.clone(),
            log_bytes: seen.log_bytes,
            restarts: restarts(seen, list),
            asked: seen.asked,
        }
    }
}

/// Restarts since the watch began. A process with a new number came from nothing: all its restarts count. Those that
/// pm2's clock makes of one that ended well are none.
fn restarts(seen: &Seen, list: &ProcessList) -> u64 {
    let more = |a: &App| {
        a.restarts
            .saturating_sub(seen.restarts.get(&a.id).copied().unwrap_or(0))
    };
    let by_clock = |a: &App| a.by_clock && a.exit_code.unwrap_or(0) == 0;
    let counts = |a: &&App| !by_clock(a) && !seen.excused.contains(&a.name);
    list.apps.iter().filter(counts).map(more).sum()
}

#[cfg(test)]
mod tests;
