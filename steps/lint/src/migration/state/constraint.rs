//! Constraints, and the foreign keys that point at what is renamed.

use super::{Fill, Schema, Table, TableCheck, TableKey};
use crate::migration::op::{Constraint, Details, Name, Rule, Site};

impl Table {
    /// Adds a constraint; `name` is its table's, for the names `PostgreSQL` makes up.
    pub(in crate::migration) fn constrain(
        &mut self,
        table: &str,
        constraint: &Constraint,
        site: &Site,
    ) {
        let made = |columns: &[String], suffix: &str| {
            let mut parts = vec![table];
            parts.extend(columns.iter().map(String::as_str));
            parts.push(suffix);
            parts.join("_")
        };
        let given = constraint.name.clone();
        match &constraint.rule {
            Rule::Unique(key) => {
                let columns: Vec<String> = key.columns.iter().flatten().cloned().collect();
                let name = if key.primary {
                    format!("{table}_pkey")
                } else {
                    made(&columns, "key")
                };
                for column in columns.iter().filter(|_| key.primary) {
                    self.column(column, site).tighten(site);
                }
                let (name, key) = (given.unwrap_or(name), key.clone());
                self.keys.push(TableKey {
                    name,
                    key,
                    details: Details::default(),
                    constraint: true,
                    existed: false,
                    site: site.clone(),
                });
            }
            Rule::UsingIndex(index, primary) => {
                let name = given.unwrap_or_else(|| index.clone());
                let mut columns = Vec::new();
                for key in self.keys.iter_mut().filter(|key| key.name == *index) {
                    key.name.clone_from(&name);
                    key.constraint = true;
                    key.key.primary |= *primary;
                    columns.extend(key.key.columns.iter().flatten().cloned());
                }
                for column in columns.iter().filter(|_| *primary) {
                    self.column(column, site).tighten(site);
                }
            }
            Rule::NotNull(column) => {
                self.column(column, site).tighten(site);
            }
            rule @ (Rule::Foreign(..) | Rule::Check(..) | Rule::Exclude) => {
                let name = match rule {
                    Rule::Foreign(columns, ..) => made(columns, "fkey"),
                    Rule::Check(columns, _) => made(columns.get(..1).unwrap_or_default(), "check"),
                    _ => made(&[], "excl"),
                };
                if let (false, Rule::Check(_, Some(column))) = (constraint.not_valid, rule) {
                    let column = self.column(column, site);
                    column.filled = column.filled.max(Fill::Likely);
                }
                self.checks.push(TableCheck {
                    name: given.unwrap_or(name),
                    rule: rule.clone(),
                    valid: !constraint.not_valid,
                    existed: false,
                });
            }
        }
    }
}

impl Schema {
    /// The tables that foreign keys point at.
    pub(in crate::migration) fn targets(&mut self) -> impl Iterator<Item = &mut Name> {
        let tables = self.tables.values_mut();
        tables
            .flat_map(|table| &mut table.checks)
            .filter_map(|check| match &mut check.rule {
                Rule::Foreign(_, target, ..) => Some(target),
                _ => None,
            })
    }

    /// A column that foreign keys may point at has another name.
    pub(in crate::migration) fn rename_target(&mut self, table: &Name, from: &str, to: &str) {
        let tables = self.tables.values_mut();
        for check in tables.flat_map(|table| &mut table.checks) {
            if let Rule::Foreign(_, target, theirs, _) = &mut check.rule
                && target == table
            {
                let named = theirs.iter_mut().filter(|each| *each == from);
                named.for_each(|each| to.clone_into(each));
            }
        }
    }
}
