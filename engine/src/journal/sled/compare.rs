//! Whether the two copies of every record agree, and which one is right where they do not.
//!
//! A record is believed when its hash follows from its predecessor's; that is so for at most one content. Nothing is
//! written here.

use std::collections::BTreeMap;

use super::index::{Index, Slot};
use super::store::{PlacedEntry, Store};
use crate::id::{Digest, RunId};
use crate::journal::segment::{Entry, unusable};
use crate::journal::{GENESIS, Head, JournalError, chain};

/// What the comparison found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) heads: BTreeMap<RunId, Head>,
    /// How many records were hashed and fit the chain.
    pub(super) verified: u64,
    /// Records sled does not have as they were written.
    pub(super) not_in_sled: u64,
    /// Smallest frame number of those.
    pub(super) sled_lacks_from: Option<u64>,
    /// Largest frame number of the records that sled has.
    pub(super) sled_reaches: u64,
    /// sled holds something that was never written, or failed while it was read.
    pub(super) sled_is_bad: bool,
    /// Records that are in sled only.
    pub(super) not_in_segments: u64,
    /// sled's copies of the frames that the segments lack, by frame number.
    pub(super) salvage: BTreeMap<u64, Vec<PlacedEntry>>,
}

impl Verdict {
    fn only_in_sled(&mut self, kept: &PlacedEntry) -> (u64, Digest) {
        self.not_in_segments += 1;
        self.sled_reaches = self.sled_reaches.max(kept.lsn);
        let frame = self.salvage.entry(kept.lsn).or_default();
        frame.push(kept.clone());
        (kept.entry.epoch, kept.entry.hash)
    }
}

/// Compares both copies of every record, and each chain of hashes from its first record.
pub(super) fn compare(index: &Index, store: Option<&Store>) -> Result<Verdict, JournalError> {
    let mut verdict = Verdict::default();
    let mut runs: Vec<RunId> = index.runs.keys().cloned().collect();
    match store.map(Store::runs) {
        Some(Ok((more, strange))) => {
            runs.extend(more);
            verdict.sled_is_bad = strange;
        }
        Some(Err(_)) => verdict.sled_is_bad = true,
        None => {}
    }
    runs.sort();
    runs.dedup();
    for run in runs {
        let slots = index.runs.get(&run).map_or(&[][..], Vec::as_slice);
        compare_run(&mut verdict, index, store, &run, slots)?;
    }
    Ok(verdict)
}

fn compare_run(
    verdict: &mut Verdict,
    index: &Index,
    store: Option<&Store>,
    run: &RunId,
    slots: &[Slot],
) -> Result<(), JournalError> {
    let kept = match store.map(|s| s.run(run)) {
        Some(Ok(kept)) => kept,
        Some(Err(_)) => {
            verdict.sled_is_bad = true;
            Vec::new()
        }
        None => Vec::new(),
    };
    let (mut slots, mut kept) = (slots.iter().peekable(), kept.into_iter().peekable());
    let mut head: Option<Head> = None;
    for seq in 0.. {
        while slots.next_if(|s| s.seq < seq).is_some() {}
        while kept.next_if(|(s, _)| *s < seq).is_some() {}
        if slots.peek().is_none() && kept.peek().is_none() {
            break;
        }
        let slot = slots.next_if(|s| s.seq == seq);
        let there = kept.next_if(|(s, _)| *s == seq);
        let previous = head.map_or(GENESIS, |h| h.hash);
        let copies = Copies {
            run,
            seq,
            previous,
            slot,
            in_sled: there.is_some(),
            kept: there.and_then(|(_, kept)| kept),
        };
        let (epoch, hash) = copies.judge(verdict, index)?;
        head = Some(Head {
            seq,
            epoch: head.map_or(epoch, |h| h.epoch.max(epoch)),
            hash,
        });
    }
    verdict.heads.extend(head.map(|h| (run.clone(), h)));
    Ok(())
}

/// The two copies of one record.
struct Copies<'a> {
    run: &'a RunId,
    seq: u64,
    previous: Digest,
    slot: Option<&'a Slot>,
    in_sled: bool,
    kept: Option<PlacedEntry>,
}

impl Copies<'_> {
    fn judge(self, v: &mut Verdict, index: &Index) -> Result<(u64, Digest), JournalError> {
        v.verified += 1;
        let sled_good = self.kept.as_ref().is_some_and(|k| self.follows(&k.entry));
        let segment_good = match (self.slot, &self.kept) {
            (None, _) => false,
            (Some(slot), Some(kept)) if sled_good && slot.hash == kept.entry.hash => true,
            (Some(slot), _) => self.load_and_check(index, slot)?,
        };
        match (&self.kept, self.slot) {
            (Some(_), Some(slot)) if sled_good && segment_good => self.both(v, slot),
            (Some(kept), None) if sled_good => Ok(v.only_in_sled(kept)),
            (_, Some(slot)) if segment_good => Ok(self.only_segment(v, slot)),
            (Some(_), Some(_)) if sled_good => {
                Err(self.corrupt("the segment's copy was altered, checksum included"))
            }
            _ => Err(self.corrupt("neither copy of the record is what was written")),
        }
    }

    fn both(&self, v: &mut Verdict, slot: &Slot) -> Result<(u64, Digest), JournalError> {
        let kept = self.kept.as_ref().expect("both copies are there");
        if kept.entry.hash != slot.hash {
            return Err(self.corrupt("two valid copies differ: one is from another history"));
        }
        if kept.lsn != slot.lsn {
            v.sled_is_bad = true;
        }
        // Its place is not part of the chain: sled's own word for it proves nothing.
        v.sled_reaches = v.sled_reaches.max(slot.lsn);
        Ok((slot.epoch, slot.hash))
    }

    fn only_segment(&self, v: &mut Verdict, slot: &Slot) -> (u64, Digest) {
        v.not_in_sled += 1;
        v.sled_is_bad |= self.in_sled;
        let from = v.sled_lacks_from.map_or(slot.lsn, |l| l.min(slot.lsn));
        v.sled_lacks_from = Some(from);
        (slot.epoch, slot.hash)
    }

    fn follows(&self, entry: &Entry) -> bool {
        let hash = chain(&self.previous, self.run, self.seq, entry.epoch, &entry.body);
        hash == entry.hash
    }

    fn load_and_check(&self, index: &Index, slot: &Slot) -> Result<bool, JournalError> {
        match index.load(self.run, slot) {
            Ok(entry) => Ok(self.follows(&entry)),
            Err(e) => Err(unusable(index.path_of(slot), &e)),
        }
    }

    fn corrupt(&self, why: &str) -> JournalError {
        JournalError::Corrupt {
            place: format!("run {} record {}", self.run, self.seq),
            why: why.to_owned(),
        }
    }
}
