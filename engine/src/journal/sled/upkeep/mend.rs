//! Mending what opening does not: the archive, and objects that it has copies of.

use std::io;
use std::path::Path;

use super::Upkeep;
use crate::id::Digest;
use crate::journal::archive::{self, Catalog};
use crate::journal::segment::unusable;
use crate::journal::sled::places::Places;
use crate::journal::sled::{lock, objects};
use crate::journal::{JournalError, files};

/// What mending did beyond what opening does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// In words, one line each.
    pub done: Vec<String>,
    /// What is damaged and cannot be mended from anything here.
    pub lost: Vec<String>,
    /// Objects that are damaged in both copies and in no archive file. A plan among them can be computed again.
    pub objects: Vec<Digest>,
}

impl Upkeep {
    /// Mends objects and the archive: writes what is damaged in one copy anew from the other, the catalog too, brings
    /// objects back from the copies in archive files, and names what is damaged for good. Nothing is removed.
    pub fn mend(&mut self) -> Result<Mended, JournalError> {
        let mut mended = Mended::default();
        let places = self.places().clone();
        let failed = |e: io::Error| unusable(&places.archive, &e);
        let objects = objects::mend(&places).map_err(failed)?;
        mended.done.extend(objects.done);
        let files = archive::list(&places.archive).map_err(failed)?;
        if !files.is_empty() && !self.shared.catalog.is_stored_twice(&places.archive) {
            self.shared.catalog.store(&places.archive).map_err(failed)?;
            mended
                .done
                .push("the second copy of the catalog was written anew".into());
        }
        for (_, path) in files {
            match archive::objects_in(&path) {
                Ok(held) => {
                    let objects = restore(&places, &held).map_err(failed)?;
                    mended.done.extend(objects);
                }
                Err(error) => mended.lost.push(error.to_string()),
            }
        }
        let lost = objects.lost.into_iter();
        mended.objects = lost.filter(|d| objects::get(&places, d).is_err()).collect();
        Ok(mended)
    }
}

/// Objects that are missing or damaged, written again from an archive's copies.
fn restore(places: &Places, held: &[(Digest, Vec<u8>)]) -> io::Result<Vec<String>> {
    let mut done = Vec::new();
    for (digest, bytes) in held {
        if objects::get(places, digest).is_err() && Digest::of(bytes) == *digest {
            objects::put(places, bytes)?;
            done.push(format!("object {digest} was written anew from the archive"));
        }
    }
    Ok(done)
}

/// Rebuilds the catalog from the archive files when both of its copies are lost; the damaged ones are kept aside. In
/// words what was done; nothing when the catalog is sound. The lines of pruned runs cannot be brought back. The journal
/// must be closed.
///
/// # Errors
/// [`JournalError::Locked`] when it is not; [`JournalError::Corrupt`] when an archive file is damaged.
pub fn rebuild_catalog(dir: &Path) -> Result<Option<String>, JournalError> {
    let places = Places::of(dir);
    let _lock = lock::take(dir)?;
    if Catalog::load(&places.archive).is_ok() {
        return Ok(None);
    }
    let failed = |e: io::Error| unusable(&places.archive, &e);
    let mut catalog = Catalog::default();
    for (number, path) in archive::list(&places.archive).map_err(failed)? {
        let contents = archive::verify_file(&path)?;
        catalog.last = number;
        catalog.digest = contents.digest;
        catalog.runs.extend(contents.runs);
    }
    for name in ["catalog", "catalog.copy"] {
        let path = places.archive.join(name);
        if path.exists() {
            files::rename(&path, &files::aside(&path)).map_err(failed)?;
        }
    }
    catalog.store(&places.archive).map_err(failed)?;
    let runs = catalog.runs.len();
    Ok(Some(format!(
        "the catalog was rebuilt from the archive files: {runs} runs; lines of pruned runs are lost"
    )))
}
