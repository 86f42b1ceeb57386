//! The durable state machine under `flow`.

pub mod clock;
pub mod id;
pub mod journal;
