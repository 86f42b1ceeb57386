//! Columns: gone, renamed, tightened, retyped, required.

use super::{Judged, labels_before, labels_now};
use crate::migration::fold::Draft;
use crate::migration::op::{Name, Site, SqlType};
use crate::migration::rule::RuleId;
use crate::migration::state::{Column, Facts, Filled, Schema, Table};
use crate::migration::types::{Fit, fit};

impl Judged {
    pub(super) fn columns(&mut self, schema: &Schema, table_name: &Name, table: &Table) {
        for (name, facts, site) in &table.lost_columns {
            self.lost(schema, table_name, table, (name, facts, site));
        }
        for (name, column) in &table.columns {
            match &column.was {
                Some(was) => self.changed(schema, table_name, table, (was, column)),
                None => self.added(table_name, table, name, column),
            }
        }
    }

    fn lost(
        &mut self,
        schema: &Schema,
        table_name: &Name,
        table: &Table,
        (name, facts, site): (&String, &Facts, &Site),
    ) {
        let object = table_name.column(name);
        let successor = table
            .columns
            .get(name)
            .filter(|column| column.was.is_none());
        let copied = |column: &Column| column.sources.contains(name);
        if let Some(column) = successor.filter(|column| copied(column)) {
            return self.replaced(schema, &object, facts, column, site);
        }
        let heir = table
            .columns
            .iter()
            .find(|(_, column)| column.was.is_none() && copied(column));
        let twin = table.columns.iter().find(|(_, column)| {
            column.was.is_none() && facts.ty.is_some() && column.now.ty == facts.ty
        });
        let hint = match (successor, heir, twin) {
            (Some(_), ..) => "; it is made anew and empty, so its values are lost".to_owned(),
            (None, Some((heir, _)), _) => format!(
                "; its values are copied to {heir:?}, and the running version still uses the old name"
            ),
            (None, None, Some((twin, _))) => {
                format!(
                    "; its values are lost (if this was meant as a rename to {twin:?}: nothing is copied)"
                )
            }
            _ => "; its values are lost, and the running version still uses it".to_owned(),
        };
        let message = format!("{object} is dropped{hint}");
        self.drafts
            .push(Draft::error(RuleId::DropColumn, site, object, message));
    }

    /// A new column was filled from the old one and took its name: a change of type by hand.
    fn replaced(&mut self, schema: &Schema, object: &str, old: &Facts, new: &Column, site: &Site) {
        let (Some(from), Some(to)) = (&old.ty, &new.now.ty) else {
            let message = format!("{object} is replaced by a copy; its old type is not known");
            self.drafts.push(Draft::warning(
                RuleId::ChangeType,
                site,
                object.to_owned(),
                message,
            ));
            return;
        };
        if !self.lost_labels(schema, object, from, to, site) {
            let message = format!(
                "{object} is replaced by a copy ({from} becomes {to}); whether every value was carried over cannot be proved"
            );
            self.drafts.push(Draft::warning(
                RuleId::ChangeType,
                site,
                object.to_owned(),
                message,
            ));
        }
    }

    /// Whether the column went from one enum to another that lacks labels; says so if it did.
    fn lost_labels(
        &mut self,
        schema: &Schema,
        object: &str,
        from: &SqlType,
        to: &SqlType,
        site: &Site,
    ) -> bool {
        let (Some(before), Some(now)) = (labels_before(schema, from), labels_now(schema, to))
        else {
            return false;
        };
        let gone: Vec<String> = before
            .iter()
            .filter(|label| !now.contains(label))
            .cloned()
            .collect();
        // The enum itself, under its own name, has been compared already.
        if gone.is_empty() || from.base == to.base {
            return false;
        }
        let message = format!(
            "{object} goes from {from} to {to}, which lacks {}",
            gone.join(", ")
        );
        self.drafts.push(Draft::error(
            RuleId::EnumValueRemoved,
            site,
            object.to_owned(),
            message,
        ));
        self.removed.push((from.base.clone(), gone));
        true
    }

    fn changed(
        &mut self,
        schema: &Schema,
        table_name: &Name,
        table: &Table,
        (was, column): (&Facts, &Column),
    ) {
        let object = table_name.column(&was.name);
        if let Some(site) = column
            .renamed
            .as_ref()
            .filter(|_| was.name != column.now.name)
        {
            let message = format!(
                "{object} is now {:?}; the running version still uses the old name",
                column.now.name
            );
            self.drafts.push(Draft::error(
                RuleId::RenameColumn,
                site,
                object.clone(),
                message,
            ));
        }
        if let Some(site) = column
            .tightened
            .as_ref()
            .filter(|_| !was.not_null && column.now.not_null)
        {
            self.tightened(&object, table, column, site);
        }
        let required = column.now.not_null || !was.known;
        if let Some(site) = column
            .undefaulted
            .as_ref()
            .filter(|_| required && !column.now.default && (was.default || !was.known))
        {
            let message = format!(
                "{object} is required and no longer has a default; INSERTs that leave it out fail"
            );
            self.drafts.push(Draft::warning(
                RuleId::DropDefault,
                site,
                object.clone(),
                message,
            ));
        }
        if was.not_null && !column.now.not_null {
            self.nullable
                .push((table_name.clone(), was.name.clone(), false));
        }
        if let Some(site) = &column.retyped {
            self.retyped(schema, &object, was, column, site);
        }
    }

    fn tightened(&mut self, object: &str, table: &Table, column: &Column, site: &Site) {
        let filled = if table.emptied {
            column.evidence.max(Filled::Likely)
        } else {
            column.evidence
        };
        let draft = match filled {
            Filled::Proven => return,
            Filled::Likely => {
                let message = format!(
                    "{object} no longer takes NULL; rows were filled before, but whether all were, only a count can tell"
                );
                Draft::warning(RuleId::SetNotNull, site, object.to_owned(), message)
            }
            Filled::No => {
                let message = format!(
                    "{object} no longer takes NULL and nothing fills it before: the migration fails on the first NULL"
                );
                Draft::error(RuleId::SetNotNull, site, object.to_owned(), message)
            }
        };
        self.drafts.push(draft);
    }

    fn retyped(
        &mut self,
        schema: &Schema,
        object: &str,
        was: &Facts,
        column: &Column,
        site: &Site,
    ) {
        let (Some(from), Some(to)) = (&was.ty, &column.now.ty) else {
            let message = format!("the type of {object} changes, and its old type is not known");
            self.drafts.push(Draft::warning(
                RuleId::ChangeType,
                site,
                object.to_owned(),
                message,
            ));
            return;
        };
        if self.lost_labels(schema, object, from, to, site) {
            return;
        }
        let draft = match fit(from, to) {
            Fit::Same => return,
            Fit::Narrower => {
                let message =
                    format!("{object} goes from {from} to {to}, which cannot hold every old value");
                Draft::error(RuleId::NarrowType, site, object.to_owned(), message)
            }
            Fit::Other => {
                let message = format!(
                    "{object} goes from {from} to {to}; the table may be rewritten under a lock"
                );
                Draft::warning(RuleId::ChangeType, site, object.to_owned(), message)
            }
        };
        self.drafts.push(draft);
    }

    fn added(&mut self, table_name: &Name, table: &Table, name: &str, column: &Column) {
        if !column.now.not_null {
            self.nullable
                .push((table_name.clone(), name.to_owned(), true));
            return;
        }
        let replaces_required = table.lost_columns.iter().any(|(old, facts, _)| {
            old == name && facts.not_null && !facts.default && column.sources.contains(old)
        });
        let Some(site) = column.tightened.as_ref().or(column.added.as_ref()) else {
            return;
        };
        if column.now.default || replaces_required {
            return;
        }
        let object = table_name.column(name);
        let evidence = if column.tightened.is_some() {
            column.evidence
        } else {
            column.filled
        };
        let filled = evidence != Filled::No || table.emptied;
        self.drafts.push(if column.bare || !filled {
            let message = format!("{object} is new, NOT NULL and without a default: the migration fails if the table has rows, and the running version's INSERTs fail");
            Draft::error(RuleId::RequiredColumn, site, object, message)
        } else {
            let message = format!("{object} is new and required; its rows are filled, but the running version's INSERTs fail because they do not name it");
            Draft::warning(RuleId::RequiredColumn, site, object, message)
        });
    }
}
