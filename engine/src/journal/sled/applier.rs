//! The thread that brings sled up to what the segments already have, and now and then syncs it.
//!
//! It works behind the acknowledgement: durability is the segment's business, and a reader waits until what it may
//! see is applied. So sled's work overlaps the next commit's sync instead of adding to it.

use std::time::Duration;

use super::checkpoint;
use super::shared::{Job, Shared};
use crate::clock::Deadline;
use crate::journal::segment;

pub(super) fn run(shared: &Shared, every: Duration) {
    let mut applied = shared.durable();
    let mut due: Option<Deadline> = None;
    loop {
        let taken = shared.take(due);
        if shared.check().is_err() {
            return;
        }
        let nothing = taken.jobs.is_empty();
        if !nothing {
            match apply(shared, taken.jobs) {
                Ok(last) => applied = last.unwrap_or(applied),
                Err(why) => {
                    shared.break_with(why);
                    return;
                }
            }
            shared.set_applied(applied);
            due = due.or_else(|| Some(Deadline::after(every)));
        }
        if taken.spare
            && let Err(e) = segment::prepare_spare(&shared.fixed)
        {
            // The writer makes one itself when it needs it, and then fails if it must.
            tracing::warn!(error = %e, "the next journal segment could not be prepared");
        }
        if due.is_some_and(|d| taken.stop || d.is_over()) {
            due = None;
            if let Err(why) = check_in(shared, applied) {
                shared.break_with(why);
                return;
            }
        }
        if taken.stop && nothing {
            return;
        }
    }
}

fn check_in(shared: &Shared, applied: u64) -> Result<(), String> {
    shared.store.checkpoint()?;
    if shared.may_write().is_err() {
        // The folder is another's: what it has synced is not for this process to say.
        return Ok(());
    }
    checkpoint::store(&shared.places.dir, applied).map_err(|e| format!("checkpoint: {e}"))
}

/// Records in one sled batch: it holds all of a batch in memory several times over.
const BATCH: usize = 512;

/// Records after which sled is waited for until it has written them: it hands what it writes to threads of its own,
/// without a limit, and 100 MB gathered where those got no processor.
const UNWRITTEN: usize = 2_048;

/// The number of the last commit among the jobs. Their memory is let go of batch by batch.
fn apply(shared: &Shared, jobs: Vec<Job>) -> Result<Option<u64>, String> {
    let last = jobs.last().map(|job| job.lsn);
    let (mut batch, mut records, mut unwritten) = (Vec::new(), 0, 0);
    for job in jobs {
        records += job.entries.len();
        batch.push(job);
        if records >= BATCH {
            apply_batch(shared, &batch)?;
            batch.clear();
            unwritten += std::mem::take(&mut records);
        }
        if unwritten >= UNWRITTEN {
            unwritten = 0;
            shared.store.write_out()?;
        }
    }
    apply_batch(shared, &batch)?;
    Ok(last)
}

fn apply_batch(shared: &Shared, jobs: &[Job]) -> Result<(), String> {
    let commits = jobs.iter().map(|job| (job.lsn, &*job.entries));
    shared.store.apply(commits)
}
