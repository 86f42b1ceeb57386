//! Schemas that are dropped with all that is in them, or have another name.

use super::Fold;
use crate::migration::op::{Name, Rule, Site, TypeChange};

impl Fold<'_> {
    /// Every table, type and view in it is gone, and whatever points there from elsewhere.
    pub(super) fn clear_schema(&mut self, schema: &str, site: &Site) {
        let own = self.schema.own.clone();
        let inside = |name: &Name| lies_in(name, schema, own.as_deref());
        let types = self.schema.enums.keys().filter(|name| inside(name));
        for name in types.cloned().collect::<Vec<_>>() {
            self.drop_columns_of(&name, site);
            if let Some(was) = self.schema.enums.remove(&name).and_then(|old| old.was) {
                self.schema.enums_dropped.insert(was, site.clone());
            }
        }
        self.schema.tables.retain(|name, _| !inside(name));
        for table in self.schema.tables.values_mut() {
            let before = table.checks.len();
            table.checks.retain(
                |check| !matches!(&check.rule, Rule::Foreign(_, target, ..) if inside(target)),
            );
            table.touched |= table.checks.len() < before;
        }
        let views = self.schema.views.iter();
        let gone = views.filter(|(name, view)| inside(name) || view.reads.keys().any(inside));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.schema.remove_view(&name);
        }
        self.schema.objects.retain(|(_, name), _| !inside(name));
        self.schema.functions.retain(|name| !inside(name));
        self.schema.schemas.remove(schema);
    }

    /// Everything in it is found under the other name.
    pub(super) fn rename_schema(&mut self, from: &str, to: &str, site: &Site) {
        let own = self.schema.own.clone();
        let inside = |name: &&Name| lies_in(name, from, own.as_deref());
        let moved = |name: &Name| Name::new(Some(to.to_owned()), name.name.clone());
        let tables: Vec<Name> = self.schema.tables.keys().filter(inside).cloned().collect();
        for name in tables {
            self.move_table(&name, &moved(&name), site);
        }
        let types: Vec<Name> = self.schema.enums.keys().filter(inside).cloned().collect();
        for name in types {
            self.alter_type(&name, &TypeChange::Move(to.to_owned()), site);
        }
        let views: Vec<Name> = self.schema.views.keys().filter(inside).cloned().collect();
        for name in views {
            if let Some(view) = self.schema.views.remove(&name) {
                self.renamed_under_views(&name, &moved(&name));
                self.schema.views.insert(moved(&name), view);
            }
        }
        let objects = std::mem::take(&mut self.schema.objects).into_iter();
        self.schema.objects = objects
            .map(|((kind, name), fresh)| {
                let name = if inside(&&name) { moved(&name) } else { name };
                ((kind, name), fresh)
            })
            .collect();
        if let Some(new) = self.schema.schemas.remove(from) {
            self.schema.schemas.insert(to.to_owned(), new);
        }
    }
}

/// A name without a schema lies in the application's own.
fn lies_in(name: &Name, schema: &str, own: Option<&str>) -> bool {
    name.schema.as_deref().or(own).unwrap_or("public") == schema
}
