//! How large everything is.

use std::io;

use serde::Serialize;

use super::SledJournal;
use super::shared::Shared;
use crate::journal::segment::{number_of, unusable};
use crate::journal::{JournalError, archive, files};

/// Counts and sizes of a journal. Sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Runs in the live store.
    pub live_runs: usize,
    /// How many records the live runs have.
    pub live_records: u64,
    /// Runs in the archive.
    pub sealed_runs: usize,
    /// How many records the sealed runs have.
    pub sealed_records: u64,
    /// Runs of which only the line in the list is left.
    pub pruned_runs: usize,
    /// The run with the most records.
    pub largest_run: Option<String>,
    /// How many it has.
    pub largest_run_records: u64,
    /// Segment files of the write-ahead log.
    pub segments: usize,
    /// How many archive files there are.
    pub archives: usize,
    /// Size of the segments.
    pub segment_bytes: u64,
    /// Size of sled's folder.
    pub sled_bytes: u64,
    /// Size of the stored objects, both copies.
    pub object_bytes: u64,
    /// Size of the archive files and their catalog.
    pub archive_bytes: u64,
    /// Damaged files and folders that were put aside; they may be deleted.
    pub kept_aside: usize,
}

impl SledJournal {
    /// Counts and measures everything; reads no record.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub async fn stats(&self) -> Result<Stats, JournalError> {
        self.blocking(|shared| stats(shared).map_err(|e| unusable(&shared.places.dir, &e)))
            .await
    }
}

fn stats(shared: &Shared) -> io::Result<Stats> {
    let places = &shared.places;
    let mut stats = Stats {
        segment_bytes: files::bytes_in(&places.wal)?,
        sled_bytes: files::bytes_in(&places.sled)?,
        object_bytes: files::bytes_in(&places.objects)? + files::bytes_in(&places.copies)?,
        archive_bytes: files::bytes_in(&places.archive)?,
        archives: archive::list(&places.archive)?.len(),
        ..Stats::default()
    };
    for item in std::fs::read_dir(&places.wal)? {
        stats.segments += usize::from(number_of(&item?.path()).is_some());
    }
    for folder in [&places.dir, &places.wal, &places.archive] {
        stats.kept_aside += kept_aside(folder)?;
    }
    let catalog = &shared.catalog.runs;
    for (run, head) in shared.live() {
        if !catalog.contains_key(&run) {
            stats.live_runs += 1;
            stats.live_records += head.seq + 1;
            stats.take_largest(run.as_str(), head.seq + 1);
        }
    }
    for (run, filed) in catalog {
        if filed.place.is_none() {
            stats.pruned_runs += 1;
            continue;
        }
        stats.sealed_runs += 1;
        stats.sealed_records += filed.head.seq + 1;
        stats.take_largest(run.as_str(), filed.head.seq + 1);
    }
    Ok(stats)
}

impl Stats {
    fn take_largest(&mut self, run: &str, records: u64) {
        if records > self.largest_run_records {
            self.largest_run = Some(run.to_owned());
            self.largest_run_records = records;
        }
    }
}

fn kept_aside(folder: &std::path::Path) -> io::Result<usize> {
    let items = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut count = 0;
    for item in items {
        count += usize::from(item?.file_name().to_string_lossy().contains(".damaged-"));
    }
    Ok(count)
}
