//! Telling the timer on the host that the release is driven, for as long as it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flow_engine::event::{Event, Observer};
use flow_engine::plan::Node;
use flow_engine::planner::Arg;
use flow_engine::run::{Life, Run, StepState, Undo};
use tokio::task::JoinHandle;

use crate::means::freezes::is_opened;
use crate::means::host::Hosts;
use crate::means::kinds;
use crate::means::lease::Lease;
use crate::means::read_only::watchdog::{Watchdog, beat, renew};

/// Renews the timer of a frozen database while this process drives the run. It ends with the driver: when the run parks,
/// is over or its process dies, nobody renews.
pub struct Heartbeat {
    hosts: Arc<Hosts>,
    beating: Mutex<Option<Beating>>,
}

struct Beating {
    frozen: Frozen,
    task: JoinHandle<()>,
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A freeze in force, as the run's records have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frozen {
    host: String,
    dir: String,
    run: String,
    epoch: u64,
    seconds: u64,
}

/// A driver that has renewed so often has gone wrong; at the shortest pause these are days.
const BEATS_MAX: u64 = 1_000_000;
/// The longest pause between two renewals; far less than anybody configures.
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl Heartbeat {
    /// Reaches the hosts of a release.
    pub fn new(hosts: Arc<Hosts>) -> Self {
        Heartbeat {
            hosts,
            beating: Mutex::default(),
        }
    }

    /// Looks at a run that is about to be driven; afterwards it sees its events. Needs a tokio runtime.
    pub fn begin(&self, run: &Run) {
        let now = frozen(run);
        let mut beating = self.beating.lock().unwrap_or_else(PoisonError::into_inner);
        if beating.as_ref().map(|b| &b.frozen) == now.as_ref() {
            return;
        }
        *beating = now.map(|frozen| Beating {
            task: tokio::spawn(keep_beating(Arc::clone(&self.hosts), frozen.clone())),
            frozen,
        });
    }
}

impl Observer for Heartbeat {
    fn see(&self, event: &Event) {
        if let Event::Stored { run, .. } = event {
            self.begin(run);
        }
    }
}

async fn keep_beating(hosts: Arc<Hosts>, frozen: Frozen) {
    let pause = Duration::from_millis(frozen.seconds.saturating_mul(250));
    for count in 1..BEATS_MAX {
        if let Ok(host) = hosts.get(&frozen.host) {
            // A host that cannot be reached is no news here: the next renewal comes soon, and the timer is there for
            // the case that none arrives.
            let _unreached =
                renew(&*host, &frozen.dir, &frozen.run, beat(frozen.epoch, count)).await;
        }
        tokio::time::sleep(pause.min(PAUSE_MAX)).await;
    }
}

/// The freeze that a driver of this run keeps up, if it is to keep one up.
fn frozen(run: &Run) -> Option<Frozen> {
    if !matches!(run.life, Life::Forward | Life::Unwinding(_)) {
        return None;
    }
    let steps = || run.plan.nodes.iter().zip(&run.steps);
    let held = |(node, state): &(&Node, &StepState)| match node.kind.as_str() {
        _ if node
            .params
            .get("watchdog")
            .is_none_or(serde_json::Value::is_null) =>
        {
            false
        }
        kinds::FREEZE => {
            state.started.is_some() && state.undo != Undo::Undone && !is_opened(run, node)
        }
        kinds::BASELINE => {
            state.undo_attempts > 0 && !matches!(state.undo, Undo::Undone | Undo::GivenUp)
        }
        _ => false,
    };
    let (node, _) = steps().find(held)?;
    let watchdog = node.params.get("watchdog")?;
    let watchdog: Watchdog = serde_json::from_value(watchdog.clone()).ok()?;
    let lease: Lease = match watchdog.lease {
        Arg::Value(lease) => lease,
        Arg::Output(key) => serde_json::from_str(run.output(&key)?).ok()?,
    };
    Some(Frozen {
        host: lease.host,
        dir: lease.dir,
        run: run.id.to_string(),
        epoch: run.epoch,
        seconds: watchdog.seconds,
    })
}

#[cfg(test)]
mod tests;
