//! Tables and columns.

use super::Fold;
use crate::migration::draft::Draft;
use crate::migration::op::{
    ColumnChange, ColumnDef, Name, NewTable, Rule, Site, TableChange, quoted,
};
use crate::migration::query;
use crate::migration::rule::RuleId;
use crate::migration::state::{Column, Fill, Table};

impl Fold<'_> {
    pub(super) fn create_table(&mut self, new: &NewTable, site: &Site) {
        let there = self.schema.tables.get(&new.name);
        if there.is_some_and(|table| table.made) && !new.temp {
            self.table_made_twice(new, site);
        }
        if new.if_not_exists && self.schema.tables.contains_key(&new.name) {
            return;
        }
        let mut table = Table::new(None);
        (table.made, table.open, table.temp) = (true, new.open, new.temp);
        table.part = new.part;
        for def in &new.columns {
            table
                .columns
                .insert(def.name.clone(), Column::new(def, site));
            for constraint in &def.constraints {
                table.constrain(&new.name.name, constraint, site);
            }
        }
        for constraint in &new.constraints {
            table.constrain(&new.name.name, constraint, site);
        }
        self.schema.tables.insert(new.name.clone(), table);
    }

    pub(super) fn drop_table(&mut self, name: &Name, if_exists: bool, cascade: bool, site: &Site) {
        self.read_by_views((name, None), cascade, "drop it", site);
        let object = name.to_string();
        let along = if cascade {
            self.cut_off(name)
        } else {
            String::new()
        };
        match self.schema.tables.remove(name) {
            Some(table) if table.was.is_none() => {}
            // The file made the schema it would be in.
            None if if_exists && self.schema.is_new(name) => {}
            None if if_exists => {
                let message = format!(
                    "no earlier migration makes {name}: nothing happens where it does not exist, and its rows are lost where it does"
                );
                self.drafts.push(
                    Draft::warning(RuleId::DropTable, site, object, message)
                        .query(query::rows(name)),
                );
            }
            _ => {
                let message = format!(
                    "the rows of {name} are lost, and the running version still queries it{along}"
                );
                self.drafts.push(
                    Draft::error(RuleId::DropTable, site, object, message).query(query::rows(name)),
                );
            }
        }
    }

    /// CASCADE takes the foreign keys that point at the table; says from where.
    fn cut_off(&mut self, target: &Name) -> String {
        let mut from = Vec::new();
        for (name, table) in &mut self.schema.tables {
            let before = table.checks.len();
            table
                .checks
                .retain(|check| !matches!(&check.rule, Rule::Foreign(_, to, ..) if to == target));
            table.touched |= table.checks.len() < before;
            if table.checks.len() < before && name != target {
                from.push(name.to_string());
            }
        }
        if from.is_empty() {
            "; CASCADE takes what depends on it along".to_owned()
        } else {
            format!(
                "; CASCADE also takes the foreign keys of {}",
                from.join(", ")
            )
        }
    }

    pub(super) fn alter(&mut self, name: &Name, change: &TableChange, site: &Site) {
        match change {
            TableChange::Add {
                column,
                if_not_exists,
            } => self.add_column(name, column, *if_not_exists, site),
            TableChange::Column(column, change) => self.alter_column(name, column, change, site),
            TableChange::Rename(to) => self.move_table(name, &name.renamed(to), site),
            TableChange::Move(schema) => {
                self.move_table(
                    name,
                    &Name::new(Some(schema.clone()), name.name.clone()),
                    site,
                );
            }
            TableChange::Constrain(constraint) => self.constrain(name, constraint, site),
            TableChange::Unconstrain {
                name: constraint,
                if_exists,
            } => {
                self.unconstrain(name, constraint, *if_exists, site);
            }
            TableChange::RenameConstraint(from, to) => {
                let table = self.schema.table(name);
                let keys = table.keys.iter_mut().map(|key| &mut key.name);
                let names = keys.chain(table.checks.iter_mut().map(|check| &mut check.name));
                names
                    .filter(|each| *each == from)
                    .for_each(|each| each.clone_from(to));
            }
            TableChange::Validate(constraint) => self.validate(name, constraint, site),
            TableChange::Rewrite(why) => self.rewrite(name, why, site),
        }
    }

    pub(super) fn move_table(&mut self, from: &Name, to: &Name, site: &Site) {
        let mut table = self
            .schema
            .tables
            .remove(from)
            .unwrap_or_else(|| Table::new(Some(from.clone())));
        table.touched = true;
        table.renamed = Some(site.clone());
        self.renamed_under_views(from, to);
        self.schema.tables.insert(to.clone(), table);
        for target in self.schema.targets().filter(|target| *target == from) {
            target.clone_from(to);
        }
    }

    fn add_column(&mut self, name: &Name, def: &ColumnDef, if_not_exists: bool, site: &Site) {
        let table = self.schema.table(name);
        let there = table.columns.get(&def.name);
        // PostgreSQL refuses a second one of that name; what the first one does stays to be judged.
        if let Some(there) = there.filter(|column| if_not_exists || column.now.known) {
            if there.now.known && !if_not_exists {
                self.made_twice("column", &name.column(&def.name), "42701", site);
            }
            return;
        }
        let whole = table.was.is_some() && !table.emptied;
        if let Some(why) = def.rewrites.filter(|_| whole) {
            self.rewrite(name, why, site);
        }
        let table = self.schema.table(name);
        let mut column = Column::new(def, site);
        // A table the file made or emptied has no rows to fail on.
        column.bare &= !table.emptied;
        table.columns.insert(def.name.clone(), column);
        for constraint in &def.constraints {
            self.constrain(name, constraint, site);
        }
    }

    fn alter_column(&mut self, name: &Name, column: &str, change: &ColumnChange, site: &Site) {
        if let ColumnChange::Drop { if_exists } = change {
            return self.drop_column(name, column, *if_exists, site);
        }
        if let ColumnChange::Rename(to) = change {
            self.column_renamed_under_views(name, column, to);
            let table = self.schema.table(name);
            table.column(column, site);
            rename_column(table, column, to, site);
            return self.schema.rename_target(name, column, to);
        }
        if matches!(change, ColumnChange::SetType(_)) {
            self.read_by_views((name, Some(column)), false, "change its type", site);
        }
        let table = self.schema.table(name);
        table.column(column, site);
        let each = table.column(column, site);
        match change {
            ColumnChange::SetNotNull => each.tighten(site),
            ColumnChange::DropNotNull => {
                each.now.not_null = false;
                each.loosened = Some(site.clone());
                // Proof and backfill end where NULL may be written again.
                each.filled = Fill::No;
            }
            ColumnChange::SetDefault(value) => {
                each.now.default = true;
                each.now.value = Some(value.clone());
            }
            ColumnChange::DropDefault => {
                each.now.default = false;
                each.now.value = None;
                each.undefaulted = Some(site.clone());
            }
            ColumnChange::SetType(ty) => {
                each.now.ty.clone_from(ty);
                each.retyped = Some(site.clone());
            }
            _ => {}
        }
    }

    fn drop_column(&mut self, name: &Name, column: &str, if_exists: bool, site: &Site) {
        let cascade = self.cascades(site);
        self.read_by_views((name, Some(column)), cascade, "drop it", site);
        if cascade {
            self.cut_off_column(name, column, site);
        }
        let table = self.schema.table(name);
        let known = table.columns.contains_key(column);
        table.column(column, site);
        if known || !if_exists {
            remove_column(table, column, site);
            return;
        }
        if table
            .columns
            .remove(column)
            .is_some_and(|old| old.was.is_some())
        {
            let message = format!(
                "no earlier migration makes {}: nothing happens where it does not exist, and its values are lost where it does",
                name.column(column)
            );
            self.drafts.push(
                Draft::warning(RuleId::DropColumn, site, name.column(column), message)
                    .query(query::values(name, column)),
            );
        }
    }
}

/// Takes a column and the keys and checks on it.
pub(super) fn remove_column(table: &mut Table, column: &str, site: &Site) {
    let Some(old) = table.columns.remove(column) else {
        return;
    };
    for key in table
        .keys
        .iter()
        .filter(|key| key.existed && key.key.has(column))
    {
        table.lost_keys.push((key.key.clone(), site.clone()));
    }
    table.keys.retain(|key| !key.key.has(column));
    table.indexes.retain(|_, (key, _)| !key.has(column));
    table.checks.retain(|check| match &check.rule {
        // A constraint over several columns goes with any one of them.
        Rule::Foreign(columns, ..) | Rule::Check(columns, _) => {
            !columns.iter().any(|each| each == column)
        }
        _ => true,
    });
    if let Some(was) = old.was {
        table
            .lost_columns
            .push((was.name.clone(), was, site.clone()));
    }
}

fn rename_column(table: &mut Table, from: &str, to: &str, site: &Site) {
    let Some(mut column) = table.columns.remove(from) else {
        return;
    };
    to.clone_into(&mut column.now.name);
    column.renamed = Some(site.clone());
    table.columns.insert(to.to_owned(), column);
    let keys = table.keys.iter_mut().map(|key| &mut key.key);
    let lost = table.lost_keys.iter_mut().map(|(key, _)| key);
    let plain = table.indexes.values_mut().map(|(key, _)| key);
    for key in keys.chain(lost).chain(plain) {
        let columns = key.columns.iter_mut().flatten();
        columns
            .filter(|each| *each == from)
            .for_each(|each| to.clone_into(each));
        let terms = key.terms.iter_mut().filter(|term| **term == quoted(from));
        terms.for_each(|term| *term = quoted(to));
    }
    for check in &mut table.checks {
        let (Rule::Foreign(columns, ..) | Rule::Check(columns, _)) = &mut check.rule else {
            continue;
        };
        columns
            .iter_mut()
            .filter(|each| *each == from)
            .for_each(|each| to.clone_into(each));
        if let Rule::Check(_, Some(column)) = &mut check.rule
            && column == from
        {
            to.clone_into(column);
        }
    }
}
