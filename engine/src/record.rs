//! The journal's vocabulary. Append-only: variants and fields are added at the end, under a new codec format when an
//! old reader could misread them, and never removed or reordered.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::Digest;
use crate::signal::{Actor, Order, Signal};

mod failure;
mod wait;

pub(crate) use failure::cut;
pub use failure::{Failure, FailureKind};
pub(crate) use wait::FirstWait;
pub use wait::Wait;

/// A record and when it was written, by the writer's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was written, by the writer's clock.
    pub at: Timestamp,
    /// What is on record.
    pub record: Record,
}

/// One fact about a run. Steps are named by their place in the plan, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The run exists, with this plan.
    Created {
        /// The plan as JSON.
        plan: Payload,
        /// Who started it.
        by: Actor,
        /// Why, in the words of who did it.
        reason: String,
        /// The caller's own key, which makes starting it twice starting it once.
        request: Option<String>,
    },
    /// A driver took the run; its epoch fences off every earlier one.
    Acquired {
        /// The holder: process, host, boot.
        holder: String,
        /// The version of `flow` that drives.
        version: String,
    },
    /// A step is about to touch the world.
    Started {
        /// The place of the step in the plan.
        step: u32,
        /// Counted from 1.
        attempt: u16,
    },
    /// A running step wants this known after a crash.
    Noted {
        /// The place of the step in the plan.
        step: u32,
        /// JSON, understood by the step.
        note: Payload,
    },
    /// A step waits for an answer or a moment.
    Waiting {
        /// The place of the step in the plan.
        step: u32,
        /// Who or what is waited for, and until when.
        wait: Wait,
        /// How many answers it had seen when it said so. A later one wakes it.
        seen: u32,
    },
    /// A step succeeded.
    Done {
        /// The place of the step in the plan.
        step: u32,
        /// Its output as JSON.
        output: Payload,
    },
    /// An attempt failed.
    Failed {
        /// The place of the step in the plan.
        step: u32,
        /// In which way it failed; it decides what follows.
        kind: FailureKind,
        /// What went wrong, bounded and masked.
        failure: Failure,
        /// When it is tried again; nothing when that was the last attempt.
        retry_at: Option<Timestamp>,
    },
    /// A step will not run.
    Skipped {
        /// The place of the step in the plan.
        step: u32,
        /// Why, in words.
        why: String,
    },
    /// A person answered a step.
    Signalled(Signal),
    /// A person gave an order.
    Ordered {
        /// What is ordered.
        order: Order,
        /// Who gave the order, and from where.
        by: Actor,
        /// Why, in the words of who did it.
        reason: String,
    },
    /// From here on everything that started is undone.
    Unwinding {
        /// Why, in words.
        why: String,
    },
    /// The undo of a step is about to touch the world.
    UndoStarted {
        /// The place of the step in the plan.
        step: u32,
        /// Counted from 1.
        attempt: u16,
    },
    /// A step is undone.
    Undone {
        /// The place of the step in the plan.
        step: u32,
        /// What was found and done, in words.
        report: String,
    },
    /// An attempt to undo failed.
    UndoFailed {
        /// The place of the step in the plan.
        step: u32,
        /// In which way it failed; it decides what follows.
        kind: FailureKind,
        /// What went wrong, bounded and masked.
        failure: Failure,
        /// When it is tried again; nothing when that was the last attempt.
        retry_at: Option<Timestamp>,
    },
    /// The run cannot go on without a person.
    Parked {
        /// Why it came to that.
        why: ParkReason,
    },
    /// The run is over.
    Finished {
        /// How it ended.
        verdict: Verdict,
    },
    /// A step wants the team told something.
    Queued {
        /// What it is about, such as `deploying`.
        topic: String,
        /// JSON, understood by the notifier.
        body: Payload,
    },
    /// A notice was handed to the mail server.
    Sent {
        /// The number of the record that caused the notice.
        notice: u64,
    },
    /// A notice will never be sent.
    Undeliverable {
        /// The number of the record that caused the notice.
        notice: u64,
        /// Why it came to that.
        why: String,
    },
}

/// Bytes that are part of a record, or lie beside the journal when they are large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Up to 2,048 bytes, in the record itself.
    Inline(Vec<u8>),
    /// In the object store.
    Object(Digest),
}

impl Payload {
    /// The largest payload kept inline, in bytes.
    pub const INLINE_MAX: usize = 2048;

    /// The bytes, when they are here.
    pub fn inline(&self) -> Option<&[u8]> {
        match self {
            Payload::Inline(bytes) => Some(bytes),
            Payload::Object(_) => None,
        }
    }

    /// The bytes as text; empty when they are elsewhere or no text.
    pub fn text(&self) -> &str {
        self.inline()
            .and_then(|b| std::str::from_utf8(b).ok())
            .unwrap_or("")
    }
}

/// Why a run cannot go on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkReason {
    /// A step failed for good, before production was touched.
    StepFailed {
        /// The place of the step in the plan.
        step: u32,
    },
    /// A gate said no.
    Refused {
        /// The place of the step in the plan.
        step: u32,
    },
    /// What became of a step is not known.
    Unknown {
        /// The place of the step in the plan.
        step: u32,
    },
    /// An undo failed for good: the rollback is incomplete and people are needed now.
    UndoFailed {
        /// The place of the step in the plan.
        step: u32,
    },
    /// This binary does not know how to run the step.
    Unreadable {
        /// The place of the step in the plan.
        step: u32,
        /// Which kind and version it is, and which binary can.
        why: String,
    },
    /// What a step needs could not be reached within its patience. Nothing is known against the release.
    Unreached {
        /// The place of the step in the plan.
        step: u32,
    },
    /// The same of an undo: it is neither done nor failed, and goes on where it can be reached again.
    UndoUnreached {
        /// The place of the step in the plan.
        step: u32,
    },
}

impl ParkReason {
    /// The step it is about.
    pub(crate) fn step(&self) -> u32 {
        match self {
            ParkReason::StepFailed { step }
            | ParkReason::Refused { step }
            | ParkReason::Unknown { step }
            | ParkReason::UndoFailed { step }
            | ParkReason::Unreadable { step, .. }
            | ParkReason::Unreached { step }
            | ParkReason::UndoUnreached { step } => *step,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every step is done or was skipped with a reason.
    Completed,
    /// Everything that started was undone.
    RolledBack,
    /// Stopped by a person before production changed.
    Cancelled,
    /// Undone but for what a person gave up on, by name, in the records.
    RolledBackInPart,
}

impl Record {
    /// The payload that may have to go to the object store.
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Record::Created { plan: payload, .. }
            | Record::Noted { note: payload, .. }
            | Record::Done {
                output: payload, ..
            }
            | Record::Queued { body: payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// The same, to be exchanged.
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Record::Created { plan: payload, .. }
            | Record::Noted { note: payload, .. }
            | Record::Done {
                output: payload, ..
            }
            | Record::Queued { body: payload, .. } => Some(payload),
            _ => None,
        }
    }
}
