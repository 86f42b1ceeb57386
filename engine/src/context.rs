//! What a step is given: its own identity, the run so far, and the few ways to speak to the engine.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::answer::Reply;
use crate::clock::{Clock, Timestamp};
use crate::event::{Event, Observers, Progress};
use crate::id::RunId;
use crate::journal::Journal;
use crate::plan::Plan;
use crate::planner::Arg;
use crate::resources::Resources;
use crate::retention::RunSummary;
use crate::run::{LoadError, Run};
use crate::signal::Signal;
use crate::step::StepError;

/// Something a running step wants from the driver.
pub(crate) enum Request {
    Note {
        step: u32,
        note: Vec<u8>,
        stored: oneshot::Sender<()>,
    },
    Queue {
        topic: String,
        body: Vec<u8>,
        stored: oneshot::Sender<()>,
    },
}

/// What a step is given. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    pub(crate) step: u32,
    pub(crate) attempt: u16,
    pub(crate) resumed: bool,
    pub(crate) run: Arc<Run>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) resources: Resources,
    pub(crate) observers: Observers,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) cancel: CancellationToken,
}

impl Cx {
    /// The name of the run that this step is a part of.
    pub fn run_id(&self) -> &RunId {
        &self.run.id
    }

    /// The run as it was when this step was started.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The plan of the run, with its facts.
    pub fn plan(&self) -> &Plan {
        &self.run.plan
    }

    /// This step's key.
    pub fn key(&self) -> &str {
        &self.run.plan.nodes[self.step as usize].key
    }

    /// Which attempt this is, counted from 1. A resumed attempt keeps its number.
    pub fn attempt(&self) -> u16 {
        self.attempt
    }

    /// Whether an earlier process may have begun this very attempt.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The fencing epoch of this driver; a host refuses a smaller one than it has seen.
    pub fn epoch(&self) -> u64 {
        self.run.epoch
    }

    /// The same in every life of this step, so that the other side can tell a repetition.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.run.id, self.key())
    }

    /// What a person stated about an unknown outcome of this step.
    pub fn settled(&self) -> Option<bool> {
        self.run.steps[self.step as usize].settled
    }

    /// A parameter: its value, or the output it refers to.
    ///
    /// # Errors
    /// [`StepError::Fail`] when the output does not exist (its step was skipped) or has another shape.
    pub fn arg<T: DeserializeOwned + Clone>(&self, arg: &Arg<T>) -> Result<T, StepError> {
        match arg {
            Arg::Value(value) => Ok(value.clone()),
            Arg::Output(key) => self.output(key)?.ok_or_else(|| {
                StepError::fail(format!(
                    "step `{}` needs the output of `{key}`, which did not finish",
                    self.key()
                ))
            }),
        }
    }

    /// The output of a step that is done.
    ///
    /// # Errors
    /// [`StepError::Fail`] when it has another shape than `T`.
    pub fn output<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StepError> {
        let Some(json) = self.run.output(key) else {
            return Ok(None);
        };
        serde_json::from_str(json).map(Some).map_err(|e| {
            StepError::fail(format!("the stored output of `{key}` cannot be read")).because(&e)
        })
    }

    /// Answers sent to this step, oldest first.
    pub fn signals(&self) -> impl Iterator<Item = &Signal> {
        self.run.signals_for(self.key())
    }

    /// What this step last noted, in this life or an earlier one.
    ///
    /// # Errors
    /// [`StepError::Fail`] when it has another shape than `T`.
    pub fn noted<T: DeserializeOwned>(&self) -> Result<Option<T>, StepError> {
        let Some(note) = &self.run.steps[self.step as usize].note else {
            return Ok(None);
        };
        serde_json::from_slice(note).map(Some).map_err(|e| {
            StepError::fail(format!("what `{}` noted cannot be read", self.key())).because(&e)
        })
    }

    /// The last choice or text among the answers sent to this step.
    pub fn reply(&self) -> Option<Reply> {
        self.signals().filter_map(|s| Reply::parse(&s.body)).last()
    }

    /// Stores a note for a later life of this step. Durable when this returns.
    ///
    /// # Errors
    /// [`StepError::Stopped`] when the driver is ending.
    pub async fn note<T: Serialize + Sync>(&self, note: &T) -> Result<(), StepError> {
        let note = to_json(note)?;
        let (stored, done) = oneshot::channel();
        self.ask(
            Request::Note {
                step: self.step,
                note,
                stored,
            },
            done,
        )
        .await
    }

    /// Has the team told something, once, even across a crash. Durable when this returns; sent soon after.
    ///
    /// # Errors
    /// [`StepError::Stopped`] when the driver is ending.
    pub async fn queue<T: Serialize + Sync>(&self, topic: &str, body: &T) -> Result<(), StepError> {
        let body = to_json(body)?;
        let (stored, done) = oneshot::channel();
        self.ask(
            Request::Queue {
                topic: crate::record::cut(topic.into(), 100),
                body,
                stored,
            },
            done,
        )
        .await
    }

    async fn ask(&self, request: Request, done: oneshot::Receiver<()>) -> Result<(), StepError> {
        self.requests
            .send(request)
            .await
            .map_err(|_| StepError::Stopped)?;
        done.await.map_err(|_| StepError::Stopped)
    }

    /// Shows and keeps a line of output.
    pub fn log(&self, text: impl AsRef<str>) {
        self.output_bytes(format!("{}\n", text.as_ref()).as_bytes());
    }

    /// Shows and keeps raw output.
    pub fn output_bytes(&self, bytes: &[u8]) {
        self.observers.output(&self.run.id, self.step, bytes);
    }

    /// Masks these values in all that this driver shows and stores from now on, of every step, as long as it lives. What they are
    /// used for is remembered by a name.
    pub fn keep_secret(&self, used_for: &str, values: impl IntoIterator<Item = String>) {
        self.observers.masked().learn(used_for, values);
    }

    /// Whether the values that are used for this are kept secret by this driver; an earlier one may have known others.
    pub fn keeps_secret(&self, used_for: &str) -> bool {
        self.observers.masked().knows(used_for)
    }

    /// Shows how far the step is.
    pub fn progress(&self, progress: Progress) {
        self.observers.tell(&Event::Progress {
            run: self.run.id.clone(),
            step: self.step,
            progress,
        });
    }

    /// A thing the workflow provided.
    ///
    /// # Errors
    /// [`StepError::Fail`] when it did not.
    pub fn resource<T: Any + Send + Sync>(&self) -> Result<Arc<T>, StepError> {
        self.resources.get().ok_or_else(|| {
            StepError::fail(format!(
                "step `{}` needs a {} and got none",
                self.key(),
                std::any::type_name::<T>()
            ))
        })
    }

    /// The current moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`StepError::Stopped`] when the run is being stopped meanwhile.
    pub async fn sleep(&self, for_: Duration) -> Result<(), StepError> {
        tokio::select! {
            () = self.clock.sleep(for_) => Ok(()),
            () = self.cancel.cancelled() => Err(StepError::Stopped),
        }
    }

    /// Ends when the run is being stopped or rolled back and the step should leave off.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// The other runs of the journal that are `wanted`, for gates that ask about the past. Of the runs that were put
    /// away only those are read; the others are judged by what the catalog says of them. Damaged runs are an error, not
    /// a gap: those that are wanted, and those of the live store, of which that is not known before they are read.
    ///
    /// # Errors
    /// [`StepError::Fail`] when the journal or one of these runs cannot be read.
    pub async fn other_runs(
        &self,
        wanted: impl Fn(&RunSummary) -> bool + Send,
    ) -> Result<Vec<Run>, StepError> {
        let unreadable =
            |e: LoadError| StepError::fail("the journal's past runs cannot be read").because(&e);
        let ids = self
            .journal
            .runs()
            .await
            .map_err(|e| unreadable(e.into()))?;
        let archived = self.journal.archived().await;
        let archived = archived.map_err(|e| unreadable(e.into()))?;
        // A summary that only a newer version can read says nothing: that run is loaded and then judged.
        let unwanted: BTreeSet<RunId> = archived
            .iter()
            .filter_map(RunSummary::of_archived)
            .filter(|summary| !wanted(summary))
            .map(|summary| summary.id)
            .collect();
        let mut runs = Vec::new();
        for id in ids {
            if id == self.run.id || unwanted.contains(&id) {
                continue;
            }
            let run = Run::load(&*self.journal, &id).await.map_err(unreadable)?;
            if wanted(&RunSummary::of(&run)) {
                runs.push(run);
            }
        }
        Ok(runs)
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StepError> {
    serde_json::to_vec(value)
        .map_err(|e| StepError::fail("a value cannot be stored as JSON").because(&e))
}
