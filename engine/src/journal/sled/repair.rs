//! Making the copies agree again. Only called once it is known that every record is in at least one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::checkpoint::{self, Checkpoint};
use super::compare::Verdict;
use super::index::Index;
use super::look::Survey;
use super::places::Places;
use super::report::repaired;
use super::store::{OpenFailure, PlacedEntry, Store, guard};
use super::{OpenOptions, OpenReport, doubt};
use crate::journal::segment::{self, Entry, SegmentPlan, decode_payload, unusable};
use crate::journal::{JournalError, files};

/// Commits applied to sled at a time while it is rebuilt.
const CHUNK: usize = 512;

/// The segments first, from what sled has; then sled, from the segments, which then have everything.
pub(super) fn mend(
    places: &Places,
    options: &OpenOptions,
    looked: Survey,
    report: &mut OpenReport,
) -> Result<(Store, Index, Verdict), JournalError> {
    let Survey {
        checkpoint,
        noted,
        mut index,
        mut store,
        no_store,
        mut verdict,
        lost_frames,
    } = looked;
    let salvage = std::mem::take(&mut verdict.salvage);
    if let Some(what) = doubt::about_the_file(noted, &index) {
        let repair = repaired(what, "the segments", 0, None);
        report.repaired.push(repair);
    }
    let plans = plan_segments(&index, salvage, lost_frames.into_iter().collect());
    if !plans.is_empty() {
        mend_segments(places, &index, plans, report)?;
        index = Index::build(&places.wal).map_err(|e| unusable(&places.wal, &e))?;
    }
    let known = checkpoint.lsn().max(verdict.sled_reaches);
    let lost = verdict.sled_lacks_from.is_some_and(|from| from <= known);
    if let Some(sound) = store.take_if(|_| !lost && !verdict.sled_is_bad) {
        if let Some(from) = verdict.sled_lacks_from {
            report.replayed = verdict.not_in_sled;
            refill(places, &sound, from)?;
        }
        store = Some(sound);
    } else {
        if let Some(bad) = store.take() {
            // Its destructor flushes, and may panic on what it finds.
            let _ = guard("close", || {
                drop(bad);
                Ok(())
            });
        }
        let why = no_store.unwrap_or_else(|| "records are missing or altered".into());
        store = Some(rebuild(places, options, &verdict, &why, report)?);
    }
    let store = store.expect("one of the branches above has set it");
    finish(places, checkpoint, &store, &index, report)?;
    Ok((store, index, verdict))
}

/// Which segments to write anew, and what to add to each.
fn plan_segments(
    index: &Index,
    mut salvage: BTreeMap<u64, Vec<PlacedEntry>>,
    lost: Vec<u64>,
) -> BTreeMap<usize, SegmentPlan> {
    let mut plans: BTreeMap<usize, SegmentPlan> = BTreeMap::new();
    for at in (0..index.segments.len()).filter(|at| index.segment_is_damaged(*at)) {
        plans.insert(at, plan_for(index, at));
    }
    for lsn in lost {
        let at = index.segment_for(lsn).unwrap_or(0);
        let plan = plans.entry(at).or_insert_with(|| plan_for(index, at));
        let mut records = salvage.remove(&lsn).unwrap_or_default();
        records.sort_by_key(|k| k.index);
        let entries = records.into_iter().map(|k| k.entry).collect();
        plan.add.insert(lsn, entries);
    }
    plans
}

fn plan_for(index: &Index, at: usize) -> SegmentPlan {
    let damaged = index.segments.get(at).map(|s| s.path.clone());
    SegmentPlan {
        number: damaged.as_deref().and_then(segment::number_of).unwrap_or(1),
        damaged,
        add: BTreeMap::new(),
    }
}

fn mend_segments(
    places: &Places,
    index: &Index,
    plans: BTreeMap<usize, SegmentPlan>,
    report: &mut OpenReport,
) -> Result<(), JournalError> {
    // What is written anew has no mark of an opening in it, and is not to be missed there after a crash.
    segment::end::forget_opening(&places.dir).map_err(|e| unusable(&places.dir, &e))?;
    for (at, plan) in plans {
        let records = plan.add.values().map(|e| e.len() as u64).sum();
        let name = index.segments.get(at).map_or_else(
            || "the segments".to_owned(),
            |s| segment::path_name(&s.path),
        );
        let kept = segment::rewrite(&places.wal, plan).map_err(|e| unusable(&places.wal, &e))?;
        report.repaired.push(repaired(&name, "sled", records, kept));
    }
    Ok(())
}

/// A new database from the segments; the old one is kept beside it. Doing it again after a crash is safe: the
/// checkpoint still says how far the old one reached, so a half-filled new one is found wanting.
fn rebuild(
    places: &Places,
    options: &OpenOptions,
    verdict: &Verdict,
    why: &str,
    report: &mut OpenReport,
) -> Result<Store, JournalError> {
    let io = |e: std::io::Error| unusable(&places.sled, &e);
    let mut kept = None;
    if places.sled.exists() {
        let aside = files::aside(&places.sled);
        fs::rename(&places.sled, &aside).map_err(io)?;
        files::sync_dir(&places.dir).map_err(io)?;
        kept = Some(aside);
    }
    let store = create(&places.sled, options)?;
    refill(places, &store, 1)?;
    let what = format!("sled ({why})");
    report
        .repaired
        .push(repaired(&what, "the segments", verdict.not_in_sled, kept));
    Ok(store)
}

/// A new, empty database.
pub(super) fn create(path: &Path, options: &OpenOptions) -> Result<Store, JournalError> {
    Store::open(path, options.cache_bytes).map_err(|e| match e {
        OpenFailure::Refused(why) => why,
        OpenFailure::Damaged(why) => sled_failed(path, &why),
    })
}

/// Applies all commits from a frame number on.
pub(super) fn refill(places: &Places, store: &Store, from: u64) -> Result<(), JournalError> {
    let failed = |why: String| sled_failed(&places.sled, &why);
    let mut chunk: Vec<(u64, Vec<Entry>)> = Vec::new();
    let mut result = Ok(());
    let mut last = 0;
    let apply = |chunk: &mut Vec<(u64, Vec<Entry>)>| {
        let done = store.apply(chunk.iter().map(|(lsn, e)| (*lsn, &e[..])));
        chunk.clear();
        done
    };
    segment::list(&places.wal, |found| {
        if found.lsn >= from && found.lsn > last && result.is_ok() {
            last = found.lsn;
            chunk.push((found.lsn, decode_payload(found.payload).0));
            if chunk.len() >= CHUNK {
                result = apply(&mut chunk);
            }
        }
    })
    .map_err(|e| unusable(&places.wal, &e))?;
    result.and_then(|()| apply(&mut chunk)).map_err(failed)
}

/// Makes the state of sled durable and writes down how far it reaches.
fn finish(
    places: &Places,
    old: Checkpoint,
    store: &Store,
    index: &Index,
    report: &mut OpenReport,
) -> Result<(), JournalError> {
    if old == Checkpoint::Damaged {
        report
            .repaired
            .push(repaired("checkpoint", "both copies", 0, None));
    }
    let unchanged = report.repaired.is_empty() && report.replayed == 0;
    if unchanged && old == Checkpoint::At(index.last) {
        return Ok(());
    }
    store
        .checkpoint()
        .map_err(|e| sled_failed(&places.sled, &e))?;
    checkpoint::store(&places.dir, index.last).map_err(|e| unusable(&places.dir, &e))
}

fn sled_failed(path: &Path, why: &str) -> JournalError {
    JournalError::Unusable {
        path: path.display().to_string(),
        why: format!("{why}; the segments are whole, open the journal again"),
    }
}
