//! A run as the fold of its records: what is true.
//!
//! State changes in one function, [`Run::apply`]. Recovery is a first run with more records.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::{Digest, RunId};
use crate::plan::{Effect, OnFailure, Plan};
use crate::record::{Failure, FailureKind, ParkReason, Verdict, Wait};
use crate::signal::{Actor, Signal};

mod apply;
mod load;
pub mod options;
mod orders;
mod unreached;

pub use apply::IllegalRecord;
pub use load::{LoadError, append_order, append_sent, append_signal};
pub(crate) use load::{TRIES, append_all};
pub use orders::Refusal;
pub(crate) use orders::fits;
pub use unreached::Unreached;

/// Everything known of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name, which no other run of the journal has.
    pub id: RunId,
    /// What it does.
    pub plan: Arc<Plan>,
    /// Digest of the stored plan.
    pub plan_digest: Digest,
    /// Who started it.
    pub by: Actor,
    /// Why it was started; may be empty.
    pub reason: String,
    /// The starter's own key for it.
    pub request: Option<String>,
    /// When it was started.
    pub created: Timestamp,
    /// When its last record was written.
    pub updated: Timestamp,
    /// Where it is in life.
    pub life: Life,
    /// One state per planned step.
    pub steps: Vec<StepState>,
    /// Answers from people, oldest first.
    pub signals: Vec<Signal>,
    /// Orders from people, oldest first: what, who, why, when.
    pub orders: Vec<GivenOrder>,
    /// What the team is told, oldest first.
    pub notices: Vec<Notice>,
    /// The fencing epoch of the driver that wrote last.
    pub epoch: u64,
    /// The number the next record will get.
    pub next_seq: u64,
    /// Who drove it last.
    pub holder: String,
    /// All steps before this one are done or skipped, which they stay: where to look for the next one.
    pub(crate) settled_steps: usize,
    /// No step from this one on is still to be undone: where a rollback looks for the next one.
    undo_below: usize,
    /// The place of each step in the plan, by its key.
    places: Arc<HashMap<String, u32>>,
}

/// An order as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenOrder {
    /// What was ordered.
    pub order: crate::signal::Order,
    /// Who gave the order, and from where.
    pub by: Actor,
    /// Why it was started; may be empty.
    pub reason: String,
    /// When it came to that, by the driver's clock.
    pub at: Timestamp,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// On its way.
    Forward,
    /// Undoing what started.
    Unwinding(Unwind),
    /// Waiting for a person to decide. Carries the rollback it was in, if any.
    Parked {
        /// Why it came to that.
        why: ParkReason,
        /// The rollback that stopped.
        unwinding: Option<Unwind>,
        /// When that began.
        since: Timestamp,
    },
    /// Over: nothing happens any more, except that a completed run may be rolled back.
    Finished {
        /// How it ended.
        verdict: Verdict,
        /// When it came to that, by the driver's clock.
        at: Timestamp,
    },
}

/// A rollback or a cancellation under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwind {
    /// Why it came to that.
    pub why: String,
    /// Whether a person cancelled, before production changed.
    pub cancelled: bool,
    /// When that began.
    pub since: Timestamp,
}

/// Everything known of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepState {
    /// How far it is, forward.
    pub status: Status,
    /// How many attempts were begun, forward.
    pub attempts: u16,
    /// Attempts that do not count against the policy: those before a person last had it tried again, and those that could
    /// not reach what they need.
    pub attempts_excused: u16,
    /// How long what it needs has been out of reach.
    pub unreached: Unreached,
    /// When the first attempt began. What has this was started, whatever came of it.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its output as JSON.
    pub output: Option<String>,
    /// What went wrong last.
    pub failure: Option<(FailureKind, Failure)>,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// How many answers it had when it last looked.
    pub signals_seen: usize,
    /// What it noted last.
    pub note: Option<Vec<u8>>,
    /// What a person stated about its unknown outcome.
    pub settled: Option<bool>,
    /// Why it was skipped.
    pub skipped: Option<String>,
    /// How far its undo is.
    pub undo: Undo,
    /// Attempts to undo begun.
    pub undo_attempts: u16,
    /// As [`StepState::attempts_excused`], backward.
    pub undo_attempts_excused: u16,
    /// As [`StepState::unreached`], backward.
    pub undo_unreached: Unreached,
    /// What went wrong last while undoing.
    pub undo_failure: Option<(FailureKind, Failure)>,
    /// What the undo found and did.
    pub undo_report: Option<String>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Not begun, or to be begun again.
    #[default]
    Pending,
    /// Begun; no result is stored.
    Running,
    /// Waits for an answer or a moment.
    Waiting,
    /// Failed, and due again at this moment.
    RetryAt(Timestamp),
    /// Failed for good.
    Failed,
    /// It succeeded; its output is stored.
    Done,
    /// Will not run.
    Skipped,
}

/// How far the undo of a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Undo {
    /// Not begun, or to be begun again.
    #[default]
    Pending,
    /// Begun; no result is stored.
    Running,
    /// Failed, and due again at this moment.
    RetryAt(Timestamp),
    /// Failed for good.
    Failed,
    /// It is taken back; the report says what was found and done.
    Undone,
    /// A person gave up on it.
    GivenUp,
}

/// Something the team is told by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The number of the record that caused it: its stable identity.
    pub id: u64,
    /// What the team is told about.
    pub topic: Topic,
    /// When it was caused.
    pub at: Timestamp,
    /// Whether it was sent.
    pub delivery: Delivery,
}

impl Topic {
    /// Whether somebody may have to act on it now: it is tried until it is out, however long that takes.
    pub fn needs_people(&self) -> bool {
        matches!(
            self,
            Topic::Parked | Topic::RollbackStarted | Topic::Finished(Verdict::RolledBackInPart)
        )
    }
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// The run was started.
    Started,
    /// A person is asked.
    Waiting {
        /// By this step.
        step: u32,
    },
    /// The run cannot go on by itself.
    Parked,
    /// Everything is being undone.
    RollbackStarted,
    /// The run is over.
    Finished(Verdict),
    /// A step wants something told.
    Step {
        /// What the team is told about.
        topic: String,
        /// The step's own words as JSON, understood by the notifier.
        body: String,
    },
}

/// Whether a notice reached the mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Not sent yet; it is tried again.
    Pending,
    /// Handed to the mail server at this moment.
    Sent(Timestamp),
    /// It never will, and why.
    Undeliverable(String),
}

impl Run {
    /// The output of a step as JSON, when it is done.
    pub fn output(&self, key: &str) -> Option<&str> {
        self.step_at(key)?.1.output.as_deref()
    }

    /// A step's place in the plan, and its state.
    pub(crate) fn step_at(&self, key: &str) -> Option<(u32, &StepState)> {
        let place = *self.places.get(key)?;
        Some((place, &self.steps[place as usize]))
    }

    /// Whether a step was ever started, whatever came of it.
    pub fn has_started(&self, key: &str) -> bool {
        self.step_at(key)
            .is_some_and(|(_, state)| state.started.is_some())
    }

    /// Whether every step of a phase succeeded. A skipped step did not, unless the plan's own condition skipped it.
    pub fn phase_passed(&self, phase: &str) -> bool {
        let mut nodes = self
            .plan
            .nodes
            .iter()
            .zip(&self.steps)
            .filter(|(n, _)| self.plan.phase_of(n).key == phase);
        let passed = |(node, state): (&crate::plan::Node, &StepState)| match state.status {
            Status::Done => true,
            Status::Skipped => node.only_if.is_some() && state.started.is_none(),
            _ => false,
        };
        nodes.clone().next().is_some() && nodes.all(passed)
    }

    /// Whether a step that changes production was started. Telling people that it will be changed does not change it.
    pub fn production_changed(&self) -> bool {
        self.plan
            .nodes
            .iter()
            .zip(&self.steps)
            .any(|(node, state)| {
                node.effect == Effect::Changes
                    && self.plan.phase_of(node).on_failure == OnFailure::Rollback
                    && state.started.is_some()
            })
    }

    /// Answers sent to a step, oldest first.
    pub fn signals_for<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Signal> {
        self.signals.iter().filter(move |s| s.step == key)
    }

    /// Steps that wait for a person, with what they wait for.
    pub fn waiting(&self) -> impl Iterator<Item = (u32, &Wait)> {
        let waits = (0u32..)
            .zip(&self.steps)
            .filter(|(_, s)| s.status == Status::Waiting);
        waits
            .filter_map(|(i, s)| s.wait.as_ref().map(|w| (i, w)))
            .filter(|(_, w)| !w.who.is_empty())
    }

    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        matches!(self.life, Life::Finished { .. })
    }

    /// How it ended, when it has.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.life {
            Life::Finished { verdict, .. } => Some(verdict),
            _ => None,
        }
    }

    /// The rollback under way, parked or not.
    pub fn unwinding(&self) -> Option<&Unwind> {
        match &self.life {
            Life::Unwinding(unwind)
            | Life::Parked {
                unwinding: Some(unwind),
                ..
            } => Some(unwind),
            _ => None,
        }
    }

    /// What a rollback would undo now, newest first.
    pub fn undo_order(&self) -> Vec<u32> {
        self.to_undo().collect()
    }

    /// The same, one by one.
    pub(crate) fn to_undo(&self) -> impl Iterator<Item = u32> {
        (0..self.undo_below)
            .rev()
            .filter(|step| self.is_to_be_undone(*step))
            .filter_map(|step| u32::try_from(step).ok())
    }

    fn is_to_be_undone(&self, step: usize) -> bool {
        let state = &self.steps[step];
        self.plan.nodes[step].undo.is_some()
            && state.started.is_some()
            && !matches!(state.undo, Undo::Undone | Undo::GivenUp)
    }
}
