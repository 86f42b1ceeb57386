//! What people say to a run: answers a step waits for, and orders to the run itself.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Who did something, and from where. A name as the operating system or a signature gave it, never a guess.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Such as the login name.
    pub name: String,
    /// Such as the host name, or `control socket`.
    pub from: String,
}

/// An answer for a step. Accepted and stored before, during or after the step waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The key of the step it is for.
    pub step: String,
    /// Makes a repeated signal the same one: a second signal with this id is answered "already".
    pub id: String,
    /// Who sent it.
    pub by: Actor,
    /// What it says: JSON, understood by the step.
    pub body: String,
    /// When it was stored.
    pub at: Timestamp,
}

/// An order to a run. Each is stored with who, when, from where and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Try the failed or unknown step, or the failed undo, again.
    Retry,
    /// Go on without this step. Only steps that allow it; in a rollback: give up this undo.
    Skip {
        /// The key of the step.
        step: String,
    },
    /// A person states what became of a step whose outcome is unknown.
    Settle {
        /// The key of the step.
        step: String,
        /// Whether it was done.
        done: bool,
    },
    /// Undo everything that started, newest first.
    Rollback,
    /// Stop before production changes; undo what must be undone.
    Cancel,
}

impl Order {
    /// The command a person would have typed.
    pub fn verb(&self) -> &'static str {
        match self {
            Order::Retry => "retry",
            Order::Skip { .. } => "skip",
            Order::Settle { .. } => "settle",
            Order::Rollback => "rollback",
            Order::Cancel => "cancel",
        }
    }
}
