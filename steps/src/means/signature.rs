//! Signed answers: whose keys count, what is signed, and whether an answer counts.
//!
//! A sign-off is an SSH signature over a [statement](statement) that names the run, the plan, the commit, the evidence
//! and the summary that was shown; `flow` never holds a private key. A signature proves possession of a key, not that
//! the text was read, and a person with four keys could sign four roles: the [roster](roster) is the root of trust and
//! belongs under review like code.
pub mod decision;
pub mod judging;
pub mod key;
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
pub mod waiving;
