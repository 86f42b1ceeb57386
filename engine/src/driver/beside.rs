//! What others write into a run while it is driven: orders, answers, and which mails went out.
//!
//! A driver decides on what it knows. When the journal says that somebody else wrote first, what was decided is dropped, what
//! they wrote is taken in, and what the world answered meanwhile is kept: it is true whoever wrote first.

use std::sync::Arc;

use super::{Driver, begin};
use crate::event::Event;
use crate::journal::JournalError;
use crate::record::{Entry, Record};
use crate::run::{Delivery, LoadError, Refusal, Run, TRIES, append_all};

/// What became of what was staged.
#[derive(Default)]
pub(super) struct Commit {
    /// Whether others wrote first: what was decided before is void, and nothing that was begun for it may start.
    pub(super) anew: bool,
    /// Why an order or answer was not stored after all, such as that others gave it first.
    pub(super) refusal: Option<Refusal>,
}

/// Whether a staged record still holds, when others wrote first.
enum Validity {
    /// It follows from what was known then: it is decided anew.
    Decision,
    /// What the world answered; it stays.
    Result,
    /// An order or answer that reached this driver, and whether it still holds.
    Word(Result<(), Refusal>),
    /// A mail's fate that is on record already.
    Told,
}

impl Driver {
    /// Makes everything staged durable, then tells observers. Others who wrote first are heard, and it is tried again.
    ///
    /// # Errors
    /// [`LoadError`] when the journal fails, another driver has the run, or others write first again and again.
    pub(super) async fn flush(&mut self) -> Result<Commit, LoadError> {
        let mut commit = Commit::default();
        for _ in 0..TRIES {
            if self.staged.is_empty() {
                return Ok(commit);
            }
            let entries = std::mem::take(&mut self.staged);
            let first_seq = self.run.next_seq - entries.len() as u64;
            let place = (first_seq, self.run.epoch);
            match append_all(&*self.engine.journal, &self.run.id, place, &entries).await {
                Ok(()) => {
                    self.tell((first_seq..).zip(entries));
                    return Ok(commit);
                }
                Err(LoadError::Journal(JournalError::Conflict { .. })) => {
                    commit.anew = true;
                    let refusal = Box::pin(self.take_in(first_seq, entries)).await?;
                    commit.refusal = commit.refusal.or(refusal);
                }
                Err(error) => return Err(error),
            }
        }
        Err(LoadError::NoTurn(self.run.id.clone()))
    }

    /// Whether others wrote something since the last commit; it is taken in. Asked before a driver stops, when nothing is
    /// staged: nobody else would act on it.
    pub(super) async fn heard_others(&mut self) -> Result<bool, LoadError> {
        let head = self.engine.journal.head(&self.run.id).await?;
        let news = head.is_some_and(|head| {
            // Who took the run over acts on it himself.
            head.epoch == self.run.epoch && head.seq >= self.run.next_seq
        });
        if news {
            Box::pin(self.take_in(self.run.next_seq, Vec::new())).await?;
        }
        Ok(news)
    }

    /// Reads the run anew, with what others wrote from this record on, and stages again what still holds.
    async fn take_in(
        &mut self,
        first_seq: u64,
        staged: Vec<Entry>,
    ) -> Result<Option<Refusal>, LoadError> {
        let (id, epoch) = (self.run.id.clone(), self.run.epoch);
        let mut run: Option<Run> = None;
        let mut news = Vec::new();
        for (stored, entry) in Run::entries(&*self.engine.journal, &id).await? {
            if stored.seq >= first_seq {
                if stored.epoch != epoch {
                    return Err(LoadError::Journal(JournalError::Fenced {
                        run: id,
                        ours: epoch,
                        seen: stored.epoch,
                    }));
                }
                if !may_be_of_others(&entry.record) {
                    return Err(LoadError::SecondDriver {
                        run: id,
                        seq: stored.seq,
                    });
                }
                news.push((stored.seq, entry.clone()));
            }
            match &mut run {
                None => run = Some(Run::create(&id, stored.epoch, &entry)?),
                Some(run) => run.apply(stored.epoch, &entry)?,
            }
        }
        let run = run.ok_or_else(|| LoadError::NoRun(id.clone()))?;
        if news.is_empty() {
            // Fewer records than were acknowledged: nobody wrote first, some are missing.
            return Err(LoadError::Journal(JournalError::Conflict {
                run: id,
                wanted: first_seq,
                next: run.next_seq,
            }));
        }
        self.run = Arc::new(run);
        self.tell(news);
        self.begun.clear();
        let refusal = self.stage_again(staged)?;
        if let Some((step, why)) = self.engine.registry.unreadable(&self.run) {
            self.stage(begin::unreadable(&self.run, step, &why))?;
        }
        Ok(refusal)
    }

    /// Stages what still holds, and says why an order or answer among it no longer does.
    fn stage_again(&mut self, staged: Vec<Entry>) -> Result<Option<Refusal>, LoadError> {
        let mut refusal = None;
        for entry in staged {
            match validity(&self.run, &entry.record) {
                Validity::Decision | Validity::Told => continue,
                Validity::Word(Err(why)) => {
                    refusal = Some(why);
                    continue;
                }
                Validity::Word(Ok(())) | Validity::Result => {}
            }
            let epoch = self.run.epoch;
            Arc::make_mut(&mut self.run).apply(epoch, &entry)?;
            self.staged.push(entry);
        }
        Ok(refusal)
    }

    /// Stages what became of a mail, unless others wrote down already that it was sent.
    pub(super) fn stage_fate(&mut self, fate: Option<Record>) -> Result<(), LoadError> {
        match fate {
            Some(record) if !matches!(validity(&self.run, &record), Validity::Told) => {
                self.stage(record)
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, entries: impl IntoIterator<Item = (u64, Entry)>) {
        for (seq, entry) in entries {
            self.engine.observers.tell(&Event::Stored {
                run: Arc::clone(&self.run),
                seq,
                entry,
            });
        }
    }
}

/// Whether a process that does not drive the run writes such records.
fn may_be_of_others(record: &Record) -> bool {
    matches!(
        record,
        Record::Signalled(_) | Record::Ordered { .. } | Record::Sent { .. }
    )
}

fn validity(run: &Run, record: &Record) -> Validity {
    match record {
        Record::Created { .. }
        | Record::Acquired { .. }
        | Record::Started { .. }
        | Record::Skipped { .. }
        | Record::Unwinding { .. }
        | Record::UndoStarted { .. }
        | Record::Parked { .. }
        | Record::Finished { .. } => Validity::Decision,
        Record::Noted { .. }
        | Record::Waiting { .. }
        | Record::Done { .. }
        | Record::Failed { .. }
        | Record::Undone { .. }
        | Record::UndoFailed { .. }
        | Record::Queued { .. } => Validity::Result,
        Record::Signalled(signal) => Validity::Word(run.accepts_signal(signal)),
        Record::Ordered { order, .. } => Validity::Word(run.accepts(order)),
        Record::Sent { notice } | Record::Undeliverable { notice, .. } => {
            let sent = |delivery: &Delivery| matches!(delivery, Delivery::Sent(_));
            let mut notices = run.notices.iter();
            if notices.any(|known| known.id == *notice && sent(&known.delivery)) {
                Validity::Told
            } else {
                Validity::Result
            }
        }
    }
}
