//! What the segments hold, run by run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::id::{Digest, RunId};
use crate::journal::segment::{self, Entry, FrameAt, Segment, decode_payload};

/// Bytes of a record before its body, the run's name not counted: the name's length, seq, epoch, hash, body length.
const RECORD_FIXED: usize = 1 + 8 + 8 + 32 + 2;

/// A record in a segment, without its body.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) seq: u64,
    pub(super) epoch: u64,
    pub(super) hash: Digest,
    pub(super) lsn: u64,
    segment: usize,
    offset: u64,
    len: usize,
}

/// Where each record lies in the segments, in memory.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) segments: Vec<Segment>,
    /// Smallest and largest frame number of each segment, where it has sound frames.
    pub(super) spans: Vec<Option<(u64, u64)>>,
    pub(super) runs: BTreeMap<RunId, Vec<Slot>>,
    /// Frame numbers below [`last`](Index::last) that are in no segment.
    pub(super) missing: BTreeSet<u64>,
    /// Number of the last sound frame; 0 when there is none.
    pub(super) last: u64,
}

impl Index {
    /// Reads every segment: about 50 bytes of memory a record, the bodies stay on disk.
    pub(super) fn build(dir: &Path) -> io::Result<Index> {
        let mut index = Index::default();
        let segments = segment::list(dir, |found| index.add(&found))?;
        index.spans.resize(segments.len(), None);
        index.segments = segments;
        Ok(index)
    }

    fn add(&mut self, found: &FrameAt<'_>) {
        if found.lsn <= self.last {
            // A second copy of a segment, put there by hand: the first one counts.
            return;
        }
        self.missing.extend(self.last + 1..found.lsn);
        self.last = found.lsn;
        if self.spans.len() <= found.segment {
            self.spans.resize(found.segment + 1, None);
        }
        let span = &mut self.spans[found.segment];
        *span = Some((span.map_or(found.lsn, |s| s.0), found.lsn));
        let mut at = 4;
        for Entry {
            run,
            seq,
            epoch,
            hash,
            body,
        } in decode_payload(found.payload).0
        {
            at += RECORD_FIXED + run.as_str().len();
            let slot = Slot {
                seq,
                epoch,
                hash,
                lsn: found.lsn,
                segment: found.segment,
                offset: found.offset + at as u64,
                len: body.len(),
            };
            at += body.len();
            self.runs.entry(run).or_default().push(slot);
        }
    }

    /// Makes durable what was read. A process killed between the write of a frame and its sync leaves one that is there
    /// for everybody until the power goes; only the last segment can have it.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.segments.last() {
            Some(last) => File::open(&last.path)?.sync_data(),
            None => Ok(()),
        }
    }

    /// The file a slot is in.
    pub(super) fn path_of(&self, slot: &Slot) -> &Path {
        &self.segments[slot.segment].path
    }

    /// The record a slot stands for.
    pub(super) fn load(&self, run: &RunId, slot: &Slot) -> io::Result<Entry> {
        Ok(Entry {
            run: run.clone(),
            seq: slot.seq,
            epoch: slot.epoch,
            hash: slot.hash,
            body: segment::read_at(self.path_of(slot), slot.offset, slot.len)?,
        })
    }

    /// All records of a run, in the order in which they were written. Each file is opened once.
    pub(super) fn load_all(&self, run: &RunId) -> io::Result<Vec<Entry>> {
        let mut open: Option<(usize, File)> = None;
        let mut entries = Vec::new();
        for slot in self.runs.get(run).map_or(&[][..], Vec::as_slice) {
            let file = match open.take() {
                Some((segment, file)) if segment == slot.segment => file,
                _ => File::open(self.path_of(slot))?,
            };
            let mut body = vec![0; slot.len];
            file.read_exact_at(&mut body, slot.offset)?;
            open = Some((slot.segment, file));
            entries.push(Entry {
                run: run.clone(),
                seq: slot.seq,
                epoch: slot.epoch,
                hash: slot.hash,
                body,
            });
        }
        Ok(entries)
    }

    /// A segment does not look as the writer left it, its torn end apart.
    pub(super) fn is_damaged(&self) -> bool {
        !self.missing.is_empty() || (0..self.segments.len()).any(|i| self.segment_is_damaged(i))
    }

    pub(super) fn segment_is_damaged(&self, index: usize) -> bool {
        let scan = &self.segments[index].scan;
        let last = index + 1 == self.segments.len();
        !scan.header_sound || scan.short || !scan.damaged.is_empty() || (scan.tail > 0 && !last)
    }

    /// Bytes behind the last frame of the last segment that are no frame.
    pub(super) fn torn(&self) -> usize {
        self.segments.last().map_or(0, |s| s.scan.tail)
    }
}

impl Index {
    /// The segment a lost frame belongs to: the last one with a smaller frame, else the first.
    pub(super) fn segment_for(&self, lsn: u64) -> Option<usize> {
        let below = |span: &Option<(u64, u64)>| span.is_some_and(|(first, _)| first < lsn);
        let last = self.spans.iter().rposition(below);
        last.or((!self.segments.is_empty()).then_some(0))
    }
}
