//! A journal in memory, for tests: as strict as the real one, and gone with the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::{Append, BODY_MAX, GENESIS, Head, Journal, JournalError, Stored, chain};
use crate::id::{Digest, RunId};

/// See the module. Clone the [`Arc`](std::sync::Arc) around it to "restart the process".
#[derive(Debug, Default)]
pub struct MemoryJournal {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    runs: BTreeMap<RunId, Vec<Stored>>,
    objects: BTreeMap<Digest, Vec<u8>>,
}

impl MemoryJournal {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn head_of(records: &[Stored]) -> Option<Head> {
    let last = records.last()?;
    let epoch = records.iter().map(|r| r.epoch).max()?;
    Some(Head {
        seq: last.seq,
        epoch,
        hash: last.hash,
    })
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, batch: Append) -> Result<Head, JournalError> {
        let mut inner = self.lock();
        let head = inner.runs.get(&batch.run).and_then(|r| head_of(r));
        let next = head.map_or(0, |h| h.seq + 1);
        if let Some(big) = batch.bodies.iter().find(|b| b.len() > BODY_MAX) {
            return Err(JournalError::TooLarge { size: big.len() });
        }
        if let Some(h) = head.filter(|h| batch.epoch < h.epoch) {
            return Err(JournalError::Fenced {
                run: batch.run,
                ours: batch.epoch,
                seen: h.epoch,
            });
        }
        if batch.first_seq != next {
            return Err(JournalError::Conflict {
                run: batch.run,
                wanted: batch.first_seq,
                next,
            });
        }
        if batch.bodies.is_empty() {
            return Err(JournalError::Empty { run: batch.run });
        }
        let records = inner.runs.entry(batch.run.clone()).or_default();
        let mut previous = head.map_or(GENESIS, |h| h.hash);
        for (seq, body) in (next..).zip(batch.bodies) {
            let hash = chain(&previous, &batch.run, seq, batch.epoch, &body);
            records.push(Stored {
                seq,
                epoch: batch.epoch,
                body,
                hash,
            });
            previous = hash;
        }
        Ok(head_of(records).expect("at least one record was just added"))
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        Ok(self.lock().runs.get(run).cloned().unwrap_or_default())
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        Ok(self.lock().runs.get(run).and_then(|r| head_of(r)))
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        Ok(self
            .lock()
            .runs
            .iter()
            .filter(|(_, r)| !r.is_empty())
            .map(|(id, _)| id.clone())
            .collect())
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        let digest = Digest::of(bytes);
        self.lock().objects.insert(digest, bytes.to_vec());
        Ok(digest)
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        self.lock()
            .objects
            .get(object)
            .cloned()
            .ok_or(JournalError::NoObject(*object))
    }
}
