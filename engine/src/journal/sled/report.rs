//! What opening a journal found and did.

use std::fmt;
use std::path::PathBuf;

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// What was damaged and is whole again. Not empty means that a disk, a program or a person altered the journal.
    pub repaired: Vec<Repair>,
    /// The end of the segments that is no sound commit. To be shown to a person: see [`Dropped`].
    pub dropped: Option<Dropped>,
    /// Records that sled had not synced before the process or the machine stopped; nothing to worry about.
    pub replayed: u64,
    /// Bytes behind the last sound commit that were cut off, those of a commit that was written again from sled included.
    pub cut_bytes: u64,
    /// Runs in the journal, those in the archive and pruned ones included.
    pub runs: usize,
    /// Records whose chain was verified: all of the live store.
    pub records_verified: u64,
}

/// A copy that was damaged and was written anew from the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The file or folder, and what was wrong where that is known.
    pub what: String,
    /// Where its content came from.
    pub from: String,
    /// How many records were not there as they were written.
    pub records: u64,
    /// Where the damaged one was put, for a post-mortem. It may be deleted.
    pub kept: Option<PathBuf>,
}

/// A last commit that does not verify and that sled has not got. Mostly it was being written when the power went, and
/// was never acknowledged; but an acknowledged one that rotted looks just the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The segment's file name.
    pub segment: String,
    /// Where in it the commit began.
    pub offset: u64,
    /// Up to the last byte that is not zero.
    pub bytes: u64,
    /// The record it seems to have begun with, as far as that can be read: run and number.
    pub seems: Option<String>,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the last commit ({} bytes at offset {} of segment {}) is torn or damaged and was dropped",
            self.bytes, self.offset, self.segment
        )?;
        match &self.seems {
            Some(record) => write!(f, "; it seems to have begun with {record}"),
            None => Ok(()),
        }
    }
}

/// A line of the report.
pub(super) fn repaired(what: &str, from: &str, records: u64, kept: Option<PathBuf>) -> Repair {
    Repair {
        what: what.to_owned(),
        from: from.to_owned(),
        records,
        kept,
    }
}
