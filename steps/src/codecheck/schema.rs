//! Reading `schema.prisma`, and what differs between two of them as far as code can notice.
//!
//! The reader knows blocks, fields, `@map` and `@@map`, and skips the rest: the format is Prisma's, and its own parser is
//! published only as part of its engines. What it cannot read is an error, never a schema with less in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Models and enums of a schema, by the names that code uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Models, views and composite types.
    pub models: BTreeMap<String, Model>,
    /// Enums.
    pub enums: BTreeMap<String, Enum>,
}

/// A model, a view or a composite type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// The table, when `@@map` names another.
    pub table: Option<String>,
    /// Its fields.
    pub fields: BTreeMap<String, Field>,
}

/// A field.
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
}

/// An enum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enum {
    /// The type, when `@@map` names another.
    pub name: Option<String>,
    /// Value → the label in the database, when `@map` names another.
    pub values: BTreeMap<String, Option<String>>,
}

/// A schema that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the schema cannot be read: {why}")]
pub struct SchemaError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// The most of a schema that is read, in bytes: over a hundred times what the largest public ones have.
const MOST: usize = 16 << 20;

/// What code knows a field by, and what SQL does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldName {
    /// The model.
    pub model: String,
    /// The field.
    pub field: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// What code knows a value of an enum by, and what SQL does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueName {
    /// The enum.
    pub of: String,
    /// The value.
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
    /// Anything else that changes the types that code sees: kinds, lists, fields that became required.
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
        for raw in text.lines() {
            line_no += 1;
            let line = strip(raw, &mut in_comment);
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let fail = |why: &str| SchemaError {
                line: line_no,
                why: why.to_owned(),
            };
            match &mut open {
                None => {
                    open = Some(Block::begin(line).ok_or_else(|| fail("no block begins here"))?);
                }
                Some(_) if line == "}" => {
                    if let Some(block) = open.take() {
                        block.close(&mut schema).map_err(|why| fail(&why))?;
                    }
                }
                Some(block) => block.line(line).map_err(|why| fail(&why))?,
            }
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
        let mut changes = Changes::default();
        for (name, model) in &self.models {
            let after = new.models.get(name);
            for (field, was) in &model.fields {
                if self.is_relation(was) {
                    continue;
                }
                let named = model.field_name(name, field);
                match after.and_then(|m| m.fields.get(field)) {
                    None => drop(changes.removed.insert(named)),
                    Some(is) => {
                        if is.optional && !was.optional {
                            changes.nullable.insert(named);
                        }
                        let same = (&is.kind, is.list) == (&was.kind, was.list);
                        changes.other |= !same || (was.optional && !is.optional);
                    }
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

/// A block that is being read.
enum Block {
    Model(String, Model),
    Enum(String, Enum),
    /// `datasource`, `generator`: nothing that code sees.
    Other,
}

impl Block {
    fn begin(line: &str) -> Option<Block> {
        let head = line.strip_suffix('{')?.trim();
        let (kind, name) = head.split_once(char::is_whitespace)?;
        let name = name.trim();
        if !is_name(name) {
            return None;
        }
        match kind {
            "model" | "view" | "type" => Some(Block::Model(name.to_owned(), Model::default())),
            "enum" => Some(Block::Enum(name.to_owned(), Enum::default())),
            "datasource" | "generator" => Some(Block::Other),
            _ => None,
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        match self {
            Block::Other => Ok(()),
            Block::Model(_, model) if line.starts_with("@@") => {
                set_map(&mut model.table, line);
                Ok(())
            }
            Block::Enum(_, known) if line.starts_with("@@") => {
                set_map(&mut known.name, line);
                Ok(())
            }
            Block::Model(_, model) => {
                let (name, rest) = line
                    .split_once(char::is_whitespace)
                    .ok_or_else(|| format!("`{line}` is no field"))?;
                let field = field(rest.trim()).ok_or_else(|| format!("`{line}` is no field"))?;
                insert(&mut model.fields, name, field)
            }
            Block::Enum(_, known) => {
                let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                let mut label = None;
                set_map(&mut label, rest);
                insert(&mut known.values, name, label)
            }
        }
    }

    fn close(self, schema: &mut Schema) -> Result<(), String> {
        match self {
            Block::Model(name, model) => insert(&mut schema.models, &name, model),
            Block::Enum(name, known) => insert(&mut schema.enums, &name, known),
            Block::Other => Ok(()),
        }
    }
}

fn insert<T>(into: &mut BTreeMap<String, T>, name: &str, value: T) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!("`{name}` is no name"));
    }
    match into.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` is there twice")),
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// The type and attributes of a field, such as `String? @map("full_name")`.
fn field(text: &str) -> Option<Field> {
    let (kind, attributes) = match text.strip_prefix("Unsupported(") {
        Some(rest) => {
            let end = rest.find(')')? + "Unsupported()".len();
            text.split_at(end)
        }
        None => text.split_at(text.find([' ', '\t', '@', '?', '[']).unwrap_or(text.len())),
    };
    if kind.is_empty() {
        return None;
    }
    let attributes = attributes.trim_start();
    let list = attributes.starts_with("[]");
    let attributes = attributes.trim_start_matches("[]");
    let optional = attributes.starts_with('?');
    let attributes = attributes.trim_start_matches('?').trim_start();
    if !attributes.is_empty() && !attributes.starts_with('@') {
        return None;
    }
    let mut column = None;
    set_map(&mut column, attributes);
    Some(Field {
        kind: kind.to_owned(),
        optional,
        list,
        column,
    })
}

/// The name in `@map("…")` or `@@map("…")`, when there is one.
fn set_map(to: &mut Option<String>, attributes: &str) {
    let mut rest = attributes;
    while let Some(at) = rest.find("@map(") {
        rest = &rest[at + "@map(".len()..];
        let inside = rest.trim_start().trim_start_matches("name:").trim_start();
        if let Some(quoted) = inside.strip_prefix('"')
            && let Some(end) = quoted.find('"')
        {
            *to = Some(quoted[..end].to_owned());
            return;
        }
    }
}

/// A line without its comments; quotes keep what looks like one.
fn strip(line: &str, in_comment: &mut bool) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        if *in_comment {
            if c == '*' && chars.next_if_eq(&'/').is_some() {
                *in_comment = false;
            }
            continue;
        }
        match c {
            '\\' if quoted => {
                out.push(c);
                out.extend(chars.next());
            }
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            '/' if !quoted && chars.next_if_eq(&'*').is_some() => *in_comment = true,
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
