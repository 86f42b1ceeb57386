//! systemd's services, of the system or of one user.
//!
//! What systemd 252 does and this has to live with (measured): `systemctl restart` sets the counter of restarts to 0,
//! which only counts what systemd restarted by itself; a service without a `WorkingDirectory` of its own has its home
//! folder there, with a `!` before it; a unit that a timer starts rests as `inactive`, and only stopping the timer ends
//! that; a unit file that was changed counts after `daemon-reload`.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::step::{Cx, StepError};

use self::unit::Unit;
use super::application::Application;
use super::contract::{Population, Supervisor};
use super::list::{App, ProcessList};
use super::logs::{News, Place};
use super::settle::{ONLINE_WITHIN, Settled, Wanted, settle};
use super::stamped;
use crate::means::host::Host;
use crate::means::reach;

mod journal;
mod unit;

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long everything must have been down at the second look.
const CALM: Duration = Duration::from_secs(2);
/// How long services may take to go down, at most.
const DOWN_WITHIN: Duration = Duration::from_mins(1);
/// How long systemd may take to stop or start; its own limit for one service is 90 s.
const ACT_WITHIN: Duration = Duration::from_mins(2);

/// systemd on a host, and which of its services are meant.
pub(crate) struct Systemd<'a> {
    pub(crate) host: &'a dyn Host,
    /// The program and its leading arguments, such as `systemctl --user`.
    pub(crate) program: &'a [String],
    pub(crate) application: &'a Application,
}

#[async_trait]
impl Supervisor for Systemd<'_> {
    fn host(&self) -> &dyn Host {
        self.host
    }

    fn name(&self) -> &'static str {
        "systemd"
    }

    async fn survey(&self) -> Result<Population, StepError> {
        let units = self.units().await?;
        let places: Vec<_> = units.iter().map(Unit::place).collect();
        let own = self.application.own(self.host, &places).await?;
        let mut found = Population::default();
        let mut others = 0;
        for (unit, own) in units.into_iter().zip(own) {
            if own {
                found.own.apps.push(unit.app);
            } else {
                others += 1;
            }
        }
        found.own.apps.sort_by(|a, b| a.name.cmp(&b.name));
        let ids: BTreeSet<u64> = found.own.apps.iter().map(|a| a.id).collect();
        if ids.len() != found.own.apps.len() {
            return Err(StepError::fail(
                "two services have names that cannot be told apart; rename one",
            ));
        }
        if others > 0 {
            found
                .others
                .push(format!("{others} other services (not the application's)"));
        }
        Ok(found)
    }

    async fn record(&self, keep_in: Option<&str>, run: &str) -> Result<Population, StepError> {
        let mut found = self.survey().await?;
        if let Some(dir) = keep_in {
            let text = self.definitions(&found.own).await?;
            found.own.kept = Some(unit::keep(self.host, dir, run, text).await?);
        }
        Ok(found)
    }

    async fn stop(&self, cx: &Cx) -> Result<String, StepError> {
        let begun = cx.now();
        let mut stopped = BTreeSet::new();
        let mut down_since = None;
        loop {
            let found = self.list().await?;
            let awake: Vec<&App> = found.apps.iter().filter(|a| is_awake(a)).collect();
            let now = cx.now();
            if awake.is_empty() {
                let since = *down_since.get_or_insert(now);
                if now.since(since) >= CALM {
                    return Ok(in_words(&stopped));
                }
                cx.sleep(CALM).await?;
                continue;
            }
            down_since = None;
            let names: Vec<&str> = awake.iter().map(|a| a.name.as_str()).collect();
            if now.since(begun) > DOWN_WITHIN {
                return Err(StepError::fail(format!(
                    "still running, or started again, after `systemctl stop`: {}",
                    names.join(", ")
                )));
            }
            stopped.extend(names.iter().map(|name| (*name).to_owned()));
            self.halt(&awake).await?;
            cx.sleep(LOOK_EVERY).await?;
        }
    }

    async fn bring_back(
        &self,
        cx: &Cx,
        before: &ProcessList,
        settle_seconds: u64,
    ) -> Result<String, StepError> {
        self.run(&["daemon-reload"], &[]).await?;
        let mut failed = Vec::new();
        let mut started = Vec::new();
        for app in before.apps.iter().filter(|a| a.is_running()) {
            match self.restart(&app.name).await {
                Ok(()) => started.push(app.name.clone()),
                Err(StepError::Fail(why)) => failed.push(format!("{}: {}", app.name, why.message)),
                Err(unreached) => return Err(unreached),
            }
        }
        let mut words = if started.is_empty() {
            "nothing was running before the deploy".to_owned()
        } else {
            format!("restarted {}", started.join(", "))
        };
        words.push_str(&self.put_to_rest(before).await?);
        words.push_str(&self.wake_timers(before).await?);
        words.push_str(&self.changed(before).await?);
        let still = Duration::from_secs(settle_seconds);
        let lost: Vec<&String> = before.apps.iter().map(|a| &a.name).collect();
        let lost = lost.into_iter().filter(|name| !started.contains(name));
        let wanted = Wanted::as_before(before).without(lost);
        if let Settled::Not(why) = settle(cx, self, &wanted, (ONLINE_WITHIN, still)).await? {
            failed.push(format!("after the restart: {why}"));
        }
        if failed.is_empty() {
            return Ok(format!("{words}; no restart within {settle_seconds} s"));
        }
        Err(StepError::fail(format!(
            "on `{}` {}; {words}",
            self.host.name(),
            failed.join("; ")
        ))
        .hint(format!(
            "look at it there: {} status",
            self.program.join(" ")
        )))
    }

    async fn log_sizes(&self, names: &[String]) -> Result<Vec<(u64, u64)>, StepError> {
        let mut sizes = Vec::new();
        for name in names {
            let end = self.log_end(name).await?;
            sizes.push((end.number(), end.size()));
        }
        Ok(sizes)
    }

    async fn log_end(&self, name: &str) -> Result<Place, StepError> {
        let stamp = journal::now(self.host).await?;
        let is_there = self.journal(name)?.has_entries(self.host).await?;
        Ok(stamped::place(is_there, stamp))
    }

    async fn log_news(&self, name: &str, place: &mut Place) -> Result<News, StepError> {
        let entries = self.journal(name)?.since(self.host, place.size()).await?;
        Ok(stamped::take(place, entries))
    }
}

impl Systemd<'_> {
    /// Every service that systemd knows, and those of the application that it would have to load.
    async fn units(&self) -> Result<Vec<Unit>, StepError> {
        let words = ["list-units", "--type=service", "--all", "--plain"];
        let words = [&words[..], &["--no-legend", "--no-pager"]].concat();
        let loaded = reach::run(self.host, &reach::command(self.program, &words)?).await?;
        let mut names: BTreeSet<String> = loaded
            .lines()
            .filter_map(|line| {
                line.split_whitespace()
                    .find(|word| word.ends_with(".service"))
            })
            .map(str::to_owned)
            .collect();
        names.extend(self.application.processes.iter().map(|n| unit::file(n)));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = self.run(unit::SHOW, &names).await?;
        let clock = unit::Clock::of(self.host).await?;
        let mut units: Vec<Unit> = unit::parse(&shown, clock)?;
        units.retain(|unit| unit.is_known);
        self.look_at_triggers(&mut units).await?;
        Ok(units)
    }

    /// Which of the units wait for a timer, a socket or a file that would start them.
    async fn look_at_triggers(&self, units: &mut [Unit]) -> Result<(), StepError> {
        let names: BTreeSet<&str> = triggers(units.iter().map(|u| &u.app)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = names.into_iter().collect();
        let words = ["show", "--no-pager", "--property=Id,ActiveState"];
        let shown = self.run(&words, &names).await?;
        let active: BTreeSet<&str> = unit::blocks(&shown)
            .iter()
            .filter(|block| block.get("ActiveState") == Some(&"active"))
            .filter_map(|block| block.get("Id").copied())
            .collect();
        for unit in units {
            let app = &mut unit.app;
            app.by_clock = app.triggers.iter().any(|t| active.contains(t.as_str()));
        }
        Ok(())
    }

    /// Runs systemctl with some words and units; with no units where there are none, not with all of them.
    async fn run(&self, words: &[&str], units: &[&str]) -> Result<String, StepError> {
        let mut args = words.to_vec();
        if !units.is_empty() {
            args.push("--");
            args.extend(units);
        }
        let command = reach::command(self.program, &args)?.deadline(ACT_WITHIN);
        reach::run(self.host, &command).await
    }

    async fn restart(&self, name: &str) -> Result<(), StepError> {
        let file = unit::file(name);
        // A service that crashed too often is not started again before its count is forgotten; one that did not has none.
        match self.run(&["reset-failed"], &[&file]).await {
            Ok(_) | Err(StepError::Fail(_)) => {}
            Err(unreached) => return Err(unreached),
        }
        self.run(&["restart"], &[&file]).await.map(drop)
    }

    /// Stops these, and first whatever would start them again.
    async fn halt(&self, apps: &[&App]) -> Result<(), StepError> {
        let triggers: BTreeSet<&str> = triggers(apps.iter().copied()).collect();
        let files: Vec<String> = apps.iter().map(|a| unit::file(&a.name)).collect();
        let files = files.iter().map(String::as_str);
        let all: Vec<&str> = triggers.into_iter().chain(files).collect();
        self.run(&["stop"], &all).await.map(drop)
    }

    /// Stops what was stopped before and runs now.
    async fn put_to_rest(&self, before: &ProcessList) -> Result<String, StepError> {
        let now = self.list().await?;
        let woken = before.woken(&now);
        if woken.is_empty() {
            return Ok(String::new());
        }
        self.halt(&woken).await?;
        let names: Vec<&str> = woken.iter().map(|a| a.name.as_str()).collect();
        Ok(format!("; stopped again, as before: {}", names.join(", ")))
    }

    /// Has what waited for its clock wait for it again. Once stopped, systemd no longer says what starts a service.
    async fn wake_timers(&self, before: &ProcessList) -> Result<String, StepError> {
        let waited: Vec<&App> = before.apps.iter().filter(|a| a.by_clock).collect();
        if waited.is_empty() {
            return Ok(String::new());
        }
        let timers: BTreeSet<&str> = triggers(waited.iter().copied()).collect();
        let timers: Vec<&str> = timers.into_iter().collect();
        self.run(&["start"], &timers).await?;
        let names: Vec<&str> = waited.iter().map(|a| a.name.as_str()).collect();
        Ok(format!(
            "; waiting for their clock again: {}",
            names.join(", ")
        ))
    }

    /// How these are started, as systemd reads it. May hold secrets.
    async fn definitions(&self, list: &ProcessList) -> Result<String, StepError> {
        let files: Vec<String> = list.apps.iter().map(|a| unit::file(&a.name)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        self.run(&["cat", "--no-pager"], &files).await
    }

    /// In words, whether the services are defined otherwise than before.
    async fn changed(&self, before: &ProcessList) -> Result<String, StepError> {
        let Some(kept) = &before.kept else {
            return Ok(String::new());
        };
        let now = self.definitions(before).await;
        let same = match (&now, unit::kept(self.host, kept).await?) {
            (Ok(now), Some(was)) => now.trim_end() == was.trim_end(),
            (Err(StepError::Fail(_)), _) | (Ok(_), None) => false,
            (Err(_), _) => return now,
        };
        Ok(if same {
            String::new()
        } else {
            format!(
                "; by the unit files that lie there now, which are others than before (those are in {} on the host)",
                kept.file
            )
        })
    }

    fn journal(&self, log: &str) -> Result<journal::Journal, StepError> {
        journal::Journal::of(self.program, log)
    }
}

/// What starts these beside an order.
fn triggers<'a>(apps: impl IntoIterator<Item = &'a App>) -> impl Iterator<Item = &'a str> {
    apps.into_iter()
        .flat_map(|app| app.triggers.iter().map(String::as_str))
}

/// Whether it runs, is between two starts, or would be started without being told to.
fn is_awake(app: &App) -> bool {
    app.by_clock || !matches!(app.status.as_str(), "stopped" | "errored")
}

fn in_words(stopped: &BTreeSet<String>) -> String {
    if stopped.is_empty() {
        return "no service was running".into();
    }
    let names: Vec<&str> = stopped.iter().map(String::as_str).collect();
    format!("stopped {}", names.join(", "))
}

#[cfg(test)]
mod tests;
