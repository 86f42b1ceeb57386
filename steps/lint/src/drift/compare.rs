//! Two shapes side by side.

use std::collections::BTreeSet;

use super::close;
use crate::migration::Level;
use crate::shape::blind::{Blind, Sort};
use crate::shape::{Key, Name, Shape, Table, quoted};

mod columns;
mod constraints;
mod keys;

/// What is said of two shapes, and what is left out.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What the wanted shape is called in a message: `schema.prisma`.
    pub wanted: &'a str,
    /// What the other one is called: `the migrations`.
    pub there: &'a str,
    /// Schemas that are compared; nothing for every one.
    pub schemas: Option<&'a BTreeSet<String>>,
    /// The wanted shape is Prisma's, which knows no partial index, no expression, no check, trigger or policy.
    pub prisma: bool,
}

/// One thing that two shapes say differently, with the SQL that closes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// An error breaks queries; a warning is another behaviour.
    pub level: Level,
    /// What it is about: `"Task"."notes"`.
    pub object: String,
    /// What differs, as a sentence without its end: which side has it, and which lacks it.
    pub message: String,
    /// What makes the second like the first.
    pub sql: String,
    /// Where the first declares it: a line from 1, or 0.
    pub line: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Ordered by object.
    pub differences: Vec<Difference>,
    /// Tables that both have.
    pub tables: usize,
    /// Columns that both have.
    pub columns: usize,
    /// What was not compared, because text does not tell.
    pub undecided: Vec<String>,
    /// How many triggers, policies, checks and conditional indexes both have by name, without their content being compared.
    pub by_name: usize,
}

/// Tables that are Prisma's own, or an extension's that Prisma passes over.
const PASSED: &[&str] = &[
    "_prisma_migrations",
    "spatial_ref_sys",
    "geometry_columns",
    "geography_columns",
    "raster_columns",
    "raster_overviews",
];

/// Compares; `blind` is what may hide from either.
pub(crate) fn compare(
    wanted: &Shape,
    there: &Shape,
    blind: &Blind,
    scope: Scope<'_>,
) -> Comparison {
    let mut work = Work {
        wanted,
        there,
        blind,
        scope,
        found: Comparison::default(),
    };
    work.enums();
    work.tables();
    if !scope.prisma {
        work.guards();
    }
    let mut found = work.found;
    found
        .differences
        .sort_by(|a, b| (&a.object, &a.message).cmp(&(&b.object, &b.message)));
    found.differences.dedup();
    found.undecided.sort();
    found.undecided.dedup();
    found
}

struct Work<'a> {
    wanted: &'a Shape,
    there: &'a Shape,
    blind: &'a Blind,
    scope: Scope<'a>,
    found: Comparison,
}

/// A difference before it is known whether it counts.
struct Draft<'n> {
    sort: Sort,
    /// Names that a text must have to be about it.
    names: Vec<&'n str>,
    level: Level,
    object: String,
    message: String,
    sql: String,
    line: usize,
}

impl Work<'_> {
    fn say(&mut self, draft: Draft<'_>) {
        if self.blind.hides(draft.sort, &draft.names) {
            return self.found.undecided.push(draft.object);
        }
        self.found.differences.push(Difference {
            level: draft.level,
            object: draft.object,
            message: draft.message,
            sql: draft.sql,
            line: draft.line,
        });
    }

    fn only_wanted(&self, what: &str) -> String {
        let Scope { wanted, there, .. } = self.scope;
        format!("{what} is in {wanted}, and {there} {} it", lacks(there))
    }

    fn only_there(&self, what: &str) -> String {
        let Scope { wanted, there, .. } = self.scope;
        format!("{what} is in {there}, and {wanted} {} it", lacks(wanted))
    }

    fn concerns(&self, name: &Name) -> bool {
        let passed = PASSED
            .iter()
            .any(|each| name.name.eq_ignore_ascii_case(each));
        !passed
            && self
                .scope
                .schemas
                .is_none_or(|all| all.contains(&name.schema))
    }

    fn tables(&mut self) {
        let (wanted, there) = (self.wanted, self.there);
        for (name, table) in &wanted.tables {
            if !self.concerns(name) {
                continue;
            }
            match there.tables.get(name) {
                Some(have) => self.table(name, table, have),
                None if table.open && !table.made && table.columns.is_empty() => {}
                None if there.views.contains(name) => {
                    self.found.undecided.push(format!("{name} (a view)"));
                }
                None => {
                    let message = self.only_wanted(&format!(
                        "the table {name} ({} columns)",
                        table.columns.len()
                    ));
                    self.say(Draft {
                        sort: Sort::Table,
                        names: vec![&name.name],
                        level: Level::Error,
                        object: name.to_string(),
                        message,
                        sql: close::table(name, table),
                        line: table.line,
                    });
                }
            }
        }
        for (name, table) in &there.tables {
            // One that no text was seen to make may be anybody's.
            let anybodys = table.open && !table.made;
            if wanted.tables.contains_key(name) || !self.concerns(name) || anybodys {
                continue;
            }
            let message = self.only_there(&format!("the table {name}"));
            self.say(Draft {
                sort: Sort::Table,
                names: vec![&name.name],
                level: Level::Warning,
                object: name.to_string(),
                message,
                sql: format!(
                    "-- its rows are lost; or declare it in {}\nDROP TABLE {name};",
                    self.scope.wanted
                ),
                line: 0,
            });
        }
    }

    fn table(&mut self, name: &Name, table: &Table, have: &Table) {
        self.found.tables += 1;
        for (column, facts) in &table.columns {
            match have.columns.get(column) {
                Some(there) => self.column(name, column, facts, there),
                None if have.open => self
                    .found
                    .undecided
                    .push(format!("{name}.{}", quoted(column))),
                None => {
                    let message =
                        self.only_wanted(&format!("the column {name}.{}", quoted(column)));
                    self.of_column(
                        name,
                        column,
                        Level::Error,
                        message,
                        close::column(name, column, facts),
                        facts.line,
                    );
                }
            }
        }
        for (column, facts) in &have.columns {
            if table.columns.contains_key(column) || table.open {
                continue;
            }
            let bare = facts.required == Some(true)
                && facts.default == crate::shape::value::DefaultValue::Nothing;
            let level = if bare { Level::Error } else { Level::Warning };
            let message = self.only_there(&format!("the column {name}.{}", quoted(column)));
            let sql = format!(
                "-- its values are lost; or declare it in {}\nALTER TABLE {name} DROP COLUMN {};",
                self.scope.wanted,
                quoted(column)
            );
            self.of_column(name, column, level, message, sql, table.line);
        }
        self.keys(name, table, have);
        self.foreign(name, table, have);
        if !self.scope.prisma {
            self.checks(name, table, have);
        }
    }
}

/// The migrations are many.
fn lacks(side: &str) -> &'static str {
    if side.ends_with('s') { "lack" } else { "lacks" }
}

/// Whether a key is one that a scope speaks of.
fn counts(key: &Key, scope: Scope<'_>) -> bool {
    const METHODS: &[&str] = &["btree", "hash", "gin", "gist", "spgist", "brin"];
    !scope.prisma || (key.is_plain() && METHODS.contains(&key.method.as_str()))
}

#[cfg(test)]
mod tests;
