//! The tables whose rows a file changes.

use std::collections::BTreeSet;

use super::load::Migration;
use super::op::{ColumnChange, Content, Item, Op, TableChange};
use super::report::ChangedRows;

/// Every table whose rows the file changes, once.
pub(super) fn changed_rows(migration: &Migration, parsed: &Content) -> Vec<ChangedRows> {
    let table = |item: &Item| match &item.op {
        Op::Truncate(name) | Op::Delete(name, _) | Op::Update(name, ..) | Op::Upsert(name) => {
            Some((name.to_string(), false))
        }
        Op::Alter(name, TableChange::Column(_, ColumnChange::SetType(_))) => {
            Some((name.to_string(), true))
        }
        Op::Dynamic(_) | Op::Calls { query: true, .. } | Op::Unknown(_) => {
            Some((String::new(), false))
        }
        _ => None,
    };
    let tables: BTreeSet<(String, bool)> = parsed.items.iter().filter_map(table).collect();
    let each = tables.into_iter().map(|(table, by_type)| ChangedRows {
        migration: migration.name.clone(),
        table,
        by_type,
    });
    each.collect()
}
