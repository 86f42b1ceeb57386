//! Waiting until processes are up and stay up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flow_engine::step::{Cx, StepError};

use super::contract::Supervisor;
use super::list::{App, ProcessList};

/// How long processes may take to come online; the slowest Node application seen with a cold disk took a third of it.
pub(crate) const ONLINE_WITHIN: Duration = Duration::from_mins(1);

/// The pause between two looks. A look takes half a second of the host's time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many restarts of one process while it is waited for are no start-up any more.
pub(crate) const CRASH_LOOP: u64 = 3;

/// What is waited for.
pub(crate) struct Wanted {
    /// How many processes of each name must run.
    pub(crate) names: BTreeMap<String, usize>,
    /// What was there before: those that were not well then are no witness, and what they do is not looked at.
    before: ProcessList,
    /// Names that are no witness either.
    gone: BTreeSet<String>,
}

impl Wanted {
    /// What ran before must run again; what was not well before is no witness.
    pub(crate) fn as_before(before: &ProcessList) -> Self {
        Wanted {
            names: before.wanted(),
            before: before.clone(),
            gone: BTreeSet::new(),
        }
    }

    /// The same without some names.
    pub(crate) fn without<'a>(mut self, names: impl IntoIterator<Item = &'a String>) -> Self {
        for name in names {
            self.names.remove(name);
            self.gone.insert(name.clone());
        }
        self
    }

    /// Those of a list whose state says something: neither what was no witness before, nor what was given up.
    pub(crate) fn witnesses<'a>(&self, list: &'a ProcessList) -> Vec<&'a App> {
        let excused = self.before.no_witness(list);
        let says = |a: &&App| !excused.contains(&a.id) && !self.gone.contains(&a.name);
        list.apps.iter().filter(says).collect()
    }
}

pub(crate) enum Settled {
    /// All are up and nothing restarted for long enough.
    Still(Box<ProcessList>),
    /// In words, why not.
    Not(String),
}

/// Waits until as many processes of each name run as wanted, and no counter or pid changes for `still`.
pub(crate) async fn settle(
    cx: &Cx,
    supervisor: &dyn Supervisor,
    wanted: &Wanted,
    (within, still): (Duration, Duration),
) -> Result<Settled, StepError> {
    let begun = cx.now();
    let mut looked = begun;
    let mut found = supervisor.list().await?;
    let first = judged(&found, wanted);
    let mut since = cx.now();
    loop {
        let seen = judged(&found, wanted);
        let missing = missing(supervisor, &found, &seen, wanted);
        // From the end of one look to the begin of another: how long a look itself takes proves nothing.
        let calm = looked.since(since);
        if missing.is_empty() && calm >= still {
            return Ok(Settled::Still(Box::new(found)));
        }
        if cx.now().since(begun) >= within + still {
            return Ok(Settled::Not(if missing.is_empty() {
                crash_loop(&first, &seen)
            } else {
                format!(
                    "not online after {} s: {}",
                    (within + still).as_secs(),
                    missing.join("; ")
                )
            }));
        }
        if let Some(why) = given_up(supervisor, &first, &seen, wanted) {
            return Ok(Settled::Not(why));
        }
        let left = still.saturating_sub(cx.now().since(since));
        let pause = if missing.is_empty() {
            LOOK_EVERY.min(left)
        } else {
            LOOK_EVERY
        };
        cx.sleep(pause).await?;
        looked = cx.now();
        let now = supervisor.list().await?;
        if judged(&now, wanted).counters() != seen.counters() {
            since = cx.now();
        }
        found = now;
    }
}

/// The processes once they are up and nothing restarted for `settle_seconds`; fails with what is not so.
pub(crate) async fn up(
    cx: &Cx,
    supervisor: &dyn Supervisor,
    wanted: &Wanted,
    settle_seconds: u64,
) -> Result<ProcessList, StepError> {
    let within = (ONLINE_WITHIN, Duration::from_secs(settle_seconds));
    match settle(cx, supervisor, wanted, within).await? {
        Settled::Still(found) => Ok(*found),
        Settled::Not(why) => Err(StepError::fail(format!(
            "`{}`: {why}",
            supervisor.host().name()
        ))),
    }
}

/// Why there is nothing more to wait for, in words.
fn given_up(
    supervisor: &dyn Supervisor,
    first: &ProcessList,
    seen: &ProcessList,
    wanted: &Wanted,
) -> Option<String> {
    let errored = |a: &&App| a.status == "errored" && wanted.names.contains_key(&a.name);
    if let Some(app) = seen.apps.iter().find(errored) {
        return Some(format!(
            "it crashed until {} gave up: {}",
            supervisor.name(),
            app.in_words()
        ));
    }
    (most_restarts(first, seen) >= CRASH_LOOP).then(|| crash_loop(first, seen))
}

/// The processes whose restarts say anything.
fn judged(list: &ProcessList, wanted: &Wanted) -> ProcessList {
    let apps = wanted.witnesses(list).into_iter().filter(|a| !a.ends);
    ProcessList {
        apps: apps.cloned().collect(),
        ..ProcessList::default()
    }
}

fn missing(
    supervisor: &dyn Supervisor,
    all: &ProcessList,
    seen: &ProcessList,
    wanted: &Wanted,
) -> Vec<String> {
    let running = seen.running();
    let short = wanted
        .names
        .iter()
        .filter(|(name, n)| running.get(*name).copied().unwrap_or(0) < **n);
    short
        .map(|(name, n)| {
            let found: Vec<String> = all
                .apps
                .iter()
                .filter(|a| a.name == *name)
                .map(App::in_words)
                .collect();
            if found.is_empty() {
                format!("{name}: {} does not know it", supervisor.name())
            } else {
                format!("{n} of {name} wanted, found {}", found.join(", "))
            }
        })
        .collect()
}

/// The largest growth of a restart counter.
fn most_restarts(first: &ProcessList, now: &ProcessList) -> u64 {
    let before = first.counters();
    let grown = now.apps.iter().filter_map(|a| {
        let (restarts, _) = before.get(&a.id)?;
        Some(a.restarts.saturating_sub(*restarts))
    });
    grown.max().unwrap_or(0)
}

fn crash_loop(first: &ProcessList, now: &ProcessList) -> String {
    let more = now.apps.iter().filter_map(|a| {
        let before = first.apps.iter().find(|b| b.id == a.id)?;
        (a.restarts > before.restarts).then(|| {
            format!(
                "{} ({} restarts, then {})",
                a.name, before.restarts, a.restarts
            )
        })
    });
    format!("crash-looping: {}", more.collect::<Vec<_>>().join("; "))
}
