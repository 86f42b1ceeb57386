//! The journal on disk: every record lives twice.
//!
//! ```text
//! <dir>/LOCK         who has the journal open
//! <dir>/FENCE        which opening of it may write
//! <dir>/END          how far the segments reach at least; exact after an orderly end
//! <dir>/wal/         write-ahead segments: a commit is acknowledged when it is synced here
//! <dir>/sled/        the same records to read; up to date a moment later, synced at checkpoints
//! <dir>/checkpoint   the last commit that is known to be synced in sled
//! <dir>/objects/ab/  large things, by digest
//! <dir>/copies/ab/   the same once more
//! <dir>/archive/     finished runs that were put away; see [`Upkeep`]
//! ```
//!
//! Each copy rebuilds the other. Opening compares them; what was lost in one is taken from the other and reported, what
//! was lost in both is an error that names the record, and then nothing is mended. (sled itself writes to its folder
//! when it is opened, and cuts its log where it finds it damaged.)
//!
//! What cannot be noticed here: the whole folder replaced by an older copy of itself; and, only after a kill or a power
//! cut, the end of the last segment replaced by what it was at an earlier moment *of the same opening*, for commits that
//! sled had not got yet. A last commit that does not verify may be a torn write or a rotten record: it is dropped and
//! reported. Exports and sign-offs carry the hash of a run's head and show all of that.
//!
//! A caller that stops waiting for an append has not taken it back: it may be written.
//!
//! Opening reads all segments and hashes every record in them: 200 000 records in 1 000 runs took 0.5 to 1.0 s on two
//! loaded cores; 0.1 to 0.2 s of that is sled's. Runs that were put away are not among them.
//!
//! sled prints a panic message of its own when it meets certain damage; the panic is caught, the message is not.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::archive::Catalog;
pub use super::segment::SegmentFile;
use super::segment::{BLOCK, Layout, Wal, end, unbuffered, unusable};
use super::{Append, Archived, BODY_MAX, Head, Journal, JournalError, Stored, files};
use crate::id::{Digest, RunId};

mod applier;
mod checkpoint;
mod closed;
mod compact;
mod compare;
mod doubt;
mod holder;
mod index;
mod lock;
mod look;
mod objects;
mod open;
mod places;
mod read;
mod repair;
mod report;
mod shared;
mod stats;
mod store;
mod takeover;
mod upkeep;
mod writer;

pub use closed::ClosedJournal;
pub use holder::Holder;
use places::Places;
pub use report::{Dropped, OpenReport, Repair};
use shared::Shared;
pub use stats::Stats;
pub use takeover::{TakeOver, TakeOverError};
pub use upkeep::{
    Compacted, Mended, Pruned, Rehearsed, Sealed, ToSeal, Unneeded, Upkeep, prepare,
    rebuild_catalog, rehearse,
};
use writer::{Committer, Request};

/// Makes the thing a commit writes to out of a segment's file.
pub type SegmentHook = Arc<dyn Fn(File) -> Box<dyn SegmentFile> + Send + Sync>;

/// How to open a journal. The defaults are right for a release.
#[derive(Clone)]
pub struct OpenOptions {
    /// Size of a segment file in bytes, zeroed ahead. About 10 000 commits of a step fit 4 MiB.
    pub segment_bytes: u64,
    /// What sled may keep in memory, in bytes.
    pub cache_bytes: u64,
    /// How long after a commit sled is synced at the latest. Longer means more to replay after a power cut.
    pub checkpoint_every: Duration,
    /// How many batches may wait for the writer before callers wait for room.
    pub queue: usize,
    /// Puts something between a commit and its file: tests use it to make a disk fail.
    pub segment_hook: Option<SegmentHook>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            segment_bytes: 4 << 20,
            cache_bytes: 32 << 20,
            checkpoint_every: Duration::from_secs(10),
            queue: 1024,
            segment_hook: None,
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("segment_bytes", &self.segment_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("checkpoint_every", &self.checkpoint_every)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// See the module. Dropping it finishes what was accepted, syncs sled and lets go of the lock; it blocks for that.
pub struct SledJournal {
    shared: Arc<Shared>,
    committer: Arc<Committer>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    applier: Option<JoinHandle<()>>,
}

impl SledJournal {
    /// Opens the journal in a folder, which is created when it is missing. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when a process, this one included, has it open; [`JournalError::Corrupt`] when a
    /// record is damaged in both copies; [`JournalError::Unusable`] when the folder or a file cannot be used.
    pub fn open(
        dir: &Path,
        options: &OpenOptions,
    ) -> Result<(SledJournal, OpenReport), JournalError> {
        let places = Places::of(dir);
        files::create_dir(dir).map_err(|e| unusable(dir, &e))?;
        let lock = lock::take(dir)?;
        // Before any folder is made: an exchange that was cut short may have one of them elsewhere.
        compact::roll_forward(dir).map_err(|e| unusable(dir, &e))?;
        for folder in [&places.wal, &places.objects, &places.copies] {
            files::create_dir(folder).map_err(|e| unusable(folder, &e))?;
        }
        // A process killed between making a name and syncing its folder left it to us: what is written from here on
        // must not hang on a name that a power cut can take away.
        files::sync_parent(dir).map_err(|e| unusable(dir, &e))?;
        for folder in [&places.dir, &places.wal, &places.objects, &places.copies] {
            files::sync_dir(folder).map_err(|e| unusable(folder, &e))?;
        }
        for folder in [&places.objects, &places.copies] {
            super::segment::discard_leftovers(folder).map_err(|e| unusable(folder, &e))?;
        }
        let (mut catalog, damaged) = Catalog::load(&places.archive)?;
        let mut sound = open::open(&places, options)?;
        // Not before it is known that the folder is a journal whose copies agree. A version that kept objects once only
        // left no second copies: they are made now.
        let completed = objects::complete(&places).map_err(|e| unusable(&places.copies, &e))?;
        let completed = completed
            .into_iter()
            .map(|what| report::repaired(&what, "its other copy", 0, None));
        sound.report.repaired.extend(completed);
        // A version that knows of no archive may have gone on with a sealed run: then the longer one counts.
        let grown = |run: &RunId, end: &Head| {
            let live = sound.heads.get(run);
            live.is_some_and(|head| head.seq > end.seq)
        };
        catalog.runs.retain(|run, filed| !grown(run, &filed.head));
        if let Some(name) = damaged {
            catalog
                .store(&places.archive)
                .map_err(|e| unusable(&places.archive, &e))?;
            let repair = report::repaired(name, "its copy", 0, None);
            sound.report.repaired.push(repair);
        }
        sound.report.runs += catalog
            .runs
            .keys()
            .filter(|run| !sound.heads.contains_key(run))
            .count();
        let fixed = Layout {
            dir: places.wal.clone(),
            end: places.dir.clone(),
            bytes: options.segment_bytes.max(1).next_multiple_of(BLOCK as u64),
            wrap: options
                .segment_hook
                .clone()
                .unwrap_or_else(|| Arc::new(unbuffered)),
            spare: Arc::default(),
        };
        let last = sound.index.last;
        let wal = Wal::resume(fixed.clone(), sound.index.segments.last(), last + 1)
            .map_err(|e| unusable(&places.wal, &e))?;
        let shared = Arc::new(Shared::new(
            places,
            fixed,
            sound.store,
            catalog,
            sound.heads,
            last,
            lock,
        ));
        let journal = start(shared, wal, options)?;
        Ok((journal, sound.report))
    }

    /// Who holds the journal in a folder now; nothing when nobody does. Changes nothing.
    pub fn holder(dir: &Path) -> Option<Holder> {
        takeover::holder(dir)
    }

    /// Takes the journal from a process on this machine that does not go on, such as a stopped one: fences it off, ends
    /// it with SIGKILL and waits for its lock, `patience` at most. Blocks. Doing it twice is doing it once.
    ///
    /// # Errors
    /// [`TakeOverError::Unproven`], with nothing changed, unless the holder is proven to be the very process that has
    /// this journal open.
    pub fn take_over(dir: &Path, patience: Duration) -> Result<TakeOver, TakeOverError> {
        takeover::take_over(dir, patience)
    }

    /// Reads all stored objects in both copies and writes anew what is damaged in one of them. In words what was done, and
    /// what is damaged in both.
    ///
    /// # Errors
    /// When a folder cannot be read or a file not be written.
    pub async fn mend_objects(&self) -> Result<(Vec<String>, Vec<Digest>), JournalError> {
        self.blocking(|shared| {
            shared.may_write()?;
            let mended = objects::mend(&shared.places);
            let mended = mended.map_err(|e| unusable(&shared.places.copies, &e))?;
            Ok((mended.done, mended.lost))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Shared) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.shared.check()?;
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || act(&shared)).await {
            Ok(done) => done,
            Err(e) => Err(JournalError::Broken(format!("a read did not end: {e}"))),
        }
    }
}

fn start(
    shared: Arc<Shared>,
    wal: Wal,
    options: &OpenOptions,
) -> Result<SledJournal, JournalError> {
    let (requests, receiver) = mpsc::channel(options.queue.max(1));
    let failed = |e: std::io::Error| unusable(Path::new("the journal's threads"), &e);
    let (for_writer, for_applier) = (Arc::clone(&shared), Arc::clone(&shared));
    let every = options.checkpoint_every;
    let applier = Builder::new()
        .name("journal-apply".into())
        .spawn(move || applier::run(&for_applier, every))
        .map_err(failed)?;
    let committer = Arc::new(Committer::new(wal));
    let mut journal = SledJournal {
        shared,
        committer: Arc::clone(&committer),
        requests: Some(requests),
        writer: None,
        applier: Some(applier),
    };
    let writer = Builder::new()
        .name("journal-write".into())
        .spawn(move || committer.run(&for_writer, receiver))
        .map_err(failed)?;
    journal.writer = Some(writer);
    Ok(journal)
}

impl SledJournal {
    /// Ends the threads that write; whatever was accepted is then in both copies.
    fn quiesce(&mut self) {
        drop(self.requests.take());
        let writer = self.writer.take().map(JoinHandle::join);
        self.shared.stop();
        let applier = self.applier.take().map(JoinHandle::join);
        if let (Some(Ok(())), Some(Ok(()))) = (&writer, &applier) {
            self.close();
        }
        if matches!(writer, Some(Err(_))) || matches!(applier, Some(Err(_))) {
            tracing::error!("a thread of the journal panicked; the next open replays its segments");
        }
    }
}

impl SledJournal {
    /// Notes that nothing follows what sled has on disk.
    fn close(&self) {
        let shared = &self.shared;
        if shared.check().and_then(|()| shared.may_write()).is_err() {
            return;
        }
        let (dir, last) = (&shared.places.dir, shared.durable());
        let closed = match checkpoint::load(dir) {
            Ok(at) if at.lsn() == last => end::close(dir, last),
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(why) = closed {
            tracing::warn!(%why, "the next open takes this end of the journal for a crash");
        }
    }
}

impl Drop for SledJournal {
    fn drop(&mut self) {
        self.quiesce();
    }
}

impl fmt::Debug for SledJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledJournal")
            .field("dir", &self.shared.places.dir)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Journal for SledJournal {
    async fn append(&self, batch: Append) -> Result<Head, JournalError> {
        self.shared.check()?;
        if let Some(big) = batch.bodies.iter().find(|b| b.len() > BODY_MAX) {
            return Err(JournalError::TooLarge { size: big.len() });
        }
        let gone = || JournalError::Broken("the journal's writer has ended".into());
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        let batch = match self.committer.alone(&self.shared, batch) {
            Ok(done) => return done,
            Err(batch) => batch,
        };
        let (reply, answer) = oneshot::channel();
        let room = requests.reserve().await.map_err(|_| gone())?;
        self.committer.queues();
        room.send(Request { batch, reply });
        answer.await.map_err(|_| gone())?
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        let run = run.clone();
        self.blocking(move |shared| read::read(shared, &run)).await
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        self.shared.check()?;
        Ok(self.shared.head(run))
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.shared.check()?;
        Ok(self.shared.runs())
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        let bytes = bytes.to_vec();
        self.blocking(move |shared| {
            objects::put(&shared.places, &bytes)
                .map_err(|e| shared.break_with(format!("store an object: {e}")))
        })
        .await
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        let object = *object;
        self.blocking(move |shared| read::object(shared, &object))
            .await
    }

    async fn archived(&self) -> Result<Vec<Archived>, JournalError> {
        self.shared.check()?;
        Ok(self.shared.archived())
    }
}
