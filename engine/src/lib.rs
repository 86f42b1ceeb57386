//! The durable state machine under `flow`.
//!
//! A [plan] is a list of [steps](step), made once by a [planner] and stored. A run is that plan plus the fold of its
//! [records](record): [`run`] says what is true, [`decide`] what to do now, and the [driver] is the only loop that
//! does anything: ask, write, do, write. Everything it writes goes to a [journal] before it counts.
//!
//! This crate knows nothing of ssh, PostgreSQL, terminals or mail.

pub mod answer;
pub mod audit;
pub mod clock;
pub mod codec;
mod context;
pub mod decide;
pub mod driver;
pub mod event;
pub mod id;
pub mod journal;
pub mod lease;
pub mod outbox;
pub mod plan;
pub mod planner;
pub mod record;
pub mod registry;
mod resources;
pub mod retention;
pub mod retry;
pub mod run;
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod step;
#[cfg(feature = "testing")]
pub mod testing;
