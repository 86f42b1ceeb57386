//! A right, and whether it is there.

use serde::{Deserialize, Serialize};

/// One thing a role is or is not able to do with a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// What for, such as `make databases`.
    pub about: String,
    /// Whether a release can do without.
    pub ok: bool,
    /// The objects, and why.
    pub found: String,
    /// The statement, or what else, that cures it.
    pub fix: String,
}

impl Right {
    pub(super) fn in_words(&self) -> String {
        format!("{}: {}. Cure: {}", self.about, self.found, self.fix)
    }
}
