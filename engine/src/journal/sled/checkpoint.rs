//! How far sled is known to be on disk.
//!
//! A record of a frame up to this number that sled lacks was lost; one beyond it had merely not been synced.

use std::fs;
use std::io;
use std::path::Path;

use crate::journal::files;
use crate::journal::segment::Reader;

const MAGIC: [u8; 8] = *b"FLOWCKP1";

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// There is none: the journal is new.
    Absent,
    /// It cannot be read: taken for 0, which only means comparing more.
    Damaged,
    /// The number of the last frame sled has on disk.
    At(u64),
}

impl Checkpoint {
    pub(super) fn lsn(self) -> u64 {
        match self {
            Checkpoint::At(lsn) => lsn,
            Checkpoint::Absent | Checkpoint::Damaged => 0,
        }
    }
}

pub(super) fn load(dir: &Path) -> io::Result<Checkpoint> {
    match fs::read(dir.join("checkpoint")) {
        Ok(bytes) => Ok(decode(&bytes).map_or(Checkpoint::Damaged, Checkpoint::At)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Checkpoint::Absent),
        Err(e) => Err(e),
    }
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let mut r = Reader(bytes);
    if r.array()? != MAGIC {
        return None;
    }
    let lsn = r.u64()?;
    let crc = r.u32()?;
    (crc == crc32fast::hash(&bytes[..16]) && r.0.is_empty()).then_some(lsn)
}

/// Writes it durably. sled must have been synced before.
pub(super) fn store(dir: &Path, lsn: u64) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&lsn.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    files::replace(&dir.join("checkpoint"), &dir.join("checkpoint.tmp"), &bytes)
}
