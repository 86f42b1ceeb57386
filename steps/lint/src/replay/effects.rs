//! What a migration did to objects that were there before it.

mod columns;
mod keys;

use super::catalog::{Snapshot, display, table_of};
use crate::migration::{Level, RuleId};

/// A kind of change, with the rules that speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    TableGone,
    TableRenamed,
    ColumnGone,
    /// Gone and there again under its name: copied or lost, only rows tell.
    ColumnRemade,
    ColumnRenamed,
    Tightened,
    Loosened,
    Required,
    DefaultGone,
    Retyped,
    LabelsGone,
    TypeRenamed,
    KeyAdded,
    KeyGone,
    RuleAdded,
    RuleGone,
    ViewChanged,
    ObjectGone,
    Guarded,
    IndexInvalid,
}

impl Class {
    /// The rules of the text check that say this.
    pub(super) fn rules(self) -> &'static [RuleId] {
        use RuleId as R;
        match self {
            Self::TableGone => &[R::DropTable, R::DropContainer],
            Self::TableRenamed => &[R::RenameTable],
            Self::ColumnGone => &[R::DropColumn],
            Self::ColumnRemade => &[
                R::DropColumn,
                R::ChangeType,
                R::NarrowType,
                R::EnumValueRemoved,
            ],
            Self::ColumnRenamed => &[R::RenameColumn],
            Self::Tightened => &[R::SetNotNull, R::UniqueOnExisting],
            Self::Loosened => &[R::DropNotNull],
            Self::Required => &[R::RequiredColumn],
            Self::DefaultGone => &[R::DropDefault],
            Self::Retyped => &[R::NarrowType, R::ChangeType, R::EnumValueRemoved],
            Self::LabelsGone => &[R::EnumValueRemoved],
            Self::TypeRenamed => &[R::RenameType, R::DropObject],
            Self::KeyAdded => &[R::UniqueOnExisting],
            Self::KeyGone => &[R::DropUnique],
            Self::RuleAdded => &[R::AddConstraint],
            Self::RuleGone => &[R::DropConstraint, R::DropUnique],
            Self::ViewChanged | Self::ObjectGone => &[R::DropObject, R::BehaviourChange],
            Self::Guarded => &[R::BehaviourChange],
            Self::IndexInvalid => &[],
        }
    }

    /// How much it weighs when the text check did not say it: as much as its rule does.
    pub(super) fn level(self) -> Level {
        match self {
            Self::TableGone
            | Self::TableRenamed
            | Self::ColumnGone
            | Self::ColumnRemade
            | Self::ColumnRenamed
            | Self::Tightened
            | Self::Required
            | Self::Retyped
            | Self::LabelsGone => Level::Error,
            Self::DefaultGone
            | Self::TypeRenamed
            | Self::KeyAdded
            | Self::KeyGone
            | Self::RuleAdded
            | Self::ViewChanged
            | Self::ObjectGone
            | Self::Guarded
            | Self::IndexInvalid => Level::Warning,
            Self::Loosened | Self::RuleGone => Level::Note,
        }
    }
}

/// One change that the catalog shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) class: Class,
    /// Whether silence about it is wrong; otherwise the catalog cannot decide, and neither silence nor a finding is.
    pub(super) sure: bool,
    /// Names a finding about it may use, the one to be shown first.
    pub(super) names: Vec<String>,
    /// What happened, in words.
    pub(super) words: String,
}

/// Everything one migration did.
pub(super) fn between(before: &Snapshot, after: &Snapshot) -> Vec<Effect> {
    let mut effects = Effects {
        before,
        after,
        found: Vec::new(),
    };
    effects.tables();
    effects.columns();
    effects.enums();
    effects.indexes();
    effects.constraints();
    effects.views();
    effects.objects();
    effects.found
}

struct Effects<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    found: Vec<Effect>,
}

impl Effects<'_> {
    fn add(&mut self, class: Class, sure: bool, names: Vec<String>, words: String) {
        self.found.push(Effect {
            class,
            sure,
            names,
            words,
        });
    }

    /// The table's name before, and the one after when that is another.
    fn table_names(&self, id: &str) -> Vec<String> {
        let mut names: Vec<String> = self.before.table(id).into_iter().collect();
        names.extend(self.after.table(id));
        names.dedup();
        names
    }

    /// Whether a table was there before and still is.
    fn stays(&self, table: &str) -> bool {
        self.before.tables.contains_key(table) && self.after.tables.contains_key(table)
    }

    /// Whether a column was there before and still is.
    fn column_stays(&self, table: &str, number: &str) -> bool {
        let id = format!("{table}.{number}");
        self.before.columns.contains_key(&id) && self.after.columns.contains_key(&id)
    }

    fn tables(&mut self) {
        for (id, was) in &self.before.tables {
            let name = display(&was.schema, &was.name);
            match self.after.tables.get(id) {
                None => {
                    let words = format!("table {name} is gone");
                    self.add(Class::TableGone, true, vec![name], words);
                }
                Some(now) => {
                    if (&now.schema, &now.name) != (&was.schema, &was.name) {
                        let new = display(&now.schema, &now.name);
                        let words = format!("table {name} is now {new}");
                        self.add(Class::TableRenamed, true, vec![name.clone(), new], words);
                    }
                    if now.guarded != was.guarded {
                        let state = if now.guarded { "on" } else { "off" };
                        let words = format!("row security of {name} is now {state}");
                        self.add(Class::Guarded, true, vec![name], words);
                    }
                }
            }
        }
    }

    fn enums(&mut self) {
        for (id, was) in &self.before.enums {
            let name = display(&was.schema, &was.name);
            let namesake = self
                .after
                .enums
                .values()
                .find(|now| (&now.schema, &now.name) == (&was.schema, &was.name));
            match (namesake, self.after.enums.get(id)) {
                (Some(now), _) => {
                    let gone = missing(&was.labels, &now.labels);
                    if !gone.is_empty() {
                        let words = format!("enum {name} has no {gone} any more");
                        self.add(Class::LabelsGone, true, vec![name], words);
                    }
                }
                (None, Some(now)) => {
                    let new = display(&now.schema, &now.name);
                    let words = format!("enum {name} is now {new}");
                    self.add(Class::TypeRenamed, true, vec![name, new], words);
                }
                (None, None) => {
                    let words = format!("enum {name} is gone");
                    self.add(Class::TypeRenamed, true, vec![name], words);
                }
            }
        }
    }

    /// A view that is made again is the same as long as it has the columns it had.
    fn views(&mut self) {
        for was in self.before.views.values() {
            let name = display(&was.schema, &was.name);
            let now = self
                .after
                .views
                .values()
                .find(|now| (&now.schema, &now.name) == (&was.schema, &was.name));
            let words = match now {
                None => format!("view {name} is gone"),
                Some(now) => {
                    let gone = missing(&was.columns, &now.columns);
                    if gone.is_empty() {
                        continue;
                    }
                    format!("view {name} has no {gone} any more")
                }
            };
            self.add(Class::ViewChanged, true, vec![name], words);
        }
    }

    /// By name: one that is made again is there.
    fn objects(&mut self) {
        let now: Vec<_> = self.after.objects().collect();
        for object in self.before.objects() {
            if now.contains(&object) {
                continue;
            }
            let (kind, schema, name) = object;
            // What belongs to a table goes or moves with it.
            let of_table = matches!(kind.as_str(), "trigger" | "policy");
            let words = format!("{kind} {name} is gone");
            let bare = name.split(" on ").next().unwrap_or_default();
            let names = vec![display(&schema, bare), bare.to_owned(), name.clone()];
            self.add(Class::ObjectGone, !of_table, names, words);
        }
    }
}

/// What is in the first list only.
fn missing(before: &[String], after: &[String]) -> String {
    let gone: Vec<String> = before
        .iter()
        .filter(|each| !after.contains(each))
        .map(|each| format!("'{each}'"))
        .collect();
    gone.join(", ")
}

/// Column names of a table by their numbers.
fn named<'a>(
    snapshot: &'a Snapshot,
    table: &'a str,
) -> impl Iterator<Item = (&'a String, &'a super::catalog::Column)> {
    snapshot
        .columns
        .iter()
        .filter(move |(id, _)| table_of(id) == table)
}
