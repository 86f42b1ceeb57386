//! What a database holds: counts and fingerprints of every table, all in one snapshot.
//!
//! A fingerprint is the sum of `hash_record_extended` over all rows: cheaper than dumping the table, independent of
//! the order of rows, and unlike xor it does not cancel duplicates. Kept in 1,024 buckets by key, so that a difference
//! leads to few rows.

use std::collections::BTreeMap;

use flow_engine::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::catalog::Column;
use super::shape::Shape;
use crate::pg::behind::Behind;

/// A database at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbState {
    /// By the server's clock.
    pub taken_at: Timestamp,
    /// Tells one cluster from another, whatever its address.
    pub system_identifier: String,
    /// Such as `15.18`.
    pub server_version: String,
    /// The database's name.
    pub database: String,
    /// Every table, by `schema.table`.
    pub tables: BTreeMap<String, TableState>,
    /// Names of the migrations that `_prisma_migrations` calls finished, in order.
    pub migrations: Vec<String>,
    /// Of the whole schema with every expression. Comparable within one database only: a restore rewrites some
    /// expressions.
    pub schema_digest: String,
    /// Of the part of the schema that a dump and a restore keep letter by letter.
    pub shape_digest: String,
    /// What the database is made of, thing by thing. Empty in states that were recorded before this was.
    #[serde(default, skip_serializing_if = "Shape::is_empty")]
    pub shape: Shape,
    /// Where every sequence stood that had been used, by `schema.name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, i64>,
    /// Columns whose sequence does not lie beyond what they hold. Nothing in states that were recorded before this was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Vec<Behind>>,
    /// Rows of the tables that extensions keep settings or secrets in, by `schema.table`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extension_rows: BTreeMap<String, u64>,
}

/// A table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The schema it lies in, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// How many rows it has, those that are marked as deleted included.
    pub rows: u64,
    /// Rows that no soft-delete column among the `columns` marks, when there is one.
    pub live_rows: Option<u64>,
    /// Rows each soft-delete column marks, whether it is among the `columns` or not: by the column's name.
    #[serde(default)]
    pub marked: BTreeMap<String, u64>,
    /// Its columns, by name.
    pub columns: Vec<Column>,
    /// The primary key's columns; empty without one.
    pub key: Vec<String>,
    /// The sum of the hashes of all keys, in decimal; of all rows without a key.
    pub keys_hash: String,
    /// The sum of the hashes of all rows, in decimal.
    pub rows_hash: String,
    /// The same sums by key; none for an empty table.
    pub buckets: Vec<Bucket>,
}

/// One of 1,024 parts of a table: its number, rows, and sums of key and row hashes in decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket(pub u16, pub u64, pub String, pub String);

impl TableState {
    /// Rows that soft-delete columns mark which did not exist `before`: an application that looks at them does not show
    /// these rows any more, although every one of them is there.
    pub(crate) fn newly_hidden(&self, before: &Self) -> BTreeMap<String, u64> {
        let new = |name: &String| before.columns.iter().all(|c| c.name != *name);
        let hides = |(name, n): &(&String, &u64)| **n > 0 && new(name);
        let hidden = self.marked.iter().filter(hides);
        hidden.map(|(name, n)| (name.clone(), *n)).collect()
    }

    /// Whether both hold the same rows in the same columns.
    pub fn same_rows(&self, other: &Self) -> bool {
        self.columns == other.columns
            && self.rows == other.rows
            && self.keys_hash == other.keys_hash
            && self.rows_hash == other.rows_hash
    }
}

impl DbState {
    /// All rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|t| t.rows).sum()
    }

    /// Names the tables that are not the same in `now`, with how; nothing when all are. With `exact`, tables that
    /// exist only in `now` are differences as well.
    pub fn differences(&self, now: &Self, exact: bool) -> Vec<String> {
        let mut found = Vec::new();
        for (key, before) in &self.tables {
            match now.tables.get(key) {
                None => found.push(format!("{key} is gone ({} rows)", before.rows)),
                Some(after) if before.same_rows(after) => {}
                Some(after) => found.push(difference(key, before, after)),
            }
        }
        if exact {
            let new = now.tables.keys().filter(|k| !self.tables.contains_key(*k));
            found.extend(new.map(|key| format!("{key} is new")));
        }
        found
    }
}

fn difference(key: &str, before: &TableState, after: &TableState) -> String {
    if before.rows != after.rows {
        format!("{key} has {} rows instead of {}", after.rows, before.rows)
    } else if before.columns != after.columns {
        format!("{key} has other columns")
    } else if before.live_rows != after.live_rows {
        format!(
            "{key} has {} rows that are not marked deleted instead of {}",
            after.live_rows.unwrap_or_default(),
            before.live_rows.unwrap_or_default()
        )
    } else {
        let pairs = before.buckets.iter().zip(&after.buckets);
        let parts = pairs.filter(|(a, b)| a != b).count();
        format!("{key} has other values in its rows (in {parts} of 1024 parts)")
    }
}
