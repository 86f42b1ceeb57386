//! Unique keys: put over rows that exist, or taken away.

use super::Judgement;
use crate::migration::draft::Draft;
use crate::migration::op::{Key, Name, quoted};
use crate::migration::query;
use crate::migration::rule::RuleId;
use crate::migration::state::{Fill, Table};

impl Judgement {
    pub(super) fn keys(&mut self, name: &Name, table: &Table) {
        for key in table.keys.iter().filter(|key| !key.existed) {
            if table.emptied || kept_apart(table, &key.key) || implied(table, &key.key) {
                continue;
            }
            let object = format!("{name}({})", key.key.terms.join(", "));
            let message = format!(
                "{object} becomes unique; two rows that agree make the migration fail, so the real data has to be looked at"
            );
            self.keys
                .push((self.drafts.len(), name.clone(), key.key.clone()));
            let old = table
                .columns
                .values()
                .filter_map(|column| column.was.as_ref());
            let known: Vec<&str> = old.map(|facts| facts.name.as_str()).collect();
            let columns = key.key.columns.iter().flatten();
            // A column the migration adds is not there to be asked.
            let query = if columns
                .into_iter()
                .all(|column| known.contains(&column.as_str()))
            {
                query::duplicates(name, &key.key, None)
            } else {
                String::new()
            };
            let sql = format!(
                "-- when the query finds nothing, in a migration of its own:\nCREATE UNIQUE INDEX CONCURRENTLY {} ON {name}({});",
                quoted(&key.name),
                key.key.terms.join(", ")
            );
            self.drafts.push(
                Draft::warning(RuleId::UniqueOnExisting, &key.site, object, message)
                    .query(query)
                    .sql(sql),
            );
        }
        for (key, site) in &table.lost_keys {
            // A dropped column says enough by itself.
            let dropped = table
                .lost_columns
                .iter()
                .any(|(column, ..)| key.has(column));
            if dropped || table.keys.iter().any(|each| same(&each.key, key)) {
                continue;
            }
            let object = format!("{name}({})", key.terms.join(", "));
            let message = format!(
                "{object} is no longer unique; upserts that name it fail, and duplicates become possible"
            );
            self.drafts
                .push(Draft::warning(RuleId::DropUnique, site, object, message));
        }
    }
}

fn same(a: &Key, b: &Key) -> bool {
    let sorted = |key: &Key| {
        let mut terms = key.terms.clone();
        terms.sort();
        terms
    };
    sorted(a) == sorted(b) && a.predicate == b.predicate
}

/// A new column of the key keeps the rows apart: a sequence fills it, or it is NULL everywhere and NULLs are not equal.
fn kept_apart(table: &Table, key: &Key) -> bool {
    let distinct = |name: &String| {
        table
            .columns
            .get(name)
            .is_some_and(|column| column.distinct)
    };
    if key.columns.iter().flatten().any(distinct) {
        return true;
    }
    !key.primary
        && !key.nulls_not_distinct
        && key.columns.iter().flatten().any(|name| {
            table.columns.get(name).is_some_and(|column| {
                column.was.is_none()
                    && !column.now.not_null
                    && !column.now.default
                    && column.filled == Fill::No
            })
        })
}

fn never_null(table: &Table, key: &Key) -> bool {
    key.columns.iter().all(|name| {
        let column = name.as_ref().and_then(|name| table.columns.get(name));
        column.is_some_and(|column| column.was.as_ref().is_some_and(|was| was.not_null))
    })
}

/// An older key over all rows and no further columns already keeps them apart.
fn implied(table: &Table, key: &Key) -> bool {
    let older = table
        .keys
        .iter()
        .filter(|each| each.existed)
        .map(|each| &each.key);
    let mut older = older.chain(table.lost_keys.iter().map(|(key, _)| key));
    !key.nulls_not_distinct
        && older.any(|each| {
            each.predicate.is_none()
                && each.columns.iter().all(|column| column.as_ref().is_some_and(|column| key.has(column)))
                // A primary key also forbids NULL, which a unique key does not.
                && (!key.primary || each.primary || never_null(table, key))
        })
}
