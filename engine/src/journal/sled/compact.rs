//! Writing the live store anew with only the runs that belong there, and exchanging it for the old one.
//!
//! ```text
//! <dir>/next/{wal,sled,checkpoint,END}  the new store while it is written; worth nothing without
//! <dir>/next/READY                      all of it is durable and was verified: from here on the new one counts
//! <dir>/old/                            the parts it replaces, until all are replaced
//! ```
//!
//! A crash before `READY` leaves the old store as it was; after it, the next open finishes the exchange. Doing so twice
//! is doing it once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::look::look;
use super::places::Places;
use super::store::Store;
use super::{OpenOptions, checkpoint, repair};
use crate::clock::Deadline;
use crate::id::RunId;
use crate::journal::segment::{
    self, BLOCK, Entry, Layout, Wal, decode_payload, frame_cost, unusable,
};
use crate::journal::{Head, JournalError, files};

/// What is exchanged, in this order.
const PARTS: [&str; 4] = ["wal", "sled", "checkpoint", "END"];
/// Bytes of records that go into one frame of the new segments: few syncs, little memory.
const FRAME: usize = 256 << 10;
/// How long sled's threads may keep a database that was closed.
const CLOSING: Duration = Duration::from_secs(5);

/// Finishes an exchange that a crash cut short, and removes one that was not complete. Called with the lock held and
/// nothing open.
pub(super) fn roll_forward(dir: &Path) -> io::Result<()> {
    let (next, old) = (dir.join("next"), dir.join("old"));
    if !next.exists() {
        return Ok(());
    }
    if !next.join("READY").exists() {
        return files::remove(&next);
    }
    files::create_dir(&old)?;
    for part in PARTS {
        let (new, now, was) = (next.join(part), dir.join(part), old.join(part));
        if !new.exists() {
            continue;
        }
        if now.exists() {
            files::rename(&now, &was)?;
        }
        files::rename(&new, &now)?;
    }
    files::remove(&old)?;
    files::sync_dir(dir)?;
    files::remove(&next.join("READY"))?;
    files::remove(&next)?;
    files::sync_dir(dir)
}

/// Writes the new store beside the old one, verifies it and puts up `READY`. `keep` are the runs that stay, with their
/// ends; `back` are records that come from the archive. The old store is not touched.
pub(super) fn prepare(
    places: &Places,
    options: &OpenOptions,
    keep: &BTreeMap<RunId, Head>,
    back: Vec<Entry>,
) -> Result<(), JournalError> {
    let next = Places::of(&places.dir.join("next"));
    let failed = |e: io::Error| unusable(&next.dir, &e);
    files::remove(&next.dir).map_err(failed)?;
    for folder in [&next.dir, &next.wal] {
        files::create_dir(folder).map_err(failed)?;
    }
    let last = write_segments(places, &next, options, keep, back).map_err(failed)?;
    keep_evidence(&places.wal, &next.wal).map_err(failed)?;
    fill_sled(&next, options)?;
    checkpoint::store(&next.dir, last).map_err(failed)?;
    segment::end::close(&next.dir, last).map_err(failed)?;
    verify(&next, options, keep)?;
    files::sync_dir(&next.dir).map_err(failed)?;
    files::replace(
        &next.dir.join("READY"),
        &next.dir.join("READY.tmp"),
        b"the new store is whole\n",
    )
    .map_err(failed)
}

/// The number of the last frame.
fn write_segments(
    places: &Places,
    next: &Places,
    options: &OpenOptions,
    keep: &BTreeMap<RunId, Head>,
    back: Vec<Entry>,
) -> io::Result<u64> {
    let fixed = Layout {
        dir: next.wal.clone(),
        end: next.dir.clone(),
        bytes: options.segment_bytes.max(1).next_multiple_of(BLOCK as u64),
        wrap: Arc::new(|file| Box::new(file)),
        spare: Arc::default(),
    };
    let mut wal = Wal::resume(fixed, None, 1)?;
    let (mut entries, mut size): (Vec<Entry>, usize) = (Vec::new(), 0);
    let (mut seen, mut last, mut result) = (0, 0, Ok(()));
    segment::list(&places.wal, |found| {
        if found.lsn <= seen || result.is_err() {
            return;
        }
        seen = found.lsn;
        for entry in decode_payload(found.payload).0 {
            if keep.contains_key(&entry.run) {
                size += frame_cost(&entry.body);
                entries.push(entry);
            }
        }
        if size >= FRAME {
            size = 0;
            result = wal
                .commit(&std::mem::take(&mut entries))
                .map(|lsn| last = lsn);
        }
    })?;
    result?;
    entries.extend(back);
    if !entries.is_empty() {
        last = wal.commit(&entries)?;
    }
    Ok(last)
}

/// Damaged files that were put aside outlive the folder they lie in.
fn keep_evidence(from: &Path, to: &Path) -> io::Result<()> {
    for item in fs::read_dir(from)? {
        let item = item?;
        let name = item.file_name();
        if name.to_string_lossy().contains(".damaged-") {
            fs::hard_link(item.path(), to.join(name))?;
        }
    }
    files::sync_dir(to)
}

fn fill_sled(next: &Places, options: &OpenOptions) -> Result<(), JournalError> {
    let failed = |why: String| unusable(&next.sled, &io::Error::other(why));
    let store = repair::create(&next.sled, options)?;
    repair::refill(next, &store, 1)?;
    store.checkpoint().map_err(failed)?;
    close(store, &next.sled)
}

/// Closes a database and waits until sled has let go of it, so that its folder can be given another name.
pub(super) fn close(store: Store, path: &Path) -> Result<(), JournalError> {
    drop(store);
    let until = Deadline::after(CLOSING);
    let file = fs::File::open(path.join("db")).map_err(|e| unusable(path, &e))?;
    while file.try_lock().is_err() {
        if until.is_over() {
            let why = io::Error::other("sled does not let go of it; nothing was exchanged");
            return Err(unusable(path, &why));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Both copies of the new store agree, and every run that stays ends where it did.
fn verify(
    next: &Places,
    options: &OpenOptions,
    keep: &BTreeMap<RunId, Head>,
) -> Result<(), JournalError> {
    let looked = look(next, options)?;
    let verdict = &looked.verdict;
    let alike = verdict.heads == *keep
        && verdict.not_in_sled == 0
        && verdict.not_in_segments == 0
        && !verdict.sled_is_bad
        && looked.no_store.is_none();
    if let Some(store) = looked.store {
        close(store, &next.sled)?;
    }
    if alike {
        return Ok(());
    }
    Err(JournalError::Corrupt {
        place: next.dir.display().to_string(),
        why: "the new store is not what the old one is; the old one was left as it is".into(),
    })
}
