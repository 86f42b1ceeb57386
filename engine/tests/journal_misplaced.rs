//! What lies where it does not belong, or looks for a moment as it should not: the fence, a place in sled, END, a segment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use flow_engine::journal::sled::{OpenOptions, SegmentFile, SledJournal};
use flow_engine::journal::{Append, Journal, JournalError};
use journal_support::*;

/// A segment in the middle of whose sync the fence cannot be read, once.
struct Blinking {
    file: File,
    fence: PathBuf,
    blink: Arc<AtomicBool>,
}

impl SegmentFile for Blinking {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(&self.file, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if self.blink.swap(false, SeqCst) {
            fs::rename(&self.fence, self.fence.with_extension("away"))?;
        }
        Ok(())
    }
}

fn one(name: &str, seq: u64, body: &[u8]) -> Append {
    Append {
        run: run(name),
        first_seq: seq,
        epoch: 1,
        bodies: vec![body.to_vec()],
    }
}

/// A commit that was written, and then refused because the fence could not be read for a moment.
async fn blinked(dir: &Path) -> SledJournal {
    let (blink, fence) = (Arc::new(AtomicBool::new(false)), dir.join("FENCE"));
    let (flag, name) = (Arc::clone(&blink), fence.clone());
    let options = OpenOptions {
        segment_hook: Some(Arc::new(move |file| {
            Box::new(Blinking {
                file,
                fence: name.clone(),
                blink: Arc::clone(&flag),
            })
        })),
        ..options()
    };
    let (journal, _) = SledJournal::open(dir, &options).unwrap();
    append(&journal, "a", 0..5).await;
    blink.store(true, SeqCst);
    let refused = journal.append(one("a", 5, b"one")).await.unwrap_err();
    assert!(
        matches!(refused, JournalError::TakenOver { .. }),
        "{refused}"
    );
    fs::rename(fence.with_extension("away"), &fence).unwrap();
    journal
}

#[tokio::test]
async fn a_journal_that_refused_a_commit_it_had_written_takes_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let journal = blinked(dir.path()).await;
    let again = journal.append(one("a", 5, b"two")).await;
    drop(journal);
    let opened = SledJournal::open(dir.path(), &options()).map(|(_, report)| report);
    assert!(again.is_err(), "acknowledged {again:?}; then {opened:?}");
    opened.unwrap();
}

#[tokio::test]
async fn a_commit_of_another_run_behind_a_refused_one_is_not_taken_for_damage() {
    let dir = tempfile::tempdir().unwrap();
    let journal = blinked(dir.path()).await;
    let _either = journal.append(one("b", 0, b"two")).await;
    drop(journal);
    assert_eq!(open(dir.path()).1.repaired, []);
}

fn alter_place_in_sled(dir: &Path, name: &str, seq: u64, lsn: u64) {
    let db = (0..200)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            sled::open(dir.join("sled")).ok()
        })
        .unwrap();
    let records = db.open_tree("records").unwrap();
    let mut key = name.as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&seq.to_be_bytes());
    let mut value = records.get(&key).unwrap().unwrap().to_vec();
    value[1..9].copy_from_slice(&lsn.to_le_bytes());
    records.insert(key, value).unwrap();
    db.flush().unwrap();
}

#[tokio::test]
async fn a_wrong_place_in_sleds_copy_is_mended_from_the_segments() {
    for lsn in [5000, u64::MAX - 1] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path()).await;
        alter_place_in_sled(dir.path(), "b", 40, lsn);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            SledJournal::open(dir.path(), &options()).map(|(journal, _)| journal)
        }));
        match opened {
            Ok(Ok(journal)) => all_complete(&journal).await,
            Ok(Err(error)) => panic!("{lsn}: the segments are whole, and yet: {error}"),
            Err(panic) => panic!("{lsn}: opening panics: {panic:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_end_that_names_an_absurd_commit_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let mut bytes = b"FLOWEND1".to_vec();
    for number in [1, u64::MAX - 1, 0u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(1);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    fs::write(dir.path().join("END"), bytes).unwrap();
    let opened = catch_unwind(AssertUnwindSafe(|| {
        SledJournal::open(dir.path(), &options()).map(drop)
    }));
    assert!(opened.is_ok(), "opening panics");
}

#[tokio::test]
async fn a_copy_of_a_segment_under_a_later_name_costs_no_segment() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let all = segments(dir.path());
    assert!(all.len() > 3, "{all:?}");
    let before = fs::read(&all[2]).unwrap();
    fs::copy(&all[1], dir.path().join("wal/wal-00000099.seg")).unwrap();
    let (journal, report) = open(dir.path());
    assert_ne!(report.repaired, []);
    append(&journal, "d", 0..300).await;
    assert!(
        fs::read(&all[2]).unwrap() == before,
        "{} was overwritten",
        all[2].display()
    );
}

/// And the process is killed before sled has what it committed.
#[tokio::test]
async fn a_copy_of_a_segment_under_a_later_name_and_a_kill_cost_no_record() {
    let (dir, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path()).await;
    let all = segments(dir.path());
    fs::copy(&all[1], dir.path().join("wal/wal-00000099.seg")).unwrap();
    copy(dir.path(), dead.path());
    let (journal, _) = open(dir.path());
    append(&journal, "d", 0..300).await;
    for name in ["wal", "END"] {
        let (from, to) = (dir.path().join(name), dead.path().join(name));
        if from.is_dir() {
            fs::remove_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
    drop(journal);
    let (journal, _) = open(dead.path());
    all_complete(&journal).await;
    complete(&journal, "d", 300).await;
}
