//! Telling people, once.
//!
//! A notice exists because a record caused it, and is named by that record's number: it is stored before it is sent,
//! and a repetition after a crash carries the same identity. Delivery is at least once; with a stable message id that
//! never looks like twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::clock::{Clock, Timestamp};
use crate::journal::Journal;
use crate::record::{Record, Verdict};
use crate::run::{Delivery, LoadError, Notice, Run, Topic, append_sent};

/// Hands notices to whatever reaches people.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Delivers one notice. Called again with the same one after a crash or a [`DeliveryError::Later`].
    async fn deliver(&self, run: &Run, notice: &Notice) -> Result<(), DeliveryError>;
}

/// Why a notice was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Worth another attempt.
    #[error("{0}")]
    Later(String),
    /// Will never work.
    #[error("{0}")]
    Never(String),
}

/// How often a notice is tried before it is recorded as undeliverable: with the doubling pauses, about half an hour.
const ATTEMPTS: u16 = 9;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause before a notice that needs people is tried again.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The longest one delivery may take. The mail library's own limit does not cover a server that accepts and is silent.
const LIMIT: Duration = Duration::from_mins(1);

/// Tries once, while nobody drives the run, to deliver what it still has to tell, the oldest first. What went out is
/// recorded; the rest stays pending.
///
/// # Errors
/// [`LoadError`] when it cannot be recorded: it may then be sent again under the same identity.
pub async fn deliver_pending(
    journal: &dyn Journal,
    run: &mut Run,
    notifier: &dyn Notifier,
    clock: &dyn Clock,
) -> Result<Vec<DeliveryError>, LoadError> {
    let given_up = |n: &Notice| matches!(n.delivery, Delivery::Undeliverable(_));
    let pending =
        |n: &&Notice| n.delivery == Delivery::Pending || (n.topic.needs_people() && given_up(n));
    let notices: Vec<Notice> = run.notices.iter().filter(pending).cloned().collect();
    let mut left = Vec::new();
    for notice in notices {
        match notifier.deliver(run, &notice).await {
            Ok(()) => append_sent(journal, run, notice.id, clock.now()).await?,
            Err(why) => left.push(why),
        }
    }
    Ok(left)
}

/// Whether a notice says that a rollback is incomplete: people are needed at once.
fn must_be_told(run: &Run, notice: &Notice) -> bool {
    match notice.topic {
        Topic::Finished(verdict) => verdict == Verdict::RolledBackInPart,
        Topic::Parked => run.unwinding().is_some(),
        _ => false,
    }
}

type Fate = (u64, Result<(), DeliveryError>);

/// The notices of one run on their way.
pub(crate) struct Outbox {
    notifier: Option<Arc<dyn Notifier>>,
    under_way: Option<(u64, JoinHandle<Fate>)>,
    tries: BTreeMap<u64, (u16, Timestamp)>,
    /// Notices that need people: never given up on.
    grave: BTreeSet<u64>,
}

impl Outbox {
    pub(crate) fn new(notifier: Option<Arc<dyn Notifier>>) -> Self {
        Outbox {
            notifier,
            under_way: None,
            tries: BTreeMap::new(),
            grave: BTreeSet::new(),
        }
    }

    /// Starts the next delivery that is due, if none is under way.
    pub(crate) fn pump(&mut self, run: &Arc<Run>, now: Timestamp) {
        let Some(notifier) = self.notifier.clone().filter(|_| self.under_way.is_none()) else {
            return;
        };
        let due = |n: &&Notice| {
            n.delivery == Delivery::Pending
                && self.tries.get(&n.id).is_none_or(|(_, at)| *at <= now)
        };
        let Some(notice) = run.notices.iter().find(due).cloned() else {
            return;
        };
        let run = Arc::clone(run);
        let id = notice.id;
        if notice.topic.needs_people() {
            self.grave.insert(id);
        }
        let task = tokio::spawn(async move {
            let late = || {
                Err(DeliveryError::Later(format!(
                    "no answer within {} s",
                    LIMIT.as_secs()
                )))
            };
            let result = tokio::time::timeout(LIMIT, notifier.deliver(&run, &notice))
                .await
                .unwrap_or_else(|_| late());
            (notice.id, result)
        });
        self.under_way = Some((id, task));
    }

    /// Whether something is pending that a notifier could still deliver.
    pub(crate) fn is_open(&self, run: &Run) -> bool {
        self.notifier.is_some() && run.notices.iter().any(|n| n.delivery == Delivery::Pending)
    }

    /// Whether a driver that has nothing else to do stays for a notice: one on its way, one never tried, or one that must
    /// be told.
    pub(crate) fn is_owed(&self, run: &Run) -> bool {
        let pending = |n: &&Notice| n.delivery == Delivery::Pending;
        let owed = |n: &Notice| !self.tries.contains_key(&n.id) || must_be_told(run, n);
        let mut pending = run.notices.iter().filter(pending);
        self.under_way.is_some() || (self.notifier.is_some() && pending.any(owed))
    }

    /// When a failed delivery is due again.
    pub(crate) fn due_at(&self, run: &Run) -> Option<Timestamp> {
        if self.under_way.is_some() {
            return None;
        }
        let pending = run
            .notices
            .iter()
            .filter(|n| n.delivery == Delivery::Pending);
        pending
            .filter_map(|n| self.tries.get(&n.id).map(|(_, at)| *at))
            .min()
    }

    /// The end of the delivery under way; never returns when there is none.
    pub(crate) async fn delivered(&mut self) -> Fate {
        match &mut self.under_way {
            None => std::future::pending().await,
            Some((id, task)) => {
                let (id, done) = (*id, task.await);
                self.under_way = None;
                done.unwrap_or_else(|e| (id, Err(DeliveryError::Later(e.to_string()))))
            }
        }
    }

    /// What to record about a delivery that ended; nothing when it is to be tried again.
    pub(crate) fn conclude(&mut self, (notice, result): Fate, now: Timestamp) -> Option<Record> {
        let (tried, _) = self.tries.get(&notice).copied().unwrap_or((0, now));
        match result {
            Ok(()) => Some(Record::Sent { notice }),
            Err(DeliveryError::Later(why)) if tried + 1 < ATTEMPTS => {
                // Said once: what is tried for an hour would drown the run.
                if tried == 0 {
                    tracing::warn!(notice, %why, "a notice was not delivered and is tried again");
                }
                self.tries.insert(
                    notice,
                    (tried + 1, now.plus(FIRST_PAUSE * (1 << tried.min(9)))),
                );
                None
            }
            // Settings may be corrected and a mailbox emptied: whoever must act is told however late.
            Err(DeliveryError::Later(why) | DeliveryError::Never(why))
                if self.grave.contains(&notice) =>
            {
                tracing::error!(notice, %why, "people are needed and were not told; it is tried again");
                let pause = (FIRST_PAUSE * (1 << tried.min(9))).min(LONGEST_PAUSE);
                self.tries
                    .insert(notice, (tried.saturating_add(1), now.plus(pause)));
                None
            }
            Err(DeliveryError::Later(why) | DeliveryError::Never(why)) => {
                tracing::error!(notice, %why, "a notice cannot be delivered");
                let why = why.chars().take(600).collect();
                Some(Record::Undeliverable { notice, why })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_people_is_never_given_up_on_and_the_rest_is_after_some_attempts() {
        let mut outbox = Outbox::new(None);
        outbox.grave.insert(1);
        let mut now = Timestamp(0);
        let mut given_up = Vec::new();
        for _ in 0..40 {
            for notice in [1, 2] {
                let failed = match notice {
                    1 => DeliveryError::Never("535 wrong password".into()),
                    _ => DeliveryError::Later("451 later".into()),
                };
                let record = outbox.conclude((notice, Err(failed)), now);
                given_up.extend(record.map(|_| notice));
            }
            let (_, due) = outbox.tries[&1];
            assert!(due.since(now) <= LONGEST_PAUSE, "{due:?}");
            now = due;
        }
        assert!(!given_up.contains(&1), "{given_up:?}");
        assert!(given_up.contains(&2));
    }
}
