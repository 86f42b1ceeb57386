//! Waiting until processes are up and stay up, or are all down.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_engine::step::{Cx, StepError};

use super::list::{App, ProcessList, list};
use crate::host::Host;
use crate::reach;

/// The pause between two looks. A look takes half a second of the host's time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many restarts of one process while it is waited for are no start-up any more.
const CRASH_LOOP: u64 = 3;

pub(super) enum Settled {
    /// All are up and nothing restarted for long enough.
    Still(ProcessList),
    /// In words, why not.
    Not(String),
}

/// Waits until as many processes of each name run as wanted, and no counter or pid changes for `still`.
pub(super) async fn settle(
    cx: &Cx,
    host: &dyn Host,
    pm2: &[String],
    wanted: &BTreeMap<String, usize>,
    (within, still): (Duration, Duration),
) -> Result<Settled, StepError> {
    let begun = cx.now();
    let mut seen = list(host, pm2).await?;
    let first = seen.clone();
    let mut since = cx.now();
    loop {
        let missing = missing(&seen, wanted);
        let calm = cx.now().since(since);
        if missing.is_empty() && calm >= still {
            return Ok(Settled::Still(seen));
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
        if let Some(app) = seen
            .apps
            .iter()
            .find(|a| a.status == "errored" && wanted.contains_key(&a.name))
        {
            return Ok(Settled::Not(format!(
                "it crashed until pm2 gave up: {}",
                app.in_words()
            )));
        }
        if first.most_restarts_until(&seen) >= CRASH_LOOP {
            return Ok(Settled::Not(crash_loop(&first, &seen)));
        }
        cx.sleep(LOOK_EVERY).await?;
        let now = list(host, pm2).await?;
        if now.counters() != seen.counters() {
            since = cx.now();
        }
        seen = now;
    }
}

fn missing(seen: &ProcessList, wanted: &BTreeMap<String, usize>) -> Vec<String> {
    let running = seen.running();
    let short = wanted
        .iter()
        .filter(|(name, n)| running.get(*name).copied().unwrap_or(0) < **n);
    short
        .map(|(name, n)| {
            let found: Vec<String> = seen
                .apps
                .iter()
                .filter(|a| a.name == *name)
                .map(App::in_words)
                .collect();
            if found.is_empty() {
                format!("{name}: pm2 does not know it")
            } else {
                format!("{n} of {name} wanted, found {}", found.join(", "))
            }
        })
        .collect()
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

/// Stops every process and verifies that none runs. With no process at all there is nothing to do; twice is once.
///
/// Answers the names that were stopped. Fails when one still runs a minute later.
pub(crate) async fn stop_all(
    cx: &Cx,
    host: &dyn Host,
    pm2: &[String],
) -> Result<Vec<String>, StepError> {
    let mut seen = list(host, pm2).await?;
    let up = |l: &ProcessList| {
        l.apps
            .iter()
            .filter(|a| a.pid != 0 || a.status != "stopped")
            .map(|a| a.name.clone())
            .collect::<Vec<_>>()
    };
    let stopped = up(&seen);
    if stopped.is_empty() {
        return Ok(stopped);
    }
    let command = reach::command(pm2, &["stop", "all"])?.deadline(Duration::from_mins(2));
    reach::run(host, &command).await?;
    let begun = cx.now();
    loop {
        seen = list(host, pm2).await?;
        let left = up(&seen);
        if left.is_empty() {
            return Ok(stopped);
        }
        if cx.now().since(begun) > Duration::from_mins(1) {
            return Err(StepError::fail(format!(
                "still running after `pm2 stop all`: {}",
                left.join(", ")
            )));
        }
        cx.sleep(LOOK_EVERY).await?;
    }
}
