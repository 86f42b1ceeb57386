//! Constraints and indexes.

use super::{Fold, same_rule};
use crate::migration::draft::Draft;
use crate::migration::op::{Constraint, Name, NewIndex, Rule, Site, quoted};
use crate::migration::query;
use crate::migration::rule::RuleId;
use crate::migration::state::{Fill, Table, TableKey};

impl Fold<'_> {
    pub(super) fn constrain(&mut self, name: &Name, constraint: &Constraint, site: &Site) {
        let table = self.schema.table(name);
        if table.was.is_some() && !table.emptied && !constraint.not_valid {
            let touches_old = |columns: &[String]| {
                columns.is_empty()
                    || columns.iter().any(|each| {
                        table
                            .columns
                            .get(each)
                            .is_none_or(|column| column.was.is_some() || column.filled != Fill::No)
                    })
            };
            let (what, risky) = match &constraint.rule {
                Rule::Foreign(columns, ..) => ("a foreign key", touches_old(columns)),
                // Names in a check that are no columns (functions, casts) must not make it look older than it is.
                Rule::Check(columns, _) => {
                    let own: Vec<String> = columns
                        .iter()
                        .filter(|each| table.columns.contains_key(*each))
                        .cloned()
                        .collect();
                    ("a check", touches_old(&own))
                }
                Rule::Exclude => ("an exclusion constraint", true),
                _ => ("", false),
            };
            // No row can violate it: the column forbids NULL already.
            let proved = matches!(&constraint.rule, Rule::Check(_, Some(column))
                if table.columns.get(column).is_some_and(|each| each.now.not_null));
            let known = table.lost_checks.iter().map(|(rule, _)| rule).chain(
                table
                    .checks
                    .iter()
                    .filter(|check| check.existed)
                    .map(|check| &check.rule),
            );
            if risky
                && !proved
                && !known
                    .into_iter()
                    .any(|each| same_rule(each, &constraint.rule))
            {
                let message = format!(
                    "{what} is put on {name}: the migration fails if an existing row violates it"
                );
                let own = constraint.name.clone().unwrap_or_else(|| "…".to_owned());
                self.drafts.push(
                    Draft::warning(RuleId::AddConstraint, site, name.to_string(), message)
                        .query(query::violations(name, constraint))
                        .sql(format!(
                            "ALTER TABLE {name} ADD CONSTRAINT {c} … NOT VALID;\n-- in the next migration:\nALTER TABLE {name} VALIDATE CONSTRAINT {c};",
                            c = quoted(&own)
                        )),
                );
            }
        }
        let taken = constraint.name.as_ref().filter(|own| {
            let mut keys = self.schema.table(name).keys.iter();
            keys.any(|key| key.name == **own) && !matches!(constraint.rule, Rule::UsingIndex(..))
                || self
                    .schema
                    .table(name)
                    .checks
                    .iter()
                    .any(|check| check.name == **own)
        });
        if let Some(own) = taken {
            self.made_twice("constraint", &name.column(own), "42710", site);
        }
        self.schema
            .table(name)
            .constrain(&name.name, constraint, site);
    }

    pub(super) fn unconstrain(
        &mut self,
        name: &Name,
        constraint: &str,
        if_exists: bool,
        site: &Site,
    ) {
        if self.cascades(site) {
            self.cut_off_key(name, constraint, site);
        }
        let table = self.schema.table(name);
        if let Some(at) = table.keys.iter().position(|key| key.name == constraint) {
            let key = table.keys.remove(at);
            if key.existed {
                table.lost_keys.push((key.key, site.clone()));
            }
        } else if let Some(at) = table
            .checks
            .iter()
            .position(|check| check.name == constraint)
        {
            let check = table.checks.remove(at);
            if check.existed && check.valid {
                table.lost_checks.push((check.rule, site.clone()));
            }
        } else if table.was.is_some() {
            let state = if if_exists { ", if it exists" } else { "" };
            let message = format!(
                "no earlier migration makes the constraint {constraint:?}: it may be a unique key that upserts rely on; it is dropped{state}"
            );
            self.drafts.push(Draft::warning(
                RuleId::DropUnique,
                site,
                name.to_string(),
                message,
            ));
        }
    }

    pub(super) fn validate(&mut self, name: &Name, constraint: &str, site: &Site) {
        let table = self.schema.table(name);
        let check = table
            .checks
            .iter_mut()
            .find(|check| check.name == constraint);
        if let Some(check) = check {
            if check.valid {
                return;
            }
            check.valid = true;
            if let Rule::Check(_, Some(column)) = check.rule.clone() {
                let column = table.column(&column, site);
                column.filled = column.filled.max(Fill::Likely);
            }
        }
        if table.was.is_some() {
            let message = format!(
                "{constraint:?} is validated on {name}: the migration fails if an existing row violates it"
            );
            self.drafts.push(Draft::warning(
                RuleId::AddConstraint,
                site,
                name.to_string(),
                message,
            ));
        }
    }

    pub(super) fn create_index(&mut self, index: &NewIndex, site: &Site) {
        let table = self.schema.table(&index.table);
        let mut made = vec![index.table.name.as_str()];
        let columns = index.key.columns.iter();
        made.extend(columns.map(|each| each.as_deref().unwrap_or("expr")));
        made.push("idx");
        let name = index
            .name
            .as_ref()
            .map_or_else(|| made.join("_"), |name| name.name.clone());
        let taken =
            table.indexes.contains_key(&name) || table.keys.iter().any(|key| key.name == name);
        if index.if_not_exists && taken {
            return;
        }
        if taken {
            self.made_twice("index", &quoted(&name), "42P07", site);
        }
        let table = self.schema.table(&index.table);
        if index.unique {
            table.keys.push(TableKey {
                name,
                key: index.key.clone(),
                details: index.details.clone(),
                constraint: false,
                existed: false,
                site: site.clone(),
            });
        } else {
            let built = (index.key.clone(), index.details.clone());
            table.indexes.insert(name, built);
        }
    }

    pub(super) fn drop_key(&mut self, name: &Name, if_exists: bool, site: &Site) {
        if self.cascades(site) {
            let owns = |table: &Table| table.keys.iter().any(|key| key.name == name.name);
            let owner = self.schema.tables.iter().find(|(_, table)| owns(table));
            if let Some(owner) = owner.map(|(owner, _)| owner.clone()) {
                self.cut_off_key(&owner, &name.name, site);
            }
        }
        let Some(table) = self.schema.index_owner(&name.name) else {
            let state = if if_exists { ", if it exists" } else { "" };
            let message = format!(
                "no earlier migration makes the index {name}: it may be a unique key that upserts rely on; it is dropped{state}"
            );
            self.drafts.push(Draft::warning(
                RuleId::DropUnique,
                site,
                name.to_string(),
                message,
            ));
            return;
        };
        table.indexes.remove(&name.name);
        if let Some(at) = table.keys.iter().position(|key| key.name == name.name) {
            let key = table.keys.remove(at);
            if key.existed {
                table.lost_keys.push((key.key, site.clone()));
            }
        }
    }

    pub(super) fn rename_index(&mut self, from: &Name, to: &str) {
        if let Some(table) = self.schema.index_owner(&from.name) {
            if let Some(built) = table.indexes.remove(&from.name) {
                table.indexes.insert(to.to_owned(), built);
            }
            table
                .keys
                .iter_mut()
                .filter(|key| key.name == from.name)
                .for_each(|key| to.clone_into(&mut key.name));
        }
    }
}
