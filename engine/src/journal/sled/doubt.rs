//! Whether the end of the segments is the end of what was committed.
//!
//! After a kill sled is behind, so what the end of the segments lost is nowhere else. Whatever shows that something is
//! missing there, and does not show that sled has all of it, is refused.

use std::fs;

use super::checkpoint::Checkpoint;
use super::index::Index;
use super::places::Places;
use super::report::Dropped;
use crate::journal::JournalError;
use crate::journal::segment::end::{End, EndNote};
use crate::journal::segment::{self, Segment};

/// A folder that held a journal and has neither segments nor sled any more is not taken for a new one.
///
/// # Errors
/// [`JournalError::Corrupt`] naming what is left. A folder with nothing but `LOCK` and `FENCE` in it is new: that is what
/// a process leaves that was killed while it made the journal.
pub(super) fn refuse_lost(
    places: &Places,
    checkpoint: Checkpoint,
    noted: EndNote,
    index: &Index,
) -> Result<(), JournalError> {
    let gone = index.segments.is_empty() && !places.sled.join("db").exists();
    if !gone {
        return Ok(());
    }
    let filled = |dir| fs::read_dir(dir).is_ok_and(|mut items| items.next().is_some());
    // The first opening writes a 0 into it before there is a segment.
    let said = checkpoint.lsn() > 0 || checkpoint == Checkpoint::Damaged;
    let left: Vec<&str> = [
        ("END", noted != EndNote::Absent),
        ("checkpoint", said),
        ("objects", filled(&places.objects)),
        ("copies", filled(&places.copies)),
        ("archive", filled(&places.archive)),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(JournalError::Corrupt {
        place: places.dir.display().to_string(),
        why: format!(
            "its segments and sled are gone ({} is left), so every commit that was not sealed is lost; put the folder \
             back from a backup, or move it away to begin a new journal",
            left.join(", ")
        ),
    })
}

/// What the journal ended with in order, when nothing was committed since.
pub(super) fn closed_at(noted: EndNote, index: &Index) -> Option<u64> {
    let end = noted.end()?;
    (end.closed && index.last <= end.floor).then_some(end.floor)
}

/// Refuses segments whose end is missing when sled may not have all of it. `reach` is the last commit that is known of.
pub(super) fn refuse_missing_end(
    noted: EndNote,
    index: &Index,
    reach: u64,
) -> Result<(), JournalError> {
    let Some(end) = noted.end().filter(|end| !end.closed) else {
        return Ok(());
    };
    let Some((place, what)) = missing_end(&end, index, reach) else {
        return Ok(());
    };
    Err(JournalError::Corrupt {
        place,
        why: format!(
            "{what}; acknowledged records after commit {} may be missing; put the file back from a backup, or, to go on \
             without what is missing, remove the file END beside `wal`",
            index.last
        ),
    })
}

/// What of the end of the segments is missing, as the file and what about it.
pub(super) fn missing_end(end: &End, index: &Index, reach: u64) -> Option<(String, String)> {
    let named = |number: u64| format!("wal/wal-{number:08}.seg");
    let last = index.segments.last().filter(|s| number(s) >= end.segment);
    let Some(last) = last else {
        return Some((named(end.segment), "the file is gone".into()));
    };
    let place = named(number(last));
    let scan = &last.scan;
    if scan.header.is_none() {
        return Some((place, "neither copy of its header can be read".into()));
    }
    if scan.short {
        return Some((place, "the file was cut".into()));
    }
    if index.last < reach && scan.tail == 0 && !index.is_damaged() {
        return Some((place, format!("it ends before commit {reach}")));
    }
    let marked = index
        .segments
        .iter()
        .any(|s| s.scan.openings.contains(&end.opening));
    if end.opening != 0 && !marked && scan.tail == 0 && !index.is_damaged() {
        let what = "it is from before the journal was last opened";
        return Some((place, what.into()));
    }
    None
}

fn number(of: &Segment) -> u64 {
    let named = || segment::number_of(&of.path);
    of.scan.header.map(|h| h.number).or_else(named).unwrap_or(0)
}

/// What is at the end of the segments and is neither a commit nor in the `again` bytes that are about to be written
/// again from sled.
pub(super) fn dropped(noted: EndNote, index: &Index, again: usize) -> Option<Dropped> {
    let last = index.segments.last()?;
    if closed_at(noted, index).is_some() || last.scan.tail <= again {
        return None;
    }
    let begins = last.scan.tail_begins.as_ref().filter(|_| again == 0);
    Some(Dropped {
        segment: segment::path_name(&last.path),
        offset: (last.scan.end + again) as u64,
        bytes: (last.scan.tail - again) as u64,
        seems: begins.map(|e| format!("run {} record {}", e.run, e.seq)),
    })
}

/// What is wrong with the file itself, which is always written anew.
pub(super) fn about_the_file(noted: EndNote, index: &Index) -> Option<&'static str> {
    let sized = |s: &Segment| s.scan.header.is_some_and(|h| h.size.is_some());
    match noted {
        EndNote::Damaged => Some("END"),
        EndNote::Absent if index.last > 0 && index.segments.iter().any(sized) => {
            Some("END (it was missing)")
        }
        EndNote::At(end) if end.closed && end.floor < index.last => {
            Some("END (it is from an earlier moment)")
        }
        EndNote::Absent | EndNote::At(_) => None,
    }
}
