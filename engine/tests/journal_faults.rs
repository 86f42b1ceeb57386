//! Disks that fail or hang: no acknowledgement without a sync, and none ever after a failed one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow_engine::journal::sled::{OpenOptions, SegmentFile, SledJournal};
use flow_engine::journal::{Append, Journal, JournalError};
use journal_support::{body, complete, options, run};

/// What goes wrong, and when.
#[derive(Default)]
struct Fault {
    /// Calls that still succeed, counted over writes or syncs, whichever fails.
    left: AtomicU64,
    fail_write: Option<i32>,
    fail_sync: Option<i32>,
    /// Syncs wait until this is set.
    hang: Option<Arc<AtomicBool>>,
    /// Writes are kept here and reach the file only with a sync, as when the power may go at any time.
    cut: bool,
}

impl Fault {
    fn strike(&self, errno: Option<i32>) -> io::Result<()> {
        let Some(errno) = errno else { return Ok(()) };
        let left = self.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
        left.map(drop)
            .map_err(|_| io::Error::from_raw_os_error(errno))
    }
}

struct Faulty {
    file: File,
    fault: Arc<Fault>,
    unsynced: Mutex<Vec<(Vec<u8>, u64)>>,
}

impl SegmentFile for Faulty {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.fault.strike(self.fault.fail_write)?;
        if self.fault.cut {
            self.unsynced.lock().unwrap().push((bytes.to_vec(), offset));
            return Ok(());
        }
        FileExt::write_all_at(&self.file, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.fault.strike(self.fault.fail_sync)?;
        let open = || self.fault.hang.as_ref().is_none_or(|go| go.load(SeqCst));
        // Bounded, so that a journal that does not wait fails the test instead of hanging it.
        (0..2_000)
            .take_while(|_| !open())
            .for_each(|_| std::thread::sleep(Duration::from_millis(1)));
        for (bytes, offset) in self.unsynced.lock().unwrap().drain(..) {
            FileExt::write_all_at(&self.file, &bytes, offset)?;
        }
        self.file.sync_data()
    }
}

fn open_with(dir: &Path, fault: Fault) -> SledJournal {
    let fault = Arc::new(fault);
    let options = OpenOptions {
        segment_hook: Some(Arc::new(move |file| {
            Box::new(Faulty {
                file,
                fault: Arc::clone(&fault),
                unsynced: Mutex::default(),
            })
        })),
        ..options()
    };
    SledJournal::open(dir, &options).unwrap().0
}

fn batch(name: &str, seq: u64) -> Append {
    Append {
        run: run(name),
        first_seq: seq,
        epoch: 1,
        bodies: vec![body(name, seq)],
    }
}

/// Appends until it fails; the number of acknowledged records.
async fn until_broken(journal: &SledJournal) -> u64 {
    for seq in 0..1000 {
        match journal.append(batch("a", seq)).await {
            Ok(head) => assert_eq!(head.seq, seq),
            Err(JournalError::Broken(_)) => return seq,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the fault did not strike");
}

async fn everything_is_refused(journal: &SledJournal) {
    let broken = |e: JournalError| assert!(matches!(e, JournalError::Broken(_)), "{e:?}");
    for seq in 0..30 {
        broken(journal.append(batch("a", seq)).await.unwrap_err());
        broken(journal.append(batch("b", seq)).await.unwrap_err());
    }
    broken(journal.read(&run("a")).await.unwrap_err());
    broken(journal.head(&run("a")).await.unwrap_err());
    broken(journal.runs().await.unwrap_err());
    broken(journal.put(b"x").await.unwrap_err());
}

#[tokio::test]
async fn after_a_failed_write_or_sync_nothing_is_acknowledged_and_what_was_is_there() {
    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;
    for left in [1, 2, 7, 500] {
        for (fail_write, fail_sync) in [(Some(ENOSPC), None), (None, Some(EIO))] {
            let dir = tempfile::tempdir().unwrap();
            let journal = open_with(
                dir.path(),
                Fault {
                    left: left.into(),
                    fail_write,
                    fail_sync,
                    ..Fault::default()
                },
            );
            let acknowledged = until_broken(&journal).await;
            everything_is_refused(&journal).await;
            drop(journal);
            let (journal, report) = journal_support::open(dir.path());
            assert_eq!(report.repaired, []);
            let there = journal.read(&run("a")).await.unwrap().len() as u64;
            // A commit whose sync failed may be there or not; it was not acknowledged.
            assert!((acknowledged..=acknowledged + 1).contains(&there));
            complete(&journal, "a", there).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    drop(journal_support::open(dir.path()));
    let go = Arc::new(AtomicBool::new(false));
    let journal = open_with(
        dir.path(),
        Fault {
            hang: Some(Arc::clone(&go)),
            ..Fault::default()
        },
    );
    let mut pending = journal.append(batch("a", 0));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut pending).await;
    assert!(early.is_err(), "acknowledged without a sync: {early:?}");
    assert_eq!(journal.head(&run("a")).await.unwrap(), None);
    assert_eq!(journal.read(&run("a")).await.unwrap(), []);
    go.store(true, SeqCst);
    pending.await.unwrap();
    complete(&journal, "a", 1).await;
}

#[tokio::test]
async fn a_commit_writes_once_and_syncs_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(journal_support::open(dir.path()));
    for (fail_write, fail_sync) in [(Some(28), None), (None, Some(5))] {
        let journal = open_with(
            dir.path(),
            Fault {
                left: 100.into(),
                fail_write,
                fail_sync,
                ..Fault::default()
            },
        );
        let name = if fail_write.is_some() { "w" } else { "s" };
        for seq in 0..100 {
            journal.append(batch(name, seq)).await.unwrap();
        }
        journal.append(batch(name, 100)).await.unwrap_err();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_disk_that_drops_what_was_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_with(
        dir.path(),
        Fault {
            cut: true,
            ..Fault::default()
        },
    );
    for seq in 0..400 {
        journal.append(batch("a", seq)).await.unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    journal_support::copy(&dir.path().join("wal"), &copy.path().join("wal"));
    let (restored, report) = journal_support::open(copy.path());
    assert_eq!(report.runs, 1, "{report:?}");
    complete(&restored, "a", 400).await;
}

#[tokio::test]
async fn what_sled_had_not_synced_is_replayed_and_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = journal_support::open(dir.path());
    journal_support::append(&journal, "a", 0..700).await;
    let copy = tempfile::tempdir().unwrap();
    journal_support::copy(dir.path(), copy.path());
    let (restored, report) = journal_support::open(copy.path());
    assert!(report.replayed > 0, "{report:?}");
    assert_eq!(report.repaired, []);
    complete(&restored, "a", 700).await;
    drop(restored);
    let (restored, report) = journal_support::open(copy.path());
    assert_eq!((report.replayed, report.repaired.len()), (0, 0));
    complete(&restored, "a", 700).await;
}
