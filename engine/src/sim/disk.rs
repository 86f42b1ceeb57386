//! A journal with a volatile tail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::world::{Life, Point, World};
use crate::id::{Digest, RunId};
use crate::journal::{Append, Head, Journal, JournalError, Stored};

/// The journal as one process has it open: its appends can be the last thing the process does, before them, between
/// write and sync, or after them and unacknowledged.
pub struct SimJournal {
    life: Life,
    broken: AtomicBool,
}

impl SimJournal {
    pub(super) fn new(life: Life) -> SimJournal {
        SimJournal {
            life,
            broken: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Journal for SimJournal {
    async fn append(&self, batch: Append) -> Result<Head, JournalError> {
        let broken = || JournalError::Broken("the disk failed".into());
        if self.broken.load(Ordering::SeqCst) {
            return Err(broken());
        }
        self.life.tick(Point::Appending).await;
        self.life.world.write(batch);
        if !self.life.tick(Point::Written).await {
            self.broken.store(true, Ordering::SeqCst);
            return Err(broken());
        }
        // A sync takes its time; what was started too early would act now.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let batch = self.life.world.take_written().ok_or_else(broken)?;
        let head = self.life.world.sync(batch).await?;
        self.life.tick(Point::Synced).await;
        Ok(head)
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        self.life.world.durable().read(run).await
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        self.life.world.durable().head(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.life.world.durable().runs().await
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        self.life.tick(Point::Storing).await;
        self.life.world.durable().put(bytes).await
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        self.life.world.durable().get(object).await
    }
}

/// The journal as a process has it open that does not drive and does not die.
pub(super) struct Others(pub(super) Arc<World>);

#[async_trait]
impl Journal for Others {
    async fn append(&self, batch: Append) -> Result<Head, JournalError> {
        self.0.sync(batch).await
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        self.0.durable().read(run).await
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        self.0.durable().head(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.0.durable().runs().await
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        self.0.durable().put(bytes).await
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        self.0.durable().get(object).await
    }
}
