//! What became of one table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::drill::NAMED;
use crate::means::psql::text::{rows, some_of};

/// What became of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFinding {
    /// How many rows the baseline has.
    pub before: u64,
    /// How many there are now.
    pub after: u64,
    /// Rows whose key is gone; never less than the table became lower.
    pub lost: u64,
    /// Up to twenty of those keys.
    pub lost_keys: Vec<String>,
    /// Rows whose old columns changed.
    pub changed: u64,
    /// Up to twenty of their keys.
    pub changed_keys: Vec<String>,
    /// Rows that came.
    pub new: u64,
    /// Columns that are gone although they were not declared.
    pub lost_columns: Vec<String>,
    /// Whether the whole table is gone.
    pub gone: bool,
    /// Rows marked by soft-delete columns that are new and not declared, by column.
    #[serde(default)]
    pub hidden: BTreeMap<String, u64>,
    /// Whether rows were told from one another by their other columns, because a column of the key is declared or gone.
    /// A changed row is a lost and a new one then.
    #[serde(default)]
    pub by_rest: bool,
}

impl TableFinding {
    /// Whether anything was lost or changed. Without a primary key a changed row counts as a lost one.
    pub fn is_loss(&self) -> bool {
        self.is_gone() || self.changed > 0
    }

    /// Whether rows, columns or the table itself are missing, or rows are lost from view.
    pub fn is_gone(&self) -> bool {
        self.gone || self.lost > 0 || !self.lost_columns.is_empty() || !self.hidden.is_empty()
    }

    pub(super) fn in_words(&self, table: &str) -> String {
        if self.gone {
            return format!("{table}: the table is gone, it had {}", rows(self.before));
        }
        let mut parts = vec![format!("{} before, {} now", rows(self.before), self.after)];
        if self.lost > 0 {
            parts.push(named(self.lost, "LOST", &self.lost_keys));
        }
        if self.changed > 0 {
            parts.push(named(self.changed, "CHANGED", &self.changed_keys));
        }
        if self.by_rest && self.is_loss() {
            parts.push("compared by the other columns, without the key".into());
        }
        if !self.lost_columns.is_empty() {
            parts.push(format!("columns gone: {}", self.lost_columns.join(", ")));
        }
        for (column, n) in &self.hidden {
            parts.push(format!(
                "{} LOST FROM VIEW: marked deleted by the new column {column}",
                rows(*n)
            ));
        }
        if self.new > 0 {
            parts.push(format!("{} new", self.new));
        }
        format!("{table}: {}", parts.join("; "))
    }
}

/// A count, and the keys where rows have one.
fn named(count: u64, what: &str, keys: &[String]) -> String {
    match keys {
        [] => format!("{count} {what}"),
        keys => format!("{count} {what}: {}", some_of(keys, NAMED)),
    }
}
