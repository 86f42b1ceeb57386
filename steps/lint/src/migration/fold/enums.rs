//! What statements do to enumerated types.

use super::Fold;
use crate::migration::op::{Name, Site, TypeChange};
use crate::migration::rule::RuleId;

impl Fold<'_> {
    pub(super) fn drop_type(&mut self, name: &Name, if_exists: bool, cascade: bool, site: &Site) {
        if cascade {
            self.drop_columns_of(name, site);
        }
        if !self.schema.enums.contains_key(name) {
            let state = if if_exists {
                " (no earlier migration makes it)"
            } else {
                ""
            };
            let message = format!("type {name} is dropped{state}; what uses it fails");
            self.warn(RuleId::DropObject, site, name.to_string(), message);
        } else if let Some(was) = self.schema.enums.remove(name).and_then(|old| old.was) {
            // Whether another type takes its name is known when the file ends.
            self.schema.enums_dropped.insert(was, site.clone());
        }
    }

    pub(super) fn alter_type(&mut self, name: &Name, change: &TypeChange, site: &Site) {
        match change {
            TypeChange::AddLabel(label) => {
                let labels = &mut self.schema.enumeration(name, site).labels;
                if let Some(labels) = labels.as_mut().filter(|labels| !labels.contains(label)) {
                    labels.push(label.clone());
                }
                if self.schema.enumeration(name, site).was.is_some() {
                    self.labels.push((name.clone(), label.clone()));
                }
            }
            TypeChange::RenameLabel(from, to) => {
                let each = self.schema.enumeration(name, site);
                each.site = site.clone();
                if let Some(label) = each
                    .labels
                    .iter_mut()
                    .flatten()
                    .find(|label| *label == from)
                {
                    label.clone_from(to);
                } else if each.was.is_some() {
                    let message = format!(
                        "the label {from:?} of {name} is renamed to {to:?}; the running version still uses the old one"
                    );
                    self.error(RuleId::EnumValueRemoved, site, name.to_string(), message);
                }
            }
            TypeChange::Rename(to) => self.move_type(name, &name.renamed(to), site),
            TypeChange::Move(schema) => {
                let to = Name::new(Some(schema.clone()), name.name.clone());
                self.move_type(name, &to, site);
            }
            TypeChange::DropAttribute(attribute) => {
                let message =
                    format!("attribute {attribute} of type {name} is dropped; its values are lost");
                self.error(RuleId::DropColumn, site, name.column(attribute), message);
            }
        }
    }

    /// `DROP TYPE … CASCADE` takes every column of the type.
    pub(super) fn drop_columns_of(&mut self, ty: &Name, site: &Site) {
        let mut gone = Vec::new();
        for (name, table) in &self.schema.tables {
            let columns = table.columns.iter().filter(|(_, column)| {
                let of = column.now.ty.as_ref();
                of.is_some_and(|each| each.base == *ty)
            });
            gone.extend(columns.map(|(column, _)| (name.clone(), column.clone())));
        }
        for (name, column) in gone {
            self.cut_off_column(&name, &column, site);
            super::tables::remove_column(self.schema.table(&name), &column, site);
        }
    }

    fn move_type(&mut self, from: &Name, to: &Name, site: &Site) {
        self.schema.enumeration(from, site);
        let Some(mut moved) = self.schema.enums.remove(from) else {
            return;
        };
        if moved.was.is_some() {
            moved.site = site.clone();
        }
        self.schema.enums.insert(to.clone(), moved);
        for table in self.schema.tables.values_mut() {
            let types = table
                .columns
                .values_mut()
                .filter_map(|column| column.now.ty.as_mut());
            for ty in types.filter(|ty| ty.base == *from) {
                ty.base = to.clone();
                table.touched = true;
            }
        }
    }
}
