//! Committing: all batches that wait become one frame, one write and one sync.
//!
//! A thread does that for many callers. A caller that is alone commits itself while the disk is quick: handing a batch
//! to a thread and being woken by it again takes two thirds as long as a sync of 130 µs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::shared::{Job, Shared};
use crate::clock::{Deadline, Stopwatch};
use crate::id::RunId;
use crate::journal::segment::{Entry, Wal, frame_cost};
use crate::journal::{Append, GENESIS, Head, JournalError, chain};

pub(super) type Reply = oneshot::Sender<Result<Head, JournalError>>;

/// A batch whose caller waits.
pub(super) struct Request {
    pub(super) batch: Append,
    pub(super) reply: Reply,
}

/// A frame does not grow beyond this unless a single batch is larger, so that nobody waits for everybody.
const FRAME_ENOUGH: usize = 1 << 20;

/// Callers that were answered together tend to come back together: the writer gives them this long, much less than
/// a sync takes, so that 100 writers share commits of 100 and not of 1 and 99 in turn.
const PATIENCE: Duration = Duration::from_micros(150);

/// A caller may be held up by its own sync for so long and no longer: it may be a thread that others need, too.
const QUICK: Duration = Duration::from_millis(2);

/// The end of the log, and who may write there.
pub(super) struct Committer {
    end: Mutex<End>,
    /// Batches on their way to the thread.
    queued: AtomicUsize,
}

struct End {
    wal: Wal,
    /// Batches in the last commit.
    before: usize,
    /// How long commits take lately.
    took: Duration,
    asked_for_spare: bool,
}

impl Committer {
    pub(super) fn new(wal: Wal) -> Committer {
        Committer {
            end: Mutex::new(End {
                wal,
                before: 1,
                // Not known to be quick before it was seen.
                took: QUICK,
                asked_for_spare: false,
            }),
            queued: AtomicUsize::new(0),
        }
    }

    /// Commits at once when nobody else wants to and the disk is quick; else gives the batch back.
    pub(super) fn alone(
        &self,
        shared: &Shared,
        batch: Append,
    ) -> Result<Result<Head, JournalError>, Append> {
        if self.queued.load(Ordering::Acquire) == 0 {
            match self.end.try_lock() {
                Ok(mut end) if end.before == 1 && end.took < QUICK => {
                    return Ok(end.commit_one(shared, batch));
                }
                Err(TryLockError::Poisoned(_)) => return Ok(Err(panicked(shared))),
                Ok(_) | Err(TryLockError::WouldBlock) => {}
            }
        }
        Err(batch)
    }

    /// A batch is about to be handed to the thread.
    pub(super) fn queues(&self) {
        self.queued.fetch_add(1, Ordering::AcqRel);
    }

    /// Commits what is queued until nobody can queue any more.
    pub(super) fn run(&self, shared: &Shared, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let Ok(mut end) = self.end.lock() else {
                refuse(std::iter::once(first.reply), &panicked(shared));
                continue;
            };
            let group = gather(&mut requests, first, end.before);
            self.queued.fetch_sub(group.len(), Ordering::AcqRel);
            end.commit_all(shared, group);
        }
    }
}

/// What a commit that panicked left in the file is not known.
fn panicked(shared: &Shared) -> JournalError {
    shared.break_with("a commit panicked".into())
}

/// Not broken, and not another's by now.
fn open_to_writes(shared: &Shared) -> Result<(), JournalError> {
    shared.check().and_then(|()| shared.may_write())
}

impl End {
    /// Commits a batch for the caller that waits right here.
    fn commit_one(&mut self, shared: &Shared, batch: Append) -> Result<Head, JournalError> {
        self.before = 1;
        open_to_writes(shared)?;
        let mut draft = Draft::default();
        let head = draft.admit(shared, batch)?;
        self.commit(shared, draft)?;
        Ok(head)
    }

    /// Commits what callers have handed over, and answers each.
    fn commit_all(&mut self, shared: &Shared, group: Vec<Request>) {
        self.before = group.len();
        if let Err(why) = open_to_writes(shared) {
            refuse(group.into_iter().map(|r| r.reply), &why);
            return;
        }
        let mut draft = Draft::default();
        let mut admitted = Vec::with_capacity(group.len());
        for Request { batch, reply } in group {
            match draft.admit(shared, batch) {
                Ok(head) => admitted.push((reply, head)),
                Err(why) => refuse(std::iter::once(reply), &why),
            }
        }
        match self.commit(shared, draft) {
            Ok(()) => answer(admitted),
            Err(why) => refuse(admitted.into_iter().map(|(reply, _)| reply), &why),
        }
    }

    /// One frame, one write, one sync. On an error nothing of the draft may be acted on.
    fn commit(&mut self, shared: &Shared, draft: Draft) -> Result<(), JournalError> {
        if draft.entries.is_empty() {
            return Ok(());
        }
        let start = Stopwatch::start();
        let lsn = self
            .wal
            .commit(&draft.entries)
            .map_err(|e| shared.break_with(format!("commit to the write-ahead segment: {e}")))?;
        // A process that slept through its replacement in the middle of the commit must not act on it.
        if let Err(why) = shared.may_write() {
            // It is written and not counted: what was committed after it would not fit.
            shared.break_with(format!(
                "a commit was written that must not be acted on: {why}"
            ));
            return Err(why);
        }
        self.took = (self.took * 3 + start.elapsed()) / 4;
        let Draft { entries, heads } = draft;
        shared.publish(lsn, heads);
        shared.push(Job { lsn, entries });
        if self.wal.wants_spare() != self.asked_for_spare {
            self.asked_for_spare = self.wal.wants_spare();
            if self.asked_for_spare {
                shared.want_spare();
            }
        }
        Ok(())
    }
}

fn gather(requests: &mut mpsc::Receiver<Request>, first: Request, expected: usize) -> Vec<Request> {
    let cost = |r: &Request| -> usize { r.batch.bodies.iter().map(|b| frame_cost(b)).sum() };
    let mut size = cost(&first);
    let mut group = vec![first];
    let mut until = None;
    while size < FRAME_ENOUGH {
        if let Ok(next) = requests.try_recv() {
            size += cost(&next);
            group.push(next);
            continue;
        }
        if group.len() >= expected {
            break;
        }
        if until
            .get_or_insert_with(|| Deadline::after(PATIENCE))
            .is_over()
        {
            break;
        }
        std::thread::yield_now();
    }
    group
}

/// What a group adds to the journal if its commit succeeds.
#[derive(Default)]
struct Draft {
    entries: Vec<Entry>,
    heads: BTreeMap<RunId, Head>,
}

impl Draft {
    /// Checks a batch against the end of its run and adds it; a batch that is refused leaves no trace.
    fn admit(&mut self, shared: &Shared, batch: Append) -> Result<Head, JournalError> {
        let Append {
            run,
            first_seq,
            epoch,
            bodies,
        } = batch;
        if shared.catalog.runs.contains_key(&run) {
            return Err(JournalError::Sealed { run });
        }
        let head = self.heads.get(&run).copied();
        let head = head.or_else(|| shared.head(&run));
        if let Some(seen) = head.map(|h| h.epoch).filter(|seen| epoch < *seen) {
            let ours = epoch;
            return Err(JournalError::Fenced { run, ours, seen });
        }
        let next = head.map_or(0, |h| h.seq + 1);
        if first_seq != next {
            let wanted = first_seq;
            return Err(JournalError::Conflict { run, wanted, next });
        }
        if bodies.is_empty() {
            return Err(JournalError::Empty { run });
        }
        let mut end = head;
        self.entries.reserve(bodies.len());
        for (seq, body) in (next..).zip(bodies) {
            let previous = end.map_or(GENESIS, |h| h.hash);
            let hash = chain(&previous, &run, seq, epoch, &body);
            end = Some(Head { seq, epoch, hash });
            self.entries.push(Entry {
                run: run.clone(),
                seq,
                epoch,
                hash,
                body,
            });
        }
        let end = end.expect("the batch has at least one body");
        self.heads.insert(run, end);
        Ok(end)
    }
}

// A caller that no longer waits does not get an answer, and its batch is as good as any.
fn answer(replies: Vec<(Reply, Head)>) {
    for (reply, head) in replies {
        let _ = reply.send(Ok(head));
    }
}

fn refuse(replies: impl Iterator<Item = Reply>, why: &JournalError) {
    for reply in replies {
        let _ = reply.send(Err(why.clone()));
    }
}
