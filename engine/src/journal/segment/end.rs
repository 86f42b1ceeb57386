//! The file that says how far the segments reach at least, so that a missing end of them shows.
//!
//! A log ends where nothing follows, so a log whose end was lost looks like one that never had it. `END` is written, and
//! synced, whenever the journal is opened (before the first commit), whenever a segment is started (before the first
//! commit in it) and when the journal is closed in order. What it says is a lower bound: the segments may hold more, and
//! hold less only when something was taken from them. After an orderly end it is exact.
//!
//! Whoever knows that something is missing for good and wants to go on removes the file: the journal then opens with
//! what is there, and says so.

use std::fs;
use std::io;
use std::path::Path;

use super::Reader;
use crate::journal::files;

const MAGIC: [u8; 8] = *b"FLOWEND1";
const NAME: &str = "END";

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Number of the newest segment.
    pub(crate) segment: u64,
    /// Number of a commit that was acknowledged: the newest one when the file was written.
    pub(crate) floor: u64,
    /// The mark that this opening left in the segments; 0 when it left none.
    pub(crate) opening: u64,
    /// Nothing was committed after `floor`, and sled has all of it.
    pub(crate) closed: bool,
}

/// The file as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndNote {
    /// There is none: the journal is new or was written by a version that had none, or somebody removed it.
    Absent,
    /// It cannot be read.
    Damaged,
    /// It says this.
    At(End),
}

impl EndNote {
    /// What it says, if anything.
    pub(crate) fn end(self) -> Option<End> {
        match self {
            EndNote::At(end) => Some(end),
            EndNote::Absent | EndNote::Damaged => None,
        }
    }
}

/// Reads it from the journal's folder.
pub(crate) fn load(dir: &Path) -> io::Result<EndNote> {
    match fs::read(dir.join(NAME)) {
        Ok(bytes) => Ok(decode(&bytes).map_or(EndNote::Damaged, EndNote::At)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(EndNote::Absent),
        Err(e) => Err(e),
    }
}

/// Writes it, durably.
pub(crate) fn store(dir: &Path, end: End) -> io::Result<()> {
    files::replace(&dir.join(NAME), &dir.join("END.tmp"), &encode(end))
}

/// Notes that the journal ends at a commit, which sled must have on disk. Nothing may be committed after that without
/// another [`store`].
pub(crate) fn close(dir: &Path, floor: u64) -> io::Result<()> {
    match load(dir)?.end() {
        Some(end) => {
            let closed = true;
            store(
                dir,
                End {
                    floor,
                    closed,
                    ..end
                },
            )
        }
        None => Ok(()),
    }
}

/// Takes back that this opening left a mark: a segment that is written anew does not have it.
pub(crate) fn forget_opening(dir: &Path) -> io::Result<()> {
    match load(dir)?.end() {
        Some(end) if end.opening != 0 => store(dir, End { opening: 0, ..end }),
        _ => Ok(()),
    }
}

pub(super) fn encode(end: End) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for number in [end.segment, end.floor, end.opening] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(end.closed.into());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<End> {
    let mut r = Reader(bytes);
    if r.array()? != MAGIC {
        return None;
    }
    let end = End {
        segment: r.u64()?,
        floor: r.u64()?,
        opening: r.u64()?,
        closed: match r.array()? {
            [0] => false,
            [1] => true,
            _ => return None,
        },
    };
    let crc = r.u32()?;
    (crc == crc32fast::hash(&bytes[..33]) && r.0.is_empty()).then_some(end)
}
