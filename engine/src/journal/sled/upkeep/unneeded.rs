//! Stored objects that nothing needs any more.
//!
//! An object is durable before the record that names it, so a process that is killed in between leaves one that no
//! record names; and when runs are pruned, what only they named stays. Nothing is taken away unless everything that is
//! kept could be read: what a run names that cannot be read is not known.

use std::collections::BTreeSet;
use std::io;

use super::Upkeep;
use super::prepare::objects_of;
use crate::id::{Digest, RunId};
use crate::journal::JournalError;
use crate::journal::archive::{self, CatalogEntry};
use crate::journal::segment::unusable;
use crate::journal::sled::{objects, read};

/// Objects that no run that is kept names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unneeded {
    /// How many objects no run needs.
    pub objects: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Upkeep {
    /// Counts the objects that no run names, as if the runs in `without` were pruned already. Changes nothing.
    ///
    /// # Errors
    /// When a run that is kept cannot be read: what it names is not known then.
    pub fn unneeded_objects(&self, without: &[RunId]) -> Result<Unneeded, JournalError> {
        let places = self.places();
        let dir = &places.objects;
        let mut unneeded = Unneeded::default();
        for digest in self.find_unneeded(without)? {
            unneeded.bytes += objects::size(places, &digest).map_err(|e| unusable(dir, &e))?;
            unneeded.objects += 1;
        }
        Ok(unneeded)
    }

    /// Takes the objects away that no run names. To be called after [`prune`](Upkeep::prune), which is durable when it
    /// returns: killed at any moment, no object that a kept run names is gone, and the rest goes the next time.
    ///
    /// # Errors
    /// As [`unneeded_objects`](Upkeep::unneeded_objects), with nothing taken away; or when a file cannot be removed.
    pub fn remove_unneeded_objects(&mut self) -> Result<Unneeded, JournalError> {
        let unneeded = self.find_unneeded(&[])?;
        let places = self.places();
        let failed = |e: io::Error| unusable(&places.objects, &e);
        let mut removed = Unneeded::default();
        for digest in unneeded {
            removed.bytes += objects::size(places, &digest).map_err(failed)?;
            removed.objects += 1;
            objects::remove(places, &digest).map_err(failed)?;
        }
        Ok(removed)
    }

    fn find_unneeded(&self, without: &[RunId]) -> Result<Vec<Digest>, JournalError> {
        let mut needed = BTreeSet::new();
        for run in self.shared.live().keys() {
            let records = read::read(&self.shared, run)?;
            let named = objects_of(&records).map_err(|(seq, e)| JournalError::Corrupt {
                place: format!("run {run} record {seq}"),
                why: format!("{e}, so which objects it names is not known"),
            })?;
            needed.extend(named);
        }
        let places = self.places();
        let filed = self.shared.catalog.runs.iter();
        let kept = filed.filter(|(run, _)| !without.contains(run));
        for (run, CatalogEntry { head, place, .. }) in kept {
            if let Some(place) = place {
                needed.extend(archive::read_run(&places.archive, run, head, place)?.objects);
            }
        }
        let there = objects::list(places).map_err(|e| unusable(&places.objects, &e))?;
        let unneeded = there.into_iter().filter(|digest| !needed.contains(digest));
        Ok(unneeded.collect())
    }
}
