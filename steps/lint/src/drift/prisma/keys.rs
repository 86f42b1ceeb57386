//! `@id`, `@unique`, `@@index` and their like.

use super::{column_name, word};
use crate::code::schema::{Argument, Attribute, Expression, Model, argument};
use crate::drift::names;
use crate::shape::Key;

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Primary,
    Unique,
    Plain,
}

/// `fields` are names, or calls with the arguments of a column.
pub(super) fn key(
    table: &str,
    model: &Model,
    of: &Attribute,
    fields: &[Expression],
    sort: Sort,
) -> Key {
    let (mut columns, mut order) = (Vec::new(), Vec::new());
    for each in fields {
        let (name, arguments): (&str, &[Argument]) = match each {
            Expression::Word(name) => (name, &[]),
            Expression::Call(name, arguments) => (name, arguments),
            _ => continue,
        };
        columns.push(column_name(model, name));
        let descending = argument(arguments, "sort", false).and_then(word) == Some("Desc");
        order.push((descending, argument(arguments, "ops", false).and_then(ops)));
    }
    // For a unique key `name` is what the client calls it.
    let given = of
        .text("map", false)
        .or_else(|| of.text("name", false).filter(|_| sort == Sort::Plain));
    let name = given.map_or_else(
        || match sort {
            Sort::Primary => names::cut(table, "_pkey"),
            Sort::Unique => names::made(table, &columns, "_key"),
            Sort::Plain => names::made(table, &columns, "_idx"),
        },
        str::to_owned,
    );
    Key {
        name: Some(name),
        unique: sort != Sort::Plain,
        columns: columns.into_iter().map(Some).collect(),
        order,
        method: of
            .get("type", false)
            .and_then(word)
            .unwrap_or("btree")
            .to_ascii_lowercase(),
        partial: of.get("where", false).is_some(),
    }
}

/// `JsonbPathOps`, or `raw("gin_trgm_ops")`.
fn ops(value: &Expression) -> Option<String> {
    match value {
        Expression::Call(_, arguments) => match argument(arguments, "", true)? {
            Expression::Text(text) => Some(text.clone()),
            _ => None,
        },
        Expression::Word(word) => {
            let mut text = String::new();
            for c in word.chars() {
                if c.is_ascii_uppercase() && !text.is_empty() {
                    text.push('_');
                }
                text.push(c.to_ascii_lowercase());
            }
            Some(text.replace("min_max", "minmax"))
        }
        _ => None,
    }
}
