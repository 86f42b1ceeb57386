//! Looking at a journal that was closed in order: nothing is written, and sled is not opened.
//!
//! Opening a journal to write names the writer, leaves a mark and makes all of it durable: some fifteen syncs, most of
//! the time that a look takes. After an orderly end the segments and the archive hold everything, and `END` says where it
//! ends; whatever is not exactly so is left to [`SledJournal::open`](super::SledJournal::open), which mends it or refuses.
//!
//! On the day when that cannot open it (its holder stands still, the disk is full or read-only) the segments are still
//! there to read: every commit that was acknowledged is in them. See [`ClosedJournal::as_it_lies`].

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use async_trait::async_trait;

use super::index::{Index, Slot};
use super::places::Places;
use super::{checkpoint, doubt, objects, read, takeover};
use crate::id::{Digest, RunId};
use crate::journal::archive::{self, Catalog, CatalogEntry};
use crate::journal::segment::end::{self, End};
use crate::journal::segment::{Entry, unusable};
use crate::journal::{Append, Archived, Head, Journal, JournalError, Stored};

/// A journal that was closed in order, to read from. While it exists nobody opens the journal to write; any number may
/// look.
pub struct ClosedJournal {
    places: Places,
    index: Index,
    catalog: Catalog,
    /// Shared with others that look, and with nobody that writes. Nothing where somebody may be writing.
    _lock: Option<File>,
}

impl ClosedJournal {
    /// Looks at the journal in a folder; nothing when it must be opened in full first: it was not closed in order, or
    /// something about it is not as it was left. Changes nothing. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when a process has it open to write; [`JournalError::Unusable`] when a file cannot be
    /// read.
    pub fn open(dir: &Path) -> Result<Option<ClosedJournal>, JournalError> {
        let Some(lock) = share(dir)? else {
            return Ok(None);
        };
        let places = Places::of(dir);
        let io = |e: io::Error| unusable(dir, &e);
        // An exchange of the store that was cut short.
        if dir.join("next").exists() || !places.wal.exists() {
            return Ok(None);
        }
        let noted = end::load(dir).map_err(io)?;
        let index = Index::build(&places.wal).map_err(io)?;
        let reached = checkpoint::load(dir).map_err(io)?.lsn();
        let whole = |end: End| {
            let at = doubt::closed_at(noted, &index);
            at == Some(index.last)
                && at == Some(reached)
                && !index.is_damaged()
                && index.torn() == 0
                && doubt::missing_end(&end, &index, index.last).is_none()
        };
        let begins = |slots: &Vec<Slot>| slots[0].seq == 0;
        if !noted.end().is_some_and(whole) || !index.runs.values().all(begins) {
            return Ok(None);
        }
        let Ok((catalog, None)) = Catalog::load(&places.archive) else {
            return Ok(None);
        };
        Ok(Some(ClosedJournal {
            places,
            index,
            catalog,
            _lock: Some(lock),
        }))
    }

    /// Looks at the journal as it lies on the disk, whoever has it open: for when it can neither be opened nor asked.
    /// Every commit that was acknowledged is there unless the segments are damaged; what seems to be missing is said
    /// beside it. A run that is damaged there is an error when it is read, though sled may have it. Changes nothing and
    /// waits for nobody. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Unusable`] when the segments cannot be read, or are just being exchanged.
    pub fn as_it_lies(dir: &Path) -> Result<(ClosedJournal, Vec<String>), JournalError> {
        let places = Places::of(dir);
        let io = |e: io::Error| unusable(dir, &e);
        if !places.wal.exists() {
            let gone = "its segments are not there; they may just be being exchanged: try again";
            return Err(unusable(&places.wal, &io::Error::other(gone)));
        }
        let noted = end::load(dir).map_err(io)?;
        let index = Index::build(&places.wal).map_err(io)?;
        let mut lacks = Vec::new();
        if index.is_damaged() {
            lacks.push(
                "a segment is damaged, and sled's copy of what is in it was not looked at"
                    .to_owned(),
            );
        }
        let missing = noted
            .end()
            .and_then(|end| doubt::missing_end(&end, &index, end.floor));
        if let Some((place, what)) = missing {
            lacks.push(format!(
                "the end of the log may be missing: {place}: {what}"
            ));
        }
        let catalog = match Catalog::load(&places.archive) {
            Ok((catalog, _)) => catalog,
            Err(error) => {
                lacks.push(format!("sealed runs are not shown: {error}"));
                Catalog::default()
            }
        };
        let lying = ClosedJournal {
            places,
            index,
            catalog,
            _lock: None,
        };
        Ok((lying, lacks))
    }

    /// The last record of a run that was not put away.
    fn live(&self, run: &RunId) -> Option<Head> {
        let last = self.index.runs.get(run)?.last()?;
        Some(Head {
            seq: last.seq,
            epoch: last.epoch,
            hash: last.hash,
        })
    }

    fn of_segments(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        let Some(head) = self.live(run) else {
            return Ok(Vec::new());
        };
        let entries = self.index.load_all(run);
        let entries = entries.map_err(|e| unusable(&self.places.wal, &e))?;
        let stored = |entry: Entry| Stored {
            seq: entry.seq,
            epoch: entry.epoch,
            body: entry.body,
            hash: entry.hash,
        };
        let records: Vec<Stored> = entries.into_iter().map(stored).collect();
        read::verify(run, &records, &head)?;
        Ok(records)
    }
}

/// The lock, shared; nothing where there is no journal yet. Nothing is written.
pub(super) fn share(dir: &Path) -> Result<Option<File>, JournalError> {
    let path = dir.join("LOCK");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unusable(&path, &e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked {
            holder: takeover::holder(dir).map_or_else(
                || "a process that is just starting".to_owned(),
                |holder| holder.in_words(),
            ),
        }),
        Err(TryLockError::Error(e)) => Err(unusable(&path, &e)),
    }
}

#[async_trait]
impl Journal for ClosedJournal {
    async fn append(&self, _: Append) -> Result<Head, JournalError> {
        Err(read_only(&self.places.dir))
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        let Some(filed) = self.catalog.runs.get(run) else {
            return self.of_segments(run);
        };
        let found = read::put_away(&self.places.archive, run, filed);
        // Until the live store is compacted it has the run too.
        if found.is_err() && self.live(run).is_some() {
            return self.of_segments(run);
        }
        found
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        let filed = self.catalog.runs.get(run).map(|filed| filed.head);
        Ok(filed.or_else(|| self.live(run)))
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let filed = |run: &&RunId| !self.catalog.runs.contains_key(*run);
        let mut runs: Vec<RunId> = self.index.runs.keys().filter(filed).cloned().collect();
        let there =
            |(run, filed): (&RunId, &CatalogEntry)| filed.place.is_some().then(|| run.clone());
        runs.extend(self.catalog.runs.iter().filter_map(there));
        runs.sort();
        Ok(runs)
    }

    async fn put(&self, _: &[u8]) -> Result<Digest, JournalError> {
        Err(read_only(&self.places.dir))
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        match objects::get(&self.places, object) {
            Ok(bytes) => Ok(bytes),
            Err(lost) => archive::find_object(&self.places.archive, object).ok_or(lost),
        }
    }

    async fn archived(&self) -> Result<Vec<Archived>, JournalError> {
        Ok(self.catalog.archived())
    }
}

fn read_only(dir: &Path) -> JournalError {
    unusable(dir, &io::Error::other("it was opened to be read only"))
}
