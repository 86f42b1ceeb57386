//! What only people can decide: four signed sign-offs, checklists, reviews, waivers.
//!
//! A sign-off is an SSH signature over a [statement](statement) that names the run, the plan, the commit, the evidence
//! and the summary that was shown; `flow` never holds a private key. A signature proves possession of a key, not that
//! the text was read, and a person with four keys could sign four roles: the [roster](roster) is the root of trust and
//! belongs under review like code.

pub mod checklist;
pub mod decision;
pub mod judging;
pub mod key;
pub mod keys;
pub mod origin;
pub mod review;
pub mod roster;
pub mod sign_off;
pub mod sshsig;
pub mod starter;
pub mod statement;
pub mod summary;
pub mod verify;
pub mod waiver;

pub use checklist::{Checklist, ChecklistResult, Item, ItemAnswer, ItemResult};
pub use keys::{Keys, KeysFound};
pub use review::verify_review;
pub use roster::{Contact, People, Person, RosterError};
pub use sign_off::{SignOff, SignedOff, still_valid};
pub use starter::Starter;
pub use statement::{Decision, Statement, Subject, Words};
pub use verify::{Accepted, SignOffRefusal, SignedAnswer, verify_answer};
pub use waiver::{AskedWaivers, Waiver, verify_waiver, waived};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
