//! Where records are kept.
//!
//! A journal is a set of runs; a run is a sequence of bodies, numbered from 0 without gaps. What a body says is not
//! the journal's business ([`codec`](crate::codec) knows). What is its business: a body that was acknowledged is
//! there after a power cut, in its place, unchanged; or the journal says that it is not, and nothing runs.

use async_trait::async_trait;

use crate::id::{Digest, RunId};

mod archive;
#[cfg(feature = "testing")]
pub mod conformance;
mod files;
pub mod memory;
mod segment;
pub mod sled;

/// The largest body a journal takes, in bytes. Larger things go to [`Journal::put`] first and are named by digest:
/// sled writes large values to files that it never syncs.
pub const BODY_MAX: usize = 4096;

/// A store of records that survives a power cut.
///
/// # The contract
/// * [`append`](Journal::append) returns `Ok` only when all bodies of the batch would survive a power cut, and only if
///   the run's next number was `first_seq` and no larger epoch was seen. It is all or nothing.
/// * After an error that may have left a write half done ([`JournalError::Broken`]) every later call fails the same
///   way: the process must end and open the journal anew.
/// * Each body is chained: `hash(n) = SHA-256(hash(n-1) ‖ run ‖ 0 ‖ n ‖ epoch ‖ body)`, numbers as eight big-endian
///   bytes, `hash(-1)` being 32 zero bytes. [`read`](Journal::read) verifies the chain.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Appends a batch to one run; see the contract above.
    ///
    /// # Errors
    /// [`JournalError::Conflict`], [`JournalError::Fenced`], [`JournalError::TooLarge`] and [`JournalError::Empty`] leave
    /// the journal as it was; [`JournalError::Broken`] does not promise that.
    async fn append(&self, batch: Append) -> Result<Head, JournalError>;

    /// Every record of a run in order, its chain verified. Empty when there is no such run.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] naming the first bad record.
    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError>;

    /// The last record's number, epoch and hash, or nothing when there is no such run.
    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError>;

    /// All runs, in the order of their names.
    async fn runs(&self) -> Result<Vec<RunId>, JournalError>;

    /// Stores bytes under their digest, durably, before the record that names them. Storing twice is storing once.
    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError>;

    /// The bytes stored under a digest, verified against it.
    ///
    /// # Errors
    /// [`JournalError::NoObject`] when they are missing, [`JournalError::Corrupt`] when they do not match.
    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError>;

    /// The finished runs that were put away, in the order of their names, pruned ones included. Those that are not
    /// pruned are read like any other; none of them takes a record any more.
    async fn archived(&self) -> Result<Vec<Archived>, JournalError> {
        Ok(Vec::new())
    }
}

/// A finished run that was put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The name of the run.
    pub run: RunId,
    /// The number and hash of its last record.
    pub head: Head,
    /// What is known of it without reading it; see [`retention`](crate::retention).
    pub summary: Vec<u8>,
    /// Its records are gone; only this is left.
    pub pruned: bool,
}

/// Bodies to append to one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The name of the run.
    pub run: RunId,
    /// The number the first body must get. Two drivers can never both own a number.
    pub first_seq: u64,
    /// The appending driver's fencing epoch. Refused when the run has seen a larger one.
    pub epoch: u64,
    /// At least one body, each at most [`BODY_MAX`] bytes.
    pub bodies: Vec<Vec<u8>>,
}

/// A record as it lies in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the run, from 0.
    pub seq: u64,
    /// The epoch of the driver that wrote it.
    pub epoch: u64,
    /// What it says, encoded.
    pub body: Vec<u8>,
    /// Its place in the chain.
    pub hash: Digest,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last record.
    pub seq: u64,
    /// Largest epoch seen.
    pub epoch: u64,
    /// Hash of the last record.
    pub hash: Digest,
}

/// The hash of a record that follows `previous`; see the contract of [`Journal`].
pub fn chain(previous: &Digest, run: &RunId, seq: u64, epoch: u64, body: &[u8]) -> Digest {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update(previous.0);
    hash.update(run.as_str().as_bytes());
    hash.update([0]);
    hash.update(seq.to_be_bytes());
    hash.update(epoch.to_be_bytes());
    hash.update(body);
    Digest(hash.finalize().into())
}

/// What comes before the first record of every run.
pub const GENESIS: Digest = Digest([0; 32]);

/// Why the journal did not do what was asked, and what that means for the records in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Another writer was faster; nothing was written.
    #[error("run {run}: record {wanted} cannot be written, the next one is {next}")]
    Conflict {
        /// The name of the run.
        run: RunId,
        /// The number that was asked for.
        wanted: u64,
        /// The number that would have been right.
        next: u64,
    },
    /// A newer driver has taken the run over; nothing was written.
    #[error("run {run}: driver epoch {ours} was overtaken by epoch {seen}")]
    Fenced {
        /// The name of the run.
        run: RunId,
        /// The caller's epoch.
        ours: u64,
        /// The epoch in force.
        seen: u64,
    },
    /// A body is over [`BODY_MAX`]; nothing was written.
    #[error("a record of {size} bytes is over the limit of {BODY_MAX}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// A batch without a body; nothing was written.
    #[error("run {run}: a batch needs at least one record")]
    Empty {
        /// The name of the run.
        run: RunId,
    },
    /// The run is over and was put away; nothing was written.
    #[error("run {run} is over and sealed in the archive: nothing can be added to it")]
    Sealed {
        /// The name of the run.
        run: RunId,
    },
    /// The records of the run were pruned.
    #[error("the records of run {run} were pruned; only its line in the list is left")]
    Pruned {
        /// The name of the run.
        run: RunId,
    },
    /// Another process has the journal open.
    #[error("the journal is in use by {holder}")]
    Locked {
        /// Who holds it: pid, host, since when, as written by the holder.
        holder: String,
    },
    /// This process had the journal open, and another has taken it over since. End the process.
    #[error("the journal was taken over by {by}; this process writes nothing more")]
    TakenOver {
        /// Who took it over, as written by the one who did.
        by: String,
    },
    /// A record or object is not what was written, in every copy there is. Nothing may run.
    #[error("the journal is damaged at {place}: {why}")]
    Corrupt {
        /// The run and the number of the first bad record, or the file.
        place: String,
        /// What does not fit.
        why: String,
    },
    /// The named object is missing.
    #[error("object {0} is missing from the journal")]
    NoObject(Digest),
    /// A write or sync failed: what is on disk is unknown until the journal is opened again. End the process.
    #[error("the journal cannot be trusted after a failed write: {0}")]
    Broken(String),
    /// The folder or a file cannot be used at all.
    #[error("the journal at {path} cannot be opened: {why}")]
    Unusable {
        /// The file or folder that failed.
        path: String,
        /// In words, with the fix.
        why: String,
    },
}
