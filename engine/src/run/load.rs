//! From a journal to a run, and the few appends that need no driver.

use super::{Delivery, IllegalRecord, Refusal, Run};
use crate::clock::Timestamp;
use crate::codec::{self, CodecError};
use crate::id::RunId;
use crate::journal::{Append, Journal, JournalError, Stored};
use crate::record::{Entry, Payload, Record};
use crate::signal::{Actor, Order, Signal};

/// Why a run cannot be read or written. Nothing runs on a run that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// There is no such run.
    #[error("there is no run {0} in the journal")]
    NoRun(RunId),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record is not readable.
    #[error("run {run}, record {seq}: {source}")]
    Codec {
        /// The run whose record is not readable.
        run: RunId,
        /// The record's number.
        seq: u64,
        /// What is wrong with its bytes.
        source: CodecError,
    },
    /// A record does not follow from the ones before.
    #[error(transparent)]
    Illegal(#[from] IllegalRecord),
    /// An order or answer is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Others wrote first, again and again. Nothing was written.
    #[error("run {0}: others wrote first, {TRIES} times in a row; nothing was written")]
    NoTurn(RunId),
    /// Another process drives the run although it has not taken it over. Nothing was written.
    #[error(
        "run {run}: record {seq} is of another driver that has not taken the run over; nothing was written"
    )]
    SecondDriver {
        /// The run that has two drivers.
        run: RunId,
        /// The number of the first record that only a driver writes.
        seq: u64,
    },
}

/// How often in a row others may write first before a writer gives up.
pub(crate) const TRIES: u32 = 16;

impl Run {
    /// The run as the journal has it.
    ///
    /// # Errors
    /// See [`LoadError`]; each names the run and the first bad record.
    pub async fn load(journal: &dyn Journal, id: &RunId) -> Result<Run, LoadError> {
        let mut run: Option<Run> = None;
        for stored in journal.read(id).await? {
            let entry = read_entry(journal, id, &stored).await?;
            match &mut run {
                None => run = Some(Run::create(id, stored.epoch, &entry)?),
                Some(run) => run.apply(stored.epoch, &entry)?,
            }
        }
        run.ok_or_else(|| LoadError::NoRun(id.clone()))
    }

    /// Every record of a run, for audit and export.
    ///
    /// # Errors
    /// As [`Run::load`].
    pub async fn entries(
        journal: &dyn Journal,
        id: &RunId,
    ) -> Result<Vec<(Stored, Entry)>, LoadError> {
        let mut entries = Vec::new();
        for stored in journal.read(id).await? {
            let entry = read_entry(journal, id, &stored).await?;
            entries.push((stored, entry));
        }
        if entries.is_empty() {
            Err(LoadError::NoRun(id.clone()))
        } else {
            Ok(entries)
        }
    }
}

async fn read_entry(
    journal: &dyn Journal,
    id: &RunId,
    stored: &Stored,
) -> Result<Entry, LoadError> {
    let unreadable = |source| LoadError::Codec {
        run: id.clone(),
        seq: stored.seq,
        source,
    };
    let mut entry = codec::decode(&stored.body).map_err(unreadable)?;
    if let Some(payload) = entry.record.payload_mut()
        && let Payload::Object(digest) = payload
    {
        *payload = Payload::Inline(journal.get(digest).await?);
    }
    Ok(entry)
}

/// Makes entries durable, all or none: numbered from `first_seq`, under this fencing epoch.
pub(crate) async fn append_all(
    journal: &dyn Journal,
    run: &RunId,
    (first_seq, epoch): (u64, u64),
    entries: &[Entry],
) -> Result<(), LoadError> {
    let bodies = encode_all(journal, run, first_seq, entries).await?;
    let batch = Append {
        run: run.clone(),
        first_seq,
        epoch,
        bodies,
    };
    journal.append(batch).await?;
    Ok(())
}

/// The stored form of entries; large payloads go to the object store first.
async fn encode_all(
    journal: &dyn Journal,
    run: &RunId,
    first_seq: u64,
    entries: &[Entry],
) -> Result<Vec<Vec<u8>>, LoadError> {
    let mut bodies = Vec::with_capacity(entries.len());
    for (seq, entry) in (first_seq..).zip(entries) {
        let body = match entry.record.payload() {
            Some(Payload::Inline(bytes)) if bytes.len() > Payload::INLINE_MAX => {
                let object = Payload::Object(journal.put(bytes).await?);
                let mut entry = entry.clone();
                if let Some(payload) = entry.record.payload_mut() {
                    *payload = object;
                }
                codec::encode(&entry)
            }
            _ => codec::encode(entry),
        };
        let unwritable = |source| LoadError::Codec {
            run: run.clone(),
            seq,
            source,
        };
        bodies.push(body.map_err(unwritable)?);
    }
    Ok(bodies)
}

/// Appends an answer as a process that does not drive the run. A repeated one changes nothing and is fine.
///
/// # Errors
/// [`LoadError::Refused`] with [`Refusal::NoStep`] for a step the plan does not have; others as [`Run::load`].
pub async fn append_signal(
    journal: &dyn Journal,
    run: &mut Run,
    signal: Signal,
) -> Result<(), LoadError> {
    let entry = Entry {
        at: signal.at,
        record: Record::Signalled(signal.clone()),
    };
    append_one(journal, run, entry, |run| run.accepts_signal(&signal)).await
}

/// Appends an order as a process that does not drive the run. Who drives it hears of it at the next record.
///
/// # Errors
/// [`LoadError::Refused`] when the run does not accept it now; others as [`Run::load`].
pub async fn append_order(
    journal: &dyn Journal,
    run: &mut Run,
    order: Order,
    by: Actor,
    reason: &str,
    at: Timestamp,
) -> Result<(), LoadError> {
    let entry = Entry {
        at,
        record: Record::Ordered {
            order: order.clone(),
            by,
            reason: reason.into(),
        },
    };
    append_one(journal, run, entry, |run| run.accepts(&order)).await
}

/// Appends that a notice went out, as a process that does not drive the run. What is on record already is not written twice.
///
/// # Errors
/// As [`Run::load`].
pub async fn append_sent(
    journal: &dyn Journal,
    run: &mut Run,
    notice: u64,
    at: Timestamp,
) -> Result<(), LoadError> {
    let record = Record::Sent { notice };
    let sent = |run: &Run| {
        let mut notices = run.notices.iter();
        notices.any(|n| n.id == notice && matches!(n.delivery, Delivery::Sent(_)))
    };
    let accepts = |run: &Run| {
        if sent(run) {
            Err(Refusal::Already)
        } else {
            Ok(())
        }
    };
    match append_one(journal, run, Entry { at, record }, accepts).await {
        Err(LoadError::Refused(Refusal::Already)) => Ok(()),
        other => other,
    }
}

/// Appends one record. Whenever others wrote first the run is read anew and asked again whether it accepts it.
async fn append_one(
    journal: &dyn Journal,
    run: &mut Run,
    entry: Entry,
    accepts: impl Fn(&Run) -> Result<(), Refusal> + Send,
) -> Result<(), LoadError> {
    for _ in 0..TRIES {
        accepts(run)?;
        super::fits(&entry.record)?;
        let place = (run.next_seq, run.epoch);
        match append_all(journal, &run.id, place, std::slice::from_ref(&entry)).await {
            Ok(()) => return Ok(run.apply(run.epoch, &entry)?),
            // A new driver's epoch is no reason either: an answer is one whoever drives.
            Err(LoadError::Journal(
                JournalError::Conflict { .. } | JournalError::Fenced { .. },
            )) => {
                *run = Run::load(journal, &run.id).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(LoadError::NoTurn(run.id.clone()))
}

impl Run {
    /// Whether this answer can be stored: the step exists and it was not given before.
    ///
    /// # Errors
    /// [`Refusal::NoStep`], or [`Refusal::Already`] which callers report as success.
    pub fn accepts_signal(&self, signal: &Signal) -> Result<(), Refusal> {
        if self.step_at(&signal.step).is_none() {
            return Err(Refusal::NoStep(signal.step.clone()));
        }
        if self
            .signals
            .iter()
            .any(|s| s.step == signal.step && s.id == signal.id)
        {
            return Err(Refusal::Already);
        }
        Ok(())
    }
}
