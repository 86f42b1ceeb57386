//! The thread that commits: all batches that wait become one frame, one write and one sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::shared::{Job, Shared};
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

pub(super) fn run(shared: &Arc<Shared>, mut wal: Wal, mut requests: mpsc::Receiver<Request>) {
    let mut before = 1;
    let mut asked_for_spare = false;
    while let Some(first) = requests.blocking_recv() {
        let group = gather(&mut requests, first, before);
        before = group.len();
        if let Err(broken) = shared.check().and_then(|()| shared.may_write()) {
            refuse(group.into_iter().map(|r| r.reply), &broken);
            continue;
        }
        commit(shared, &mut wal, group);
        if wal.wants_spare() != asked_for_spare {
            asked_for_spare = wal.wants_spare();
            if asked_for_spare {
                shared.want_spare();
            }
        }
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
        let now = Instant::now();
        if now >= *until.get_or_insert(now + PATIENCE) {
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
    heads: HashMap<RunId, Head>,
    replies: Vec<(Reply, Head)>,
}

fn commit(shared: &Arc<Shared>, wal: &mut Wal, group: Vec<Request>) {
    let mut draft = Draft::default();
    for Request { batch, reply } in group {
        if shared.catalog.runs.contains_key(&batch.run) {
            let run = batch.run;
            refuse(std::iter::once(reply), &JournalError::Sealed { run });
            continue;
        }
        let head = draft.heads.get(&batch.run).copied();
        match draft.admit(head.or_else(|| shared.head(&batch.run)), batch) {
            Ok(head) => draft.replies.push((reply, head)),
            Err(why) => refuse(std::iter::once(reply), &why),
        }
    }
    if draft.entries.is_empty() {
        answer(draft.replies);
        return;
    }
    match wal.commit(&draft.entries) {
        // A process that slept through its replacement in the middle of the commit must not act on it.
        Ok(_) if let Err(overtaken) = shared.may_write() => {
            refuse(
                draft.replies.into_iter().map(|(reply, _)| reply),
                &overtaken,
            );
        }
        Ok(lsn) => {
            shared.publish(lsn, draft.heads.into_iter());
            answer(draft.replies);
            let entries = draft.entries;
            shared.push(Job::Commit { lsn, entries });
        }
        Err(e) => {
            let broken = shared.break_with(format!("commit to the write-ahead segment: {e}"));
            refuse(draft.replies.into_iter().map(|(reply, _)| reply), &broken);
        }
    }
}

impl Draft {
    /// Checks a batch against the end of its run and adds it; a batch that is refused leaves no trace.
    fn admit(&mut self, head: Option<Head>, batch: Append) -> Result<Head, JournalError> {
        let Append {
            run,
            first_seq,
            epoch,
            bodies,
        } = batch;
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
