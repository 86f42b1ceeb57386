//! What a step is, and what it is given.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Asked, Refusal};
pub use crate::context::Cx;
pub use crate::event::Progress;
use crate::plan::Effect;
use crate::record::{Failure, Wait};
pub use crate::resources::Resources;
use crate::retry::Policy;
use crate::signal::Signal;

mod decode;

pub use decode::{Clash, DecodeError};

/// One thing a run does to the world.
///
/// A step may be killed at any instant and run again, by this binary or a newer one, with the same
/// [`Cx::idempotency_key`]. Running it twice must leave the world as running it once. If it started and a rollback
/// comes, it is undone, with `done: None` when it did not report; undoing what never happened must succeed.
///
/// A step that cannot tell what its earlier self did answers [`StepError::Ask`]. It never guesses.
#[async_trait]
pub trait Step: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stored in the journal. Never reuse, never rename.
    const KIND: &'static str;
    /// Raise when the parameters or the output change shape, and teach [`Step::decode`] the old one.
    const VERSION: u16 = 1;
    /// What later steps may use, and what the undo is given.
    type Output: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The line `flow plan` prints. Names the host, the database, the file; no secrets.
    fn summary(&self) -> String;

    /// Whether it leaves a trace. One that says it only reads and yet has an undo changes something.
    fn effect(&self) -> Effect {
        Effect::Reads
    }

    /// What [`Step::undo`] does, in words; nothing when there is nothing to undo.
    fn undo_in_words(&self) -> Option<String> {
        None
    }

    /// Who must answer, when a person decides.
    fn answered_by(&self) -> Option<String> {
        None
    }

    /// Whether an operator may go on without it, with a reason.
    fn skippable(&self) -> bool {
        false
    }

    /// Whether the step looks at [`Cx::settled`] and, told that it was done, does not do it again. Only such a step can
    /// be settled as done by a person.
    fn settles(&self) -> bool {
        false
    }

    /// Time limit and retries.
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// Does it. See the contract above.
    async fn run(&self, cx: &Cx) -> Result<Self::Output, StepError>;

    /// Undoes it and says in words what was found and done. Called only when [`Step::undo_in_words`] said something.
    async fn undo(&self, cx: &Cx, done: Option<Self::Output>) -> Result<String, StepError> {
        let _ = (cx, done);
        Ok("nothing to undo".into())
    }

    /// Whether an answer would count, were it stored now. Asked before an answer is stored, so that a person hears at once and
    /// with the exact reason that theirs does not. It may come before the step waits, and after.
    ///
    /// As it stands: a choice or a text that fits what the step waits for. Everything else is refused, for nobody asks.
    ///
    /// # Errors
    /// [`Refusal`]. [`Refusal::Unjudged`] says nothing about the answer, only that it could not be judged.
    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        asked.reply(signal).map(drop)
    }

    /// Reads stored parameters of this or an earlier version.
    fn decode(version: u16, params: &serde_json::Value) -> Result<Self, DecodeError> {
        if version == Self::VERSION {
            Self::deserialize(params).map_err(|e| DecodeError::Malformed(e.to_string()))
        } else {
            Err(DecodeError::Version {
                kind: Self::KIND.into(),
                stored: version,
                reads: Self::VERSION,
            })
        }
    }
}

/// What a step answers when it is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepError {
    /// Try again later: a lock, a service that is still starting. The step knows that trying again is safe. When the
    /// last attempt ends like this the step has failed: it is evidence, other than [`StepError::Unreached`].
    Retry(Failure),
    /// It cannot succeed as things are.
    Fail(Failure),
    /// A gate said no; the failure says what would satisfy it.
    Refuse(Failure),
    /// What happened is not known and only a person can tell. The run parks.
    Ask(Failure),
    /// What it needs could not be reached: no way there, a broken connection, no answer in time. That is no evidence for
    /// or against anything. Tried again within [`Policy::patience_s`], without using up an attempt; then the run parks.
    /// The step knows that trying again is safe.
    Unreached(Failure),
    /// Not an error: run it again when this is answered.
    Wait(Wait),
    /// The engine is shutting down or lost its journal; nothing is recorded.
    Stopped,
}

impl StepError {
    /// A failure that trying again will not cure.
    pub fn fail(message: impl Into<String>) -> Self {
        StepError::Fail(Failure::new(message))
    }

    /// A failure worth another attempt.
    pub fn retry(message: impl Into<String>) -> Self {
        StepError::Retry(Failure::new(message))
    }

    /// A gate's no.
    pub fn refuse(message: impl Into<String>) -> Self {
        StepError::Refuse(Failure::new(message))
    }

    /// An outcome only a person can state.
    pub fn ask(message: impl Into<String>) -> Self {
        StepError::Ask(Failure::new(message))
    }

    /// What could not be asked.
    pub fn unreached(message: impl Into<String>) -> Self {
        StepError::Unreached(Failure::new(message))
    }

    fn map(self, change: impl FnOnce(Failure) -> Failure) -> Self {
        match self {
            StepError::Retry(f) => StepError::Retry(change(f)),
            StepError::Fail(f) => StepError::Fail(change(f)),
            StepError::Refuse(f) => StepError::Refuse(change(f)),
            StepError::Ask(f) => StepError::Ask(change(f)),
            StepError::Unreached(f) => StepError::Unreached(change(f)),
            other => other,
        }
    }

    /// Adds an error and everything beneath it as causes.
    #[must_use]
    pub fn because(self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.map(|f| f.because(error))
    }

    /// Adds what to do or type next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.map(|f| f.hint(hint))
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepError::Retry(e)
            | StepError::Fail(e)
            | StepError::Refuse(e)
            | StepError::Ask(e)
            | StepError::Unreached(e) => e.fmt(f),
            StepError::Wait(wait) => write!(f, "waits for {}", wait.what),
            StepError::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for StepError {}
