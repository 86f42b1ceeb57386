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
use flow_engine::planner::Arg;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::HostExt as _;
use crate::means::lease::Lease;
use crate::means::lease::place::{place, strangers};
use crate::means::lease::store::{Held, Locked, lock_state};
use crate::means::lease::successor::successor;
use crate::means::psql::Database;
use crate::means::reach::environment;
use crate::means::{kinds, reach};

mod hand;

pub use hand::{break_lease, give_back, lift_lock, set_lock};

use crate::means::lease::store::{Claim, claim, release};

/// Takes the lease of an environment, and keeps it until a later step gives it back.
///
/// Run twice by the same run: the lease stays, with the newer epoch. Held by another run, or locked: refused, with the
/// holder, its age and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLease {
    /// The host, by its configured name.
    pub host: String,
    /// The folder of the lease on that host, absolute; made when missing, for its owner only. With `db` it is where an
    /// older `flow` kept the lease: whoever holds or locked it there still has it.
    pub dir: String,
    /// The database whose lease it is: its place is the same for every project (see [`place`]). Without it, as in plans
    /// of an older `flow`, the lease lies in `dir`.
    #[serde(default)]
    pub db: Option<Database>,
    /// Folders on the host that the release writes to. One that others can write or own is refused.
    #[serde(default)]
    pub folders: Vec<String>,
    /// Whether a rollback that changed production locks this environment.
    #[serde(default = "yes")]
    pub locks: bool,
    /// Whether this takes again what the run had given back while it waited for people. It has no undo then: an earlier
    /// step's gives the lease back.
    #[serde(default)]
    pub again: bool,
}

fn yes() -> bool {
    true
}

impl HostLease {
    /// A lease in a folder.
    pub fn in_folder(host: impl Into<String>, dir: impl Into<String>) -> Self {
        HostLease {
            host: host.into(),
            dir: dir.into(),
            db: None,
            folders: Vec::new(),
            locks: true,
            again: false,
        }
    }

    /// The folder it lies in. Noted, so that an undo finds it when the database does not answer any more.
    async fn place(&self, cx: &Cx) -> Result<String, StepError> {
        let Some(db) = &self.db else {
            return Ok(self.dir.clone());
        };
        let host = reach::unguarded(cx, &self.host)?;
        let found = place(&host, db).await?;
        cx.note(&found).await?;
        Ok(found)
    }

    /// Where it lies, of a step that may have ended at any moment; nothing when it had not even looked.
    fn noted(&self, cx: &Cx, done: Option<&Lease>) -> Result<Option<String>, StepError> {
        if let Some(lease) = done {
            return Ok(Some(lease.dir.clone()));
        }
        match &self.db {
            None => Ok(Some(self.dir.clone())),
            Some(_) => cx.noted(),
        }
    }

    /// Refuses folders in which others could put a lease, a job or a backup in the place of ours.
    async fn own(&self, cx: &Cx, place: &str) -> Result<(), StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let mut folders = self.folders.clone();
        if self.db.is_some() {
            folders.push(place.to_owned());
        }
        if folders.is_empty() {
            return Ok(());
        }
        let found = strangers(&*host, &folders).await?;
        if found.is_empty() {
            return Ok(());
        }
        Err(StepError::refuse(format!(
            "on `{}`, {}: what `flow` keeps there could be replaced by others",
            self.host,
            found.join("; ")
        ))
        .hint("give the folder to the ssh user and take the right to write from everybody else: chmod go-w FOLDER; or name another folder in flow.toml")
        .hint(format!("then: flow retry {}", cx.run_id())))
    }
}

#[async_trait]
impl Step for HostLease {
    const KIND: &'static str = kinds::LEASE;
    type Output = Lease;

    fn summary(&self) -> String {
        let place = match &self.db {
            Some(db) => format!("database `{}`", db.name),
            None => self.dir.clone(),
        };
        format!(
            "take the release lease of `{}` ({place}); refused while another run has it or it is locked (`flow lock`)",
            self.host
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        let words = if self.locks {
            "release it; lock the environment if production had changed"
        } else {
            "release it"
        };
        (!self.again).then(|| words.into())
    }

    async fn run(&self, cx: &Cx) -> Result<Lease, StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let identity = host.identity().await.map_err(|e| reach::error(&e))?;
        let dir = self.place(cx).await?;
        self.own(cx, &dir).await?;
        if dir != self.dir {
            free(cx, self).await?;
        }
        take(cx, &self.host, &dir, false).await?;
        Ok(Lease {
            host: self.host.clone(),
            dir,
            epoch: cx.epoch(),
            machine_id: identity.machine_id,
            hostname: identity.hostname,
        })
    }

    async fn undo(&self, cx: &Cx, done: Option<Lease>) -> Result<String, StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let Some(dir) = self.noted(cx, done.as_ref())? else {
            return Ok("the lease was not taken".into());
        };
        let mut report = String::new();
        // The lock first: between the two there must be no moment in which another release could slip in.
        if self.locks && cx.run().production_changed() {
            let locked = Locked {
                run: Some(cx.run_id().to_string()),
                by: cx.run().by.name.clone(),
                reason: format!("rolled back run {}", cx.run_id()),
                since: cx.now(),
            };
            let kept = set_lock(&*host, &dir, &locked).await?;
            report = if kept == locked {
                "environment locked until someone lifts it with a reason; ".into()
            } else {
                format!("environment already locked ({}); ", kept.reason)
            };
        }
        report.push_str(
            match release(&*host, &dir, (cx.run_id().as_str(), cx.epoch()), false).await? {
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

/// Gives the lease back: at the end of a run that succeeded, of a phase, or while a run waits for people. Run twice: the
/// second finds nothing to do.
///
/// Its undo takes the lease again, so that a run is never rolled back under another release's feet: only where the run gave
/// it back by itself and nobody released since, or still has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLease {
    /// As in [`HostLease`].
    pub host: String,
    /// As in [`HostLease`]; only for plans without `lease`.
    #[serde(default)]
    pub dir: String,
    /// The lease that is given back.
    #[serde(default)]
    pub lease: Option<Arg<Lease>>,
    /// Whether no undo takes it again: what was done under it needs none.
    #[serde(default)]
    pub for_good: bool,
}

impl ReleaseLease {
    fn dir(&self, cx: &Cx) -> Result<String, StepError> {
        match &self.lease {
            Some(lease) => Ok(cx.arg(lease)?.dir),
            None => Ok(self.dir.clone()),
        }
    }
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
    const KIND: &'static str = kinds::LEASE_RELEASE;
    type Output = Released;

    fn summary(&self) -> String {
        format!("release the lease of `{}`", self.host)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        let words = "take the lease again before anything is rolled back";
        (!self.for_good).then(|| words.into())
    }

    async fn run(&self, cx: &Cx) -> Result<Released, StepError> {
        let host = reach::unguarded(cx, &self.host)?;
        let dir = self.dir(cx)?;
        let (ours, changed) = (
            (cx.run_id().as_str(), cx.epoch()),
            cx.run().production_changed(),
        );
        let found = release(&*host, &dir, ours, changed).await?;
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
        // Nothing to undo in production: another release may be at work there, and must not stop this run from ending.
        if !cx.run().production_changed() {
            return Ok("production was not changed: the lease is not needed".into());
        }
        let dir = self.dir(cx)?;
        let host = reach::unguarded(cx, &self.host)?;
        if let Some(other) = successor(&*host, &self.host, &dir, cx.run()).await? {
            return Err(other.refusal(cx, &self.host));
        }
        take(cx, &self.host, &dir, true).await?;
        Ok("the lease is ours".into())
    }
}

/// Refuses while somebody holds or locked the place where an older `flow` kept the lease.
async fn free(cx: &Cx, lease: &HostLease) -> Result<(), StepError> {
    let host = reach::unguarded(cx, &lease.host)?;
    let older = lock_state(&*host, &lease.dir).await?;
    if let Some(locked) = older.locked {
        return Err(barred(cx, &lease.host, &locked));
    }
    match older.held {
        Some(held) if held.run != cx.run_id().as_str() => Err(busy(cx, &lease.host, &held)),
        _ => Ok(()),
    }
}

/// Takes the lease or says who has it. A rollback takes it in spite of a lock: the lock keeps releases out.
async fn take(cx: &Cx, name: &str, dir: &str, in_spite_of_lock: bool) -> Result<(), StepError> {
    let host = reach::unguarded(cx, name)?;
    let ours = Held {
        run: cx.run_id().to_string(),
        holder: cx.run().holder.clone(),
        epoch: cx.epoch(),
        since: cx.now(),
    };
    match claim(&*host, dir, &ours, in_spite_of_lock).await? {
        Claim::Taken => Ok(()),
        Claim::Held(other) if other.run == ours.run => Err(StepError::refuse(format!(
            "a newer process drives this run (epoch {} on `{name}`, ours is {}): {}",
            other.epoch, ours.epoch, other.holder
        ))
        .hint("leave this one; `flow status` shows the run")),
        Claim::Held(other) => Err(busy(cx, name, &other)),
        Claim::Locked(locked) => Err(barred(cx, name, &locked)),
    }
}

fn busy(cx: &Cx, name: &str, other: &Held) -> StepError {
    StepError::refuse(format!(
        "`{name}` is being released by run {} since {} ({} ago): {}",
        other.run,
        other.since,
        age(cx.now(), other.since),
        other.holder
    ))
    .hint(format!(
        "wait for it, or end it: flow cancel {} --reason … (what it passed on test and staging still counts); flow rollback \
         once it has changed production",
        other.run
    ))
    .hint(format!(
        "if that run and its journal are lost for good: flow unlock {} --lost {} --reason …, then retry",
        environment(name),
        other.run
    ))
}

fn barred(cx: &Cx, name: &str, locked: &Locked) -> StepError {
    let env = environment(name);
    StepError::refuse(format!(
        "`{name}` is locked since {} ({} ago) by {}: {}; look into it, then `flow unlock {env} --reason …`",
        locked.since,
        age(cx.now(), locked.since),
        locked.by,
        locked.reason,
    ))
    .hint(format!("when it is looked into: flow unlock {env} --reason …"))
    .hint(format!("then: flow retry {}", cx.run_id()))
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
