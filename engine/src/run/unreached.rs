//! How long what a step needs has been out of reach, one attempt after another.

use std::time::Duration;

use super::{Run, Status, Undo};
use crate::clock::Timestamp;
use crate::record::FailureKind;

/// A row of attempts that could not reach what they need. It ends with an attempt that could, with a new driver and
/// with a person's order.
///
/// Only attempts and the pauses that were meant are counted: a machine that slept in between has not used up its
/// patience.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unreached {
    /// How many attempts.
    pub times: u16,
    /// For how long, from the end of the first one to when the next one is due.
    spent: Duration,
    /// When the attempt under way began.
    began: Option<Timestamp>,
}

impl Unreached {
    /// An attempt begins.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.began = Some(at);
    }

    /// For how long, when the attempt under way ends at this moment and could not reach it either.
    pub(crate) fn spent_by(&self, at: Timestamp) -> Duration {
        let attempt = self.began.map_or(Duration::ZERO, |began| at.since(began));
        if self.times == 0 {
            Duration::ZERO
        } else {
            self.spent + attempt
        }
    }

    /// The attempt under way ended, and how.
    pub(super) fn end(&mut self, kind: FailureKind, at: Timestamp, retry_at: Option<Timestamp>) {
        *self = if kind == FailureKind::Unreached {
            Unreached {
                times: self.times.saturating_add(1),
                spent: self.spent_by(at) + retry_at.map_or(Duration::ZERO, |due| due.since(at)),
                began: None,
            }
        } else {
            Unreached::default()
        };
    }
}

impl Run {
    /// Patience begins anew: another process drives, from another place perhaps.
    pub(super) fn renew_patience(&mut self) {
        for state in &mut self.steps {
            state.unreached = Unreached::default();
            state.undo_unreached = Unreached::default();
        }
    }

    /// Makes due again whatever was only out of reach; nobody has to look at that before.
    pub(super) fn reach_again(&mut self) {
        let unwinding = self.unwinding().is_some();
        for state in &mut self.steps {
            let unreached = |failure: &Option<(FailureKind, _)>| {
                matches!(failure, Some((FailureKind::Unreached, _)))
            };
            if unwinding && state.undo == Undo::Failed && unreached(&state.undo_failure) {
                state.undo = Undo::Pending;
                state.undo_attempts_excused = state.undo_attempts;
                state.undo_unreached = Unreached::default();
            }
            if !unwinding && state.status == Status::Failed && unreached(&state.failure) {
                state.status = Status::Pending;
                state.attempts_excused = state.attempts;
                state.unreached = Unreached::default();
            }
        }
    }
}
