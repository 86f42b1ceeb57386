//! What a restore sets aside: rows that a live database holds and its backup does not, and the other way round.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::addition::{self, Addition};
use super::drill::{self, Columns};
use super::state::{DbState, TableState};
use crate::means::psql::text::some_of;
use crate::means::psql::{Pg, PgError};

/// One table that is not as in the backup. What was inserted and updated since is set aside by a restore, what was
/// deleted comes back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The table, as `schema.table`.
    pub table: String,
    /// Rows that exist only now.
    pub inserted: u64,
    /// Rows whose columns of before hold something else now. Without a key such a row counts as deleted and inserted.
    pub updated: u64,
    /// Rows that only the backup has.
    pub deleted: u64,
    /// Columns that only the live database has, with rows that hold values there. Set aside as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Addition>,
}

impl Aside {
    fn is_empty(&self) -> bool {
        (self.inserted, self.updated, self.deleted) == (0, 0, 0) && self.added.is_empty()
    }

    /// Such as `public.Order: 2 inserted, 1 updated`.
    pub fn in_words(&self) -> String {
        let parts = [
            (self.inserted, "inserted"),
            (self.updated, "updated"),
            (self.deleted, "deleted"),
        ];
        let parts = parts.iter().filter(|(n, _)| *n > 0);
        let mut parts: Vec<String> = parts.map(|(n, what)| format!("{n} {what}")).collect();
        if !self.added.is_empty() {
            let added = addition::in_words(&self.added);
            parts.push(format!("values in new columns: {added}"));
        }
        format!("{}: {}", self.table, parts.join(", "))
    }
}

/// The tables that differ, with how many rows; `copy` holds what the backup held.
pub(super) async fn find(
    copy: &Pg,
    live: &Pg,
    before: &DbState,
    now: &DbState,
) -> Result<Vec<Aside>, PgError> {
    let mut found = Vec::new();
    for (key, is) in &now.tables {
        let mut aside = Aside {
            table: key.clone(),
            ..Aside::default()
        };
        match before.tables.get(key) {
            None => aside.inserted = is.rows,
            Some(was) if was.same_rows(is) => {}
            Some(was) => {
                let rows = drill::drill(copy, live, (was, is), &common(was, is), true).await?;
                aside.inserted = rows.new;
                aside.updated = rows.changed;
                aside.deleted = rows.lost;
                aside.added = addition::find(live, was, is, None).await?;
            }
        }
        found.push(aside);
    }
    let gone = before
        .tables
        .iter()
        .filter(|(key, _)| !now.tables.contains_key(*key));
    found.extend(gone.map(|(key, was)| Aside {
        table: key.clone(),
        deleted: was.rows,
        ..Aside::default()
    }));
    found.retain(|aside| !aside.is_empty());
    Ok(found)
}

/// The columns both have; and the key, when it is the same and both have it whole.
pub(super) fn common(was: &TableState, is: &TableState) -> Columns {
    let has = |t: &TableState, name: &String| t.columns.iter().any(|c| c.name == *name);
    let names = was.columns.iter().map(|c| c.name.clone());
    let names: Vec<String> = names.filter(|name| has(is, name)).collect();
    let same = was.key == is.key && was.key.iter().all(|k| names.contains(k));
    Columns {
        key: if same { was.key.clone() } else { Vec::new() },
        names,
        named_by: Vec::new(),
    }
}

/// All tables in one sentence, said of the database that is replaced.
pub(super) fn in_words(asides: &[Aside]) -> String {
    let sum = |of: fn(&Aside) -> u64| asides.iter().map(of).sum::<u64>();
    let (inserted, updated, deleted) =
        (sum(|a| a.inserted), sum(|a| a.updated), sum(|a| a.deleted));
    let mut text = match inserted {
        0 => "no row exists only there".to_owned(),
        1 => "1 row exists only there".to_owned(),
        n => format!("{n} rows exist only there"),
    };
    let added = asides.iter().any(|aside| !aside.added.is_empty());
    let parts = match (updated, deleted) {
        (0, 0) if added => String::new(),
        (0, 0) => ", none was updated or deleted there".to_owned(),
        (n, 0) => format!(", {n} updated there"),
        (0, n) => format!(", {n} deleted there"),
        (updated, deleted) => format!(", {updated} updated and {deleted} deleted there"),
    };
    text.push_str(&parts);
    if added {
        text.push_str(", and values in columns that the backup does not have are only there");
    }
    if !asides.is_empty() {
        let tables: Vec<String> = asides.iter().map(Aside::in_words).collect();
        let _infallible = write!(text, " ({})", some_of(&tables, 12));
    }
    text
}
