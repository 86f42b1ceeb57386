//! Looking after a journal that nobody writes to: sealing, pruning, compacting, mending.
//!
//! Sealing writes finished runs to a file of their own and lists them in the catalog; the live store still has them.
//! Compacting reads each of them back from its file once more and then writes the live store anew without them. So
//! there is no moment at which a crash leaves a run in neither place, and each step may be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::places::Places;
use super::shared::Shared;
use super::{OpenOptions, SledJournal, compact, objects, read};
use crate::id::{Digest, RunId};
use crate::journal::archive::{self, ArchivedRun, Catalog, CatalogEntry, Writer};
use crate::journal::segment::{Entry, unusable};
use crate::journal::{Head, JournalError, Stored, files};

mod mend;
mod prepare;
mod rehearse;
mod unneeded;

pub use mend::{Mended, rebuild_catalog};
pub use prepare::prepare;
pub use rehearse::{Rehearsed, rehearse};
pub use unneeded::Unneeded;

/// A finished run to put away.
#[derive(Debug, Clone)]
pub struct ToSeal {
    /// The run that was sealed.
    pub run: RunId,
    /// The end that was looked at when it was found to be finished.
    pub head: Head,
    /// What the list says of it later; see [`Archived::summary`](crate::journal::Archived::summary).
    pub summary: Vec<u8>,
    /// The stored objects its records name: the archive gets a copy of each.
    pub objects: Vec<Digest>,
}

/// What sealing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Runs put away.
    pub runs: usize,
    /// How many records they have in all.
    pub records: u64,
    /// Size of the archive file in bytes.
    pub bytes: u64,
}

/// What pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs whose records are gone.
    pub runs: usize,
    /// Bytes by which the archive became smaller.
    pub bytes: u64,
}

/// What compacting did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Sealed runs that left the live store.
    pub runs: usize,
    /// Bytes of segments and sled before.
    pub before: u64,
    /// The size afterwards, in bytes.
    pub after: u64,
}

/// A journal held for upkeep; dropping it lets go of the lock.
pub struct Upkeep {
    shared: Shared,
    options: OpenOptions,
}

impl SledJournal {
    /// Ends the journal's threads and keeps its lock. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Broken`] when the journal is, or when somebody still reads.
    pub fn upkeep(mut self, options: &OpenOptions) -> Result<Upkeep, JournalError> {
        self.quiesce();
        self.shared.check()?;
        let shared = Arc::clone(&self.shared);
        drop(self);
        let busy = |_| JournalError::Broken("somebody still reads the journal".into());
        Ok(Upkeep {
            shared: Arc::try_unwrap(shared).map_err(busy)?,
            options: options.clone(),
        })
    }
}

impl Upkeep {
    fn places(&self) -> &Places {
        &self.shared.places
    }

    /// Writes runs to an archive file and lists them in the catalog, both verified and durable when this returns. The
    /// live store keeps them until [`compact`](Upkeep::compact). A run that is sealed already is left as it is.
    ///
    /// # Errors
    /// Nothing is sealed then; what is live stays live.
    pub fn seal(&mut self, runs: &[ToSeal]) -> Result<Sealed, JournalError> {
        let wanted = runs
            .iter()
            .filter(|seal| !self.shared.catalog.runs.contains_key(&seal.run));
        let wanted: Vec<&ToSeal> = wanted.collect();
        if wanted.is_empty() {
            return Ok(Sealed::default());
        }
        let dir = self.places().archive.clone();
        let failed = |e: io::Error| unusable(&dir, &e);
        files::create_dir(&dir).map_err(failed)?;
        if !dir.join("catalog").exists() {
            self.shared.catalog.store(&dir).map_err(failed)?;
        }
        let mut next = self.shared.catalog.clone();
        let live = |object: &Digest| objects::get(self.places(), object);
        let mut source = wanted.iter().map(|seal| {
            let records = read::read(&self.shared, &seal.run)?;
            Ok(ArchivedRun {
                run: seal.run.clone(),
                head: seal.head,
                summary: seal.summary.clone(),
                objects: seal.objects.clone(),
                records,
            })
        });
        let added = self.write_file(&mut next, &mut source, &live)?;
        let sealed = Sealed {
            runs: wanted.len(),
            records: wanted.iter().map(|seal| seal.head.seq + 1).sum(),
            bytes: added,
        };
        self.adopt(next)?;
        Ok(sealed)
    }

    /// Writes one archive file, reads all of it back, and enters its runs into a catalog that is not in force yet. The
    /// size of the file.
    fn write_file(
        &self,
        catalog: &mut Catalog,
        runs: &mut dyn Iterator<Item = Result<ArchivedRun, JournalError>>,
        object: &dyn Fn(&Digest) -> Result<Vec<u8>, JournalError>,
    ) -> Result<u64, JournalError> {
        let dir = &self.places().archive;
        let failed = |e: io::Error| unusable(dir, &e);
        let number = catalog.last + 1;
        let mut writer = Writer::create(dir, number, &catalog.digest).map_err(failed)?;
        let mut expected: BTreeMap<RunId, Head> = BTreeMap::new();
        let mut copied = BTreeSet::new();
        for run in runs {
            let run = run?;
            for digest in run.objects.iter().filter(|d| copied.insert(**d)) {
                writer.object(digest, &object(digest)?).map_err(failed)?;
            }
            writer.run(&run).map_err(failed)?;
            expected.insert(run.run, run.head);
        }
        let path = writer.finish().map_err(failed)?;
        let contents = archive::verify_file(&path)?;
        let found: BTreeMap<RunId, Head> = contents
            .runs
            .iter()
            .map(|(run, filed)| (run.clone(), filed.head))
            .collect();
        if found != expected || contents.objects != copied.len() {
            return Err(JournalError::Corrupt {
                place: path.display().to_string(),
                why: "what was read back is not what was written; nothing was sealed".into(),
            });
        }
        catalog.last = number;
        catalog.digest = contents.digest;
        catalog.runs.extend(contents.runs);
        path.metadata().map(|meta| meta.len()).map_err(failed)
    }

    /// Puts a catalog into force.
    fn adopt(&mut self, catalog: Catalog) -> Result<(), JournalError> {
        let dir = &self.places().archive;
        catalog.store(dir).map_err(|e| unusable(dir, &e))?;
        self.shared.catalog = catalog;
        Ok(())
    }

    /// Removes the records of sealed runs. Their lines in the catalog stay. A run that is pruned already, or that is
    /// not sealed, is left as it is.
    ///
    /// # Errors
    /// When an archive file is damaged: then it is kept, and so are all others that were not done yet.
    pub fn prune(&mut self, runs: &[RunId]) -> Result<Pruned, JournalError> {
        let mut by_file: BTreeMap<u64, BTreeSet<RunId>> = BTreeMap::new();
        for run in runs {
            let place = self.shared.catalog.runs.get(run).and_then(|f| f.place);
            if let Some(place) = place {
                by_file.entry(place.file).or_default().insert(run.clone());
            }
        }
        self.remove_forgotten()?;
        let mut pruned = Pruned::default();
        for (file, gone) in by_file {
            pruned.bytes += self.prune_file(file, &gone)?;
            pruned.runs += gone.len();
        }
        Ok(pruned)
    }

    /// Removes the archive files in which no run lies that the catalog knows: a kill between its last entry and its end
    /// leaves one, and so does a seal that was cut short, whose runs are live.
    fn remove_forgotten(&self) -> Result<(), JournalError> {
        let dir = &self.places().archive;
        let failed = |e: io::Error| unusable(dir, &e);
        let places = self.shared.catalog.runs.values().filter_map(|f| f.place);
        let known: BTreeSet<u64> = places.map(|place| place.file).collect();
        for (number, path) in archive::list(dir).map_err(failed)? {
            if !known.contains(&number) {
                files::remove(&path).map_err(failed)?;
                files::sync_dir(dir).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn prune_file(&mut self, file: u64, gone: &BTreeSet<RunId>) -> Result<u64, JournalError> {
        let dir = self.places().archive.clone();
        let path = archive::path_of(&dir, file);
        let failed = |e: io::Error| unusable(&dir, &e);
        let before = path.metadata().map_err(failed)?.len();
        let mut next = self.shared.catalog.clone();
        let lies_there = |f: &CatalogEntry| f.place.is_some_and(|p| p.file == file);
        let stay: Vec<(RunId, CatalogEntry)> = next
            .runs
            .iter()
            .filter(|(run, filed)| lies_there(filed) && !gone.contains(run))
            .map(|(run, filed)| (run.clone(), filed.clone()))
            .collect();
        let mut after = 0;
        if !stay.is_empty() {
            let held: BTreeMap<Digest, Vec<u8>> = archive::objects_in(&path)?.into_iter().collect();
            let object = |digest: &Digest| {
                let there = held.get(digest).cloned();
                there.ok_or(JournalError::NoObject(*digest))
            };
            let mut source = stay.iter().filter_map(|(run, filed)| {
                let place = filed.place.as_ref()?;
                Some(archive::read_run(&dir, run, &filed.head, place))
            });
            after = self.write_file(&mut next, &mut source, &object)?;
        }
        for run in gone {
            if let Some(filed) = next.runs.get_mut(run) {
                filed.place = None;
            }
        }
        self.adopt(next)?;
        files::remove(&path).map_err(failed)?;
        files::sync_dir(&dir).map_err(failed)?;
        Ok(before.saturating_sub(after))
    }

    /// Writes segments and sled anew without the runs that are sealed, after reading each of those back from its file.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] when a sealed run cannot be read back as it is in the live store: nothing is removed.
    pub fn compact(self) -> Result<Compacted, JournalError> {
        self.rewrite(None)
    }

    /// Brings a sealed run back into the live store, so that it can be rolled back. Compacts on the way. A run that is
    /// not sealed is left as it is.
    ///
    /// # Errors
    /// [`JournalError::Pruned`], and [`JournalError::Corrupt`] when its file is damaged.
    pub fn unseal(self, run: &RunId) -> Result<Compacted, JournalError> {
        self.rewrite(Some(run))
    }

    fn rewrite(mut self, unseal: Option<&RunId>) -> Result<Compacted, JournalError> {
        let places = self.places().clone();
        let live = self.shared.live();
        let mut catalog = self.shared.catalog.clone();
        let mut keep = live.clone();
        let mut back = Vec::new();
        if let Some(run) = unseal
            && let Some(filed) = catalog.runs.remove(run)
            && !live.contains_key(run)
        {
            back = entries(run, read::put_away(&places.archive, run, &filed)?);
            keep.insert(run.clone(), filed.head);
        }
        for (run, filed) in &catalog.runs {
            let Some(head) = keep.remove(run) else {
                continue;
            };
            if filed.place.is_some() {
                self.is_put_away(run, &head, filed)?;
            }
        }
        let before = live_bytes(&places)?;
        compact::prepare(&places, &self.options, &keep, back)?;
        let old = std::mem::take(&mut self.shared.catalog);
        let (store, _lock) = self.shared.into_store();
        compact::close(store, &places.sled)?;
        compact::roll_forward(&places.dir).map_err(|e| unusable(&places.dir, &e))?;
        if catalog != old {
            catalog
                .store(&places.archive)
                .map_err(|e| unusable(&places.archive, &e))?;
        }
        let left = live.keys().filter(|run| !keep.contains_key(run));
        Ok(Compacted {
            runs: left.count(),
            before,
            after: live_bytes(&places)?,
        })
    }

    fn is_put_away(
        &self,
        run: &RunId,
        live: &Head,
        filed: &CatalogEntry,
    ) -> Result<(), JournalError> {
        read::put_away(&self.places().archive, run, filed)?;
        if filed.head == *live {
            return Ok(());
        }
        Err(JournalError::Corrupt {
            place: format!("run {run}"),
            why: "the archive has another end of it than the live store; nothing was removed"
                .into(),
        })
    }

    /// How many sealed runs are still in the live store and would leave it.
    pub fn left_over(&self) -> usize {
        let live = self.shared.live();
        let sealed = self.shared.catalog.runs.keys();
        sealed.filter(|run| live.contains_key(run)).count()
    }
}

fn entries(run: &RunId, records: Vec<Stored>) -> Vec<Entry> {
    let entry = |r: Stored| Entry {
        run: run.clone(),
        seq: r.seq,
        epoch: r.epoch,
        hash: r.hash,
        body: r.body,
    };
    records.into_iter().map(entry).collect()
}

fn live_bytes(places: &Places) -> Result<u64, JournalError> {
    [&places.wal, &places.sled]
        .iter()
        .map(|part| files::bytes_in(part).map_err(|e| unusable(part, &e)))
        .sum()
}

#[cfg(test)]
mod tests;
