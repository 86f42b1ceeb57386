//! What a statement keeps others from doing while it runs, and labels used too early.

use super::Fold;
use crate::migration::draft::Draft;
use crate::migration::op::{ColumnChange, Name, NewIndex, Op, Site, TableChange, quoted};
use crate::migration::rule::RuleId;

impl Fold<'_> {
    fn existed(&mut self, table: &Name) -> bool {
        self.schema.table(table).was.is_some()
    }

    /// Nearly every form of ALTER TABLE takes ACCESS EXCLUSIVE (manual, ALTER TABLE); VALIDATE does not.
    pub(super) fn locks(&mut self, table: &Name, change: &TableChange, site: &Site) {
        if matches!(change, TableChange::Validate(_)) || !self.existed(table) {
            return;
        }
        if std::mem::take(&mut self.patient) {
            let message = format!(
                "{table} is altered without a lock_timeout: while this waits behind a long query, every other query waits behind it"
            );
            self.drafts.push(
                Draft::note(RuleId::LockTimeout, site, table.to_string(), message)
                    .sql("SET lock_timeout = '5s';".to_owned()),
            );
        }
        self.locked.get_or_insert_with(|| table.clone());
        let scans = matches!(change, TableChange::Column(_, ColumnChange::SetNotNull));
        if scans {
            self.long_work(site, "every row is looked at");
        }
    }

    pub(super) fn rewrite(&mut self, table: &Name, why: &str, site: &Site) {
        if !self.existed(table) {
            return;
        }
        let message = format!(
            "{why}: {table} is rewritten as a whole, and nothing can read or write it meanwhile"
        );
        let query = format!("SELECT pg_size_pretty(pg_total_relation_size('{table}'));");
        self.drafts.push(
            Draft::warning(RuleId::TableRewrite, site, table.to_string(), message).query(query),
        );
    }

    pub(super) fn index_lock(&mut self, index: &NewIndex, site: &Site) {
        let taken = index
            .name
            .as_ref()
            .is_some_and(|name| self.schema.index_owner(&name.name).is_some());
        if index.concurrently || (index.if_not_exists && taken) || !self.existed(&index.table) {
            return;
        }
        let table = &index.table;
        let message = format!("{table} takes no writes while the index is built");
        let name = index.name.as_ref().map(|name| quoted(&name.name));
        let unique = if index.unique { "UNIQUE " } else { "" };
        let sql = format!(
            "-- in a migration of its own:\nCREATE {unique}INDEX CONCURRENTLY {} ON {table}({});",
            name.unwrap_or_default(),
            index.key.terms.join(", ")
        );
        self.drafts.push(
            Draft::note(RuleId::IndexBlocksWrites, site, table.to_string(), message).sql(sql),
        );
        self.long_work(site, "an index is built");
    }

    pub(super) fn work_under_lock(&mut self, op: &Op, site: &Site) {
        let (Op::Update(table, ..) | Op::Delete(table, _) | Op::Upsert(table)) = op else {
            return;
        };
        if self.existed(table) {
            self.long_work(site, "rows are written");
        }
    }

    fn long_work(&mut self, site: &Site, what: &str) {
        let Some(locked) = self.locked.clone() else {
            return;
        };
        let message = format!(
            "{what} while {locked} is locked against reads and writes until the migration ends"
        );
        self.drafts.push(Draft::note(
            RuleId::WorkUnderLock,
            site,
            locked.to_string(),
            message,
        ));
    }

    /// `literals` are labels this file adds; they are used when the statement names a column or the type itself.
    pub(super) fn uses_label(&mut self, literals: &[String], names: &[String], site: &Site) {
        let mentioned = |name: &str| names.iter().any(|each| each == name);
        let used = self.labels.iter().find(|(ty, label)| {
            literals.contains(label)
                && (mentioned(&ty.name)
                    || self.schema.tables.iter().any(|(table, state)| {
                        mentioned(&table.name)
                            && state.columns.values().any(|column| {
                                column.now.ty.as_ref().is_some_and(|it| it.base == *ty)
                            })
                    }))
        });
        let Some((ty, label)) = used.cloned() else {
            return;
        };
        let message = format!(
            "the label '{label}' is added to {ty} and used in the same transaction, which PostgreSQL refuses (55P04)"
        );
        self.drafts.push(Draft::error(
            RuleId::NewLabelUsed,
            site,
            ty.to_string(),
            message,
        ));
    }
}
