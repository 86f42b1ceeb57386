//! Columns: gone, renamed, tightened, retyped, required.

use super::{Judgement, labels_before, labels_now};
use crate::migration::draft::Draft;
use crate::migration::op::{Name, Site, SqlType, quoted};
use crate::migration::query;
use crate::migration::rule::RuleId;
use crate::migration::state::{Column, Facts, Fill, Schema, Table};
use crate::migration::types::{Fit, fit, limit};

/// A second column instead of a change of the first: both versions find what they know.
fn beside(table: &Name, old: &str, new: &str, ty: Option<&SqlType>) -> String {
    let (old, new) = (quoted(old), quoted(new));
    let ty = ty.map(|ty| format!(" {ty}")).unwrap_or_default();
    format!(
        "ALTER TABLE {table} ADD COLUMN {new}{ty};\n-- the new version writes both; in a later migration, in batches:\nUPDATE {table} SET {new} = {old} WHERE {new} IS NULL;\n-- and when no running version reads {old}: drop it"
    )
}

impl Judgement {
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
                "; its values seem to be carried over to {heir:?}, and the running version still uses the old name"
            ),
            (None, None, Some((twin, _))) => {
                format!(
                    "; its values are lost (if this was meant as a rename to {twin:?}: nothing is copied)"
                )
            }
            _ => "; its values are lost, and the running version still uses it".to_owned(),
        };
        let message = format!("{object} is dropped{hint}");
        self.drafts.push(
            Draft::error(RuleId::DropColumn, site, object, message)
                .query(query::values(table_name, name)),
        );
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
            let draft = Draft::error(RuleId::RenameColumn, site, object.clone(), message);
            let sql = beside(
                table_name,
                &was.name,
                &column.now.name,
                column.now.ty.as_ref(),
            );
            self.drafts.push(draft.sql(sql));
        }
        if let Some(site) = column
            .tightened
            .as_ref()
            .filter(|_| !was.not_null && column.now.not_null)
        {
            self.tightened((table_name, &was.name), table, column, site);
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
            let message = format!("{object} may be NULL now, and its readers have never met one");
            if let Some(site) = &column.loosened {
                self.drafts.push(Draft::note(
                    RuleId::DropNotNull,
                    site,
                    object.clone(),
                    message,
                ));
            }
        }
        if let Some(site) = &column.retyped {
            self.retyped(schema, (table_name, table), was, column, site);
        }
    }

    fn tightened(
        &mut self,
        (name, old): (&Name, &str),
        table: &Table,
        column: &Column,
        site: &Site,
    ) {
        let object = name.column(old);
        let filled = if table.emptied {
            column.evidence.max(Fill::Likely)
        } else {
            column.evidence
        };
        let draft = match filled {
            Fill::Proven => return,
            Fill::Likely => {
                let message = format!(
                    "{object} no longer takes NULL; rows were filled before, but whether all were, only a count can tell"
                );
                Draft::warning(RuleId::SetNotNull, site, object, message)
            }
            Fill::No => {
                let message = format!(
                    "{object} no longer takes NULL and nothing fills it before: the migration fails on the first NULL"
                );
                Draft::error(RuleId::SetNotNull, site, object, message)
            }
        };
        let check = quoted(&format!("{}_{old}_not_null", name.name));
        let column = quoted(old);
        let sql = format!(
            "ALTER TABLE {name} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID;\n-- fill the rows, then in the next migration:\nALTER TABLE {name} VALIDATE CONSTRAINT {check};\n-- and in the one after it:\nALTER TABLE {name} ALTER COLUMN {column} SET NOT NULL;\nALTER TABLE {name} DROP CONSTRAINT {check};"
        );
        self.drafts
            .push(draft.query(query::nulls(name, old)).sql(sql));
    }

    fn retyped(
        &mut self,
        schema: &Schema,
        (name, table): (&Name, &Table),
        was: &Facts,
        column: &Column,
        site: &Site,
    ) {
        let object = &name.column(&was.name);
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
        self.rebuilt_keys(name, table, &was.name, to, site);
        let draft =
            match fit(from, to) {
                Fit::Same => return,
                Fit::Narrower => {
                    let message = format!(
                        "{object} goes from {from} to {to}, which cannot hold every old value"
                    );
                    Draft::error(RuleId::NarrowType, site, object.to_owned(), message)
                        .query(query::misfits(name, &was.name, &limit(to)))
                        .sql(beside(
                            name,
                            &was.name,
                            &format!("{}_new", was.name),
                            Some(to),
                        ))
                }
                Fit::Other => {
                    let message = format!(
                        "{object} goes from {from} to {to}; the table may be rewritten under a lock"
                    );
                    Draft::warning(RuleId::ChangeType, site, object.to_owned(), message).sql(
                        beside(name, &was.name, &format!("{}_new", was.name), Some(to)),
                    )
                }
            };
        self.drafts.push(draft);
    }

    /// Values that differ as text may be equal as citext: the unique index is built anew and may find duplicates.
    fn rebuilt_keys(&mut self, name: &Name, table: &Table, old: &str, to: &SqlType, site: &Site) {
        if to.base.name != "citext" {
            return;
        }
        for key in table
            .keys
            .iter()
            .filter(|key| key.existed && key.key.has(old))
        {
            let object = format!("{name}({})", key.key.terms.join(", "));
            let message = format!(
                "{object} is unique and now ignores case; two rows that differ only in case make the migration fail"
            );
            self.drafts.push(
                Draft::warning(RuleId::UniqueOnExisting, site, object, message)
                    .query(query::duplicates(name, &key.key, Some((old, "citext")))),
            );
        }
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
        let filled = evidence != Fill::No || table.emptied;
        let ty = column
            .now
            .ty
            .as_ref()
            .map(|ty| format!(" {ty}"))
            .unwrap_or_default();
        let sql = format!(
            "ALTER TABLE {table_name} ADD COLUMN {}{ty};\n-- SET NOT NULL follows when every running version writes it",
            quoted(name)
        );
        let draft = if column.bare || !filled {
            let message = format!(
                "{object} is new, NOT NULL and without a default: the migration fails if the table has rows, and the running version's INSERTs fail"
            );
            Draft::error(RuleId::RequiredColumn, site, object, message)
                .query(query::any(table_name))
        } else {
            let message = format!(
                "{object} is new and required; its rows are filled, but the running version's INSERTs fail because they do not name it"
            );
            Draft::warning(RuleId::RequiredColumn, site, object, message)
        };
        self.drafts.push(draft.sql(sql));
    }
}
