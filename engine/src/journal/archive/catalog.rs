//! The list of all sealed and pruned runs: what makes history listable without reading it.
//!
//! ```text
//! "FLOWCAT1" last:u64 digest[32] count:u32 entry* crc:u32
//! entry      run_len:u8 run head file:u64 offset:u64 len:u32 summary_len:u32 summary      file 0: pruned
//! ```
//!
//! It is written as a whole, twice (`catalog`, `catalog.copy`): one damaged copy costs nothing. When both are lost it
//! is rebuilt from the archive files by `flow journal repair`; the lines of pruned runs are then lost.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{put_run, take_run};
use crate::id::{Digest, RunId};
use crate::journal::segment::{Reader, unusable};
use crate::journal::{Archived, GENESIS, Head, JournalError, files};

const MAGIC: [u8; 8] = *b"FLOWCAT1";

/// Where a run lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: u64,
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// What is known of a run that was put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogEntry {
    pub(crate) head: Head,
    pub(crate) summary: Box<[u8]>,
    /// Nothing when it was pruned.
    pub(crate) place: Option<Place>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Catalog {
    /// Number of the last archive file.
    pub(crate) last: u64,
    /// SHA-256 of the archive's bytes.
    pub(crate) digest: Digest,
    pub(crate) runs: BTreeMap<RunId, CatalogEntry>,
}

impl Default for Catalog {
    fn default() -> Self {
        Catalog {
            last: 0,
            digest: GENESIS,
            runs: BTreeMap::new(),
        }
    }
}

impl Catalog {
    /// The catalog, and which copy of it could not be used.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] when there are archive files and neither copy is sound.
    pub(crate) fn load(dir: &Path) -> Result<(Catalog, Option<&'static str>), JournalError> {
        let io = |e: io::Error| unusable(dir, &e);
        let one = load_one(&dir.join("catalog")).map_err(io)?;
        if let Copy::Sound(sound) = one {
            return Ok((sound, None));
        }
        let two = load_one(&dir.join("catalog.copy")).map_err(io)?;
        match (one, two) {
            (_, Copy::Sound(sound)) => Ok((sound, Some("catalog"))),
            (Copy::Absent, Copy::Absent) if super::list(dir).map_err(io)?.is_empty() => {
                Ok((Catalog::default(), None))
            }
            _ => Err(JournalError::Corrupt {
                place: dir.join("catalog").display().to_string(),
                why: "both copies are damaged or missing; `flow journal repair` rebuilds it from the archive files"
                    .into(),
            }),
        }
    }

    /// All of it, in the order of the names.
    pub(crate) fn archived(&self) -> Vec<Archived> {
        let entry = |(run, filed): (&RunId, &CatalogEntry)| Archived {
            run: run.clone(),
            head: filed.head,
            summary: filed.summary.to_vec(),
            pruned: filed.place.is_none(),
        };
        self.runs.iter().map(entry).collect()
    }

    /// Whether both copies on disk say this.
    pub(crate) fn is_stored_twice(&self, dir: &Path) -> bool {
        ["catalog", "catalog.copy"]
            .iter()
            .all(|name| matches!(load_one(&dir.join(name)), Ok(Copy::Sound(c)) if c == *self))
    }

    /// Writes both copies, durably; the one that is read first last.
    pub(crate) fn store(&self, dir: &Path) -> io::Result<()> {
        let bytes = self.encode();
        for name in ["catalog.copy", "catalog"] {
            files::replace(&dir.join(name), &dir.join("catalog.tmp"), &bytes)?;
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.last.to_le_bytes());
        out.extend_from_slice(&self.digest.0);
        let count =
            u32::try_from(self.runs.len()).expect("a list of 2^32 runs does not fit memory");
        out.extend(count.to_le_bytes());
        for (run, filed) in &self.runs {
            put_run(&mut out, run, &filed.head);
            let place = filed.place.unwrap_or(Place {
                file: 0,
                offset: 0,
                len: 0,
            });
            out.extend(place.file.to_le_bytes());
            out.extend(place.offset.to_le_bytes());
            out.extend(place.len.to_le_bytes());
            let len = u32::try_from(filed.summary.len()).expect("a summary is short");
            out.extend(len.to_le_bytes());
            out.extend_from_slice(&filed.summary);
        }
        let crc = crc32fast::hash(&out);
        out.extend(crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Catalog> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut r = Reader(content);
        if r.array()? != MAGIC {
            return None;
        }
        let (last, digest) = (r.u64()?, Digest(r.array()?));
        let count = r.u32()?;
        let mut runs = Vec::with_capacity((count as usize).min(content.len() / 73));
        for _ in 0..count {
            let (run, head) = take_run(&mut r)?;
            let (file, offset, len) = (r.u64()?, r.u64()?, r.u32()?);
            let size = r.u32()? as usize;
            let filed = CatalogEntry {
                head,
                summary: r.take(size)?.into(),
                place: (file != 0).then_some(Place { file, offset, len }),
            };
            runs.push((run, filed));
        }
        r.0.is_empty().then(|| Catalog {
            last,
            digest,
            runs: runs.into_iter().collect(),
        })
    }
}

/// One of the two files of the catalog.
enum Copy {
    Absent,
    Damaged,
    Sound(Catalog),
}

fn load_one(path: &Path) -> io::Result<Copy> {
    match fs::read(path) {
        Ok(bytes) => Ok(Catalog::decode(&bytes).map_or(Copy::Damaged, Copy::Sound)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Copy::Absent),
        Err(e) => Err(e),
    }
}
