//! What a release declares that it changes on purpose.

use std::collections::{BTreeMap, BTreeSet};

use super::super::shape::Shape;
use super::super::state::DbState;
use crate::means::psql::PgError;

type Columns = BTreeMap<String, BTreeSet<String>>;

/// Declared columns by table.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// As they are written.
    named: Columns,
    /// With those of the partitions of a table, which hold its rows.
    all: Columns,
}

impl Declared {
    /// Reads `table.column` and `schema.table.column`.
    pub(in crate::pg) fn read(allowed: &[String]) -> Result<Self, PgError> {
        let mut named = Columns::new();
        for entry in allowed {
            let parts: Vec<&str> = entry.split('.').collect();
            let (table, column) = match parts.as_slice() {
                [table, column] => (format!("public.{table}"), *column),
                [schema, table, column] => (format!("{schema}.{table}"), *column),
                _ => {
                    return Err(PgError::Config(format!(
                        "`{entry}` names no column: write `table.column` or `schema.table.column`"
                    )));
                }
            };
            named.entry(table).or_default().insert(column.to_owned());
        }
        let all = named.clone();
        Ok(Self { named, all })
    }

    /// The same, and what is declared of a table is declared of its partitions and children, at every depth.
    pub(in crate::pg) fn at_every_depth(mut self, shape: &Shape) -> Self {
        let children = shape.children();
        let mut open: Vec<(String, BTreeSet<String>)> = self.named.clone().into_iter().collect();
        while let Some((table, columns)) = open.pop() {
            for child in children.get(&table).into_iter().flatten() {
                let known = self.all.entry(child.clone()).or_default();
                let before = known.len();
                known.extend(columns.iter().cloned());
                if known.len() > before {
                    open.push((child.clone(), columns.clone()));
                }
            }
        }
        self
    }

    /// Whether a column is declared.
    pub(in crate::pg) fn has(&self, table: &str, column: &str) -> bool {
        self.all.get(table).is_some_and(|d| d.contains(column))
    }

    /// The state before, without the declared columns: what is left is compared. The sums of a table that loses columns
    /// this way mean nothing any more. A key of which a column is declared is no key: a row may have another one after.
    pub(in crate::pg) fn left_out(&self, before: &DbState) -> DbState {
        let mut state = before.clone();
        for (name, columns) in &self.all {
            if let Some(table) = state.tables.get_mut(name) {
                table.columns.retain(|c| !columns.contains(&c.name));
                if table.key.iter().any(|k| columns.contains(k)) {
                    table.key.clear();
                }
            }
        }
        state
    }

    /// Declarations that name no column, neither before the deploy nor after it: misspelt, or meant as a pattern. They
    /// declare nothing, and what was meant would be reported as changed. Nothing when the columns before are not known.
    pub(in crate::pg) fn nameless(&self, before: &DbState, now: &DbState) -> Vec<String> {
        if before.shape.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (table, columns) in &self.named {
            for column in columns {
                let thing = format!("column {table}.{column}");
                let known = [before, now].iter().any(|s| s.shape.get(&thing).is_some());
                if !known {
                    found.push(format!("{table}.{column}"));
                }
            }
        }
        found
    }
}
