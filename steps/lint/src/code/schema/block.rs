//! The blocks of a `schema.prisma`, line by line.

use std::collections::BTreeMap;

use super::{Enum, Field, Kind, Model, Schema, attribute};

/// A block that is being read.
pub(super) enum Block {
    Model(String, Model),
    Enum(String, Enum),
    /// The properties of a `datasource`.
    Source(BTreeMap<String, String>),
    /// `generator`: nothing that code sees.
    Other,
}

impl Block {
    pub(super) fn begin(line: &str, number: usize) -> Option<Block> {
        let head = line.strip_suffix('{')?.trim();
        let (kind, name) = head.split_once(char::is_whitespace)?;
        let name = name.trim();
        if !is_name(name) {
            return None;
        }
        match kind {
            "enum" => Some(Block::Enum(name.to_owned(), Enum::default())),
            "datasource" => Some(Block::Source(BTreeMap::new())),
            "generator" => Some(Block::Other),
            _ => {
                let kind = match kind {
                    "model" => Kind::Model,
                    "view" => Kind::View,
                    "type" => Kind::Type,
                    _ => return None,
                };
                let model = Model {
                    kind,
                    line: number,
                    ..Model::default()
                };
                Some(Block::Model(name.to_owned(), model))
            }
        }
    }

    /// A line as it counts for a comparison; nothing for one that code cannot notice.
    pub(super) fn seen(&self, line: &str) -> Option<(String, String)> {
        let name = match self {
            Block::Model(name, _) | Block::Enum(name, _) => name,
            Block::Source(_) | Block::Other => return None,
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let index = line.starts_with("@@index") || line.starts_with("@@fulltext");
        (!index).then(|| (name.clone(), words.join(" ")))
    }

    pub(super) fn line(&mut self, line: &str, number: usize) -> Result<(), String> {
        let own = || attribute::read(line).ok_or_else(|| format!("`{line}` is no attribute"));
        match self {
            Block::Other => Ok(()),
            Block::Source(properties) => {
                if let Some((name, value)) = line.split_once('=') {
                    properties.insert(name.trim().to_owned(), value.trim().to_owned());
                }
                Ok(())
            }
            Block::Model(_, model) if line.starts_with("@@") => {
                set_map(&mut model.table, line);
                model.attributes.extend(own()?);
                Ok(())
            }
            Block::Enum(_, known) if line.starts_with("@@") => {
                set_map(&mut known.name, line);
                let schema = own()?.into_iter().find(|each| each.name == "schema");
                known.schema = schema.and_then(|each| Some(each.text("name", true)?.to_owned()));
                Ok(())
            }
            Block::Model(_, model) => {
                let (name, rest) = line
                    .split_once(char::is_whitespace)
                    .ok_or_else(|| format!("`{line}` is no field"))?;
                let mut field =
                    field(rest.trim()).ok_or_else(|| format!("`{line}` is no field"))?;
                field.line = number;
                insert(&mut model.fields, name, field)
            }
            Block::Enum(_, known) => {
                let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                let mut label = None;
                set_map(&mut label, rest);
                known.order.push(name.to_owned());
                insert(&mut known.values, name, label)
            }
        }
    }

    pub(super) fn close(self, schema: &mut Schema) -> Result<(), String> {
        match self {
            Block::Model(name, model) => insert(&mut schema.models, &name, model),
            Block::Enum(name, known) => insert(&mut schema.enums, &name, known),
            Block::Source(properties) => {
                schema.source.extend(properties);
                Ok(())
            }
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
            let end = unsupported(rest)? + "Unsupported()".len();
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
        attributes: attribute::read(attributes)?,
        line: 0,
    })
}

/// Where the bracket closes that follows the quoted type.
fn unsupported(rest: &str) -> Option<usize> {
    let mut quoted = false;
    let mut at = rest.char_indices().filter(|(_, c)| {
        quoted ^= *c == '"';
        *c == ')' && !quoted
    });
    at.next().map(|(at, _)| at)
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
pub(super) fn strip(line: &str, in_comment: &mut bool) -> String {
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
