//! One release per environment: a lease held on the host itself.
//!
//! The journal of one machine cannot know of a release started from another; the host they both change can. The lease
//! is one file, `held`, made by linking a complete, synced file into place: the link is the claim (of any number of
//! racing links one succeeds), and a lease without its details cannot exist, whenever the power goes.
//!
//! After a rollback that touched production a second file, `locked`, keeps everybody out until a person lifts it with
//! a reason: what failed once must be looked at before it is tried again.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::plan::Effect;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::host::HostExt as _;
use crate::reach;

mod guard;
mod store;

pub(crate) use guard::{Guard, in_force};
use store::{Claim, claim, release};
pub use store::{
    Held, LeaseError, LockState, Locked, break_lease, lift_lock, lock_state, set_lock,
};

/// Takes the lease of an environment, and keeps it until the run ends.
///
/// Run twice by the same run: the lease stays, with the newer epoch. Held by another run, or locked: refused, with the
/// holder, its age and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLease {
    /// The host, by its configured name.
    pub host: String,
    /// The folder of the lease on that host, absolute; made when missing, for its owner only.
    pub dir: String,
}

/// The lease as it was taken, and the machine it was taken on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The host, by its configured name.
    pub host: String,
    /// The folder of the lease.
    pub dir: String,
    /// The fencing epoch written into it.
    pub epoch: u64,
    /// `/etc/machine-id` of the host: later steps compare it, so that a changed alias cannot redirect a release.
    pub machine_id: String,
    /// What the host calls itself.
    pub hostname: String,
}

#[async_trait]
impl Step for HostLease {
    const KIND: &'static str = "host.lease";
    type Output = Lease;

    fn summary(&self) -> String {
        format!("take the release lease of `{}` ({})", self.host, self.dir)
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("release it; lock the environment if production had changed".into())
    }

    async fn run(&self, cx: &Cx) -> Result<Lease, StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let identity = host.identity().await.map_err(|e| reach::error(&e))?;
        take(cx, self, false).await?;
        Ok(Lease {
            host: self.host.clone(),
            dir: self.dir.clone(),
            epoch: cx.epoch(),
            machine_id: identity.machine_id,
            hostname: identity.hostname,
        })
    }

    async fn undo(&self, cx: &Cx, _: Option<Lease>) -> Result<String, StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let mut report = String::new();
        // The lock first: between the two there must be no moment in which another release could slip in.
        if cx.run().production_changed() {
            let locked = Locked {
                run: Some(cx.run_id().to_string()),
                by: cx.run().by.name.clone(),
                reason: format!("rolled back run {}", cx.run_id()),
                since: cx.now(),
            };
            let kept = set_lock(&*host, &self.dir, &locked).await?;
            report = if kept == locked {
                "environment locked until someone lifts it with a reason; ".into()
            } else {
                format!("environment already locked ({}); ", kept.reason)
            };
        }
        report.push_str(
            match release(&*host, &self.dir, cx.run_id().as_str(), cx.epoch()).await? {
                Some(other) if other.run != cx.run_id().as_str() => {
                    "the lease is another run's: left alone"
                }
                Some(_) => "lease released",
                None => "the lease was not held",
            },
        );
        Ok(report)
    }
}

/// Gives the lease back at the end of a run that succeeded. Run twice: the second finds nothing to do.
///
/// Its undo takes the lease again, so that a completed run is never rolled back under another release's feet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLease {
    /// As in [`HostLease`].
    pub host: String,
    /// As in [`HostLease`].
    pub dir: String,
}

/// What became of the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Whether it was ours and is gone now.
    pub released: bool,
    /// The run that holds it instead, when somebody broke ours.
    pub held_by: Option<String>,
}

#[async_trait]
impl Step for ReleaseLease {
    const KIND: &'static str = "host.lease-release";
    type Output = Released;

    fn summary(&self) -> String {
        format!("release the lease of `{}` ({})", self.host, self.dir)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("take the lease again before anything is rolled back".into())
    }

    async fn run(&self, cx: &Cx) -> Result<Released, StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let found = release(&*host, &self.dir, cx.run_id().as_str(), cx.epoch()).await?;
        let released = found
            .as_ref()
            .is_some_and(|h| h.run == cx.run_id().as_str());
        let held_by = found.map(|h| h.run).filter(|_| !released);
        if let Some(other) = &held_by {
            return Err(StepError::ask(format!(
                "the lease of `{}` is held by run {other}: somebody broke ours, and two releases may have changed it at once; its lease was left alone",
                self.host
            ))
            .hint(format!("look at what run {other} did: flow status {other}"))
            .hint(format!("when it has ended: flow retry {}", cx.run_id())));
        }
        Ok(Released { released, held_by })
    }

    async fn undo(&self, cx: &Cx, _: Option<Released>) -> Result<String, StepError> {
        let lease = HostLease {
            host: self.host.clone(),
            dir: self.dir.clone(),
        };
        take(cx, &lease, true).await?;
        Ok("the lease is ours".into())
    }
}

/// Takes the lease or says who has it. A rollback takes it in spite of a lock: the lock keeps releases out.
async fn take(cx: &Cx, lease: &HostLease, in_spite_of_lock: bool) -> Result<(), StepError> {
    let host = reach::unguarded(cx, &lease.host)?;
    let ours = Held {
        run: cx.run_id().to_string(),
        holder: cx.run().holder.clone(),
        epoch: cx.epoch(),
        since: cx.now(),
    };
    match claim(&*host, &lease.dir, &ours, in_spite_of_lock).await? {
        Claim::Taken => Ok(()),
        Claim::Held(other) if other.run == ours.run => Err(StepError::refuse(format!(
            "a newer process drives this run (epoch {} on `{}`, ours is {}): {}",
            other.epoch, lease.host, ours.epoch, other.holder
        ))
        .hint("leave this one; `flow status` shows the run")),
        Claim::Held(other) => Err(StepError::refuse(format!(
            "`{}` is being released by run {} since {} ({} ago): {}",
            lease.host,
            other.run,
            other.since,
            age(cx.now(), other.since),
            other.holder
        ))
        .hint(format!(
            "wait for it, or end it: flow cancel {} --reason … (what it passed on test and staging still counts); flow \
             rollback once it has changed production",
            other.run
        ))
        .hint(format!(
            "if that run and its journal are lost for good: flow unlock {} --lost {} --reason …, then retry",
            cx.plan().environment,
            other.run
        ))),
        Claim::Locked(locked) => Err(StepError::refuse(format!(
            "`{}` is locked since {} ({} ago) by {}: {}; look into it, then `flow unlock {} --reason …`",
            lease.host,
            locked.since,
            age(cx.now(), locked.since),
            locked.by,
            locked.reason,
            cx.plan().environment
        ))
        .hint(format!(
            "when it is looked into: flow unlock {} --reason …",
            cx.plan().environment
        ))
        .hint(format!("then: flow retry {}", cx.run_id()))),
    }
}

fn age(now: Timestamp, since: Timestamp) -> String {
    let seconds = now.since(since).as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", Duration::from_secs(seconds).as_secs() / 3600),
    }
}

#[cfg(test)]
mod tests;
