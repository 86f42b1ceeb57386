//! Columns: gone, renamed, tightened, retyped, required.

use super::super::catalog::{Column, quoted, table_of};
use super::{Class, Effects, missing, named};

impl Effects<'_> {
    pub(super) fn columns(&mut self) {
        let (before, after) = (self.before, self.after);
        for (id, was) in &before.columns {
            if after.tables.contains_key(table_of(id)) {
                match after.columns.get(id) {
                    None => self.gone(id, was),
                    Some(now) => self.changed(id, was, now),
                }
            }
        }
        for (id, now) in &after.columns {
            if before.tables.contains_key(table_of(id)) && !before.columns.contains_key(id) {
                self.added(id, now);
            }
        }
    }

    /// `"table"."column"`, for each name either has.
    fn column_names(&self, id: &str, columns: &[&str]) -> Vec<String> {
        let tables = self.table_names(table_of(id));
        let each = columns.iter().flat_map(|column| {
            tables
                .iter()
                .map(move |table| format!("{table}.{}", quoted(column)))
        });
        each.collect()
    }

    fn gone(&mut self, id: &str, was: &Column) {
        let names = self.column_names(id, &[&was.name]);
        let shown = names.first().cloned().unwrap_or_default();
        let again = named(self.after, table_of(id))
            .find(|(other, now)| now.name == was.name && !self.before.columns.contains_key(*other));
        match again {
            None => {
                let words = format!("column {shown} is gone");
                self.add(Class::ColumnGone, true, names, words);
            }
            Some((_, again)) => {
                let words = format!("column {shown} is gone, and another has its name");
                self.labels(was, again, &names);
                self.add(Class::ColumnRemade, true, names, words);
            }
        }
    }

    fn changed(&mut self, id: &str, was: &Column, now: &Column) {
        let names = self.column_names(id, &[&was.name, &now.name]);
        let shown = names.first().cloned().unwrap_or_default();
        if now.name != was.name {
            let words = format!("column {shown} is now {}", quoted(&now.name));
            self.add(Class::ColumnRenamed, true, names.clone(), words);
        }
        if now.required && !was.required {
            let words = format!("column {shown} no longer takes NULL");
            // A check that held says that no row has one; it may be gone again already.
            let sure = !self.checked(id, &was.name);
            self.add(Class::Tightened, sure, names.clone(), words);
        }
        if was.required && !now.required {
            let words = format!("column {shown} may be NULL");
            self.add(Class::Loosened, true, names.clone(), words);
        }
        if was.filled && !now.filled {
            let words = format!("column {shown} has no default any more");
            self.add(Class::DefaultGone, now.required, names.clone(), words);
        }
        self.retyped(was, now, &names);
    }

    /// Whether a validated `CHECK (column IS NOT NULL)` was or is there.
    fn checked(&self, id: &str, name: &str) -> bool {
        let (table, number) = id.split_once('.').unwrap_or((id, ""));
        let mut both = self
            .before
            .constraints
            .values()
            .chain(self.after.constraints.values());
        both.any(|each| {
            each.table == table
                && each.kind == "c"
                && each.columns == [number]
                && (each.text.contains(&format!("({name} IS NOT NULL)"))
                    || each
                        .text
                        .contains(&format!("({} IS NOT NULL)", quoted(name))))
        })
    }

    fn retyped(&mut self, was: &Column, now: &Column, names: &[String]) {
        let (old, new) = (
            self.before.enums.get(&was.of),
            self.after.enums.get(&now.of),
        );
        // An enum exchanged for one of its name is compared by its labels, one that was renamed by its own id.
        let same_enum = match (old, new) {
            (Some(old), Some(new)) => {
                was.of == now.of || (&old.schema, &old.name) == (&new.schema, &new.name)
            }
            _ => false,
        };
        if was.ty != now.ty && !same_enum {
            let shown = names.first().map_or("", String::as_str);
            let words = format!("the type of {shown} goes from {} to {}", was.ty, now.ty);
            self.add(
                Class::Retyped,
                !is_free(&was.ty, &now.ty),
                names.to_vec(),
                words,
            );
        }
        self.labels(was, now, names);
    }

    /// A column went from one enum to another with fewer labels.
    fn labels(&mut self, was: &Column, now: &Column, names: &[String]) {
        let (Some(old), Some(new)) = (
            self.before.enums.get(&was.of),
            self.after.enums.get(&now.of),
        ) else {
            return;
        };
        let gone = missing(&old.labels, &new.labels);
        if gone.is_empty() || (&old.schema, &old.name) == (&new.schema, &new.name) {
            return;
        }
        let shown = names.first().map_or("", String::as_str);
        let words = format!("{shown} can no longer hold {gone}");
        let mut names = names.to_vec();
        names.push(super::display(&old.schema, &old.name));
        self.add(Class::LabelsGone, was.of != now.of, names, words);
    }

    fn added(&mut self, id: &str, now: &Column) {
        if !now.required || now.filled {
            return;
        }
        let names = self.column_names(id, &[&now.name]);
        let shown = names.first().cloned().unwrap_or_default();
        // Where the running version names it already, only rows tell: they may be filled before it is required.
        let known = named(self.before, table_of(id))
            .any(|(_, was)| was.name == now.name && was.required && !was.filled);
        let words = format!("column {shown} is new, required and not filled by itself");
        self.add(Class::Required, !known, names, words);
    }
}

/// Changes that keep rows and indexes as they are (manual, ALTER TABLE): a higher limit, or none, of the same type.
fn is_free(old: &str, new: &str) -> bool {
    let parts = |text: &str| {
        let (base, rest) = text.split_once('(').unwrap_or((text, ""));
        let (limits, tail) = rest.split_once(')').unwrap_or(("", rest));
        let limits: Vec<i64> = limits.split(',').filter_map(|n| n.parse().ok()).collect();
        (format!("{base}{tail}"), limits)
    };
    let ((old, had), (new, has)) = (parts(old), parts(new));
    let texts = ["text", "character varying"];
    let text = texts.contains(&old.as_str()) && texts.contains(&new.as_str());
    let same = old == new && old != "character";
    let wider = match (had.split_first(), has.split_first()) {
        (_, None) => true,
        (Some((had, old)), Some((has, new))) => has >= had && old == new,
        (None, Some(_)) => false,
    };
    (text || same) && wider
}
