//! A question as it is put to the step that asks, and why an answer to it is refused.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

use super::{Answer, Reply};
use crate::clock::Timestamp;
use crate::plan::Node;
use crate::record::Wait;
use crate::resources::Resources;
use crate::run::{Run, Status, StepState};
use crate::signal::Signal;
use crate::step::DecodeError;

/// A question, as the step that asks is shown it to judge an answer.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The run as it is now.
    pub run: &'a Run,
    /// The place of the step in the plan.
    pub step: u32,
    /// What the workflow provided, such as the roster.
    pub resources: &'a Resources,
    /// The current moment, by the clock of whoever takes the answer.
    pub now: Timestamp,
}

impl<'a> Asked<'a> {
    /// The question of a step; nothing when the plan has no such step.
    pub fn of(
        run: &'a Run,
        step: &str,
        resources: &'a Resources,
        now: Timestamp,
    ) -> Option<Asked<'a>> {
        let (step, _) = run.plan.node(step)?;
        Some(Asked {
            run,
            step,
            resources,
            now,
        })
    }

    /// The step in the plan.
    pub fn node(&self) -> &'a Node {
        &self.run.plan.nodes[self.step as usize]
    }

    /// The key of the step.
    pub fn key(&self) -> &'a str {
        &self.node().key
    }

    /// What is known of the step.
    pub fn state(&self) -> &'a StepState {
        &self.run.steps[self.step as usize]
    }

    /// What the step waits for; nothing while it does not wait.
    pub fn wait(&self) -> Option<&'a Wait> {
        let state = self.state();
        let waits = state.status == Status::Waiting;
        state.wait.as_ref().filter(|_| waits)
    }

    /// Whether the step is done or skipped: nothing that is said to it now has an effect.
    pub fn is_over(&self) -> bool {
        matches!(self.state().status, Status::Done | Status::Skipped)
    }

    /// A thing the workflow provided.
    ///
    /// # Errors
    /// [`Refusal::Unjudged`] when it did not.
    pub fn resource<T: Any + Send + Sync>(&self) -> Result<Arc<T>, Refusal> {
        self.resources.get().ok_or_else(|| {
            Refusal::Unjudged(
                format!(
                    "step `{}` needs a {} to judge an answer and got none",
                    self.key(),
                    std::any::type_name::<T>()
                )
                .into(),
            )
        })
    }

    /// That nobody asks, and why; see [`Refusal::NotAsked`].
    pub fn not_asked(&self, why: impl Into<String>) -> Refusal {
        Refusal::NotAsked {
            step: self.key().to_owned(),
            why: why.into(),
            over: self.is_over(),
        }
    }

    /// The reply that a signal carries to a choice or a text that the step waits for now.
    ///
    /// # Errors
    /// [`Refusal::NotAsked`] when the step waits for neither; [`Refusal::DoesNotCount`] when it does not fit.
    pub fn reply(&self, signal: &Signal) -> Result<Reply, Refusal> {
        let no = |why: String| Err(Refusal::DoesNotCount(why.into()));
        let Some(wait) = self.wait() else {
            let why = if self.is_over() {
                "the step is over"
            } else {
                "the step does not wait"
            };
            return Err(self.not_asked(why));
        };
        match (&wait.answer, Reply::parse(&signal.body)) {
            (Some(Answer::Choice { of }), Some(Reply::Choice(word))) if of.contains(&word) => {
                Ok(Reply::Choice(word))
            }
            (Some(Answer::Choice { of }), _) => {
                no(format!("`{}` takes one of {}", self.key(), of.join(", ")))
            }
            (Some(Answer::Text { max }), Some(Reply::Text(text))) => {
                let count = text.chars().count();
                if text.trim().is_empty() {
                    return no("the text is empty".into());
                }
                if count > *max as usize {
                    return no(format!(
                        "the text has {count} characters, at most {max} are taken"
                    ));
                }
                Ok(Reply::Text(text))
            }
            (Some(Answer::Text { .. }), _) => no(format!("`{}` takes a text", self.key())),
            _ => Err(self.not_asked("it takes neither a choice nor a text")),
        }
    }
}

/// Why an answer is not stored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It would have no effect.
    #[error("the answer does not count: nobody asks for it in `{step}` now: {why}")]
    NotAsked {
        /// The key of the step it was for.
        step: String,
        /// In words, as the end of a sentence.
        why: String,
        /// Whether the step is over, so that it is too late.
        over: bool,
    },
    /// It does not fit the question, or its signature does not count.
    #[error("the answer does not count: {0}")]
    DoesNotCount(Box<dyn Error + Send + Sync>),
    /// It could not be judged, which says nothing about it.
    #[error("{0}")]
    Unjudged(Box<dyn Error + Send + Sync>),
    /// This binary does not have the step that asks.
    #[error("the answer cannot be judged: {0}")]
    Unreadable(#[from] DecodeError),
}
