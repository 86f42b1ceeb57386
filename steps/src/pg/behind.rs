//! Columns whose sequence gives numbers that are taken.

use serde::{Deserialize, Serialize};

/// A column that holds the number its sequence gives next, or one beyond: rows that come would meet numbers that are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The sequence, as `schema.name`.
    pub sequence: String,
    /// The column, as `schema.table.column`.
    pub column: String,
    /// What the sequence gives next, in decimal.
    pub next: String,
    /// The farthest number in the column, in decimal: the highest, or the lowest where the sequence counts down.
    pub holds: String,
}

impl Behind {
    pub(super) fn in_words(&self) -> String {
        let Self {
            sequence,
            column,
            next,
            holds,
        } = self;
        format!(
            "sequence {sequence} gives {next} next, and column {column} holds {holds}: it would give numbers that are taken"
        )
    }
}
