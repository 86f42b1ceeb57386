//! The copy of the records that is read, listed and queried, in sled.
//!
//! sled can panic where it should return an error (a flipped byte: "tried to serialize Uninitialized"), so every call
//! goes through [`guard`]. Its `flush` does not sync on Linux (it calls `sync_file_range`), so a checkpoint
//! adds an `fdatasync` of its own on `<sled>/db`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use sled::{Batch, Db, Tree};

use crate::clock::Deadline;
use crate::id::{Digest, RunId};
use crate::journal::segment::{Entry, Reader, unusable};
use crate::journal::{JournalError, files};

/// A record with its place in the segments: frame number, position in the frame, records in the frame. With these
/// a lost frame can be written again exactly as it was, and it is known whether all of it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlacedEntry {
    pub(super) entry: Entry,
    pub(super) lsn: u64,
    pub(super) index: u32,
    pub(super) count: u32,
}

const FORMAT: u8 = 1;

/// The opened database.
pub(super) struct Store {
    db: Closing<Db>,
    records: Closing<Tree>,
    file: File,
}

/// A part of sled whose end may be the end of the database: it syncs then, and panics when that fails. The journal's
/// owner is on its way out and has been told why; the panic would only hide that.
struct Closing<T>(Option<T>);

impl<T> Closing<T> {
    fn new(part: T) -> Closing<T> {
        Closing(Some(part))
    }
}

impl<T> Deref for Closing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is taken out only when dropped")
    }
}

impl<T> Drop for Closing<T> {
    fn drop(&mut self) {
        let part = self.0.take();
        let closed = guard("close", || {
            drop(part);
            Ok(())
        });
        if let Err(why) = closed {
            tracing::error!(%why, "the next open replays the segments");
        }
    }
}

/// Runs something that may panic inside sled.
pub(super) fn guard<T>(what: &str, act: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => Err(format!("sled: {what}: {e}")),
        Err(panic) => {
            let why = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("without a word");
            Err(format!("sled: {what}: it panicked: {why}"))
        }
    }
}

/// Removes what a kill during an earlier `open` leaves behind: sled takes a torn `snap.*.generating` for its newest
/// snapshot and then refuses to open for ever. Plain `snap.*` files carry state and stay.
pub(super) fn discard_torn_snapshots(path: &Path) -> io::Result<()> {
    for item in fs::read_dir(path)? {
        let item = item?;
        let name = item.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(item.path())?;
        }
    }
    Ok(())
}

/// Removes a configuration without a database: a kill while sled creates both leaves half of the first, and sled then
/// says that its data is corrupted. A folder without a database holds no record.
fn discard_unfinished(path: &Path) -> io::Result<()> {
    let empty = match fs::metadata(path.join("db")) {
        Ok(db) => db.len() == 0,
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(e),
    };
    if !empty {
        return Ok(());
    }
    match fs::remove_file(path.join("conf")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Why the database did not open.
pub(super) enum OpenFailure {
    /// What is in it makes no sense: it can be rebuilt.
    Damaged(String),
    /// The machine would not let us: rebuilding would not help.
    Refused(JournalError),
}

/// Errors that say nothing about the content: no rights, no space, no file handles, a failing disk, no memory.
fn not_the_files_fault(e: &io::Error) -> bool {
    use io::ErrorKind as K;
    let kinds = [
        K::PermissionDenied,
        K::StorageFull,
        K::ReadOnlyFilesystem,
        K::OutOfMemory,
    ];
    let raw = [
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::IO,
        rustix::io::Errno::DQUOT,
    ];
    kinds.contains(&e.kind())
        || raw
            .iter()
            .any(|r| e.raw_os_error() == Some(r.raw_os_error()))
}

/// How long to wait for sled's lock: its threads may hold a database that this process has just closed a moment longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// sled's own lock is looked at first, or a database that is merely in use would be taken for a damaged one.
fn held_by_another(db: &Path) -> Result<(), OpenFailure> {
    let refused = |e: &io::Error| Err(OpenFailure::Refused(unusable(db, e)));
    let file = match File::open(db) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return refused(&e),
        Ok(file) => file,
    };
    let until = Deadline::after(PATIENCE);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if !until.is_over() => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return refused(&io::Error::other("another program has it open"));
            }
            Err(TryLockError::Error(e)) => return refused(&e),
        }
    }
}

impl Store {
    /// Opens or creates the database.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Store, OpenFailure> {
        let io = |e: io::Error| OpenFailure::Refused(unusable(path, &e));
        files::create_dir(path).map_err(io)?;
        discard_torn_snapshots(path).map_err(io)?;
        discard_unfinished(path).map_err(io)?;
        held_by_another(&path.join("db"))?;
        let new = !path.join("db").exists();
        let mut refused = None;
        let opened = guard("open", || {
            let db = sled::Config::new()
                .path(path)
                .cache_capacity(cache_bytes)
                .flush_every_ms(None)
                .mode(sled::Mode::LowSpace)
                .open();
            let db = match db {
                Err(sled::Error::Io(e)) if not_the_files_fault(&e) => {
                    refused = Some(unusable(path, &e));
                    return Err(sled::Error::Io(e));
                }
                other => other?,
            };
            let db = Closing::new(db);
            let records = Closing::new(db.open_tree("records")?);
            Ok((db, records))
        });
        if let Some(why) = refused {
            return Err(OpenFailure::Refused(why));
        }
        let (db, records) = opened.map_err(OpenFailure::Damaged)?;
        for name in ["db", "conf"] {
            files::make_private(&path.join(name), 0o600).map_err(io)?;
        }
        let file = File::open(path.join("db")).map_err(io)?;
        if new {
            file.sync_all().map_err(io)?;
            files::sync_dir(path).map_err(io)?;
        }
        Ok(Store { db, records, file })
    }

    /// Applies commits in their order, in one batch.
    pub(super) fn apply<'a>(
        &self,
        commits: impl Iterator<Item = (u64, &'a [Entry])>,
    ) -> Result<(), String> {
        let mut batch = Batch::default();
        for (lsn, entries) in commits {
            let count = u32::try_from(entries.len()).map_err(|e| e.to_string())?;
            for (index, e) in (0u32..).zip(entries) {
                batch.insert(key(&e.run, e.seq), encode(e, lsn, index, count));
            }
        }
        guard("apply", || self.records.apply_batch(batch))
    }

    /// Returns when everything applied so far is written to the file, though not synced.
    pub(super) fn write_out(&self) -> Result<(), String> {
        guard("flush", || self.db.flush()).map(drop)
    }

    /// Returns when everything applied so far would survive a power cut.
    pub(super) fn checkpoint(&self) -> Result<(), String> {
        self.write_out()?;
        self.file
            .sync_data()
            .map_err(|e| format!("sled: sync: {e}"))
    }

    /// All records of a run in order; a value that makes no sense is `None` under its number.
    pub(super) fn run(&self, run: &RunId) -> Result<Vec<(u64, Option<PlacedEntry>)>, String> {
        guard("read", || {
            let mut prefix = run.as_str().as_bytes().to_vec();
            prefix.push(0);
            let mut records = Vec::new();
            for item in self.records.scan_prefix(&prefix) {
                let (key, value) = item?;
                if let Ok(seq) = <[u8; 8]>::try_from(&key[prefix.len()..]) {
                    let seq = u64::from_be_bytes(seq);
                    records.push((seq, decode(run, seq, &value)));
                }
            }
            Ok(records)
        })
    }

    /// The runs that have records here, and whether there are keys that belong to none.
    pub(super) fn runs(&self) -> Result<(Vec<RunId>, bool), String> {
        guard("list runs", || {
            let (mut runs, mut strange) = (Vec::new(), false);
            let mut from: Vec<u8> = Vec::new();
            while let Some((key, _)) = self.records.get_gt(&from)? {
                let name = key.split(|b| *b == 0).next().unwrap_or_default();
                from = name.to_vec();
                from.push(1);
                match std::str::from_utf8(name).ok().and_then(|n| n.parse().ok()) {
                    Some(run) => runs.push(run),
                    None => strange = true,
                }
            }
            Ok((runs, strange))
        })
    }
}

fn key(run: &RunId, seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(run.as_str().len() + 9);
    key.extend_from_slice(run.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

fn encode(e: &Entry, lsn: u64, index: u32, count: u32) -> Vec<u8> {
    let mut value = Vec::with_capacity(57 + e.body.len());
    value.push(FORMAT);
    value.extend_from_slice(&lsn.to_le_bytes());
    value.extend_from_slice(&index.to_le_bytes());
    value.extend_from_slice(&count.to_le_bytes());
    value.extend_from_slice(&e.epoch.to_le_bytes());
    value.extend_from_slice(&e.hash.0);
    value.extend_from_slice(&e.body);
    value
}

fn decode(run: &RunId, seq: u64, value: &[u8]) -> Option<PlacedEntry> {
    let mut r = Reader(value);
    let [format] = r.array()?;
    (format == FORMAT).then_some(())?;
    let (lsn, index, count) = (r.u64()?, r.u32()?, r.u32()?);
    let entry = Entry {
        run: run.clone(),
        seq,
        epoch: r.u64()?,
        hash: Digest(r.array()?),
        body: r.0.to_vec(),
    };
    Some(PlacedEntry {
        entry,
        lsn,
        index,
        count,
    })
}
