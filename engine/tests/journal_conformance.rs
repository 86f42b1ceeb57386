//! The two journals of this crate keep the contract, and one that breaks a clause is caught.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use flow_engine::id::{Digest, RunId};
use flow_engine::journal::conformance::{Place, conforms};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Head, Journal, JournalError, Stored};

#[derive(Default)]
struct Memory(Arc<MemoryJournal>);

#[async_trait]
impl Place for Memory {
    async fn open(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.0) as Arc<dyn Journal>
    }
}

struct Folder(tempfile::TempDir);

#[async_trait]
impl Place for Folder {
    async fn open(&self) -> Arc<dyn Journal> {
        let options = OpenOptions {
            segment_bytes: 64 << 10,
            ..OpenOptions::default()
        };
        let (journal, report) = SledJournal::open(self.0.path(), &options).unwrap();
        assert_eq!(report.repaired, [], "nothing was damaged");
        Arc::new(journal)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_in_memory_keeps_the_contract() {
    conforms(Memory::default).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_on_disk_keeps_the_contract() {
    conforms(|| Folder(tempfile::tempdir().unwrap()))
        .await
        .unwrap();
}

/// What is wrong with a journal that is right otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It forgets everything when it is opened anew.
    Forgets,
    /// It does not look at epochs.
    FencesNobody,
    /// It gives a number that was asked for, whether it is the next or not.
    GivesAnyNumber,
    /// It keeps only the first body of a batch.
    KeepsTheFirst,
    /// It keeps what comes before a body that is too large.
    KeepsTheRest,
    /// It takes a batch without a body for written.
    TakesNothing,
    /// It lists runs by when they came.
    ListsAnyhow,
    /// It says of any object that it is there, and empty.
    InventsObjects,
}

struct Faulty(Wrong, Arc<MemoryJournal>);

#[async_trait]
impl Place for Faulty {
    async fn open(&self) -> Arc<dyn Journal> {
        let journal = match self.0 {
            Wrong::Forgets => Arc::default(),
            _ => Arc::clone(&self.1),
        };
        Arc::new(Faulty(self.0, journal))
    }
}

#[async_trait]
impl Journal for Faulty {
    async fn append(&self, mut batch: Append) -> Result<Head, JournalError> {
        let head = self.1.head(&batch.run).await?;
        match self.0 {
            Wrong::FencesNobody => {
                batch.epoch = batch.epoch.max(head.map_or(0, |h| h.epoch));
            }
            Wrong::GivesAnyNumber => batch.first_seq = head.map_or(0, |h| h.seq + 1),
            Wrong::KeepsTheFirst => batch.bodies.truncate(1),
            Wrong::KeepsTheRest if batch.bodies.len() > 1 => {
                let first = Append {
                    bodies: vec![batch.bodies.remove(0)],
                    ..batch.clone()
                };
                self.1.append(first).await?;
                batch.first_seq += 1;
            }
            Wrong::TakesNothing if batch.bodies.is_empty() => batch.bodies.push(Vec::new()),
            _ => {}
        }
        self.1.append(batch).await
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        self.1.read(run).await
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        self.1.head(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let mut runs = self.1.runs().await?;
        if self.0 == Wrong::ListsAnyhow {
            runs.reverse();
        }
        Ok(runs)
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        self.1.put(bytes).await
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        match self.0 {
            Wrong::InventsObjects => Ok(Vec::new()),
            _ => self.1.get(object).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_of_a_clause_is_caught() {
    let planted = [
        (
            Wrong::Forgets,
            "reopening shows everything and goes on where it ended",
        ),
        (
            Wrong::FencesNobody,
            "an older epoch is fenced off, even after reopening",
        ),
        (
            Wrong::GivesAnyNumber,
            "a number is given once and a gap is refused",
        ),
        (
            Wrong::GivesAnyNumber,
            "of many writers that want the same number one gets it",
        ),
        (
            Wrong::KeepsTheFirst,
            "records are numbered, chained and read back as they were written",
        ),
        (Wrong::KeepsTheFirst, "a large batch is one commit"),
        (
            Wrong::KeepsTheRest,
            "a batch is written whole or not at all",
        ),
        (
            Wrong::TakesNothing,
            "an empty batch is refused and harms nothing",
        ),
        (
            Wrong::ListsAnyhow,
            "the name of a run that begins another name is no trap",
        ),
        (
            Wrong::InventsObjects,
            "an object is stored once and comes back as it was",
        ),
    ];
    for (wrong, clause) in planted {
        let found = conforms(|| Faulty(wrong, Arc::default())).await;
        let breaches = found.expect_err(&format!("{wrong:?} passes"));
        let caught = breaches.0.iter().any(|breach| breach.clause == clause);
        assert!(caught, "{wrong:?}: no `{clause}` in: {breaches}");
    }
}
