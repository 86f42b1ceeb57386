//! Whose rows an environment has.

use serde::Deserialize;

/// What the rows of an environment before production are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// Its own: they stay.
    Own,
    /// A copy of production's, made anew by each release.
    Copy,
}
