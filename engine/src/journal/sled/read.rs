//! Reading a run while the journal is open.

use std::path::Path;

use super::objects;
use super::shared::Shared;
use crate::id::{Digest, RunId};
use crate::journal::archive;
use crate::journal::segment::{self, decode_payload, unusable};
use crate::journal::{GENESIS, Head, JournalError, Stored, chain};

/// From sled; from the segments when sled's copy does not verify, which the next open then mends.
pub(super) fn read(shared: &Shared, run: &RunId) -> Result<Vec<Stored>, JournalError> {
    if let Some(filed) = shared.catalog.runs.get(run) {
        shared.check()?;
        let found = put_away(&shared.places.archive, run, filed);
        // Until the live store is compacted it has the run too.
        if found.is_ok() || !shared.is_live(run) {
            return found;
        }
    }
    let Some(least) = shared.head(run) else {
        shared.check()?;
        return Ok(Vec::new());
    };
    shared.wait_applied()?;
    let why = match from_sled(shared, run) {
        Ok(records) => match verify(run, &records, &least) {
            Ok(()) => return Ok(records),
            Err(why) => why.to_string(),
        },
        Err(why) => why,
    };
    tracing::warn!(%run, %why, "sled's copy is damaged, reading the segments");
    let records = from_segments(&shared.places.wal, run)?;
    verify(run, &records, &least)?;
    Ok(records)
}

/// From the archive file, its chain verified.
pub(super) fn put_away(
    dir: &Path,
    run: &RunId,
    filed: &archive::CatalogEntry,
) -> Result<Vec<Stored>, JournalError> {
    let Some(place) = &filed.place else {
        return Err(JournalError::Pruned { run: run.clone() });
    };
    archive::read_run(dir, run, &filed.head, place).map(|found| found.records)
}

/// An object, from either copy or from the archive. One that is damaged in one copy is written anew from the other: the
/// bytes are at hand now, and may not be later.
pub(super) fn object(shared: &Shared, digest: &Digest) -> Result<Vec<u8>, JournalError> {
    let places = &shared.places;
    if let Some(bytes) = objects::first(places, digest) {
        return Ok(bytes);
    }
    let bytes = match objects::get(places, digest) {
        Ok(bytes) => bytes,
        Err(lost) => archive::find_object(&places.archive, digest).ok_or(lost)?,
    };
    if shared.may_write().is_ok() {
        match objects::put(places, &bytes) {
            Ok(_) => tracing::warn!(%digest, "a stored object was damaged and is whole again"),
            // It was read all the same; the next one tries again.
            Err(why) => tracing::warn!(%digest, %why, "a stored object is damaged in one copy"),
        }
    }
    Ok(bytes)
}

fn from_sled(shared: &Shared, run: &RunId) -> Result<Vec<Stored>, String> {
    let records = shared.store.run(run)?;
    let found = records.len();
    let sound: Vec<Stored> = records
        .into_iter()
        .filter_map(|(_, kept)| {
            kept.map(|k| Stored {
                seq: k.entry.seq,
                epoch: k.entry.epoch,
                body: k.entry.body,
                hash: k.entry.hash,
            })
        })
        .collect();
    if sound.len() == found {
        Ok(sound)
    } else {
        Err("a value makes no sense".into())
    }
}

fn from_segments(dir: &Path, run: &RunId) -> Result<Vec<Stored>, JournalError> {
    let (mut records, mut last) = (Vec::new(), 0);
    segment::list(dir, |found| {
        if found.lsn <= last {
            return;
        }
        last = found.lsn;
        let entries = decode_payload(found.payload).0;
        records.extend(
            entries
                .into_iter()
                .filter(|e| e.run == *run)
                .map(|e| Stored {
                    seq: e.seq,
                    epoch: e.epoch,
                    body: e.body,
                    hash: e.hash,
                }),
        );
    })
    .map_err(|e| unusable(dir, &e))?;
    Ok(records)
}

/// The chain from the first record, and at least as far as `least`.
pub(super) fn verify(run: &RunId, records: &[Stored], least: &Head) -> Result<(), JournalError> {
    let corrupt = |seq: u64, why: &str| JournalError::Corrupt {
        place: format!("run {run} record {seq}"),
        why: why.to_owned(),
    };
    let mut previous = GENESIS;
    for (seq, r) in (0..).zip(records) {
        if r.seq != seq {
            return Err(corrupt(seq, "it is missing"));
        }
        if chain(&previous, run, seq, r.epoch, &r.body) != r.hash {
            return Err(corrupt(
                seq,
                "its hash does not follow from the record before",
            ));
        }
        if seq == least.seq && r.hash != least.hash {
            return Err(corrupt(seq, "it is not the record that was written"));
        }
        previous = r.hash;
    }
    let next = records.len() as u64;
    if next <= least.seq {
        return Err(corrupt(next, "it is missing"));
    }
    Ok(())
}
