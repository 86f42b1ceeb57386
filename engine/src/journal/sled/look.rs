//! Looking at both copies; nothing is mended here.

use std::collections::BTreeSet;

use super::OpenOptions;
use super::checkpoint::{self, Checkpoint};
use super::compare::{Verdict, compare};
use super::doubt;
use super::index::Index;
use super::places::Places;
use super::store::{OpenFailure, Store};
use crate::journal::JournalError;
use crate::journal::segment::end::{self, EndNote};
use crate::journal::segment::{self, Entry, frame_len, unusable};

/// Everything that was looked at.
pub(super) struct Survey {
    pub(super) checkpoint: Checkpoint,
    /// How far the segments reach at least.
    pub(super) noted: EndNote,
    pub(super) index: Index,
    pub(super) store: Option<Store>,
    /// Why there is no store though there should be.
    pub(super) no_store: Option<String>,
    pub(super) verdict: Verdict,
    /// Frame numbers that must be in the segments and are not; all of them are in the verdict's salvage.
    pub(super) lost_frames: BTreeSet<u64>,
}

impl Survey {
    /// Bytes of the frames behind the last sound one that sled has.
    pub(super) fn again(&self) -> usize {
        let lost = self.lost_frames.range(self.index.last + 1..);
        lost.filter_map(|lsn| self.verdict.salvage.get(lsn))
            .map(|frame| frame_len(frame.iter().map(|k| &k.entry)))
            .sum()
    }
}

/// Compares the copies and changes nothing.
pub(super) fn look(places: &Places, options: &OpenOptions) -> Result<Survey, JournalError> {
    let checkpoint = checkpoint::load(&places.dir).map_err(|e| unusable(&places.dir, &e))?;
    segment::discard_leftovers(&places.wal).map_err(|e| unusable(&places.wal, &e))?;
    let noted = end::load(&places.dir).map_err(|e| unusable(&places.dir, &e))?;
    let index = Index::build(&places.wal).map_err(|e| unusable(&places.wal, &e))?;
    doubt::refuse_lost(places, checkpoint, noted, &index)?;
    index.sync().map_err(|e| unusable(&places.wal, &e))?;
    let (store, no_store) = open_store(places, options, checkpoint, &index)?;
    let verdict = compare(&index, store.as_ref())?;
    let floor = noted.end().map_or(0, |end| end.floor);
    let reach = |v: &Verdict| v.sled_reaches.max(checkpoint.lsn()).max(floor);
    doubt::refuse_missing_end(noted, &index, reach(&verdict))?;
    // One more than sled can have: the first that is nowhere is refused below, however far somebody claims to reach.
    let most = verdict.salvage.len() + 1;
    let beyond = (index.last + 1..=reach(&verdict)).take(most);
    let lost_frames: BTreeSet<u64> = index.missing.iter().copied().chain(beyond).collect();
    all_salvaged(&index, &verdict, &lost_frames)?;
    Ok(Survey {
        checkpoint,
        noted,
        index,
        store,
        no_store,
        verdict,
        lost_frames,
    })
}

type StoreOrReason = (Option<Store>, Option<String>);

/// A missing database is created only when the journal is new: otherwise it was lost, and nothing is changed before
/// it is known that it can be rebuilt.
fn open_store(
    places: &Places,
    options: &OpenOptions,
    checkpoint: Checkpoint,
    index: &Index,
) -> Result<StoreOrReason, JournalError> {
    let new = checkpoint == Checkpoint::Absent && index.last == 0;
    if !new && !places.sled.exists() {
        return Ok((None, Some("it is missing".into())));
    }
    match Store::open(&places.sled, options.cache_bytes) {
        Ok(store) => Ok((Some(store), None)),
        Err(OpenFailure::Damaged(why)) => Ok((None, Some(why))),
        Err(OpenFailure::Refused(why)) => Err(why),
    }
}

/// Every record of every frame that the segments lost must be in sled, or acknowledged records are gone.
fn all_salvaged(
    index: &Index,
    verdict: &Verdict,
    lost: &BTreeSet<u64>,
) -> Result<(), JournalError> {
    for lsn in lost {
        let found = verdict.salvage.get(lsn).map_or(&[][..], Vec::as_slice);
        let whole = found
            .first()
            .is_some_and(|k| found.len() == k.count as usize);
        if whole {
            continue;
        }
        let mut suspects = index.segments.iter().flat_map(|s| &s.scan.suspects);
        let named = suspects.find(|e| is_next(verdict, e)).map_or_else(
            || format!("commit {lsn} in {}", segment_before(index, *lsn)),
            |e| format!("run {} record {}", e.run, e.seq),
        );
        return Err(JournalError::Corrupt {
            place: named,
            why: format!("commit {lsn} is damaged in the segments and not whole in sled"),
        });
    }
    Ok(())
}

fn is_next(verdict: &Verdict, e: &Entry) -> bool {
    verdict.heads.get(&e.run).map_or(0, |h| h.seq + 1) == e.seq
}

fn segment_before(index: &Index, lsn: u64) -> String {
    index.segment_for(lsn).map_or_else(
        || "wal".to_owned(),
        |i| index.segments[i].path.display().to_string(),
    )
}
