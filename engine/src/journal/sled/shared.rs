//! What the callers, the writer and the applier share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::lock::Lock;
use super::places::Places;
use super::store::Store;
use crate::clock::Deadline;
use crate::id::RunId;
use crate::journal::archive::Catalog;
use crate::journal::segment::{Entry, Layout};
use crate::journal::{Archived, Head, JournalError};

/// A commit that sled has not got yet.
pub(super) struct Job {
    pub(super) lsn: u64,
    pub(super) entries: Vec<Entry>,
}

#[derive(Default)]
struct Work {
    jobs: Vec<Job>,
    /// Records in them.
    records: usize,
    /// Number of the last commit that sled has.
    applied: u64,
    /// Somebody waits for a commit to be applied.
    wanted: bool,
    /// A spare segment should be made.
    spare: bool,
    stop: bool,
}

/// Taken from the queue by the applier.
pub(super) struct Haul {
    pub(super) jobs: Vec<Job>,
    pub(super) spare: bool,
    pub(super) stop: bool,
}

pub(super) struct Shared {
    pub(super) places: Places,
    pub(super) fixed: Layout,
    pub(super) store: Store,
    /// Runs that were put away; only a journal that nobody uses changes it.
    pub(super) catalog: Catalog,
    heads: Mutex<BTreeMap<RunId, Head>>,
    /// Number of the last commit that was synced.
    durable: AtomicU64,
    broken: OnceLock<String>,
    work: Mutex<Work>,
    to_do: Condvar,
    applied: Condvar,
    /// Last, so that it is let go of when everything else is closed.
    lock: Lock,
}

/// How long commits gather before they are applied when nobody waits for them: one sled batch for many commits. Each
/// batch makes sled write to the disk that commits sync to: gathering for 5 ms cost a lone run a tenth of its rate.
const GATHER: Duration = Duration::from_millis(100);
/// Records that are enough not to wait for more: about 2 MB of memory. Fewer, and sled takes the processor from the runs
/// that make them: 100 runs at once made 90,000 steps a second with 512 and 140,000 with this (docs/performance.md).
const ENOUGH: usize = 8_192;

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        places: Places,
        fixed: Layout,
        store: Store,
        catalog: Catalog,
        heads: BTreeMap<RunId, Head>,
        last: u64,
        lock: Lock,
    ) -> Shared {
        Shared {
            places,
            fixed,
            store,
            catalog,
            heads: Mutex::new(heads),
            durable: AtomicU64::new(last),
            broken: OnceLock::new(),
            work: Mutex::new(Work {
                applied: last,
                ..Work::default()
            }),
            to_do: Condvar::new(),
            applied: Condvar::new(),
            lock,
        }
    }

    /// The database and the lock, for exchanging the one while holding the other.
    pub(super) fn into_store(self) -> (Store, Lock) {
        (self.store, self.lock)
    }

    /// From here on every call fails; only the first reason is kept.
    pub(super) fn break_with(&self, why: String) -> JournalError {
        tracing::error!(%why, "the journal is broken, the process must end");
        let why = self.broken.get_or_init(|| why).clone();
        let _work = hold(&self.work);
        self.applied.notify_all();
        self.to_do.notify_all();
        JournalError::Broken(why)
    }

    pub(super) fn check(&self) -> Result<(), JournalError> {
        match self.broken.get() {
            Some(why) => Err(JournalError::Broken(why.clone())),
            None => Ok(()),
        }
    }

    /// Whether this opening of the journal may still write.
    pub(super) fn may_write(&self) -> Result<(), JournalError> {
        self.lock.check()
    }

    pub(super) fn head(&self, run: &RunId) -> Option<Head> {
        let filed = self.catalog.runs.get(run).map(|filed| filed.head);
        filed.or_else(|| hold(&self.heads).get(run).copied())
    }

    /// The runs that can be read: the live ones and those in the archive.
    pub(super) fn runs(&self) -> Vec<RunId> {
        let filed = self.catalog.runs.iter();
        let sealed = filed.filter(|(_, filed)| filed.place.is_some());
        let mut runs: Vec<RunId> = hold(&self.heads).keys().cloned().collect();
        runs.retain(|run| !self.catalog.runs.contains_key(run));
        runs.extend(sealed.map(|(run, _)| run.clone()));
        runs.sort();
        runs
    }

    pub(super) fn archived(&self) -> Vec<Archived> {
        self.catalog.archived()
    }

    pub(super) fn is_live(&self, run: &RunId) -> bool {
        hold(&self.heads).contains_key(run)
    }

    /// The runs that are in the live store, put away or not.
    pub(super) fn live(&self) -> BTreeMap<RunId, Head> {
        hold(&self.heads).clone()
    }

    /// Makes a synced commit known; readers that start after this see it.
    pub(super) fn publish(&self, lsn: u64, heads: BTreeMap<RunId, Head>) {
        let mut all = hold(&self.heads);
        all.extend(heads);
        self.durable.store(lsn, Ordering::Release);
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn push(&self, job: Job) {
        let mut work = hold(&self.work);
        let (first, before) = (work.jobs.is_empty(), work.records);
        work.records += job.entries.len();
        work.jobs.push(job);
        if first || (before < ENOUGH && work.records >= ENOUGH) {
            self.to_do.notify_one();
        }
    }

    pub(super) fn want_spare(&self) {
        let mut work = hold(&self.work);
        work.spare = true;
        self.to_do.notify_one();
    }

    pub(super) fn stop(&self) {
        hold(&self.work).stop = true;
        self.to_do.notify_one();
    }

    /// Waits for work, at the longest until `until`.
    pub(super) fn take(&self, until: Option<Deadline>) -> Haul {
        let mut work = hold(&self.work);
        while work.jobs.is_empty() && !work.stop && !work.spare {
            match until.map(Deadline::left) {
                Some(Duration::ZERO) => break,
                Some(left) => work = wait(&self.to_do, work, left),
                None => {
                    work = self
                        .to_do
                        .wait(work)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        let gathered = Deadline::after(GATHER);
        while !work.jobs.is_empty() && work.records < ENOUGH && !work.wanted && !work.stop {
            let left = gathered.left();
            if left.is_zero() {
                break;
            }
            work = wait(&self.to_do, work, left);
        }
        work.wanted = false;
        work.records = 0;
        Haul {
            jobs: std::mem::take(&mut work.jobs),
            spare: std::mem::take(&mut work.spare),
            stop: work.stop,
        }
    }

    pub(super) fn set_applied(&self, lsn: u64) {
        hold(&self.work).applied = lsn;
        self.applied.notify_all();
    }

    /// Returns when sled has everything that was durable when this was called. Blocks.
    pub(super) fn wait_applied(&self) -> Result<(), JournalError> {
        let lsn = self.durable();
        let mut work = hold(&self.work);
        while work.applied < lsn {
            self.check()?;
            work.wanted = true;
            self.to_do.notify_one();
            work = wait(&self.applied, work, Duration::from_millis(100));
        }
        self.check()
    }
}

fn wait<'a, T>(signal: &Condvar, guard: MutexGuard<'a, T>, for_: Duration) -> MutexGuard<'a, T> {
    signal
        .wait_timeout(guard, for_)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}
