//! What the check of the migrations reports.

use serde::{Deserialize, Serialize};

use super::people::Waiver;
use flow_lint::migration::Report;

/// A migration that this release will apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its folder's name.
    pub name: String,
    /// The sha256 of its file: what a review is bound to.
    pub sha256: String,
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// In the order in which they will be applied.
    pub pending: Vec<Pending>,
    /// What the checker says, warnings included.
    pub report: Report,
    /// The warnings that were accepted, and by whom.
    pub waivers: Vec<Waiver>,
    /// Whether the project's own check ran, and passed.
    pub script_passed: bool,
}
