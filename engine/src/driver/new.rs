//! How a run comes into being.

use super::{Driver, Engine, Handle};
use crate::clock::Timestamp;
use crate::id::RunId;
use crate::plan::Plan;
use crate::record::{Entry, Payload, Record};
use crate::run::{IllegalRecord, LoadError, Run, append_all, fits};
use crate::signal::{Actor, Signal};

/// A new run.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its name, which no other run of the journal has.
    pub id: RunId,
    /// What it will do; it never changes.
    pub plan: Plan,
    /// Who starts it.
    pub by: Actor,
    /// Why, for the record; may be empty.
    pub reason: String,
    /// The caller's own key for it.
    pub request: Option<String>,
}

impl NewRun {
    /// The run as it would be if it were started at this moment. Nothing is stored: a start that must be signed is signed
    /// for this, before there is anything to take back.
    ///
    /// # Errors
    /// [`IllegalRecord`] for a plan that no run can follow.
    pub fn preview(&self, at: Timestamp) -> Result<Run, IllegalRecord> {
        Run::create(&self.id, 0, &self.clone().first(at))
    }

    fn first(self, at: Timestamp) -> Entry {
        let record = Record::Created {
            plan: Payload::Inline(self.plan.to_json()),
            by: self.by,
            reason: self.reason,
            request: self.request,
        };
        Entry { at, record }
    }
}

impl Engine {
    /// Writes a new run's first record and takes it.
    ///
    /// # Errors
    /// [`LoadError`] when the journal fails or already has a run of that name.
    pub async fn start(self, new: NewRun) -> Result<(Driver, Handle), LoadError> {
        self.start_with(new, Vec::new()).await
    }

    /// The same for a run that has answers from its first moment, such as the signature of who starts it: they are
    /// stored together with the run, all or nothing.
    ///
    /// # Errors
    /// As [`Engine::start`]; [`LoadError::Refused`] when an answer is for no step of the plan or too long. Nothing is
    /// stored then.
    pub async fn start_with(
        self,
        new: NewRun,
        answers: Vec<Signal>,
    ) -> Result<(Driver, Handle), LoadError> {
        let (id, now) = (new.id.clone(), self.clock.now());
        let mut run = new.preview(now)?;
        let mut entries = vec![new.first(now)];
        for answer in answers {
            run.accepts_signal(&answer)?;
            let record = Record::Signalled(answer);
            fits(&record)?;
            let entry = Entry { at: now, record };
            run.apply(run.epoch, &entry)?;
            entries.push(entry);
        }
        append_all(&*self.journal, &id, (0, 0), &entries).await?;
        self.resume(&id).await
    }
}
