//! What only people can decide: four signed sign-offs, checklists, and who started a release. How a signed answer is judged
//! lies in [`signature`](crate::means::signature).

pub mod checklist;
pub mod keys;
pub mod sign_off;
pub mod starter;

pub use keys::Keys;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
