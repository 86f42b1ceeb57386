//! Unique keys, foreign keys and checks: put over rows that exist, or taken away.

use std::collections::BTreeSet;

use super::super::catalog::{Index, quoted};
use super::{Class, Effects};

impl Effects<'_> {
    pub(super) fn indexes(&mut self) {
        let (before, after) = (self.before, self.after);
        for (id, now) in &after.indexes {
            let known = before.indexes.get(id);
            if !now.valid && known.is_none_or(|was| was.valid) {
                let words = format!(
                    "index {} is invalid: nothing uses it, and it checks nothing",
                    quoted(&now.name)
                );
                self.add(Class::IndexInvalid, true, vec![quoted(&now.name)], words);
            }
            if now.unique && known.is_none() {
                self.key_added(now);
            }
        }
        for (id, was) in &before.indexes {
            if was.unique && !after.indexes.contains_key(id) {
                self.key_gone(was);
            }
        }
    }

    fn key_added(&mut self, key: &Index) {
        let stored = self.before.views.contains_key(&key.table);
        if !stored && !self.before.tables.contains_key(&key.table) {
            return;
        }
        // The same one was there: built anew by a change of type, or dropped and made again.
        if self.before.indexes.values().any(|was| same(was, key)) {
            return;
        }
        let own: BTreeSet<&String> = key.columns.iter().collect();
        let implied = self.before.indexes.values().any(|was| {
            was.table == key.table
                && was.unique
                && was.expressions.is_empty()
                && was.condition.is_empty()
                && was.columns.iter().all(|each| own.contains(each))
        });
        let all_old = own
            .iter()
            .all(|number| number.as_str() == "0" || self.column_stays(&key.table, number));
        let names = self.table_names(&key.table);
        let words = format!(
            "{} of {} is unique now",
            self.columns_in_words(key),
            names.first().map_or("", String::as_str)
        );
        self.add(
            Class::KeyAdded,
            !stored && !implied && all_old,
            names,
            words,
        );
    }

    fn key_gone(&mut self, key: &Index) {
        let kept = self.stays(&key.table)
            && key
                .columns
                .iter()
                .all(|number| number == "0" || self.column_stays(&key.table, number));
        if !kept || self.after.indexes.values().any(|now| same(now, key)) {
            return;
        }
        let names = self.table_names(&key.table);
        let words = format!(
            "{} of {} is no longer unique",
            self.columns_in_words(key),
            names.first().map_or("", String::as_str)
        );
        // Another order of the same columns serves as well.
        let own: BTreeSet<&String> = key.columns.iter().collect();
        let covered = self.after.indexes.values().any(|now| {
            now.table == key.table
                && now.unique
                && now.columns.iter().collect::<BTreeSet<_>>() == own
        });
        self.add(Class::KeyGone, !covered, names, words);
    }

    fn columns_in_words(&self, key: &Index) -> String {
        let name = |number: &String| {
            let id = format!("{}.{number}", key.table);
            let column = self.before.columns.get(&id).or(self.after.columns.get(&id));
            column.map_or_else(|| "an expression".to_owned(), |each| quoted(&each.name))
        };
        let all: Vec<String> = key.columns.iter().map(name).collect();
        format!("({})", all.join(", "))
    }

    pub(super) fn constraints(&mut self) {
        let (before, after) = (self.before, self.after);
        for (id, now) in &after.constraints {
            let was = before.constraints.get(id);
            let newly = now.valid && was.is_none_or(|was| !was.valid);
            if !newly || !self.stays(&now.table) {
                continue;
            }
            // Made again with the same words, or over new columns only, or over what can hold no other value.
            let again = before
                .constraints
                .values()
                .any(|was| was.table == now.table && was.kind == now.kind && was.valid);
            let old = now
                .columns
                .iter()
                .all(|number| self.column_stays(&now.table, number));
            let sure = !again && old && now.kind == "f" && !now.columns.is_empty();
            let names = self.table_names(&now.table);
            let words = format!(
                "{} is put on {}: {}",
                quoted(&now.name),
                names.first().map_or("", String::as_str),
                now.text
            );
            self.add(Class::RuleAdded, sure, names, words);
        }
        for (id, was) in &before.constraints {
            if after.constraints.contains_key(id) || !was.valid || !self.stays(&was.table) {
                continue;
            }
            let kept = was
                .columns
                .iter()
                .all(|number| self.column_stays(&was.table, number));
            let again = after
                .constraints
                .values()
                .any(|now| now.table == was.table && now.kind == was.kind);
            // A foreign key also goes with the table it points to, which is said already.
            let table_gone = before
                .tables
                .keys()
                .any(|id| !after.tables.contains_key(id));
            let own = was.kind == "f" && !was.columns.is_empty();
            let sure = kept && !again && own && !table_gone;
            let names = self.table_names(&was.table);
            let words = format!(
                "{} is gone from {}: {}",
                quoted(&was.name),
                names.first().map_or("", String::as_str),
                was.text
            );
            self.add(Class::RuleGone, sure, names, words);
        }
    }
}

fn same(a: &Index, b: &Index) -> bool {
    a.unique == b.unique
        && (&a.table, &a.columns, &a.expressions, &a.condition)
            == (&b.table, &b.columns, &b.expressions, &b.condition)
        && (a.primary || !b.primary)
}
