//! Reading `schema.prisma`, and what differs between two of them as far as code can notice.
//!
//! The reader knows blocks, fields, `@map` and `@@map`, and skips the rest: the format is Prisma's, and its own parser is
//! published only as part of its engines. What it cannot read is an error, never a schema with less in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

mod attribute;
mod block;

pub use attribute::{Argument, Attribute, Expression, argument};
use block::{Block, strip};

/// Models and enums of a schema, by the names that code uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Models, views and composite types.
    pub models: BTreeMap<String, Model>,
    /// Enums, as `enum` blocks declare them.
    pub enums: BTreeMap<String, Enum>,
    /// The datasource's properties, as they are written.
    pub source: BTreeMap<String, String>,
    /// Every line of them with the name of its block, without comments and layout, indexes left out: code cannot notice
    /// those. What differs here and nowhere else (a default, a relation, a key) still changes the client.
    lines: BTreeSet<(String, String)>,
}

/// What has fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// `model`: a table.
    #[default]
    Model,
    /// `view`: nothing that migrations make by themselves.
    View,
    /// `type`: part of a document.
    Type,
}

/// A model, a view or a composite type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Whether it is a table, or something else with fields.
    pub kind: Kind,
    /// Its own attributes, those with `@@`.
    pub attributes: Vec<Attribute>,
    /// The line it begins on, from 1.
    pub line: usize,
    /// The table, when `@@map` names another.
    pub table: Option<String>,
    /// Its fields by name, relations among them.
    pub fields: BTreeMap<String, Field>,
}

/// A field of a model, view or composite type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name of its type, without `?` and `[]`.
    pub kind: String,
    /// It may be null.
    pub optional: bool,
    /// It is a list.
    pub list: bool,
    /// The column, when `@map` names another.
    pub column: Option<String>,
    /// Its own attributes, those with one `@`.
    pub attributes: Vec<Attribute>,
    /// The line it is on, from 1.
    pub line: usize,
}

/// An enum and its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enum {
    /// The type, when `@@map` names another.
    pub name: Option<String>,
    /// The schema, when `@@schema` names one.
    pub schema: Option<String>,
    /// Its values, in their order.
    pub order: Vec<String>,
    /// Value → the label in the database, when `@map` names another.
    pub values: BTreeMap<String, Option<String>>,
}

/// A schema that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the schema cannot be read: {why}")]
pub struct SchemaError {
    /// The line of the schema that makes no sense, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// The most of a schema that is read, in bytes: over a hundred times what the largest public ones have.
const MOST: usize = 16 << 20;

/// The most of one line, when its brackets go on over several.
const LINE_MOST: usize = 64 << 10;

/// Whether a round or square bracket is open at the end; those in quotes do not count.
fn is_open(text: &str) -> bool {
    let (mut depth, mut quoted) = (0i32, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth > 0
}

/// What code knows a field by, and what SQL does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldName {
    /// The model's name in `schema.prisma`.
    pub model: String,
    /// The field's name in `schema.prisma`.
    pub field: String,
    /// The table's name in the database, unquoted.
    pub table: String,
    /// The column's name in the database, unquoted.
    pub column: String,
}

/// What code knows a value of an enum by, and what SQL does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueName {
    /// The enum's name in `schema.prisma`.
    pub of: String,
    /// The value's name in `schema.prisma`.
    pub value: String,
    /// The label in the database.
    pub label: String,
}

/// What differs as far as code can notice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Fields that were required and may be null now, and new ones that may be null.
    pub nullable: BTreeSet<FieldName>,
    /// Fields that are no more, those of models that are no more included.
    pub removed: BTreeSet<FieldName>,
    /// Values of enums that are no more, those of enums that are no more included.
    pub values_removed: BTreeSet<ValueName>,
    /// New values of enums that were there.
    pub values_added: BTreeSet<ValueName>,
    /// Something about models, types or enums differs, be it one of those or another thing that code sees: a kind, a
    /// default, a relation, a key, what is required.
    pub other: bool,
}

impl Changes {
    /// Nothing about nulls or enums, and nothing that was taken away.
    pub fn concern_nothing(&self) -> bool {
        self.nullable.is_empty()
            && self.removed.is_empty()
            && self.values_removed.is_empty()
            && self.values_added.is_empty()
            && !self.other
    }
}

impl Schema {
    /// Reads a schema; several files of one schema are read one after the other as one text.
    ///
    /// # Errors
    /// [`SchemaError`] at the first line that makes no sense.
    pub fn read(text: &str) -> Result<Schema, SchemaError> {
        if text.len() > MOST {
            return Err(SchemaError {
                line: 1,
                why: format!("it is larger than {MOST} bytes"),
            });
        }
        let mut schema = Schema::default();
        let mut open: Option<Block> = None;
        let mut in_comment = false;
        let mut line_no = 0;
        let mut begun = String::new();
        for raw in text.lines() {
            line_no += 1;
            let line = strip(raw, &mut in_comment);
            // Arguments may go on over several lines, until their brackets are closed.
            begun.push_str(line.trim());
            if begun.is_empty() || (is_open(&begun) && begun.len() < LINE_MOST) {
                begun.push_str(if begun.is_empty() { "" } else { " " });
                continue;
            }
            let line = std::mem::take(&mut begun);
            let line = line.trim();
            let fail = |why: &str| SchemaError {
                line: line_no,
                why: why.to_owned(),
            };
            match &mut open {
                None => {
                    let block = Block::begin(line, line_no);
                    open = Some(block.ok_or_else(|| fail("no block begins here"))?);
                }
                Some(_) if line == "}" => {
                    if let Some(block) = open.take() {
                        block.close(&mut schema).map_err(|why| fail(&why))?;
                    }
                }
                Some(block) => {
                    block.line(line, line_no).map_err(|why| fail(&why))?;
                    schema.lines.extend(block.seen(line));
                }
            }
        }
        if !begun.trim().is_empty() {
            return Err(SchemaError {
                line: line_no,
                why: "a bracket is not closed".into(),
            });
        }
        match open {
            Some(_) => Err(SchemaError {
                line: line_no,
                why: "its last block is not closed".into(),
            }),
            None => Ok(schema),
        }
    }

    /// What of `self` differs in `new`.
    pub fn changes(&self, new: &Schema) -> Changes {
        let mut changes = Changes {
            other: self.lines != new.lines,
            ..Changes::default()
        };
        for (name, model) in &self.models {
            let after = new.models.get(name);
            for (field, was) in &model.fields {
                if self.is_relation(was) {
                    continue;
                }
                let named = model.field_name(name, field);
                match after.and_then(|m| m.fields.get(field)) {
                    None => drop(changes.removed.insert(named)),
                    Some(is) if is.optional && !was.optional => {
                        changes.nullable.insert(named);
                    }
                    Some(_) => {}
                }
            }
        }
        for (name, model) in &new.models {
            let before = self.models.get(name);
            for (field, is) in &model.fields {
                let known = before.is_some_and(|m| m.fields.contains_key(field));
                if !known && is.optional && !new.is_relation(is) {
                    changes.nullable.insert(model.field_name(name, field));
                }
            }
        }
        for (name, was) in &self.enums {
            let is = new.enums.get(name);
            let gone = was
                .values
                .keys()
                .filter(|v| !is.is_some_and(|is| is.values.contains_key(*v)));
            changes
                .values_removed
                .extend(gone.map(|v| was.value_name(name, v)));
        }
        for (name, is) in &new.enums {
            let Some(was) = self.enums.get(name) else {
                continue;
            };
            let fresh = is.values.keys().filter(|v| !was.values.contains_key(*v));
            changes
                .values_added
                .extend(fresh.map(|v| is.value_name(name, v)));
        }
        changes
    }

    fn is_relation(&self, field: &Field) -> bool {
        self.models.contains_key(&field.kind)
    }
}

impl Model {
    fn field_name(&self, model: &str, field: &str) -> FieldName {
        let column = self.fields.get(field).and_then(|f| f.column.clone());
        FieldName {
            model: model.to_owned(),
            field: field.to_owned(),
            table: self.table.clone().unwrap_or_else(|| model.to_owned()),
            column: column.unwrap_or_else(|| field.to_owned()),
        }
    }
}

impl Enum {
    fn value_name(&self, of: &str, value: &str) -> ValueName {
        let label = self.values.get(value).cloned().flatten();
        ValueName {
            of: of.to_owned(),
            value: value.to_owned(),
            label: label.unwrap_or_else(|| value.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
